"""Traces: the ``X-Amzn-Trace-Id`` value that ties an invocation to what caused it.

A caller's trace is continued when it is well formed, else a new one begins, not sampled (AWS X-Ray developer
guide, "Tracing header"). Nothing is recorded here.
"""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass

_ROOT = re.compile(r"1-[0-9a-f]{8}-[0-9a-f]{24}")
_FIELD = re.compile(r"(\w+)=([^;\s]*)")
_PARENT = re.compile(r"[0-9a-f]{16}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """One step of a trace."""

    root: str
    parent: str
    is_sampled: bool

    def __str__(self) -> str:
        """The value that the function is given."""
        return f"Root={self.root};Parent={self.parent};Sampled={self.is_sampled:d}"

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
    fresh = secrets.token_hex(20)
    given: dict[str, str] = dict(_FIELD.findall(header)) if header else {}
    root, parent = given.get("Root", ""), given.get("Parent", "")
    is_known = _ROOT.fullmatch(root) is not None
    return Trace(
        root=root if is_known else f"1-{int(at_s):08x}-{fresh[:24]}",
        parent=parent if is_known and _PARENT.fullmatch(parent) else fresh[24:],
        is_sampled=is_known and given.get("Sampled") == "1",
    )
