"""Where else it could run is decided by its peak; the break-even rate is where a machine's price is reached."""

from __future__ import annotations

from decimal import Decimal

import pytest

from lambent.advice.answer import MONTH_S
from lambent.advice.placement import Machine, advise_placement, break_even_per_s, machines
from unit.advice.rows import past, row

SERVER = Machine(name="own server", month_usd=Decimal(40), vcpus=4, gb=16)


def steady(per_s: float, duration_ms: float, **others: object):
    """So many a second in the last five minutes, one after another or side by side."""
    count = round(per_s * 300)
    return past([row(MONTH_S - 300 + n / per_s, duration_ms, **others) for n in range(count)])


def test_a_machine_runs_as_many_at_once_as_its_cpu_and_its_memory_hold() -> None:
    assert SERVER.at_once(1_769) == 4
    assert SERVER.at_once(128) == 55
    assert Machine(name="m", month_usd=Decimal(1), vcpus=100, gb=2).at_once(1_024) == 2
    assert Machine(name="m", month_usd=Decimal(1), vcpus=0.25, gb=0.5).at_once(1_769) == 0


def test_the_break_even_rate_is_the_machines_price_by_that_of_an_invocation() -> None:
    one = past([row(0.0, 100, memory_mb=1_024)])
    each = 0.0000002 + 0.1 * 0.0000166667
    assert break_even_per_s(SERVER, one) == pytest.approx(40 / each / MONTH_S)


def test_a_machine_that_is_dearer_even_when_full_never_breaks_even() -> None:
    """One vCPU for 1,000 dollars: 1.769 GB of Lambda, always busy, cost 76."""
    dear = Machine(name="dear", month_usd=Decimal(1_000), vcpus=1, gb=4)
    assert break_even_per_s(dear, past([row(0.0, 1_000, memory_mb=1_769)])) is None


def test_the_table_has_awss_hourly_prices_for_720_hours() -> None:
    found = {machine.name: machine.month_usd for machine in machines("arm64")}
    assert found["EC2 m7g.large"] == Decimal("0.0816") * 720
    assert found["EC2 Spot m7g.large"] == Decimal("0.0816") * 360
    assert found["Fargate 1 vCPU 2 GB"] == (Decimal("0.03238") + 2 * Decimal("0.00356")) * 720
    spot = {machine.name: machine.month_usd for machine in machines("x86_64", spot_share=Decimal("0.3"))}
    assert spot["EC2 Spot m7i.large"] == Decimal("0.1008") * 720 * Decimal("0.3")


def test_what_is_rarely_invoked_stays_on_lambda() -> None:
    answer = advise_placement(past([row(n * 60.0, 50) for n in range(100)]))
    assert not answer.is_action
    assert answer.verdict.startswith("Lambda is the cheapest place")
    assert "the first other place pays from" in answer.verdict
    assert "An own server pays if it costs less than" in answer.verdict


def test_what_is_always_busy_is_cheaper_elsewhere() -> None:
    """Forty a second of 100 ms at 1,769 MB: four at once, all the time, 345 dollars on Lambda."""
    busy = steady(40, 100, memory_mb=1_769)
    answer = advise_placement(busy, own=SERVER)
    assert answer.is_action
    assert answer.verdict.startswith("1 × own server would hold its peak of 4 for $40.00 in 30 days")
    assert float(answer.saved_usd or 0) == pytest.approx(float(busy.month_usd) - 40)
    names = [name for name, _ in answer.figures]
    assert names[0] == "Lambda"
    assert sum(name.startswith("Fargate") for name in names) == 1


def test_as_many_machines_are_counted_as_the_peak_needs() -> None:
    burst = past([row(n / 1_000, 1_000, memory_mb=1_769) for n in range(10)])
    figures = dict(advise_placement(burst, own=SERVER).figures)
    assert figures["own server"].startswith("3 of them: $120.00")
    assert figures["EC2 m7i.large"].startswith("5 of them")
