"""A subscription to a topic: who is told of what is published, and how. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from lambent.arn import Arn, parse_arn

State = Literal["pending", "confirmed", "deleted"]
"""A deleted one is kept while the token that its endpoint was sent can bring it back."""

TOKEN_VALID_S = 2 * 86_400
"""How long a subscription can be confirmed (API page Subscribe)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    """One subscription."""

    topic_arn: str
    id: str
    """A UUID, the last part of its ARN."""
    protocol: str
    """``http``, ``https``, ``sqs``, ``lambda``, or one by which nothing is sent here: ``email``, ``sms``, …"""
    endpoint: str
    """An address, an ARN, a mailbox or a telephone number."""
    owner: str
    """The account that subscribed."""
    principal: str
    """The ARN of who did."""
    attributes: Mapping[str, str] = field(default_factory=dict[str, str])
    """By AWS name, those that were set."""
    state: State = "confirmed"
    token: str = ""
    """What confirms it."""
    token_s: float = 0.0
    """When the token was made, in seconds since the epoch."""
    confirmed_ms: int = 0
    """When it was confirmed: what was published before is none of its business."""
    was_authenticated: bool = True
    """Whether a signed request confirmed it."""
    is_guarded: bool = False
    """Whether only a signed request ends it (AuthenticateOnUnsubscribe)."""

    @property
    def arn(self) -> str:
        """The subscription's ARN."""
        return f"{self.topic_arn}:{self.id}"

    @property
    def key(self) -> str:
        """``account/region/topic/id``."""
        arn = parse_arn(self.topic_arn)
        assert arn is not None
        return f"{arn.account}/{arn.region}/{arn.resource}/{self.id}"

    @property
    def notifications(self) -> str:
        """What the queue engine calls the queue of what is to be sent to it."""
        return f"subscriptions/{self.key}"

    @property
    def is_raw(self) -> bool:
        """Whether messages are sent as they are, without an envelope."""
        return self.attributes.get("RawMessageDelivery") == "true"

    @property
    def is_http(self) -> bool:
        """Whether its endpoint is an address."""
        return self.protocol in ("http", "https")

    @property
    def filter_scope(self) -> str:
        """``MessageAttributes`` or ``MessageBody``: to what its filter policy applies."""
        return self.attributes.get("FilterPolicyScope", "MessageAttributes")


def subscription_key(arn: str) -> str | None:
    """Return the key of a subscription's ARN; None when it is none."""
    parts = split_subscription_arn(arn)
    return None if parts is None else f"{parts[0].account}/{parts[0].region}/{parts[0].resource}/{parts[1]}"


def split_subscription_arn(arn: str) -> tuple[Arn, str] | None:
    """Return the topic's ARN and the id in a subscription's ARN; None when it is none."""
    topic, _, identifier = arn.rpartition(":")
    parsed = parse_arn(topic)
    if parsed is None or parsed.service != "sns" or not identifier or ":" in parsed.resource:
        return None
    return parsed, identifier
