"""Which names and attributes a topic can have. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence

from lambent.domain.limits import TAGS_MAX
from lambent.domain.policy_document import check_resource_policy, statements, texts
from lambent.errors import (
    InvalidParameterException,
    MalformedPolicyDocumentException,
    NotImplemented_,
)
from lambent.services.sns.errors import TagLimitExceededException, invalid
from lambent.services.sns.policy_rules import Fail, check_topic_delivery

_NAME = re.compile(r"[A-Za-z0-9_-]{1,256}")
_FIFO_NAME = re.compile(r"(?=.{1,256}$)[A-Za-z0-9_-]+\.fifo")
_FEEDBACK = frozenset(
    f"{endpoint}{what}"
    for endpoint in ("HTTP", "Firehose", "Lambda", "Application", "SQS")
    for what in ("SuccessFeedbackRoleArn", "SuccessFeedbackSampleRate", "FailureFeedbackRoleArn")
)
_FIFO_ONLY = frozenset({"ContentBasedDeduplication", "FifoThroughputScope", "ArchivePolicy"})
_CHOICES: Mapping[str, frozenset[str]] = {
    "ContentBasedDeduplication": frozenset({"true", "false"}),
    "FifoThroughputScope": frozenset({"Topic", "MessageGroup"}),
    "FifoTopic": frozenset({"true", "false"}),
    "SignatureVersion": frozenset({"1", "2"}),
    "TracingConfig": frozenset({"PassThrough", "Active"}),
}
_FREE = frozenset({"DisplayName", "KmsMasterKeyId", *_FEEDBACK})
_MESSAGE_BYTES = (1_024, 1_048_576)
_DATA_PROTECTION_MAX = 30_720
_DISPLAY_NAME_MAX = 100
SETTABLE = frozenset(
    {"DeliveryPolicy", "Policy", "MaximumMessageSize", *_FREE, *_FIFO_ONLY, *_CHOICES} - {"FifoTopic"}
)


def check_name(name: str, *, is_fifo: bool) -> None:
    """Refuse a name that a topic cannot have.

    Raises:
        InvalidParameterException: it is malformed, or of the other type of topic.
    """
    if is_fifo and not _FIFO_NAME.fullmatch(name):
        raise invalid(
            "Fifo Topic names must end with .fifo and must be made up of only uppercase and lowercase ASCII "
            "letters, numbers, underscores, and hyphens, and must be between 1 and 256 characters long."
        )
    if not is_fifo and not _NAME.fullmatch(name):
        raise invalid("Topic Name")


def checked(attributes: Mapping[str, str], *, is_fifo: bool) -> dict[str, str]:
    """Return attributes that a topic is to be made with, as they are kept.

    Raises:
        InvalidParameterException: one does not exist, or cannot have that value.
        NotImplemented_: messages would have to be archived.
    """
    kept: dict[str, str] = {}
    for name, value in attributes.items():
        if name not in SETTABLE | {"FifoTopic"}:
            raise invalid("Attributes", f"Unknown attribute {name}")
        kept[name] = checked_value(
            name, value, is_fifo=is_fifo, fail=lambda text: invalid("Attributes", text)
        )
    if not is_fifo:
        kept.pop("FifoTopic", None)
    return {name: value for name, value in kept.items() if value != ""}


def checked_value(name: str, value: str, *, is_fifo: bool, fail: Fail) -> str:
    """Return the value of an attribute as it is kept; an empty one takes it away.

    Raises:
        InvalidParameterException: it cannot have that value, or not on this type of topic.
        NotImplemented_: messages would have to be archived.
    """
    if name in _FIFO_ONLY and not is_fifo:
        raise fail(f"{name}: only FIFO topics have it")
    if name == "ArchivePolicy" and value not in ("", "{}"):
        raise NotImplemented_("Lambent does not archive messages of topics yet.")
    if name == "ArchivePolicy":
        return ""
    if name in _CHOICES:
        return _chosen(name, value, fail)
    if name == "MaximumMessageSize":
        return _message_bytes(value, fail)
    if value and name == "DeliveryPolicy":
        check_topic_delivery(value, fail)
    if value and name == "Policy":
        check_policy(value)
    if name == "DisplayName" and len(value) > _DISPLAY_NAME_MAX:
        raise fail(f"DisplayName: must be at most {_DISPLAY_NAME_MAX} characters long")
    return value


def _chosen(name: str, value: str, fail: Fail) -> str:
    chosen = next((choice for choice in _CHOICES[name] if choice.lower() == value.lower()), None)
    if chosen is None:
        raise fail(f"{name}: Invalid value [{value}]. Must be one of {', '.join(sorted(_CHOICES[name]))}.")
    return chosen


def _message_bytes(value: str, fail: Fail) -> str:
    if value == "":
        return value
    low, high = _MESSAGE_BYTES
    is_whole = value.isascii() and value.isdigit() and len(value) < 10
    if not is_whole or not low <= int(value) <= high:
        raise fail(f"MaximumMessageSize: Must be between {low} and {high}")
    return str(int(value))


def check_policy(text: str) -> None:
    """Refuse a text that is no policy of a topic.

    Raises:
        InvalidParameterException: it is none.
    """
    try:
        document = check_resource_policy(text)
    except (MalformedPolicyDocumentException, RecursionError) as error:
        raise invalid("Policy Error: null") from error
    for statement in statements(document):
        for action in texts(statement.get("Action", ())):
            if action != "*" and action.partition(":")[0].lower() != "sns":
                raise invalid("Policy statement action out of service scope!")


def check_data_protection(text: str) -> None:
    """Refuse a text that is no data protection policy, or too long.

    Raises:
        InvalidParameterException: it is.
    """
    if text and not _is_object(text):
        raise invalid("DataProtectionPolicy", "failed to parse JSON")
    if len(text) > _DATA_PROTECTION_MAX:
        raise invalid("DataProtectionPolicy", f"must be at most {_DATA_PROTECTION_MAX} characters long")


def _is_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        return False


def tags_of(given: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """Return tags as they are kept.

    Raises:
        InvalidParameterException: a key is there twice, or is AWS's own.
    """
    tags = {tag["Key"]: tag["Value"] for tag in given}
    if len(tags) < len(given):
        raise invalid("Duplicated keys are not allowed.")
    if any(key.lower().startswith("aws:") for key in tags):
        raise InvalidParameterException(
            "Invalid parameter: aws: prefixed tag key names are not allowed for external use."
        )
    check_tag_count(tags)
    return tags


def check_tag_count(tags: Mapping[str, str]) -> None:
    """Refuse too many tags.

    Raises:
        TagLimitExceededException: there are more than 50.
    """
    if len(tags) > TAGS_MAX:
        raise TagLimitExceededException("Could not complete request: tag quota of per resource exceeded")
