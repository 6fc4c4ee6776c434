"""Traces: the ``X-Amzn-Trace-Id`` value that ties an invocation to what caused it.

A caller's trace is continued when it is well formed, else a new one begins, not sampled (AWS X-Ray developer
guide, "Tracing header"). Nothing is recorded here.

A trace also carries a lineage: which functions the chain of invocations has gone through, and how often. SDKs
inside functions pass it on, which is how a function that keeps invoking itself is found (AWS page "Use Lambda
recursive loop detection to prevent infinite loops").
"""

from __future__ import annotations

import hashlib
import random
import re
from collections.abc import Iterable
from functools import lru_cache

import msgspec

_ROOT = re.compile(r"1-[0-9a-f]{8}-[0-9a-f]{24}")
_FIELD = re.compile(r"(\w+)=([^;\s]*)")
_PARENT = re.compile(r"[0-9a-f]{16}")
_ANCESTOR = re.compile(r"([0-9a-f]{8}):([0-9]{1,5})")
_ANCESTORS_MAX = 32
RECURSION_ROUNDS_MAX = 16
"""A function is invoked so often in one chain, and then no more."""


class Trace(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One step of a trace."""

    root: str
    parent: str
    is_sampled: bool
    lineage: tuple[tuple[str, int], ...] = ()
    """Functions by a short hash of their ARN, and how often each was invoked."""

    def __str__(self) -> str:
        """The value that the function is given."""
        text = f"Root={self.root};Parent={self.parent};Sampled={self.is_sampled:d}"
        if self.lineage:
            text += ";Lineage=" + "|".join(f"{ancestor}:{rounds}" for ancestor, rounds in self.lineage)
        return text

    def rounds(self, function_arn: str) -> int:
        """How often this function has been invoked in the chain."""
        return dict(self.lineage).get(_ancestor(function_arn), 0) if self.lineage else 0

    def through(self, function_arn: str) -> Trace:
        """Return the trace of an invocation of this function, counted."""
        ancestor = _ancestor(function_arn)
        if not self.lineage:
            return Trace(
                root=self.root, parent=self.parent, is_sampled=self.is_sampled, lineage=((ancestor, 1),)
            )
        others = [entry for entry in self.lineage if entry[0] != ancestor]
        lineage = (*others[1 - _ANCESTORS_MAX :], (ancestor, self.rounds(function_arn) + 1))
        return msgspec.structs.replace(self, lineage=lineage)

    def header_through(self, function_arn: str) -> str:
        """Return the header of the trace of an invocation of this function: what nearly all of them need it for."""
        if self.lineage:
            return str(self.through(function_arn))
        lineage = f"Lineage={_ancestor(function_arn)}:1"
        return f"Root={self.root};Parent={self.parent};Sampled={self.is_sampled:d};{lineage}"

    @property
    def for_caller(self) -> str:
        """The value of the response header."""
        return f"Root={self.root};Sampled={self.is_sampled:d}"


def trace_of(header: str, *, at_s: float) -> Trace:
    """Return the trace that a request header asks for, or a new one.

    Args:
        header: the value of ``X-Amzn-Trace-Id``; empty when there is none.
        at_s: when the request arrived, in seconds since the epoch; a new root begins with it.
    """
    fresh = f"{random.getrandbits(160):040x}"
    if not header:
        return Trace(root=f"1-{int(at_s):08x}-{fresh[:24]}", parent=fresh[24:], is_sampled=False)
    given: dict[str, str] = dict(_FIELD.findall(header))
    root, parent = given.get("Root", ""), given.get("Parent", "")
    is_known = _ROOT.fullmatch(root) is not None
    return Trace(
        root=root if is_known else f"1-{int(at_s):08x}-{fresh[:24]}",
        parent=parent if is_known and _PARENT.fullmatch(parent) else fresh[24:],
        is_sampled=is_known and given.get("Sampled") == "1",
        lineage=_lineage(given.get("Lineage", "")),
    )


def without_lineage(header: str) -> str:
    """Return a trace header without its lineage: the chain of functions is followed no further."""
    return ";".join(field for field in header.split(";") if not field.strip().startswith("Lineage="))


def most_travelled(headers: Iterable[str], function_arn: str) -> str:
    """Return the trace header that has gone through this function most often; empty when there is none.

    Of a batch of messages, one trace goes on.
    """
    return max(headers, key=lambda header: trace_of(header, at_s=0).rounds(function_arn), default="")


def _lineage(text: str) -> tuple[tuple[str, int], ...]:
    return tuple((ancestor, int(rounds)) for ancestor, rounds in _ANCESTOR.findall(text))[-_ANCESTORS_MAX:]


@lru_cache(maxsize=4096)
def _ancestor(function_arn: str) -> str:
    return hashlib.sha256(function_arn.encode()).hexdigest()[:8]
