"""Constraints of a model, compiled into functions that say in AWS's words what a value breaks.

The texts are those of the framework that AWS's services share, for instance::

    Value '' at 'functionName' failed to satisfy constraint: Member must have length greater than or equal to
    1

Members are told in lower camel case, elements of lists of structures as ``tags.1.member.key``; a list or map
of scalars is told as a whole, with all constraints of its elements in brackets. Values of sensitive shapes
are not told.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from lambent.wire.deviations import Deviations
from lambent.wire.patterns import matcher
from lambent.wire.shapes import Shape

Check = Callable[[Any, str, list[str]], None]
"""(value, path, violations): append a text for each constraint that the value breaks."""

_NOT_NULL = "Member must not be null"
_COLLECTIONS = ("structure", "list", "map")
_NUMBERS = ("integer", "long", "short", "byte", "float", "double")
_BUCKETS = 32


@dataclass(frozen=True, slots=True)
class Constraint:
    """One constraint: its text, and whether a value keeps it."""

    text: str
    holds: Callable[[Any], bool]


@dataclass(frozen=True, slots=True)
class _Member:
    name: str
    path: str
    is_required: bool
    check: Check | None


class Constraints:
    """Compiles the checks of one service; structures are compiled once, so that shapes may refer to
    themselves.
    """

    def __init__(self, deviations: Deviations) -> None:
        self._deviations = deviations
        self._structures: dict[str, Check | None] = {}
        self._pending: set[str] = set()

    def check(self, shape: Shape) -> Check | None:
        """Return the function that checks values of this shape; None when there is nothing to check."""
        match shape.type:
            case "structure":
                return self._structure(shape)
            case "list":
                return _both(self._scalar(shape), self._list(shape))
            case "map":
                return _both(self._scalar(shape), self._map(shape))
            case _:
                return self._scalar(shape)

    def _scalar(self, shape: Shape) -> Check | None:
        return _one_by_one(shape, self._of_scalar(shape))

    def _of_scalar(self, shape: Shape) -> list[Constraint]:
        return scalar_constraints(shape, told_pattern=self._deviations.told_patterns.get(shape.name))

    def _structure(self, shape: Shape) -> Check | None:
        if shape.name in self._pending:
            return self._later(shape.name)
        if shape.name not in self._structures:
            self._pending.add(shape.name)
            self._structures[shape.name] = _structure_check(self._members(shape))
            self._pending.discard(shape.name)
        return self._structures[shape.name]

    def _later(self, name: str) -> Check:
        def check(value: Any, path: str, violations: list[str]) -> None:
            if (compiled := self._structures.get(name)) is not None:
                compiled(value, path, violations)

        return check

    def _members(self, shape: Shape) -> list[_Member]:
        required: Sequence[str] = shape.traits.get("required", ())
        members: list[_Member] = []
        earlier = self._deviations.earlier
        for name, member in sorted(
            shape.members.items(), key=lambda item: (shape.name, item[0]) not in earlier
        ):
            is_checked = (shape.name, name) not in self._deviations.unchecked
            check = self.check(member) if is_checked else None
            is_required = is_checked and name in required
            if check is not None or is_required:
                members.append(_Member(name, name[:1].lower() + name[1:], is_required, check))
        return members

    def _list(self, shape: Shape) -> Check | None:
        if shape.element.type in _COLLECTIONS:
            return _each(self.check(shape.element))
        constraints = self._of_scalar(shape.element)
        if shape.name in self._deviations.unwrapped:
            told = ", ".join(constraint.text for constraint in constraints)
        else:
            told = f"Member must satisfy constraint: {self._bracketed(shape, constraints)}"
        return _whole(shape, told, constraints, list)

    def _map(self, shape: Shape) -> Check | None:
        keys = self._of_scalar(shape.key)
        told = f"Map keys must satisfy constraint: {self._bracketed(shape, keys)}"
        check_keys = _whole(shape, told, keys, list)
        if shape.value.type in _COLLECTIONS:
            return _both(check_keys, _each(self.check(shape.value)))
        values = self._of_scalar(shape.value)
        told = f"Map value must satisfy constraint: {self._bracketed(shape, values)}"
        return _both(check_keys, _whole(shape, told, values, _map_values))

    def _bracketed(self, shape: Shape, constraints: list[Constraint]) -> str:
        texts = [constraint.text for constraint in constraints]
        if shape.name not in self._deviations.nullable:
            texts.append(_NOT_NULL)
        return f"[{', '.join(texts)}]"


def violation(shown: str, path: str, text: str) -> str:
    """Return the sentence for one violation; `shown` is a space and the value, or nothing when it is
    sensitive.
    """
    return f"Value{shown} at '{path}' failed to satisfy constraint: {text}"


def scalar_constraints(shape: Shape, *, told_pattern: str | None = None) -> list[Constraint]:
    """Return the constraints of a scalar, or the size constraints of a collection, in the order AWS tells
    them.

    Args:
        shape: what is constrained.
        told_pattern: what is told instead of the pattern that is checked.
    """
    traits = shape.traits
    constraints: list[Constraint] = []
    is_number = shape.type in _NUMBERS
    kind = "value" if is_number else "length"
    number: Callable[[Any], Any] = float if shape.type in ("float", "double") else int
    size: Callable[[Any], Any] = _itself if is_number else len
    if "max" in traits:
        most = number(traits["max"])
        text = f"Member must have {kind} less than or equal to {most}"
        constraints.append(Constraint(text, lambda value: size(value) <= most))
    if "min" in traits:
        least = number(traits["min"])
        text = f"Member must have {kind} greater than or equal to {least}"
        constraints.append(Constraint(text, lambda value: size(value) >= least))
    if "pattern" in traits:
        text = f"Member must satisfy regular expression pattern: {told_pattern or traits['pattern']}"
        constraints.append(Constraint(text, matcher(traits["pattern"])))
    if "enum" in traits:
        text = f"Member must satisfy enum value set: [{', '.join(enum_order(traits['enum']))}]"
        constraints.append(Constraint(text, frozenset(traits["enum"]).__contains__))
    return constraints


def enum_order(values: Sequence[str]) -> list[str]:
    """Return the values of an enum in the order in which AWS tells them.

    AWS tells a hash set of Java: 32 buckets by `String.hashCode`, each with the last declared value in front.
    Inferred from answers of Lambda and DynamoDB, which it reproduces to the last of 56 values.
    """
    buckets: list[list[str]] = [[] for _ in range(_BUCKETS)]
    for value in values:
        buckets[_java_hash(value) % _BUCKETS].insert(0, value)
    return [value for bucket in buckets for value in bucket]


def _java_hash(text: str) -> int:
    code = 0
    for character in text:
        code = (31 * code + ord(character)) & 0xFFFFFFFF
    return code


def _itself(value: Any) -> Any:
    return value


def _map_values(value: dict[str, Any]) -> Iterable[Any]:
    return value.values()


def _both(first: Check | None, second: Check | None) -> Check | None:
    if first is None or second is None:
        return first or second

    def check(value: Any, path: str, violations: list[str]) -> None:
        first(value, path, violations)
        second(value, path, violations)

    return check


def _one_by_one(shape: Shape, constraints: Sequence[Constraint]) -> Check | None:
    """Check one value by itself: a violation for each constraint that it breaks."""
    if not constraints:
        return None
    show = _shower(shape)

    def check(value: Any, path: str, violations: list[str]) -> None:
        for constraint in constraints:
            if not constraint.holds(value):
                violations.append(violation(show(value), path, constraint.text))

    return check


def _structure_check(members: list[_Member]) -> Check | None:
    if not members:
        return None

    def check(value: Mapping[str, Any], path: str, violations: list[str]) -> None:
        prefix = f"{path}." if path else ""
        for member in members:
            item = value.get(member.name)
            if item is None:
                if member.is_required:
                    violations.append(violation(" null", prefix + member.path, _NOT_NULL))
            elif member.check is not None:
                member.check(item, prefix + member.path, violations)

    return check


def _each(check: Check | None) -> Check:
    """Check collections inside a collection: each has a path of its own."""

    def check_each(value: Any, path: str, violations: list[str]) -> None:
        items: Any = cast("dict[str, Any]", value).items() if isinstance(value, dict) else enumerate(value, 1)
        for key, item in items:
            if item is None:
                violations.append(violation(" null", f"{path}.{key}.member", _NOT_NULL))
            elif check is not None:
                check(item, f"{path}.{key}.member", violations)

    return check_each


def _whole(
    shape: Shape, told: str, constraints: list[Constraint], elements: Callable[[Any], Iterable[Any]]
) -> Check:
    """Check scalars inside a collection: one violation, told of the collection, whoever breaks it."""
    show = _shower(shape)

    def check(value: Any, path: str, violations: list[str]) -> None:
        for element in elements(value):
            if element is None or not all(constraint.holds(element) for constraint in constraints):
                violations.append(violation(show(value), path, told))
                return

    return check


def _shower(shape: Shape) -> Callable[[Any], str]:
    """Return the function that shows a value of this shape in a violation."""
    if shape.traits.get("sensitive") or any(_is_sensitive(part) for part in _parts(shape)):
        return lambda value: ""
    return lambda value: f" '{shown(value)}'"


def _parts(shape: Shape) -> list[Shape]:
    if shape.type == "list":
        return [shape.element]
    return [shape.key, shape.value] if shape.type == "map" else []


def _is_sensitive(shape: Shape) -> bool:
    return bool(shape.traits.get("sensitive"))


def shown(value: Any) -> str:
    """Return a value as Java prints it: ``[a, b]``, ``{k=v}``, ``true``."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, bytes):
        return f"java.nio.HeapByteBuffer[pos=0 lim={len(value)} cap={len(value)}]"
    if isinstance(value, list):
        return f"[{', '.join(shown(item) for item in cast('list[Any]', value))}]"
    if isinstance(value, dict):
        entries = cast("dict[str, Any]", value).items()
        return f"{{{', '.join(f'{key}={shown(item)}' for key, item in entries)}}}"
    return "null" if value is None else str(value)
