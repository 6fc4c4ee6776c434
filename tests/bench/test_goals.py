"""Whether a run's figures are held against the goals rightly."""

from __future__ import annotations

import pytest

from bench.goals import FLOOR, GOALS, LAMBENT, MINISTACK, MOTO, RIE, Figure, Goal, judge


def figure(name: str, **values: float) -> Figure:
    return Figure(
        name=name, unit="ms", values={key.replace("_", " "): value for key, value in values.items()}
    )


@pytest.mark.parametrize(
    ("ours", "must", "aim"),
    [(30.0, False, False), (25.0, True, False), (12.0, True, True), (None, None, None)],
)
def test_less_is_better_and_a_bound_itself_is_met(
    ours: float | None, must: bool | None, aim: bool | None
) -> None:
    found = [] if ours is None else [figure("cold", **{LAMBENT: ours})]
    (judged,) = judge(found, [Goal(figure="cold", must=25, aim=12)])
    assert (judged.meets_must, judged.meets_aim) == (must, aim)


def test_a_goal_beside_a_peer_is_a_share_of_its_figure() -> None:
    goals = [
        Goal(figure="eight", must=3.5, against=RIE, peers_figure="one", more_is_better=True),
        Goal(figure="eight", must=0.35, aim=0.5, against=FLOOR, more_is_better=True),
    ]
    eight = figure("eight", **{LAMBENT: 4000.0, FLOOR: 10_000.0})
    beside_rie, beside_floor = judge([eight, figure("one", **{LAMBENT: 1.0, RIE: 1000.0})], goals)
    assert (beside_rie.reached, beside_rie.meets_must, beside_rie.meets_aim) == (4.0, True, None)
    assert (beside_floor.reached, beside_floor.meets_must, beside_floor.meets_aim) == (0.4, True, False)
    without_rie, _ = judge([eight], goals)
    assert without_rie.reached is None


def test_a_goal_beside_two_peers_is_a_share_of_the_better_one() -> None:
    goal = Goal(figure="sent", must=3.0, against=MOTO, or_against=MINISTACK, more_is_better=True)
    values = {LAMBENT: 4000.0, MOTO: 100.0, MINISTACK: 1000.0}
    (judged,) = judge([figure("sent", **values)], [goal])
    assert (judged.reached, judged.unit, judged.meets_must) == (4.0, "× MiniStack", True)
    del values[MINISTACK]
    (judged,) = judge([figure("sent", **values)], [goal])
    assert judged.reached == 40.0


def test_what_could_not_be_measured_meets_nothing_and_misses_nothing() -> None:
    (judged,) = judge([Figure(name="cold", unit="ms", values={})], [Goal(figure="cold", must=25)])
    assert judged.meets_must is None


def test_an_aim_is_never_easier_than_its_must() -> None:
    for goal in GOALS:
        if goal.aim is not None:
            assert (goal.aim >= goal.must) is goal.more_is_better, goal.figure
