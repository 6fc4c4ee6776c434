"""EventBridge's buses and rules as documents."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import msgspec

from lambent.domain.event_bus import DEFAULT, EventBus
from lambent.domain.rule import Rule
from lambent.store import Delete, Documents, Put, RevisionConflict

KIND = "event-bus"
RULE_KIND = "rule"
_REMEMBERED_MAX = 10_000
_PAGE = 1_000


class BusHasRules(Exception):
    """A bus cannot be forgotten while there are rules on it."""


class EventBuses:
    """Typed access to stored buses and rules. Remembers them: every event asks for its bus's rules.

    The default bus of every account and region is there without being kept; it is kept once it is changed.
    """

    def __init__(self, documents: Documents) -> None:
        self._documents = documents
        self._remembered: dict[str, EventBus] = {}
        self._rules: dict[str, dict[str, Rule]] = {}
        self._changing = asyncio.Lock()
        """Held while buses and rules are read or changed, so that what is remembered is what is kept."""

    async def get(self, key: str) -> EventBus | None:
        """Return the bus with a key, or None."""
        if (remembered := self._remembered.get(key)) is not None:
            return remembered
        async with self._changing:
            return await self._bus(key)

    async def put_new(self, bus: EventBus, *, others_max: int) -> bool:
        """Keep a new bus durably; False when there is one of that name.

        Args:
            bus: what to keep.
            others_max: how many others the account may have in this region.

        Raises:
            OverflowError: it has more.
        """
        async with self._changing:
            if await self._bus(bus.key) is not None:
                return False
            place = f"{bus.account}/{bus.region}/"
            others = await self._documents.list(KIND, prefix=place, limit=others_max + 2)
            if sum(document.key != place + DEFAULT for document in others) > others_max:
                raise OverflowError
            await self._keep(bus)
        return True

    async def change(self, key: str, decide: Callable[[EventBus], EventBus]) -> EventBus | None:
        """Replace a bus by what `decide` makes of it, durably, and return it; None when there is none."""
        async with self._changing:
            bus = await self._bus(key)
            if bus is None:
                return None
            changed = decide(bus)
            if changed != bus:
                await self._keep(changed)
            return changed

    async def delete(self, key: str) -> EventBus | None:
        """Forget a bus and return it, or None when there was none.

        Raises:
            BusHasRules: there are rules on it.
        """
        async with self._changing:
            bus = await self._bus(key)
            if bus is None:
                return None
            if await self._of(key):
                raise BusHasRules
            self._remembered.pop(key, None)
            await self._documents.apply(Delete(kind=KIND, key=key))
            return bus

    async def list(
        self, account: str, region: str, *, prefix: str, after: str, limit: int
    ) -> Sequence[EventBus]:
        """Return buses of an account and region in the order of their names."""
        place = f"{account}/{region}/"
        documents = await self._documents.list(
            KIND, prefix=place + prefix, after=place + after if after else "", limit=limit
        )
        kept = [msgspec.json.decode(document.body, type=EventBus) for document in documents]
        buses = {bus.name: bus for bus in kept}
        if DEFAULT.startswith(prefix) and after < DEFAULT:
            buses.setdefault(DEFAULT, EventBus(account=account, region=region, name=DEFAULT))
        return sorted(buses.values(), key=lambda bus: bus.name)[:limit]

    async def rules(self, bus_key: str) -> Sequence[Rule]:
        """Return the rules of a bus in the order of their names."""
        if (remembered := self._rules.get(bus_key)) is not None:
            return list(remembered.values())
        async with self._changing:
            return list((await self._of(bus_key)).values())

    async def rule(self, key: str) -> Rule | None:
        """Return the rule with a key, or None."""
        bus_key, _, name = key.rpartition("/")
        if (remembered := self._rules.get(bus_key)) is not None:
            return remembered.get(name)
        async with self._changing:
            return (await self._of(bus_key)).get(name)

    async def change_rule(self, key: str, decide: Callable[[Rule | None], Rule | None]) -> Rule | None:
        """Replace a rule by what `decide` makes of it, durably, and return what there is then.

        Args:
            key: of the rule.
            decide: is given the rule, None when there is none, and returns what is to be kept, None for nothing.

        Raises:
            RevisionConflict: there is no such bus any more.
        """
        bus_key, _, name = key.rpartition("/")
        async with self._changing:
            if await self._bus(bus_key) is None:
                raise RevisionConflict(bus_key)
            rules = await self._of(bus_key)
            before = rules.get(name)
            after = decide(before)
            if after == before:
                return after
            self._rules.pop(bus_key, None)
            if after is None:
                await self._documents.apply(Delete(kind=RULE_KIND, key=key))
            else:
                await self._documents.apply(Put(kind=RULE_KIND, key=key, body=msgspec.json.encode(after)))
            return after

    async def scheduled(self) -> list[Rule]:
        """Return every rule that has a schedule."""
        found: list[Rule] = []
        after = ""
        while documents := await self._documents.list(RULE_KIND, after=after, limit=_PAGE):
            rules = [msgspec.json.decode(document.body, type=Rule) for document in documents]
            found += [rule for rule in rules if rule.schedule]
            after = documents[-1].key
        return found

    async def _bus(self, key: str) -> EventBus | None:
        """Return a bus; whoever asks holds the lock."""
        if (remembered := self._remembered.get(key)) is not None:
            return remembered
        document = await self._documents.get(KIND, key)
        if document is not None:
            return self._remember(key, msgspec.json.decode(document.body, type=EventBus))
        account, region, name = key.split("/", 2)
        return EventBus(account=account, region=region, name=name) if name == DEFAULT else None

    async def _of(self, bus_key: str) -> dict[str, Rule]:
        """Return a bus's rules by name; whoever asks holds the lock."""
        if (remembered := self._rules.get(bus_key)) is not None:
            return remembered
        found: dict[str, Rule] = {}
        after = ""
        while documents := await self._documents.list(
            RULE_KIND, prefix=f"{bus_key}/", after=after, limit=_PAGE
        ):
            for document in documents:
                rule = msgspec.json.decode(document.body, type=Rule)
                found[rule.name] = rule
            after = documents[-1].key
        if len(self._rules) >= _REMEMBERED_MAX:
            self._rules.clear()
        self._rules[bus_key] = found
        return found

    async def _keep(self, bus: EventBus) -> None:
        self._remembered.pop(bus.key, None)
        await self._documents.apply(Put(kind=KIND, key=bus.key, body=msgspec.json.encode(bus)))
        self._remember(bus.key, bus)

    def _remember(self, key: str, bus: EventBus) -> EventBus:
        if len(self._remembered) >= _REMEMBERED_MAX:
            self._remembered.clear()
        self._remembered[key] = bus
        return bus
