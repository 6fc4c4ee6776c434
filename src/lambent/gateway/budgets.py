"""Budgets over HTTP: ``/_lambent/budgets`` lists those of the caller's account, ``/_lambent/budgets/NAME`` is one."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote

import msgspec

from lambent.domain.budget import Budget, BudgetError, members_of, parse_budget
from lambent.domain.function import FunctionKey
from lambent.gateway.admission import Admit
from lambent.gateway.auth import Caller
from lambent.gateway.queries import as_json, said
from lambent.store.budgets import Budgets
from lambent.store.functions import Functions
from lambent.telemetry.budgets import BudgetWatch
from lambent.wire.http import HttpRequest, HttpResponse

BUDGETS = "/_lambent/budgets"
_VIEW, _MODIFY = "budgets:ViewBudget", "budgets:ModifyBudget"


class BudgetPaths:
    """Answers what is asked of budgets.

    Args:
        budgets: those that there are.
        watch: looks after them.
        functions: says whether there is such a function.
        admit: says who asks, if they may.
    """

    def __init__(self, *, budgets: Budgets, watch: BudgetWatch, functions: Functions, admit: Admit) -> None:
        self._budgets = budgets
        self._watch = watch
        self._functions = functions
        self._admit = admit

    def serves(self, path: str) -> bool:
        """Whether a path is one of these."""
        return path == BUDGETS or path.startswith(f"{BUDGETS}/")

    async def answer(self, request: HttpRequest) -> HttpResponse:
        """Return the answer to one request.

        Raises:
            ServiceError: the caller may not.
        """
        name = unquote(request.path.removeprefix(BUDGETS).removeprefix("/"))
        methods = ("GET", "PUT", "DELETE") if name else ("GET",)
        if request.method not in methods:
            return said(405, f"{request.method} is not possible here.")
        caller = await self._admit(request, _VIEW if request.method == "GET" else _MODIFY)
        if not name:
            budgets = [await self._shown(budget) for budget in await self._budgets.all(caller.account)]
            return as_json(200, {"budgets": budgets})
        if request.method == "PUT":
            return await self._put(caller, name, request.body)
        budget = await self._budgets.get(caller.account, name)
        if budget is None:
            return said(404, f"There is no budget {name}.")
        if request.method == "GET":
            return as_json(200, await self._shown(budget))
        await self._watch.delete(budget)
        return as_json(200, {})

    async def _put(self, caller: Caller, name: str, body: bytes) -> HttpResponse:
        try:
            members = msgspec.json.decode(body, type=dict[str, Any])
            budget = parse_budget(name, members, account=caller.account, region=caller.region)
        except msgspec.DecodeError as error:
            return said(400, f"A budget must be given as a JSON object: {error}.")
        except BudgetError as error:
            return said(400, str(error))
        if budget.function is not None:
            key = FunctionKey(account=budget.account, region=budget.region, name=budget.function)
            if await self._functions.get(key) is None:
                return said(404, f"There is no function {budget.function} in {budget.region}.")
        await self._watch.put(budget)
        return as_json(200, await self._shown(budget))

    async def _shown(self, budget: Budget) -> dict[str, Any]:
        return members_of(budget, await self._watch.standing(budget), await self._watch.spent(budget))
