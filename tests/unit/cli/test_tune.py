"""How many run at once, and what is refused before anything is made."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from lambent.cli.blueprint import Blueprint
from lambent.cli.machine import Machine
from lambent.cli.tune import parallelism
from unit.cli.stand_in import Run, StandIn

BLUEPRINT = Blueprint(parameters={}, label="f", package_bytes=1)
TWO_CPUS = Machine(cpus=2)


@pytest.mark.parametrize(("memory_mb", "at_once"), [(128, 27), (512, 6), (1769, 2), (3008, 1), (10240, 1)])
def test_no_more_run_at_once_than_there_is_cpu_for(memory_mb: int, at_once: int) -> None:
    """Else they would slow each other, which they do not on AWS."""
    assert parallelism(50, BLUEPRINT, TWO_CPUS, memory_mb, None) == at_once


def test_no_more_run_at_once_than_there_are() -> None:
    assert parallelism(5, BLUEPRINT, TWO_CPUS, 128, None) == 5


def test_what_reserved_concurrency_protects_stays_protected() -> None:
    protected = replace(BLUEPRINT, reserved_concurrency=2)
    assert parallelism(50, protected, Machine(), 128, 1000) == 2


def test_on_aws_nine_tenths_are_left_to_others() -> None:
    assert parallelism(100, BLUEPRINT, Machine(), 10240, 200) == 20
    assert parallelism(100, BLUEPRINT, Machine(), 128, 5) == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "Say which function"),
        (("f", "--num", "4"), "num must be a whole number from 5"),
        (("f", "--powers", "100"), "A memory size is from 128"),
        (("f", "--strategy", "best"), "strategy must be cost, speed or balanced"),
        (("f", "-d", "{"), "The event in -d is not JSON"),
    ],
)
def test_misuse_is_one_sentence_and_asks_nobody(
    run: Run, aws: StandIn, arguments: tuple[str, ...], words: str
) -> None:
    ran = run("--endpoint", aws.endpoint, "tune", *arguments)
    assert ran.code == 2
    assert ran.err.startswith(f"lambent: {words}")
    assert ran.err.count("\n") == 1
    assert aws.asked == []


def test_an_input_that_is_no_object_is_refused(run: Run, aws: StandIn, tmp_path: Path) -> None:
    (tmp_path / "in.json").write_text("[]")
    ran = run("--endpoint", aws.endpoint, "tune", "--input", tmp_path / "in.json")
    assert ran.code == 2
    assert "is not an object" in ran.err


def test_a_payload_in_s3_is_fetched_from_aws_only(run: Run, aws: StandIn, tmp_path: Path) -> None:
    (tmp_path / "in.json").write_text('{"lambdaARN": "f", "payloadS3": "s3://b/k"}')
    ran = run("--endpoint", aws.endpoint, "tune", "--input", tmp_path / "in.json")
    assert ran.code == 2
    assert "payloadS3 is fetched with --aws only" in ran.err


def test_a_function_that_is_switched_off_is_left_so(run: Run, aws: StandIn) -> None:
    aws.on(
        "GET",
        "/2015-03-31/functions/f",
        {"Configuration": {}, "Code": {}, "Concurrency": {"ReservedConcurrentExecutions": 0}},
    )
    ran = run("--endpoint", aws.endpoint, "tune", "f")
    assert ran.code == 2
    assert "is switched off" in ran.err
