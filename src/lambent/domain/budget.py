"""Budgets: how much may be spent in a month or a day, on what, and what happens at which part of it. Pure.

What is spent on an account in a month is what its bill says, free tier included. On a function, a tag, or in a day it
is the list price: the free tier belongs to all of an account and to a month.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any

from lambent.domain.bill import bill
from lambent.domain.function import Function, FunctionKey
from lambent.domain.ledger import Usage, day_text
from lambent.domain.pricing.exact import plain
from lambent.domain.pricing.price_list import PriceList

MONTHLY, DAILY = "monthly", "daily"
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,100}")
_ARN = re.compile(r"arn:[a-z-]+:[a-z0-9-]+:[a-z0-9-]*:[0-9]*:\S+")
_PERCENT_MAX = 1_000_000
_MEMBERS = ("amount", "period", "function", "tag", "warn_percent", "stop_percent", "topic_arn")


class BudgetError(Exception):
    """A budget makes no sense. The message is one sentence for the user."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """How much may be spent on something."""

    name: str
    account: str
    region: str
    """Where its function is; of no meaning for the others."""
    amount: Decimal
    """In the price list's currency."""
    period: str = MONTHLY
    function: str | None = None
    tag: tuple[str, str] | None = None
    """Of functions that have this tag; with neither, it is the account's budget."""
    warn_percent: Decimal | None = Decimal(80)
    """At which part of the amount somebody is told; None: never."""
    stop_percent: Decimal | None = None
    """At which part its functions are stopped: their reserved concurrency becomes 0; None: never."""
    topic_arn: str | None = None
    """Where what is told is delivered to, besides the log."""

    @property
    def about(self) -> str:
        """What it is the budget of."""
        if self.function is not None:
            return f"function {self.function}"
        return f"tag {self.tag[0]}={self.tag[1]}" if self.tag is not None else f"account {self.account}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How a budget stands in its period."""

    period: str
    """``2026-01`` or ``2026-01-31``."""
    is_warned: bool = False
    is_stopped: bool = False
    stopped: Mapping[str, int | None] = field(default_factory=dict[str, int | None])
    """The functions that were stopped, by account, region and name, with the reserved concurrency that they had."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What is to be done about a budget now."""

    standing: Standing
    releases: bool = False
    """Functions that it stopped get back what they had."""
    warns: bool = False
    stops: bool = False


def parse_budget(name: str, members: Mapping[str, Any], *, account: str, region: str) -> Budget:
    """Return the budget that members describe; amounts and percents are numbers or texts of numbers.

    Raises:
        BudgetError: they make no sense.
    """
    if not _NAME.fullmatch(name):
        raise BudgetError("A budget's name has 1 to 100 letters, digits, dots, dashes and underscores.")
    if unknown := sorted(members.keys() - set(_MEMBERS)):
        raise BudgetError(f"A budget has no {unknown[0]!r}: {', '.join(_MEMBERS)} are known.")
    period = members.get("period", MONTHLY)
    if period not in (MONTHLY, DAILY):
        raise BudgetError(f"period must be monthly or daily, not {period!r}.")
    function, tag, topic = (_text(members, member) for member in ("function", "tag", "topic_arn"))
    if function is not None and tag is not None:
        raise BudgetError("A budget is for a function or for a tag, not for both.")
    if tag is not None and "=" not in tag:
        raise BudgetError(f"tag must be KEY=VALUE, not {tag!r}.")
    if topic is not None and not _ARN.fullmatch(topic):
        raise BudgetError(f"topic_arn must be an ARN, not {topic!r}.")
    amount = _number(members, "amount")
    if amount is None or amount <= 0:
        raise BudgetError("amount must be a number above 0.")
    key, _, value = (tag or "").partition("=")
    warn = _number(members, "warn_percent") if "warn_percent" in members else Decimal(80)
    return Budget(
        name=name,
        account=account,
        region=region,
        amount=amount,
        period=period,
        function=function,
        tag=(key, value) if tag is not None else None,
        warn_percent=warn,
        stop_percent=_number(members, "stop_percent"),
        topic_arn=topic,
    )


def _text(members: Mapping[str, Any], member: str) -> str | None:
    value = members.get(member)
    if value is not None and (not isinstance(value, str) or not value):
        raise BudgetError(f"{member} must be a text, not {value!r}.")
    return value


def _number(members: Mapping[str, Any], member: str) -> Decimal | None:
    value = members.get(member)
    if value is None:
        return None
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        number = Decimal("NaN")
    if isinstance(value, bool) or not number.is_finite() or not number >= 0 or number.adjusted() > 15:
        raise BudgetError(f"{member} must be a number that is not negative, not {value!r}.")
    if member != "amount" and number > _PERCENT_MAX:
        raise BudgetError(f"{member} must be at most {_PERCENT_MAX}.")
    return number


def period_of(budget: Budget, day: int) -> str:
    """Return the period in which a day is."""
    text = day_text(day)
    return text if budget.period == DAILY else text[:7]


def concerns(budget: Budget, usage: Usage) -> bool:
    """Whether usage is what a budget is for."""
    category = usage.category
    if budget.function is not None:
        return category.function == budget.function and category.region == budget.region
    return budget.tag is None or budget.tag in category.tags


def spent(budget: Budget, usages: Iterable[Usage], prices: PriceList) -> Decimal:
    """Return what has been spent of a budget.

    Args:
        budget: the budget.
        usages: the account's usage in its period.
        prices: the price list.
    """
    made = bill([usage for usage in usages if concerns(budget, usage)], prices)
    is_whole = budget.function is None and budget.tag is None and budget.period == MONTHLY
    return made.total if is_whole else made.listed


def is_for(budget: Budget, function: Function) -> bool:
    """Whether a function is one that a budget stops."""
    key = function.key
    if key.account != budget.account:
        return False
    if budget.function is not None:
        return (key.name, key.region) == (budget.function, budget.region)
    return budget.tag is None or function.tags.get(budget.tag[0]) == budget.tag[1]


def step(budget: Budget, standing: Standing | None, *, period: str, amount: Decimal) -> Step:
    """Decide what to do about a budget.

    Args:
        budget: the budget.
        standing: how it stood at the last look; None: this is the first one.
        period: the period of now.
        amount: what has been spent in it.
    """
    before = standing or Standing(period=period)
    is_new = before.period != period
    is_over_stop = _reaches(amount, budget.amount, budget.stop_percent)
    is_over_warn = _reaches(amount, budget.amount, budget.warn_percent)
    was_warned = before.is_warned and not is_new
    releases = before.is_stopped and (is_new or not is_over_stop)
    was_stopped = before.is_stopped and not releases
    return Step(
        standing=Standing(
            period=period,
            is_warned=is_over_warn,
            is_stopped=is_over_stop,
            stopped={} if releases else before.stopped,
        ),
        releases=releases,
        warns=is_over_warn and not was_warned,
        stops=is_over_stop and not was_stopped,
    )


def _reaches(amount: Decimal, of: Decimal, percent: Decimal | None) -> bool:
    return percent is not None and amount * 100 >= of * percent


def sentence(budget: Budget, standing: Standing, amount: Decimal, *, is_stop: bool) -> str:
    """Return what is told of a budget that has reached a threshold."""
    so = (
        f"The budget {budget.name} ({budget.about}): {plain(amount)} of {plain(budget.amount)} USD are spent in "
        f"{standing.period}"
    )
    if is_stop:
        return f"{so}, {plain(budget.stop_percent or Decimal(0))} % or more: its functions are stopped."
    return f"{so}, {plain(budget.warn_percent or Decimal(0))} % or more."


def key_of(path: str) -> FunctionKey:
    """Return the function of a path in `Standing.stopped`."""
    account, region, name = path.split("/")
    return FunctionKey(account=account, region=region, name=name)


def members_of(budget: Budget, standing: Standing | None, amount: Decimal) -> dict[str, Any]:
    """Return a budget and how it stands, as plain members."""
    percents: Sequence[Decimal | None] = (budget.warn_percent, budget.stop_percent)
    warn, stop = (None if percent is None else plain(percent) for percent in percents)
    return {
        "name": budget.name,
        "amount": plain(budget.amount),
        "period": budget.period,
        "function": budget.function,
        "tag": None if budget.tag is None else "=".join(budget.tag),
        "warn_percent": warn,
        "stop_percent": stop,
        "topic_arn": budget.topic_arn,
        "spent": plain(amount),
        "in": None if standing is None else standing.period,
        "is_warned": standing is not None and standing.is_warned,
        "is_stopped": standing is not None and standing.is_stopped,
        "stopped": [] if standing is None else sorted(standing.stopped),
    }
