"""The regular expressions of CloudWatch Logs filter patterns, matched in linear time.

AWS allows a small language between its ``%`` signs: no groups, no look-around. That is little enough to be
run as an automaton that looks at each character once; a backtracking engine would let one pattern over one
long log line hold up the whole process.

Follows the section "Supported regular expressions (regex) syntax" of the AWS page "Filter pattern syntax".
"""

from __future__ import annotations

import string
from dataclasses import dataclass

_SYMBOLS = frozenset(string.ascii_letters + string.digits + ":_#=@/;,-")
_POSITIONS_MAX = 1_000
"""Characters that an expression may describe after its counts are written out."""
_EDGES_MAX = 20_000
"""Remembered steps of the automaton; beyond it they are forgotten and worked out again."""
_CLASSES: dict[str, tuple[tuple[str, str], ...]] = {
    "d": (("0", "9"),),
    "s": ((" ", " "), ("\t", "\r")),
    "w": (("0", "9"), ("A", "Z"), ("_", "_"), ("a", "z")),
}
_ANY_BUT_NEWLINE = (("\n", "\n"),)


@dataclass(frozen=True, slots=True)
class _Characters:
    """A set of characters as ranges, or everything but them."""

    ranges: tuple[tuple[str, str], ...]
    is_negated: bool = False

    def has(self, character: str) -> bool:
        return any(low <= character <= high for low, high in self.ranges) != self.is_negated

    @property
    def single(self) -> str | None:
        """The one character of the set, if it has just one."""
        if self.is_negated or len(self.ranges) != 1 or self.ranges[0][0] != self.ranges[0][1]:
            return None
        return self.ranges[0][0]


@dataclass(frozen=True, slots=True)
class _Position:
    """One character of the expression."""

    characters: _Characters
    is_optional: bool = False
    is_repeated: bool = False


@dataclass(frozen=True, slots=True)
class _Alternative:
    positions: tuple[_Position, ...]
    from_start: bool
    to_end: bool


class LogRegex:
    """A compiled expression."""

    def __init__(self, text: str) -> None:
        """Compile what stands between the ``%`` signs.

        Raises:
            ValueError: the expression is malformed or uses what AWS does not support.
        """
        self._alternatives = _Reader(text).alternatives()
        self._literal = _required_literal(self._alternatives)
        self._automaton = _Automaton(self._alternatives)

    def search(self, text: str) -> bool:
        """Tell whether the expression matches somewhere in the text."""
        # Most lines of a log do not match: a plain substring search says so soonest.
        if self._literal and self._literal not in text:
            return False
        return self._automaton.search(text)


def _required_literal(alternatives: tuple[_Alternative, ...]) -> str:
    """Return the longest text that every match contains."""
    if len(alternatives) != 1:
        return ""
    best = current = ""
    for position in alternatives[0].positions:
        single = position.characters.single
        if single is None or position.is_optional or position.is_repeated:
            current = ""
        else:
            current += single
            best = max(best, current, key=len)
    return best


class _Reader:
    """Reads an expression from left to right."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def alternatives(self) -> tuple[_Alternative, ...]:
        found = [self._alternative()]
        while self._take("|"):
            found.append(self._alternative())
        if sum(len(alternative.positions) for alternative in found) > _POSITIONS_MAX:
            raise ValueError("too long")
        return tuple(found)

    def _peek(self) -> str:
        return self._text[self._at : self._at + 1]

    def _take(self, wanted: str) -> bool:
        if self._peek() != wanted:
            return False
        self._at += 1
        return True

    def _next(self) -> str:
        character = self._peek()
        if not character:
            raise ValueError("unexpected end")
        self._at += 1
        return character

    def _alternative(self) -> _Alternative:
        from_start = self._take("^")
        positions: list[_Position] = []
        to_end = False
        while self._peek() not in ("", "|"):
            if self._take("$"):
                to_end = True
                if self._peek() not in ("", "|"):
                    raise ValueError("$ in the middle")
            else:
                positions += self._counted(self._characters())
        if not positions and not (from_start or to_end):
            raise ValueError("empty")
        return _Alternative(tuple(positions), from_start, to_end)

    def _characters(self) -> _Characters:
        character = self._next()
        if character == ".":
            return _Characters(_ANY_BUT_NEWLINE, is_negated=True)
        if character == "[":
            return self._class()
        if character == "\\":
            return self._escape()
        return _one(_plain(character))

    def _escape(self) -> _Characters:
        character = self._next()
        if character.lower() in _CLASSES:
            return _Characters(_CLASSES[character.lower()], is_negated=character.isupper())
        if character == "x":
            return _one(chr(int(self._hexadecimal() + self._hexadecimal(), 16)))
        if character not in string.punctuation:
            raise ValueError(f"unknown escape {character!r}")
        return _one(character)

    def _hexadecimal(self) -> str:
        character = self._next()
        if character not in string.hexdigits:
            raise ValueError("not a hexadecimal digit")
        return character

    def _class(self) -> _Characters:
        is_negated = self._take("^")
        ranges: list[tuple[str, str]] = []
        while not self._take("]"):
            low = self._member()
            if (
                low.single
                and self._peek() == "-"
                and self._text[self._at + 1 : self._at + 2] not in ("", "]")
            ):
                self._at += 1
                high = self._member().single
                if high is None or high < low.single:
                    raise ValueError("range out of order")
                ranges.append((low.single, high))
            else:
                ranges += _positive(low)
        if not ranges:
            raise ValueError("empty class")
        return _Characters(tuple(ranges), is_negated)

    def _member(self) -> _Characters:
        character = self._next()
        if character == "\\":
            return self._escape()
        # Inside a class the operators stand for themselves.
        return _one(character if character in "$?{}|*+.[^" else _plain(character))

    def _counted(self, characters: _Characters) -> list[_Position]:
        low, high = self._count()
        if self._peek() in ("*", "+", "?", "{") and self._peek():
            raise ValueError("nothing to repeat")
        if max(low, high or 0) > _POSITIONS_MAX:
            raise ValueError("count too large")
        if high is not None:
            optional = [_Position(characters, is_optional=True)] * (high - low)
            return [_Position(characters)] * low + optional
        if low == 0:
            return [_Position(characters, is_optional=True, is_repeated=True)]
        return [_Position(characters)] * (low - 1) + [_Position(characters, is_repeated=True)]

    def _count(self) -> tuple[int, int | None]:
        """Return how often at least and at most (None: any number of times)."""
        for sign, count in (("*", (0, None)), ("+", (1, None)), ("?", (0, 1))):
            if self._take(sign):
                return count
        if not self._take("{"):
            return 1, 1
        inside, brace, _ = self._text[self._at :].partition("}")
        low, comma, high = inside.partition(",")
        if not brace or not low.isdecimal() or (high and not high.isdecimal()) or len(inside) > 9:
            raise ValueError("malformed count")
        self._at += len(inside) + 1
        least, most = int(low), int(high) if high else (None if comma else int(low))
        if most is not None and most < least:
            raise ValueError("count out of order")
        return least, most


def _plain(character: str) -> str:
    if character not in _SYMBOLS:
        raise ValueError(f"{character!r} is not supported")
    return character


def _one(character: str) -> _Characters:
    return _Characters(((character, character),))


def _positive(characters: _Characters) -> tuple[tuple[str, str], ...]:
    """Return the ranges of a set, turning a negated one inside out."""
    if not characters.is_negated:
        return characters.ranges
    ranges: list[tuple[str, str]] = []
    low = 0
    for first, last in sorted(characters.ranges):
        if ord(first) > low:
            ranges.append((chr(low), chr(ord(first) - 1)))
        low = ord(last) + 1
    return (*ranges, (chr(low), "\U0010ffff"))


class _State:
    """A set of places in the expression, reached after some text, and where the next character leads."""

    __slots__ = ("edges", "is_final", "is_final_at_end", "places")

    def __init__(self, places: frozenset[int], is_final: bool, is_final_at_end: bool) -> None:
        self.places = places
        self.is_final = is_final
        self.is_final_at_end = is_final_at_end
        self.edges: dict[str, _State] = {}


class _Automaton:
    """The states of an expression, worked out when a text first needs them."""

    def __init__(self, alternatives: tuple[_Alternative, ...]) -> None:
        self._positions: list[_Position | None] = []
        starts: set[int] = set()
        restarts: set[int] = set()
        self._finals: set[int] = set()
        self._finals_at_end: set[int] = set()
        for alternative in alternatives:
            starts.add(len(self._positions))
            if not alternative.from_start:
                restarts.add(len(self._positions))
            self._positions += alternative.positions
            (self._finals_at_end if alternative.to_end else self._finals).add(len(self._positions))
            self._positions.append(None)
        self._restarts = self._closed(restarts)
        self._states: dict[frozenset[int], _State] = {}
        self._edges = 0
        self._start = self._closed(starts)

    def search(self, text: str) -> bool:
        state = self._state(self._start)
        if state.is_final:
            return True
        end = len(text) - 1 if text.endswith("\n") else len(text)
        for index, character in enumerate(text):
            if index == end and state.is_final_at_end:
                return True
            state = state.edges.get(character) or self._step(state, character)
            if state.is_final:
                return True
        return state.is_final_at_end

    def _step(self, state: _State, character: str) -> _State:
        reached: set[int] = set()
        for place in state.places:
            position = self._positions[place]
            if position is not None and position.characters.has(character):
                reached.add(place + 1)
                if position.is_repeated:
                    reached.add(place)
        following = self._state(self._closed(reached) | self._restarts)
        if self._edges >= _EDGES_MAX:
            self._edges = 0
            self._states = {following.places: following}
            following.edges.clear()
        else:
            state.edges[character] = following
            self._edges += 1
        return following

    def _state(self, places: frozenset[int]) -> _State:
        state = self._states.get(places)
        if state is None:
            is_final = not places.isdisjoint(self._finals)
            state = _State(places, is_final, is_final or not places.isdisjoint(self._finals_at_end))
            self._states[places] = state
        return state

    def _closed(self, places: set[int]) -> frozenset[int]:
        """Add the places that are reached by leaving out what is optional."""
        closed = set(places)
        for place in places:
            following = place
            while (position := self._positions[following]) is not None and position.is_optional:
                following += 1
                if following in closed:
                    break
                closed.add(following)
        return frozenset(closed)
