"""What shall be tuned and how: the input of the state machine aws-lambda-power-tuning, checked.

Pure. Names and meanings of the members are those of its page "State machine input"
(https://github.com/alexcasalboni/aws-lambda-power-tuning/blob/master/README-INPUT-OUTPUT.md); the flags of
`lambent tune` say the same and come first.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, cast

from lambent.cli.terminal import UsageError

DEFAULT_POWERS = (128, 256, 512, 1024, 1769, 3008, 5120, 10240)
ALL_POWERS = tuple(range(128, 3009, 64))
"""What the state machine means by ``ALL``."""
MIN_POWER_MB, MAX_POWER_MB = 128, 10240
DEFAULT_NUM, MIN_NUM, MAX_NUM = 50, 5, 10_000
STRATEGIES = ("cost", "speed", "balanced")
MAX_TRIM = 0.4
DEFAULT_TRIM = 0.2

_KNOWN = {
    "lambdaARN",
    "powerValues",
    "num",
    "payload",
    "payloadS3",
    "parallelInvocation",
    "strategy",
    "balancedWeight",
    "autoOptimize",
    "autoOptimizeAlias",
    "dryRun",
    "preProcessorARN",
    "postProcessorARN",
    "discardTopBottom",
    "onlyColdStarts",
    "sleepBetweenRunsMs",
    "includeOutputResults",
    "disablePayloadLogs",  # payloads are never shown here
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Payload:
    """An event, and how often it comes in proportion to the others."""

    body: bytes
    weight: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuning:
    """One run of the tuner."""

    function: str
    powers_mb: tuple[int, ...] = DEFAULT_POWERS
    num: int = DEFAULT_NUM
    payloads: tuple[Payload, ...] = (Payload(body=b"{}"),)
    payload_s3: str | None = None
    is_parallel: bool = False
    strategy: str = "cost"
    balanced_weight: float = 0.5
    is_applied: bool = False
    alias: str | None = None
    is_dry_run: bool = False
    pre_processor: str | None = None
    post_processor: str | None = None
    trim: float = DEFAULT_TRIM
    is_cold: bool = False
    sleep_between_ms: int = 0
    includes_stats: bool = False


def unknown_members(document: Mapping[str, Any]) -> list[str]:
    """Return the members of an input that neither the state machine nor we know."""
    return sorted(set(document) - _KNOWN)


def read_tuning(document: Mapping[str, Any]) -> Tuning:
    """Return the run that an input in the state machine's shape asks for.

    Raises:
        UsageError: a member is missing or is not what it should be.
    """
    is_cold, is_dry_run = (_flag(document, name) for name in ("onlyColdStarts", "dryRun"))
    num = 1 if is_dry_run else _number(document, "num", DEFAULT_NUM, MIN_NUM, MAX_NUM)
    # As the state machine: without warm invocations there is no cold one to leave out.
    trim = _number(document, "discardTopBottom", 0.0 if is_cold else DEFAULT_TRIM, 0.0, MAX_TRIM)
    strategy = str(document.get("strategy") or "cost")
    if strategy not in STRATEGIES:
        raise UsageError(f"strategy must be cost, speed or balanced, not {strategy!r}.")
    payloads = read_payloads(document["payload"]) if "payload" in document else (Payload(body=b"{}"),)
    check_weights(payloads, int(num), is_dry_run=is_dry_run)
    return Tuning(
        function=_function(document),
        powers_mb=read_powers(document.get("powerValues", DEFAULT_POWERS)),
        num=int(num),
        payloads=payloads,
        payload_s3=_text(document, "payloadS3"),
        is_parallel=_flag(document, "parallelInvocation"),
        strategy=strategy,
        balanced_weight=float(_number(document, "balancedWeight", 0.5, 0.0, 1.0)),
        is_applied=_flag(document, "autoOptimize"),
        alias=_text(document, "autoOptimizeAlias"),
        is_dry_run=is_dry_run,
        pre_processor=_text(document, "preProcessorARN"),
        post_processor=_text(document, "postProcessorARN"),
        trim=float(trim),
        is_cold=is_cold,
        sleep_between_ms=int(_number(document, "sleepBetweenRunsMs", 0, 0, 900_000)),
        includes_stats=_flag(document, "includeOutputResults"),
    )


def _function(document: Mapping[str, Any]) -> str:
    if name := _text(document, "lambdaARN"):
        return name
    raise UsageError("Say which function: give its name, or lambdaARN in the input.")


def _text(document: Mapping[str, Any], name: str) -> str | None:
    value = document.get(name)
    if value is not None and not isinstance(value, str):
        raise UsageError(f"{name} must be a text, not {_shown(value)}.")
    return value or None


def _flag(document: Mapping[str, Any], name: str) -> bool:
    value = document.get(name, False)
    if not isinstance(value, bool):
        raise UsageError(f"{name} must be true or false, not {_shown(value)}.")
    return value


def _number(document: Mapping[str, Any], name: str, default: float, least: float, most: float) -> float:
    value = document.get(name)
    if value is None:
        return default
    kinds = int if isinstance(least, int) else (int, float)
    if isinstance(value, bool) or not isinstance(value, kinds) or not least <= value <= most:
        kind = "a whole number" if isinstance(least, int) else "a number"
        raise UsageError(f"{name} must be {kind} from {least} to {most}, not {_shown(value)}.")
    return cast("float", value)


def _shown(value: object) -> str:
    text = json.dumps(value, default=str)
    return text if len(text) <= 40 else f"{text[:39]}…"


def read_powers(value: object) -> tuple[int, ...]:
    """Return memory sizes in MB, in order, each once.

    Args:
        value: a list of numbers, their text with commas between, or ``ALL``.

    Raises:
        UsageError: it is none of these, or a size is not one that Lambda has.
    """
    if isinstance(value, str):
        value = ALL_POWERS if value.upper() == "ALL" else [part.strip() for part in value.split(",")]
    if not isinstance(value, list | tuple) or not value:
        raise UsageError(
            f"Memory sizes are a list such as 128,256,1024, or ALL, not {_shown(cast('object', value))}."
        )
    return tuple(sorted({_power(one) for one in cast("Sequence[object]", value)}))


def _power(value: object) -> int:
    text = str(value)
    if not isinstance(value, bool) and text.isascii() and text.isdigit() and len(text) < 6:
        power = int(text)
        if MIN_POWER_MB <= power <= MAX_POWER_MB:
            return power
    raise UsageError(f"A memory size is from {MIN_POWER_MB} to {MAX_POWER_MB} MB, not {_shown(value)}.")


def read_payloads(content: object) -> tuple[Payload, ...]:
    """Return the payloads that a JSON value means: itself, or several with weights."""
    if isinstance(content, list) and content and all(map(_is_weighted, cast("list[object]", content))):
        parts = cast("list[dict[str, Any]]", content)
        return tuple(Payload(body=_body(part["payload"]), weight=float(part["weight"])) for part in parts)
    return (Payload(body=_body(cast("object", content))),)


def _is_weighted(part: object) -> bool:
    if not isinstance(part, dict) or not {"payload", "weight"} <= cast("dict[str, Any]", part).keys():
        return False
    weight = cast("dict[str, Any]", part)["weight"]
    if isinstance(weight, bool) or not isinstance(weight, int | float) or not 0 < weight < float("inf"):
        raise UsageError(f"The weight of a payload must be a number above 0, not {_shown(weight)}.")
    return True


def _body(payload: object) -> bytes:
    """Return a payload's bytes; a text that is JSON already is taken as it is, as the state machine does."""
    if isinstance(payload, str):
        try:
            json.loads(payload)
        except ValueError:
            pass
        else:
            return payload.encode()
    return json.dumps(payload, ensure_ascii=False).encode("utf-8", "surrogatepass")


def check_weights(payloads: Sequence[Payload], num: int, *, is_dry_run: bool = False) -> None:
    """Refuse more payloads than there are invocations.

    Raises:
        UsageError: some payload would never be used.
    """
    if len(payloads) > num and not is_dry_run:
        raise UsageError(f"There are {len(payloads)} payloads: num must be at least that, not {num}.")


def schedule(weights: Sequence[float], num: int, chance: Random) -> list[int]:
    """Return which payload each of ``num`` invocations has: by weight, each at least once, in a random order."""
    total = sum(weights)
    shares = [weight / total * num for weight in weights]
    counts = [max(1, int(share)) for share in shares]
    by_rest = sorted(range(len(shares)), key=lambda at: shares[at] - counts[at], reverse=True)
    for at in (by_rest * num)[: max(0, num - sum(counts))]:
        counts[at] += 1
    while sum(counts) > max(num, len(counts)):
        spare = (at for at, count in enumerate(counts) if count > 1)
        counts[max(spare, key=lambda at: counts[at] - shares[at])] -= 1
    order = [at for at, count in enumerate(counts) for _ in range(count)][:num]
    chance.shuffle(order)
    return order
