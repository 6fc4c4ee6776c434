"""What every group of figures needs: how much to measure, with what, and how many measurements become one figure."""

from __future__ import annotations

import contextlib
import statistics
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from tests.bench.goals import LAMBENT, Figure
from tests.bench.peers import Floor, Lambent, Rie

MB = 1024 * 1024
SETTLE_S = 0.1
"""For the environments of the round before to be gone, so that their end is not measured with the next start."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """How long and how often to measure."""

    starts: int
    rounds: int
    round_s: float
    cold_starts: int
    peer_cold_starts: int
    boto3_cold_starts: int
    restores: int
    ahead: int
    bursts: int
    hold_s: float
    many_functions: int
    events: int
    ledger_rows: int
    idle_s: float
    limit_s: float
    """The whole run takes no longer, but for what was begun: later groups are left out instead."""


FULL = Effort(
    starts=5,
    rounds=3,
    round_s=3.0,
    cold_starts=40,
    peer_cold_starts=15,
    boto3_cold_starts=15,
    restores=20,
    ahead=20,
    bursts=3,
    hold_s=8.0,
    many_functions=10_000,
    events=100,
    ledger_rows=1_000_000,
    idle_s=8.0,
    limit_s=600.0,
)
QUICK = Effort(
    starts=2,
    rounds=2,
    round_s=1.0,
    cold_starts=15,
    peer_cold_starts=4,
    boto3_cold_starts=5,
    restores=6,
    ahead=6,
    bursts=1,
    hold_s=6.0,
    many_functions=10_000,
    events=30,
    ledger_rows=100_000,
    idle_s=3.0,
    limit_s=290.0,
)


@dataclass(kw_only=True)
class Bench:
    """What the groups measure: servers that run, and how much to measure."""

    effort: Effort
    directory: Path
    """For what dies with the run."""
    cache: Path
    """For what is worth keeping: downloads."""
    lambent: Lambent
    floor: Floor
    rie_program: Path | None
    _serial: int = field(default=0, init=False)

    def new_directory(self, name: str) -> Path:
        """Make a directory that nobody has."""
        self._serial += 1
        directory = self.directory / f"{name}-{self._serial}"
        directory.mkdir()
        return directory

    @contextlib.contextmanager
    def rie(self, source: str | None = None) -> Generator[Rie | None]:
        """A fresh emulator while the context lasts, if there is one on this machine."""
        if self.rie_program is None:
            yield None
            return
        sources = () if source is None else (source,)
        with Rie(self.rie_program, self.new_directory("rie"), *sources) as rie:
            yield rie


Group = Callable[[Bench], list[Figure]]


def distribution(name: str, found_s: Iterable[float], note: str = "") -> Figure:
    """A figure of Lambent alone from many measurements: their median, and the slowest hundredth beside it."""
    found_ms = [one_s * 1000 for one_s in found_s]
    return Figure(
        name=name,
        unit="ms",
        values={LAMBENT: statistics.median(found_ms)},
        p99={LAMBENT: percentile(found_ms, 99)},
        note=note,
    )


def percentile(found: list[float] | tuple[float, ...], percent: int) -> float:
    """The nearest rank: a value that was measured."""
    ordered = sorted(found)
    return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)]
