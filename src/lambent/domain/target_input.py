"""What a target gets of an event: all of it, a part, a text of its own, or a template that is filled in. Pure.

How templates are filled in is AWS's page "Amazon EventBridge input transformation": within quotes a text is put in
as it is, escaped by nobody, and of an object or array the quotes are left out; outside, a value is JSON; what
becomes JSON is minified. A value that is not there leaves nothing behind. What is to be JSON and is none in the
end, ``{"a": <gone>}`` for instance, cannot be delivered.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from lambent.domain.bus_event import BusEvent
from lambent.domain.json_path import ABSENT, parse_path, value_at
from lambent.domain.rule import Rule, RuleTarget

_VARIABLE = re.compile(r"<([A-Za-z0-9._/-]+)>")
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)
PREDEFINED = frozenset(
    {
        "aws.events.rule-arn",
        "aws.events.rule-name",
        "aws.events.event",
        "aws.events.event.ingestion-time",
        "aws.events.event.json",
    }
)


class InvalidInput(Exception):
    """A template that was filled in is no JSON."""


def input_of(event: BusEvent, rule: Rule, target: RuleTarget) -> bytes:
    """Return what a target gets.

    Raises:
        InvalidInput: it would be no JSON.
    """
    given = target.members
    if (text := given.get("Input")) is not None:
        return text.encode()
    if (path := given.get("InputPath")) is not None:
        value = value_at(event.decoded, path)
        return msgspec.json.encode(None if value is ABSENT else value)
    if (transformer := given.get("InputTransformer")) is not None:
        return _filled_in(transformer, event, rule)
    return event.body


def variables(template: str) -> list[str]:
    """Return the variables in a template."""
    return _VARIABLE.findall(template)


def input_problem(given: Mapping[str, Any]) -> str | None:
    """Return what is wrong with what a target is to get, in AWS's words; None when nothing is.

    Args:
        given: the members of a target.
    """
    target_id, transformer = given["Id"], given.get("InputTransformer")
    if sum(given.get(name) is not None for name in ("Input", "InputPath", "InputTransformer")) > 1:
        return f"Only one of Input, InputPath, or InputTransformer must be provided for target {target_id}."
    if (text := given.get("Input")) is not None and not _is_json(text.encode("utf-8", "surrogatepass")):
        return f"Input for target {target_id} is not a valid JSON text."
    if (path := given.get("InputPath")) is not None and parse_path(path) is None:
        return f"Invalid InputPath for target {target_id}."
    return None if transformer is None else _transformer_problem(target_id, transformer)


def _transformer_problem(target_id: str, transformer: Mapping[str, Any]) -> str | None:
    paths: Mapping[str, str] = transformer.get("InputPathsMap") or {}
    template: str = transformer["InputTemplate"]
    for name, path in paths.items():
        if parse_path(path) is None or not re.fullmatch(r"[A-Za-z0-9_-]+", name):
            return f"InputPath for target {target_id} is invalid."
    for name in variables(template):
        if name not in paths and name not in PREDEFINED:
            return f"InputTemplate for target {target_id} contains invalid placeholder {name}."
    return None


def _filled_in(transformer: Mapping[str, Any], event: BusEvent, rule: Rule) -> bytes:
    template: str = transformer["InputTemplate"]
    values = _values(transformer.get("InputPathsMap") or {}, variables(template), event, rule)
    # Within quotes a value is a part of the text; outside, it is JSON.
    pieces: list[str] = []
    at = 0
    for quoted in _QUOTED.finditer(template):
        pieces.append(_VARIABLE.sub(lambda m: _as_json(values[m[1]]), template[at : quoted.start()]))
        pieces.append(_VARIABLE.sub(lambda m: _as_text(values[m[1]]), quoted[0]))
        at = quoted.end()
    pieces.append(_VARIABLE.sub(lambda m: _as_json(values[m[1]]), template[at:]))
    made = "".join(pieces).encode(errors="replace")
    if template.lstrip()[:1] not in ("{", "["):
        return made
    if not _is_json(made):
        raise InvalidInput("the input template, filled in, is no JSON")
    return msgspec.json.format(made, indent=-1)


def _values(paths: Mapping[str, str], names: list[str], event: BusEvent, rule: Rule) -> dict[str, Any]:
    decoded = event.decoded if paths else {}
    found: dict[str, Any] = {name: value_at(decoded, path) for name, path in paths.items()}
    predefined: dict[str, Any] = {
        "aws.events.rule-arn": rule.arn,
        "aws.events.rule-name": rule.name,
        "aws.events.event.ingestion-time": event.ingestion_time,
        "aws.events.event": msgspec.Raw(event.heading),
        "aws.events.event.json": msgspec.Raw(event.body),
    }
    return found | {name: predefined[name] for name in names if name in predefined}


def _as_json(value: Any) -> str:
    return "" if value is ABSENT else msgspec.json.encode(value).decode()


def _as_text(value: Any) -> str:
    if isinstance(value, str) or value is ABSENT:
        return value if isinstance(value, str) else ""
    text = _as_json(value)
    # The event itself is not to be put into quotes, and AWS does nothing about it.
    return text if isinstance(value, msgspec.Raw) else text.replace('"', "")


def _is_json(text: bytes) -> bool:
    try:
        msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return False
    return True
