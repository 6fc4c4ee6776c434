"""What is replayed is found in files of several shapes; what cannot be read is named, and the rest is replayed."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from unit.cli.stand_in import Run
from unit.cli.test_simulate import TRACE, simulated
from unit.simulation.test_azure import COUNTS, DURATIONS


def test_a_broken_line_is_named_and_the_others_are_replayed(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "trace.csv"
    path.write_text(TRACE + "then,a,1,\n30,a,100,\n", encoding="utf-8")
    ran = run("simulate", str(path), "--json")
    assert ran.code == 0
    found = json.loads(ran.out)
    assert found["runs"][0]["invocations"] == 4
    assert found["lines_left_out"] == 1
    assert ran.err == f"{path}: 1 line is left out; line 5: 'then' is no time.\n"


def test_a_trace_may_be_packed_or_come_through_a_pipe(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "trace.csv.gz"
    path.write_bytes(gzip.compress(TRACE.encode()))
    assert simulated(run, path)["runs"][0]["invocations"] == 3
    piped = run("simulate", "-", "--json", stdin=TRACE.encode())
    assert json.loads(piped.out)["runs"][0]["invocations"] == 3


def test_azures_counts_are_recognized_and_the_durations_beside_them_found(run: Run, tmp_path: Path) -> None:
    counts = tmp_path / "invocations_per_function_md.anon.d01.csv"
    counts.write_text("\n".join(COUNTS), encoding="utf-8")
    without = simulated(run, counts)
    assert "2 functions without percentiles of durations run 100 ms (assumed)." in without["assumptions"]
    (tmp_path / "function_durations_percentiles.anon.d01.csv").write_text(
        "\n".join(DURATIONS), encoding="utf-8"
    )
    beside = simulated(run, counts, "--cold-start", "0")
    assert beside["assumptions"] == []
    (found,) = beside["runs"]
    assert found["invocations"] == 8
    # Five of eight take 5 ms.
    assert found["latency_ms"]["p50"] == pytest.approx(5)
    assert found["latency_ms"]["max"] <= 120


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "The trace is empty."),
        (b"\x1f\x8b\xff\x00\xffgarbage\n", "must name its columns"),
        (b"at,duration_ms\n", "The trace has no invocations."),
        (b"at\n1\n", "say with --service how long invocations run"),
    ],
)
def test_a_file_that_is_no_trace_is_one_sentence(
    run: Run, tmp_path: Path, content: bytes, words: str
) -> None:
    path = tmp_path / "trace.csv"
    path.write_bytes(content)
    ran = run("simulate", str(path))
    assert (ran.code, ran.out) == (1, b"")
    assert words in ran.err
    assert ran.err.count("\n") == 1


def test_a_file_that_is_not_there_or_cannot_be_unpacked_is_one_sentence(run: Run, tmp_path: Path) -> None:
    missing = run("simulate", str(tmp_path / "none.csv"))
    assert missing.code == 1
    assert missing.err.endswith("none.csv: No such file or directory.\n")
    broken = tmp_path / "trace.csv.gz"
    broken.write_bytes(gzip.compress(TRACE.encode() * 100)[:60])
    ran = run("simulate", str(broken))
    assert ran.code == 1
    assert "it cannot be unpacked" in ran.err
    broken.write_text(TRACE, encoding="utf-8")
    assert "it cannot be unpacked" in run("simulate", str(broken)).err
