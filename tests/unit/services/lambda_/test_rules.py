"""What a configuration may not be, in AWS's words."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lambent.errors import InvalidParameterValueException
from lambent.services.lambda_.rules import (
    check_configuration,
    check_creation,
    check_dead_letter_queue,
    check_environment,
    check_tags,
    refuse_other_kinds,
)
from lambent.services.lambda_.runtimes import ACCEPTED, BLOCKED, check_runtime
from unit.services.lambda_.world import creation

LAYER = "arn:aws:lambda:us-east-1:111111111111:layer:shared"
ENVIRONMENT_PREFIX = (
    "Lambda was unable to configure your environment variables because the environment variables you have "
    "provided "
)


def refusal(**parameters: Any) -> str:
    with pytest.raises(InvalidParameterValueException) as caught:
        check_configuration(parameters, region="us-east-1")
    return caught.value.message


@pytest.mark.parametrize(
    ("parameters", "maximum"),
    [
        ({"MemorySize": 10_240}, None),
        ({"MemorySize": 10_241}, 10_240),
        ({"Timeout": 900}, None),
        ({"Timeout": 901}, 900),
        ({"EphemeralStorage": {"Size": 10_240}}, None),
        ({"EphemeralStorage": {"Size": 10_241}}, 10_240),
    ],
)
def test_quantities_end_at_the_limits_of_ordinary_functions(
    parameters: dict[str, Any], maximum: int | None
) -> None:
    if maximum is None:
        check_configuration(parameters, region="us-east-1")
    else:
        assert refusal(**parameters) == (
            f"'{next(iter(parameters))}' value failed to satisfy constraint: "
            f"Member must have value less than or equal to {maximum}"
        )


@pytest.mark.parametrize(
    ("arn", "text"),
    [
        (
            "arn:aws:sqs:us-east-1:111111111111:dead.fifo",
            "FIFO SQS queue is not supported for dead letter configuration",
        ),
        (
            "arn:aws:sns:us-east-1:111111111111:dead.fifo",
            "FIFO SNS topic is not supported for dead letter configuration",
        ),
        (
            "arn:aws:s3:::dead",
            "The service specified by the TargetArn is not supported for dead letter configuration.",
        ),
        (
            "arn:aws:sqs:eu-west-1:111111111111:dead",
            "The resource specified by the TargetArn must be in the same region as the Lambda function it's "
            "associated with.",
        ),
    ],
)
def test_dead_letters_go_to_a_queue_or_topic_of_the_region_that_keeps_no_order(arn: str, text: str) -> None:
    with pytest.raises(InvalidParameterValueException) as caught:
        check_dead_letter_queue(arn, region="us-east-1")
    assert caught.value.message == f"Invalid dead letter queue ARN: {text}"
    check_dead_letter_queue("arn:aws:sqs:us-east-1:111111111111:dead", region="us-east-1")
    check_dead_letter_queue(None, region="us-east-1")


def test_an_environment_of_4096_bytes_as_json_is_the_largest() -> None:
    fits = {"LARGE_VAR": "x" * (4096 - len('{"LARGE_VAR":""}'))}
    check_environment(fits)
    for variables in ({"LARGE_VAR": fits["LARGE_VAR"] + "x"}, {"SMALL_VAR": "ok", **fits}):
        with pytest.raises(InvalidParameterValueException) as caught:
            check_environment(variables)
        measured = json.dumps(variables, separators=(",", ":"))
        assert caught.value.message == (
            f"{ENVIRONMENT_PREFIX}exceeded the 4KB limit. String measured: {measured}"
        )


def test_reserved_keys_are_named_in_the_order_given() -> None:
    variables = {"AWS_REGION": "x", "MINE": "y", "_HANDLER": "z", "TZ": "UTC", "PATH": "/bin"}
    assert refusal(Environment={"Variables": variables}) == (
        f"{ENVIRONMENT_PREFIX}contains reserved keys that are currently not supported for modification. "
        "Reserved keys used in this request: AWS_REGION, _HANDLER"
    )


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ([f"{LAYER}{n}:1" for n in range(6)], "Cannot reference more than 5 layers."),
        (
            [f"{LAYER}:1", f"{LAYER}:2", f"{LAYER}:3"],
            "Two different versions of the same layer are not allowed to be referenced in the same function. "
            f"{LAYER}:1 and {LAYER}:2 are versions of the same layer.",
        ),
        (
            [f"{LAYER}:1".replace("us-east-1", "eu-west-1")],
            "Layers are not in the same region as the function. "
            "Layers are expected to be in region us-east-1.",
        ),
    ],
)
def test_layers_that_cannot_be_used_are_refused(layers: list[str], message: str) -> None:
    assert refusal(Layers=layers) == message


def test_no_layers_are_no_fault() -> None:
    check_configuration({"Layers": []}, region="us-east-1")


@pytest.mark.parametrize("runtime", ACCEPTED)
def test_a_current_runtime_is_accepted(runtime: str) -> None:
    check_runtime(runtime)


@pytest.mark.parametrize("runtime", sorted(BLOCKED))
def test_a_blocked_runtime_is_no_longer_supported(runtime: str) -> None:
    assert refusal(Runtime=runtime) == (
        f"The runtime parameter of {runtime} is no longer supported for creating or updating AWS Lambda "
        "functions. We recommend you use a supported runtime while creating or updating functions."
    )


@pytest.mark.parametrize("runtime", ["cobol85", "PYTHON3.12", ""])
def test_an_unknown_runtime_is_answered_with_the_known_ones(runtime: str) -> None:
    message = refusal(Runtime=runtime)
    assert message.startswith(
        f"Value {runtime} at 'runtime' failed to satisfy constraint: Member must satisfy enum value set: ["
    )
    assert message.endswith("] or be a valid ARN")
    assert "python3.13" in message


@pytest.mark.parametrize("missing", ["Runtime", "Handler"])
def test_a_zip_function_needs_runtime_and_handler(missing: str) -> None:
    parameters = creation()
    del parameters[missing]
    with pytest.raises(InvalidParameterValueException) as caught:
        check_creation(parameters)
    assert caught.value.message == (
        "Runtime and Handler are mandatory parameters for functions created with deployment packages."
    )


OWN_RUNTIME = {"RuntimeConfig": {"RuntimeAlias": "mine"}}


def test_what_is_not_served_is_refused_instead_of_pretended() -> None:
    with pytest.raises(InvalidParameterValueException) as caught:
        check_creation(creation(**OWN_RUNTIME))
    assert caught.value.message == "Customer-managed runtimes are not served yet."


def test_an_ordinary_function_stays_one() -> None:
    with pytest.raises(InvalidParameterValueException) as caught:
        refuse_other_kinds(OWN_RUNTIME)
    assert caught.value.message == "Customer-managed runtimes are not served yet."


def test_fifty_tags_are_the_most() -> None:
    check_tags({f"{n}_key": "v" for n in range(50)})
    with pytest.raises(InvalidParameterValueException) as caught:
        check_tags({f"{n}_key": "v" for n in range(51)})
    assert caught.value.message == "Number of tags exceeds resource tag limit."


def test_tags_of_aws_are_its_own() -> None:
    with pytest.raises(InvalidParameterValueException, match="not allowed for external use"):
        check_tags({"aws:cloudformation:stack-name": "x"})
