"""Budgets are made, shown and deleted; what makes no sense is one sentence."""

from __future__ import annotations

import json
from typing import Any

import pytest

from unit.cli.stand_in import Run, StandIn

BUDGET: dict[str, Any] = {
    "name": "b",
    "amount": "5",
    "period": "monthly",
    "function": None,
    "tag": "team=red",
    "warn_percent": "80",
    "stop_percent": None,
    "spent": "1.5",
    "is_warned": False,
    "is_stopped": False,
    "stopped": [],
}


def test_a_budget_is_made_as_it_is_asked_for(ask: Run, aws: StandIn) -> None:
    aws.on("PUT", "/_lambent/budgets/b", {**BUDGET, "is_stopped": True, "stopped": ["a/r/f"]})
    ran = ask(
        "budget", "set", "b", "5", "--daily", "--tag", "team=red", "--warn", "50%", "--stop", "100",
        "--topic", "arn:aws:sns:us-east-1:000000000000:t",
    )  # fmt: skip
    assert ran.err == "b: $1.5 of $5 are spent, 1 functions are stopped.\n"
    assert aws.asked[0].json == {
        "amount": "5",
        "period": "daily",
        "function": None,
        "tag": "team=red",
        "warn_percent": "50",
        "stop_percent": "100",
        "topic_arn": "arn:aws:sns:us-east-1:000000000000:t",
    }


def test_a_budget_may_never_warn(ask: Run, aws: StandIn) -> None:
    aws.on("PUT", "/_lambent/budgets/b", BUDGET)
    ask("budget", "set", "b", "5", "--warn", "never")
    assert aws.asked[0].json["warn_percent"] is None


def test_budgets_are_listed(ask: Run, aws: StandIn) -> None:
    aws.on("GET", "/_lambent/budgets", {"budgets": [BUDGET]})
    (line,) = ask("budget", "list").out.decode().splitlines()[1:]
    assert line.split() == ["b", "team=red", "$1.500000", "$5", "monthly", "80", "%", "ok"]
    assert json.loads(ask("budget", "list", "--json").out) == [BUDGET]


def test_no_budgets_are_said_not_to_be_there(ask: Run, aws: StandIn) -> None:
    aws.on("GET", "/_lambent/budgets", {"budgets": []})
    assert ask("budget", "list").err.startswith("There are no budgets yet")


def test_a_budget_is_deleted(ask: Run, aws: StandIn) -> None:
    aws.on("DELETE", "/_lambent/budgets/b", {})
    aws.on("DELETE", ".*", {"message": "There is no budget c."}, status=404)
    assert ask("budget", "delete", "b").err == "Deleted b.\n"
    ran = ask("budget", "delete", "c")
    assert (ran.code, ran.err) == (1, "lambent: There is no budget c.\n")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["b", "five"], "AMOUNT must be a number, not 'five'."),
        (["b", "5", "--stop", "x"], "--stop must be a number, not 'x'."),
        (["b", "inf"], "AMOUNT must be a number, not 'inf'."),
    ],
)
def test_what_is_no_number_is_one_sentence(
    ask: Run, aws: StandIn, arguments: list[str], sentence: str
) -> None:
    ran = ask("budget", "set", *arguments)
    assert (ran.code, ran.err) == (2, f"lambent: {sentence}\n")
