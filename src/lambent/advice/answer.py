"""What an answer is, and how its numbers are written."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

MONTH_S = 30 * 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The answer to one question about one function."""

    question: str
    """A word: ``memory``."""
    verdict: str
    """Sentences."""
    is_action: bool = False
    """Whether something should be done."""
    saved_usd: Decimal | None = None
    """What that would save in 30 days, if that is known."""
    figures: tuple[tuple[str, str], ...] = ()
    """Names and values, for people."""
    evidence: tuple[str, ...] = ()
    """Commands that show what it rests on, or do what it says."""


def usd(amount: Decimal | float) -> str:
    """Return a price for people: ``$12.30``, ``$0.0042``."""
    value = float(amount)
    if value == 0:
        return "$0"
    sign, size = ("-" if value < 0 else ""), abs(value)
    if size >= 0.1:
        return f"{sign}${size:,.2f}"
    return f"{sign}${size:.2g}" if size >= 1e-4 else f"{sign}${size:.1e}"


def ms(duration_ms: float) -> str:
    """Return a duration for people: ``12.3 ms``, ``1.25 s``."""
    return f"{duration_ms / 1000:,.2f} s" if duration_ms >= 1_000 else f"{duration_ms:.3g} ms"


def share(part: float, whole: float) -> str:
    """Return a part of a whole for people: ``12 (0.4%)``."""
    count = f"{part:,.0f}" if part >= 100 or part == int(part) else f"{part:.3g}"
    return f"{count} ({part / whole * 100:.3g}%)" if whole else count
