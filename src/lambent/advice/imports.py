"""What init imports, and how long that takes: ``python -X importtime`` taken apart, and which imports could wait.

The lines come as Python writes them, a module after those that it imports, two spaces deeper for each importer:
``import time: self [us] | cumulative | imported package``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from lambent.advice.answer import Answer, ms, usd
from lambent.advice.past import Past
from lambent.domain.pricing.price_list import AWS
from lambent.simulation import percentile

_LINE = re.compile(r"import time:\s*(\d+) \|\s*(\d+) \|( +)(\S+)\s*$")
WORTH_MS = 20.0
"""An import that takes less is not worth a word."""
_SHOWN_MAX = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Import:
    """One module that was imported, the first time that it was."""

    name: str
    self_us: int
    cumulative_us: int
    """With what it imported."""
    children: tuple[Import, ...] = ()


def parse_import_times(lines: Iterable[str]) -> list[Import]:
    """Return the modules that nothing else imported, in order; other lines are passed over."""
    waiting: dict[int, list[Import]] = {}
    for line in lines:
        match = _LINE.search(line)
        if match is None:
            continue
        depth = (len(match[3]) - 1) // 2
        children = tuple(waiting.pop(depth + 1, ()))
        one = Import(name=match[4], self_us=int(match[1]), cumulative_us=int(match[2]), children=children)
        waiting.setdefault(depth, []).append(one)
    return waiting.get(0, [])


def find_import(imports: Sequence[Import], name: str) -> Import | None:
    """Return a module wherever it was imported."""
    for one in imports:
        found = one if one.name == name else find_import(one.children, name)
        if found is not None:
            return found
    return None


def advise_imports(
    past: Past, *, code_bytes: int, layer_bytes: int = 0, handler: str, imports: Sequence[Import] | None
) -> Answer:
    """Say what init spends its time with.

    Args:
        past: what it did.
        code_bytes: the size of its package.
        layer_bytes: of its layers.
        handler: its Handler: the module before the last dot is the function's own.
        imports: as profiled; None: not profiled.
    """
    inits_ms = sorted(past.inits_ms)
    month = len(inits_ms) * past.per_month
    p50 = percentile(inits_ms, 50) if inits_ms else 0.0
    figures = [
        (
            "package",
            f"{code_bytes / 1e6:.2f} MB" + (f", layers {layer_bytes / 1e6:.2f} MB" if layer_bytes else ""),
        )
    ]
    if inits_ms:
        figures.append(("init", f"p50 {ms(p50)} of {len(inits_ms):,}, {month:,.0f} in 30 days"))
        figures.append(("all inits are billed", f"{usd(_init_usd(past, p50) * Decimal(month))} in 30 days"))
    profile = f"lambent advise {past.function} --imports"
    if imports is None:
        words = (
            f"Init takes {ms(p50)}. Which imports take how long, a profile shows."
            if inits_ms
            else "There were no cold starts."
        )
        return Answer(
            question="package and imports", verdict=words, figures=tuple(figures), evidence=(profile,)
        )
    own = find_import(imports, handler.rpartition(".")[0].replace("/", "."))
    whole = own.children if own else tuple(imports)
    slow = [
        one
        for one in sorted(whole, key=lambda one: -one.cumulative_us)
        if one.cumulative_us >= WORTH_MS * 1000
    ]
    total_ms = own.cumulative_us / 1000 if own else sum(one.cumulative_us for one in imports) / 1000
    figures.append(
        (
            "importing the handler's module",
            ms(total_ms) + (f", {ms(own.self_us / 1000)} of it its own" if own else ""),
        )
    )
    figures += [(f"import {one.name}", _import_words(one)) for one in slow[:_SHOWN_MAX]]
    saved_ms = sum(one.cumulative_us for one in slow) / 1000
    # A profile takes longer than the init does by itself.
    likely_ms = min(saved_ms, p50 * saved_ms / total_ms) if inits_ms and total_ms else 0.0
    saved = _init_usd(past, likely_ms) * Decimal(month)
    return Answer(
        question="package and imports",
        verdict=_verdict(slow, saved_ms, total_ms, saved, own),
        is_action=bool(slow),
        saved_usd=saved if slow else None,
        figures=tuple(figures),
        evidence=(profile,),
    )


def _init_usd(past: Past, init_ms: float) -> Decimal:
    rate = AWS.prices.duration[past.architecture][0].rate
    return Decimal(past.memory_mb) / 1024 * Decimal(init_ms) / 1000 * rate


def _import_words(one: Import) -> str:
    inside = sorted(one.children, key=lambda child: -child.cumulative_us)[:2]
    parts = ", ".join(
        f"{child.name} {ms(child.cumulative_us / 1000)}" for child in inside if child.cumulative_us >= 1_000
    )
    return ms(one.cumulative_us / 1000) + (f", in it {parts}" if parts else "")


def _verdict(
    slow: Sequence[Import], saved_ms: float, total_ms: float, saved: Decimal, own: Import | None
) -> str:
    if not slow:
        words = f"No import takes {ms(WORTH_MS)} or more of the {ms(total_ms)}"
        rest = own is not None and own.self_us >= WORTH_MS * 1000
        return f"{words}: what takes long is the module's own code." if rest else f"{words}."
    names = ", ".join(one.name for one in slow[:3])
    return (
        f"{ms(saved_ms)} of {ms(total_ms)} go into {names}{' and others' if len(slow) > 3 else ''}: import inside the "
        f"handler what not every invocation needs. Without them inits would cost {usd(saved)} less in 30 days."
    )
