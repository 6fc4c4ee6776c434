"""A topic of SNS: its name, its attributes, and what they mean. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

MESSAGE_MAX_BYTES = 262_144
"""Of a message with its attributes, unless the topic's attribute MaximumMessageSize says more."""

_OWNERS_ACTIONS = (
    "GetTopicAttributes",
    "SetTopicAttributes",
    "AddPermission",
    "RemovePermission",
    "DeleteTopic",
    "Subscribe",
    "ListSubscriptionsByTopic",
    "Publish",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Topic:
    """One topic."""

    account: str
    region: str
    name: str
    attributes: Mapping[str, str] = field(default_factory=dict[str, str])
    """By AWS name, those that were set."""
    tags: Mapping[str, str] = field(default_factory=dict[str, str])
    data_protection_policy: str = ""
    deleted_subscriptions: int = 0
    """How many there were and are no more."""

    @property
    def key(self) -> str:
        """``account/region/name``."""
        return f"{self.account}/{self.region}/{self.name}"

    @property
    def publications(self) -> str:
        """What the queue engine calls the queue of what is published to it."""
        return f"topics/{self.key}"

    @property
    def arn(self) -> str:
        """The topic's ARN."""
        return f"arn:aws:sns:{self.region}:{self.account}:{self.name}"

    @property
    def is_fifo(self) -> bool:
        """Whether it is a FIFO topic."""
        return self.name.endswith(".fifo")

    @property
    def signature_version(self) -> str:
        """``1`` or ``2``: by which hash messages are signed."""
        return self.attributes.get("SignatureVersion", "1")

    @property
    def policy(self) -> str:
        """Its resource-based policy; the default one lets in only its owner."""
        return self.attributes.get("Policy") or default_policy(self)

    @property
    def message_max_bytes(self) -> int:
        """How large a message may be, attributes included."""
        return int(self.attributes.get("MaximumMessageSize", MESSAGE_MAX_BYTES))


def default_policy(topic: Topic) -> str:
    """Return the policy that a topic has unless it was given one."""
    statement = {
        "Sid": "__default_statement_ID",
        "Effect": "Allow",
        "Principal": {"AWS": "*"},
        "Action": [f"SNS:{action}" for action in _OWNERS_ACTIONS],
        "Resource": topic.arn,
        "Condition": {"StringEquals": {"AWS:SourceOwner": topic.account}},
    }
    document = {"Version": "2008-10-17", "Id": "__default_policy_ID", "Statement": [statement]}
    return json.dumps(document, separators=(",", ":"))
