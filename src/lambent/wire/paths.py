"""Path templates of a REST service, compiled into one tree.

``/2015-03-31/functions/{FunctionName}/invocations`` becomes a walk of four steps, whatever the number of
operations. Literals win over labels, labels over greedy labels; a trailing slash is never significant,
because models and clients disagree about it. Templates may end in literal query parameters
(``?find=LayerVersion``); the most demanding template whose parameters are present wins.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar
from urllib.parse import parse_qsl, unquote_to_bytes

T = TypeVar("T")

_LONGEST_PATH = 64  # segments; longer paths match nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class _End(Generic[T]):
    """Where a template ends."""

    labels: tuple[str, ...]
    query: tuple[tuple[str, str], ...]
    target: T


@dataclass(slots=True)
class _Node(Generic[T]):
    literals: dict[str, _Node[T]] = field(default_factory=dict[str, "_Node[T]"])
    label: _Node[T] | None = None
    greedy: _Node[T] | None = None
    ends: dict[str, list[_End[T]]] = field(default_factory=dict[str, list[_End[T]]])


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What a request asks for."""

    segments: list[str]
    method: str
    query: str


class PathTable(Generic[T]):
    """Templates with what they lead to; built once, then only read."""

    def __init__(self, templates: Iterable[tuple[str, str, T]]) -> None:
        """Compile (method, template, target) triples."""
        self._root: _Node[T] = _Node()
        for method, template, target in templates:
            self._add(method, template, target)

    def find(self, method: str, path: str, query: str) -> tuple[T, Mapping[str, str]] | None:
        """Return what a raw path leads to and its labels, percent-decoded once; None if nothing matches."""
        segments = path.strip("/").split("/")
        if len(segments) > _LONGEST_PATH:
            return None
        found = _walk(self._root, _Wanted(segments, method, query), 0, ())
        if found is None:
            return None
        end, values = found
        try:
            return end.target, {
                label: _decode(value) for label, value in zip(end.labels, values, strict=True)
            }
        except UnicodeDecodeError:
            return None

    def _add(self, method: str, template: str, target: T) -> None:
        path, _, query = template.partition("?")
        node, labels = self._root, list[str]()
        for segment in path.strip("/").split("/"):
            if not segment.startswith("{"):
                node = node.literals.setdefault(segment, _Node())
            elif segment.endswith("+}"):
                labels.append(segment[1:-2])
                node.greedy = node = node.greedy or _Node()
            else:
                labels.append(segment[1:-1])
                node.label = node = node.label or _Node()
        end = _End(labels=tuple(labels), query=tuple(parse_qsl(query, keep_blank_values=True)), target=target)
        ends = node.ends.setdefault(method, [])
        ends.append(end)
        ends.sort(key=lambda end: -len(end.query))


def _walk(
    node: _Node[T], wanted: _Wanted, at: int, values: tuple[str, ...]
) -> tuple[_End[T], tuple[str, ...]] | None:
    if at == len(wanted.segments):
        end = _choose(node.ends.get(wanted.method), wanted.query)
        return None if end is None else (end, values)
    segment = wanted.segments[at]
    following = node.literals.get(segment)
    if following is not None and (found := _walk(following, wanted, at + 1, values)):
        return found
    if node.label is not None and segment:
        found = _walk(node.label, wanted, at + 1, (*values, segment))
        if found is not None:
            return found
    return None if node.greedy is None else _walk_greedy(node.greedy, wanted, at, values)


def _walk_greedy(
    node: _Node[T], wanted: _Wanted, at: int, values: tuple[str, ...]
) -> tuple[_End[T], tuple[str, ...]] | None:
    # The shortest first, so that a template that goes on after the label wins over one that ends with it.
    for stop in range(at + 1, len(wanted.segments) + 1):
        value = "/".join(wanted.segments[at:stop])
        if value and (found := _walk(node, wanted, stop, (*values, value))):
            return found
    return None


def _choose(ends: list[_End[T]] | None, query: str) -> _End[T] | None:
    if ends is None:
        return None
    pairs: set[tuple[str, str]] | None = None
    for end in ends:
        if not end.query:
            return end
        if pairs is None:
            pairs = set(parse_qsl(query, keep_blank_values=True))
        if pairs.issuperset(end.query):
            return end
    return None


def _decode(segment: str) -> str:
    return unquote_to_bytes(segment).decode() if "%" in segment else segment
