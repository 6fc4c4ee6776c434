"""Invoking several functions in turn, fairly, and keeping what their REPORT lines say.

Fairly: in rounds, each in another order, so that what slows the machine for a while slows all of them. What came before
an environment was warm is left out and repeated, or, where cold starts are what is asked for, the other way round.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from lambent.cli.blueprint import Blueprint, error_type
from lambent.cli.client import Connection, error_code
from lambent.cli.invocation import READ_TIMEOUT_S, Answer, ask_client
from lambent.cli.prices import price_usd
from lambent.cli.report import Report, parse_report
from lambent.cli.temporary import Temporaries
from lambent.cli.terminal import CommandError, one_line

MAX_FAILURES = 3
"""So many failed invocations, and a function is not invoked again."""
THROTTLE_PATIENCE_S = 60.0
MAX_AT_ONCE = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One invocation that succeeded: which payload it had, and its report."""

    payload: int
    report: Report
    price_usd: float

    @property
    def is_cold(self) -> bool:
        return self.report.init_duration_ms is not None or self.report.restore_duration_ms is not None

    @property
    def start_ms(self) -> float:
        """How long the start took that the invocation had to wait for; 0 when it found a warm environment."""
        return self.report.init_duration_ms or self.report.restore_duration_ms or 0.0

    @property
    def duration_ms(self) -> float:
        """How long it took from where its caller sits: with its start, if there was one."""
        return self.report.duration_ms + self.start_ms


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """One invocation that failed."""

    payload: int
    price_usd: float
    kind: str
    message: str

    def __str__(self) -> str:
        return f"{self.kind}: {one_line(self.message)[:120]}" if self.message else self.kind


@dataclass(slots=True, kw_only=True)
class Subject:
    """A clone that is measured, and what has been measured of it. Owned by `measure`."""

    name: str
    blueprint: Blueprint
    memory_mb: int
    qualifier: str | None = None
    at_once: int = 1
    samples: list[Sample] = field(default_factory=list[Sample])
    failures: list[Failure] = field(default_factory=list[Failure])
    spent_usd: float = 0.0
    """What AWS asks, or would ask, for all of its invocations, those that were left out included."""
    renewals: int = 0

    @property
    def is_given_up(self) -> bool:
        return len(self.failures) >= MAX_FAILURES


@dataclass(frozen=True, slots=True, kw_only=True)
class Procedure:
    """How all subjects are invoked."""

    payloads: tuple[bytes, ...]
    order: tuple[int, ...]
    """Which payload each measured invocation has; the same for every subject."""
    warm_ups: int
    is_cold: bool | None = False
    """Whether cold starts are measured, or warm invocations; None: whatever comes."""
    gives_up: bool = True
    """Whether a function that fails `MAX_FAILURES` times is left alone; else only what fails so often with it is."""
    sleep_between_ms: int = 0
    pre_processor: str | None = None
    post_processor: str | None = None


class Measuring:
    """One run.

    Args:
        connection: where the subjects are.
        made: what made them.
        procedure: how they are invoked.
        chance: decides the order.
        advance: told after each measured invocation.
    """

    def __init__(
        self,
        connection: Connection,
        made: Temporaries,
        procedure: Procedure,
        chance: Random,
        advance: Callable[[], None] = lambda: None,
    ) -> None:
        self._client: Any = connection.client(
            "lambda", read_timeout_s=READ_TIMEOUT_S, is_retried=False, connections=MAX_AT_ONCE
        )
        self._made = made
        self._procedure = procedure
        self._chance = chance
        self._advance = advance
        self._counting = threading.Lock()
        self.throttled = 0
        """How often an invocation was refused for want of concurrency, and tried again."""

    def run(self, subjects: Sequence[Subject]) -> None:
        """Warm all subjects up and measure them, until each has all its samples or is given up.

        Raises:
            CommandError: an invocation cannot be made or measured at all.
        """
        for _ in range(self._procedure.warm_ups):
            for subject in self._shuffled(subjects):
                self._batch(subject, [self._procedure.order[0]] * subject.at_once)
        waiting = {subject.name: list(self._procedure.order) for subject in subjects}
        repeats = {subject.name: len(self._procedure.order) + 10 for subject in subjects}
        while running := [subject for subject in subjects if waiting[subject.name]]:
            for subject in self._shuffled(running):
                left = waiting[subject.name]
                batch, left[:] = left[: subject.at_once], left[subject.at_once :]
                again = self._measured(subject, batch)
                repeats[subject.name] -= len(again)
                if repeats[subject.name] < 0:
                    raise CommandError(_unsteady(subject, bool(self._procedure.is_cold)))
                left[:] = [payload for payload in (*left, *again) if not self._is_hopeless(subject, payload)]

    def _shuffled(self, subjects: Sequence[Subject]) -> list[Subject]:
        return self._chance.sample(subjects, k=len(subjects))

    def _is_hopeless(self, subject: Subject, payload: int) -> bool:
        if self._procedure.gives_up:
            return subject.is_given_up
        return sum(failure.payload == payload for failure in subject.failures) >= MAX_FAILURES

    def _measured(self, subject: Subject, batch: Sequence[int]) -> list[int]:
        """Invoke a subject with these payloads and keep what counts; return the payloads to try again."""
        if self._procedure.is_cold:
            self._cool(subject)
        again: list[int] = []
        for outcome in self._batch(subject, batch):
            if isinstance(outcome, Sample) and self._procedure.is_cold not in (None, outcome.is_cold):
                again.append(outcome.payload)
                continue
            if isinstance(outcome, Sample):
                subject.samples.append(outcome)
            self._advance()
        return again

    def _cool(self, subject: Subject) -> None:
        subject.renewals += 1
        self._made.renew(subject.name, subject.blueprint.label, subject.renewals)
        if subject.blueprint.is_snapshot:
            subject.qualifier = self._made.publish(subject.name)

    def _batch(self, subject: Subject, payloads: Sequence[int]) -> list[Sample | Failure]:
        outcomes = self._at_once(subject, payloads)
        subject.spent_usd += sum(outcome.price_usd for outcome in outcomes)
        subject.failures += [outcome for outcome in outcomes if isinstance(outcome, Failure)]
        return outcomes

    def _at_once(self, subject: Subject, payloads: Sequence[int]) -> list[Sample | Failure]:
        if len(payloads) == 1:
            return [self._invoke(subject, payloads[0])]
        answers: queue.SimpleQueue[Sample | Failure | BaseException] = queue.SimpleQueue()

        def invoke(payload: int) -> None:
            try:
                answers.put(self._invoke(subject, payload))
            except BaseException as error:
                answers.put(error)

        for payload in payloads:
            # Nobody waits for them after an interruption: a function may run for a quarter of an hour.
            threading.Thread(target=invoke, args=(payload,), daemon=True).start()
        outcomes: list[Sample | Failure] = []
        for _ in payloads:
            answer = answers.get()
            if isinstance(answer, BaseException):
                raise answer
            outcomes.append(answer)
        return outcomes

    def _invoke(self, subject: Subject, payload: int) -> Sample | Failure:
        body = self._procedure.payloads[payload]
        if self._procedure.pre_processor:
            body = self._processed(self._procedure.pre_processor, body) or body
        answer = self._ask(subject.name, body, subject.qualifier)
        if self._procedure.sleep_between_ms and subject.at_once == 1:
            time.sleep(self._procedure.sleep_between_ms / 1000)
        if self._procedure.post_processor:
            self._processed(self._procedure.post_processor, answer.payload)
        return self._outcome(subject, payload, answer)

    def _outcome(self, subject: Subject, payload: int, answer: Answer) -> Sample | Failure:
        report = parse_report(answer.log or "")
        price = 0.0 if report is None else price_of(subject.blueprint, report)
        if answer.function_error:
            kind, message = error_type(answer.payload)
            return Failure(payload=payload, price_usd=price, kind=kind, message=message)
        if report is None:
            raise CommandError(f"The log of an invocation of {subject.blueprint.label} has no REPORT line.")
        return Sample(payload=payload, report=report, price_usd=price)

    def _processed(self, name: str, body: bytes) -> bytes:
        answer = self._ask(name, body, None)
        if answer.function_error:
            raise CommandError(f"{name} failed: {'; '.join(error_type(answer.payload))}")
        return b"" if answer.payload.strip() in {b"", b"null"} else answer.payload

    def _ask(self, name: str, body: bytes, qualifier: str | None) -> Answer:
        """Invoke once; what was refused for want of concurrency has not been invoked and is tried again."""
        deadline_s, pause_s = time.monotonic() + THROTTLE_PATIENCE_S, 0.1
        while True:
            try:
                return ask_client(self._client, name, body, qualifier=qualifier, tail=True)
            except Exception as error:
                if error_code(error) != "TooManyRequestsException" or time.monotonic() > deadline_s:
                    raise
            with self._counting:
                self.throttled += 1
            time.sleep(pause_s)
            pause_s = min(pause_s * 2, 5.0)


def price_of(blueprint: Blueprint, report: Report, architecture: str | None = None) -> float:
    """Return the price of an invocation of a clone, in USD; of another architecture if that is asked for."""
    return price_usd(
        report,
        architecture=architecture or blueprint.architecture,
        runtime=blueprint.runtime,
        ephemeral_storage_mb=blueprint.ephemeral_storage_mb,
    )


def _unsteady(subject: Subject, is_cold: bool) -> str:
    wanted, got = ("cold", "warm") if is_cold else ("warm", "cold")
    return (
        f"Too many invocations of {subject.blueprint.label} at {subject.memory_mb} MB were {got} although "
        f"{wanted} ones were asked for."
    )
