"""What commands say and where: results on stdout, everything else on stderr, one sentence for a failure.

Every command of this room uses it. It knows nothing of AWS or of the server.
"""

from __future__ import annotations

import sys
from decimal import Decimal
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console


class CommandError(Exception):
    """The command could not do its work. The message is one sentence for the user."""

    exit_code = 1


class UsageError(CommandError):
    """The command line asks for something that cannot be. The message is one sentence for the user."""

    exit_code = 2


def notices() -> Console:
    """Return the console of everything that is not the result: stderr, coloured only on a terminal."""
    return _console(sys.stderr)


def results() -> Console:
    """Return the console of results that people read (tables): stdout, coloured only on a terminal."""
    return _console(sys.stdout)


def _console(file: IO[str]) -> Console:
    from rich.console import Console

    # Without a terminal there is no width to respect, and a wrapped line would break whoever reads the pipe.
    width = None if file.isatty() else 10_000
    return Console(file=file, width=width, highlight=False, markup=False, emoji=False, soft_wrap=True)


def notice(text: str, style: str = "") -> None:
    """Write one line to stderr."""
    notices().print(text, style=style)


def can_ask() -> bool:
    """Say whether a person sits at stdin. Python has no stdin at all when it was closed before the start."""
    stdin: IO[str] | None = sys.stdin
    return stdin is not None and stdin.isatty()


def one_line(text: object) -> str:
    """Return the text with every run of white space, line breaks included, as one space."""
    return " ".join(str(text).split())


def size_text(size_bytes: int) -> str:
    """Return a size for people, in decimal units: ``512 B``, ``1.2 kB``, ``52.4 MB``."""
    if size_bytes < 1000:
        return f"{size_bytes} B"
    if size_bytes < 1_000_000:
        return f"{size_bytes / 1000:.1f} kB"
    return f"{size_bytes / 1_000_000:.1f} MB"


def usd_text(price_usd: Decimal) -> str:
    """Return a price for people, never with an exponent: ``$2.10``, ``$0.0000021``."""
    if not price_usd or price_usd >= Decimal("0.1"):
        return f"${price_usd:.2f}"
    return f"${price_usd:.{2 - price_usd.adjusted()}f}".rstrip("0")
