"""The ledger over HTTP: rows of the caller's account as lines of JSON, page by page; one sentence for nonsense."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lambent.domain.call import root_principal
from lambent.domain.ledger import INVOCATION, Category, Rows
from lambent.domain.pricing.price_list import AWS
from lambent.errors import AccessDeniedException
from lambent.gateway.accounting import Accounting
from lambent.gateway.auth import Caller
from lambent.store.sqlite.database import Database
from lambent.store.sqlite.ledger import SqliteLedger
from lambent.testing import ManualClock
from lambent.wire.http import HttpRequest, HttpResponse

ACCOUNT = "000000000000"


class Books:
    """A ledger with its paths."""

    def __init__(self, directory: Path) -> None:
        self.database = Database(directory / "ledger.db", migrations="ledger", full_sync=False)
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
