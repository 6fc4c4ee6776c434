"""Filter policies: which messages a subscription gets, by their attributes or by their body. Pure.

The operators are those of event patterns (`lambent.domain.pattern`); AWS's page "Amazon SNS subscription filter
policies" says to what they apply. A body that is no JSON object is meant by no policy; of attributes, those that
are binary are passed over, and of a ``String.Array`` one element has to hold.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, cast

from lambent.domain import pattern
from lambent.domain.queue_message import MessageAttribute


def is_meant(policy: str, scope: str, *, text: str, attributes: Mapping[str, MessageAttribute]) -> bool:
    """Whether a message is meant by a filter policy.

    Args:
        policy: its text, whose form has been checked; empty: it means everything.
        scope: ``MessageAttributes`` or ``MessageBody``.
        text: the message.
        attributes: the message's attributes.
    """
    wanted = _parsed(policy)
    if not wanted:
        return True
    if scope == "MessageAttributes":
        # Without any attributes not even {"exists": false} holds (page "Key matching in Amazon SNS").
        return bool(attributes) and pattern.matches(wanted, _event_of(attributes))
    body = _decoded(text)
    try:
        return isinstance(body, dict) and pattern.matches(wanted, body)
    except RecursionError:
        return False


@lru_cache(maxsize=1024)
def _parsed(policy: str) -> Mapping[str, Any]:
    return json.loads(policy) if policy else {}


def _decoded(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _event_of(attributes: Mapping[str, MessageAttribute]) -> dict[str, Any]:
    """Return attributes as an event that a pattern can be compared with."""
    event: dict[str, Any] = {}
    for name, attribute in attributes.items():
        kind = attribute.data_type
        if attribute.binary is not None:
            continue
        text = attribute.text or ""
        if kind == "String.Array":
            elements = _decoded(text)
            # What is no array after all is compared as the text that it is.
            event[name] = cast("list[Any]", elements) if isinstance(elements, list) else text
        elif kind.startswith("Number"):
            event[name] = _number(text)
        else:
            event[name] = text
    return event


def _number(text: str) -> int | float | str:
    try:
        return int(text)
    except ValueError:
        pass
    try:
        return float(text)
    except ValueError:
        return text
