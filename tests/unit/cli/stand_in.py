"""A stand-in for the API that answers by rules and remembers what it was asked."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One request that reached the stand-in."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """One answer of the stand-in."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


Answer = Callable[[Asked], Reply]


@dataclass(slots=True)
class StandIn:
    """Answers requests by the first rule whose method and path fit, and remembers what it was asked."""

    endpoint: str = ""
    rules: list[tuple[str, re.Pattern[str], Answer]] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)

    def on(self, method: str, path: str, answer: Answer | Any, status: int = 200) -> None:
        """Add a rule. A path is a regular expression; an answer that is no function is sent as JSON."""
        if not callable(answer):
            reply = Reply(status=status, body=json.dumps(answer).encode())
            answer = lambda _: reply  # noqa: E731
        self.rules.append((method, re.compile(path), answer))

    def on_target(self, target: str, answer: Any, status: int = 200) -> None:
        """Add a rule for an operation of a JSON protocol, named by its header."""

        def reply(asked: Asked) -> Reply:
            content = answer(asked) if callable(answer) else answer
            return (
                content
                if isinstance(content, Reply)
                else Reply(status=status, body=json.dumps(content).encode())
            )

        self.rules.append((f"TARGET {target}", re.compile(".*"), reply))

    def missing(self, method: str, path: str, code: str = "ResourceNotFoundException") -> None:
        """Add a rule that says there is no such thing."""
        body = json.dumps({"Type": "User", "Message": "Function not found: it"}).encode()
        reply = Reply(status=404, body=body, headers={"x-amzn-ErrorType": code})
        self.rules.append((method, re.compile(path), lambda _: reply))

    def reply_to(self, asked: Asked) -> Reply:
        self.asked.append(asked)
        words = {asked.method, f"TARGET {asked.headers.get('x-amz-target', '').rpartition('.')[2]}"}
        for method, path, answer in self.rules:
            if method in words and path.fullmatch(asked.path):
                return answer(asked)
        return Reply(status=500, body=b'{"message": "the stand-in has no rule for this"}')

    def of(self, method: str) -> list[Asked]:
        return [asked for asked in self.asked if asked.method == method]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """What a command left behind."""

    code: int
    out: bytes
    err: str


Run = Callable[..., Ran]
