"""What a function's configuration may be, beyond what the model says: pure checks, in AWS's words.

The wire has checked types, lengths and patterns before. Each check here takes what the caller gave (AWS member
names) and raises the error that AWS answers, or returns nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from lambent.arn import parse_arn
from lambent.domain.function import AttachedLayer, Code
from lambent.domain.limits import (
    ENVIRONMENT_MAX_BYTES,
    EPHEMERAL_STORAGE_MAX_MB,
    LAYERS_MAX,
    MEMORY_MAX_MB,
    TAGS_MAX,
    TIMEOUT_MAX_S,
    UNZIPPED_MAX_BYTES,
)
from lambent.errors import InvalidParameterValueException
from lambent.services.lambda_.images import IMAGE, check_new_image
from lambent.services.lambda_.runtimes import check_runtime

# AWS page "Using Lambda environment variables", section about defined runtime environment variables.
RESERVED_KEYS = frozenset(
    {
        "_HANDLER",
        "_X_AMZN_TRACE_ID",
        "AWS_DEFAULT_REGION",
        "AWS_REGION",
        "AWS_EXECUTION_ENV",
        "AWS_LAMBDA_FUNCTION_NAME",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
        "AWS_LAMBDA_FUNCTION_VERSION",
        "AWS_LAMBDA_INITIALIZATION_TYPE",
        "AWS_LAMBDA_LOG_GROUP_NAME",
        "AWS_LAMBDA_LOG_STREAM_NAME",
        "AWS_ACCESS_KEY",
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "AWS_LAMBDA_RUNTIME_API",
        "LAMBDA_TASK_ROOT",
        "LAMBDA_RUNTIME_DIR",
    }
)

_UNSERVED = {
    "RuntimeConfig": "Customer-managed runtimes are not served yet.",
}


def check_configuration(parameters: Mapping[str, Any], *, region: str) -> None:
    """Check the members that CreateFunction and UpdateFunctionConfiguration share.

    Raises:
        InvalidParameterValueException: a value is out of range, or asks for what is not served.
    """
    check_quantities(parameters)
    if "Runtime" in parameters:
        check_runtime(parameters["Runtime"])
    if "Environment" in parameters:
        check_environment(parameters["Environment"].get("Variables", {}))
    if "Layers" in parameters:
        check_layers(parameters["Layers"], region=region)


def refuse_other_kinds(parameters: Mapping[str, Any]) -> None:
    """Refuse to make another kind of function of an ordinary one.

    Raises:
        InvalidParameterValueException: it would be given a runtime of one's own.
    """
    if "RuntimeConfig" in parameters:
        raise InvalidParameterValueException(_UNSERVED["RuntimeConfig"])


def check_quantities(parameters: Mapping[str, Any]) -> None:
    """Hold memory, timeout and /tmp to the limits of ordinary functions; the model's are those of the largest."""
    given = {
        "MemorySize": (parameters.get("MemorySize"), MEMORY_MAX_MB),
        "Timeout": (parameters.get("Timeout"), TIMEOUT_MAX_S),
        "EphemeralStorage": (parameters.get("EphemeralStorage", {}).get("Size"), EPHEMERAL_STORAGE_MAX_MB),
    }
    for member, (value, maximum) in given.items():
        if value is not None and value > maximum:
            raise InvalidParameterValueException(
                f"'{member}' value failed to satisfy constraint: "
                f"Member must have value less than or equal to {maximum}"
            )


def check_environment(variables: Mapping[str, str]) -> None:
    """Check the environment variables' names and their size as JSON, which is how AWS measures it.

    Raises:
        InvalidParameterValueException: a reserved key is used, or the map is over 4 KB.
    """
    prefix = "Lambda was unable to configure your environment variables because the environment variables "
    if reserved := [key for key in variables if key in RESERVED_KEYS]:
        raise InvalidParameterValueException(
            f"{prefix}you have provided contains reserved keys that are currently not supported for "
            f"modification. Reserved keys used in this request: {', '.join(reserved)}"
        )
    measured = msgspec.json.encode(variables)
    if len(measured) > ENVIRONMENT_MAX_BYTES:
        raise InvalidParameterValueException(
            f"{prefix}you have provided exceeded the 4KB limit. String measured: {measured.decode()}"
        )


def check_layers(arns: Sequence[str], *, region: str) -> None:
    """Check the layers that a function names; whether they exist is not asked here.

    Raises:
        InvalidParameterValueException: there are more than five, two versions of one, or one of elsewhere.
    """
    if len(arns) > LAYERS_MAX:
        raise InvalidParameterValueException(f"Cannot reference more than {LAYERS_MAX} layers.")
    seen: dict[str, str] = {}
    for arn in arns:
        parsed = parse_arn(arn)
        if parsed is not None and parsed.region not in ("", region):
            raise InvalidParameterValueException(
                "Layers are not in the same region as the function. "
                f"Layers are expected to be in region {region}."
            )
        layer = arn.rpartition(":")[0]
        if layer in seen:
            raise InvalidParameterValueException(
                "Two different versions of the same layer are not allowed to be referenced in the same "
                f"function. {seen[layer]} and {arn} are versions of the same layer."
            )
        seen[layer] = arn


def check_unzipped_size(code: Code, layers: Sequence[AttachedLayer]) -> None:
    """Hold code and layers together to 250 MB (AWS page "Lambda quotas").

    Raises:
        InvalidParameterValueException: they take more.
    """
    layers_bytes = sum(layer.code.unzipped_bytes for layer in layers)
    if layers_bytes > UNZIPPED_MAX_BYTES:
        raise InvalidParameterValueException(
            f"Layers consume more than the available size of {UNZIPPED_MAX_BYTES} bytes"
        )
    total_bytes = code.unzipped_bytes + layers_bytes
    if total_bytes > UNZIPPED_MAX_BYTES:
        raise InvalidParameterValueException(
            f"Function code combined with layers exceeds the maximum allowed size of {UNZIPPED_MAX_BYTES} bytes. "
            f"The actual size is {total_bytes} bytes."
        )


def check_file_systems(configs: Sequence[Mapping[str, Any]], vpc_config: Mapping[str, Any] | None) -> None:
    """A file system is mounted through a VPC only.

    Raises:
        InvalidParameterValueException: there is a file system and no subnet.
    """
    if configs and not (vpc_config or {}).get("SubnetIds"):
        raise InvalidParameterValueException(
            f"Function must be configured to execute in a VPC to reference access point {configs[0]['Arn']}. "
            "Please update the function configuration to include VPC subnets and security groups."
        )


def check_dead_letter_queue(arn: str | None, *, region: str) -> None:
    """Events that failed go to a queue or to a topic of the function's region, without an order.

    Raises:
        InvalidParameterValueException: it is neither, elsewhere, or a FIFO one.
    """
    if not arn:
        return
    parsed = parse_arn(arn)
    if parsed is None or parsed.service not in ("sqs", "sns"):
        raise _no_dead_letters(
            "The service specified by the TargetArn is not supported for dead letter configuration."
        )
    if parsed.region != region:
        raise _no_dead_letters(
            "The resource specified by the TargetArn must be in the same region as the Lambda function it's "
            "associated with."
        )
    if parsed.resource.endswith(".fifo"):
        kind = "SQS queue" if parsed.service == "sqs" else "SNS topic"
        raise _no_dead_letters(f"FIFO {kind} is not supported for dead letter configuration")


def _no_dead_letters(reason: str) -> InvalidParameterValueException:
    return InvalidParameterValueException(f"Invalid dead letter queue ARN: {reason}")


def invalid_destinations(given: Mapping[str, Any]) -> InvalidParameterValueException:
    """Return the error for a DestinationConfig that cannot be, which prints it in the words of Java."""

    def side(member: str) -> str:
        return (
            f"{member}(destination={given[member].get('Destination', 'null')})" if member in given else "null"
        )

    printed = f"DestinationConfig(onSuccess={side('OnSuccess')}, onFailure={side('OnFailure')})"
    return InvalidParameterValueException(f"The provided destination config {printed} is invalid.")


def check_creation(parameters: Mapping[str, Any]) -> None:
    """Check what only CreateFunction takes.

    Raises:
        InvalidParameterValueException: something that this kind of package needs is missing, or is not for it.
    """
    for member, text in _UNSERVED.items():
        if member in parameters:
            raise InvalidParameterValueException(text)
    if parameters.get("PackageType") == IMAGE:
        check_new_image(parameters)
        return
    if not parameters.get("Runtime") or not parameters.get("Handler"):
        raise InvalidParameterValueException(
            "Runtime and Handler are mandatory parameters for functions created with deployment packages."
        )
    if "ImageUri" in parameters["Code"]:
        raise InvalidParameterValueException(
            "Please don't provide ImageUri when creating a function with packageType Zip."
        )
    if "ImageConfig" in parameters:
        refuse_image_config()


def refuse_image_config() -> None:
    """Refuse ImageConfig, which has no meaning for a zip package."""
    raise InvalidParameterValueException("ImageConfig is not supported for functions with packageType Zip.")


def check_tags(tags: Mapping[str, str]) -> None:
    """Check the tags that a function would have.

    Raises:
        InvalidParameterValueException: there are more than 50, or a key has AWS's own prefix.
    """
    if len(tags) > TAGS_MAX:
        raise InvalidParameterValueException("Number of tags exceeds resource tag limit.")
    if any(key.lower().startswith("aws:") for key in tags):
        raise InvalidParameterValueException("aws: prefixed tag key names are not allowed for external use.")
