"""Budgets: what counts, when somebody is told, when functions stop and go on."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from lambent.domain.budget import (
    DAILY,
    Budget,
    BudgetError,
    Standing,
    is_for,
    parse_budget,
    period_of,
    sentence,
    spent,
    step,
)
from lambent.domain.function import Function
from lambent.domain.ledger import INVOCATION, Category, Sums, Usage
from lambent.domain.pricing.price_list import AWS
from samples import KEY, VERSION

ACCOUNT = KEY.account
DAY = 20_454  # 2026-01-01


def budget(**changes: Any) -> Budget:
    values: dict[str, Any] = {
        "name": "b", "account": ACCOUNT, "region": "us-east-1", "amount": Decimal(10),
        "stop_percent": Decimal(100),
    }  # fmt: skip
    return Budget(**values | changes)


def used(requests: int, **category: Any) -> Usage:
    values: dict[str, Any] = {
        "kind": INVOCATION, "account": ACCOUNT, "region": "us-east-1", "function": "f", "version": "1",
    }  # fmt: skip
    return Usage(day=DAY, category=Category(**values | category), sums=Sums(requests=requests))


def test_the_account_has_the_free_tier_and_the_others_have_not() -> None:
    usages = [used(2_000_000, tags=(("team", "red"),)), used(1_000_000, function="g")]
    assert spent(budget(), usages, AWS) == Decimal("0.4")
    assert spent(budget(period=DAILY), usages, AWS) == Decimal("0.6")
    assert spent(budget(function="f"), usages, AWS) == Decimal("0.4")
    assert spent(budget(function="f", region="eu-west-1"), usages, AWS) == 0
    assert spent(budget(tag=("team", "red")), usages, AWS) == Decimal("0.4")
    assert spent(budget(tag=("team", "blue")), usages, AWS) == 0


def test_it_is_for_functions_of_its_account_alone() -> None:
    function = Function(key=KEY, latest=VERSION, tags={"team": "red"})
    assert is_for(budget(), function)
    assert not is_for(budget(account="1" * 12), function)
    assert is_for(budget(function=KEY.name), function)
    assert not is_for(budget(function="other"), function)
    assert not is_for(budget(function=KEY.name, region="eu-west-1"), function)
    assert is_for(budget(tag=("team", "red")), function)
    assert not is_for(budget(tag=("team", "blue")), function)


def test_a_period_is_a_month_or_a_day() -> None:
    assert period_of(budget(), DAY + 30) == "2026-01"
    assert period_of(budget(period=DAILY), DAY + 30) == "2026-01-31"


def test_a_threshold_is_told_once_in_a_period() -> None:
    standing: Standing | None = None
    told: list[tuple[bool, bool]] = []
    for amount in ("7.99", "8", "9", "10", "11"):
        now = step(budget(), standing, period="2026-01", amount=Decimal(amount))
        told.append((now.warns, now.stops))
        standing = now.standing
    assert told == [(False, False), (True, False), (False, False), (False, True), (False, False)]


def test_a_new_period_begins_with_nothing_told_and_everything_released() -> None:
    before = Standing(period="2026-01", is_warned=True, is_stopped=True, stopped={KEY.path: 5})
    now = step(budget(), before, period="2026-02", amount=Decimal(0))
    assert now.releases
    assert now.standing == Standing(period="2026-02")


def test_a_new_period_that_is_over_at_once_is_told_again() -> None:
    before = Standing(period="2026-01", is_warned=True, is_stopped=True, stopped={KEY.path: 5})
    now = step(budget(), before, period="2026-02", amount=Decimal(20))
    assert (now.releases, now.warns, now.stops) == (True, True, True)


def test_a_raised_budget_releases() -> None:
    before = Standing(period="2026-01", is_warned=True, is_stopped=True, stopped={KEY.path: None})
    now = step(budget(amount=Decimal(100)), before, period="2026-01", amount=Decimal(20))
    assert (now.releases, now.standing.is_stopped, now.standing.is_warned) == (True, False, False)


def test_without_thresholds_nothing_happens() -> None:
    calm = budget(warn_percent=None, stop_percent=None)
    now = step(calm, None, period="2026-01", amount=Decimal(10**6))
    assert (now.warns, now.stops, now.releases) == (False, False, False)


def test_what_is_told_says_how_much_of_what() -> None:
    standing = Standing(period="2026-01")
    assert sentence(budget(tag=("team", "red")), standing, Decimal("8.5"), is_stop=False) == (
        "The budget b (tag team=red): 8.5 of 10 USD are spent in 2026-01, 80 % or more."
    )
    assert sentence(budget(), standing, Decimal(12), is_stop=True) == (
        "The budget b (account 000000000000): 12 of 10 USD are spent in 2026-01, 100 % or more: its functions are "
        "stopped."
    )


def test_members_make_a_budget() -> None:
    made = parse_budget(
        "b",
        {
            "amount": "2.50",
            "period": "daily",
            "tag": "team=red=x",
            "stop_percent": 90,
            "topic_arn": "arn:aws:sns:us-east-1:1:t",
        },
        account=ACCOUNT,
        region="us-east-1",
    )
    assert made == budget(
        amount=Decimal("2.50"),
        period=DAILY,
        tag=("team", "red=x"),
        stop_percent=Decimal(90),
        topic_arn="arn:aws:sns:us-east-1:1:t",
    )
    plain = parse_budget("b", {"amount": 1, "warn_percent": None}, account=ACCOUNT, region="r")
    assert (plain.warn_percent, plain.stop_percent) == (None, None)
    assert parse_budget("b", {"amount": 1}, account=ACCOUNT, region="r").warn_percent == 80


@pytest.mark.parametrize(
    ("name", "members", "sentence"),
    [
        ("", {}, "A budget's name has 1 to 100 letters, digits, dots, dashes and underscores."),
        ("a/b", {}, "A budget's name has 1 to 100 letters, digits, dots, dashes and underscores."),
        ("b", {}, "amount must be a number above 0."),
        ("b", {"amount": 0}, "amount must be a number above 0."),
        ("b", {"amount": -1}, "amount must be a number that is not negative, not -1."),
        ("b", {"amount": "NaN"}, "amount must be a number that is not negative, not 'NaN'."),
        ("b", {"amount": "1e99999"}, "amount must be a number that is not negative, not '1e99999'."),
        ("b", {"amount": True}, "amount must be a number that is not negative, not True."),
        ("b", {"amount": 1, "period": "hourly"}, "period must be monthly or daily, not 'hourly'."),
        (
            "b",
            {"amount": 1, "function": "f", "tag": "a=b"},
            "A budget is for a function or for a tag, not for both.",
        ),
        ("b", {"amount": 1, "tag": "red"}, "tag must be KEY=VALUE, not 'red'."),
        ("b", {"amount": 1, "function": 3}, "function must be a text, not 3."),
        ("b", {"amount": 1, "topic_arn": "topic"}, "topic_arn must be an ARN, not 'topic'."),
        ("b", {"amount": 1, "stop_percent": 10**7}, "stop_percent must be at most 1000000."),
        (
            "b",
            {"amount": 1, "colour": 1},
            "A budget has no 'colour': amount, period, function, tag, warn_percent, stop_percent, topic_arn are known.",
        ),
    ],
)
def test_what_makes_no_sense_is_one_sentence(name: str, members: dict[str, Any], sentence: str) -> None:
    with pytest.raises(BudgetError) as caught:
        parse_budget(name, members, account=ACCOUNT, region="us-east-1")
    assert str(caught.value) == sentence
