"""The ledger is read page by page, as signed requests; what it does not have is one sentence."""

from __future__ import annotations

import json
from typing import Any

import pytest

from unit.cli.stand_in import Asked, Reply, Run, StandIn

ROW = {
    "kind": "invocation",
    "function": "f",
    "duration_ms": 100.0,
    "init_ms": None,
    "memory_mb": 512,
    "architecture": "arm64",
}
CONFIGURATION = {"FunctionName": "f"}


def row(at: str, **others: Any) -> bytes:
    return json.dumps({**ROW, "at": f"2026-01-02T03:04:{at}Z", **others}).encode() + b"\n"


@pytest.fixture
def ledger(aws: StandIn) -> StandIn:
    """Two pages: a cold start that came at 00.000, a warm one at 04.900, and what is no invocation."""
    first = row("00.350", init_ms=250.0) + row("01.000", kind="initialization", duration_ms=250.0)

    def answer(asked: Asked) -> Reply:
        if "after=0" in asked.path:
            return Reply(body=first, headers={"x-lambent-next": "17"})
        return Reply(body=row("05.000"))

    aws.on("GET", r"/_lambent/ledger\?.*", answer)
    return aws


def test_a_history_is_what_the_ledger_has_on_all_its_pages(ask: Run, ledger: StandIn) -> None:
    ran = ask("simulate", "--history", "f", "--json")
    found = json.loads(ran.out)
    (run,) = found["runs"]
    assert found["assumptions"] == []
    assert run["invocations"] == 2
    # Rows say when an invocation ended.
    assert run["duration_s"] == pytest.approx(4.9)
    assert run["latency_ms"]["max"] == pytest.approx(350)
    assert (run["platform"]["memory_mb"], run["platform"]["architecture"]) == (512, "arm64")
    assert [("after=17" in asked.path) for asked in ledger.of("GET")] == [False, True]
    assert all("function=f" in asked.path for asked in ledger.of("GET"))


def test_requests_for_the_ledger_are_signed(ask: Run, ledger: StandIn) -> None:
    ask("simulate", "--history", "f")
    signature = ledger.of("GET")[0].headers["authorization"]
    assert signature.startswith("AWS4-HMAC-SHA256 Credential=000000000000/")


def test_what_happened_is_shown_beside_what_was_simulated(ask: Run, ledger: StandIn) -> None:
    ran = ask("simulate", "--history", "f", "--validate")
    lines = {line[:27].strip(): line[27:].split() for line in ran.out.decode().splitlines()}
    assert lines["cold starts"] == ["1", "(50.00%)"] * 2
    assert lines["latency max"] == ["350.0", "ms"] * 2
    assert lines["peak concurrency"] == ["1", "1"]
    found = json.loads(ask("simulate", "--history", "f", "--validate", "--json").out)
    assert found["observed"]["cold_starts"] == 1


def test_a_function_without_invocations_is_told_from_one_that_is_not_there(ask: Run, aws: StandIn) -> None:
    aws.on("GET", r"/_lambent/ledger\?.*", lambda _: Reply())
    aws.on("GET", "/2015-03-31/functions/f/configuration", CONFIGURATION)
    aws.missing("GET", "/2015-03-31/functions/nobody/configuration")
    quiet = ask("simulate", "--history", "f", "--since", "2h")
    assert quiet.code == 1
    assert (
        quiet.err
        == "lambent: The ledger has no invocations of f (--since 2h): invoke it, or try --since all.\n"
    )
    unknown = ask("simulate", "--history", "nobody")
    assert unknown.code == 1
    assert "There is no function nobody" in unknown.err


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (Reply(status=404, body=b'{"message": "There is nothing at /_lambent/ledger."}'), "There is nothing"),
        (
            Reply(status=403, body=b'{"message": "not authorized"}'),
            "not authorized",
        ),
        (Reply(status=500, body=b"oops"), "its answer is 500 without a sentence"),
    ],
)
def test_a_server_that_gives_no_rows_is_one_sentence(
    ask: Run, aws: StandIn, reply: Reply, words: str
) -> None:
    aws.on("GET", r"/_lambent/ledger\?.*", lambda _: reply)
    ran = ask("simulate", "--history", "f")
    assert (ran.code, ran.out) == (1, b"")
    assert words in ran.err
    assert ran.err.count("\n") == 1


def test_without_a_server_a_history_is_one_sentence(run: Run) -> None:
    ran = run("--endpoint", "http://127.0.0.1:1", "simulate", "--history", "f")
    assert ran.code == 1
    assert "Nothing answers at http://127.0.0.1:1: start it with `lambent up`." in ran.err
