"""What AWS says of parameters that break the model's constraints, in its own words.

Most expectations are answers that AWS Lambda gave; where its model has moved on since, the pattern is today's.
"""

from __future__ import annotations

import re
from typing import Any

import pytest

from lambent.errors import InvalidParameterException, ValidationException
from lambent.wire.constraints import enum_order
from lambent.wire.patterns import translate
from lambent.wire.validate import validate
from wire import oracle

ROLE = "arn:aws:iam::111111111111:role/r"
FUNCTION_PATTERN = (
    r"(arn:(aws[a-zA-Z-]*)?:lambda:)?((eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1}:)?(\d{12}:)?"
    r"(function:)?([a-zA-Z0-9-_]+)(:(\$LATEST|[a-zA-Z0-9-_]+))?"
)
LAYER_PATTERN = (
    r"(arn:(aws[a-zA-Z-]*)?:lambda:(eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1}:\d{12}:layer:"
    r"[a-zA-Z0-9-_]+:[0-9]+)|(arn:[a-zA-Z0-9-]+:lambda:::awslayer:[a-zA-Z0-9-_]+)"
)
DESTINATION_PATTERN = (
    r"$|kafka://([^.]([a-zA-Z0-9\-_.]{0,248}))|arn:(aws[a-zA-Z0-9-]*):([a-zA-Z0-9\-])+:"
    r"((eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1})?:(\d{12})?:(.*)"
)
LAYER = "arn:aws:lambda:us-east-1:111111111111:layer:l"
LONG_ARN = "arn:aws:lambda:us-east-1:111111111111:function:" + "a" * 100


def _create(**more: Any) -> dict[str, Any]:
    return {"FunctionName": "f", "Role": ROLE, "Code": {"ZipFile": b"zip"}, **more}


def _constraint(value: str, path: str, text: str) -> str:
    return f"Value '{value}' at '{path}' failed to satisfy constraint: {text}"


def _one(value: str, path: str, text: str) -> str:
    return f"1 validation error detected: {_constraint(value, path, text)}"


def _elements(*texts: str) -> str:
    return f"Member must satisfy constraint: [{', '.join(texts)}]"


def _pattern(pattern: str) -> str:
    return f"Member must satisfy regular expression pattern: {pattern}"


CASES: list[tuple[str, str, dict[str, Any], str]] = [
    (
        "a function name that is neither name nor ARN",
        "CreateFunction",
        _create(FunctionName="invalid:function:name"),
        _one("invalid:function:name", "functionName", _pattern(FUNCTION_PATTERN)),
    ),
    (
        "a function name that is too long",
        "CreateFunction",
        _create(FunctionName=LONG_ARN),
        _one(LONG_ARN, "functionName", "Member must have length less than or equal to 140"),
    ),
    (
        "a destination that is no ARN",
        "PutFunctionEventInvokeConfig",
        {"FunctionName": "f", "DestinationConfig": {"OnFailure": {"Destination": "arn:aws:_-/!lambda:x"}}},
        _one(
            "arn:aws:_-/!lambda:x", "destinationConfig.onFailure.destination", _pattern(DESTINATION_PATTERN)
        ),
    ),
    (
        "a security group, in a list whose elements may be null",
        "CreateFunction",
        _create(VpcConfig={"SubnetIds": ["subnet-1"], "SecurityGroupIds": ["bad_value"]}),
        _one(
            "[bad_value]",
            "vpcConfig.securityGroupIds",
            _elements(
                "Member must have length less than or equal to 1024",
                "Member must have length greater than or equal to 0",
                _pattern("sg-[0-9a-zA-Z]*"),
            ),
        ),
    ),
    (
        "a layer without its version",
        "CreateFunction",
        _create(Layers=[LAYER]),
        _one(
            f"[{LAYER}]",
            "layers",
            _elements(
                "Member must have length less than or equal to 2048",
                "Member must have length greater than or equal to 1",
                _pattern(LAYER_PATTERN),
                "Member must not be null",
            ),
        ),
    ),
    (
        "an architecture in a query string",
        "ListLayers",
        {"CompatibleArchitecture": "archdoesnotexist"},
        _one(
            "archdoesnotexist",
            "compatibleArchitecture",
            "Member must satisfy enum value set: [x86_64, arm64]",
        ),
    ),
    (
        "an architecture among others",
        "PublishLayerVersion",
        {"LayerName": "l", "Content": {}, "CompatibleArchitectures": ["invalidarch", "x86_64"]},
        _one(
            "[invalidarch, x86_64]",
            "compatibleArchitectures",
            _elements("Member must satisfy enum value set: [x86_64, arm64]", "Member must not be null"),
        ),
    ),
    (
        "an action that layers do not know",
        "AddLayerVersionPermission",
        {"LayerName": "l", "VersionNumber": 1, "StatementId": "s", "Action": "*", "Principal": "*"},
        _one("*", "action", _pattern("lambda:GetLayerVersion")),
    ),
    (
        "an enum told in the order of AWS's hash set",
        "PutFunctionRecursionConfig",
        {"FunctionName": "f", "RecursiveLoop": "InvalidValue"},
        _one("InvalidValue", "recursiveLoop", "Member must satisfy enum value set: [Terminate, Allow]"),
    ),
    (
        "a required list that is absent",
        "UntagResource",
        {"Resource": "arn:aws:lambda:us-east-1:111111111111:function:f"},
        "1 validation error detected: Value null at 'tagKeys' failed to satisfy constraint: "
        "Member must not be null",
    ),
    (
        "a memory size that is too small",
        "CreateFunction",
        _create(MemorySize=64),
        _one("64", "memorySize", "Member must have value greater than or equal to 128"),
    ),
    (
        "a variable's name, of a map too sensitive to be told",
        "CreateFunction",
        _create(Environment={"Variables": {"1x": "secret"}}),
        "1 validation error detected: Value at 'environment.variables' failed to satisfy constraint: "
        f"Map keys must satisfy constraint: [{_pattern('[a-zA-Z]([a-zA-Z0-9_])+')}]",
    ),
    (
        "a weight that is no share",
        "CreateAlias",
        {
            "FunctionName": "f",
            "Name": "live",
            "FunctionVersion": "1",
            "RoutingConfig": {"AdditionalVersionWeights": {"2": 1.5}},
        },
        _one(
            "{2=1.5}",
            "routingConfig.additionalVersionWeights",
            "Map value must satisfy constraint: [Member must have value less than or equal to 1.0, "
            "Member must have value greater than or equal to 0.0, Member must not be null]",
        ),
    ),
]


@pytest.mark.parametrize(
    ("operation", "parameters", "message"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)
def test_a_broken_constraint_is_told_as_aws_tells_it(
    operation: str, parameters: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValidationException) as refusal:
        validate(oracle.api("lambda").operations[operation], parameters)
    assert refusal.value.message == message


def test_everything_that_is_wrong_is_told_at_once() -> None:
    with pytest.raises(ValidationException) as refusal:
        validate(
            oracle.api("lambda").operations["CreateFunction"],
            {"FunctionName": "", "Role": "nobody", "Timeout": 0},
        )
    role = oracle.input_shape("lambda", "CreateFunction").members["Role"].metadata["pattern"]
    assert refusal.value.message == "5 validation errors detected: " + "; ".join(
        [
            _constraint("", "functionName", "Member must have length greater than or equal to 1"),
            _constraint("", "functionName", _pattern(FUNCTION_PATTERN)),
            _constraint("nobody", "role", _pattern(role)),
            "Value null at 'code' failed to satisfy constraint: Member must not be null",
            _constraint("0", "timeout", "Member must have value greater than or equal to 1"),
        ]
    )


def test_what_keeps_the_constraints_passes() -> None:
    lambda_ = oracle.api("lambda").operations
    variables = {"Variables": {"STAGE": "test"}}
    validate(
        lambda_["CreateFunction"], _create(Environment=variables, Layers=[LAYER + ":1"], Tags={"ü": "ö"})
    )
    validate(lambda_["Invoke"], {"FunctionName": LONG_ARN[:-10] + ":live", "Payload": b"{}"})
    validate(lambda_["GetAccountSettings"], {})
    empty = {"OnFailure": {"Destination": ""}}
    validate(lambda_["PutFunctionEventInvokeConfig"], {"FunctionName": "f", "DestinationConfig": empty})


def test_the_runtime_of_a_function_is_left_to_lambda_itself() -> None:
    """Lambda refuses it later, with another error, so that an ARN of a custom runtime may stand there."""
    validate(oracle.api("lambda").operations["CreateFunction"], _create(Runtime="python9"))


def test_the_runtimes_of_a_layer_are_told_as_if_the_list_were_one_value() -> None:
    parameters: dict[str, Any] = {"LayerName": "l", "Content": {}, "CompatibleRuntimes": ["invalidruntime"]}
    with pytest.raises(ValidationException) as refusal:
        validate(oracle.api("lambda").operations["PublishLayerVersion"], parameters)
    assert refusal.value.message.startswith(
        "1 validation error detected: Value '[invalidruntime]' at 'compatibleRuntimes' failed to satisfy "
        "constraint: Member must satisfy enum value set: ["
    )


def test_null_elements_are_refused_even_where_aws_does_not_say_so() -> None:
    for member in ({"Layers": [None]}, {"VpcConfig": {"SubnetIds": [None]}}, {"Tags": {"k": None}}):
        with pytest.raises(ValidationException):
            validate(oracle.api("lambda").operations["CreateFunction"], _create(**member))


def test_cloudwatch_logs_has_another_word_for_it() -> None:
    with pytest.raises(InvalidParameterException) as refusal:
        validate(oracle.api("logs").operations["CreateLogGroup"], {"logGroupName": "C:/Program Files/aws"})
    text = _pattern(r"[\.\-_/#A-Za-z0-9]+")
    assert refusal.value.message == _one("C:/Program Files/aws", "logGroupName", text)


def test_elements_of_lists_of_structures_are_numbered_from_one() -> None:
    tags = [{"Key": "k", "Value": "v"}, {"Key": "", "Value": "v"}]
    with pytest.raises(ValidationException) as refusal:
        validate(oracle.api("iam").operations["TagRole"], {"RoleName": "r", "Tags": tags})
    text = "Member must have length greater than or equal to 1"
    assert _constraint("", "tags.2.member.key", text) in refusal.value.message


TOLD_BY_LAMBDA = (
    "dotnetcore1.0 python3.7 nodejs8.10 ruby2.7 dotnetcore2.0 python3.8 java21 dotnet6 dotnetcore2.1 python3.9 "
    "java11 nodejs6.10 provided dotnetcore3.1 dotnet8 java25 java17 nodejs nodejs4.3 java8.al2 go1.x dotnet10 "
    "nodejs20.x nodejs10.x provided.al2023 nodejs22.x python3.10 java8 nodejs12.x python3.11 nodejs24.x "
    "python3.12 nodejs14.x nodejs26.x python3.13 python3.14 nodejs16.x python3.15 provided.al2 nodejs4.3-edge "
    "nodejs18.x ruby3.2 ruby3.3 ruby3.4 ruby2.5 python3.6 python2.7"
)


def test_lambdas_runtimes_are_told_in_the_order_in_which_aws_tells_them() -> None:
    """AWS's answer names some runtimes that its model does not, and the model has some that are newer."""
    declared: list[str] = oracle.input_shape("lambda", "ListLayers").members["CompatibleRuntime"].enum
    told = TOLD_BY_LAMBDA.split()
    assert [runtime for runtime in enum_order(declared) if runtime in told] == told


def test_every_pattern_of_the_served_services_is_understood() -> None:
    for service in oracle.SERVED:
        for shape in oracle.shapes(service).values():
            if "pattern" in shape:
                re.compile(translate(shape["pattern"]))
