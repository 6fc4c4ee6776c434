"""Answers of the adviser, for people and for programs."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from lambent.cli.terminal import notice, results, usd_text

if TYPE_CHECKING:
    from lambent.advice import Answer, Past

_ROUGH = "There is less than a day of history: figures of 30 days are rough."


def headline(past: Past) -> str:
    """Say what the answers rest on."""
    since = datetime.fromtimestamp(past.first_s, UTC)
    return (
        f"{past.function}: {len(past.invocations):,} invocations since {since:%Y-%m-%d %H:%M}Z, "
        f"{_usd(past.month_usd)} in 30 days on AWS"
    )


def show_one(past: Past, answers: Sequence[Answer]) -> None:
    """Print all answers about a function, with their numbers and evidence."""
    console = results()
    console.print(headline(past), style="bold")
    if past.is_short:
        notice(_ROUGH, style="yellow")
    for answer in answers:
        console.print()
        console.print(
            f"{_mark(answer)} {answer.question}", style="bold yellow" if answer.is_action else "bold green"
        )
        console.print(f"  {answer.verdict}")
        width = max((len(name) for name, _ in answer.figures), default=0)
        for name, value in answer.figures:
            console.print(f"    {name:<{width}}  {value}", style="dim")
        for command in answer.evidence:
            console.print(f"    $ {command}")


def show_all(found: Sequence[tuple[Past, Sequence[Answer]]]) -> None:
    """Print what should be done about each function, the dearest first."""
    console = results()
    for past, answers in found:
        console.print(headline(past), style="bold")
        actions = [answer for answer in answers if answer.is_action]
        for answer in actions:
            saved = f" ({_usd(answer.saved_usd)} in 30 days)" if answer.saved_usd else ""
            console.print(f"  {_mark(answer)} {answer.question}{saved}: {answer.verdict}", style="yellow")
        if not actions:
            console.print("  nothing to do", style="green")
    if any(past.is_short for past, _ in found):
        notice(_ROUGH.replace("There is", "Of some there is"), style="yellow")
    notice(
        "`lambent advise NAME` shows all answers, with their numbers and the commands that show the evidence."
    )


def _mark(answer: Answer) -> str:
    return "!" if answer.is_action else "·"


def _usd(amount: Any) -> str:
    return usd_text(amount)


def as_json(found: Sequence[tuple[Past, Sequence[Answer]]]) -> str:
    """Return it all as JSON, prices as decimal text."""
    content = [
        {
            "function": past.function,
            "invocations": len(past.invocations),
            "window_s": past.window_s,
            "usd_in_30_days": f"{past.month_usd:f}",
            "answers": [_answer(answer) for answer in answers],
        }
        for past, answers in found
    ]
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def _answer(answer: Answer) -> dict[str, Any]:
    return dataclasses.asdict(answer) | {
        "saved_usd": None if answer.saved_usd is None else f"{answer.saved_usd:f}",
        "figures": dict(answer.figures),
        "evidence": list(answer.evidence),
    }
