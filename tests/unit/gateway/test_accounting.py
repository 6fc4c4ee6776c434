"""The ledger over HTTP: rows of the caller's account, page by page, and their bill; one sentence for nonsense."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from lambent.domain.call import root_principal
from lambent.domain.ledger import INVOCATION, Category, Rows
from lambent.domain.pricing.own import own_prices
from lambent.domain.pricing.price_list import AWS
from lambent.errors import AccessDeniedException
from lambent.gateway.accounting import Accounting
from lambent.gateway.auth import Caller
from lambent.store.sqlite.ledger import SqliteLedger
from lambent.store.sqlite.light_writes import LightDatabase
from lambent.testing import ManualClock
from lambent.wire.http import HttpRequest, HttpResponse

ACCOUNT = "000000000000"


class Books:
    """A ledger with its paths."""

    def __init__(self, directory: Path) -> None:
        self.database = LightDatabase(directory / "ledger.db", migrations="ledger", full_sync=False)
        self.ledger = SqliteLedger(self.database)
        self.settled = 0
        self.clock = ManualClock()
        self.is_allowed = True
        self.accounting = Accounting(
            ledger=self.ledger, settle=self.settle, admit=self.admit, clock=self.clock
        )

    async def settle(self) -> None:
        self.settled += 1

    async def admit(self, request: HttpRequest, action: str) -> Caller:
        if not self.is_allowed:
            raise AccessDeniedException(f"not authorized to perform: {action}")
        return Caller(
            account=ACCOUNT, region="us-east-1", access_key_id="", principal=root_principal(ACCOUNT)
        )

    def run(self, count: int, **category: Any) -> None:
        values: dict[str, Any] = {"account": ACCOUNT, "region": "us-east-1", "function": "f"}
        rows = Rows(
            category=Category(kind=INVOCATION, version="1", price_list=AWS.id, **values | category),
            at_ms=[1_767_225_600_000 + index for index in range(count)],
            request_ids=[f"r{index}" for index in range(count)],
            trace_ids=[""] * count,
            duration_us=[900] * count,
            billed_ms=[1] * count,
            max_memory_mb=[9] * count,
            request_bytes=[2] * count,
            response_bytes=[2] * count,
        )
        asyncio.run(self.ledger.append([rows]))

    def ask(self, query: str = "", *, path: str = "/_lambent/ledger", method: str = "GET") -> HttpResponse:
        request = HttpRequest(method=method, path=path, query=query, headers={}, body=b"")
        return asyncio.run(self.accounting.answer(request))


@pytest.fixture
def books(tmp_path: Path) -> Iterator[Books]:
    books = Books(tmp_path)
    yield books
    books.database.close()


def lines(answer: HttpResponse) -> list[dict[str, Any]]:
    assert answer.status == 200
    return [json.loads(line) for line in answer.body.splitlines()]


def test_rows_have_their_price_by_component(books: Books) -> None:
    books.run(1)
    (row,) = lines(books.ask())
    assert row["request_id"] == "r0"
    assert row["price"] == {"requests": "0.0000002", "duration": "0.0000000020833375"}
    assert row["price_usd"] == "0.0000002020833375"
    assert row["price_list"] == AWS.id


def test_pages_follow_one_another_to_the_end(books: Books) -> None:
    books.run(5)
    found: list[str] = []
    after: str | None = "0"
    while after is not None:
        answer = books.ask(f"limit=2&after={after}")
        found += [row["request_id"] for row in lines(answer)]
        after = dict(answer.headers).get("x-lambent-next")
    assert found == ["r0", "r1", "r2", "r3", "r4"]


def test_what_has_happened_is_there(books: Books) -> None:
    """The listeners are waited for before the answer."""
    books.ask()
    assert books.settled == 1


def test_only_the_callers_account_is_seen(books: Books) -> None:
    books.run(2, account="111111111111")
    assert lines(books.ask()) == []


def test_times_are_given_as_milliseconds_or_as_text(books: Books) -> None:
    books.run(5)
    assert len(lines(books.ask("since=1767225600003"))) == 2
    assert len(lines(books.ask("until=2026-01-01T00:00:00.002Z"))) == 2
    assert len(lines(books.ask("since=2026-01-01T01:00:00.004%2B01:00"))) == 1
    assert len(lines(books.ask("since=2026-01-01"))) == 5


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("since=yesterday", "since must be a time such as 2026-01-31T12:00:00Z, not 'yesterday'."),
        ("limit=0", "limit must be from 1 to 10000."),
        ("limit=x", "limit must be a whole number, not 'x'."),
        ("after=-1", "after must be a whole number, not '-1'."),
        (
            "kind=dance",
            "There is no kind of row 'dance': kinds are invocation, initialization, restore, "
            "provisioned-concurrency, snapshot.",
        ),
        (
            "colour=red",
            "There is nothing to ask by 'colour' here: after, function, kind, limit, region, since, until are known.",
        ),
    ],
)
def test_nonsense_is_answered_with_one_sentence(books: Books, query: str, sentence: str) -> None:
    answer = books.ask(query)
    assert (answer.status, json.loads(answer.body)) == (400, {"message": sentence})


def test_who_may_not_gets_nothing(books: Books) -> None:
    books.is_allowed = False
    answer = books.ask()
    assert answer.status == 403
    assert json.loads(answer.body)["message"] == "not authorized to perform: ce:GetCostAndUsage"


def test_the_ledger_cannot_be_written_to(books: Books) -> None:
    for method in ("POST", "PUT", "DELETE"):
        assert books.ask(method=method).status == 405


# The bill.


def bill(books: Books, query: str = "month=2026-01", *, path: str = "/_lambent/bill") -> dict[str, Any]:
    answer = books.ask(query, path=path)
    assert answer.status == 200, answer.body
    return json.loads(answer.body)


def test_the_bill_of_a_month_has_that_months_usage(books: Books) -> None:
    books.run(1000, memory_mb=1024)
    made = bill(books, "month=2026-01&assume=no-free-tier")
    assert made["total"] == "0.0002166667"
    assert {line["component"]: line["quantity"] for line in made["lines"]} == {
        "requests": "1000",
        "duration": "1",
    }
    assert bill(books, "month=2025-12")["lines"] == []
    assert bill(books, "")["month"] == "2026-01", "the clock says so"


def test_a_month_that_is_not_over_is_projected(books: Books) -> None:
    """The clock stands at 3 h 4 min of the second day: a month has 27.486 times what was used till then."""
    books.run(1000)
    made = bill(books, "month=2026-01&assume=no-free-tier")
    assert made["projection"]["requests"] == 27_486
    assert made["is_over"] is False
    assert bill(books, "month=2026-02")["projection"] is None


def test_alternatives_come_with_the_bill(books: Books) -> None:
    books.run(1000, memory_mb=1024)
    found = {other["assumptions"]: other["total"] for other in bill(books)["alternatives"]}
    assert found == {
        "on arm64": "0",
        "without the free tier": "0.0002166667",
        "with a savings plan of 12 %": "0",
        "with a savings plan of 17 %": "0",
    }
    elsewhere = bill(books, "month=2026-01&assume=af-south-1,no-free-tier,savings-plan=10.5")
    assert elsewhere["total"] == "0.0002197795"
    assert elsewhere["assumptions"] == "in af-south-1, without the free tier, with a savings plan of 10.5 %"


@pytest.mark.parametrize(
    "by", ["function", "version", "alias", "runtime", "tag", "tag:team", "tenant", "day", "source"]
)
def test_groups_add_up_to_the_list_price(books: Books, by: str) -> None:
    books.run(10, function="a", alias="live", tags=(("team", "red"),), tenant="blue")
    books.run(20, function="b", runtime="python3.12", source="sqs", tags=(("team", "red"), ("x", "1")))
    books.run(30, function="c")
    made = bill(books, f"month=2026-01&by={by}")
    assert sum(Decimal(group["amount"]) for group in made["groups"]) == Decimal(made["listed"])
    assert sum(group["requests"] for group in made["groups"]) == 60


def test_groups_are_named_after_what_they_have_in_common(books: Books) -> None:
    books.run(10, function="a", alias="live", tags=(("team", "red"),))
    books.run(20, function="b", tags=(("team", "red"), ("x", "1")))
    keys = {
        by: [group["key"] for group in bill(books, f"by={by}")["groups"]] for by in ("tag", "tag:x", "alias")
    }
    assert keys == {
        "tag": ["team=red, x=1", "team=red"],
        "tag:x": ["1", "(no x)"],
        "alias": ["b:(no alias)", "a:live"],
    }


def test_a_part_of_the_account_has_no_free_tier(books: Books) -> None:
    books.run(10)
    made = bill(books, "month=2026-01&function=f")
    assert made["total"] == made["listed"] != "0"
    assert made["notices"] == [
        "The free tier belongs to all of the account: it is not taken off a part of its usage."
    ]
    assert bill(books, "month=2026-01&function=nobody")["lines"] == []


def test_a_price_list_of_ones_own_is_billed_beside_it(books: Books) -> None:
    own = own_prices({"name": "Mine", "currency": "EUR", "prices": {"request": Decimal("0.01")}})
    books.accounting = Accounting(
        ledger=books.ledger, settle=books.settle, admit=books.admit, clock=books.clock, own=own
    )
    books.run(10)
    made = bill(books, "by=function")
    assert (made["own"]["total"], made["own"]["currency"]) == ("0.1", "EUR")
    assert made["own"]["notices"] == [
        "Mine has no price for duration on x86_64 in us-east-1: 0.00125 GB-s are not charged."
    ]
    assert made["groups"][0]["own_amount"] == "0.1"


def test_a_check_recomputes_from_the_rows(books: Books) -> None:
    books.run(1000, memory_mb=1536)
    found = bill(books, path="/_lambent/bill/check")
    assert found["agrees"] is True
    assert found["rows"] == 1000
    assert found["listed"] == found["recomputed_listed"] == "0.00022500005"


def test_a_check_finds_a_single_millisecond(books: Books) -> None:
    """Somebody has changed a sum: the check says on which day, and of which function."""
    books.run(10)

    async def tamper() -> None:
        await books.database.write(
            lambda connection: connection.execute("UPDATE usage SET billed_ms = billed_ms + 1").rowcount
        )

    asyncio.run(tamper())
    found = bill(books, path="/_lambent/bill/check")
    assert found["agrees"] is False
    assert found["listed"] != found["recomputed_listed"]
    assert [(one["day"], one["function"]) for one in found["differences"]] == [("2026-01-01", "f")]


def test_a_check_leaves_out_days_whose_rows_are_gone(books: Books) -> None:
    books.run(10)
    asyncio.run(books.ledger.expire(before_day=20_455))
    found = bill(books, path="/_lambent/bill/check")
    assert (found["agrees"], found["rows"], found["rows_since"]) == (True, 0, "2026-01-02")
    assert bill(books)["listed"] != "0", "the bill still has them"


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("month=2026-13", "month must be one such as 2026-01, not '2026-13'."),
        ("month=0000-01", "month must be one such as 2026-01, not '0000-01'."),
        ("month=9999-12", "month must be one such as 2026-01, not '9999-12'."),
        (
            "by=colour",
            "There is no grouping by 'colour': function, version, alias, runtime, tag, tenant, day, region, "
            "architecture, source and tag:KEY are known.",
        ),
        ("by=tag:", None),
        (
            "assume=xx-moon-1",
            "There are no prices of a region 'xx-moon-1' in AWS's price list of 2026-09-28.",
        ),
        (
            "assume=mips",
            "There is no assumption 'mips': x86_64, arm64, a region, no-free-tier and savings-plan=PERCENT are known.",
        ),
        ("assume=savings-plan=-5", None),
        (
            "years=1",
            "There is nothing to ask by 'years' here: assume, by, function, month, region are known.",
        ),
    ],
)
def test_a_bill_that_cannot_be_is_one_sentence(books: Books, query: str, sentence: str | None) -> None:
    answer = books.ask(query, path="/_lambent/bill")
    assert answer.status == 400
    message = json.loads(answer.body)["message"]
    assert message == sentence or (sentence is None and message.startswith("There is no"))
