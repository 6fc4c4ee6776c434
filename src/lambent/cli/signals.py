"""Signals that end a command: they unwind the stack, so that what a command made is removed, and none goes unheard.

A handler raises wherever the program happens to be. What it raises while an object is being finalized is dropped by
Python (an HTTP response is an `io.IOBase`, closed by its finalizer: one invocation in a hundred of those that take a
millisecond is interrupted just there). So a handler is called again until what it raised has arrived.
"""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Generator, Mapping
from types import FrameType
from typing import Any

AGAIN_S = 0.5
"""How long a stack has for unwinding, before we suppose that nobody has heard."""


@contextlib.contextmanager
def as_exits() -> Generator[None]:
    """Let SIGTERM and SIGHUP unwind the stack, as Ctrl-C does: all three are raised here, and again until they arrive.

    Raises:
        SystemExit: the process was told to end; its code is 128 and the signal's number, as a shell has it.
        KeyboardInterrupt: it was interrupted.
    """

    def leave(number: int, _frame: FrameType | None) -> None:
        nonlocal first
        first = first or number
        signal.setitimer(signal.ITIMER_REAL, AGAIN_S)
        raise KeyboardInterrupt if first == signal.SIGINT else SystemExit(128 + first)

    first = 0
    handlers: dict[int, Any] = dict.fromkeys((signal.SIGTERM, signal.SIGHUP, signal.SIGALRM), leave)
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # else it is ignored, and shall be
        handlers[signal.SIGINT] = leave
    with _handled(handlers):
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)


@contextlib.contextmanager
def ignored() -> Generator[None]:
    """Let an impatient second Ctrl-C wait until all is removed."""
    numbers = (signal.SIGALRM, signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    with _handled(dict.fromkeys(numbers, signal.SIG_IGN)):
        yield


@contextlib.contextmanager
def _handled(handlers: Mapping[int, Any]) -> Generator[None]:
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
