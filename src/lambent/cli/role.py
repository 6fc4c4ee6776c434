"""The execution role of a deployed function: given, found, or made."""

from __future__ import annotations

import json
from typing import Any

from lambent.cli.client import Connection, error_code
from lambent.cli.terminal import UsageError

ROLE_NAME = "lambent-function"
# https://docs.aws.amazon.com/lambda/latest/dg/lambda-intro-execution-role.html
TRUST_POLICY = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
    ],
}
LOGS_POLICY_ARN = "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"


def find_role(connection: Connection, given: str | None) -> str:
    """Return the ARN of the role for a new function.

    Args:
        connection: where the function will live.
        given: the user's word: an ARN, which is taken as it is, or a name; None for the usual role, which is
            made if it does not exist. On AWS nothing is made: a role there is a decision about rights.

    Raises:
        UsageError: there is no such role.
    """
    if given and given.startswith("arn:"):
        return given
    iam = connection.client("iam")
    name = given or ROLE_NAME
    try:
        return str(iam.get_role(RoleName=name)["Role"]["Arn"])
    except iam.exceptions.NoSuchEntityException as error:
        if given:
            raise UsageError(
                f"There is no role {name}: give the ARN or the name of one that exists."
            ) from error
        if connection.target.is_aws:
            raise UsageError(
                f"On AWS a function needs a role: give --role, or create {ROLE_NAME} first."
            ) from error
    return _make_role(iam)


def _make_role(iam: Any) -> str:
    try:
        role = iam.create_role(
            RoleName=ROLE_NAME,
            AssumeRolePolicyDocument=json.dumps(TRUST_POLICY),
            Description="Role of functions that were deployed without one.",
        )
    except Exception as error:
        if error_code(error) != "EntityAlreadyExists":  # another deploy was faster
            raise
        role = iam.get_role(RoleName=ROLE_NAME)
    iam.attach_role_policy(RoleName=ROLE_NAME, PolicyArn=LOGS_POLICY_ARN)
    return str(role["Role"]["Arn"])
