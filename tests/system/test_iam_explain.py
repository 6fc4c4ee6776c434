"""`lambent iam explain` against a running server: it points at the statement that decides."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from harness import ACCOUNT, REGION, Server, create

INVOKE = "lambda:InvokeFunction"
POLICY = """{
  "Version": "2012-10-17",
  "Statement": [
    {"Sid": "Logs", "Effect": "Allow", "Action": "logs:*", "Resource": "*"},
    {
      "Sid": "Calls",
      "Effect": "Allow",
      "Action": "lambda:Invoke*",
      "Resource": "*",
      "Condition": {"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}
    }
  ]
}"""
TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": {
            "Effect": "Allow",
            "Principal": {"Service": "lambda.amazonaws.com"},
            "Action": "sts:AssumeRole",
        },
    }
)


def explain(server: Server, *arguments: str) -> tuple[int, str, str]:
    ran = subprocess.run(
        [sys.executable, "-m", "lambent", "iam", "explain", *arguments],
        capture_output=True,
        text=True,
        env=server.environ(),
        timeout=60,
        check=False,
    )
    return ran.returncode, ran.stdout, ran.stderr


@pytest.fixture
def iam(lambent: Server, name: str) -> Any:
    """A client, and a user with the policy."""
    iam = lambent.client("iam")
    iam.create_user(UserName=name)
    iam.put_user_policy(UserName=name, PolicyName="calls", PolicyDocument=POLICY)
    return iam


def test_an_allowed_call_is_explained_by_its_statement(lambent: Server, iam: Any, name: str) -> None:
    code, out, err = explain(lambent, f"user/{name}", INVOKE, "--context", "aws:SourceIp=10.1.2.3")
    assert (code, err) == (0, "")
    assert out == (
        f"allowed\n  principal  arn:aws:iam::{ACCOUNT}:user/{name}\n  action     {INVOKE}\n  resource   *\n"
        f"\nStatement of user_{name}_calls (user), lines 4 to 11:\n"
        + "\n".join(POLICY.splitlines()[4:11])
        + "\n"
    )


def test_a_denied_call_tells_what_was_missing(lambent: Server, iam: Any, name: str) -> None:
    code, out, _ = explain(lambent, f"arn:aws:iam::{ACCOUNT}:user/{name}", INVOKE)
    assert code == 1
    assert out.startswith("denied, since nothing allows it\n")
    assert "Conditions asked for what the request does not say: aws:SourceIp." in out


def test_managed_policies_of_groups_and_denials_are_shown(lambent: Server, iam: Any, name: str) -> None:
    iam.create_group(GroupName=name)
    iam.add_user_to_group(GroupName=name, UserName=name)
    document = json.dumps(
        {"Version": "2012-10-17", "Statement": {"Effect": "Deny", "Action": "*", "Resource": "*"}}
    )
    arn = iam.create_policy(PolicyName=name, PolicyDocument=document)["Policy"]["Arn"]
    iam.attach_group_policy(GroupName=name, PolicyArn=arn)
    code, out, _ = explain(lambent, f"user/{name}", INVOKE)
    assert code == 1
    assert out.startswith("denied, explicitly\n")
    assert f"Statement of {name} (user-managed), line 1:\n" in out
    assert '{"Effect": "Deny", "Action": "*", "Resource": "*"}' in out


def test_the_policy_of_a_function_and_its_role_are_found_by_its_name(lambent: Server, name: str) -> None:
    iam, client = lambent.client("iam"), lambent.client("lambda")
    role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=TRUST)["Role"]["Arn"]
    create(client, name, "def handler(event, context): return 1", Role=role)
    code, _, _ = explain(lambent, f"function/{name}", INVOKE, name)
    assert code == 1
    client.add_permission(FunctionName=name, StatementId="mine", Action=INVOKE, Principal=role)
    code, out, _ = explain(lambent, f"function/{name}", INVOKE, name)
    assert code == 0
    assert f"  resource   arn:aws:lambda:{REGION}:{ACCOUNT}:function:{name}\n" in out
    assert "Statement of ResourcePolicy (resource), line 1:\n" in out
    assert '"Sid":"mine"' in out
    code, out, _ = explain(lambent, f"role/{name}", INVOKE, name, "--json")
    assert json.loads(out)["EvalDecision"] == "allowed"


def test_the_root_of_an_account_is_limited_by_no_policy(lambent: Server) -> None:
    code, out, err = explain(lambent, f"arn:aws:iam::{ACCOUNT}:root", INVOKE)
    assert (code, err) == (0, "")
    assert out.startswith("allowed: ")


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("alice", INVOKE), 2, "PRINCIPAL must be an ARN"),
        (("user/nobody-here", INVOKE), 1, "NoSuchEntity"),
        ((f"arn:aws:iam::{ACCOUNT}:user/nobody-here", INVOKE), 1, "NoSuchEntity"),
        ((f"arn:aws:iam::{ACCOUNT}:user/x", INVOKE, "no-such-function"), 1, "ResourceNotFoundException"),
        (
            (f"arn:aws:iam::{ACCOUNT}:user/x", INVOKE, "--context", "nothing"),
            2,
            "--context must be KEY=VALUE",
        ),
    ],
)
def test_mistakes_are_told_in_a_sentence(
    lambent: Server, arguments: tuple[str, ...], code: int, words: str
) -> None:
    found, out, err = explain(lambent, *arguments)
    assert (found, out) == (code, "")
    assert words in err
    assert len(err.splitlines()) == 1
