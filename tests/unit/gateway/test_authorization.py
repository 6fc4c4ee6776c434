"""Calls that may pass and calls that may not, by the policies of caller and resource."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import pytest

from lambent.domain.call import Call, Principal, root_principal
from lambent.domain.identity import Group, Policy, PolicyVersion, Role, User
from lambent.domain.resource_policy import GuardedResource
from lambent.domain.session import Session
from lambent.errors import AccessDenied, AccessDeniedException, AuthorizationErrorException
from lambent.gateway.authorization import Asked, Authorization
from lambent.store.identities import Draft, Identities
from lambent.testing import MemoryStore

ACCOUNT, OTHER, REGION = "111111111111", "222222222222", "us-east-1"
ALICE = User(account=ACCOUNT, name="alice", path="/team/", id="AIDAALICE", created_s=0, groups=("callers",))
WORKER = Role(
    account=ACCOUNT,
    name="worker",
    path="/team/",
    id="AROAWORKER",
    created_s=0,
    trust_policy="{}",
    tags={"a": "b"},
)
FUNCTION = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:f"
FOREIGN = FUNCTION.replace(ACCOUNT, OTHER)


def policy(*actions: str, effect: str = "Allow", **members: Any) -> str:
    statement = {"Effect": effect, "Action": list(actions), "Resource": "*"} | members
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


_stores: list[MemoryStore] = []


@pytest.fixture(autouse=True)
def closed_stores() -> Iterator[None]:
    """Close the stores that the test has made."""
    yield
    while _stores:
        _stores.pop().close()


class Gate:
    """Authorization over a store in memory."""

    def __init__(self, *entities: Any, is_enforced: bool = True) -> None:
        store = MemoryStore()
        _stores.append(store)
        self.identities = Identities(store)
        self.resources: dict[str, GuardedResource] = {}
        self.authorization = Authorization(
            identities=self.identities,
            find_resource={"lambda": self._find, "sns": self._find},
            is_enforced=is_enforced,
        )
        for entity in entities:
            asyncio.run(self._keep(entity))

    async def _keep(self, entity: Any) -> None:
        async def decide(draft: Draft) -> None:
            kind: Any = type(entity)
            await draft.get(kind, entity.key)
            draft.put(entity)

        await self.identities.change(decide)

    async def _find(self, arn: str) -> GuardedResource | None:
        return self.resources.get(arn)

    def admit(
        self,
        service: str = "lambda",
        operation: str = "Invoke",
        *,
        principal: Principal | None = None,
        session: Session | None = None,
        headers: Mapping[str, str] | None = None,
        **parameters: Any,
    ) -> str | None:
        who = principal or Principal(arn=session.arn if session else ALICE.arn, user_id="AIDAALICE")
        call = Call(
            account=who.arn.split(":")[4],
            region=REGION,
            request_id="r",
            access_key_id="",
            principal=who,
            endpoint_url="http://127.0.0.1:4566",
            at_s=1_767_323_045,
            headers=headers or {},
        )
        asked = Asked(
            service=service,
            operation=operation,
            call=call,
            parameters=parameters,
            session=session,
            source_ip="10.1.2.3",
        )
        return asyncio.run(self.authorization.admit(asked))

    def refusal(self, *names: str, **parameters: Any) -> str:
        words = {"iam": AccessDenied, "sts": AccessDenied, "sns": AuthorizationErrorException}
        kind = words.get(names[0] if names else "lambda", AccessDeniedException)
        with pytest.raises(kind) as caught:
            self.admit(*names, **parameters)
        return caught.value.message


def with_inline(entity: Any, **policies: str) -> Any:
    return replace(entity, inline_policies=policies)


def worker_session(**members: Any) -> Session:
    values: dict[str, Any] = {
        "account": ACCOUNT,
        "role_arn": WORKER.arn,
        "role_id": WORKER.id,
        "name": "s",
        "expires_s": 0,
    }
    return Session(**values | members)


def test_a_user_may_do_what_a_policy_allows_and_is_told_why_not() -> None:
    gate = Gate(with_inline(ALICE, calls=policy("lambda:InvokeFunction", Resource=FUNCTION)))
    assert gate.admit(FunctionName="f") is None
    assert gate.refusal(FunctionName="f:live") == (
        f"User: {ALICE.arn} is not authorized to perform: lambda:InvokeFunction on resource: {FUNCTION}:live "
        "because no identity-based policy allows the lambda:InvokeFunction action"
    )
    assert gate.refusal("lambda", "ListFunctions").endswith(
        "on resource: * because no identity-based policy allows the lambda:ListFunctions action"
    )


def test_policies_of_groups_count_and_denials_win() -> None:
    group = Group(account=ACCOUNT, name="callers", id="AGPA", created_s=0, users=("alice",))
    gate = Gate(ALICE, with_inline(group, all=policy("lambda:*")))
    assert gate.admit(FunctionName="f") is None
    gate = Gate(with_inline(ALICE, no=policy("*", effect="Deny")), with_inline(group, all=policy("lambda:*")))
    assert gate.refusal(FunctionName="f").endswith("with an explicit deny in an identity-based policy")


def test_root_may_everything_and_an_unknown_caller_nothing() -> None:
    gate = Gate()
    assert gate.admit(principal=root_principal(ACCOUNT), FunctionName="f") is None
    gate.refusal(FunctionName="f")
    gate.refusal(session=worker_session(), FunctionName="f")


def test_a_boundary_limits_and_one_that_is_gone_permits_nothing() -> None:
    version = PolicyVersion(id="v1", document=policy("s3:*"), created_s=0)
    boundary = Policy(
        account=ACCOUNT,
        name="s3",
        id="ANPA",
        created_s=0,
        updated_s=0,
        versions=(version,),
        default_version_id="v1",
    )
    limited = replace(with_inline(ALICE, all=policy("*")), permissions_boundary=boundary.arn)
    ending = "because no permissions boundary allows the lambda:InvokeFunction action"
    assert Gate(limited, boundary).refusal(FunctionName="f").endswith(ending)
    assert Gate(limited).refusal(FunctionName="f").endswith(ending)


def test_a_session_has_its_roles_policies_as_far_as_session_policies_let_it() -> None:
    gate = Gate(with_inline(WORKER, all=policy("lambda:*")))
    assert gate.admit(session=worker_session(), FunctionName="f") is None
    assert gate.admit(session=worker_session(policy=policy("lambda:Invoke*")), FunctionName="f") is None
    read_only = "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"
    for session in (worker_session(policy=policy("s3:*")), worker_session(policy_arns=(read_only,))):
        assert gate.refusal(session=session, FunctionName="f").endswith(
            "because no session policy allows the lambda:InvokeFunction action"
        )


def test_credentials_lent_to_a_user_have_the_users_policies() -> None:
    gate = Gate(with_inline(ALICE, all=policy("lambda:*")))
    lent = worker_session(role_arn="", role_id="", lent_arn=ALICE.arn, lent_id=ALICE.id)
    assert gate.admit(session=lent, FunctionName="f") is None


@pytest.mark.parametrize(
    ("condition", "is_met"),
    [
        ({"StringEquals": {"aws:PrincipalArn": WORKER.arn, "aws:PrincipalTag/a": "b"}}, True),
        ({"StringEquals": {"aws:PrincipalTag/a": "of the role"}}, False),
        ({"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}, True),
        ({"Bool": {"aws:SecureTransport": "true"}}, False),
        ({"DateLessThan": {"aws:CurrentTime": "2026-02-01T00:00:00Z"}}, True),
        ({"StringEquals": {"aws:RequestedRegion": REGION, "aws:PrincipalType": "AssumedRole"}}, True),
        ({"StringLike": {"aws:UserAgent": "Boto*"}}, True),
        ({"StringEquals": {"aws:ResourceTag/stage": "prod"}}, True),
        ({"Null": {"aws:username": "true"}}, True),
    ],
)
def test_conditions_ask_about_caller_request_and_resource(condition: dict[str, Any], is_met: bool) -> None:
    gate = Gate(with_inline(WORKER, all=policy("lambda:*", Condition=condition)))
    gate.resources[FUNCTION] = GuardedResource(tags={"Stage": "prod"})
    asked: dict[str, Any] = {"session": worker_session(), "headers": {"user-agent": "Boto3/1"}}
    if is_met:
        assert gate.admit(FunctionName="f", **asked) is None
    else:
        gate.refusal(FunctionName="f", **asked)


def test_the_policy_of_a_function_is_enough_in_its_own_account() -> None:
    gate = Gate(ALICE)
    gate.resources[FUNCTION] = GuardedResource(policy=policy("lambda:*", Principal={"AWS": ALICE.arn}))
    assert gate.admit(FunctionName="f") is None
    gate.refusal(FunctionName="f:1")


def test_between_accounts_both_policies_must_allow_and_the_account_is_told() -> None:
    opened = GuardedResource(policy=policy("lambda:InvokeFunction", Principal={"AWS": ACCOUNT}))
    gate = Gate(with_inline(ALICE, all=policy("lambda:*")))
    assert gate.refusal(FunctionName=FOREIGN).endswith(
        "because no resource-based policy allows the lambda:InvokeFunction action"
    )
    gate.resources[FOREIGN] = opened
    assert gate.admit(FunctionName=FOREIGN) == OTHER
    gate = Gate(ALICE)
    gate.resources[FOREIGN] = opened
    assert "no identity-based policy" in gate.refusal(FunctionName=FOREIGN)


def test_open_authentication_judges_other_accounts_only() -> None:
    gate = Gate(is_enforced=False)
    assert gate.admit(FunctionName="f") is None
    assert (
        gate.admit("lambda", "CreateFunction", FunctionName="f", Role=f"arn:aws:iam::{OTHER}:role/r") is None
    )
    assert gate.admit("iam", "GetUser", UserName="x") is None
    assert "no resource-based policy" in gate.refusal(FunctionName=FOREIGN)
    layer = f"arn:aws:lambda:{REGION}:{OTHER}:layer:l:1"
    gate.refusal("lambda", "GetLayerVersionByArn", Arn=layer)
    gate.resources[layer] = GuardedResource(policy=policy("lambda:GetLayerVersion", Principal="*"))
    assert gate.admit("lambda", "GetLayerVersionByArn", Arn=layer) == OTHER


@pytest.mark.parametrize("is_enforced", [False, True])
def test_the_policy_of_a_topic_opens_it_to_another_account(is_enforced: bool) -> None:
    topic = f"arn:aws:sns:{REGION}:{OTHER}:t"
    gate = Gate(with_inline(ALICE, all=policy("sns:*")), is_enforced=is_enforced)
    assert gate.refusal("sns", "Publish", TopicArn=topic, Message="x") == (
        f"User: {ALICE.arn} is not authorized to perform: SNS:Publish on resource: {topic} because no "
        "resource-based policy allows the SNS:Publish action"
    )
    gate.resources[topic] = GuardedResource(policy=policy("SNS:Publish", Principal={"AWS": ACCOUNT}))
    assert gate.admit("sns", "PublishBatch", TopicArn=topic) == OTHER
    assert "because no resource-based policy" in gate.refusal("sns", "Subscribe", TopicArn=topic)
    assert gate.admit("sns", "ListTopics") is None


def test_whoever_has_the_token_or_the_link_needs_no_permission() -> None:
    gate = Gate()
    nobody = Principal(arn="Anonymous:::::", user_id="Anonymous")
    assert gate.admit("sns", "ConfirmSubscription", principal=nobody, TopicArn="t", Token="x") is None
    assert gate.admit("sns", "Unsubscribe", principal=nobody, SubscriptionArn="t") is None


def test_passing_a_role_is_a_permission_of_its_own() -> None:
    creation: dict[str, Any] = {"FunctionName": "f", "Role": WORKER.arn}
    gate = Gate(WORKER, with_inline(ALICE, all=policy("lambda:*")))
    assert gate.refusal("lambda", "CreateFunction", **creation) == (
        f"User: {ALICE.arn} is not authorized to perform: iam:PassRole on resource: {WORKER.arn} because no "
        "identity-based policy allows the iam:PassRole action"
    )
    to_lambda = {"StringEquals": {"iam:PassedToService": "lambda.amazonaws.com"}}
    passing = policy("iam:PassRole", Resource=WORKER.arn, Condition=to_lambda)
    gate = Gate(WORKER, with_inline(ALICE, all=policy("lambda:*"), passing=passing))
    assert gate.admit("lambda", "CreateFunction", **creation) is None


def test_entities_of_iam_are_meant_with_their_path() -> None:
    gate = Gate(WORKER, with_inline(ALICE, roles=policy("iam:*", Resource=WORKER.arn)))
    assert gate.admit("iam", "GetRole", RoleName="worker") is None
    text = gate.refusal("iam", "GetRole", RoleName="other")
    assert f"iam:GetRole on resource: arn:aws:iam::{ACCOUNT}:role/other because" in text


def test_a_role_is_assumed_when_both_sides_or_its_trust_in_the_user_itself_say_so() -> None:
    def trusting(principal: str) -> Role:
        document = {"Effect": "Allow", "Principal": {"AWS": principal}, "Action": "sts:AssumeRole"}
        return replace(WORKER, trust_policy=json.dumps({"Version": "2012-10-17", "Statement": document}))

    asked: dict[str, Any] = {"RoleArn": WORKER.arn, "RoleSessionName": "s"}
    may = policy("sts:AssumeRole", Resource=WORKER.arn)
    assert Gate(ALICE, trusting(ALICE.arn)).admit("sts", "AssumeRole", **asked) is None
    assert "no identity-based policy" in Gate(ALICE, trusting(ACCOUNT)).refusal("sts", "AssumeRole", **asked)
    gate = Gate(with_inline(ALICE, may=may), trusting(ACCOUNT))
    assert gate.admit("sts", "AssumeRole", **asked) is None
    assert gate.admit("sts", "GetCallerIdentity") is None
