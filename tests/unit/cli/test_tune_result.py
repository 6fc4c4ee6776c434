"""The best size by each strategy, how sure that is, and the output that other tools read."""

from __future__ import annotations

import base64
import struct
from collections.abc import Sequence
from random import Random

import pytest

from lambent.cli.measure import Failure, Sample
from lambent.cli.report import Report
from lambent.cli.tune_result import Choice, Measured, Size, choose, output, size_of, visualisation


def sample(memory_mb: int, duration_ms: float, payload: int = 0, init_ms: float | None = None) -> Sample:
    billed_ms = int(duration_ms + (init_ms or 0)) + 1
    report = Report(
        line="",
        duration_ms=duration_ms,
        billed_duration_ms=billed_ms,
        memory_mb=memory_mb,
        max_memory_used_mb=memory_mb // 2,
        init_duration_ms=init_ms,
    )
    return Sample(payload=payload, report=report, price_usd=billed_ms * memory_mb * 1.6e-11)


def size(memory_mb: int, durations_ms: Sequence[float], **options: object) -> Size:
    samples = tuple(sample(memory_mb, duration_ms) for duration_ms in durations_ms)
    measured = Measured(memory_mb=memory_mb, samples=samples, **options)  # type: ignore[arg-type]
    return size_of(measured, 1, 0.2, Random(1))


def around(middle: float, spread: float, count: int = 30) -> list[float]:
    chance = Random(f"{middle}")
    return [chance.gauss(middle, spread) for _ in range(count)]


CPU_BOUND = [size(128, around(800, 5)), size(256, around(380, 5)), size(512, around(200, 5))]


def chosen(sizes: Sequence[Size], strategy: str, weight: float = 0.5) -> Choice:
    choice = choose(sizes, strategy, weight)
    assert choice is not None
    return choice


def test_cost_takes_the_cheapest_and_speed_the_fastest() -> None:
    assert chosen(CPU_BOUND, "cost").best.memory_mb == 256
    assert chosen(CPU_BOUND, "speed").best.memory_mb == 512


def test_balanced_is_speed_at_weight_0_and_cost_at_1() -> None:
    assert chosen(CPU_BOUND, "balanced", 0.0).best.memory_mb == 512
    assert chosen(CPU_BOUND, "balanced", 1.0).best.memory_mb == 256


def test_a_clear_difference_is_significant_and_has_no_ties() -> None:
    choice = chosen(CPU_BOUND, "speed")
    assert choice.is_significant
    assert choice.ties == ()
    assert choice.runner_up is not None
    assert choice.runner_up.memory_mb == 256


def test_a_difference_within_the_noise_is_called_not_significant() -> None:
    """A function that sleeps is as quick at every size: the quickest is so by chance."""
    flat = [size(memory_mb, around(20 + memory_mb / 1e6, 2)) for memory_mb in (128, 512, 1024)]
    choice = chosen(flat, "speed")
    assert not choice.is_significant
    assert choice.runner_up is not None
    assert choice.runner_up.memory_mb in choice.ties
    assert chosen(flat, "cost").best.memory_mb == 128
    assert chosen(flat, "cost").is_significant


def test_what_the_machine_cannot_give_is_never_chosen() -> None:
    sizes = [*CPU_BOUND, size(10240, around(10, 1), doubt="5.8 vCPU, and the machine has 2")]
    assert chosen(sizes, "speed").best.memory_mb == 512
    assert sizes[-1].note == "5.8 vCPU, and the machine has 2"
    assert choose(sizes[-1:], "speed", 0.5) is None


def test_a_size_at_which_memory_did_not_suffice_is_never_chosen() -> None:
    killed = Failure(payload=0, price_usd=0.0, kind="Runtime.OutOfMemory", message="killed")
    sizes = [size(128, around(1, 0.1), failures=(killed,)), *CPU_BOUND[1:]]
    assert chosen(sizes, "cost").best.memory_mb == 256
    assert sizes[0].note == "1 failed (Runtime.OutOfMemory: killed)"


def test_a_failure_that_no_size_cures_is_told_and_not_decisive() -> None:
    flaky = Failure(payload=0, price_usd=0.0, kind="ValueError", message="sometimes")
    assert size(128, around(1, 0.1), failures=(flaky,)).is_candidate
    assert not size(128, around(1, 0.1), failures=(flaky,) * 3, is_given_up=True).is_candidate


def test_a_size_that_only_fails_has_no_figures() -> None:
    failed = size(128, [], is_given_up=True)
    assert failed.cost is None
    assert not failed.is_candidate
    assert choose([failed], "cost", 0.5) is None


def test_a_cold_start_is_counted_into_the_duration() -> None:
    samples = tuple(sample(128, 10.0, init_ms=90.0) for _ in range(6))
    found = size_of(Measured(memory_mb=128, samples=samples), 1, 0.0, Random(1))
    assert found.p50 is not None
    assert found.p50.value == 100.0
    assert found.init_ms == 90.0


def test_the_price_on_arm64_has_its_own_figures() -> None:
    samples = tuple(sample(128, 10.0) for _ in range(6))
    measured = Measured(memory_mb=128, samples=samples, other_prices=(3e-7,) * 6)
    found = size_of(measured, 1, 0.0, Random(1)).other_cost
    assert found is not None
    assert found.value == pytest.approx(0.3)


def test_the_visualisers_link_says_what_was_measured() -> None:
    """As its page decodes it: int16 sizes, float32 durations and costs, little-endian."""
    address, _, fragment = visualisation(CPU_BOUND).partition("#")
    assert address == "https://lambda-power-tuning.show/"
    sizes, durations, costs = (base64.b64decode(part) for part in fragment.split(";"))
    assert struct.unpack("<3h", sizes) == (128, 256, 512)
    assert struct.unpack("<3f", durations) == pytest.approx([800, 380, 200], rel=0.02)
    assert struct.unpack("<3f", costs)[1] == pytest.approx(381 * 256 * 1.6e-11, rel=0.02)


def test_the_link_leaves_out_what_it_could_not_mark() -> None:
    doubted = size(10240, around(10, 1), doubt="too many")
    assert visualisation([*CPU_BOUND, doubted]) == visualisation(CPU_BOUND)


def test_the_output_is_the_state_machines() -> None:
    document = output(CPU_BOUND, chosen(CPU_BOUND, "cost"), spent_usd=0.01, includes_stats=False)
    assert document["power"] == 256
    assert document["duration"] == pytest.approx(380, rel=0.02)
    assert document["cost"] == pytest.approx(381 * 256 * 1.6e-11, rel=0.02)
    assert document["stateMachine"]["executionCost"] == 0
    assert document["stateMachine"]["lambdaCost"] == 0.01
    assert document["stateMachine"]["visualization"] == visualisation(CPU_BOUND)
    assert "stats" not in document
    stats = output(CPU_BOUND, None, spent_usd=0.0, includes_stats=True)["stats"]
    assert [stat["value"] for stat in stats] == [128, 256, 512]
    assert set(stats[0]) == {"averagePrice", "averageDuration", "value"}


def test_without_a_best_size_the_output_says_so() -> None:
    document = output([], None, spent_usd=0.0, includes_stats=False)
    assert document["power"] is None
