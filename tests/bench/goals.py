"""What the figures are meant to be: for every goal a must and an aim, and whether a run has met them.

Pure. A goal says something about Lambent's figure, by itself or as a share of a peer's. Nothing fails when one is
missed: the table says so, and a person decides.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

LAMBENT, RIE, FLOOR, OFFLINE = "Lambent", "RIE", "uvicorn", "serverless-offline"
MOTO, MINISTACK = "moto", "MiniStack"


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One measured quantity of Lambent and of the peers that have it."""

    name: str
    unit: str
    values: dict[str, float]
    """By who was measured; empty if it could not be measured here, and `note` says why."""
    p99: dict[str, float] | None = None
    """The same of the slowest hundredth, where `values` are medians of many."""
    more_is_better: bool = False
    note: str = ""
    peers: tuple[str, str] = (RIE, FLOOR)
    """Whom it may be compared with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """What one figure must be, and what it is to become."""

    figure: str
    must: float
    aim: float | None = None
    against: str = ""
    """A peer: the bounds are shares of its figure."""
    or_against: str = ""
    """Another one: the better one of both counts."""
    peers_figure: str = ""
    """Which, if it is another than ours: the emulator does not serve 8 connections."""
    more_is_better: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A goal and what a run has reached."""

    goal: Goal
    unit: str
    reached: float | None
    """None: not measured."""

    @property
    def meets_must(self) -> bool | None:
        """Whether the must is met; None if that is not known."""
        return self._meets(self.goal.must)

    @property
    def meets_aim(self) -> bool | None:
        """The same of the aim; None also if there is none."""
        return self._meets(self.goal.aim)

    def _meets(self, bound: float | None) -> bool | None:
        if self.reached is None or bound is None:
            return None
        return self.reached >= bound if self.goal.more_is_better else self.reached <= bound


GOALS = (
    Goal(figure="warm invoke, p50", must=0.6, aim=0.4, against=RIE),
    Goal(
        figure="throughput, 8 connections",
        must=3.5,
        aim=5.0,
        against=RIE,
        peers_figure="throughput, 1 connection",
        more_is_better=True,
    ),
    Goal(figure="throughput, 8 connections", must=0.35, aim=0.5, against=FLOOR, more_is_better=True),
    Goal(figure="cold start, hello", must=25, aim=12),
    Goal(figure="cold start, hello, no stem ready", must=40, aim=20),
    Goal(figure="Node.js: warm invoke, p50", must=0.7, against=RIE),
    Goal(figure="Node.js: cold start, hello", must=40, aim=15),
    Goal(figure="SnapStart restore, hello", must=15, aim=6),
    Goal(figure="SnapStart restore, boto3 client", must=20, aim=8),
    Goal(figure="SnapStart restore, numpy and pandas", must=40, aim=20),
    Goal(figure="scale-out with one ahead, beyond a warm call", must=5, aim=1),
    Goal(figure="0 to 100 environments", must=3000, aim=1000),
    Goal(figure="memory of one environment", must=15, aim=6),
    Goal(figure="memory of one restored environment, pandas", must=20, aim=8),
    # "None" is the goal; a tenth is what two servers of the same kind differ by here.
    Goal(figure="warm invoke, 1,000 functions to 10", must=1.1, aim=1.0),
    Goal(figure="CPU of the idle server, 1,000 functions", must=1.0),
    Goal(figure="GetFunction, 10,000 functions to 10", must=1.1, aim=1.0),
    Goal(figure="ListFunctions, 10,000 functions to 10", must=1.1, aim=1.0),
    Goal(figure="warm invoke, 10,000 functions to 10", must=1.1, aim=1.0),
    Goal(figure="first streamed byte, written to read", must=5, aim=1),
    Goal(figure="start of the server", must=1500, aim=700),
    Goal(figure="ReceiveMessage, 1,000,000 messages to 1,000", must=1.1, aim=1.0),
    *(
        Goal(
            figure=f"SQS send + receive, {callers}",
            must=3.0,
            against=MOTO,
            or_against=MINISTACK,
            more_is_better=True,
        )
        for callers in ("1 connection", "32 connections")
    ),
    Goal(figure="ledger, CPU of a row", must=10, aim=3),
    Goal(figure="ledger, bill of a month by function, 1,000,000 rows", must=500, aim=100),
    Goal(figure="ledger, 1,000 rows of a function and a week, 1,000,000 rows", must=500, aim=100),
)


def judge(figures: Iterable[Figure], goals: Iterable[Goal] = GOALS) -> list[Judged]:
    """Hold a run's figures against the goals."""
    found = {figure.name: figure for figure in figures}
    return [_judged(goal, found) for goal in goals]


def _judged(goal: Goal, figures: Mapping[str, Figure]) -> Judged:
    figure = figures.get(goal.figure)
    ours = figure.values.get(LAMBENT) if figure else None
    if not goal.against:
        return Judged(goal=goal, unit=figure.unit if figure else "", reached=ours)
    peers = figures.get(goal.peers_figure or goal.figure)
    better = max if goal.more_is_better else min
    measured = peers.values if peers else {}
    theirs = {name: measured[name] for name in (goal.against, goal.or_against) if name in measured}
    if ours is None or not theirs:
        return Judged(goal=goal, unit=f"× {goal.against}", reached=None)
    best = better(theirs, key=lambda name: theirs[name])
    return Judged(goal=goal, unit=f"× {best}", reached=ours / theirs[best])
