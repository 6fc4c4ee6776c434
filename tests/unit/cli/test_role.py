"""A function gets the role it was given, else the usual one, which is made when it is missing; never on AWS."""

# ruff: noqa: N803 - the parameters of boto3 are AWS's names

from __future__ import annotations

from typing import Any

import pytest

from lambent.cli.client import Connection, Target
from lambent.cli.role import LOGS_POLICY_ARN, ROLE_NAME, TRUST_POLICY, find_role
from lambent.cli.terminal import UsageError


class NoSuchEntityException(Exception):
    pass


class Iam(Connection):
    """IAM in memory, as far as a deploy asks it."""

    def __init__(self, *names: str, endpoint: str | None = "http://here:1") -> None:
        super().__init__(Target(endpoint=endpoint, region="us-east-1"))
        self.roles = {name: f"arn:aws:iam::000000000000:role/{name}" for name in names}
        self.made: list[Any] = []
        self.exceptions = type("exceptions", (), {"NoSuchEntityException": NoSuchEntityException})

    def client(self, service: str, **_: Any) -> Any:
        assert service == "iam"
        return self

    def get_role(self, RoleName: str) -> Any:
        if RoleName not in self.roles:
            raise NoSuchEntityException
        return {"Role": {"Arn": self.roles[RoleName]}}

    def create_role(self, RoleName: str, AssumeRolePolicyDocument: str, Description: str) -> Any:
        self.made.append((RoleName, AssumeRolePolicyDocument))
        self.roles[RoleName] = f"arn:made:{RoleName}"
        return self.get_role(RoleName)

    def attach_role_policy(self, RoleName: str, PolicyArn: str) -> None:
        self.made.append((RoleName, PolicyArn))


def test_an_arn_is_taken_as_it_is() -> None:
    assert find_role(Iam(), "arn:aws:iam::1:role/x") == "arn:aws:iam::1:role/x"


def test_a_name_is_looked_up() -> None:
    assert find_role(Iam("mine"), "mine") == "arn:aws:iam::000000000000:role/mine"
    with pytest.raises(UsageError, match="no role mine"):
        find_role(Iam(), "mine")


def test_the_usual_role_is_made_once() -> None:
    iam = Iam()
    assert find_role(iam, None) == f"arn:made:{ROLE_NAME}"
    name, document = iam.made[0]
    assert name == ROLE_NAME
    assert TRUST_POLICY["Statement"][0]["Principal"]["Service"] in document
    assert iam.made[1] == (ROLE_NAME, LOGS_POLICY_ARN)
    find_role(iam, None)
    assert len(iam.made) == 2


def test_on_aws_no_role_is_made() -> None:
    iam = Iam(endpoint=None)
    with pytest.raises(UsageError, match="On AWS a function needs a role"):
        find_role(iam, None)
    assert iam.made == []
    assert find_role(Iam(ROLE_NAME, endpoint=None), None).endswith(f"role/{ROLE_NAME}")
