"""What an event source mapping may be, by kind of source: pure checks and defaults, in AWS's words.

The wire has checked types, lengths and patterns before. Which parameters concern which sources is said in the
API page CreateEventSourceMapping, parameter by parameter. Whether the source exists is not asked: it may be
anywhere.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from lambent.arn import parse_arn
from lambent.errors import InvalidParameterValueException
from lambent.services.lambda_.filter_patterns import is_filter_pattern
from lambent.services.lambda_.rules import invalid_destinations

_ALWAYS = frozenset(
    {
        "BatchSize",
        "Enabled",
        "EventSourceArn",
        "FilterCriteria",
        "FunctionName",
        "FunctionResponseTypes",
        "KMSKeyArn",
        "MaximumBatchingWindowInSeconds",
        "MetricsConfig",
        "Tags",
        "UUID",
    }
)
_STREAM = frozenset(
    {
        "BisectBatchOnFunctionError",
        "DestinationConfig",
        "MaximumRecordAgeInSeconds",
        "MaximumRetryAttempts",
        "StartingPosition",
        "StartingPositionTimestamp",
    }
)
_SHARDS = _STREAM | {"ParallelizationFactor", "TumblingWindowInSeconds"}
_KAFKA = _STREAM | {"LoggingConfig", "ProvisionedPollerConfig", "SourceAccessConfigurations", "Topics"}
_STREAM_DEFAULTS: Mapping[str, Any] = {
    "BatchSize": 100,
    "BisectBatchOnFunctionError": False,
    "DestinationConfig": {"OnFailure": {}},
    "FunctionResponseTypes": [],
    "LastProcessingResult": "No records processed",
    "MaximumBatchingWindowInSeconds": 0,
    "MaximumRecordAgeInSeconds": -1,
    "MaximumRetryAttempts": -1,
    "ParallelizationFactor": 1,
    "TumblingWindowInSeconds": 0,
}
_POLLED_DEFAULTS: Mapping[str, Any] = {
    "BatchSize": 100,
    "LastProcessingResult": "No records processed",
}
_BY_USER = "USER_INITIATED"
"""AWS's word for all sources but shards, where it says ``User action``."""
_RECORD_AGE_MIN_S = 60
_FILTERS_MAX = 5
_SQS_POLLERS_MIN = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class _Source:
    """What is peculiar to a kind of source."""

    parameters: frozenset[str]
    """Those that it takes besides `_ALWAYS`."""
    defaults: Mapping[str, Any]
    reason: str = "User action"
    """``StateTransitionReason``."""
    positions: tuple[str, ...] = ("TRIM_HORIZON", "LATEST", "AT_TIMESTAMP")
    """The StartingPositions; none when it has no such thing."""


_SOURCES: Mapping[str, _Source] = {
    "sqs": _Source(
        parameters=frozenset({"ProvisionedPollerConfig", "ScalingConfig"}),
        defaults={"BatchSize": 10, "FunctionResponseTypes": [], "MaximumBatchingWindowInSeconds": 0},
        reason=_BY_USER,
        positions=(),
    ),
    "kinesis": _Source(parameters=_SHARDS, defaults=_STREAM_DEFAULTS),
    "dynamodb": _Source(parameters=_SHARDS, defaults=_STREAM_DEFAULTS, positions=("TRIM_HORIZON", "LATEST")),
    "kafka": _Source(
        parameters=_KAFKA
        | {
            "AmazonManagedKafkaEventSourceConfig",
            "SelfManagedEventSource",
            "SelfManagedKafkaEventSourceConfig",
        },
        defaults=_POLLED_DEFAULTS,
        reason=_BY_USER,
    ),
    "mq": _Source(
        parameters=frozenset({"Queues", "SourceAccessConfigurations"}),
        defaults=_POLLED_DEFAULTS,
        reason=_BY_USER,
        positions=(),
    ),
    "docdb": _Source(
        parameters=frozenset(
            {
                "DocumentDBEventSourceConfig",
                "SourceAccessConfigurations",
                "StartingPosition",
                "StartingPositionTimestamp",
            }
        ),
        defaults=_POLLED_DEFAULTS,
        reason=_BY_USER,
    ),
}
_SERVICES = {"rds": "docdb"}  # DocumentDB clusters have ARNs of RDS.
_STREAMS = {
    "dynamodb": re.compile(r"table/[^/]+/stream/.+"),
    "kinesis": re.compile(r"stream/[^/]+(/consumer/.+)?"),
}
"""What the ARNs of streams end with; tables have ARNs, too."""
_FAILURE_SERVICES = frozenset({"s3", "sns", "sqs"})
_TOPIC = "kafka://"


def source_of(parameters: Mapping[str, Any]) -> str:
    """Return the kind of source that CreateEventSourceMapping's parameters name.

    Raises:
        InvalidParameterValueException: it is none that a mapping can have.
    """
    if "SelfManagedEventSource" in parameters:
        if "EventSourceArn" in parameters:
            raise InvalidParameterValueException("Unrecognized event source.")
        return "kafka"
    arn = parse_arn(parameters.get("EventSourceArn", ""))
    source = _SERVICES.get(arn.service, arn.service) if arn else ""
    is_stream = arn is None or source not in _STREAMS or _STREAMS[source].fullmatch(arn.resource)
    if source not in _SOURCES or not is_stream:
        raise InvalidParameterValueException("Unrecognized event source.")
    return source


def check_new_mapping(source: str, parameters: Mapping[str, Any], *, now_s: float) -> None:
    """Check what only CreateEventSourceMapping is given: where to start, and what in the source to read.

    Raises:
        InvalidParameterValueException: something is missing or is not for this source.
    """
    check_parameters(source, parameters)
    _check_position(source, parameters, now_s=now_s)
    if source == "kafka" and "Topics" not in parameters:
        raise InvalidParameterValueException("Required 'topics' parameter is missing.")
    if source == "mq" and "Queues" not in parameters:
        raise InvalidParameterValueException("Required 'queues' parameter is missing.")
    needs_access = source in ("docdb", "mq") or "SelfManagedEventSource" in parameters
    if needs_access and "SourceAccessConfigurations" not in parameters:
        raise InvalidParameterValueException("Required 'sourceAccessConfigurations' parameter is missing.")
    if source == "docdb" and not parameters.get("DocumentDBEventSourceConfig", {}).get("DatabaseName"):
        raise InvalidParameterValueException("Required 'databaseName' parameter is missing.")


def check_parameters(source: str, parameters: Mapping[str, Any]) -> None:
    """Check that the source takes every parameter that is given.

    Raises:
        InvalidParameterValueException: one is not for this source, a filter is none, or what failed cannot go
            where it is to.
    """
    if "OnSuccess" in parameters.get("DestinationConfig", {}):
        raise unsupported("DestinationConfig")
    allowed = _ALWAYS | _SOURCES[source].parameters
    for member in parameters:
        if member.startswith("StartingPosition") and source == "sqs":
            raise InvalidParameterValueException("StartingPosition is not valid for SQS event sources.")
        if member not in allowed:
            raise unsupported(member)
    _check_destination(source, parameters.get("DestinationConfig", {}))
    filters = parameters.get("FilterCriteria", {}).get("Filters", [])
    if len(filters) > _FILTERS_MAX:
        raise InvalidParameterValueException(
            f"Maximum number of filters for an event source mapping exceeded: {_FILTERS_MAX}"
        )
    if not all(is_filter_pattern(entry.get("Pattern", "")) for entry in filters):
        raise InvalidParameterValueException("Invalid filter pattern definition.")


def check_settings(source: str, settings: Mapping[str, Any], *, event_source_arn: str | None) -> None:
    """Check the settings of a mapping as a whole, after defaults and changes.

    Raises:
        InvalidParameterValueException: settings contradict one another or the source.
    """
    if 0 <= settings.get("MaximumRecordAgeInSeconds", -1) < _RECORD_AGE_MIN_S:
        raise InvalidParameterValueException(
            f"MaximumRecordAgeInSeconds must be -1 or at least {_RECORD_AGE_MIN_S} seconds."
        )
    if settings.get("TumblingWindowInSeconds") and settings.get("ParallelizationFactor", 1) > 1:
        raise InvalidParameterValueException(
            "ParallelizationFactor must be 1 when TumblingWindowInSeconds is greater than 0."
        )
    pollers = settings.get("ProvisionedPollerConfig", {})
    if pollers and pollers.get("MinimumPollers", 1) > pollers.get("MaximumPollers", 10_000):
        raise InvalidParameterValueException("MinimumPollers must be less than or equal to MaximumPollers.")
    if source == "sqs":
        _check_queue(settings, is_fifo=(event_source_arn or "").endswith(".fifo"))


def new_settings(source: str, uuid: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the members of a new mapping that its document keeps by AWS name."""
    settings = {**_SOURCES[source].defaults, "StateTransitionReason": _SOURCES[source].reason}
    if source == "kafka":
        # The consumer group is named after the mapping unless the caller named it.
        member = (
            "SelfManagedKafkaEventSourceConfig"
            if "SelfManagedEventSource" in parameters
            else "AmazonManagedKafkaEventSourceConfig"
        )
        settings[member] = {"ConsumerGroupId": uuid}
    return changed_settings(settings, parameters)


def changed_settings(settings: Mapping[str, Any], parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings with those that are given; an empty value takes an optional one away."""
    after = dict(settings)
    for member, value in parameters.items():
        if member in _KEPT_ELSEWHERE:
            continue
        if member in _MERGED:
            after[member] = {**after.get(member, {}), **value}
        elif member in _REMOVABLE and not _content_of(value):
            after.pop(member, None)
        else:
            after[member] = value
    return after


def unsupported(member: str) -> InvalidParameterValueException:
    """Return the error for a parameter that is not for this source."""
    return InvalidParameterValueException(
        f"Unsupported {member} parameter for given event source mapping type."
    )


_KEPT_ELSEWHERE = frozenset(
    {"Enabled", "EventSourceArn", "FunctionName", "StartingPositionTimestamp", "Tags", "UUID"}
)
_MERGED = frozenset({"AmazonManagedKafkaEventSourceConfig", "SelfManagedKafkaEventSourceConfig"})
_REMOVABLE = frozenset(
    {
        "FilterCriteria",
        "KMSKeyArn",
        "LoggingConfig",
        "MetricsConfig",
        "ProvisionedPollerConfig",
        "ScalingConfig",
    }
)


def _content_of(value: Any) -> Any:
    """Return what makes a structure more than empty: of FilterCriteria, its filters."""
    if not isinstance(value, dict):
        return value
    structure = cast("Mapping[str, Any]", value)
    return structure.get("Filters", structure)


def _check_position(source: str, parameters: Mapping[str, Any], *, now_s: float) -> None:
    positions = _SOURCES[source].positions
    if not positions:
        return
    position = parameters.get("StartingPosition")
    if position is None:
        raise InvalidParameterValueException(
            "1 validation error detected: Value null at 'startingPosition' failed to satisfy constraint: "
            "Member must not be null."
        )
    if position not in positions:
        raise InvalidParameterValueException(
            f"Unsupported starting position for arn type: {parameters.get('EventSourceArn')}"
        )
    moment = parameters.get("StartingPositionTimestamp")
    if position == "AT_TIMESTAMP" and moment is None:
        raise InvalidParameterValueException("Need to specify a timestamp.")
    if position != "AT_TIMESTAMP" and moment is not None:
        raise InvalidParameterValueException(
            "StartingPositionTimestamp is only valid when StartingPosition is AT_TIMESTAMP."
        )
    if moment is not None and moment.timestamp() > now_s:
        raise InvalidParameterValueException("StartingPositionTimestamp cannot be in the future.")


def _check_destination(source: str, given: Mapping[str, Any]) -> None:
    destination = given.get("OnFailure", {}).get("Destination")
    if not destination or (source == "kafka" and destination.startswith(_TOPIC)):
        return
    arn = parse_arn(destination)
    if arn is None or arn.service not in _FAILURE_SERVICES:
        raise invalid_destinations(given)


def _check_queue(settings: Mapping[str, Any], *, is_fifo: bool) -> None:
    size, window_s = settings["BatchSize"], settings["MaximumBatchingWindowInSeconds"]
    if is_fifo and window_s > 0:
        raise InvalidParameterValueException("Batching window is not supported for FIFO queues")
    if is_fifo and size > 10:
        raise InvalidParameterValueException("Batch size must not exceed 10 for FIFO queues")
    if size > 10 and window_s == 0:
        raise InvalidParameterValueException(
            "Maximum batch window in seconds must be greater than 0 if maximum batch size is greater than 10"
        )
    pollers = settings.get("ProvisionedPollerConfig", {})
    if pollers and settings.get("ScalingConfig"):
        raise InvalidParameterValueException(
            "Provisioned mode for SQS ESM does not support maximum concurrency feature. Use MaximumPollers as "
            "the control mechanism and remove maximum concurrency."
        )
    if min(pollers.get("MinimumPollers", 2), pollers.get("MaximumPollers", 2)) < _SQS_POLLERS_MIN:
        raise InvalidParameterValueException(
            "MinimumPollers and MaximumPollers must be at least 2 for SQS event sources."
        )
