"""What is published to a topic, and what of it subscribers are sent: envelopes and what is signed of them. Pure.

The envelopes are those of AWS's pages "HTTP/HTTPS notification JSON format" and "Using AWS Lambda with Amazon
SNS", with AWS's white space; what is signed is as "Verifying the signatures of Amazon SNS messages" has it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Literal
from urllib.parse import quote

import msgspec

from lambent.clock import iso_ms
from lambent.domain.queue_message import MessageAttribute
from lambent.domain.subscription import Subscription

Kind = Literal["Notification", "SubscriptionConfirmation", "UnsubscribeConfirmation"]

_SIGNED = ("Message", "MessageId", "SubscribeURL", "Subject", "Timestamp", "Token", "TopicArn", "Type")
_SEQUENCE_BASE = 10_000_000_000_000_000_000
"""Sequence numbers have twenty digits."""


class Publication(msgspec.Struct, frozen=True, kw_only=True):
    """One message that was published, as it is kept until everybody has it."""

    message_id: str
    topic_arn: str
    text: str
    by_protocol: Mapping[str, str] = msgspec.field(default_factory=dict[str, str])
    """What subscribers of a protocol get in place of the text (MessageStructure ``json``)."""
    subject: str | None = None
    attributes: Mapping[str, MessageAttribute] = msgspec.field(default_factory=dict[str, MessageAttribute])
    group_id: str | None = None
    deduplication_id: str | None = None
    published_ms: int
    trace_header: str = ""
    endpoint_url: str
    """Where this server is reached, for the links in envelopes; no trailing slash."""

    def text_for(self, protocol: str) -> str:
        """Return the message that subscribers of a protocol get."""
        return self.by_protocol.get(protocol, self.text)


class Notification(msgspec.Struct, frozen=True, kw_only=True):
    """Something on its way to one subscriber."""

    kind: Kind = "Notification"
    publication: Publication
    sequence_number: str | None = None
    """Of FIFO topics."""
    token: str = ""
    """Of confirmations."""

    def encode(self) -> bytes:
        """Return it as it is kept."""
        return msgspec.msgpack.encode(self)

    @staticmethod
    def decode(kept: bytes) -> Notification:
        """Return one that was kept."""
        return msgspec.msgpack.decode(kept, type=Notification)


class Signature(msgspec.Struct, frozen=True, kw_only=True):
    """A signature of a message and where its certificate is."""

    version: str
    value: str
    """Base64."""
    certificate_url: str


def sequence_number(sequence: int) -> str:
    """Return the SequenceNumber of a message of a FIFO topic."""
    return str(_SEQUENCE_BASE + sequence)


def members_of(notification: Notification, subscription: Subscription) -> dict[str, Any]:
    """Return the members of an envelope that precede its signature."""
    publication = notification.publication
    members: dict[str, Any] = {"Type": notification.kind, "MessageId": publication.message_id}
    if notification.sequence_number is not None:
        members["SequenceNumber"] = notification.sequence_number
    if notification.token:
        members["Token"] = notification.token
    members["TopicArn"] = publication.topic_arn
    if publication.subject is not None:
        members["Subject"] = publication.subject
    members["Message"] = publication.text_for(subscription.protocol)
    if notification.token:
        members["SubscribeURL"] = subscribe_url(publication, notification.token)
    members["Timestamp"] = iso_ms(publication.published_ms / 1000)
    return members


def string_to_sign(members: Mapping[str, Any]) -> str:
    """Return what of an envelope's members is signed."""
    return "".join(f"{name}\n{members[name]}\n" for name in _SIGNED if name in members)


def envelope(notification: Notification, subscription: Subscription, signature: Signature | None) -> bytes:
    """Return the JSON document that queues and addresses are sent.

    Args:
        notification: what is sent.
        subscription: to whom.
        signature: of its members; None: it is not signed, as those of FIFO topics are not.
    """
    members = members_of(notification, subscription)
    if signature is not None:
        members["SignatureVersion"] = signature.version
        members["Signature"] = signature.value
        members["SigningCertURL"] = signature.certificate_url
    if notification.kind == "Notification":
        members["UnsubscribeURL"] = _unsubscribe_url(notification.publication, subscription)
    lines = [f"  {_json(name)} : {_json(value)}" for name, value in members.items()]
    if notification.publication.attributes:
        shown = shown_attributes(notification.publication.attributes).items()
        inner = ",\n".join(f"    {_json(name)} : {_json(value)}" for name, value in shown)
        lines.append(f'  "MessageAttributes" : {{\n{inner}\n  }}')
    return ("{\n" + ",\n".join(lines) + "\n}").encode()


def event(notification: Notification, subscription: Subscription, signature: Signature) -> bytes:
    """Return the event that functions are given."""
    publication = notification.publication
    record = {
        "EventSource": "aws:sns",
        "EventVersion": "1.0",
        "EventSubscriptionArn": subscription.arn,
        "Sns": {
            "Type": notification.kind,
            "MessageId": publication.message_id,
            "TopicArn": publication.topic_arn,
            "Subject": publication.subject,
            "Message": publication.text_for(subscription.protocol),
            "Timestamp": iso_ms(publication.published_ms / 1000),
            "SignatureVersion": signature.version,
            "Signature": signature.value,
            "SigningCertUrl": signature.certificate_url,
            "UnsubscribeUrl": _unsubscribe_url(publication, subscription),
            "MessageAttributes": shown_attributes(publication.attributes),
        },
    }
    return _json({"Records": [record]}).encode()


def shown_attributes(attributes: Mapping[str, MessageAttribute]) -> dict[str, dict[str, str]]:
    """Return message attributes as envelopes have them."""
    return {name: {"Type": one.data_type, "Value": one.as_text} for name, one in attributes.items()}


def subscribe_url(publication: Publication, token: str) -> str:
    """Return the link by which a subscription is confirmed."""
    topic = quote(publication.topic_arn, safe=":")
    return f"{publication.endpoint_url}/?Action=ConfirmSubscription&TopicArn={topic}&Token={token}"


def _unsubscribe_url(publication: Publication, subscription: Subscription) -> str:
    arn = quote(subscription.arn, safe=":")
    return f"{publication.endpoint_url}/?Action=Unsubscribe&SubscriptionArn={arn}"


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
