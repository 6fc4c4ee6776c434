"""Services that once spoke the query protocol and still do: what their newer models no longer say, as data.

SQS's model of today describes the json protocol only. The names of forms and elements below are those of its
API of 2012-11-05 (API pages of Amazon SQS, "Making Query API requests"), which older SDKs and tools still use.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

NAMESPACES: Mapping[str, str] = {"sqs": "http://queue.amazonaws.com/doc/2012-11-05/"}

NAMED_BY_PATH: Mapping[str, str] = {"sqs": "QueueUrl"}
"""What is named by the path that a form is sent to, unless the form itself says it: a queue's URL is its address."""

DETAILS: Mapping[str, str] = {"sqs": "<Detail/>"}
"""What errors have behind their message."""

_ELEMENTS: Mapping[str, Mapping[str, str]] = {
    "sqs": {
        "AWSAccountIdList": "AWSAccountId",
        "ActionNameList": "ActionName",
        "AttributeNameList": "AttributeName",
        "BatchResultErrorEntryList": "BatchResultErrorEntry",
        "BinaryList": "BinaryListValue",
        "ChangeMessageVisibilityBatchRequestEntryList": "ChangeMessageVisibilityBatchRequestEntry",
        "ChangeMessageVisibilityBatchResultEntryList": "ChangeMessageVisibilityBatchResultEntry",
        "DeleteMessageBatchRequestEntryList": "DeleteMessageBatchRequestEntry",
        "DeleteMessageBatchResultEntryList": "DeleteMessageBatchResultEntry",
        "ListMessageMoveTasksResultEntryList": "ListMessageMoveTasksResultEntry",
        "MessageAttributeNameList": "MessageAttributeName",
        "MessageList": "Message",
        "MessageSystemAttributeList": "MessageSystemAttributeName",
        "QueueUrlList": "QueueUrl",
        "SendMessageBatchRequestEntryList": "SendMessageBatchRequestEntry",
        "SendMessageBatchResultEntryList": "SendMessageBatchResultEntry",
        "StringList": "StringListValue",
        "TagKeyList": "TagKey",
    }
}
"""What an element of a list is called."""

_ENTRIES: Mapping[str, Mapping[str, tuple[str, str, str]]] = {
    "sqs": {
        "MessageBodyAttributeMap": ("MessageAttribute", "Name", "Value"),
        "MessageBodySystemAttributeMap": ("MessageSystemAttribute", "Name", "Value"),
        "MessageSystemAttributeMap": ("Attribute", "Name", "Value"),
        "QueueAttributeMap": ("Attribute", "Name", "Value"),
        "TagMap": ("Tag", "Key", "Value"),
    }
}
"""What an entry of a map, its key and its value are called."""


def query_model(service: str, model: Mapping[str, Any]) -> dict[str, Any]:
    """Return a model with what the query protocol needs to know of it."""
    shapes = {name: _named(service, name, shape) for name, shape in model["shapes"].items()}
    operations = {
        name: {**operation, "output": {"resultWrapper": f"{name}Result", **operation["output"]}}
        if "output" in operation
        else operation
        for name, operation in model["operations"].items()
    }
    metadata = {
        name: trait for name, trait in model["metadata"].items() if name not in ("targetPrefix", "protocols")
    }
    metadata |= {"protocol": "query", "xmlNamespace": NAMESPACES[service]}
    return {**model, "metadata": metadata, "shapes": shapes, "operations": operations}


def _named(service: str, name: str, shape: Mapping[str, Any]) -> Mapping[str, Any]:
    if shape["type"] == "structure":
        members = {member: _as_element(service, its) for member, its in shape.get("members", {}).items()}
        return {**shape, "members": members}
    if name in _ENTRIES[service]:
        _, key, value = _ENTRIES[service][name]
        return {
            **shape,
            "key": {**shape["key"], "locationName": key},
            "value": {**shape["value"], "locationName": value},
        }
    return shape


def _as_element(service: str, member: Mapping[str, Any]) -> Mapping[str, Any]:
    """Give a member that is a flattened list or map the name of its elements."""
    shape = member["shape"]
    if shape in _ENTRIES[service]:
        return {**member, "locationName": _ENTRIES[service][shape][0]}
    if shape in _ELEMENTS[service]:
        return {**member, "locationName": _ELEMENTS[service][shape]}
    return member
