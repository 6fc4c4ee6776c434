"""The ledger: every invocation that was sent, what came of it, and whether that adds up.

Pure: it is told what happened and says what is wrong. Times are seconds of one clock.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

LOSS_WINDOW_S = 2.0
"""Log lines linger for a moment before they are stored (`lambent.telemetry.stream`): of invocations that were
answered so shortly before a kill, the REPORT line may be missing."""
_GRACE_S = 0.2
"""Between what happens and when somebody looks at the clock."""


@dataclass(slots=True, kw_only=True)
class Entry:
    """One invocation that was sent."""

    request_id: str
    character: str
    sent_s: float
    life: int
    """Which life of the server it was sent to."""
    ended_s: float = 0.0
    outcome: str = ""
    """``answered``, ``refused``, or ``cut``: the connection broke before there was an answer. Empty: none yet."""
    answered_id: str = ""
    complaint: str = ""
    """What was wrong with the answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Life:
    """A server from its start to its end."""

    number: int
    started_s: float
    ending_s: float
    """When it was killed, or asked to stop."""
    ended_s: float
    was_killed: bool
    """Else it was stopped in order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedLines:
    """How often a request id stands in lines of the log."""

    starts: Mapping[str, int] = field(default_factory=dict)
    ends: Mapping[str, int] = field(default_factory=dict)
    reports: Mapping[str, int] = field(default_factory=dict)


def outcomes(entries: Iterable[Entry]) -> Counter[tuple[str, str]]:
    """Count invocations by (character, outcome)."""
    return Counter((entry.character, entry.outcome or "none") for entry in entries)


def wrong_answers(entries: Iterable[Entry]) -> list[str]:
    """Name what was answered wrongly, each complaint once."""
    found: dict[str, list[Entry]] = {}
    for entry in entries:
        if entry.complaint:
            found.setdefault(f"{entry.character} {entry.complaint}", []).append(entry)
    return [f"{words} ({len(same)} times, first {same[0].request_id})" for words, same in found.items()]


def without_one_outcome(entries: Iterable[Entry], lives: Mapping[int, Life]) -> list[str]:
    """Name invocations that have no outcome, whose connection broke while the server lived, or got another's answer."""
    found: list[str] = []
    answers: Counter[str] = Counter()
    for entry in entries:
        name = f"{entry.character} {entry.request_id}"
        if not entry.outcome:
            found.append(f"{name} never came to an end")
        elif entry.outcome == "cut" and not _ended_around(lives.get(entry.life), entry):
            found.append(f"{name}: its connection broke, and the server was not ended then")
        elif entry.outcome != "cut":
            answers[entry.answered_id] += 1
            if entry.answered_id != entry.request_id:
                found.append(f"{name} was answered as {entry.answered_id or 'nobody'}")
    found += [
        f"{request_id} was answered {count} times" for request_id, count in answers.items() if count > 1
    ]
    return found


def _ended_around(life: Life | None, entry: Entry) -> bool:
    """Whether the server's end explains a broken connection: one that stops in order answers what it has begun."""
    if life is None or entry.ended_s < life.ending_s - _GRACE_S or entry.sent_s > life.ended_s + _GRACE_S:
        return False
    return life.was_killed or entry.sent_s >= life.ending_s - _GRACE_S


def without_their_report(
    entries: Iterable[Entry], lives: Mapping[int, Life], logged: LoggedLines
) -> tuple[list[str], int]:
    """Compare answers with the log.

    Returns:
        What does not match, and how many answered invocations lost their REPORT to a kill, as documented.
    """
    found: list[str] = []
    lost = 0
    for entry in entries:
        reports = logged.reports.get(entry.request_id, 0)
        name = f"{entry.character} {entry.request_id}"
        if entry.outcome == "answered" and reports == 0:
            if _in_loss_window(lives.get(entry.life), entry):
                lost += 1
            else:
                found.append(f"{name} was answered and has no REPORT")
        elif entry.outcome == "refused" and reports:
            found.append(f"{name} was refused and has a REPORT all the same")
        for line, counts in (("REPORT", logged.reports), ("START", logged.starts), ("END", logged.ends)):
            if counts.get(entry.request_id, 0) > 1:
                found.append(f"{name} has {counts[entry.request_id]} {line} lines")
        if reports and not logged.starts.get(entry.request_id):
            found.append(f"{name} has a REPORT without a START")
    return found, lost


def _in_loss_window(life: Life | None, entry: Entry) -> bool:
    return life is not None and life.was_killed and entry.ended_s >= life.ending_s - LOSS_WINDOW_S


def unknown(entries: Iterable[Entry], logged: LoggedLines) -> list[str]:
    """Name request ids in the log that nobody sent."""
    sent = {entry.request_id for entry in entries}
    return [
        f"{request_id} is in the log and was never sent"
        for request_id in logged.reports
        if request_id not in sent
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """What the server itself weighed at a moment at which it had nothing to do."""

    at_s: float
    invocations: int
    """Answered so far in this life."""
    memory_mb: float
    descriptors: int
    kinds: Mapping[str, int]
    """Descriptors by what they are."""
    threads: int = 0
    helpers: int = 0
    """Processes below the server."""
    helper_descriptors: int = 0


MEMORY_ALLOWED_MB = 8.0
"""What the allocator keeps of the past differs from moment to moment by this much."""
MEMORY_ALLOWED_SHARE = 0.06
DESCRIPTORS_ALLOWED = 3
WARM_UP_SAMPLES = 2
_LEAST_SAMPLES = 4


def growth(samples: list[Sample]) -> tuple[list[str], str]:
    """Judge whether the server stays as it is; return findings, and what was seen in words."""
    after = samples[WARM_UP_SAMPLES:]
    if len(after) < _LEAST_SAMPLES:
        return [], f"too few quiet moments to tell ({len(samples)}): run longer"
    third = max(1, len(after) // 3)
    first, last = after[:third], after[-third:]
    memory_mb = _median([s.memory_mb for s in last]) - _median([s.memory_mb for s in first])
    descriptors = _median([s.descriptors for s in last]) - _median([s.descriptors for s in first])
    slope = _slope([(s.at_s / 60, s.memory_mb) for s in after])
    invocations = last[-1].invocations - first[0].invocations
    words = (
        f"{after[0].memory_mb:.0f} → {after[-1].memory_mb:.0f} MB ({slope:+.2f} MB/min), "
        f"{after[0].descriptors} → {after[-1].descriptors} descriptors, "
        f"over {invocations} invocations and {len(after)} quiet moments"
    )
    found: list[str] = []
    allowed_mb = max(MEMORY_ALLOWED_MB, MEMORY_ALLOWED_SHARE * _median([s.memory_mb for s in first]))
    if memory_mb > allowed_mb and slope > 0:
        found.append(f"the server's memory grew by {memory_mb:.1f} MB, {slope:+.2f} MB a minute")
    if descriptors > DESCRIPTORS_ALLOWED:
        found.append(
            f"the server's descriptors grew by {descriptors:.0f}: {_grown(first[0].kinds, last[-1].kinds)}"
        )
    others = {
        "the server's threads": [s.threads for s in after],
        "the processes below the server": [s.helpers for s in after],
        "their descriptors": [s.helper_descriptors for s in after],
    }
    for name, values in others.items():
        more = _median([*values[-third:]]) - _median([*values[:third]])
        if more > DESCRIPTORS_ALLOWED:
            found.append(f"{name} grew by {more:.0f}")
    return found, words


def _grown(before: Mapping[str, int], after: Mapping[str, int]) -> str:
    more = {kind: count - before.get(kind, 0) for kind, count in after.items() if count > before.get(kind, 0)}
    return ", ".join(f"{count} × {kind}" for kind, count in sorted(more.items(), key=lambda item: -item[1]))


def _median(values: list[float]) -> float:
    ordered = sorted(values)
    return ordered[len(ordered) // 2]


def _slope(points: list[tuple[float, float]]) -> float:
    """The median of the slopes between all pairs: no single moment decides (Theil and Sen)."""
    slopes = [
        (y2 - y1) / (x2 - x1) for i, (x1, y1) in enumerate(points) for x2, y2 in points[i + 1 :] if x2 > x1
    ]
    return _median(slopes) if slopes else 0.0
