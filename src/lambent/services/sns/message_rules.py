"""What can be published. Pure; the sentences are AWS's."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any, cast

from lambent.domain.queue_message import MessageAttribute
from lambent.domain.topic import Topic
from lambent.errors import InvalidParameterValueException
from lambent.services import Members
from lambent.services.sns.errors import invalid

_NAME = re.compile(r"(?!\.)(?!.*\.\.)[A-Za-z0-9_.-]+(?<!\.)")
_NAME_CHARACTER = re.compile(r"[A-Za-z0-9_.-]")
_DATA_TYPE = re.compile(r"(String|Number|Binary)(\..{1,249})?", re.DOTALL)
_ID = re.compile(r"[\x21-\x7e]{1,128}")
_NAME_MAX_BYTES = 256
_SUBJECT_MAX = 100


def text_of(entry: Members) -> str:
    """Return the message.

    Raises:
        InvalidParameterException: it is empty.
    """
    text: str = entry.get("Message") or ""
    if not text:
        raise invalid("Empty message")
    return text


def subject_of(entry: Members) -> str | None:
    """Return the subject, if there is one.

    Raises:
        InvalidParameterException: it is empty, too long, or has line breaks or control characters.
    """
    subject: str | None = entry.get("Subject")
    if subject is None:
        return None
    has_control = any(ord(character) < 0x20 or ord(character) == 0x7F for character in subject)
    if not subject or len(subject) > _SUBJECT_MAX or has_control:
        raise invalid("Subject")
    return subject


def by_protocol_of(entry: Members, text: str) -> dict[str, str]:
    """Return what subscribers of each protocol are sent; empty when all get the same.

    Raises:
        InvalidParameterException: the message is not of that structure.
    """
    structure: str | None = entry.get("MessageStructure")
    if structure != "json":
        # AWS passes over other values, which examples of its SDKs have (``string``).
        return {}
    try:
        pairs: Any = json.loads(text, object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        raise invalid("Message Structure - JSON message body failed to parse") from error
    if not isinstance(pairs, dict):
        raise invalid("Message Structure - JSON message body failed to parse")
    texts = {name: value for name, value in cast("dict[str, Any]", pairs).items() if isinstance(value, str)}
    if "default" not in texts:
        raise invalid("Message Structure - No default entry in JSON message body")
    return texts


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key is there twice")
    return found


def attributes_of(entry: Members) -> dict[str, MessageAttribute]:
    """Return the message attributes.

    Raises:
        InvalidParameterValueException: a name, type or value cannot be.
    """
    given: Mapping[str, Mapping[str, Any]] = entry.get("MessageAttributes") or {}
    return {name: _attribute(name, value) for name, value in given.items()}


def _attribute(name: str, value: Mapping[str, Any]) -> MessageAttribute:
    _check_name(name)
    data_type = str(value.get("DataType") or "")
    if not _DATA_TYPE.fullmatch(data_type):
        raise InvalidParameterValueException(
            f"The message attribute '{name}' has an invalid message attribute type, the set of supported type "
            "prefixes is Binary, Number, and String."
        )
    field = "Binary" if data_type.startswith("Binary") else "String"
    other = "String" if field == "Binary" else "Binary"
    content: Any = value.get(f"{field}Value")
    if content is None and value.get(f"{other}Value") is not None:
        raise InvalidParameterValueException(
            f"The message attribute '{name}' with type '{data_type}' must use field '{field}'."
        )
    if not content:
        raise InvalidParameterValueException(
            f"The message attribute '{name}' must contain non-empty message attribute value for message "
            f"attribute type '{data_type}'."
        )
    if field == "Binary":
        return MessageAttribute(data_type=data_type, binary=content)
    if data_type.startswith("Number") and not _is_number(content):
        raise InvalidParameterValueException(f"Could not cast message attribute '{name}' value to number.")
    return MessageAttribute(data_type=data_type, text=content)


def _check_name(name: str) -> None:
    if not name or len(name.encode()) > _NAME_MAX_BYTES:
        raise InvalidParameterValueException("Length of message attribute name must be less than 256 bytes.")
    if _NAME.fullmatch(name):
        return
    if name.startswith("."):
        text = "Invalid message attribute name starting with character '.' was found."
    elif name.endswith("."):
        text = "Invalid message attribute name ending with character '.' was found."
    elif wrong := next((character for character in name if not _NAME_CHARACTER.match(character)), ""):
        text = (
            f"Invalid non-alphanumeric character '#x{ord(wrong):X}' was found in the message attribute name. "
            "Can only include alphanumeric characters, hyphens, underscores, or dots."
        )
    else:
        text = "Message attribute name can not have successive '.' character."
    raise InvalidParameterValueException(text)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return "_" not in text


def size_of(text: str, attributes: Mapping[str, MessageAttribute]) -> int:
    """Return the size of a message in bytes, as limits have it."""
    return len(text.encode()) + sum(
        len(name.encode()) + value.size_bytes for name, value in attributes.items()
    )


def ids_of(entry: Members, topic: Topic, text: str) -> tuple[str | None, str | None]:
    """Return group id and deduplication id.

    Raises:
        InvalidParameterException: an id cannot be, or is missing or out of place on this type of topic.
    """
    group_id: str | None = entry.get("MessageGroupId")
    deduplication_id: str | None = entry.get("MessageDeduplicationId")
    if not topic.is_fifo and deduplication_id is not None:
        raise invalid(
            "MessageDeduplicationId",
            "The request includes MessageDeduplicationId parameter that is not valid for this topic type",
        )
    if topic.is_fifo and not group_id:
        raise invalid("The MessageGroupId parameter is required for FIFO topics")
    for name, value in (("MessageGroupId", group_id), ("MessageDeduplicationId", deduplication_id)):
        if value is not None and not _ID.fullmatch(value):
            raise invalid(
                name, f"{name} can only include alphanumeric and punctuation characters. 1 to 128 in length."
            )
    if topic.is_fifo and deduplication_id is None:
        if topic.attributes.get("ContentBasedDeduplication") != "true":
            raise invalid(
                "The topic should either have ContentBasedDeduplication enabled or MessageDeduplicationId "
                "provided explicitly"
            )
        deduplication_id = hashlib.sha256(text.encode()).hexdigest()
    return group_id, deduplication_id
