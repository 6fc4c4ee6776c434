"""The door to queued messages: at least once, in flight until deleted, with dead letters and ordered groups.

What a queue is like (its delay, its dead-letter queue, how long it keeps messages) is said with each call; the
store knows queues by name only, and a queue exists from its first message on. Time is an argument. Waiting is
not done here: `lambent.store.queues` puts clock and waiting receivers on top of this.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import msgspec

DEDUPLICATION_MS = 300_000
"""How long a deduplication id is remembered (AWS page "Exactly-once processing in Amazon SQS")."""


Validity = Literal["valid", "expired", "gone"]
"""Of a receipt: its message is in flight by it; is no more, and there; is there no more."""


class NewMessage(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A message on its way into a queue; a struct because thousands are made in a second."""

    message_id: str
    body: bytes
    attributes: bytes = b""
    """Whatever else the queue's owner keeps of it."""
    delay_ms: int = 0
    group: str | None = None
    """Messages of one group are received in order, and none while another of the group is in flight."""
    deduplication_id: str | None = None
    """A message is not sent again when one with the same id was sent in the last five minutes."""


class Sent(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What became of a message that was sent: its own identity, or that of the one it is a duplicate of."""

    message_id: str
    sequence: int
    is_duplicate: bool = False


class Receipt(msgspec.Struct, frozen=True, gc=False):
    """One receive of one message; a later receive of the same message has another token."""

    sequence: int
    token: int


class Message(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A message as it was received."""

    receipt: Receipt
    message_id: str
    body: bytes
    attributes: bytes
    group: str | None
    sent_ms: int
    first_received_ms: int
    received_ms: int
    """When this receive was."""
    receive_count: int
    """This receive included."""
    source: str | None
    """The queue of which it is a dead letter, if it is one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetters:
    """Where messages go that have been received too often."""

    queue: str
    max_receive_count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Take:
    """How messages are to be received."""

    limit: int
    visibility_ms: int
    """How long they are in flight; then they can be received again."""
    retention_ms: int | None = None
    """Older messages are forgotten instead; None: they are kept."""
    dead_letters: DeadLetters | None = None
    is_fifo: bool = False
    """Receive in the order of groups, and only from groups of which nothing is in flight."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """What a receive came to."""

    messages: tuple[Message, ...] = ()
    dead: int = 0
    """How many were moved to the dead-letter queue."""
    next_ms: int | None = None
    """When nothing was received: the time at which something may become visible, None when nothing will."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Postponement:
    """A message in flight that is to be seen again at another time."""

    receipt: Receipt
    visible_ms: int
    attributes: bytes | None = None
    """None: they stay as they are."""
    is_released: bool = False
    """Whether it is no longer in flight but waiting, as if it had been sent with a delay."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """How many messages a queue holds."""

    total: int
    in_flight: int
    delayed: int

    @property
    def visible(self) -> int:
        """How many can be received."""
        return max(0, self.total - self.in_flight - self.delayed)


class Messages(Protocol):
    """Queued messages. Names of queues are any text; of two calls the later sees what the earlier did."""

    async def send(self, queue: str, messages: Sequence[NewMessage], *, now_ms: int) -> list[Sent]:
        """Keep messages durably, against a power cut too, and return what became of each, in order."""
        ...

    async def receive(self, queue: str, take: Take, *, now_ms: int) -> Taken:
        """Return messages that are visible, and put them in flight.

        Messages too old are forgotten, messages received too often become dead letters. What is done here may
        be undone by a power cut: then messages are received again.
        """
        ...

    async def delete(self, queue: str, receipts: Sequence[Receipt]) -> list[bool]:
        """Forget messages; False where the receipt is not that of the message's last receive."""
        ...

    async def validities(self, queue: str, receipts: Sequence[Receipt], *, now_ms: int) -> list[Validity]:
        """Return what receipts are worth now, in order."""
        ...

    async def postpone(self, queue: str, postponements: Sequence[Postponement], *, now_ms: int) -> list[bool]:
        """Change when messages in flight are visible; False where one is not in flight by this receipt."""
        ...

    async def counts(self, queue: str, *, now_ms: int) -> Counts:
        """Return how many messages there are; expired ones may be counted until somebody receives."""
        ...

    async def clear(self, queue: str) -> None:
        """Forget every message of a queue, also those in flight, and what was deduplicated."""
        ...

    async def sources(self, queue: str) -> set[str]:
        """Return the queues of which messages of a queue are dead letters."""
        ...

    async def move(self, queue: str, destination: str | None, *, limit: int, now_ms: int) -> dict[str, int]:
        """Move visible messages to another queue as if they had never been received.

        Args:
            queue: where they are.
            destination: where they go; None: each to the queue of which it is a dead letter, and those that
                are none stay.
            limit: how many at most.
            now_ms: the time.

        Returns:
            How many went to which queue.
        """
        ...

    async def resume(self, prefix: str, *, now_ms: int) -> list[str]:
        """Make what is in flight visible in all queues whose name begins so, and return those with messages.

        For queues that only this server receives from: a server before it was killed with messages in flight.
        """
        ...
