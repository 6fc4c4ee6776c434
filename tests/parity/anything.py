"""Random parameters for any operation, from its model: mostly what could be meant, sometimes what could not."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from typing import Any

from hypothesis import strategies as st

from harness import zip_of
from wire import oracle

ACCOUNT = "000000000000"
REGION = "us-east-1"
PREFIX = f"arn:aws:lambda:{REGION}:{ACCOUNT}"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/role"
POLICY = f"arn:aws:iam::{ACCOUNT}:policy/policy"
QUEUE = f"arn:aws:sqs:{REGION}:{ACCOUNT}:queue"
TOPIC = f"arn:aws:sns:{REGION}:{ACCOUNT}:topic"
EVENTS = f"arn:aws:events:{REGION}:{ACCOUNT}"
BUS = f"{EVENTS}:event-bus/bus"
STREAM = f"arn:aws:kinesis:{REGION}:{ACCOUNT}:stream/stream"
GROUP = "/aws/lambda/f"
CODE = zip_of({"app.py": "def handler(event, context): return event"})
POLICY_DOCUMENT = (
    '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "logs:*", "Resource": "*"}]}'
)
TRUST = (
    '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", '
    '"Principal": {"AWS": "*", "Service": "lambda.amazonaws.com"}}]}'
)

# What the world of the test has under these members' names, next to what it has not.
_KNOWN: dict[str, list[Any]] = {
    "AccountAlias": ["shop", "other"],
    "Action": ["lambda:InvokeFunction", "lambda:GetLayerVersion", "lambda:InvokeFunctionUrl", "sts:*"],
    "Arn": [f"{PREFIX}:layer:layer:1", ROLE],
    "AssumeRolePolicyDocument": [TRUST],
    "CapacityProviderName": ["big", f"{PREFIX}:capacity-provider:big", "other"],
    "Destination": [QUEUE, f"{PREFIX}:function:g"],
    "QueueUrl": [f"http://127.0.0.1:4566/{ACCOUNT}/queue", f"http://127.0.0.1:4566/{ACCOUNT}/not"],
    "QueueName": ["queue", "other"],
    "SourceArn": [QUEUE, f"{QUEUE}-not"],
    "EventSourceArn": [QUEUE, STREAM, f"{QUEUE}.fifo"],
    "FunctionName": [
        "f",
        "g",
        "f:1",
        "f:live",
        "new",
        "gone",
        f"{PREFIX}:function:f",
        f"{ACCOUNT}:function:f",
    ],
    "FunctionVersion": ["1", "$LATEST", "2", "ALL"],
    "GroupName": ["group", "other"],
    "Handler": ["app.handler"],
    "KMSKeyArn": [f"arn:aws:kms:{REGION}:{ACCOUNT}:key/k"],
    "LayerName": ["layer", "other", f"{PREFIX}:layer:layer"],
    "Layers": [[f"{PREFIX}:layer:layer:1"], []],
    "Name": ["live", "other", "new", "rule", "bus"],
    "Detail": ['{"a": 1}', "{", "[]"],
    "Event": [
        '{"id": "1", "account": "", "source": "a", "time": "", "region": "", "resources": [], "detail-type": ""}'
    ],
    "EventBusName": ["bus", "default", "other", BUS],
    "EventPattern": ['{"source": ["a"]}', '{"a": [{"prefix": 1}]}', '{"a": {}}', "{"],
    "Ids": [["1"], ["1", "2"], []],
    "InputPath": ["$.detail", "$.a[0].*", "x"],
    "InputTemplate": ['{"a": <a>}', '"<aws.events.rule-name>"'],
    "ResourceARN": [BUS, f"{EVENTS}:rule/rule", f"{EVENTS}:rule/bus/rule", f"{EVENTS}:rule/other"],
    "Rule": ["rule", "other"],
    "ScheduleExpression": ["rate(1 minute)", "cron(0 10 * * ? *)", "rate(x)"],
    "TargetArn": [QUEUE, TOPIC],
    "Pattern": ['{"body": [1]}', "{}", '{"a": 1}'],
    "Payload": [b"{}", b"", b"{", b"\xff", b"[1, 2]"],
    "PolicyArn": [POLICY, "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"],
    "PolicyDocument": [POLICY_DOCUMENT],
    "PolicyName": ["policy", "inline"],
    "Principal": ["s3.amazonaws.com", "*", ACCOUNT],
    "Qualifier": ["1", "$LATEST", "live", "2"],
    "Resource": [f"{PREFIX}:function:f", f"{PREFIX}:capacity-provider:big", f"{PREFIX}:function:f:1"],
    "ResourceArn": [f"{PREFIX}:function:f", f"{PREFIX}:function:f:1"],
    "Role": [ROLE, f"arn:aws:iam::{ACCOUNT}:role/none"],
    "RoleArn": [ROLE],
    "RoleName": ["role", "other"],
    "Runtime": ["python3.12", "nodejs22.x", "python2.7"],
    "SecurityGroupIds": [["sg-1"], []],
    "StatementId": ["s1", "s2"],
    "SubnetIds": [["subnet-1"], []],
    "TopicArn": [TOPIC, f"{TOPIC}.fifo", f"{TOPIC}-not"],
    "Protocol": ["sqs", "lambda", "http", "email"],
    "Endpoint": [QUEUE, f"{QUEUE}.fifo", f"{PREFIX}:function:f", "http://a/b", "https://a"],
    "AttributeName": [
        "FilterPolicy",
        "FilterPolicyScope",
        "RedrivePolicy",
        "DeliveryPolicy",
        "Policy",
        "DisplayName",
        "FifoThroughputScope",
        "MaximumMessageSize",
    ],
    "AttributeValue": ["{}", POLICY_DOCUMENT, "MessageBody", "2048", "Topic", '{"a": ["b"]}', '{"http": {}}'],
    "MessageStructure": ["json"],
    "UUID": ["0b0a0908-0706-0504-0302-0100aabbccdd"],
    "UserName": ["user", "other"],
    "VersionNumber": [1, 2],
    "ZipFile": [CODE, b"", b"PK\3\4", CODE[:-5]],
    "filterPattern": ["ERROR", "{ $.a = 1 }", '[a, b="x"]'],
    "logGroupIdentifier": [GROUP, f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{GROUP}"],
    "logGroupName": [GROUP, "other"],
    "logStreamName": ["stream", "other"],
}
_TEXTS = [
    "",
    "a",
    "name-1",
    "a/b c",
    "ü🐍",
    "1",
    "-1",
    "true",
    "null",
    "{}",
    "*",
    "$LATEST",
    "x" * 65,
    "x" * 300,
    ROLE,
    "arn:aws:lambda:eu-west-1:123456789012:function:f",
    "arn:",
    "\n",
    "a:b",
    "%00",
    "=" * 20,
]
_WRONG = st.sampled_from([*_TEXTS, 0, -1, 10**12, 1.5, True, [], {}, ["x"], {"a": "b"}])
_MOMENTS = [
    datetime(2020, 1, 1, tzinfo=UTC),
    datetime(2026, 1, 2, tzinfo=UTC),
    datetime(2100, 1, 1, tzinfo=UTC),
]
_DEPTH_MAX = 5


@cache
def parameters(
    service: str, operation: str, known: tuple[tuple[str, str], ...] = ()
) -> st.SearchStrategy[Any]:
    """Return parameters for an operation.

    Args:
        service: botocore's name.
        operation: AWS's name.
        known: further values that mean something, by member name.
    """
    shape = oracle.input_shape(service, operation)
    return st.just({}) if shape is None else _structure(shape, dict(known), 0)


def _value(shape: Any, name: str, known: dict[str, str], depth: int) -> st.SearchStrategy[Any]:
    good = _good(shape, name, known, depth)
    # Nine values of ten could be meant, so that requests come through to the operation itself.
    return st.integers(0, 9).flatmap(lambda dice: _WRONG if dice == 9 else good)


def _good(shape: Any, name: str, known: dict[str, str], depth: int) -> st.SearchStrategy[Any]:
    values = [*_KNOWN.get(name, []), *([known[name]] if name in known else [])]
    if values:
        return st.sampled_from(values)
    match shape.type_name:
        case "structure":
            return _structure(shape, known, depth + 1)
        case "list":
            element = _value(shape.member, name, known, depth + 1)
            return st.lists(element, max_size=2) if depth < _DEPTH_MAX else st.just([])
        case "map":
            element = _value(shape.value, "", known, depth + 1)
            return st.dictionaries(st.sampled_from(_key_texts(shape.key)), element, max_size=2)
        case _:
            return _scalar(shape)


def _structure(shape: Any, known: dict[str, str], depth: int) -> st.SearchStrategy[Any]:
    if depth > _DEPTH_MAX:
        return st.just({})
    members = {name: _value(member, name, known, depth) for name, member in shape.members.items()}
    required = {name: members[name] for name in shape.required_members}
    optional = {name: strategy for name, strategy in members.items() if name not in required}

    @st.composite
    def build(draw: st.DrawFn) -> dict[str, Any]:
        drawn = {name: draw(strategy) for name, strategy in required.items()}
        if optional:
            for name in draw(st.lists(st.sampled_from(sorted(optional)), max_size=4, unique=True)):
                drawn[name] = draw(optional[name])
        if drawn and draw(st.integers(0, 19)) == 19:
            del drawn[draw(st.sampled_from(sorted(drawn)))]
        return drawn

    return build()


def _key_texts(shape: Any) -> list[str]:
    return list(shape.enum) or ["a", "KEY", "1", "x" * 200]


def _scalar(shape: Any) -> st.SearchStrategy[Any]:
    limits = shape.metadata
    match shape.type_name:
        case "string":
            return st.sampled_from(list(shape.enum) or _TEXTS)
        case "integer" | "long":
            low, high = int(limits.get("min", 0)), int(limits.get("max", 10_000))
            return st.integers(low, high) | st.sampled_from([low, high, low - 1, high + 1])
        case "float" | "double":
            return st.sampled_from([0.0, 0.5, 1.0, 50.0, -1.0])
        case "boolean":
            return st.booleans()
        case "timestamp":
            return st.sampled_from(_MOMENTS)
        case _:
            return st.sampled_from([b"{}", b"", CODE, b"\xff\x00"])
