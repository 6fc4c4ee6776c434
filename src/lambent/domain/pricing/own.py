"""A price list of one's own: what a GB-second costs on this machine, as its owner has written it down. Pure.

Either prices are given, or what the machine costs, from which that of a GB-second follows. In AWS's bill memory is
what is paid for, so it is here: all that the machine costs is spread over the memory that it sells.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import ROUND_CEILING, Decimal, localcontext
from typing import Any, cast

from lambent.domain.pricing.price_list import ARCHITECTURES, PriceList, Prices, Tier

_HOURS_PER_MONTH = Decimal("730.5")
_SECONDS_PER_MONTH = _HOURS_PER_MONTH * 3600
_LAST_DIGIT = Decimal("1E-18")
"""A derived price is rounded up here, once; from then on everything is exact."""
_MACHINE = {
    "price": "what it cost",
    "life_months": "for how long it is used",
    "power_w": "what it draws",
    "price_per_kwh": "of its power",
    "rent_per_month": "of its place, and all else that is paid by the month",
    "memory_gb": "what it has",
    "load_percent": "how much of that functions use, taken over time",
}
_BY_ARCHITECTURE = ("duration", "provisioned", "provisioned_duration", "tenant_environment")
_SINGLE = ("request", "ephemeral_storage", "snapshot_cache", "snapshot_restore", "streamed_gb")


class PriceListError(Exception):
    """A price list makes no sense. The message is one sentence for the user."""


def own_prices(document: Mapping[str, Any]) -> PriceList:
    """Return the price list that a document (TOML, numbers as decimals) describes.

    Its members: ``name``, ``currency``; ``[machine]``, what the machine costs; ``[prices]``, the members of `Prices`,
    of which those by architecture may be one number for all. What has no price is named in the bill, and not charged.

    Raises:
        PriceListError: a member is unknown, or no price.
    """
    _refuse_unknown(document, {"name", "currency", "machine", "prices"}, "a price list")
    name, currency = document.get("name", "Own prices"), document.get("currency", "USD")
    if not isinstance(name, str) or not isinstance(currency, str) or not name or not currency:
        raise PriceListError("name and currency of a price list must be texts.")
    values: dict[str, Any] = {}
    if "machine" in document:
        values |= _of_machine(_table(document, "machine"))
    if "prices" in document:
        values |= _given(_table(document, "prices"))
    if not values:
        raise PriceListError("A price list needs a table [machine] or [prices].")
    return PriceList(id="own", name=name, currency=currency, home="", prices=Prices(**values))


def _table(document: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    table = document[name]
    if not isinstance(table, Mapping):
        raise PriceListError(f"[{name}] in a price list must be a table.")
    return cast("Mapping[str, Any]", table)


def _refuse_unknown(found: Mapping[str, Any], known: set[str], where: str) -> None:
    if unknown := sorted(found.keys() - known):
        raise PriceListError(f"{where} has no {unknown[0]!r}: {', '.join(sorted(known))} are known.")


def _given(table: Mapping[str, Any]) -> dict[str, Any]:
    _refuse_unknown(table, {*_BY_ARCHITECTURE, *_SINGLE}, "[prices]")
    values: dict[str, Any] = {name: _number(table[name], name) for name in _SINGLE if name in table}
    for name in _BY_ARCHITECTURE:
        if name not in table:
            continue
        rates = _rates(table[name], name)
        values[name] = {a: (Tier(rate),) for a, rate in rates.items()} if name == "duration" else rates
    return values


def _rates(value: Any, name: str) -> dict[str, Decimal]:
    if not isinstance(value, Mapping):
        return dict.fromkeys(ARCHITECTURES, _number(value, name))
    rates = cast("Mapping[str, Any]", value)
    _refuse_unknown(rates, set(ARCHITECTURES), f"{name} in [prices]")
    return {architecture: _number(rate, f"{name}.{architecture}") for architecture, rate in rates.items()}


def _number(value: Any, name: str) -> Decimal:
    is_number = isinstance(value, int | Decimal) and not isinstance(value, bool)
    if not is_number or not (number := Decimal(value)).is_finite() or number < 0:
        raise PriceListError(f"{name} in a price list must be a number that is not negative, not {value!r}.")
    return number


def _of_machine(table: Mapping[str, Any]) -> dict[str, Any]:
    _refuse_unknown(table, set(_MACHINE), "[machine]")
    of = {name: _number(table.get(name, 0), name) for name in _MACHINE}
    for name in ("memory_gb", "life_months"):
        if of[name] == 0 and (name == "memory_gb" or of["price"]):
            raise PriceListError(f"{name} in [machine] must be given, above 0: {_MACHINE[name]}.")
    load = of["load_percent"] if "load_percent" in table else Decimal(100)
    if not 0 < load <= 100:
        raise PriceListError("load_percent in [machine] must be above 0 and at most 100.")
    with localcontext(prec=50):
        month = of["rent_per_month"] + of["power_w"] / 1000 * _HOURS_PER_MONTH * of["price_per_kwh"]
        if of["price"]:
            month += of["price"] / of["life_months"]
        rate = month / (of["memory_gb"] * load / 100 * _SECONDS_PER_MONTH)
        rate = rate.quantize(_LAST_DIGIT, rounding=ROUND_CEILING)
    nothing, everywhere = Decimal(0), dict.fromkeys(ARCHITECTURES, rate)
    return {
        "request": nothing,
        "duration": {architecture: (Tier(rate),) for architecture in ARCHITECTURES},
        "provisioned": everywhere,
        # Memory that is kept ready is paid for already.
        "provisioned_duration": dict.fromkeys(ARCHITECTURES, nothing),
        "ephemeral_storage": nothing,
        "snapshot_cache": rate,
        "snapshot_restore": nothing,
        "streamed_gb": nothing,
        "tenant_environment": dict.fromkeys(ARCHITECTURES, nothing),
    }
