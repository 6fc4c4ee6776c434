"""Moments on the wire: seconds since the epoch, ISO 8601 and RFC 822, to and from `datetime` in UTC.

See "timestampFormat" in the Smithy specification (https://smithy.io/2.0/spec/protocol-traits.html).
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime, parsedate_to_datetime

UNIX = "unixTimestamp"
ISO = "iso8601"
RFC822 = "rfc822"

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def from_unix(seconds: float) -> datetime:
    """Return the moment of that many seconds since the epoch.

    Raises:
        ValueError: it lies outside the years 1 to 9999, or is not a number.
    """
    try:
        return _EPOCH + timedelta(seconds=seconds)
    except OverflowError as error:
        raise ValueError(str(error)) from error


def to_unix(moment: datetime) -> int | float:
    """Return seconds since the epoch; whole seconds as an integer."""
    # Dividing once keeps microseconds exact; adding a rounded fraction would round twice.
    microseconds = (_aware(moment) - _EPOCH) // _MICROSECOND
    whole, rest = divmod(microseconds, 1_000_000)
    return microseconds / 1_000_000 if rest else whole


def from_text(text: str) -> datetime:
    """Return the moment that a text in any of the three formats means.

    Raises:
        ValueError: it is in none of them.
    """
    try:
        return from_unix(float(text))
    except ValueError:
        pass
    try:
        return _aware(datetime.fromisoformat(text)).astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    try:
        return _aware(parsedate_to_datetime(text)).astimezone(UTC)
    except (ValueError, OverflowError, TypeError, IndexError) as error:
        raise ValueError(f"{text!r} is not a timestamp") from error


def to_iso(moment: datetime) -> str:
    """Return ``2026-01-02T03:04:05Z``, with as many digits of the second as are needed."""
    moment = _aware(moment).astimezone(UTC).replace(tzinfo=None)
    if moment.microsecond == 0:
        return moment.isoformat(timespec="seconds") + "Z"
    if moment.microsecond % 1000 == 0:
        return moment.isoformat(timespec="milliseconds") + "Z"
    return moment.isoformat(timespec="microseconds") + "Z"


def to_rfc822(moment: datetime) -> str:
    """Return ``Fri, 02 Jan 2026 03:04:05 GMT``; fractions are dropped."""
    return format_datetime(_aware(moment).astimezone(UTC), usegmt=True)


def text_formatter(timestamp_format: str) -> Callable[[datetime], str]:
    """Return the function that writes moments as text in that format."""
    if timestamp_format == ISO:
        return to_iso
    if timestamp_format == RFC822:
        return to_rfc822
    return lambda moment: str(to_unix(moment))


def _aware(moment: datetime) -> datetime:
    """Moments without a zone are taken as UTC."""
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
