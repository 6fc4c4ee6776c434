"""A queue of SQS: its name, its attributes, and what they mean in numbers. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec

from lambent.arn import parse_arn


@dataclass(frozen=True, slots=True, kw_only=True)
class RedrivePolicy:
    """Where messages go that were received too often."""

    dead_letter_arn: str
    max_receive_count: int


class _Redrive(msgspec.Struct, rename="camel"):
    """The attribute as it is written; clients write the number as a text, too."""

    dead_letter_target_arn: str
    max_receive_count: int


class _DeadLetters(msgspec.Struct, rename="camel"):
    """The attribute as subscriptions have it."""

    dead_letter_target_arn: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageQueue:
    """One queue."""

    account: str
    region: str
    name: str
    attributes: Mapping[str, str] = field(default_factory=dict[str, str])
    """By AWS name, those that can be set, defaults included."""
    tags: Mapping[str, str] = field(default_factory=dict[str, str])
    created_s: int
    modified_s: int

    @property
    def key(self) -> str:
        """``account/region/name``."""
        return f"{self.account}/{self.region}/{self.name}"

    @property
    def messages(self) -> str:
        """What the queue engine calls it."""
        return f"sqs/{self.key}"

    @property
    def arn(self) -> str:
        """The queue's ARN."""
        return f"arn:aws:sqs:{self.region}:{self.account}:{self.name}"

    @property
    def is_fifo(self) -> bool:
        """Whether it is a FIFO queue."""
        return self.name.endswith(".fifo")

    @property
    def redrive(self) -> RedrivePolicy | None:
        """Its redrive policy, if it has one."""
        text = self.attributes.get("RedrivePolicy")
        return None if not text else parse_redrive_policy(text)

    def milliseconds(self, attribute: str) -> int:
        """An attribute in seconds, in milliseconds."""
        return int(self.attributes[attribute]) * 1000


def parse_redrive_policy(text: str) -> RedrivePolicy | None:
    """Return what the text of a RedrivePolicy attribute says; None when it says nothing acceptable."""
    try:
        read = msgspec.json.decode(text, type=_Redrive, strict=False)
    except (msgspec.MsgspecError, UnicodeError):
        return None
    if parse_arn(read.dead_letter_target_arn) is None or not 1 <= read.max_receive_count <= 1000:
        return None
    return RedrivePolicy(
        dead_letter_arn=read.dead_letter_target_arn, max_receive_count=read.max_receive_count
    )


def dead_letter_arn(text: str | None) -> str | None:
    """Return where a subscription's RedrivePolicy, which counts nothing, sends dead letters; None: nowhere."""
    if not text:
        return None
    try:
        return msgspec.json.decode(text, type=_DeadLetters).dead_letter_target_arn
    except (msgspec.MsgspecError, UnicodeError):
        return None
