"""Decisions over all kinds of policies, and what they say of themselves."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lambent.domain.policy import (
    Policies,
    Policy,
    Position,
    Request,
    Requester,
    decide,
    parse_policy,
    refusal,
)

ACCOUNT, OTHER = "111111111111", "222222222222"
ALICE = f"arn:aws:iam::{ACCOUNT}:user/alice"
FUNCTION = f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:f"
INVOKE = "lambda:InvokeFunction"
USER = Requester(account=ACCOUNT, arn=ALICE, user_id="AIDAALICE")
ROLE = f"arn:aws:iam::{ACCOUNT}:role/path/worker"
SESSION = Requester(
    account=ACCOUNT,
    arn=f"arn:aws:sts::{ACCOUNT}:assumed-role/worker/s",
    user_id="AROAWORKER:s",
    role_arn=ROLE,
)
ROOT = Requester(account=ACCOUNT, arn=f"arn:aws:iam::{ACCOUNT}:root", user_id=ACCOUNT)
SERVICE = Requester(account="", service="s3.amazonaws.com")


def policy(*statements: dict[str, Any], name: str = "p", version: str = "2012-10-17") -> Policy:
    return parse_policy(json.dumps({"Version": version, "Statement": list(statements)}), name=name)


def allow(action: str = "lambda:*", **members: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": "*"} | members


def deny(action: str = "lambda:*", **members: Any) -> dict[str, Any]:
    return allow(action, Effect="Deny", **members)


def grant(principal: Any, **members: Any) -> Policy:
    return policy(allow(Principal=principal, **members), name="resource")


def asked(
    requester: Requester = USER, *, resource: str = FUNCTION, action: str = INVOKE, **context: str
) -> Request:
    return Request(
        requester=requester,
        action=action,
        resource=resource,
        resource_account=resource.split(":")[4] if resource != "*" else requester.account,
        context={key.replace("_", ":").lower(): (value,) for key, value in context.items()},
    )


def outcome(request: Request, **policies: Any) -> str:
    return decide(request, Policies(**policies)).outcome


def test_nothing_said_is_a_no() -> None:
    decision = decide(asked(), Policies())
    assert (decision.outcome, decision.because, decision.lacking) == ("implicitDeny", (), "identity")


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        (allow(INVOKE), "allowed"),
        (allow("LAMBDA:invoke*"), "allowed"),
        (allow("*"), "allowed"),
        (allow("lambda:Get*"), "implicitDeny"),
        (allow(Resource=FUNCTION), "allowed"),
        (allow(Resource=[f"{FUNCTION}x", "arn:aws:lambda:*:*:function:*"]), "allowed"),
        (allow(Resource=f"{FUNCTION}:*"), "implicitDeny"),
        ({"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"}, "allowed"),
        ({"Effect": "Allow", "NotAction": ["iam:*", "lambda:*"], "Resource": "*"}, "implicitDeny"),
        ({"Effect": "Allow", "Action": "*", "NotResource": FUNCTION}, "implicitDeny"),
        ({"Effect": "Allow", "Action": "*", "NotResource": f"{FUNCTION}x"}, "allowed"),
        (allow(Resource="arn:aws:lambda:*:*:function:${aws:username}"), "allowed"),
        (allow(Resource="arn:aws:lambda:*:*:function:${aws:nobody}"), "implicitDeny"),
        (allow(Condition={"StringEquals": {"aws:username": "f"}}), "allowed"),
        (allow(Condition={"StringEquals": {"aws:username": "g"}}), "implicitDeny"),
        (allow(Condition={"MoonPhase": {"aws:username": "f"}}), "implicitDeny"),
    ],
)
def test_a_statement_is_about_actions_resources_and_conditions(
    statement: dict[str, Any], expected: str
) -> None:
    assert outcome(asked(aws_username="f"), identity=(policy(statement),)) == expected


def test_an_explicit_deny_anywhere_wins() -> None:
    everything = policy(allow("*"))
    groups = {"identity": everything, "boundary": everything, "session": everything}
    assert outcome(asked(), **{kind: (one,) for kind, one in groups.items()}) == "allowed"
    for kind, one in groups.items():
        denied = {**{k: (p,) for k, p in groups.items()}, kind: (one, policy(deny()))}
        assert outcome(asked(), **denied) == "explicitDeny"
    denied = {kind: (one,) for kind, one in groups.items()}
    refused = policy(deny(Principal="*"))
    assert outcome(asked(), **denied, resource=(refused,)) == "explicitDeny"


def test_a_denial_that_cannot_be_judged_denies() -> None:
    policies = (policy(allow(), deny(Condition={"MoonPhase": {"aws:x": "full"}})),)
    assert outcome(asked(), identity=policies) == "explicitDeny"


def test_boundary_and_session_policy_only_take_away() -> None:
    mine, narrow = (policy(allow("lambda:*")),), (policy(allow("s3:*")),)
    assert outcome(asked(), boundary=mine, session=mine) == "implicitDeny"
    decision = decide(asked(), Policies(identity=mine, boundary=narrow))
    assert (decision.outcome, decision.lacking, decision.is_within_boundary) == (
        "implicitDeny",
        "boundary",
        False,
    )
    decision = decide(asked(SESSION), Policies(identity=mine, session=narrow))
    assert (decision.outcome, decision.lacking) == ("implicitDeny", "session")
    assert outcome(asked(SESSION), identity=mine, session=mine, boundary=mine) == "allowed"


@pytest.mark.parametrize(
    ("requester", "principal", "expected"),
    [
        (USER, "*", "allowed"),
        (USER, {"AWS": "*"}, "allowed"),
        (USER, {"AWS": ALICE}, "allowed"),
        (USER, {"AWS": "AIDAALICE"}, "allowed"),
        (USER, {"AWS": f"arn:aws:iam::{ACCOUNT}:user/*"}, "implicitDeny"),
        # Naming the account delegates: its own policies have to allow the same.
        (USER, {"AWS": ACCOUNT}, "implicitDeny"),
        (USER, {"AWS": ROOT.arn}, "implicitDeny"),
        (USER, {"Service": "s3.amazonaws.com"}, "implicitDeny"),
        (SESSION, {"AWS": ROLE}, "allowed"),
        (SESSION, {"AWS": SESSION.arn}, "allowed"),
        (SERVICE, {"Service": "s3.amazonaws.com"}, "allowed"),
        (SERVICE, {"Service": ["sns.amazonaws.com"]}, "implicitDeny"),
        (SERVICE, "*", "allowed"),
        (SERVICE, {"AWS": "*"}, "implicitDeny"),
    ],
)
def test_within_an_account_a_resource_policy_is_enough(
    requester: Requester, principal: Any, expected: str
) -> None:
    assert outcome(asked(requester), resource=(grant(principal),)) == expected


def test_what_a_resource_gives_to_a_role_its_boundary_and_session_policy_still_limit() -> None:
    none = (policy(allow("s3:*")),)
    to_role, to_session = (grant({"AWS": ROLE}),), (grant({"AWS": SESSION.arn}),)
    assert outcome(asked(SESSION), resource=to_role, boundary=none) == "implicitDeny"
    assert outcome(asked(SESSION), resource=to_role, session=none) == "implicitDeny"
    assert outcome(asked(SESSION), resource=to_session, session=none) == "allowed"


def test_notprincipal_names_everybody_else() -> None:
    spared = policy({"Effect": "Deny", "NotPrincipal": {"AWS": ALICE}, "Action": "*", "Resource": "*"})
    mine = (policy(allow()),)
    assert outcome(asked(), identity=mine, resource=(spared,)) == "allowed"
    assert outcome(asked(SESSION), identity=mine, resource=(spared,)) == "explicitDeny"


def test_between_accounts_both_sides_must_allow() -> None:
    foreign = asked(resource=f"arn:aws:lambda:us-east-1:{OTHER}:function:f")
    mine, theirs = (policy(allow()),), (grant({"AWS": f"arn:aws:iam::{ACCOUNT}:root"}),)
    assert outcome(foreign, identity=mine) == "implicitDeny"
    assert outcome(foreign, resource=theirs) == "implicitDeny"
    assert outcome(foreign, identity=mine, resource=theirs) == "allowed"
    assert outcome(foreign, identity=mine, resource=(grant({"AWS": OTHER}),)) == "implicitDeny"
    assert decide(foreign, Policies(identity=mine)).lacking == "resource"
    assert decide(foreign, Policies(resource=theirs)).lacking == "identity"


def test_root_may_everything_in_its_account_and_nothing_unasked_in_others() -> None:
    assert outcome(asked(ROOT), identity=None) == "allowed"
    assert outcome(asked(ROOT), identity=None, resource=(policy(deny(Principal="*")),)) == "explicitDeny"
    foreign = asked(ROOT, resource=f"arn:aws:lambda:us-east-1:{OTHER}:function:f")
    assert outcome(foreign, identity=None) == "implicitDeny"
    assert outcome(foreign, identity=None, resource=(grant({"AWS": ACCOUNT}),)) == "allowed"


def test_a_decision_tells_its_statements() -> None:
    mine = policy(allow("s3:*", Sid="Files"), allow(INVOKE, Sid="Calls"), name="mine")
    other = policy(allow("lambda:*"), name="other")
    decision = decide(asked(), Policies(identity=(mine, other)))
    told = [(match.policy.name, match.statement.number, match.statement.sid) for match in decision.because]
    assert told == [("mine", 2, "Calls"), ("other", 1, "")]
    denied = decide(asked(), Policies(identity=(mine, policy(deny(Sid="No"), name="no"))))
    assert [(match.policy.name, match.statement.sid) for match in denied.because] == [("no", "No")]


def test_a_decision_tells_which_keys_it_missed() -> None:
    conditional = policy(allow(Condition={"Bool": {"aws:MultiFactorAuthPresent": "true"}}))
    assert decide(asked(), Policies(identity=(conditional,))).missing == {"aws:MultiFactorAuthPresent"}


@pytest.mark.parametrize(
    ("policies", "ending"),
    [
        (Policies(), "because no identity-based policy allows the lambda:InvokeFunction action"),
        (
            Policies(identity=(policy(deny()),)),
            "with an explicit deny in an identity-based policy",
        ),
        (
            Policies(identity=(policy(allow()),), boundary=()),
            "because no permissions boundary allows the lambda:InvokeFunction action",
        ),
        (
            Policies(identity=(policy(allow()),), session=()),
            "because no session policy allows the lambda:InvokeFunction action",
        ),
        (
            Policies(identity=(policy(allow()),), resource=(policy(deny(Principal="*")),)),
            "with an explicit deny in a resource-based policy",
        ),
    ],
)
def test_a_refusal_is_told_in_awss_words(policies: Policies, ending: str) -> None:
    request = asked()
    assert refusal(request, decide(request, policies)) == (
        f"User: {ALICE} is not authorized to perform: lambda:InvokeFunction on resource: {FUNCTION} {ending}"
    )


def test_statements_know_where_they_stand_in_the_text() -> None:
    text = """{
  "Version": "2012-10-17",
  "Statement": [
    {
      "Effect": "Allow",
      "Action": "*",
      "Resource": "*"
    },
    {"Effect": "Deny", "Action": "s3:*", "Resource": "{,]}"}
  ]
}"""
    first, second = parse_policy(text, name="p").statements
    assert (first.start, first.end) == (Position(line=3, column=17), Position(line=8, column=6))
    assert (second.start, second.end) == (Position(line=8, column=7), Position(line=9, column=61))


def test_a_single_statement_needs_no_list() -> None:
    (statement,) = parse_policy(
        '{"Statement": {"Effect": "Deny", "Sid": "x"}, "Id": "y"}', name="p"
    ).statements
    assert (statement.sid, statement.number, statement.is_denial) == ("x", 1, True)


@pytest.mark.parametrize("text", ["", "[]", "{", '"x"'])
def test_what_is_no_policy_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parse_policy(text, name="p")


def test_of_two_lists_of_statements_the_last_one_counts_as_in_json() -> None:
    text = '{"Statement": [{"Sid": "a"}, 7], "Statement": [{"Sid": "b"}]}'
    assert [statement.sid for statement in parse_policy(text, name="p").statements] == ["b"]
