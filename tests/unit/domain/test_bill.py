"""The bill: AWS's own examples, hand-computed cases at the edges of tiers, and what holds for any usage. Exact."""

from __future__ import annotations

import itertools
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambent.domain.bill import Assumptions, Bill, Line, alternatives, bill, projected
from lambent.domain.ledger import INVOCATION, PROVISIONED, SNAPSHOT, Category, Sums, Usage
from lambent.domain.pricing.components import list_price
from lambent.domain.pricing.exact import exact
from lambent.domain.pricing.price_list import ARM, AWS, X86, PriceList, Prices

FREE_GB_S = 400_000
DAY = 20_454


def category(**changes: Any) -> Category:
    values: dict[str, Any] = {
        "kind": INVOCATION,
        "account": "000000000000",
        "region": "us-east-1",
        "function": "f",
        "version": "1",
        "memory_mb": 1024,
        "runtime": "python3.12",
    }
    return Category(**values | changes)


def used(
    requests: int = 0, seconds: float = 0, *, day: int = DAY, sums: dict[str, int] | None = None, **of: Any
) -> Usage:
    """Usage of so many requests that take so many seconds altogether."""
    values = {"rows": requests, "requests": requests, "billed_ms": round(seconds * 1000)} | (sums or {})
    return Usage(day=DAY, category=category(**of), sums=Sums(**values))


def lines_of(made: Bill, component: str) -> list[Line]:
    return [line for line in made.lines if line.component == component]


def cents(amount: Decimal) -> Decimal:
    return amount.quantize(Decimal("0.01"))


# AWS page "AWS Lambda pricing", its examples.


def test_the_mobile_backend() -> None:
    """3 million requests of 120 ms with 1,536 MB: 2.33 for the GB-seconds beyond the free ones, 0.40 for requests."""
    made = bill([used(3_000_000, 360_000, memory_mb=1536)], AWS)
    free, paid = lines_of(made, "duration")
    assert (free.quantity, paid.quantity) == (400_000, 140_000)
    assert paid.amount == Decimal("2.333338")
    assert lines_of(made, "requests")[1].amount == Decimal("0.4")
    assert made.total == Decimal("2.733338")
    assert cents(made.total) == Decimal("2.73")


def test_the_mobile_backend_with_a_large_tmp() -> None:
    """With 10,240 MB of /tmp, 9.5 GB of it charged for 360,000 s: 3.42 million GB-seconds, 0.11 more."""
    made = bill([used(3_000_000, 360_000, memory_mb=1536, ephemeral_storage_mb=10_240)], AWS)
    (line,) = lines_of(made, "ephemeral-storage")
    assert (line.quantity, line.amount) == (3_420_000, Decimal("0.105678"))
    assert cents(made.total) == Decimal("2.84")


def test_a_function_of_half_a_gigabyte_that_runs_a_second_three_million_times() -> None:
    """1.5 million GB-seconds less 400,000, and two million requests: the oldest of AWS's examples, at today's price."""
    made = bill([used(3_000_000, 3_000_000, memory_mb=512)], AWS)
    assert lines_of(made, "duration")[1].quantity == 1_100_000
    assert cents(made.total) == Decimal("18.33") + Decimal("0.40")


def test_provisioned_concurrency_for_two_hours() -> None:
    """1,000 environments of 1 GB for two hours, 1.2 million requests of a second in them: 30.00, 0.24 and 11.67."""
    made = bill(
        [
            used(sums={"billed_ms": 1000 * 7_200_000}, kind=PROVISIONED, initialization_type=PROVISIONED),
            used(1_200_000, 1_200_000, initialization_type=PROVISIONED),
        ],
        AWS,
    )
    (reserved,) = lines_of(made, "provisioned-concurrency")
    assert (reserved.quantity, cents(reserved.amount)) == (7_200_000, Decimal("30.00"))
    (requests,) = lines_of(made, "requests")
    assert requests.amount == Decimal("0.24"), "the free tier is not for it"
    (duration,) = lines_of(made, "provisioned-duration")
    assert cents(duration.amount) == Decimal("11.67")
    assert cents(made.total) == Decimal("41.91")


# Hand-computed.


@pytest.mark.parametrize(
    ("architecture", "gb_seconds", "amounts"),
    [
        (X86, 6_000_000_000, ["100000.2"]),
        (X86, 6_000_000_001, ["100000.2", "0.000015"]),
        (X86, 15_000_000_000, ["100000.2", "135000"]),
        (X86, 15_000_000_001, ["100000.2", "135000", "0.0000133334"]),
        (ARM, 7_500_000_000, ["100000.5"]),
        (ARM, 7_500_000_001, ["100000.5", "0.0000120001"]),
        (ARM, 18_750_000_000, ["100000.5", "135001.125"]),
        (ARM, 18_750_000_001, ["100000.5", "135001.125", "0.0000106667"]),
    ],
)
def test_a_tier_begins_after_the_last_gb_second_of_the_one_before(
    architecture: str, gb_seconds: int, amounts: list[str]
) -> None:
    """What is left when the free tier is taken off fills the tiers."""
    made = bill([used(0, gb_seconds + FREE_GB_S, architecture=architecture)], AWS)
    free, *paid = lines_of(made, "duration")
    assert free.quantity == FREE_GB_S
    assert [line.amount for line in paid] == [Decimal(amount) for amount in amounts]
    assert [line.tier for line in paid] == ["1", "2", "3"][: len(amounts)]
    assert made.listed - made.free_tier - made.tiers == made.total


def test_a_millisecond_beyond_a_tier_is_in_the_next() -> None:
    made = bill([used(0, 6_000_000_000 + FREE_GB_S + 0.001, memory_mb=1024)], AWS)
    assert lines_of(made, "duration")[2].amount == Decimal("0.000000015")


def test_each_region_and_architecture_has_tiers_of_its_own() -> None:
    made = bill(
        [
            used(0, 6_000_000_000, region=region, architecture=architecture)
            for region in ("us-east-1", "eu-west-1")
            for architecture in (X86, ARM)
        ],
        AWS,
        Assumptions(free_tier=False),
    )
    assert [line.tier for line in lines_of(made, "duration")] == ["1"] * 4


@pytest.mark.parametrize(("requests", "paid"), [(999_999, "0"), (1_000_000, "0"), (1_000_001, "0.0000002")])
def test_the_first_million_requests_is_free(requests: int, paid: str) -> None:
    assert bill([used(requests)], AWS).total == Decimal(paid)


def test_the_free_tier_is_one_for_all_architectures_and_regions() -> None:
    made = bill(
        [
            used(600_000, 300_000, architecture=ARM),
            used(600_000, 300_000, region="eu-west-1"),
        ],
        AWS,
    )
    free = [line for line in made.lines if line.tier == "free"]
    assert sum(line.quantity for line in free if line.component == "requests") == 1_000_000
    by_architecture = {line.architecture: line.quantity for line in free if line.component == "duration"}
    assert by_architecture == {X86: 300_000, ARM: 100_000}


def test_spillover_is_charged_on_demand_and_never_free() -> None:
    made = bill([used(10, 10, initialization_type="on-demand", is_spillover=True)], AWS)
    (line,) = lines_of(made, "duration")
    assert (line.tier, line.rate) == ("1", Decimal("0.0000166667"))
    (requests,) = lines_of(made, "requests")
    assert requests.amount == Decimal("0.000002")


def test_init_is_charged_as_duration_and_said() -> None:
    made = bill([used(1, 3, sums={"billed_init_ms": 1000})], AWS, Assumptions(free_tier=False))
    (line,) = lines_of(made, "duration")
    assert line.quantity == 3
    assert made.init == Decimal("0.0000166667")


def test_a_snapshot_is_paid_for_while_it_is_kept_and_when_it_is_restored() -> None:
    kept = used(sums={"billed_ms": 3 * 3600 * 1000}, kind=SNAPSHOT, memory_mb=2048)
    restored = used(100, 0, sums={"restores": 100}, memory_mb=2048)
    made = bill([kept, restored], AWS)
    (cache,) = lines_of(made, "snapstart-cache")
    assert (cache.quantity, cache.amount) == (21_600, Decimal("0.03249936"))
    (restore,) = lines_of(made, "snapstart-restore")
    assert (restore.quantity, restore.amount) == (200, Decimal("0.02795996"))


def test_snapshots_of_java_cost_nothing() -> None:
    made = bill(
        [
            used(sums={"billed_ms": 10**9}, kind=SNAPSHOT, runtime="java21"),
            used(0, 0, sums={"restores": 100}, runtime="java21"),
        ],
        AWS,
    )
    assert made.lines == ()


@pytest.mark.parametrize(("gib", "paid"), [(100, "0"), (101, "0.008")])
def test_a_hundred_gibibytes_of_streams_are_free(gib: int, paid: str) -> None:
    assert bill([used(sums={"charged_stream_bytes": gib * 2**30})], AWS).total == Decimal(paid)


def test_a_tenants_new_environment_costs_by_its_memory() -> None:
    made = bill([used(sums={"new_environments": 3}, tenant="blue", memory_mb=512)], AWS)
    (line,) = lines_of(made, "tenant-isolation")
    assert line.amount == Decimal("0.0002500005")
    assert bill([used(sums={"new_environments": 3}, memory_mb=512)], AWS).lines == ()


def test_an_empty_month_is_a_bill_of_nothing() -> None:
    made = bill([], AWS)
    assert (made.lines, made.total, made.listed, made.notices) == ((), 0, 0, ())


# Other assumptions.


def test_on_arm_the_same_time_costs_less() -> None:
    usage = [used(0, 1_000_000)]
    on_arm = bill(usage, AWS, Assumptions(architecture=ARM))
    assert on_arm.total == Decimal("0.0000133334") * 600_000
    assert {line.architecture for line in on_arm.lines} == {ARM}


def test_elsewhere_has_prices_of_its_own_and_says_which_are_not() -> None:
    made = bill([used(2_000_000, 500_000)], AWS, Assumptions(region="af-south-1"))
    assert lines_of(made, "duration")[1].amount == Decimal("0.0000221") * 100_000
    assert made.notices == (
        "AWS's price list of 2026-09-28 does not have all prices of af-south-1: prices of us-east-1 stand in for what "
        "is missing.",
    )


def test_without_the_free_tier_all_is_paid() -> None:
    made = bill([used(1_000_000, 400_000)], AWS, Assumptions(free_tier=False))
    assert made.total == made.listed == Decimal("0.2") + Decimal("6.66668")
    assert bill([used(1_000_000, 400_000)], AWS).total == 0


def test_a_savings_plan_is_for_duration_and_provisioned_concurrency_alone() -> None:
    usage = [
        used(2_000_000, 500_000),
        used(sums={"billed_ms": 10**9}, kind=PROVISIONED, initialization_type=PROVISIONED),
    ]
    plain, saved = bill(usage, AWS), bill(usage, AWS, Assumptions(savings_percent=Decimal(17)))
    paid = sum(line.amount for line in plain.lines if line.component != "requests")
    assert plain.total - saved.total == saved.savings == paid * 17 / 100


def test_worthwhile_alternatives_are_those_that_change_something() -> None:
    said = [str(other) for other in alternatives([used(1, 1)], Assumptions(), AWS.home)]
    assert said == [
        "on arm64",
        "without the free tier",
        "with a savings plan of 12 %",
        "with a savings plan of 17 %",
    ]
    elsewhere = alternatives([used(1, 1, region="eu-west-1")], Assumptions(architecture=X86), AWS.home)
    assert str(elsewhere[0]) == "on x86_64, in us-east-1"


# Lists with gaps.


def test_what_has_no_price_is_named_and_costs_nothing() -> None:
    holey = PriceList(id="x", name="Mine", currency="EUR", home="", prices=Prices(request=Decimal(1)))
    made = bill([used(3, 2.5)], holey)
    assert made.total == 3
    assert made.notices == (
        "Mine has no price for duration on x86_64 in us-east-1: 2.5 GB-s are not charged.",
    )


def test_a_region_that_nobody_knows_is_charged_at_home_prices_and_said() -> None:
    made = bill([used(1_000_001, region="xx-moon-1")], AWS)
    assert made.total == Decimal("0.0000002")
    assert made.notices == (
        "AWS's price list of 2026-09-28 does not know xx-moon-1: prices of us-east-1 stand in for what is missing.",
    )


# What holds for any usage.

USAGES = st.lists(
    st.builds(
        lambda requests, ms, init, restores, streamed, mb, tmp, arch, region, kind: used(
            requests,
            sums={
                "billed_ms": ms,
                "billed_init_ms": min(init, ms),
                "restores": restores,
                "charged_stream_bytes": streamed,
                "new_environments": restores,
            },
            memory_mb=mb,
            ephemeral_storage_mb=tmp,
            architecture=arch,
            region=region,
            **kind,
        ),
        st.integers(0, 10**7),
        st.integers(0, 10**13),
        st.integers(0, 10**6),
        st.integers(0, 10**4),
        st.integers(0, 10**12),
        st.integers(128, 10_240),
        st.integers(512, 10_240),
        st.sampled_from([X86, ARM]),
        st.sampled_from(["us-east-1", "eu-south-1", "af-south-1"]),
        st.sampled_from(
            [
                {},
                {"tenant": "blue"},
                {"is_spillover": True},
                {"initialization_type": PROVISIONED},
                {"kind": PROVISIONED, "initialization_type": PROVISIONED},
                {"kind": SNAPSHOT},
            ]
        ),
    ),
    max_size=6,
)
GIVEN = st.builds(
    Assumptions,
    free_tier=st.booleans(),
    architecture=st.sampled_from([None, X86, ARM]),
    savings_percent=st.sampled_from([Decimal(0), Decimal("12.5")]),
)


@given(USAGES, USAGES)
def test_list_prices_add_up(some: list[Usage], others: list[Usage]) -> None:
    """What two parts of a month cost by their rows is what the month does."""
    with exact():
        assert bill(some, AWS).listed + bill(others, AWS).listed == bill(some + others, AWS).listed


@given(USAGES)
def test_the_list_price_is_that_of_every_part_by_itself(usages: list[Usage]) -> None:
    with exact():
        parts = [list_price(usage.category, usage.sums, AWS).values() for usage in usages]
        assert sum(itertools.chain(*parts)) == bill(usages, AWS).listed


@given(USAGES, USAGES, GIVEN)
def test_more_usage_never_costs_less(some: list[Usage], others: list[Usage], given_: Assumptions) -> None:
    assert bill(some + others, AWS, given_).total >= bill(some, AWS, given_).total


@given(USAGES, st.randoms(use_true_random=False), GIVEN)
def test_the_order_does_not_matter(usages: list[Usage], random: Any, given_: Assumptions) -> None:
    shuffled = list(usages)
    random.shuffle(shuffled)
    assert bill(shuffled, AWS, given_) == bill(usages, AWS, given_)


@given(USAGES, GIVEN)
def test_lines_and_reductions_account_for_every_digit(usages: list[Usage], given_: Assumptions) -> None:
    made = bill(usages, AWS, given_)
    with exact():
        assert sum((line.amount for line in made.lines), Decimal(0)) - made.savings == made.total
        assert made.listed - made.free_tier - made.tiers - made.savings == made.total
        assert all(line.amount == line.quantity * line.rate for line in made.lines)
    assert min(made.free_tier, made.tiers, made.savings, made.total) >= 0


@given(USAGES)
def test_the_free_tier_never_makes_it_dearer(usages: list[Usage]) -> None:
    assert bill(usages, AWS).total <= bill(usages, AWS, Assumptions(free_tier=False)).total


# The end of the month.


def test_a_month_goes_on_as_it_began() -> None:
    later = projected([used(100, 50)], elapsed_ms=10, total_ms=30)
    assert later is not None
    assert (later[0].sums.requests, later[0].sums.billed_ms) == (300, 150_000)


def test_nothing_is_projected_from_nothing() -> None:
    assert projected([used(100, 50)], elapsed_ms=0, total_ms=30) is None


def test_a_projection_is_never_below_what_has_been_used() -> None:
    later = projected([used(100, 50)], elapsed_ms=40, total_ms=30)
    assert later is not None
    assert later[0].sums.requests == 100
