"""Every question is answered, and each answer names a command where there is something to see."""

from __future__ import annotations

from lambent.advice.questions import Function, Wishes, advise
from unit.advice.rows import every, past

QUESTIONS = [
    "memory",
    "provisioned concurrency",
    "SnapStart",
    "package and imports",
    "errors",
    "placement",
    "patterns",
]


def test_all_questions_are_answered() -> None:
    answers = advise(past(every(60.0, 30)), Function(runtime="python3.12", handler="app.handler"), Wishes())
    assert [answer.question for answer in answers] == QUESTIONS
    assert all(answer.verdict.endswith(".") or answer.verdict.endswith(")") for answer in answers)


def test_of_a_function_that_is_gone_the_ledger_still_answers() -> None:
    answers = advise(past(every(60.0, 30)), None, Wishes())
    assert [answer.question for answer in answers] == [
        question for question in QUESTIONS if question not in ("SnapStart", "package and imports")
    ]


def test_a_single_invocation_is_enough_to_answer() -> None:
    assert len(advise(past(every(60.0, 1)), Function(runtime="nodejs22.x"), Wishes())) == len(QUESTIONS)
