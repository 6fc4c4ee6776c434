"""The bill for people, and for other programs; every digit of an amount arrives there."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from unit.cli.stand_in import Asked, Reply, Run, StandIn

LINES: list[dict[str, Any]] = [
    {
        "region": "us-east-1",
        "component": component,
        "architecture": "x86_64",
        "tier": tier,
        "quantity": quantity,
        "unit": unit,
        "rate": rate,
        "amount": amount,
    }
    for component, tier, quantity, unit, rate, amount in [
        ("duration", "free", "400000", "GB-s", "0", "0"),
        ("duration", "1", "140000", "GB-s", "0.0000166667", "2.333338"),
        ("requests", "", "2000000", "requests", "0.0000002", "0.4"),
    ]
]
BILL: dict[str, Any] = {
    "month": "2026-01",
    "account": "000000000000",
    "is_over": False,
    "assumptions": None,
    "price_list": "AWS's price list",
    "currency": "USD",
    "lines": LINES,
    "listed": "9.400018",
    "init": "0",
    "free_tier": "6.66668",
    "tiers": "0",
    "savings": "0",
    "total": "2.733338",
    "notices": ["Something is to be known."],
    "alternatives": [{"assumptions": "on arm64", "total": "2.266676"}],
    "projection": {"since": "2026-01-01", "requests": 1, "listed": "20", "total": "12.5"},
}
GROUPS = {
    "by": "function",
    "groups": [
        {
            "key": "f",
            "requests": 3,
            "errors": 1,
            "cold_starts": 1,
            "duration_ms": 5,
            "billed_ms": 9,
            "gb_seconds": "0.123456789012345678901",
            "request_bytes": 1,
            "response_bytes": 2,
            "by_component": {"requests": "0.0000006"},
            "amount": "0.0000006",
        }
    ],
}
OWN = {**BILL, "price_list": "The box", "currency": "EUR", "total": "0.5", "notices": []}


def test_lines_totals_and_what_if_are_shown(ask: Run, aws: StandIn) -> None:
    aws.on("GET", "/_lambent/bill", BILL)
    ran = ask("bill")
    assert ran.code == 0
    lines = [" ".join(line.split()) for line in ran.out.decode().splitlines()]
    assert "Duration, x86_64 us-east-1 400,000 GB-s free $0.00" in lines
    assert "Duration, x86_64 us-east-1 140,000 GB-s $0.0000166667 $2.33" in lines
    assert "Requests us-east-1 2,000,000 requests $0.20 a million $0.40" in lines
    assert "Free tier -$6.67" in lines
    assert "Total $2.73" in lines
    assert "At the end of the month, if it goes on so $12.50" in lines
    assert "As if on arm64 $2.27" in lines
    assert (
        ran.err == "2026-01, so far, account 000000000000, by AWS's price list\nSomething is to be known.\n"
    )


def test_what_is_asked_reaches_the_server_signed(ask: Run, aws: StandIn) -> None:
    aws.on("GET", "/_lambent/bill.*", BILL | GROUPS)
    ran = ask(
        "bill", "--month", "2026-01", "--by", "tag:my team", "--assume", "arm64", "--assume", "no-free-tier",
        "--function", "f",
    )  # fmt: skip
    assert ran.code == 0
    (asked,) = aws.asked
    assert asked.path == (
        "/_lambent/bill?month=2026-01&by=tag%3Amy%20team&function=f&assume=arm64%2Cno-free-tier"
    )
    assert asked.headers["authorization"].startswith("AWS4-HMAC-SHA256 Credential=000000000000/")


def test_groups_and_a_price_list_of_ones_own_are_shown_beside_it(ask: Run, aws: StandIn) -> None:
    groups = {**GROUPS, "groups": [{**GROUPS["groups"][0], "own_amount": "0.25"}]}  # type: ignore[dict-item]  # a list
    aws.on("GET", "/_lambent/bill.*", {**BILL, **groups, "own": OWN})
    out = ask("bill", "--by", "function").out.decode()
    assert "By The box" in out
    assert "Total €0.50" in out
    assert ["f", "3", "1", "1", "0.123", "$0.0000006", "€0.25"] in [line.split() for line in out.splitlines()]


def test_json_is_what_the_server_says(ask: Run, aws: StandIn, tmp_path: Path) -> None:
    aws.on("GET", "/_lambent/bill", BILL)
    assert json.loads(ask("bill", "--json").out) == BILL
    ask("bill", "--json", "--output", tmp_path / "bill.json")
    assert json.loads((tmp_path / "bill.json").read_text()) == BILL


def test_csv_has_lines_or_groups(ask: Run, aws: StandIn) -> None:
    aws.on("GET", "/_lambent/bill", BILL | {"own": OWN})
    aws.on("GET", "/_lambent/bill.by.*", BILL | GROUPS)
    lines = ask("bill", "--csv").out.decode().splitlines()
    assert lines[0] == (
        "month,account,price_list,currency,region,component,architecture,tier,quantity,unit,rate,amount"
    )
    assert lines[2] == (
        "2026-01,000000000000,AWS's price list,USD,us-east-1,duration,x86_64,1,140000,GB-s,0.0000166667,2.333338"
    )
    assert len(lines) == 1 + 3 + 3
    groups = ask("bill", "--by", "function", "--csv").out.decode().splitlines()
    assert groups[1].startswith("2026-01,000000000000,function,f,3,1,1,5,9,0.123456789012345678901,")


def test_parquet_keeps_every_digit(ask: Run, aws: StandIn, tmp_path: Path) -> None:
    duckdb = pytest.importorskip("duckdb")
    aws.on("GET", "/_lambent/bill.*", BILL | GROUPS)
    file = tmp_path / "it's here.parquet"
    assert ask("bill", "--by", "function", "--parquet", "--output", file).code == 0
    found = duckdb.read_parquet(str(file)).fetchall()[0]
    assert found[3:5] == ("f", 3)
    assert Decimal("0.123456789012345678901") in found
    assert Decimal("0.0000006") in found
    assert [path.name for path in tmp_path.iterdir()] == [file.name]


def test_parquet_where_nothing_can_be_written_is_one_sentence(ask: Run, aws: StandIn, tmp_path: Path) -> None:
    pytest.importorskip("duckdb")
    aws.on("GET", "/_lambent/bill", BILL)
    ran = ask("bill", "--parquet", "--output", tmp_path / "nowhere" / "x")
    assert (ran.code, ran.err) == (
        1,
        f"lambent: {tmp_path / 'nowhere'} is no directory to write x into.\n",
    )
    (tmp_path / "x.part").mkdir()
    ran = ask("bill", "--parquet", "--output", tmp_path / "x")
    assert ran.code == 1
    assert "Traceback" not in ran.err
    assert "bug" not in ran.err


def test_parquet_without_duckdb_is_one_sentence(
    ask: Run, aws: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "duckdb", None)
    aws.on("GET", "/_lambent/bill", BILL)
    ran = ask("bill", "--parquet", "--output", tmp_path / "x")
    assert (ran.code, ran.err) == (
        1,
        "lambent: Parquet files are written by DuckDB, which is not installed: pip install 'lambent[parquet]'.\n",
    )


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--json", "--csv"], "Give only one of --json, --csv, --parquet."),
        (["--parquet"], "--parquet needs --output FILE."),
    ],
)
def test_what_cannot_be_is_one_sentence(ask: Run, aws: StandIn, arguments: list[str], sentence: str) -> None:
    aws.on("GET", "/_lambent/bill", BILL)
    ran = ask("bill", *arguments)
    assert (ran.code, ran.err) == (2, f"lambent: {sentence}\n")


def test_the_servers_refusal_is_shown(ask: Run, aws: StandIn) -> None:
    aws.on("GET", "/_lambent/bill.*", {"message": "month must be one such as 2026-01, not 'x'."}, status=400)
    ran = ask("bill", "--month", "x")
    assert (ran.code, ran.err) == (1, "lambent: month must be one such as 2026-01, not 'x'.\n")


def test_a_server_that_is_none_of_ours_is_said_to_be(ask: Run, aws: StandIn) -> None:
    aws.on("GET", "/_lambent/bill", lambda _: Reply(status=404, body=b"<html>"))
    assert "did not answer as Lambent does" in ask("bill").err


def test_without_a_server_one_is_told_to_start_it(run: Run) -> None:
    ran = run("--endpoint", "http://127.0.0.1:1", "bill")
    assert (ran.code, ran.err) == (
        1,
        "lambent: Nothing answers at http://127.0.0.1:1: start it with `lambent up`.\n",
    )


def test_aws_has_no_such_bill(run: Run) -> None:
    ran = run("--aws", "bill")
    assert ran.code == 2
    assert "leave out --aws" in ran.err


def test_an_empty_month_is_said_to_be(ask: Run, aws: StandIn) -> None:
    aws.on("GET", "/_lambent/bill", {**BILL, "lines": [], "notices": []})
    ran = ask("bill")
    assert (ran.code, ran.err) == (0, "There is nothing to pay for in 2026-01.\n")


def test_a_check_that_agrees_says_so(ask: Run, aws: StandIn) -> None:
    found = {
        "month": "2026-01", "agrees": True, "rows": 1234, "rows_since": "2026-01-01", "recomputed": "2.733338",
    }  # fmt: skip
    aws.on("GET", "/_lambent/bill/check.month=2026-01", found)
    ran = ask("bill", "check", "--month", "2026-01")
    assert ran.out.decode() == "1,234 rows of 2026-01 agree: $2.733338.\n"


def test_a_check_of_a_month_whose_rows_are_gone_says_so(ask: Run, aws: StandIn) -> None:
    found = {"month": "2026-01", "agrees": True, "rows": 0, "rows_since": "2026-02-03", "recomputed": "0"}
    aws.on("GET", "/_lambent/bill/check.*", found)
    ran = ask("bill", "check", "--month", "2026-01")
    assert (ran.code, ran.out) == (0, b"")
    assert ran.err == "The rows of 2026-01 are gone, and only their sums are kept: nothing can be added up.\n"


def test_a_check_that_does_not_is_a_failure(ask: Run, aws: StandIn) -> None:
    found = {
        "month": "2026-01",
        "agrees": False,
        "total": "2",
        "recomputed": "1",
        "differences": [{"function": "f", "day": "2026-01-03"}],
    }
    aws.on("GET", "/_lambent/bill/check", found)
    ran = ask("bill", "check")
    assert (ran.code, ran.err) == (
        1,
        "lambent: The bill of 2026-01 does not agree with its rows: $2 is kept, $1 is found (1 differences, first f on "
        "2026-01-03).\n",
    )


# The rows behind it.


def row(number: int, **changes: Any) -> dict[str, Any]:
    return {
        "sequence": number,
        "kind": "invocation",
        "at": "2026-01-02T03:04:05.678Z",
        "request_id": f"r{number}",
        "function": "f",
        "version": "3",
        "alias": None,
        "tags": {"team": "red"},
        "cold_start_reason": None,
        "duration_ms": 1.5,
        "billed_ms": 2,
        "max_memory_mb": 40,
        "status": "success",
        "error_type": None,
        "is_spillover": False,
        "price_usd": "0.000000204166675",
        "price": {"requests": "0.0000002", "duration": "0.000000004166675"},
        **changes,
    }


@pytest.fixture
def rows(aws: StandIn) -> StandIn:
    """Two pages of rows."""
    first = json.dumps(row(1)) + "\n" + json.dumps(row(2, cold_start_reason="first", alias="live"))
    last = json.dumps(row(3, status="error", error_type="KeyError"))

    def answer(asked: Asked) -> Reply:
        if "after=0" in asked.path:
            return Reply(body=first.encode(), headers={"x-lambent-next": "2"})
        return Reply(body=last.encode())

    aws.on("GET", "/_lambent/ledger.*", answer)
    return aws


def test_rows_are_shown_page_by_page(ask: Run, rows: StandIn) -> None:
    ran = ask("ledger", "f", "--since", "all", "--kind", "invocation")
    lines = [line.split() for line in ran.out.decode().splitlines()[1:]]
    assert [line[1] for line in lines] == ["f:3", "f:live", "f:3"]
    assert lines[2][-2:] == ["KeyError", "$0.000000204"]
    assert [asked.path for asked in rows.asked] == [
        "/_lambent/ledger?since=0&function=f&kind=invocation&after=0&limit=5000",
        "/_lambent/ledger?since=0&function=f&kind=invocation&after=2&limit=5000",
    ]


def test_rows_of_one_region_are_shown_when_it_is_asked_for(ask: Run, rows: StandIn) -> None:
    ask("ledger", "f:live", "--since", "all", "--region", "eu-west-1")
    assert rows.asked[0].path == "/_lambent/ledger?since=0&function=f&region=eu-west-1&after=0&limit=5000"


def test_rows_are_exported(ask: Run, rows: StandIn, tmp_path: Path) -> None:
    assert [json.loads(line)["sequence"] for line in ask("ledger", "--json").out.splitlines()] == [1, 2, 3]
    ask("ledger", "--output", tmp_path / "rows.jsonl")
    assert len((tmp_path / "rows.jsonl").read_text().splitlines()) == 3
    ask("ledger", "--csv", "--output", tmp_path / "rows.csv")
    header, first, *_ = (tmp_path / "rows.csv").read_text().splitlines()
    assert header.startswith("sequence,kind,at,request_id,account,")
    assert '"{""team"": ""red""}"' in first
    assert ",0.000000204166675,0.0000002,0.000000004166675,0," in first


def test_rows_as_parquet_have_types(ask: Run, rows: StandIn, tmp_path: Path) -> None:
    duckdb = pytest.importorskip("duckdb")
    ask("ledger", "--parquet", "--output", tmp_path / "rows.parquet")
    select = "count(*), sum(price_usd), sum(billed_ms), max(\"at\") > TIMESTAMPTZ '2026-01-02 00:00:00Z'"
    found = duckdb.connect().execute(f"SELECT {select} FROM '{tmp_path / 'rows.parquet'}'").fetchall()
    assert found == [(3, Decimal("0.000000612500025"), 6, True)]


def test_no_rows_are_said_not_to_be_there(ask: Run, aws: StandIn) -> None:
    aws.on("GET", "/_lambent/ledger.*", lambda _: Reply())
    ran = ask("ledger", "f")
    assert ran.err == "Nothing ran of f (--since 1h): try --since 1d or all.\n"
