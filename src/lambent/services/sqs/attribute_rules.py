"""What attributes a queue may have. Pure; what other queues have to do with it is asked elsewhere."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, cast

from lambent.domain.message_queue import MessageQueue
from lambent.domain.policy_document import check_resource_policy
from lambent.errors import InvalidParameterValueException, MalformedPolicyDocumentException
from lambent.services.sqs.errors import InvalidAttributeName, InvalidAttributeValue, missing

DEFAULTS: Mapping[str, str] = {
    "VisibilityTimeout": "30",
    "MaximumMessageSize": "1048576",
    "MessageRetentionPeriod": "345600",
    "DelaySeconds": "0",
    "ReceiveMessageWaitTimeSeconds": "0",
    "SqsManagedSseEnabled": "true",
}
FIFO_DEFAULTS: Mapping[str, str] = {
    "FifoQueue": "true",
    "ContentBasedDeduplication": "false",
    "DeduplicationScope": "queue",
    "FifoThroughputLimit": "perQueue",
}
_RANGES: Mapping[str, tuple[int, int]] = {
    "VisibilityTimeout": (0, 43_200),
    "MaximumMessageSize": (1_024, 1_048_576),
    "MessageRetentionPeriod": (60, 1_209_600),
    "DelaySeconds": (0, 900),
    "ReceiveMessageWaitTimeSeconds": (0, 20),
    "KmsDataKeyReusePeriodSeconds": (60, 86_400),
}
_CHOICES: Mapping[str, frozenset[str]] = {
    "FifoQueue": frozenset({"true", "false"}),
    "ContentBasedDeduplication": frozenset({"true", "false"}),
    "SqsManagedSseEnabled": frozenset({"true", "false"}),
    "DeduplicationScope": frozenset({"messageGroup", "queue"}),
    "FifoThroughputLimit": frozenset({"perQueue", "perMessageGroupId"}),
}
_FREE = frozenset({"KmsMasterKeyId"})
_REDRIVES = frozenset({"RedrivePolicy", "RedriveAllowPolicy"})
_SOURCES_MAX = 10
_REUSE_S = "300"
_NAME = re.compile(r"[A-Za-z0-9_-]{1,80}")
_FIFO_NAME = re.compile(r"(?=.{1,80}$)[A-Za-z0-9_-]+\.fifo")


def check_name(name: str, *, is_fifo: bool) -> None:
    """Refuse a name that a queue cannot have.

    Raises:
        MissingRequiredParameterException: it is missing.
        InvalidParameterValueException: it is malformed, or of the other type of queue.
    """
    if not name:
        raise missing("QueueName")
    if is_fifo and not _FIFO_NAME.fullmatch(name):
        raise InvalidParameterValueException(
            "The name of a FIFO queue can only include alphanumeric characters, hyphens, or underscores, must "
            "end with .fifo suffix and be 1 to 80 in length"
        )
    if not is_fifo and not _NAME.fullmatch(name):
        raise InvalidParameterValueException(
            "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length"
        )


def checked(attributes: Mapping[str, str], *, is_fifo: bool) -> dict[str, str]:
    """Return attributes that a caller gave, as they are kept.

    Raises:
        InvalidAttributeName: one does not exist, or not for this type of queue.
        InvalidAttributeValue: one has a value that it cannot have.
    """
    return {name: _checked(name, value, is_fifo=is_fifo) for name, value in attributes.items()}


def _checked(name: str, value: str, *, is_fifo: bool) -> str:
    if name in _RANGES:
        low, high = _RANGES[name]
        if value.isascii() and value.isdigit() and len(value) < 10 and low <= int(value) <= high:
            return str(int(value))
    elif name in _CHOICES:
        if name in FIFO_DEFAULTS and not is_fifo:
            raise InvalidAttributeName(f"Unknown Attribute {name}.")
        if value.lower() in {choice.lower() for choice in _CHOICES[name]} and (
            name != "FifoQueue" or value.lower() == "true"
        ):
            return next(choice for choice in _CHOICES[name] if choice.lower() == value.lower())
    elif name in _FREE:
        return value
    elif name in _REDRIVES:
        return _redrive(name, value) if value else value
    elif name == "Policy":
        if value == "" or _is_policy(value):
            return value
    else:
        raise InvalidAttributeName(f"Unknown Attribute {name}.")
    raise InvalidAttributeValue(f"Invalid value for the parameter {name}.")


def _object(text: str) -> dict[str, Any] | None:
    try:
        content: Any = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return cast("dict[str, Any]", content) if isinstance(content, dict) else None


def _is_policy(text: str) -> bool:
    """Whether a text is a policy, which may have no statement."""
    content = _object(text)
    if content is None:
        return False
    try:
        if content.get("Statement") != []:
            check_resource_policy(text)
    except (MalformedPolicyDocumentException, RecursionError):
        return False
    return True


def bad_redrive(text: str, reason: str, *, name: str = "RedrivePolicy") -> InvalidParameterValueException:
    """Return the error for a redrive policy that cannot be."""
    return InvalidParameterValueException(f"Value {text} for parameter {name} is invalid. Reason: {reason}")


def _redrive(name: str, text: str) -> str:
    """Return a policy as AWS shows it: without white space, and numbers as such."""
    content = _object(text)
    if content is None:
        what = "redrive policy" if name == "RedrivePolicy" else "redrive allow policy"
        reason = f"Amazon SQS can't create the {what}, as it’s in an unsupported format."
        raise bad_redrive(text, reason, name=name)
    checked_policy = _redrive_policy if name == "RedrivePolicy" else _redrive_allow_policy
    return json.dumps(checked_policy(text, content), separators=(",", ":"))


def _redrive_policy(text: str, content: Mapping[str, Any]) -> dict[str, Any]:
    for member in ("maxReceiveCount", "deadLetterTargetArn"):
        if member not in content:
            raise bad_redrive(text, f"Redrive policy does not contain mandatory attribute: {member}.")
    if len(content) > 2:
        raise bad_redrive(
            text, "Only following attributes are supported: [deadLetterTargetArn, maxReceiveCount]."
        )
    count = str(content["maxReceiveCount"])
    if not (count.isascii() and count.isdigit() and len(count) <= 4 and 1 <= int(count) <= 1000):
        raise bad_redrive(
            text,
            f"Invalid value for maxReceiveCount: {count}, valid values are from 1 to 1000 both inclusive.",
        )
    return {"deadLetterTargetArn": content["deadLetterTargetArn"], "maxReceiveCount": int(count)}


def _redrive_allow_policy(text: str, content: Mapping[str, Any]) -> Mapping[str, Any]:
    permission, sources = content.get("redrivePermission"), content.get("sourceQueueArns")
    if permission not in ("allowAll", "byQueue", "denyAll"):
        reason = (
            "Amazon SQS can't create the redrive allow policy. Choose one of following permissions: allowAll, "
            "byQueue, denyAll."
        )
    elif not set(content) <= {"redrivePermission", "sourceQueueArns"}:
        reason = "Only following attributes are supported: [redrivePermission, sourceQueueArns]."
    elif permission != "byQueue":
        reason = "" if sources is None else "sourceQueueArns can be given with the permission byQueue only."
    elif not isinstance(sources, list) or not 1 <= len(cast("list[Any]", sources)) <= _SOURCES_MAX:
        reason = f"The permission byQueue needs from 1 to {_SOURCES_MAX} sourceQueueArns."
    else:
        reason = ""
    if reason:
        raise bad_redrive(text, reason, name="RedriveAllowPolicy")
    return content


def with_settled(before: Mapping[str, str], given: Mapping[str, str]) -> dict[str, str]:
    """Return a queue's attributes after some were given, with what follows from these.

    Raises:
        InvalidAttributeValue: two of them exclude each other.
    """
    after = {**before, **given}
    if given.get("KmsMasterKeyId"):
        if given.get("SqsManagedSseEnabled") == "true":
            raise InvalidAttributeValue(
                "You can use one type of server-side encryption (SSE) at one time. You can either enable KMS SSE or "
                "SQS SSE."
            )
        after["SqsManagedSseEnabled"] = "false"
        after.setdefault("KmsDataKeyReusePeriodSeconds", _REUSE_S)
    elif given.get("SqsManagedSseEnabled") == "true":
        after |= {"KmsMasterKeyId": "", "KmsDataKeyReusePeriodSeconds": ""}
    is_per_group = after.get("FifoThroughputLimit") == "perMessageGroupId"
    if is_per_group and after.get("DeduplicationScope") != "messageGroup":
        raise InvalidAttributeValue("Invalid value for the parameter FifoThroughputLimit.")
    return after


def allows_redrive(dead_letter_queue: MessageQueue, source_arn: str) -> bool:
    """Whether a dead-letter queue's RedriveAllowPolicy lets a queue use it."""
    text = dead_letter_queue.attributes.get("RedriveAllowPolicy")
    if not text:
        return True
    policy = json.loads(text)
    permission = policy.get("redrivePermission", "allowAll")
    if permission == "byQueue":
        return source_arn in policy.get("sourceQueueArns", ())
    return permission != "denyAll"
