"""A price list of one's own: from what a machine costs, or as it is given; nonsense is one sentence."""

from __future__ import annotations

import tomllib
from decimal import Decimal
from typing import Any

import pytest

from lambent.domain.pricing.own import PriceListError, own_prices
from lambent.domain.pricing.price_list import ARM, X86, PriceList


def parsed(text: str) -> PriceList:
    document: dict[str, Any] = tomllib.loads(text, parse_float=Decimal)
    return own_prices(document)


def test_a_machine_is_spread_over_the_memory_that_it_sells() -> None:
    """1,800 over 48 months, 45 W at 0.31 and 20 of rent are 67.69 a month; 40 % of 64 GB are 25.6 GB."""
    made = parsed(
        """
        name = "The box in the cellar"
        currency = "EUR"
        [machine]
        price = 1800
        life_months = 48
        power_w = 45
        price_per_kwh = 0.31
        rent_per_month = 20
        memory_gb = 64
        load_percent = 40
        """
    )
    month = Decimal("37.5") + Decimal("0.045") * Decimal("730.5") * Decimal("0.31") + 20
    exactly = month / (Decimal("25.6") * 2_629_800)
    (tier,) = made.prices.duration[X86]
    assert 0 <= tier.rate - exactly < Decimal("1E-18")
    assert made.prices.duration[ARM] == (tier,)
    assert (made.prices.provisioned[X86], made.prices.snapshot_cache) == (tier.rate, tier.rate)
    assert made.prices.request == 0
    assert (made.name, made.currency, made.free.requests) == ("The box in the cellar", "EUR", 0)


def test_prices_can_be_given_and_go_before_those_of_the_machine() -> None:
    made = parsed(
        """
        [machine]
        memory_gb = 1
        rent_per_month = 10
        [prices]
        request = 0.000001
        duration = { x86_64 = 0.00002 }
        provisioned = 0.1
        """
    )
    assert made.prices.request == Decimal("0.000001")
    assert list(made.prices.duration) == [X86]
    assert made.prices.provisioned == {X86: Decimal("0.1"), ARM: Decimal("0.1")}
    assert made.of("anywhere") is made.prices


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "A price list needs a table [machine] or [prices]."),
        ("[machine]\nprice = 1", "memory_gb in [machine] must be given, above 0: what it has."),
        (
            "[machine]\nprice = 1\nmemory_gb = 1",
            "life_months in [machine] must be given, above 0: for how long it is used.",
        ),
        (
            "[machine]\nmemory_gb = 1\nload_percent = 0",
            "load_percent in [machine] must be above 0 and at most 100.",
        ),
        (
            "[machine]\nmemory_gb = 1\ncolour = 'red'",
            "[machine] has no 'colour': life_months, load_percent, memory_gb, power_w, price, price_per_kwh, "
            "rent_per_month are known.",
        ),
        (
            "[prices]\nrequest = -1",
            "request in a price list must be a number that is not negative, not -1.",
        ),
        (
            "[prices]\nrequest = true",
            "request in a price list must be a number that is not negative, not True.",
        ),
        (
            "[prices]\nduration = { x86_64 = nan }",
            "duration.x86_64 in a price list must be a number that is not negative, not Decimal('NaN').",
        ),
        (
            "[prices]\nduration = { mips = 1 }",
            "duration in [prices] has no 'mips': arm64, x86_64 are known.",
        ),
        ("prices = 3", "[prices] in a price list must be a table."),
        ("name = 3\n[prices]\nrequest = 1", "name and currency of a price list must be texts."),
        ("owner = 'me'", "a price list has no 'owner': currency, machine, name, prices are known."),
    ],
)
def test_what_makes_no_sense_is_one_sentence(text: str, sentence: str) -> None:
    with pytest.raises(PriceListError) as caught:
        parsed(text)
    assert str(caught.value) == sentence
