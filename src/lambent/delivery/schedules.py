"""Rules with schedules, fired when they are due.

Each due time comes once at most, and those that passed while no server ran do not come at all.
"""

from __future__ import annotations

import asyncio
import logging
import uuid

from lambent.clock import Clock
from lambent.delivery.bus_events import BusEvents
from lambent.domain.bus_event import BusEvent
from lambent.domain.rule import Rule
from lambent.domain.schedule import next_due_s, parse_schedule
from lambent.store.event_buses import EventBuses

_log = logging.getLogger(__name__)

_LOOK_AGAIN_S = 30.0
"""A machine that slept, or whose time was set, is noticed within this time."""
_LATE_S = 60.0
_CAUGHT_UP_MAX = 1_000
_TROUBLE_S = 1.0


class Schedules:
    """Owns when scheduled rules are due next. Use `start` and `close`."""

    def __init__(self, *, buses: EventBuses, events: BusEvents, clock: Clock, catches_up: bool) -> None:
        """Make it.

        Args:
            buses: where rules are kept.
            events: takes what rules fire.
            clock: the time.
            catches_up: whether due times that the clock leaps over are made up for, as they are on a virtual
                clock. Else those that are more than a minute ago are passed over: the machine slept.
        """
        self._buses = buses
        self._events = events
        self._clock = clock
        self._catches_up = catches_up
        self._due: dict[str, float] = {}
        """By the keys of rules."""
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to fire."""
        for rule in await self._buses.scheduled():
            self.changed(rule)
        self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        """Stop firing."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def changed(self, rule: Rule) -> None:
        """Reckon anew when a rule is due, because it is new, or not what it was."""
        self._reckon(rule, after_s=self._clock.now_s())
        self._changed.set()

    def forget(self, rule: Rule) -> None:
        """Let a rule that was deleted never be due again."""
        self._due.pop(rule.key, None)

    def _reckon(self, rule: Rule, *, after_s: float) -> None:
        self._due.pop(rule.key, None)
        schedule = parse_schedule(rule.schedule) if rule.is_enabled else None
        if schedule is None:
            return
        due_s = next_due_s(schedule, since_s=rule.since_s, after_s=after_s)
        if due_s is not None:
            self._due[rule.key] = due_s

    async def _run(self) -> None:
        while True:
            self._changed.clear()
            try:
                await self._fire_due()
            except Exception:
                # A full disk, for instance. What was due is passed over, because it may have been fired.
                _log.exception("A scheduled rule could not be fired.")
                await asyncio.sleep(_TROUBLE_S)
            await self._wait()

    async def _wait(self) -> None:
        left_s = min(self._due.values(), default=float("inf")) - self._clock.now_s()
        sleeping = asyncio.ensure_future(self._clock.sleep(max(0.0, min(left_s, _LOOK_AGAIN_S))))
        changing = asyncio.ensure_future(self._changed.wait())
        try:
            await asyncio.wait({sleeping, changing}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            sleeping.cancel()
            changing.cancel()

    async def _fire_due(self) -> None:
        now_s = self._clock.now_s()
        for key in [key for key, due_s in self._due.items() if due_s <= now_s]:
            rule = await self._buses.rule(key)
            if rule is None:
                self._due.pop(key, None)
                continue
            for _ in range(_CAUGHT_UP_MAX):
                due_s = self._due.get(key)
                if due_s is None or due_s > now_s:
                    break
                # First, so that a due time that fails is not tried again.
                self._reckon(rule, after_s=due_s)
                if self._catches_up or now_s - due_s <= _LATE_S:
                    await self._events.send(rule, _event(rule, due_s, received_s=now_s))
            else:
                _log.warning("%s was due more than %d times at once.", rule.arn, _CAUGHT_UP_MAX)
                self._reckon(rule, after_s=now_s)


def _event(rule: Rule, due_s: float, *, received_s: float) -> BusEvent:
    return BusEvent(
        id=str(uuid.uuid4()),
        source="aws.events",
        detail_type="Scheduled Event",
        account=rule.account,
        region=rule.region,
        time_s=due_s,
        resources=(rule.arn,),
        detail="{}",
        received_ms=int(received_s * 1000),
    )
