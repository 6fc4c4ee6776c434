"""The simulator says what real calls would be told, and points at the statements."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lambent.services.iam.errors import InvalidInputException, NoSuchEntityException
from unit.services.iam.asking import ACCOUNT, LAMBDA_TRUST, Iam

OTHER = "999999999999"
INVOKE = "lambda:InvokeFunction"
FUNCTION = f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:f"
ALICE = f"arn:aws:iam::{ACCOUNT}:user/alice"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/team/worker"


def policy(*actions: str, effect: str = "Allow", **members: Any) -> str:
    statement = {"Effect": effect, "Action": list(actions), "Resource": "*"} | members
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


@pytest.fixture
def iam() -> Iam:
    """An account with a user in a group, and a role."""
    iam = Iam()
    iam.ask("create_user", UserName="alice", Tags=[{"Key": "team", "Value": "blue"}])
    iam.ask("create_group", GroupName="callers")
    iam.ask("add_user_to_group", GroupName="callers", UserName="alice")
    iam.ask("create_role", RoleName="worker", Path="/team/", AssumeRolePolicyDocument=LAMBDA_TRUST)
    return iam


def simulate(iam: Iam, source: str = ALICE, *actions: str, **parameters: Any) -> list[dict[str, Any]]:
    answer = iam.ask(
        "simulate_principal_policy",
        PolicySourceArn=source,
        ActionNames=list(actions) or [INVOKE],
        **parameters,
    )
    return answer["EvaluationResults"]


def told(result: dict[str, Any]) -> tuple[str, list[tuple[str, str]]]:
    matched = [(one["SourcePolicyId"], one["SourcePolicyType"]) for one in result["MatchedStatements"]]
    return result["EvalDecision"], matched


def test_policies_of_user_and_groups_are_named_in_the_answer(iam: Iam) -> None:
    (result,) = simulate(iam)
    assert result == {
        "EvalActionName": INVOKE,
        "EvalResourceName": "*",
        "EvalDecision": "implicitDeny",
        "MatchedStatements": [],
        "MissingContextValues": [],
    }
    iam.ask("put_user_policy", UserName="alice", PolicyName="calls", PolicyDocument=policy(INVOKE))
    iam.ask("put_group_policy", GroupName="callers", PolicyName="all", PolicyDocument=policy("lambda:*"))
    iam.ask("attach_user_policy", UserName="alice", PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess")
    (result,) = simulate(iam)
    assert told(result) == (
        "allowed",
        [
            ("user_alice_calls", "user"),
            ("AdministratorAccess", "aws-managed"),
            ("group_callers_all", "group"),
        ],
    )
    iam.ask(
        "put_group_policy",
        GroupName="callers",
        PolicyName="no",
        PolicyDocument=policy(INVOKE, effect="Deny"),
    )
    assert told(simulate(iam)[0]) == ("explicitDeny", [("group_callers_no", "group")])
    group = f"arn:aws:iam::{ACCOUNT}:group/callers"
    assert told(simulate(iam, group, "lambda:GetFunction")[0]) == (
        "allowed",
        [("group_callers_all", "group")],
    )


def test_a_statement_is_pointed_at_by_line_and_column(iam: Iam) -> None:
    document = json.dumps(json.loads(policy(INVOKE)), indent=2)
    (result,) = simulate(iam, PolicyInputList=[document])
    (statement,) = result["MatchedStatements"]
    assert statement["SourcePolicyId"] == "PolicyInputList.1"
    assert statement["StartPosition"] == {"Line": 3, "Column": 17}
    assert document.splitlines()[statement["EndPosition"]["Line"] - 1] == "    }"
    assert statement["EndPosition"]["Column"] == 6


def test_each_action_is_tried_on_each_resource(iam: Iam) -> None:
    document = policy(INVOKE, Resource=FUNCTION)
    resources = [FUNCTION, f"{FUNCTION}:1"]
    results = simulate(
        iam, ALICE, INVOKE, "lambda:GetFunction", PolicyInputList=[document], ResourceArns=resources
    )
    assert [(one["EvalActionName"], one["EvalResourceName"], one["EvalDecision"]) for one in results] == [
        (INVOKE, FUNCTION, "allowed"),
        (INVOKE, f"{FUNCTION}:1", "implicitDeny"),
        ("lambda:GetFunction", FUNCTION, "implicitDeny"),
        ("lambda:GetFunction", f"{FUNCTION}:1", "implicitDeny"),
    ]


def test_results_come_in_pages(iam: Iam) -> None:
    parameters: dict[str, Any] = {
        "PolicySourceArn": ALICE,
        "ActionNames": [INVOKE, "s3:GetObject", "s3:PutObject"],
    }
    first = iam.ask("simulate_principal_policy", MaxItems=2, **parameters)
    rest = iam.ask("simulate_principal_policy", MaxItems=2, Marker=first["Marker"], **parameters)
    names = [one["EvalActionName"] for one in first["EvaluationResults"] + rest["EvaluationResults"]]
    assert names == parameters["ActionNames"]
    assert rest["IsTruncated"] is False


def test_boundaries_count_and_can_be_replaced(iam: Iam) -> None:
    iam.ask("put_user_policy", UserName="alice", PolicyName="calls", PolicyDocument=policy(INVOKE))
    arn = iam.ask("create_policy", PolicyName="s3", PolicyDocument=policy("s3:*"))["Policy"]["Arn"]
    iam.ask("put_user_permissions_boundary", UserName="alice", PermissionsBoundary=arn)
    (result,) = simulate(iam)
    assert result["EvalDecision"] == "implicitDeny"
    assert result["PermissionsBoundaryDecisionDetail"] == {"AllowedByPermissionsBoundary": False}
    (result,) = simulate(iam, PermissionsBoundaryPolicyInputList=[policy("lambda:*")])
    assert result["EvalDecision"] == "allowed"
    assert result["PermissionsBoundaryDecisionDetail"] == {"AllowedByPermissionsBoundary": True}


def test_policies_can_be_left_out(iam: Iam) -> None:
    admin = "arn:aws:iam::aws:policy/AdministratorAccess"
    iam.ask("put_user_policy", UserName="alice", PolicyName="calls", PolicyDocument=policy(INVOKE))
    iam.ask("attach_user_policy", UserName="alice", PolicyArn=admin)
    inline = {"PolicyName": "calls", "AttachmentType": "User", "AttachmentName": "alice"}
    without_inline = simulate(
        iam, PolicyExclusionList=[{"PolicyType": "InlinePolicy", "InlinePolicyIdentifier": inline}]
    )
    assert told(without_inline[0]) == ("allowed", [("AdministratorAccess", "aws-managed")])
    without_managed = simulate(iam, PolicyExclusionList=[{"PolicyType": "ManagedPolicy", "PolicyArn": admin}])
    assert told(without_managed[0]) == ("allowed", [("user_alice_calls", "user")])


def test_the_principals_own_keys_are_known_and_others_can_be_given(iam: Iam) -> None:
    conditional = policy(
        INVOKE,
        Condition={
            "StringEquals": {"aws:username": "alice", "aws:PrincipalTag/team": "blue"},
            "IpAddress": {"aws:SourceIp": "10.0.0.0/8"},
        },
    )
    (result,) = simulate(iam, PolicyInputList=[conditional])
    assert (result["EvalDecision"], result["MissingContextValues"]) == ("implicitDeny", ["aws:SourceIp"])
    entry = {"ContextKeyName": "aws:SourceIp", "ContextKeyValues": ["10.1.1.1"], "ContextKeyType": "ip"}
    (result,) = simulate(iam, PolicyInputList=[conditional], ContextEntries=[entry])
    assert (result["EvalDecision"], result["MissingContextValues"]) == ("allowed", [])
    keys = iam.ask("get_context_keys_for_custom_policy", PolicyInputList=[conditional])
    assert keys["ContextKeyNames"] == ["aws:PrincipalTag/team", "aws:SourceIp", "aws:username"]
    iam.ask(
        "put_user_policy",
        UserName="alice",
        PolicyName="home",
        PolicyDocument=policy("s3:*", Resource="arn:aws:s3:::b/${aws:userid}/*"),
    )
    keys = iam.ask("get_context_keys_for_principal_policy", PolicySourceArn=ALICE)
    assert keys["ContextKeyNames"] == ["aws:userid"]


def test_a_resource_policy_is_weighed_too(iam: Iam) -> None:
    grant = policy(INVOKE, Principal={"AWS": ROLE}, Resource=FUNCTION)
    (result,) = simulate(iam, ROLE, ResourceArns=[FUNCTION], ResourcePolicy=grant)
    assert told(result) == ("allowed", [("ResourcePolicy", "resource")])
    foreign = FUNCTION.replace(ACCOUNT, OTHER)
    grant = policy(INVOKE, Principal={"AWS": ROLE}, Resource=foreign)
    (result,) = simulate(iam, ROLE, ResourceArns=[foreign], ResourcePolicy=grant)
    assert result["EvalDecision"] == "implicitDeny"
    (result,) = simulate(
        iam, ROLE, ResourceArns=[foreign], ResourcePolicy=grant, PolicyInputList=[policy(INVOKE)]
    )
    assert result["EvalDecision"] == "allowed"
    assert simulate(iam, ROLE, ResourceArns=[foreign], PolicyInputList=[policy(INVOKE)])[0][
        "EvalDecision"
    ] == ("allowed")


def test_policies_that_exist_nowhere_can_be_tried(iam: Iam) -> None:
    answer = iam.ask(
        "simulate_custom_policy",
        PolicyInputList=[policy("lambda:*"), policy(INVOKE, effect="Deny")],
        ActionNames=[INVOKE, "lambda:GetFunction"],
    )
    assert [told(one) for one in answer["EvaluationResults"]] == [
        ("explicitDeny", [("PolicyInputList.2", "none")]),
        ("allowed", [("PolicyInputList.1", "none")]),
    ]
    answer = iam.ask(
        "simulate_custom_policy",
        PolicyInputList=[policy("s3:*")],
        ActionNames=[INVOKE],
        ResourceArns=[FUNCTION],
        CallerArn=ALICE,
        ResourcePolicy=policy(INVOKE, Principal={"AWS": ALICE}, Resource=FUNCTION),
    )
    assert answer["EvaluationResults"][0]["EvalDecision"] == "allowed"


@pytest.mark.parametrize(
    "parameters",
    [
        {"ActionNames": ["everything"]},
        {"PolicyInputList": ["{"]},
        {"PolicyInputList": ['{"Statement": []}']},
        {"PermissionsBoundaryPolicyInputList": ["[]"]},
        {"ResourcePolicy": "{}"},
        {"ResourcePolicy": policy(INVOKE, Principal={"AWS": 1})},
        {"PolicySourceArn": f"arn:aws:iam::{ACCOUNT}:policy/x"},
    ],
)
def test_nonsense_is_refused(iam: Iam, parameters: dict[str, Any]) -> None:
    asked: dict[str, Any] = {"PolicySourceArn": ALICE, "ActionNames": [INVOKE]} | parameters
    with pytest.raises(InvalidInputException):
        iam.ask("simulate_principal_policy", **asked)


def test_only_identities_of_the_account_can_be_simulated(iam: Iam) -> None:
    for source in (f"{ALICE}x", f"arn:aws:iam::{ACCOUNT}:role/worker"):
        with pytest.raises(NoSuchEntityException):
            simulate(iam, source)
    with pytest.raises(NoSuchEntityException, match="The user with name alice cannot be found"):
        iam.ask("simulate_principal_policy", account=OTHER, PolicySourceArn=ALICE, ActionNames=[INVOKE])
