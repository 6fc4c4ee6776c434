"""Decimal arithmetic that never rounds: what would be inexact raises instead."""

from __future__ import annotations

import decimal
from contextlib import AbstractContextManager
from decimal import Decimal

_EXACT = decimal.Context(
    prec=400, traps=[decimal.Inexact, decimal.InvalidOperation, decimal.DivisionByZero, decimal.Overflow]
)
MB_MS_PER_GB_S = 1024 * 1000
"""GB-seconds are counted as whole MB-milliseconds, and divided by this once: the quotient always ends."""
GB_BYTES = 2**30


def exact() -> AbstractContextManager[decimal.Context]:
    """Return a context in which decimals are exact, however many digits it takes."""
    return decimal.localcontext(_EXACT)


def gb_seconds(mb_ms: int) -> Decimal:
    """Return GB-seconds for MB-milliseconds; call it inside `exact`."""
    return Decimal(mb_ms) / MB_MS_PER_GB_S


def plain(amount: Decimal) -> str:
    """Return a decimal as text, without exponent and without zeros at its end."""
    text = f"{amount:f}"
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text == "-0" else text
