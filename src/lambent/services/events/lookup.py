"""Buses and rules as callers name them, by name or ARN; and pages of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from lambent.arn import parse_arn
from lambent.domain.call import Call
from lambent.domain.event_bus import DEFAULT, EventBus, bus_key
from lambent.domain.page_token import key_of_token, token_after
from lambent.domain.rule import Rule
from lambent.errors import AccessDeniedException, ValidationException
from lambent.services import Members
from lambent.services.events.errors import no_bus, no_rule
from lambent.store import RevisionConflict
from lambent.store.event_buses import EventBuses

PAGE_MAX = 100

T = TypeVar("T")


class Lookup:
    """Finds buses and rules, and changes them."""

    def __init__(self, buses: EventBuses) -> None:
        self.buses = buses

    async def bus(self, call: Call, name: str | None) -> EventBus:
        """Return a bus.

        Args:
            call: who asks and where.
            name: its name or ARN; None: the default one.

        Raises:
            AccessDeniedException: it is another account's, which has not opened it.
            ResourceNotFoundException: there is none.
        """
        key = bus_key_of(call, name)
        bus = await self.buses.get(key)
        if bus is None:
            raise no_bus(name_in(key))
        return bus

    async def change_bus(self, key: str, decide: Callable[[EventBus], EventBus]) -> EventBus:
        """Replace a bus by what `decide` makes of it, and return it.

        Raises:
            ResourceNotFoundException: there is none.
        """
        bus = await self.buses.change(key, decide)
        if bus is None:
            raise no_bus(name_in(key))
        return bus

    async def rule(self, call: Call, bus_name: str | None, name: str) -> Rule:
        """Return a rule.

        Raises:
            AccessDeniedException: the bus is another account's, which has not opened it.
            ResourceNotFoundException: there is no such bus or rule.
        """
        bus = await self.bus(call, bus_name)
        rule = await self.buses.rule(f"{bus.key}/{name}")
        if rule is None:
            raise no_rule(bus.name, name)
        return rule

    async def change_rule(self, key: str, decide: Callable[[Rule | None], Rule | None]) -> Rule | None:
        """Replace a rule by what `decide` makes of it (see `EventBuses.change_rule`), and return it.

        Raises:
            ResourceNotFoundException: there is no such bus.
        """
        try:
            return await self.buses.change_rule(key, decide)
        except RevisionConflict as error:
            raise no_bus(key.split("/")[2]) from error

    async def change_existing_rule(self, key: str, decide: Callable[[Rule], Rule]) -> Rule:
        """Replace a rule that there is, and return it.

        Raises:
            ResourceNotFoundException: there is no such bus or rule.
        """

        def decided(rule: Rule | None) -> Rule:
            if rule is None:
                raise no_rule(*key.split("/")[2:])
            return decide(rule)

        changed = await self.change_rule(key, decided)
        assert changed is not None
        return changed


def bus_key_of(call: Call, name: str | None) -> str:
    """Return the key of a bus that a caller names.

    Raises:
        AccessDeniedException: it is another account's, which has not opened it.
    """
    if name is None or not name.startswith("arn:"):
        return f"{call.account}/{call.region}/{name or DEFAULT}"
    arn, key = parse_arn(name), bus_key(name)
    if arn is None or key is None:
        # The model lets nothing else begin so; it is a name then.
        return f"{call.account}/{call.region}/{name}"
    if arn.account not in (call.account, call.admitted_account):
        raise AccessDeniedException(
            f"User: {call.principal.arn} is not authorized to perform this operation on resource: {name}"
        )
    return key


def name_in(key: str) -> str:
    """Return the name of a bus or rule in its key."""
    return key.rpartition("/")[2]


def paged(
    items: Sequence[T], parameters: Members, *, key: Callable[[T], str]
) -> tuple[Sequence[T], dict[str, Any]]:
    """Return the page that ``NextToken`` and ``Limit`` ask for, and the members that say whether there is more.

    Args:
        items: all of them, in the order of their keys.
        parameters: of the call.
        key: of an item; unique.

    Raises:
        ValidationException: the token is none of ours.
    """
    after = key_after(parameters)
    left = [item for item in items if key(item) > after] if after else items
    size = parameters.get("Limit") or PAGE_MAX
    shown = left[:size]
    return shown, {"NextToken": token_after(key(shown[-1]))} if len(left) > size else {}


def key_after(parameters: Members) -> str:
    """Return the key with which the page before ended; empty for the first page.

    Raises:
        ValidationException: the token is none of ours.
    """
    token: str | None = parameters.get("NextToken")
    key = key_of_token(token) if token else ""
    if key is None:
        raise ValidationException("Parameter NextToken is not valid.")
    return key
