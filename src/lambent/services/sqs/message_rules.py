"""What a message may be, and how a received one is shown. Pure."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Any

from lambent.domain.message_queue import MessageQueue
from lambent.domain.queue_message import (
    ATTRIBUTES_MAX,
    Envelope,
    MessageAttribute,
    md5_of_attributes,
    md5_of_body,
)
from lambent.errors import InvalidParameterValueException
from lambent.services import Members
from lambent.services.sqs.errors import InvalidMessageContents, ReceiptHandleIsInvalid, missing
from lambent.store.message_queues import Handle, parse_receipt_handle, receipt_handle, system_attributes
from lambent.store.messages import Message, Receipt

DELAY_MAX_S = 900
VISIBILITY_MAX_S = 43_200
_UNWRITABLE = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_ATTRIBUTE_NAME = re.compile(r"(?!\.)(?!.*\.\.)[A-Za-z0-9_.-]{1,256}(?<!\.)")
_DATA_TYPE = re.compile(r"(String|Number|Binary)(\..{1,249})?", re.DOTALL)
_ID = re.compile(r"[\x21-\x7e]{1,128}")


def bad_value(value: object, parameter: str, reason: str) -> InvalidParameterValueException:
    """Return the error for a parameter that cannot be."""
    return InvalidParameterValueException(
        f"Value {value} for parameter {parameter} is invalid. Reason: {reason}"
    )


def body_of(entry: Members) -> bytes:
    """Return the body of a message that is to be sent, as it is kept.

    What XML cannot hold is replaced, as long as there is something else, too (API page SendMessage).

    Raises:
        MissingRequiredParameterException: it is missing or empty.
        InvalidMessageContents: it has nothing but characters that XML cannot hold.
    """
    body: str | None = entry.get("MessageBody")
    if not body:
        raise missing("MessageBody")
    if not _UNWRITABLE.search(body):
        return body.encode()
    if not _UNWRITABLE.sub("", body):
        _check_characters(body)
    return _UNWRITABLE.sub("\ufffd", body).encode()


def _check_characters(text: str) -> None:
    if _UNWRITABLE.search(text):
        raise InvalidMessageContents(
            "Invalid characters found. Valid unicode characters are #x9 | #xA | #xD | #x20 to #xD7FF | #xE000 to "
            "#xFFFD | #x10000 to #x10FFFF"
        )


def attributes_of(entry: Members) -> dict[str, MessageAttribute]:
    """Return the message attributes of a message that is to be sent.

    Raises:
        InvalidParameterValueException: a name, type or value cannot be.
        InvalidMessageContents: a value has characters that XML cannot hold.
    """
    given: Mapping[str, Mapping[str, Any]] = entry.get("MessageAttributes") or {}
    if len(given) > ATTRIBUTES_MAX:
        raise InvalidParameterValueException(
            f"Number of message attributes [{len(given)}] exceeds the allowed maximum [{ATTRIBUTES_MAX}]."
        )
    for name in given:
        _check_attribute_name(name)
    return {name: _attribute(name, value, "user") for name, value in given.items()}


def system_attributes_of(entry: Members) -> dict[str, MessageAttribute]:
    """Return the message system attributes of a message that is to be sent.

    Raises:
        InvalidParameterValueException: there is another one than AWSTraceHeader, or its value cannot be.
    """
    given: Mapping[str, Mapping[str, Any]] = entry.get("MessageSystemAttributes") or {}
    for name in given:
        if name != "AWSTraceHeader":
            raise bad_value(name, "MessageSystemAttributes", "Only AWSTraceHeader is supported.")
    return {name: _attribute(name, value, "system") for name, value in given.items()}


def _check_attribute_name(name: str) -> None:
    if not _ATTRIBUTE_NAME.fullmatch(name) or name.lower().startswith(("aws.", "amazon.")):
        raise InvalidParameterValueException(
            "Message (user) attribute name can contain only A-Z, a-z, 0-9, underscore (_), hyphen (-), and "
            "period (.) characters, and must not begin with AWS. or Amazon."
        )


def _attribute(name: str, value: Mapping[str, Any], kind: str) -> MessageAttribute:
    data_type = str(value.get("DataType") or "")
    what = f"message ({kind}) attribute '{name}'"
    if not data_type:
        raise InvalidParameterValueException(f"The {what} must contain a non-empty attribute type.")
    prefix = data_type.partition(".")[0]
    if not _DATA_TYPE.fullmatch(data_type) or (kind == "system" and prefix != "String"):
        prefixes = "Binary, Number, String" if kind == "user" else "String"
        raise InvalidParameterValueException(
            f"The type of {what} is invalid. You must use only the following supported type prefixes: {prefixes}."
        )
    text, binary = value.get("StringValue"), value.get("BinaryValue")
    if not (binary if prefix == "Binary" else text):
        raise InvalidParameterValueException(
            f"M{what[1:]} must contain a non-empty value of type '{data_type}'."
        )
    if prefix == "Binary":
        return MessageAttribute(data_type=data_type, binary=binary)
    _check_characters(str(text))
    if prefix == "Number" and not _is_number(str(text)):
        raise InvalidParameterValueException(f"Can't cast the value of {what} to a number.")
    return MessageAttribute(data_type=data_type, text=text)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return "_" not in text


def size_of(body: bytes, attributes: Mapping[str, MessageAttribute]) -> int:
    """Return the size of a message in bytes, as limits have it."""
    return len(body) + sum(len(name.encode()) + value.size_bytes for name, value in attributes.items())


def delay_ms_of(entry: Members, queue: MessageQueue) -> int | None:
    """Return how long a message is to be delayed, None when the queue says it.

    Raises:
        InvalidParameterValueException: it cannot be, or is not the message's own on a FIFO queue.
    """
    delay_s: int | None = entry.get("DelaySeconds")
    if delay_s is None:
        return None
    if not 0 <= delay_s <= DELAY_MAX_S:
        raise bad_value(delay_s, "DelaySeconds", f"DelaySeconds must be >= 0 and <= {DELAY_MAX_S}.")
    if queue.is_fifo:
        if delay_s == 0:
            return None
        raise bad_value(
            delay_s, "DelaySeconds", "The request include parameter that is not valid for this queue type."
        )
    return delay_s * 1000


def fifo_ids_of(entry: Members, queue: MessageQueue, body: bytes) -> tuple[str | None, str | None]:
    """Return group id and deduplication id of a message that is to be sent.

    Raises:
        MissingRequiredParameterException: a FIFO queue needs the group.
        InvalidParameterValueException: an id cannot be, or the deduplication id is missing.
    """
    group_id: str | None = entry.get("MessageGroupId")
    deduplication_id: str | None = entry.get("MessageDeduplicationId")
    for name, value in (("MessageGroupId", group_id), ("MessageDeduplicationId", deduplication_id)):
        if value is not None and not _ID.fullmatch(value):
            raise bad_value(
                value,
                name,
                f"{name} can only include alphanumeric and punctuation characters. 1 to 128 in length.",
            )
    if not queue.is_fifo:
        if deduplication_id is not None:
            raise bad_value(
                deduplication_id,
                "MessageDeduplicationId",
                "The request includes a parameter that is not valid for this queue type.",
            )
        return group_id, None
    if group_id is None:
        raise missing("MessageGroupId")
    if deduplication_id is None:
        if queue.attributes.get("ContentBasedDeduplication") != "true":
            raise InvalidParameterValueException(
                "The queue should either have ContentBasedDeduplication enabled or MessageDeduplicationId "
                "provided explicitly"
            )
        deduplication_id = hashlib.sha256(body).hexdigest()
    return group_id, deduplication_id


def check_visibility(visibility_s: int) -> None:
    """Refuse a visibility timeout that cannot be.

    Raises:
        InvalidParameterValueException: it is out of range.
    """
    if not 0 <= visibility_s <= VISIBILITY_MAX_S:
        raise bad_value(
            visibility_s, "VisibilityTimeout", f"Must be between 0 and {VISIBILITY_MAX_S}, if provided."
        )


def check_total_visibility(visibility_s: int, *, received_ms: int, now_ms: int) -> None:
    """Refuse to keep a message in flight for longer than twelve hours since it was received.

    Raises:
        InvalidParameterValueException: it would be.
    """
    if (now_ms - received_ms) // 1000 + visibility_s > VISIBILITY_MAX_S:
        raise bad_value(
            visibility_s,
            "VisibilityTimeout",
            f"Total VisibilityTimeout for the message is beyond the limit [{VISIBILITY_MAX_S} seconds]",
        )


def receipt_of(parameters: Members) -> Receipt:
    """Return the receipt of a ReceiptHandle parameter. Raises as `handle_of` does."""
    return handle_of(parameters).receipt


def handle_of(parameters: Members) -> Handle:
    """Return what a ReceiptHandle parameter says.

    Raises:
        MissingRequiredParameterException: it is missing.
        ReceiptHandleIsInvalid: it is none of ours.
    """
    text: str = parameters.get("ReceiptHandle") or ""
    if not text:
        raise missing("ReceiptHandle")
    handle = parse_receipt_handle(text)
    if handle is None:
        raise ReceiptHandleIsInvalid(f'The input receipt handle "{text}" is not a valid receipt handle.')
    return handle


def shown(message: Message, queue: MessageQueue, parameters: Members) -> dict[str, Any]:
    """Return a received message as callers see it, with the attributes that they asked for."""
    envelope = Envelope.decode(message.attributes)
    result: dict[str, Any] = {
        "MessageId": message.message_id,
        "ReceiptHandle": receipt_handle(message),
        "MD5OfBody": md5_of_body(message.body),
        "Body": message.body.decode(),
    }
    if system := _system_attributes(message, queue, envelope, parameters):
        result["Attributes"] = system
    patterns: list[str] = parameters.get("MessageAttributeNames") or []
    chosen = {n: a for n, a in envelope.attributes.items() if any(_names(p, n) for p in patterns)}
    if chosen:
        result["MD5OfMessageAttributes"] = md5_of_attributes(chosen)
        result["MessageAttributes"] = {name: _shown_attribute(value) for name, value in chosen.items()}
    return result


def _names(pattern: str, name: str) -> bool:
    if pattern in ("All", ".*"):
        return True
    return name.startswith(pattern[:-2]) if pattern.endswith(".*") else pattern == name


def _shown_attribute(value: MessageAttribute) -> dict[str, Any]:
    if value.binary is not None:
        return {"BinaryValue": value.binary, "DataType": value.data_type}
    return {"StringValue": value.text, "DataType": value.data_type}


def _system_attributes(
    message: Message, queue: MessageQueue, envelope: Envelope, parameters: Members
) -> dict[str, str]:
    wanted = {
        *(parameters.get("AttributeNames") or ()),
        *(parameters.get("MessageSystemAttributeNames") or ()),
    }
    if not wanted:
        return {}
    values = system_attributes(message, envelope, is_fifo=queue.is_fifo)
    return values if "All" in wanted else {name: value for name, value in values.items() if name in wanted}
