"""Numbers in answers are written for people."""

from __future__ import annotations

from decimal import Decimal

import pytest

from lambent.advice.answer import ms, share, usd


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        (0, "$0"),
        (Decimal("1234.5"), "$1,234.50"),
        (Decimal("0.1"), "$0.10"),
        (0.0123, "$0.012"),
        (1.3e-5, "$1.3e-05"),
        (-3, "-$3.00"),
    ],
)
def test_prices(amount: Decimal | float, text: str) -> None:
    assert usd(amount) == text


def test_durations_and_shares() -> None:
    assert (ms(12.34), ms(1_250)) == ("12.3 ms", "1.25 s")
    assert share(12, 3_000) == "12 (0.4%)"
    assert share(43_200.0, 43_200.0) == "43,200 (100%)"
    assert share(3, 0) == "3"
