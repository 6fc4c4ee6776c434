"""What a call must be allowed to do: the action and the resource that each operation means."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from lambent.domain.call import Call, Principal
from lambent.gateway.requirements import requirements
from wire import oracle

ACCOUNT, OTHER, REGION = "111111111111", "222222222222", "eu-west-1"
ALICE = f"arn:aws:iam::{ACCOUNT}:user/alice"
CALL = Call(
    account=ACCOUNT,
    region=REGION,
    request_id="request",
    access_key_id="AKIA",
    principal=Principal(arn=ALICE, user_id="AIDA"),
    endpoint_url="http://127.0.0.1:4566",
    at_s=0,
)
LAMBDA = f"arn:aws:lambda:{REGION}:{ACCOUNT}"
LOGS = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:"
IAM = f"arn:aws:iam::{ACCOUNT}:"


def needed(service: str, operation: str, **parameters: Any) -> list[tuple[str, str]]:
    return [(one.action, one.resource) for one in requirements(service, operation, CALL, parameters)]


@pytest.mark.parametrize(
    ("operation", "parameters", "action", "resource"),
    [
        ("Invoke", {"FunctionName": "f"}, "InvokeFunction", f"{LAMBDA}:function:f"),
        ("Invoke", {"FunctionName": "f:live"}, "InvokeFunction", f"{LAMBDA}:function:f:live"),
        ("Invoke", {"FunctionName": "f", "Qualifier": "1"}, "InvokeFunction", f"{LAMBDA}:function:f:1"),
        ("InvokeWithResponseStream", {"FunctionName": "f"}, "InvokeFunction", f"{LAMBDA}:function:f"),
        ("GetFunction", {"FunctionName": f"{LAMBDA}:function:f"}, "GetFunction", f"{LAMBDA}:function:f"),
        (
            "GetFunction",
            {"FunctionName": f"{OTHER}:function:f"},
            "GetFunction",
            f"arn:aws:lambda:{REGION}:{OTHER}:function:f",
        ),
        ("ListFunctions", {}, "ListFunctions", "*"),
        ("CreateEventSourceMapping", {"FunctionName": "f"}, "CreateEventSourceMapping", "*"),
        ("GetEventSourceMapping", {"UUID": "u"}, "GetEventSourceMapping", f"{LAMBDA}:event-source-mapping:u"),
        (
            "UpdateEventSourceMapping",
            {"UUID": "u", "FunctionName": "f"},
            "UpdateEventSourceMapping",
            f"{LAMBDA}:event-source-mapping:u",
        ),
        ("PublishLayerVersion", {"LayerName": "l"}, "PublishLayerVersion", f"{LAMBDA}:layer:l"),
        (
            "GetLayerVersion",
            {"LayerName": "l", "VersionNumber": 2},
            "GetLayerVersion",
            f"{LAMBDA}:layer:l:2",
        ),
        ("GetLayerVersionByArn", {"Arn": f"{LAMBDA}:layer:l:2"}, "GetLayerVersion", f"{LAMBDA}:layer:l:2"),
        (
            "GetCapacityProvider",
            {"CapacityProviderName": "c"},
            "GetCapacityProvider",
            f"{LAMBDA}:capacity-provider:c",
        ),
        (
            "TagResource",
            {"Resource": f"{LAMBDA}:function:f", "Tags": {"a": "b"}},
            "TagResource",
            f"{LAMBDA}:function:f",
        ),
        (
            "PutResourcePolicy",
            {"ResourceArn": f"{LAMBDA}:function:f"},
            "PutResourcePolicy",
            f"{LAMBDA}:function:f",
        ),
    ],
)
def test_operations_of_lambda_are_about_what_their_parameters_name(
    operation: str, parameters: dict[str, Any], action: str, resource: str
) -> None:
    assert needed("lambda", operation, **parameters) == [(f"lambda:{action}", resource)]


def test_a_function_needs_its_role_passed_and_its_layers_read() -> None:
    role, layer = f"{IAM}role/path/r", f"{LAMBDA}:layer:l:1"
    parameters = {"FunctionName": "f", "Role": role, "Layers": [layer], "Tags": {"team": "blue"}}
    assert needed("lambda", "CreateFunction", **parameters) == [
        ("lambda:CreateFunction", f"{LAMBDA}:function:f"),
        ("lambda:TagResource", f"{LAMBDA}:function:f"),
        ("iam:PassRole", role),
        ("lambda:GetLayerVersion", layer),
    ]
    assert needed("lambda", "UpdateFunctionConfiguration", FunctionName="f", Role=role) == [
        ("lambda:UpdateFunctionConfiguration", f"{LAMBDA}:function:f"),
        ("iam:PassRole", role),
    ]
    assert needed("lambda", "UpdateFunctionConfiguration", FunctionName="f") == [
        ("lambda:UpdateFunctionConfiguration", f"{LAMBDA}:function:f"),
    ]
    _, _, passed, _ = requirements("lambda", "CreateFunction", CALL, parameters)
    assert passed.context == {"iam:passedtoservice": ("lambda.amazonaws.com",)}


def test_an_invocation_under_a_debugger_needs_a_right_of_its_own() -> None:
    call = msgspec.structs.replace(CALL, headers={"x-lambent-debug": "5678"})
    found = requirements("lambda", "Invoke", call, {"FunctionName": "f"})
    function = f"{LAMBDA}:function:f"
    assert [(one.action, one.resource) for one in found] == [
        ("lambda:InvokeFunction", function),
        ("lambent:DebugFunction", function),
    ]


def test_what_the_service_refuses_anyway_is_left_to_it() -> None:
    assert needed("lambda", "GetFunction", FunctionName="a:b:c:d") == []
    assert needed("lambda", "GetFunction", FunctionName=f"arn:aws:lambda:us-east-1:{OTHER}:function:f") == []
    assert needed("lambda", "CreateFunction", FunctionName=f"{OTHER}:function:f") == []


@pytest.mark.parametrize(
    ("operation", "parameters", "resource"),
    [
        ("CreateLogGroup", {"logGroupName": "/g"}, f"{LOGS}/g:log-stream:"),
        (
            "PutLogEvents",
            {"logGroupName": "/g", "logStreamName": "s"},
            f"{LOGS}/g:log-stream:s",
        ),
        ("FilterLogEvents", {"logGroupIdentifier": f"{LOGS}/g:*"}, f"{LOGS}/g:log-stream:"),
        ("DescribeLogGroups", {"logGroupNamePrefix": "/"}, f"{LOGS}:log-stream:"),
        ("TagLogGroup", {"logGroupName": "/g"}, f"{LOGS}/g"),
        ("TagResource", {"resourceArn": f"{LOGS}/g"}, f"{LOGS}/g"),
        ("TestMetricFilter", {}, "*"),
    ],
)
def test_operations_of_logs_are_about_groups_and_streams(
    operation: str, parameters: dict[str, Any], resource: str
) -> None:
    assert needed("logs", operation, **parameters) == [(f"logs:{operation}", resource)]


@pytest.mark.parametrize(
    ("operation", "parameters", "resource"),
    [
        ("CreateRole", {"RoleName": "r", "Path": "/p/"}, f"{IAM}role/p/r"),
        ("AttachRolePolicy", {"RoleName": "r", "PolicyArn": f"{IAM}policy/p"}, f"{IAM}role/r"),
        ("GetUser", {}, ALICE),
        ("CreateAccessKey", {}, ALICE),
        ("CreateAccessKey", {"UserName": "bob"}, f"{IAM}user/bob"),
        ("AddUserToGroup", {"GroupName": "g", "UserName": "bob"}, f"{IAM}group/g"),
        (
            "RemoveRoleFromInstanceProfile",
            {"InstanceProfileName": "i", "RoleName": "r"},
            f"{IAM}instance-profile/i",
        ),
        ("CreatePolicy", {"PolicyName": "p", "Path": "/x/"}, f"{IAM}policy/x/p"),
        ("GetPolicy", {"PolicyArn": f"{IAM}policy/p"}, f"{IAM}policy/p"),
        ("ListRoles", {}, f"{IAM}role/"),
        ("SimulatePrincipalPolicy", {"PolicySourceArn": ALICE}, ALICE),
        ("GetAccountSummary", {}, "*"),
        (
            "CreateOpenIDConnectProvider",
            {"Url": "https://a.example.com/b"},
            f"{IAM}oidc-provider/a.example.com/b",
        ),
        ("CreateSAMLProvider", {"Name": "corp"}, f"{IAM}saml-provider/corp"),
        ("DeleteSAMLProvider", {"SAMLProviderArn": f"{IAM}saml-provider/corp"}, f"{IAM}saml-provider/corp"),
    ],
)
def test_operations_of_iam_are_about_entities(
    operation: str, parameters: dict[str, Any], resource: str
) -> None:
    assert needed("iam", operation, **parameters) == [(f"iam:{operation}", resource)]


def test_adding_a_role_to_an_instance_profile_passes_the_role() -> None:
    parameters = {"InstanceProfileName": "i", "RoleName": "r"}
    assert needed("iam", "AddRoleToInstanceProfile", **parameters)[1] == ("iam:PassRole", f"{IAM}role/r")


def test_operations_of_sts_are_about_the_role_or_free() -> None:
    role = f"arn:aws:iam::{OTHER}:role/r"
    for free in ("GetCallerIdentity", "GetSessionToken", "AssumeRoleWithWebIdentity"):
        assert needed("sts", free) == []
    tags = [{"Key": "k", "Value": "v"}]
    assert needed("sts", "AssumeRole", RoleArn=role, Tags=tags, SourceIdentity="me") == [
        ("sts:AssumeRole", role),
        ("sts:TagSession", role),
        ("sts:SetSourceIdentity", role),
    ]
    (own,) = requirements("sts", "AssumeRole", CALL, {"RoleArn": role, "ExternalId": "e"})
    assert (own.account, own.context) == (OTHER, {"sts:externalid": ("e",)})


def test_operations_of_sns_are_about_the_topic() -> None:
    topic = f"arn:aws:sns:{REGION}:{OTHER}:t"
    assert needed("sns", "PublishBatch", TopicArn=topic) == [("SNS:Publish", topic)]
    assert needed("sns", "Publish", TargetArn=topic) == [("SNS:Publish", topic)]
    assert needed("sns", "TagResource", ResourceArn=topic, Tags=[]) == [("SNS:TagResource", topic)]
    assert needed("sns", "ListSubscriptions") == [("SNS:ListSubscriptions", "*")]
    own = f"arn:aws:sns:{REGION}:{ACCOUNT}:new"
    assert needed("sns", "CreateTopic", Name="new", Tags=[{"Key": "k", "Value": "v"}]) == [
        ("SNS:CreateTopic", own),
        ("SNS:TagResource", own),
    ]
    (subscribing,) = requirements(
        "sns", "Subscribe", CALL, {"TopicArn": topic, "Protocol": "https", "Endpoint": "https://a"}
    )
    assert subscribing.account == OTHER
    assert subscribing.context == {"sns:protocol": ("https",), "sns:endpoint": ("https://a",)}


def test_a_signed_confirmation_needs_a_permission_and_an_unsigned_one_a_token() -> None:
    unsigned = msgspec.structs.replace(CALL, access_key_id="")
    for operation in ("ConfirmSubscription", "Unsubscribe"):
        assert requirements("sns", operation, CALL, {})
        assert requirements("sns", operation, unsigned, {}) == []
    assert requirements("sns", "Publish", unsigned, {})
    foreign = {"TopicArn": f"arn:aws:sns:{REGION}:{OTHER}:t", "Token": "x"}
    assert requirements("sns", "ConfirmSubscription", CALL, foreign)[0].account == ACCOUNT


def test_tags_of_a_request_can_be_asked_about() -> None:
    (own,) = requirements(
        "lambda",
        "TagResource",
        CALL,
        {"Resource": f"{LAMBDA}:function:f", "Tags": {"Team": "blue", "x": "y"}},
    )
    assert own.context == {
        "aws:requesttag/team": ("blue",),
        "aws:requesttag/x": ("y",),
        "aws:tagkeys": ("Team", "x"),
    }
    (own,) = requirements("iam", "TagRole", CALL, {"RoleName": "r", "Tags": [{"Key": "k", "Value": "v"}]})
    assert own.context["aws:requesttag/k"] == ("v",)


@pytest.mark.parametrize("service", oracle.SERVED)
def test_every_operation_needs_something_or_says_why_not(service: str) -> None:
    """With nothing but a name's worth of parameters, no operation slips through without a requirement."""
    free = {"GetCallerIdentity", "GetSessionToken", "AssumeRoleWithWebIdentity"}
    members = {
        "PolicyName": "p",
        "FunctionName": "f",
        "InstanceProfileName": "i",
        "RoleName": "r",
    }
    for operation in oracle.api(service).operations:
        found = requirements(service, operation, CALL, members)
        assert bool(found) is (operation not in free), operation


@pytest.mark.parametrize(
    ("operation", "parameters", "action"),
    [
        ("CreateFunction", {"FunctionName": "f", "Code": {"S3Bucket": "b", "S3Key": "k"}}, "GetObject"),
        ("UpdateFunctionCode", {"FunctionName": "f", "S3Bucket": "b", "S3Key": "k"}, "GetObject"),
        (
            "PublishLayerVersion",
            {"LayerName": "l", "Content": {"S3Bucket": "b", "S3Key": "k", "S3ObjectVersion": "1"}},
            "GetObjectVersion",
        ),
    ],
)
def test_code_in_s3_is_for_those_who_may_read_it(
    operation: str, parameters: dict[str, Any], action: str
) -> None:
    assert (f"s3:{action}", "arn:aws:s3:::b/k") in needed("lambda", operation, **parameters)


EVENTS = f"arn:aws:events:eu-west-1:{CALL.account}"
FOREIGN_BUS = f"arn:aws:events:eu-west-1:{OTHER}:event-bus/b"


@pytest.mark.parametrize(
    ("operation", "parameters", "resource"),
    [
        ("PutRule", {"Name": "r"}, f"{EVENTS}:rule/r"),
        ("DescribeRule", {"Name": "r", "EventBusName": "default"}, f"{EVENTS}:rule/r"),
        ("EnableRule", {"Name": "r", "EventBusName": "b"}, f"{EVENTS}:rule/b/r"),
        (
            "DeleteRule",
            {"Name": "r", "EventBusName": FOREIGN_BUS},
            f"arn:aws:events:eu-west-1:{OTHER}:rule/b/r",
        ),
        ("ListTargetsByRule", {"Rule": "r"}, f"{EVENTS}:rule/r"),
        ("RemoveTargets", {"Rule": "r", "Ids": ["1"], "EventBusName": "b"}, f"{EVENTS}:rule/b/r"),
        ("CreateEventBus", {"Name": "b"}, f"{EVENTS}:event-bus/b"),
        ("DescribeEventBus", {}, f"{EVENTS}:event-bus/default"),
        ("DescribeEventBus", {"Name": FOREIGN_BUS}, FOREIGN_BUS),
        ("PutPermission", {"EventBusName": "b"}, f"{EVENTS}:event-bus/b"),
        ("RemovePermission", {}, f"{EVENTS}:event-bus/default"),
        ("TagResource", {"ResourceARN": f"{EVENTS}:rule/r", "Tags": []}, f"{EVENTS}:rule/r"),
        ("ListRules", {}, "*"),
        ("ListEventBuses", {}, "*"),
        ("TestEventPattern", {}, "*"),
    ],
)
def test_operations_of_event_bridge_are_about_buses_and_rules(
    operation: str, parameters: dict[str, Any], resource: str
) -> None:
    assert needed("events", operation, **parameters) == [(f"events:{operation}", resource)]


def test_each_bus_has_to_be_open_to_what_is_put_on_it_those_of_others_first() -> None:
    entries = [
        {"Source": "s", "DetailType": "t"},
        {"Source": "s", "DetailType": "t", "EventBusName": "default"},
        {"Source": "s", "DetailType": "u", "EventBusName": FOREIGN_BUS},
        {"EventBusName": "b"},
    ]
    found = requirements("events", "PutEvents", CALL, {"Entries": entries})
    assert [(one.resource, one.account) for one in found] == [
        (FOREIGN_BUS, OTHER),
        (f"{EVENTS}:event-bus/default", CALL.account),
        (f"{EVENTS}:event-bus/b", CALL.account),
    ]
    assert found[0].context["events:source"] == ("s",)
    assert found[0].context["events:detail-type"] == ("u",)


def test_targets_need_their_roles_passed() -> None:
    role = f"{IAM}role/r"
    targets = [{"Id": "1", "Arn": "a", "RoleArn": role}, {"Id": "2", "Arn": "b", "RoleArn": role}]
    own, passed = requirements("events", "PutTargets", CALL, {"Rule": "r", "Targets": targets})
    assert own.context["events:targetarn"] == ("a", "b")
    assert (passed.action, passed.resource) == ("iam:PassRole", role)
    assert passed.context == {"iam:passedtoservice": ("events.amazonaws.com",)}
    tags = [{"Key": "k", "Value": "v"}]
    assert needed("events", "PutRule", Name="r", Tags=tags) == [
        ("events:PutRule", f"{EVENTS}:rule/r"),
        ("events:TagResource", f"{EVENTS}:rule/r"),
    ]
