"""The watch over budgets: looks at what has been spent, tells of it, and stops functions.

It looks every two seconds, as long as there are budgets. To stop a function is to reserve no concurrency for it, as a
person would; it gets back what it had when the next period begins, the budget is raised, or it is deleted. What was
told and stopped is durable, so a restarted server neither repeats nor forgets it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Protocol

import msgspec

from lambent.clock import Clock, iso_ms
from lambent.domain.budget import (
    Budget,
    Standing,
    first_day_of,
    is_for,
    key_of,
    members_of,
    period_of,
    sentence,
    spent,
    step,
)
from lambent.domain.function import Function, FunctionKey
from lambent.domain.ledger import day_of
from lambent.domain.parcel import Parcel
from lambent.domain.pricing.exact import plain
from lambent.domain.pricing.price_list import PriceList
from lambent.store.budgets import Budgets
from lambent.store.ledger import Ledger

_log = logging.getLogger(__name__)
_LOOK_S = 2.0
_PAUSES = 20
"""Looking takes a twentieth of the time at most, however many budgets and functions there are."""
_LOOK_FOR_OTHERS_S = 60.0
"""How often it is looked for functions that came after the others of a budget were stopped."""

Tell = Callable[[Sequence[Parcel]], Awaitable[None]]
"""Keeps durably what is to be delivered."""
Change = Callable[[FunctionKey, Callable[[Function], Function]], Awaitable[object]]
"""Changes a stored function; nothing when it is gone."""


class KnownFunctions(Protocol):
    """The functions that there are."""

    async def get(self, key: FunctionKey) -> Function | None:
        """Return a function, or None."""
        ...

    async def all(self) -> list[Function]:
        """Return every function of every account."""
        ...


class BudgetWatch:
    """Looks after budgets. Use as an async context manager."""

    def __init__(
        self,
        *,
        budgets: Budgets,
        ledger: Ledger,
        functions: KnownFunctions,
        change: Change,
        tell: Tell,
        prices: PriceList,
        clock: Clock,
    ) -> None:
        """Make it.

        Args:
            budgets: those that there are.
            ledger: what has been used.
            functions: which functions a budget is for.
            change: stops and releases functions.
            tell: takes what is to be delivered.
            prices: the price list.
            clock: the time.
        """
        self._budgets = budgets
        self._ledger = ledger
        self._functions = functions
        self._change = change
        self._tell = tell
        self._prices = prices
        self._clock = clock
        self._looking = asyncio.Lock()
        self._looked_for_others_s: dict[tuple[str, str], float] = {}
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> BudgetWatch:
        self._task = asyncio.create_task(self._look_on())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def look(self) -> None:
        """Look at every budget, and do what is to be done."""
        async with self._looking:
            for budget in await self._budgets.all():
                await self._look_at(budget)

    async def spent(self, budget: Budget) -> Decimal:
        """Return what has been spent of a budget in the period of now."""
        today = self._today()
        usages = await self._ledger.usage(
            budget.account, first_day=first_day_of(budget, today), last_day=today, by_day=False
        )
        # Of ten thousand functions it takes a moment, and requests should not have to wait for it.
        return await asyncio.to_thread(spent, budget, usages, self._prices)

    async def standing(self, budget: Budget) -> Standing | None:
        """Return how a budget stood at the last look."""
        return await self._budgets.standing(budget)

    async def delete(self, budget: Budget) -> None:
        """Forget a budget; functions that it stopped get back what they had."""
        async with self._looking:
            standing = await self._budgets.standing(budget)
            if standing is not None:
                await self._release(standing)
            await self._budgets.delete(budget)

    async def put(self, budget: Budget) -> None:
        """Keep a budget, new or changed; what another scope of it had stopped is released."""
        async with self._looking:
            before = await self._budgets.get(budget.account, budget.name)
            standing = None if before is None else await self._budgets.standing(before)
            if before is not None and standing is not None and _scope(before) != _scope(budget):
                await self._release(standing)
                await self._budgets.delete(before)
            await self._budgets.put(budget)
            await self._look_at(budget)

    async def _look_on(self) -> None:
        pause_s = _LOOK_S
        while True:
            await self._clock.sleep(pause_s)
            began_s = self._clock.monotonic_s()
            try:
                await self.look()
            except Exception:
                _log.exception("Budgets could not be looked at.")
            pause_s = max(_LOOK_S, _PAUSES * (self._clock.monotonic_s() - began_s))

    async def _look_at(self, budget: Budget) -> None:
        amount = await self.spent(budget)
        before = await self._budgets.standing(budget)
        todo = step(budget, before, period=period_of(budget, self._today()), amount=amount)
        standing = todo.standing
        if todo.releases and before is not None:
            await self._release(before)
        if standing.is_stopped and (todo.stops or self._is_time_for_others(budget)):
            standing = await self._stop(budget, standing)
        if todo.warns and not todo.stops:
            await self._say(budget, standing, amount, is_stop=False)
        if todo.stops:
            await self._say(budget, standing, amount, is_stop=True)
        if standing != before:
            await self._budgets.put_standing(budget, standing)

    async def _stop(self, budget: Budget, standing: Standing) -> Standing:
        """Stop every function of a budget that runs; what it had is durable before it is taken."""
        running = [one for one in await self._functions_of(budget) if one.reserved_concurrency != 0]
        if not running:
            return standing
        had = {one.key.path: one.reserved_concurrency for one in running}
        standing = replace(standing, stopped={**standing.stopped, **had})
        await self._budgets.put_standing(budget, standing)
        for function in running:
            await self._change(function.key, _stopped)
        return standing

    async def _release(self, standing: Standing) -> None:
        for path, had in standing.stopped.items():
            await self._change(key_of(path), lambda function, had=had: _released(function, had))
        if standing.stopped:
            names = ", ".join(sorted(key_of(path).name for path in standing.stopped))
            _log.warning("Functions that a budget had stopped are released: %s.", names)

    async def _functions_of(self, budget: Budget) -> list[Function]:
        if budget.function is not None:
            key = FunctionKey(account=budget.account, region=budget.region, name=budget.function)
            function = await self._functions.get(key)
            return [] if function is None else [function]
        return [function for function in await self._functions.all() if is_for(budget, function)]

    def _is_time_for_others(self, budget: Budget) -> bool:
        place, now_s = (budget.account, budget.name), self._clock.monotonic_s()
        if now_s - self._looked_for_others_s.get(place, -_LOOK_FOR_OTHERS_S) < _LOOK_FOR_OTHERS_S:
            return False
        self._looked_for_others_s[place] = now_s
        return True

    async def _say(self, budget: Budget, standing: Standing, amount: Decimal, *, is_stop: bool) -> None:
        text = sentence(budget, standing, amount, is_stop=is_stop)
        _log.warning("%s", text)
        if budget.topic_arn is None:
            return
        body = {
            "at": iso_ms(self._clock.now_s()),
            "message": text,
            "threshold": "stop" if is_stop else "warn",
            "budget": members_of(budget, standing, amount),
            "percent": plain((amount * 100 / budget.amount).quantize(Decimal("0.01"))),
        }
        about = f"the budget {budget.name}"
        await self._tell([Parcel(arn=budget.topic_arn, body=msgspec.json.encode(body), about=about)])

    def _today(self) -> int:
        return day_of(int(self._clock.now_s() * 1000))


def _scope(budget: Budget) -> tuple[object, ...]:
    return budget.region, budget.function, budget.tag


def _stopped(function: Function) -> Function:
    return replace(function, reserved_concurrency=0)


def _released(function: Function, had: int | None) -> Function:
    """Whoever has given it some meanwhile knows better."""
    return replace(function, reserved_concurrency=had) if function.reserved_concurrency == 0 else function
