"""With `--auth iam`, everybody does what policies allow and nothing else, in all services."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
from botocore.exceptions import ClientError

from harness import ACCOUNT, REGION, Server, create, invoke, zip_of
from lambent.cli.client import Connection, Target
from lambent.cli.terminal import CommandError
from streams import Streamed

TRUST_LAMBDA = {
    "Effect": "Allow",
    "Principal": {"Service": "lambda.amazonaws.com"},
    "Action": "sts:AssumeRole",
}
FUNCTION = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:f"
ALICE = f"arn:aws:iam::{ACCOUNT}:user/alice"
Clients = Callable[[str], Any]


def document(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def allow(*actions: str, resource: str = "*", **members: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": list(actions), "Resource": resource} | members


def clients_of(server: Server, key: dict[str, str]) -> Clients:
    return lambda service: server.client(
        service,
        access_key_id=key["AccessKeyId"],
        secret_access_key=key["SecretAccessKey"],
        session_token=key.get("SessionToken"),
    )


def answer_of(error: Any) -> Any:
    """The parsed response behind an error (typed as unknown, since botocore has no types)."""
    return error.response


def refused(operation: Any, **parameters: Any) -> tuple[str, str, int]:
    with pytest.raises(ClientError) as caught:
        operation(**parameters)
    response = answer_of(caught.value)
    return (
        response["Error"]["Code"],
        response["Error"]["Message"],
        response["ResponseMetadata"]["HTTPStatusCode"],
    )


@pytest.fixture
def server(new_server: Any) -> Server:
    return new_server("--auth", "iam")


@pytest.fixture
def root(server: Server) -> Clients:
    """The root's clients, with the key that the start block tells the place of."""
    path = re.search(r"access key is in (\S+)", server.start_block)
    assert path is not None
    return clients_of(server, json.loads(Path(path[1]).read_text()))


@pytest.fixture
def alice(server: Server, root: Clients) -> Clients:
    """The clients of a user without any permission; root has made a role and a function."""
    iam = root("iam")
    role = iam.create_role(RoleName="worker", AssumeRolePolicyDocument=document(TRUST_LAMBDA))["Role"]["Arn"]
    create(root("lambda"), "f", "def handler(event, context): return 'f'", Role=role)
    iam.create_user(UserName="alice")
    return clients_of(server, iam.create_access_key(UserName="alice")["AccessKey"])


def test_a_user_does_what_policies_allow_and_nothing_else(root: Clients, alice: Clients) -> None:
    def refusal(action: str, resource: str, ending: str = "") -> str:
        ending = ending or f"because no identity-based policy allows the {action} action"
        return f"User: {ALICE} is not authorized to perform: {action} on resource: {resource} {ending}"

    iam, client = root("iam"), alice("lambda")
    assert alice("sts").get_caller_identity()["Arn"] == ALICE
    for invoking in (client.invoke, client.invoke_with_response_stream):
        assert refused(invoking, FunctionName="f") == (
            "AccessDeniedException",
            refusal("lambda:InvokeFunction", FUNCTION),
            403,
        )
    assert refused(alice("iam").list_roles) == (
        "AccessDenied",
        refusal("iam:ListRoles", f"arn:aws:iam::{ACCOUNT}:role/"),
        403,
    )
    code, text, _ = refused(alice("logs").describe_log_groups)
    assert (code, text) == (
        "AccessDeniedException",
        refusal("logs:DescribeLogGroups", f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group::log-stream:"),
    )
    iam.put_user_policy(
        UserName="alice",
        PolicyName="calls",
        PolicyDocument=document(allow("lambda:Invoke*", resource=FUNCTION), allow("logs:Describe*")),
    )
    assert invoke(client, "f").payload == "f"
    # Whoever may invoke a function may not look into it for that reason.
    under_debugger = alice("lambda")
    under_debugger.meta.events.register(
        "before-call", lambda params, **_: params["headers"].update({"x-lambent-debug": "0"})
    )
    assert refused(under_debugger.invoke, FunctionName="f")[1] == refusal("lambent:DebugFunction", FUNCTION)
    assert alice("logs").describe_log_groups()["logGroups"] is not None
    assert refused(client.delete_function, FunctionName="f")[1] == refusal("lambda:DeleteFunction", FUNCTION)
    iam.put_user_policy(
        UserName="alice", PolicyName="no", PolicyDocument=document(allow("*") | {"Effect": "Deny"})
    )
    assert refused(client.invoke, FunctionName="f")[1] == refusal(
        "lambda:InvokeFunction", FUNCTION, "with an explicit deny in an identity-based policy"
    )


def test_a_function_is_made_by_those_who_may_pass_its_role(root: Clients, alice: Clients) -> None:
    iam = root("iam")
    role = f"arn:aws:iam::{ACCOUNT}:role/worker"
    creation = {
        "FunctionName": "mine",
        "Runtime": "python3.12",
        "Handler": "app.handler",
        "Role": role,
        "Code": {"ZipFile": zip_of({"app.py": "def handler(event, context): return 1"})},
    }
    iam.put_user_policy(UserName="alice", PolicyName="p", PolicyDocument=document(allow("lambda:*")))
    code, text, _ = refused(alice("lambda").create_function, **creation)
    assert code == "AccessDeniedException"
    assert f"not authorized to perform: iam:PassRole on resource: {role}" in text
    iam.put_user_policy(
        UserName="alice",
        PolicyName="p",
        PolicyDocument=document(allow("lambda:*"), allow("iam:PassRole", resource=role)),
    )
    assert alice("lambda").create_function(**creation)["State"] == "Pending"


def test_roles_are_assumed_and_limited_by_their_policies(
    server: Server, root: Clients, alice: Clients
) -> None:
    iam = root("iam")
    trust = {"Effect": "Allow", "Principal": {"AWS": ALICE}, "Action": "sts:AssumeRole"}
    role = iam.create_role(RoleName="caller", AssumeRolePolicyDocument=document(trust))["Role"]["Arn"]
    iam.put_role_policy(
        RoleName="caller", PolicyName="p", PolicyDocument=document(allow("lambda:*", resource=f"{FUNCTION}*"))
    )
    asked = {"RoleArn": role, "RoleSessionName": "session"}
    session = clients_of(server, alice("sts").assume_role(**asked)["Credentials"])
    assert invoke(session("lambda"), "f").payload == "f"
    narrow = alice("sts").assume_role(Policy=document(allow("lambda:Get*")), **asked)["Credentials"]
    limited = clients_of(server, narrow)("lambda")
    assert limited.get_function(FunctionName="f")["Configuration"]["FunctionArn"] == FUNCTION
    assert refused(limited.invoke, FunctionName="f")[1].endswith(
        "because no session policy allows the lambda:InvokeFunction action"
    )
    other = iam.create_role(RoleName="other", AssumeRolePolicyDocument=document(TRUST_LAMBDA))["Role"]["Arn"]
    assert refused(alice("sts").assume_role, RoleArn=other, RoleSessionName="session")[0] == "AccessDenied"


def test_a_policy_on_the_function_lets_a_user_in(root: Clients, alice: Clients) -> None:
    root("lambda").add_permission(
        FunctionName="f", StatementId="s", Action="lambda:InvokeFunction", Principal=ALICE
    )
    assert invoke(alice("lambda"), "f").payload == "f"
    assert Streamed(alice("lambda"), "f", {}).rest() == b'"f"'
    assert refused(alice("lambda").get_function, FunctionName="f")[0] == "AccessDeniedException"


def test_permissions_survive_a_power_cut(server: Server, root: Clients, alice: Clients) -> None:
    root("iam").put_user_policy(
        UserName="alice", PolicyName="p", PolicyDocument=document(allow("lambda:InvokeFunction"))
    )
    key = alice("lambda")._request_signer._credentials
    server.kill()
    server.start()
    again = server.client("lambda", access_key_id=key.access_key, secret_access_key=key.secret_key)
    assert invoke(again, "f").payload == "f"
    assert refused(again.list_functions)[0] == "AccessDeniedException"


def test_topics_are_for_those_who_may_and_links_for_those_who_have_them(
    server: Server, root: Clients
) -> None:
    """A queue is asked as well: its policy has to let the topic in."""
    iam, sns, sqs = root("iam"), root("sns"), root("sqs")
    iam.create_user(UserName="bob")
    bob = clients_of(server, iam.create_access_key(UserName="bob")["AccessKey"])("sns")
    topic = sns.create_topic(Name="t")["TopicArn"]
    assert refused(bob.publish, TopicArn=topic, Message="x") == (
        "AuthorizationError",
        f"User: arn:aws:iam::{ACCOUNT}:user/bob is not authorized to perform: SNS:Publish on resource: {topic} "
        "because no identity-based policy allows the SNS:Publish action",
        403,
    )
    iam.put_user_policy(
        UserName="bob", PolicyName="p", PolicyDocument=document(allow("sns:Publish", resource=topic))
    )
    url = sqs.create_queue(QueueName="q")["QueueUrl"]
    queue = f"arn:aws:sqs:{REGION}:{ACCOUNT}:q"
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queue, Attributes={"RawMessageDelivery": "true"})
    bob.publish(TopicArn=topic, Message="uninvited")
    wait_for(lambda: "does not allow sqs:SendMessage to sns.amazonaws.com" in server.error_text())
    principal = {"Principal": {"Service": "sns.amazonaws.com"}}
    policy = document(allow("sqs:SendMessage", resource=queue, **principal))
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
    bob.publish(TopicArn=topic, Message="invited")
    (message,) = sqs.receive_message(QueueUrl=url, WaitTimeSeconds=20)["Messages"]
    assert message["Body"] == "invited"
    (subscription,) = sns.list_subscriptions()["Subscriptions"]
    link = f"{server.endpoint}/?Action=Unsubscribe&SubscriptionArn={subscription['SubscriptionArn']}"
    with pytest.raises(HTTPError, match="403"):
        urlopen(link.replace("Unsubscribe", "GetSubscriptionAttributes"))
    with urlopen(link) as answer:
        assert answer.status == 200
    assert sns.list_subscriptions()["Subscriptions"] == []


def test_buses_are_for_those_who_may_and_roles_of_targets_for_those_who_pass_them(
    server: Server, root: Clients
) -> None:
    """Queues and topics are asked as well, unless a target has a role."""
    iam, events, sqs = root("iam"), root("events"), root("sqs")
    iam.create_user(UserName="carol")
    carol = clients_of(server, iam.create_access_key(UserName="carol")["AccessKey"])("events")
    place = f"arn:aws:events:{REGION}:{ACCOUNT}"
    entry = {"Source": "shop", "DetailType": "t", "Detail": "{}"}
    assert refused(carol.put_events, Entries=[entry]) == (
        "AccessDeniedException",
        f"User: arn:aws:iam::{ACCOUNT}:user/carol is not authorized to perform: events:PutEvents on resource: "
        f"{place}:event-bus/default because no identity-based policy allows the events:PutEvents action",
        400,
    )
    only_shop = {"Condition": {"StringEquals": {"events:source": "shop"}}}
    statements = (
        allow("events:PutEvents", resource=f"{place}:event-bus/default", **only_shop),
        allow("events:PutTargets", resource=f"{place}:rule/r"),
    )
    iam.put_user_policy(UserName="carol", PolicyName="p", PolicyDocument=document(*statements))
    assert (
        refused(carol.put_events, Entries=[entry, {**entry, "Source": "bank"}])[0] == "AccessDeniedException"
    )
    url = sqs.create_queue(QueueName="events")["QueueUrl"]
    queue = f"arn:aws:sqs:{REGION}:{ACCOUNT}:events"
    events.put_rule(Name="r", EventPattern='{"source": ["shop"]}')
    carol.put_targets(Rule="r", Targets=[{"Id": "1", "Arn": queue}])
    assert carol.put_events(Entries=[entry])["FailedEntryCount"] == 0
    wait_for(lambda: "does not allow sqs:SendMessage to events.amazonaws.com" in server.error_text())
    role = f"arn:aws:iam::{ACCOUNT}:role/to-the-queue"
    with_role = {"Rule": "r", "Targets": [{"Id": "1", "Arn": queue, "RoleArn": role}]}
    assert "iam:PassRole" in refused(carol.put_targets, **with_role)[1]
    events.put_targets(**with_role)
    carol.put_events(Entries=[entry])
    (message,) = sqs.receive_message(QueueUrl=url, WaitTimeSeconds=20)["Messages"]
    assert json.loads(message["Body"])["source"] == "shop"


def wait_for(holds: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline_s
        time.sleep(0.01)


def test_the_ledger_and_budgets_are_for_those_whom_a_policy_lets(
    server: Server, root: Clients, alice: Clients
) -> None:
    """They are asked by AWS's actions for the like; without a signature nobody is told anything."""
    with pytest.raises(HTTPError) as unsigned:
        urlopen(f"{server.endpoint}/_lambent/ledger")
    assert unsigned.value.code == 403

    def own(clients: Clients, method: str, path: str, content: bytes = b"") -> Any:
        credentials = clients("sts")._request_signer._credentials
        target = Target(
            endpoint=server.endpoint,
            region=REGION,
            access_key_id=credentials.access_key,
            secret_access_key=credentials.secret_key,
        )
        return Connection(target).own(method, path, content=content).json()

    assert own(root, "GET", "/_lambent/bill")["account"] == ACCOUNT
    for method, path, action in (
        ("GET", "/_lambent/bill", "ce:GetCostAndUsage"),
        ("GET", "/_lambent/budgets", "budgets:ViewBudget"),
        ("PUT", "/_lambent/budgets/b", "budgets:ModifyBudget"),
    ):
        with pytest.raises(CommandError, match=f"{ALICE} is not authorized to perform: {action}"):
            own(alice, method, path, b'{"amount": 1}')
    policy = document(allow("ce:*", "budgets:ViewBudget"))
    root("iam").put_user_policy(UserName="alice", PolicyName="p", PolicyDocument=policy)
    assert own(alice, "GET", "/_lambent/bill")["account"] == ACCOUNT
    assert own(alice, "GET", "/_lambent/budgets") == {"budgets": []}
    with pytest.raises(CommandError, match="budgets:ModifyBudget"):
        own(alice, "DELETE", "/_lambent/budgets/b")


def test_a_federated_user_may_do_what_lender_and_session_policy_both_allow(
    server: Server, root: Clients, alice: Clients
) -> None:
    mayhap = document(allow("lambda:GetFunction", "lambda:InvokeFunction", "sts:GetFederationToken"))
    root("iam").put_user_policy(UserName="alice", PolicyName="p", PolicyDocument=mayhap)
    policy = document(allow("lambda:InvokeFunction", "lambda:DeleteFunction"))

    def guest(**parameters: Any) -> Any:
        answer = alice("sts").get_federation_token(Name="guest", **parameters)
        return clients_of(server, answer["Credentials"])("lambda")

    client = guest(Policy=policy)
    assert invoke(client, "f").payload == "f"
    code, text, _ = refused(client.get_function, FunctionName="f")
    assert code == "AccessDeniedException"
    assert text.startswith(f"User: arn:aws:sts::{ACCOUNT}:federated-user/guest is not authorized")
    assert text.endswith("because no session policy allows the lambda:GetFunction action")
    assert refused(client.delete_function, FunctionName="f")[0] == "AccessDeniedException"
    # Without a session policy there is nothing that it may do.
    assert refused(guest().invoke, FunctionName="f")[0] == "AccessDeniedException"
    lent_by_root = root("sts").get_federation_token(Name="guest", Policy=policy)["Credentials"]
    client = clients_of(server, lent_by_root)("lambda")
    assert invoke(client, "f").payload == "f"
    assert refused(client.get_function, FunctionName="f")[0] == "AccessDeniedException"
