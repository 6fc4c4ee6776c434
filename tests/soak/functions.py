"""The functions of the soak: good ones, and one for every way to misbehave, each with what its answers must be.

A *character* is a kind of function: its source, its configuration, how often it is called and with what, and which
answers are right. Nothing here talks to a server.
"""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

_BIG_MAX_BYTES = 5_000_000
_MB = 1024 * 1024

GOOD = """
import os
def handler(event, context):
    print("ran", context.aws_request_id)
    return {"number": event["number"], "kind": os.environ["AWS_LAMBDA_INITIALIZATION_TYPE"]}
"""
SLOW = """
import time
def handler(event, context):
    time.sleep(event["seconds"])
    return {"number": event["number"]}
"""
CRASHING = """
import ctypes, os, signal
def handler(event, context):
    how = event["how"]
    if how == "raise":
        raise ValueError("on purpose")
    if how == "exit":
        os._exit(7)
    if how == "system exit":
        raise SystemExit(3)
    if how == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    ctypes.string_at(0)
"""
LEAKING = """
kept = []
def handler(event, context):
    block = bytearray(event["mb"] << 20)
    block[::4096] = b"x" * len(block[::4096])
    kept.append(block)
    return len(kept)
"""
LATE = """
import subprocess, time
def handler(event, context):
    subprocess.Popen(["/bin/sh", "-c", "sleep 600 & sleep 600"], start_new_session=True)
    time.sleep(600)
"""
FORKING = """
import os, time
def handler(event, context):
    for number in range(event["children"]):
        if os.fork() == 0:
            os.setsid()
            if os.fork():
                os._exit(0)
            if number % 2:
                for descriptor in range(64):
                    try:
                        os.close(descriptor)
                    except OSError:
                        pass
            time.sleep(600)
            os._exit(0)
    # Those in between are ours to reap; the daemons belong to process 1 now.
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass
    return event["children"]
"""
NOISY = """
import sys
def handler(event, context):
    for number in range(event["lines"]):
        print("noise", number, "x" * 80)
    sys.stderr.write("half a line")
    return event["lines"]
"""
FILLING = """
import os
def handler(event, context):
    path = "/tmp/" + context.aws_request_id
    written = 0
    try:
        with open(path, "wb") as file:
            for _ in range(event["mb"]):
                written += file.write(b"x" * (1 << 20))
    except OSError as error:
        return {"full": error.errno}
    finally:
        names = sorted(os.listdir("/tmp"), key=lambda name: os.path.getmtime("/tmp/" + name))
        for name in names[:-3]:
            os.unlink("/tmp/" + name)
    return {"written": written}
"""
JAVASCRIPT = """
exports.handler = async (event, context) => {
  console.log('ran', context.awsRequestId);
  if (event.how === 'raise') throw new RangeError('on purpose');
  if (event.how === 'exit') process.exit(7);
  if (event.how === 'kill') process.kill(process.pid, 'SIGKILL');
  if (event.how === 'forget') setInterval(() => {}, 1);
  return { number: event.number };
};
"""
BIG = """
def handler(event, context):
    return event
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back for an invocation."""

    status: int
    error_code: str = ""
    """Of a refusal: AWS's word for it."""
    function_error: str = ""
    payload: bytes = b""


def _value(answer: Answer) -> Any:
    return json.loads(answer.payload)


def _is_fine(answer: Answer) -> bool:
    return answer.status == 200 and not answer.function_error


def _is_number(event: Any, answer: Answer) -> bool:
    return _is_fine(answer) and _value(answer)["number"] == event["number"]


def _is_restored(event: Any, answer: Answer) -> bool:
    return _is_number(event, answer) and _value(answer)["kind"] == "snap-start"


def _crashed(event: Any, answer: Answer) -> bool:
    if answer.status != 200 or answer.function_error != "Unhandled":
        return False
    expected = "ValueError" if event["how"] == "raise" else "Runtime.ExitError"
    return _value(answer).get("errorType") == expected


def _leaked(event: Any, answer: Answer) -> bool:
    """It goes well until it does not; where memory is limited per process, Python itself notices."""
    if _is_fine(answer):
        return _value(answer) >= 1
    return answer.status == 200 and _value(answer).get("errorType") in (
        "Runtime.OutOfMemory",
        "Runtime.ExitError",
        "MemoryError",
    )


def _timed_out(event: Any, answer: Answer) -> bool:
    return answer.status == 200 and "Task timed out after 1.00 seconds" in _value(answer).get(
        "errorMessage", ""
    )


def _forked(event: Any, answer: Answer) -> bool:
    """Daemons stay until their environment ends, so that sooner or later there are too many processes."""
    if _is_fine(answer):
        return _value(answer) == event["children"]
    return _value(answer).get("errorType") in (
        "BlockingIOError",
        "Runtime.ExitError",
        "Runtime.OutOfMemory",
        "OSError",
    )


def _filled(event: Any, answer: Answer) -> bool:
    if answer.function_error:  # where files in /tmp count as memory, that may be what is full
        return _value(answer).get("errorType") in ("Runtime.OutOfMemory", "Runtime.ExitError", "MemoryError")
    value = _value(answer)
    return _is_fine(answer) and (value.get("written") == event["mb"] * _MB or value.get("full") in (28, 122))


def _same(event: Any, answer: Answer) -> bool:
    return _is_fine(answer) and _value(answer) == event


def _is_scripted(event: Any, answer: Answer) -> bool:
    if event["how"] in ("", "forget"):
        return _is_number(event, answer)
    expected = "RangeError" if event["how"] == "raise" else "Runtime.ExitError"
    return answer.status == 200 and _value(answer).get("errorType") == expected


def _noise_made(event: Any, answer: Answer) -> bool:
    return _is_fine(answer) and _value(answer) == event["lines"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Character:
    """A kind of function and how it is called."""

    name: str
    source: str
    weight: int
    """How often it is called, in proportion."""
    event: Callable[[random.Random, int], Any]
    is_right: Callable[[Any, Answer], bool]
    configuration: Mapping[str, Any] = field(default_factory=dict)
    qualifier: str = ""
    refusals: frozenset[str] = frozenset()
    """Errors with which it may be refused."""

    def complaint(self, event: Any, answer: Answer) -> str:
        """Say what is wrong with an answer, or nothing."""
        if answer.error_code:
            if answer.error_code in self.refusals:
                return ""
            return f"refused with {answer.status} {answer.error_code}: {_short(answer.payload)}"
        try:
            is_right = self.is_right(event, answer)
        except (ValueError, TypeError, AttributeError, KeyError):
            is_right = False
        error = f" {answer.function_error}" if answer.function_error else ""
        return "" if is_right else f"answered {answer.status}{error} {_short(answer.payload)}"


def _short(payload: bytes) -> str:
    text = payload[:200].decode(errors="replace")
    return text if len(payload) <= 200 else f"{text}… ({len(payload)} bytes)"


def _number(_: random.Random, number: int) -> Any:
    return {"number": number}


CONFLICT = frozenset({"ResourceConflictException"})
"""An update or a new version is being made ready."""

CHARACTERS = (
    Character(name="good", source=GOOD, weight=30, event=_number, is_right=_is_number, refusals=CONFLICT),
    Character(name="changing", source=GOOD, weight=12, event=_number, is_right=_is_number, refusals=CONFLICT),
    Character(
        name="coming-and-going",
        source=GOOD,
        weight=10,
        event=_number,
        is_right=_is_number,
        refusals=CONFLICT | {"ResourceNotFoundException"},
    ),
    Character(
        name="provisioned",
        source=GOOD,
        weight=12,
        event=_number,
        is_right=_is_number,
        qualifier="live",
        refusals=CONFLICT,
    ),
    Character(
        name="restored",
        source=GOOD,
        weight=8,
        event=_number,
        is_right=_is_restored,
        qualifier="live",
        configuration={"SnapStart": {"ApplyOn": "PublishedVersions"}},
    ),
    Character(
        name="limited",
        source=SLOW,
        weight=6,
        event=lambda chance, number: {"number": number, "seconds": 0.2},
        is_right=_is_number,
        refusals=frozenset({"TooManyRequestsException"}),
    ),
    Character(
        name="slow",
        source=SLOW,
        weight=5,
        event=lambda chance, number: {"number": number, "seconds": round(chance.uniform(0.2, 1.5), 2)},
        is_right=_is_number,
    ),
    Character(
        name="crashing",
        source=CRASHING,
        weight=6,
        event=lambda chance, number: {
            "how": chance.choice(("raise", "exit", "system exit", "kill", "segmentation fault"))
        },
        is_right=_crashed,
    ),
    Character(name="leaking", source=LEAKING, weight=5, event=lambda *_: {"mb": 24}, is_right=_leaked),
    Character(
        name="late",
        source=LATE,
        weight=2,
        event=_number,
        is_right=_timed_out,
        configuration={"Timeout": 1},
    ),
    Character(name="forking", source=FORKING, weight=4, event=lambda *_: {"children": 6}, is_right=_forked),
    Character(name="noisy", source=NOISY, weight=3, event=lambda *_: {"lines": 1500}, is_right=_noise_made),
    Character(name="filling", source=FILLING, weight=3, event=lambda *_: {"mb": 40}, is_right=_filled),
    Character(
        name="big",
        source=BIG,
        weight=3,
        event=lambda chance, number: {
            "number": number,
            "text": "x" * chance.randint(100_000, _BIG_MAX_BYTES),
        },
        is_right=_same,
    ),
)


if shutil.which("node"):
    # Interpreters that wait are programs that a killed server may leave behind.
    CHARACTERS = (
        *CHARACTERS,
        *(
            Character(
                name=f"in-javascript-{memory_mb}",
                source=JAVASCRIPT,
                weight=4,
                event=lambda chance, number: {
                    "number": number,
                    "how": chance.choice(("", "", "", "forget", "raise", "exit", "kill")),
                },
                is_right=_is_scripted,
                configuration={"Runtime": "nodejs20.x", "MemorySize": memory_mb},
            )
            for memory_mb in (256, 300)
        ),
    )


def by_name(name: str) -> Character:
    """Return a character."""
    return next(character for character in CHARACTERS if character.name == name)
