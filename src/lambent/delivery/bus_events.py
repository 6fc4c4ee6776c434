"""What was put on event buses, until every target of every rule that it is meant for has it.

Whatever is put lies in its bus's queue first, and is durable there. From there it is copied into a queue for each
target, and leaves the bus's when all of them have it. Each target's queue is taken from by itself, so that a
target that fails is nobody else's problem; an event that cannot be delivered is tried again as the target's
retry policy says, and ends in the target's dead-letter queue, if it has one. What is the matter with a policy or
a name is not tried again (AWS page "Using dead-letter queues to process undelivered events").
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import msgspec

from lambent.clock import Clock
from lambent.delivery import Delivery, Undeliverable
from lambent.delivery.takers import Takers
from lambent.domain.bus_event import BusEvent, TargetedEvent
from lambent.domain.event_bus import EventBus, bus_key
from lambent.domain.parcel import Parcel, Sender
from lambent.domain.pattern import matches
from lambent.domain.rule import Rule, RuleTarget, retry_delay_s
from lambent.domain.target_input import InvalidInput, input_of
from lambent.domain.trace import without_lineage
from lambent.store.event_buses import EventBuses
from lambent.store.messages import Message, NewMessage
from lambent.store.queues import Queues

_log = logging.getLogger(__name__)

_SERVICE = "events.amazonaws.com"
_MATCHED_AT_ONCE_MAX = 10
_SENT_AT_ONCE_MAX = 5
"""Events of one target."""
_TRY_TIMEOUT_S = 30.0
_ERROR_MAX = 1_024


@dataclass(frozen=True, slots=True, kw_only=True)
class _Failure:
    """Why an event could not be delivered."""

    code: str
    """AWS's, as dead letters have it."""
    why: str
    is_final: bool
    """Whether trying again is of no use."""


class BusEvents:
    """Owns what was put on buses and what is on its way to targets. Use `start` and `close`."""

    def __init__(
        self,
        *,
        queues: Queues,
        buses: EventBuses,
        delivery: Delivery,
        tell: Callable[[Sequence[Parcel]], Awaitable[None]],
        clock: Clock,
        drain_timeout_s: float = 2.0,
    ) -> None:
        """Make it.

        Args:
            queues: the queue engine.
            buses: where buses and rules are kept.
            delivery: takes what goes to targets.
            tell: takes dead letters, durably.
            clock: the time.
            drain_timeout_s: how long closing waits for deliveries that are going on; the others are begun anew
                by the next server.
        """
        self._queues = queues
        self._buses = buses
        self._delivery = delivery
        self._tell = tell
        self._clock = clock
        self._matching = Takers(
            queues=queues,
            prefix="buses/",
            handle=self._match,
            at_once_max=_MATCHED_AT_ONCE_MAX,
            drain_timeout_s=drain_timeout_s,
        )
        self._sending = Takers(
            queues=queues,
            prefix="targets/",
            handle=self._deliver,
            at_once_max=_SENT_AT_ONCE_MAX,
            drain_timeout_s=drain_timeout_s,
        )

    async def put(self, bus: EventBus, events: Sequence[BusEvent]) -> None:
        """Keep events durably; from then on they are on their way. Nobody waits for those of a bus without rules."""
        if not await self._buses.rules(bus.key):
            return
        # AWS follows no chain of functions through a bus: an event begins one anew.
        kept = [msgspec.structs.replace(e, trace_header=without_lineage(e.trace_header)) for e in events]
        await self._queues.send(bus.events, [NewMessage(message_id=e.id, body=e.encode()) for e in kept])
        self._matching.wake(bus.events)

    async def send(self, rule: Rule, event: BusEvent) -> None:
        """Keep an event durably for each target of a rule; from then on it is on its way."""
        await asyncio.gather(*(self._send(rule, target, event) for target in rule.targets))

    async def forget(self, bus: EventBus) -> None:
        """Drop what was put on a bus and is not yet on its way."""
        await self._queues.clear(bus.events)

    async def forget_targets(self, rule: Rule, targets: Sequence[RuleTarget]) -> None:
        """Drop what is on its way to targets of a rule."""
        for target in targets:
            await self._queues.clear(rule.deliveries(target))

    async def start(self) -> None:
        """Begin to deliver, first what an earlier server left."""
        await self._sending.start()
        await self._matching.start()

    async def close(self) -> None:
        """Stop; what is kept is delivered by the next server."""
        await self._matching.close()
        await self._sending.close()

    async def _match(self, queue: str, message: Message) -> None:
        """Give every target of a rule that means it its copy of an event."""
        event = BusEvent.decode(message.body)
        rules = await self._buses.rules(queue.partition("/")[2])
        decoded = event.decoded if rules else {}
        await asyncio.gather(*(self.send(rule, event) for rule in rules if _is_meant(rule, event, decoded)))
        await self._queues.delete(queue, [message.receipt])

    async def _send(self, rule: Rule, target: RuleTarget, event: BusEvent) -> None:
        queue = rule.deliveries(target)
        targeted = TargetedEvent(event=event, rule_key=rule.key, target_id=target.id)
        await self._queues.send(queue, [NewMessage(message_id=event.id, body=targeted.encode())])
        self._sending.wake(queue)

    async def _deliver(self, queue: str, message: Message) -> None:
        targeted = TargetedEvent.decode(message.body)
        rule = await self._buses.rule(targeted.rule_key)
        target = rule.target(targeted.target_id) if rule is not None else None
        if rule is None or target is None:
            await self._queues.delete(queue, [message.receipt])
            return
        failure = await self._try(targeted.event, rule, target)
        if failure is not None:
            condition: str | None = None
            if not failure.is_final:
                age_s = self._clock.now_s() - targeted.event.received_ms / 1000
                delay = retry_delay_s(target, message.receive_count, age_s=age_s)
                if not isinstance(delay, str):
                    await self._sending.put_back(queue, message, delay_s=delay)
                    return
                condition = delay
            await self._give_up(
                targeted.event,
                rule,
                target,
                why=failure.why,
                attributes=_dead_letter_attributes(
                    rule, target, failure, condition=condition, retries=message.receive_count - 1
                ),
            )
        await self._queues.delete(queue, [message.receipt])

    async def _try(self, event: BusEvent, rule: Rule, target: RuleTarget) -> _Failure | None:
        """Deliver an event, and return what went wrong."""
        if event.is_forwarded and bus_key(target.arn) is not None:
            why = "it came from another event bus already"
            return _Failure(code="THIRD_ACCOUNT_HOP_DETECTED", why=why, is_final=True)
        try:
            async with asyncio.timeout(_TRY_TIMEOUT_S):
                await self._delivery.deliver(_parcel(event, rule, target))
        except InvalidInput as error:
            return _Failure(code="INVALID_JSON", why=str(error), is_final=True)
        except Undeliverable as error:
            return _Failure(code=_code(error), why=str(error), is_final=error.is_final or error.is_missing)
        except TimeoutError:
            return _Failure(code="TIMEOUT", why="it took too long", is_final=False)
        return None

    async def _give_up(
        self,
        event: BusEvent,
        rule: Rule,
        target: RuleTarget,
        *,
        why: str,
        attributes: tuple[tuple[str, str, str], ...],
    ) -> None:
        """Report what could not be delivered, and hand it to the dead-letter queue."""
        dead_letters = target.dead_letter_arn
        kept = f" (kept in {dead_letters})" if dead_letters else ""
        _log.error("Given up delivering %s to %s%s: %s.", _about(event, rule), target.arn, kept, why)
        if dead_letters is not None:
            await self._tell(
                [
                    Parcel(
                        arn=dead_letters,
                        body=event.body,
                        attributes=attributes,
                        trace_header=event.trace_header,
                        about=_about(event, rule),
                        is_dead_letter=True,
                        sender=_sender(rule, None),
                    )
                ]
            )


def _is_meant(rule: Rule, event: BusEvent, decoded: Mapping[str, Any]) -> bool:
    return (
        rule.is_enabled
        and bool(rule.pattern)
        and int(rule.since_s * 1000) <= event.received_ms
        and matches(_parsed(rule.pattern), decoded)
    )


@lru_cache(maxsize=4096)
def _parsed(pattern: str) -> Mapping[str, Any]:
    return msgspec.json.decode(pattern)


def _parcel(event: BusEvent, rule: Rule, target: RuleTarget) -> Parcel:
    is_bus = bus_key(target.arn) is not None
    return Parcel(
        arn=target.arn,
        # On another bus an event is what it was: there is nothing that transforms it.
        body=event.detail.encode() if is_bus else input_of(event, rule, target),
        event=msgspec.structs.replace(event, detail="", is_forwarded=True) if is_bus else None,
        trace_header=event.trace_header,
        about=_about(event, rule),
        sender=_sender(rule, target.role_arn),
        group_id=target.group_id,
    )


def _sender(rule: Rule, role_arn: str | None) -> Sender:
    return Sender(service=_SERVICE, source_arn=rule.arn, source_account=rule.account, role_arn=role_arn)


def _about(event: BusEvent, rule: Rule) -> str:
    return f"event {event.id} of {rule.arn}"


def _code(error: Undeliverable) -> str:
    if error.is_forbidden:
        return "NO_PERMISSIONS"
    if error.is_missing:
        return "NO_RESOURCE"
    return "SDK_CLIENT_ERROR" if error.is_final else "ERROR_FROM_TARGET"


def _dead_letter_attributes(
    rule: Rule, target: RuleTarget, failure: _Failure, *, condition: str | None, retries: int
) -> tuple[tuple[str, str, str], ...]:
    told = {
        "RULE_ARN": rule.arn,
        "TARGET_ARN": target.arn,
        "ERROR_CODE": failure.code,
        "ERROR_MESSAGE": failure.why[:_ERROR_MAX],
        "RETRY_ATTEMPTS": str(retries),
    }
    if condition is not None:
        told["EXHAUSTED_RETRY_CONDITION"] = condition
    return tuple((name, "String", value) for name, value in told.items())
