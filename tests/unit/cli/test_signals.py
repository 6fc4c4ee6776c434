"""A signal that ends a command ends it, wherever it finds the command."""

from __future__ import annotations

import contextlib
import io
import os
import signal
import time
from collections.abc import Iterator

import pytest

from lambent.cli import signals

NUMBERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGALRM)


class Response(io.RawIOBase):
    """Is hit by a signal while its finalizer closes it: Python drops what is raised there."""

    def __init__(self, number: int) -> None:
        self._number = number

    def close(self) -> None:
        number, self._number = self._number, 0
        if number:
            os.kill(os.getpid(), number)
        super().close()


@pytest.fixture(autouse=True)
def as_a_command() -> Iterator[None]:
    """Handle Ctrl-C as Python does, whatever runs the tests, and leave all as it was found."""
    before = {number: signal.getsignal(number) for number in NUMBERS}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize(
    ("number", "kind", "code"),
    [
        (signal.SIGTERM, SystemExit, 143),
        (signal.SIGHUP, SystemExit, 129),
        (signal.SIGINT, KeyboardInterrupt, None),
    ],
)
def test_a_signal_that_falls_into_a_finalizer_is_raised_again(
    number: int, kind: type[BaseException], code: int | None
) -> None:
    with pytest.raises(kind) as caught, signals.as_exits():
        Response(number)  # lives for this line
        time.sleep(30)
    assert getattr(caught.value, "code", None) == code


def test_a_signal_that_was_heard_is_not_raised_again_while_what_was_made_is_removed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(signals, "AGAIN_S", 0.01)
    removed: list[str] = []
    with pytest.raises(SystemExit), signals.as_exits():
        try:
            os.kill(os.getpid(), signal.SIGTERM)
        finally:
            with signals.ignored():
                time.sleep(0.05)
                os.kill(os.getpid(), signal.SIGINT)
                removed.append("all")
    assert removed == ["all"]


def test_an_interrupt_that_is_ignored_stays_so() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with signals.as_exits():
        os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN


def test_handlers_are_as_before_once_a_command_has_ended() -> None:
    before = [signal.getsignal(number) for number in NUMBERS]
    with contextlib.suppress(SystemExit), signals.as_exits():
        os.kill(os.getpid(), signal.SIGTERM)
    assert [signal.getsignal(number) for number in NUMBERS] == before
