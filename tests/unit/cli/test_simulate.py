"""`simulate` replays what it is given on several platforms, and refuses the rest in one sentence."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lambent.cli.simulate import SCENARIOS_MAX, platforms_of, seconds_of
from lambent.cli.terminal import UsageError
from unit.cli.stand_in import Run

TRACE = "at,function,duration_ms,init_ms\n0,a,100,250\n10,a,100,\n20,a,300,\n"


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    path = tmp_path / "trace.csv"
    path.write_text(TRACE, encoding="utf-8")
    return path


def simulated(run: Run, *arguments: str | Path) -> dict[str, Any]:
    """What `simulate --json` says."""
    ran = run("simulate", *map(str, arguments), "--json")
    assert ran.code == 0, ran.err
    found: dict[str, Any] = json.loads(ran.out)
    return found


def test_a_trace_is_replayed_with_its_own_durations_and_cold_starts(run: Run, trace: Path) -> None:
    (found,) = simulated(run, trace)["runs"]
    assert found["invocations"] == 3
    assert found["cold_starts"] == 1
    assert found["latency_ms"]["max"] == pytest.approx(350)
    assert found["peak_concurrency"] == 1
    # 350 + 100 + 300 ms at 128 MB, and three requests.
    assert float(found["bill_usd"]["total"]) == pytest.approx(0.75 / 8 * 0.0000166667 + 3 * 0.0000002)


def test_values_with_commas_are_compared_side_by_side(run: Run, trace: Path) -> None:
    ran = run("simulate", str(trace), "--memory", "128,256", "--keep-alive", "5s,10m")
    assert ran.code == 0
    lines = {line[:27].strip(): line[27:].split() for line in ran.out.decode().splitlines()}
    assert lines["memory"] == ["128", "MB", "128", "MB", "256", "MB", "256", "MB"]
    assert lines["keep-alive"] == ["5", "s", "600", "s"] * 2
    assert lines["cold starts"] == ["3", "(100.00%)", "1", "(33.33%)"] * 2
    # What is the same for all is not a line.
    assert "provisioned" not in lines


def test_one_platform_shows_its_settings_and_its_concurrency_over_time(run: Run, trace: Path) -> None:
    ran = run("simulate", str(trace))
    assert b"account limit" in ran.out
    assert "█" in ran.out.decode()
    assert "trace.csv: 3 invocations of a in 20 s" in ran.err


def test_random_arrivals_say_what_they_assume(run: Run) -> None:
    found = simulated(run, "--poisson", "10", "--for", "60s")
    assert found["assumptions"] == ["Invocations run 100 ms (assumed).", "Inits take 200 ms (assumed)."]
    assert found["runs"][0]["mean_concurrency"] == pytest.approx(1.0, rel=0.2)


def test_the_same_seed_gives_the_same_figures(run: Run) -> None:
    arguments = ("--poisson", "20", "--for", "30s", "--service", "exponential:300", "--seed")
    assert simulated(run, *arguments, "5") == simulated(run, *arguments, "5")
    assert simulated(run, *arguments, "5") != simulated(run, *arguments, "6")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "Say what to replay: a file with a trace, --history NAME or --poisson RATE"),
        (("x.csv", "--poisson", "1"), "Say what to replay"),
        (("--history", "f", "--poisson", "1"), "Say what to replay"),
        (("--history", "f", "--aws"), "AWS has no ledger"),
        (("--history", "f", "--since", "soon"), "--since must be an age"),
        (("--poisson", "0"), "--poisson must be above 0"),
        (("--poisson", "nan"), "--poisson must be above 0"),
        (("--poisson", "1", "--scale", "-1"), "--scale must be above 0"),
        (("--poisson", "1", "--for", "soon"), "--for must be a time such as"),
        (("--poisson", "1", "--keep-alive", "10m,0s"), "--keep-alive must be a time such as"),
        (("--poisson", "1", "--memory", "64"), "--memory must be whole numbers from 128"),
        (("--poisson", "1", "--provisioned", "1,x"), "--provisioned must be whole numbers"),
        (
            ("--poisson", "1", "--reserved", "2", "--provisioned", "3"),
            "--provisioned 3 is more than --reserved 2",
        ),
        (("--poisson", "1", "--service", "weibull:2"), "--service: A duration must be MS"),
        (("--poisson", "1", "--architecture", "mips"), "--architecture must be x86_64 or arm64"),
        (("--poisson", "1", "--start-overhead", "-1"), "--start-overhead must not be below 0"),
    ],
)
def test_misuse_is_one_sentence_and_exit_code_2(run: Run, arguments: tuple[str, ...], words: str) -> None:
    ran = run("simulate", *arguments)
    assert (ran.code, ran.out) == (2, b"")
    assert words in ran.err
    assert ran.err.count("\n") == 1


def test_too_many_combinations_are_refused() -> None:
    many = ",".join(str(number) for number in range(SCENARIOS_MAX + 1))
    with pytest.raises(UsageError, match=f"at most {SCENARIOS_MAX}"):
        platforms_of(memory="128", reserved="none", provisioned=many, account_limit="1000", keep_alive="1m")


@pytest.mark.parametrize(("text", "seconds"), [("500ms", 0.5), ("90s", 90), ("1.5h", 5_400), ("2d", 172_800)])
def test_a_time_is_a_number_with_its_unit(text: str, seconds: float) -> None:
    assert seconds_of(text, "--for") == seconds
