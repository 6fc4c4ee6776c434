"""`advise` answers from the ledger and the function's configuration, and says in one sentence why it cannot."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from unit.cli.stand_in import Reply, Run, StandIn

CONFIGURATION = {"FunctionName": "f", "Runtime": "python3.12", "Handler": "app.handler", "CodeSize": 1_000}
PROVISIONED = r"/2019-09-30/functions/f/provisioned-concurrency\?List=ALL"


def row(minutes_ago: float, **others: Any) -> bytes:
    at = datetime.now(UTC) - timedelta(minutes=minutes_ago)
    values = {
        "kind": "invocation",
        "at": at.isoformat(),
        "function": "f",
        "duration_ms": 100.0,
        "billed_ms": 100,
        "memory_mb": 128,
        "max_memory_mb": 100,
        "status": "success",
        "price_usd": "0.0000004",
    }
    return json.dumps(values | others).encode() + b"\n"


@pytest.fixture
def ledger(aws: StandIn) -> StandIn:
    rows = row(2_000, init_ms=200.0) + b"".join(row(1_000 - n) for n in range(20))
    failed = row(500, status="error", error_type="ValueError")
    other = row(400, function="quiet") + row(300, function="lambent-temporary-f-imports-123456")
    aws.on("GET", r"/_lambent/ledger\?.*function=f.*", lambda _: Reply(body=rows + failed))
    aws.on("GET", r"/_lambent/ledger\?.*", lambda _: Reply(body=rows + failed + other))
    aws.on("GET", "/2015-03-31/functions/f/configuration", CONFIGURATION)
    aws.on("GET", PROVISIONED, {"ProvisionedConcurrencyConfigs": []})
    aws.missing("GET", "/2015-03-31/functions/quiet/configuration")
    return aws


def test_all_questions_about_a_function_are_answered_with_numbers_and_commands(
    ask: Run, ledger: StandIn
) -> None:
    ran = ask("advise", "f")
    assert ran.code == 0
    text = ran.out.decode()
    for heading in (
        "memory",
        "provisioned concurrency",
        "SnapStart",
        "package and imports",
        "placement",
        "patterns",
    ):
        assert f"· {heading}\n" in text
    assert "! errors\n  1 (4.55%) of the invocations failed" in text
    assert "    $ lambent logs f --filter ERROR --since 7d\n" in text
    assert "f: 22 invocations since " in text


def test_programs_get_json(ask: Run, ledger: StandIn) -> None:
    (found,) = json.loads(ask("advise", "f", "--json").out)
    assert (found["function"], found["invocations"]) == ("f", 22)
    errors = next(answer for answer in found["answers"] if answer["question"] == "errors")
    assert errors["is_action"] is True
    assert float(errors["saved_usd"]) > 0
    assert errors["evidence"] == ["lambent logs f --filter ERROR --since 7d", "lambent ledger f --since 7d"]


def test_without_a_name_what_should_be_done_is_told_of_every_function(ask: Run, ledger: StandIn) -> None:
    ran = ask("advise")
    lines = ran.out.decode().splitlines()
    assert [line.partition(":")[0] for line in lines if not line.startswith(" ")] == ["f", "quiet"]
    assert any(line.startswith("  ! errors ($") for line in lines)
    assert "  nothing to do" in lines
    assert "lambent-temporary" not in ran.out.decode()
    assert "Of some there is less than a day of history" in ran.err


def test_what_is_provisioned_now_is_asked_of_the_api(ask: Run, aws: StandIn) -> None:
    aws.on("GET", r"/_lambent/ledger\?.*", lambda _: Reply(body=row(2_000, init_ms=200.0) + row(5)))
    aws.on("GET", "/2015-03-31/functions/f/configuration", CONFIGURATION)
    configs = [{"RequestedProvisionedConcurrentExecutions": count} for count in (1, 2)]
    aws.on("GET", PROVISIONED, {"ProvisionedConcurrencyConfigs": configs})
    assert b"It has 3 provisioned, which cost $" in ask("advise", "f").out


def test_an_arn_or_a_qualified_name_means_its_function(ask: Run, ledger: StandIn) -> None:
    for name in ("f:live", "arn:aws:lambda:us-east-1:000000000000:function:f:2"):
        assert ask("advise", name, "--json").code == 0
    assert all("function=f&" in asked.path or "function" not in asked.path for asked in ledger.of("GET")[:1])


def test_an_own_server_and_spots_price_are_taken_into_account(ask: Run, ledger: StandIn) -> None:
    (found,) = json.loads(ask("advise", "f", "--json", "--server", "40,4,16", "--spot-share", "0.25").out)
    figures = next(answer["figures"] for answer in found["answers"] if answer["question"] == "placement")
    assert figures["own server"].startswith("1 of them: $40.00 in 30 days")
    assert figures["EC2 Spot m7i.large"].startswith("1 of them: $18.14")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("",), "NAME is empty"),
        (("--imports",), "--imports needs the name of a function"),
        (("f", "--server", "40"), "--server must be its price for 30 days, its vCPUs and its GB"),
        (("f", "--server", "40,x,1"), "--server must be"),
        (("f", "--server", "40,0,1"), "--server must be"),
        (("f", "--spot-share", "2"), "--spot-share must be above 0 and at most 1"),
        (("f", "--since", "ever"), "--since must be an age"),
        (("f", "--aws"), "AWS has no such thing: leave out --aws"),
    ],
)
def test_misuse_is_one_sentence_and_exit_code_2(run: Run, arguments: tuple[str, ...], words: str) -> None:
    ran = run("advise", *arguments)
    assert (ran.code, ran.out) == (2, b"")
    assert words in ran.err
    assert ran.err.count("\n") == 1


def test_an_empty_ledger_and_unknown_functions_are_one_sentence(ask: Run, aws: StandIn) -> None:
    aws.on("GET", r"/_lambent/ledger\?.*", lambda _: Reply())
    aws.missing("GET", "/2015-03-31/functions/nobody/configuration")
    empty = ask("advise", "--since", "2h")
    assert empty.code == 1
    assert (
        empty.err == "lambent: The ledger has no invocations (--since 2h): there is nothing to advise on.\n"
    )
    assert "There is no function nobody" in ask("advise", "nobody").err


def test_rows_that_cannot_be_read_are_counted_and_the_others_are_used(ask: Run, aws: StandIn) -> None:
    aws.on("GET", r"/_lambent/ledger\?.*", lambda _: Reply(body=row(5) + b'{"kind": 1}\n' + row(4)))
    aws.on("GET", "/2015-03-31/functions/f/configuration", CONFIGURATION)
    aws.on("GET", PROVISIONED, {"ProvisionedConcurrencyConfigs": []})
    ran = ask("advise", "f", "--json")
    assert json.loads(ran.out)[0]["invocations"] == 2
    assert "1 rows of the ledger cannot be read and are left out" in ran.err


def test_a_function_that_is_gone_cannot_be_profiled(ask: Run, aws: StandIn) -> None:
    aws.on("GET", r"/_lambent/ledger\?.*", lambda _: Reply(body=row(5)))
    aws.missing("GET", "/2015-03-31/functions/f/configuration")
    ran = ask("advise", "f", "--imports")
    assert ran.code == 1
    assert "The function is gone" in ran.err


@pytest.mark.parametrize(
    ("configuration", "words"),
    [
        (
            {**CONFIGURATION, "Runtime": "nodejs22.x"},
            "f runs on nodejs22.x: only Python tells what it imports.",
        ),
        ({**CONFIGURATION, "CodeSize": 60_000_000}, "f has more code than a clone can be made of (50 MB)."),
    ],
)
def test_what_cannot_be_profiled_is_told(
    ask: Run, aws: StandIn, configuration: dict[str, Any], words: str
) -> None:
    aws.on("GET", r"/_lambent/ledger\?.*", lambda _: Reply(body=row(5)))
    aws.on("GET", "/2015-03-31/functions/f/configuration", configuration)
    ran = ask("advise", "f", "--imports")
    assert ran.code == 1
    assert words in ran.err
    assert not aws.of("POST")
