"""Replays recorded scenarios: asks Lambent the same and compares its answers with AWS's, member by member.

A recorded answer holds placeholders such as ``<uuid:2>``. The first value that stands in a placeholder's place
is bound to it and must stand in all its other places; values bound to different numbers must differ.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, cast

from botocore.exceptions import ClientError

from harness import REGION, Server, zip_of

ACCOUNT = "111111111111"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/worker"
ZIP = zip_of({"handler.py": "def handler(event, context): return event"})
OTHER_ZIP = zip_of({"handler.py": "def handler(event, context): return 2"})
RECORDINGS: Mapping[str, Mapping[str, Any]] = {
    name: steps
    for file in sorted(Path(__file__).parent.glob("*.json"))
    for name, steps in json.loads(file.read_text()).items()
}
_PLACEHOLDER = re.compile(r"<[a-z0-9_-]+(?::\d+)?>")
_FIXED = {"<partition>": "aws", "<region>": REGION}
_DIFFERENT_EACH_TIME = ("<code-size>", "<location>", "<layer-location>")
_TIMES = ("date", "datetime")
_ENUM = re.compile(r"enum value set: \[([^\]]*)\]")
_LONG_ENUM = 20
"""Longer enumerations are lists of runtimes, which grow from year to year."""

Scenario = Callable[["Replay"], None]
SCENARIOS: dict[str, Scenario] = {}


def scenario(*names: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Register what replays a recorded scenario.

    Several scenarios that differ by a parameter (the text in brackets in their names) share a function, which
    is then given that parameter.
    """

    def register(replay: Callable[..., None]) -> Callable[..., None]:
        for name in names:
            assert name in RECORDINGS, name
            parameter = re.search(r"\[(.*)\]", name)
            if len(names) > 1 and parameter:
                SCENARIOS[name] = _with(replay, parameter[1])
            else:
                SCENARIOS[name] = replay
        return replay

    return register


def _with(replay: Callable[..., None], parameter: str) -> Scenario:
    return lambda to: replay(to, parameter)


class Replay:
    """One scenario under way."""

    def __init__(self, name: str, server: Server, prefix: str) -> None:
        """Begin.

        Args:
            name: the scenario's.
            server: who is asked.
            prefix: begins all names of resources, so that scenarios share a server.
        """
        self.recording = RECORDINGS[name]
        self.client = server.client("lambda", account=ACCOUNT)
        self._server = server
        self.prefix = prefix
        self.differences: list[str] = []
        self._bound: dict[str, str] = {}
        self._left = set(self.recording)

    def name(self, suffix: str = "f") -> str:
        """Return a name for a resource that no other scenario uses."""
        return f"{self.prefix}-{suffix}"

    def arn(self, name: str) -> str:
        """Return the ARN of a function."""
        return f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{name}"

    def queue(self, suffix: str = "queue") -> str:
        """Make a queue, which nothing is recorded of, and return its ARN."""
        self._server.client("sqs", account=ACCOUNT).create_queue(QueueName=self.name(suffix))
        return f"arn:aws:sqs:{REGION}:{ACCOUNT}:{self.name(suffix)}"

    def ask(self, operation: str, /, **parameters: Any) -> dict[str, Any]:
        """Call an operation and return its answer, or the answer that is an error."""
        try:
            return getattr(self.client, operation)(**parameters)
        except ClientError as error:
            return dict(cast("Any", error).response)

    def step(self, step: str, operation: str, /, **parameters: Any) -> dict[str, Any]:
        """Call an operation, compare its answer with the recorded one, and return it."""
        answer = self.ask(operation, **parameters)
        recorded: Any = self.recording[step]
        if "CreateFunctionResponse" in recorded:
            recorded = recorded["CreateFunctionResponse"]
        self._left.discard(step)
        self.differences += self._compare(recorded, answer, step)
        return answer

    def note(self, step: str, value: Any) -> None:
        """Compare a value that was computed from answers with the recorded one."""
        self._left.discard(step)
        self.differences += self._compare(self.recording[step], value, step)

    def leave_out(self, *steps: str) -> None:
        """Say that steps are not compared; the caller's comment says why."""
        for step in steps:
            assert step in self.recording, step
        self._left -= set(steps)

    def create(self, step: str | None, name: str, **parameters: Any) -> dict[str, Any]:
        """Create a function as most recorded scenarios do."""
        usual: dict[str, Any] = {
            "FunctionName": name,
            "Runtime": "python3.12",
            "Handler": "handler.handler",
            "Role": ROLE,
            "Timeout": 30,
            "Environment": {"Variables": {}},
            "Code": {"ZipFile": ZIP},
        }
        settings = {member: value for member, value in (usual | parameters).items() if value is not None}
        if step is not None:
            return self.step(step, "create_function", **settings)
        return self.ask("create_function", **settings)

    def create_active(self, step: str | None, name: str, **parameters: Any) -> dict[str, Any]:
        """Create a function and wait until it is active."""
        created = self.create(step, name, **parameters)
        self.settle(name)
        return created

    def settle(self, name: str) -> None:
        """Wait until a function is active and no update is in progress."""
        for waiter in ("function_active_v2", "function_updated_v2"):
            self.client.get_waiter(waiter).wait(
                FunctionName=name, WaiterConfig={"Delay": 0.02, "MaxAttempts": 1000}
            )

    def finish(self) -> None:
        """Complain about every difference, and about steps that were forgotten."""
        assert not self._left, f"not replayed: {sorted(self._left)}"
        assert not self.differences, "\n".join(self.differences)

    def _compare(self, recorded: Any, ours: Any, path: str) -> list[str]:
        if isinstance(recorded, str):
            return self._compare_text(recorded, ours, path)
        if isinstance(recorded, dict | list) and isinstance(ours, str):
            ours = json.loads(ours)  # Policies are JSON texts; the recording has them parsed.
        if isinstance(recorded, dict):
            if not isinstance(ours, dict):
                return [f"{path}: AWS {recorded!r}, ours {ours!r}"]
            return list(self._compare_members(cast("Any", recorded), cast("Any", ours), path))
        if isinstance(recorded, list):
            return list(self._compare_items(cast("Any", recorded), ours, path))
        # An error without a text: the JSON of AWS has a null, from which clients make nothing or an empty text.
        is_same = recorded == ours or (recorded is None and ours == "")
        return [] if is_same else [f"{path}: AWS {recorded!r}, ours {ours!r}"]

    def _compare_members(
        self, recorded: Mapping[str, Any], ours: Mapping[str, Any], path: str
    ) -> Iterator[str]:
        for member in sorted(recorded.keys() | ours.keys()):
            place = f"{path}.{member}"
            if member == "ResponseMetadata":
                if member not in recorded:
                    continue  # Of a list of several pages, only the items were recorded.
                status = "HTTPStatusCode"
                yield from self._compare(recorded[member][status], ours[member][status], place)
            elif member not in ours:
                yield f"{place}: AWS {recorded[member]!r}, ours has none"
            elif member not in recorded:
                yield f"{place}: AWS has none, ours {ours[member]!r}"
            else:
                yield from self._compare(recorded[member], ours[member], place)

    def _compare_items(self, recorded: list[Any], ours: Any, path: str) -> Iterator[str]:
        if not isinstance(ours, list) or len(cast("list[Any]", ours)) != len(recorded):
            yield f"{path}: AWS {recorded!r}, ours {ours!r}"
            return
        for index, (item, own) in enumerate(zip(recorded, cast("list[Any]", ours), strict=True)):
            yield from self._compare(item, own, f"{path}[{index}]")

    def _compare_text(self, recorded: str, ours: Any, path: str) -> list[str]:
        if recorded in _TIMES:
            return [] if ours and isinstance(ours, str | datetime) else [f"{path}: no time but {ours!r}"]
        text = _sorted_enums(str(ours))
        pattern, placeholders = self._pattern(_sorted_enums(recorded))
        match = re.fullmatch(pattern, text, re.DOTALL)
        if match is None or ours is None:
            bound = {name: value for name, value in self._bound.items() if name in recorded}
            return [f"{path}: AWS {recorded!r} {bound or ''}, ours {ours!r}"]
        return [
            difference
            for placeholder, value in zip(placeholders, match.groups(), strict=True)
            for difference in self._bind(placeholder, value, path)
        ]

    def _bind(self, placeholder: str, value: str, path: str) -> list[str]:
        if placeholder.startswith("<uuid:"):
            for other, known in self._bound.items():
                if known == value and other.startswith("<uuid:"):
                    return [f"{path}: AWS has a new {placeholder}, ours is still {other} {value}"]
        self._bound[placeholder] = value
        return []

    def _pattern(self, recorded: str) -> tuple[str, list[str]]:
        """Return an expression for a recorded text, and the placeholders that its groups stand for."""
        pattern, end, groups = "", 0, list[str]()
        for found in _PLACEHOLDER.finditer(recorded):
            pattern += re.escape(recorded[end : found.start()])
            end = found.end()
            placeholder = found[0]
            known = _FIXED.get(placeholder) or self._bound.get(placeholder)
            if known is not None:
                pattern += re.escape(known)
            elif placeholder in _DIFFERENT_EACH_TIME:
                pattern += ".+"
            elif placeholder in groups:
                pattern += f"\\{groups.index(placeholder) + 1}"
            else:
                groups.append(placeholder)
                pattern += "(.+?)"
        return pattern + re.escape(recorded[end:]), groups


def _sorted_enums(text: str) -> str:
    """Put enumerations in an order: AWS lists them in a random one."""

    def in_order(found: re.Match[str]) -> str:
        values = sorted(found[1].split(", "))
        return f"enum value set: [{'…' if len(values) > _LONG_ENUM else ', '.join(values)}]"

    return _ENUM.sub(in_order, text)
