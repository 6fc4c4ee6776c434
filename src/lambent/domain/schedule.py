"""Schedules of rules: when ``rate(…)`` and ``cron(…)`` are due. Pure.

The expressions are those of AWS's page "Setting a schedule pattern for scheduled rules in Amazon EventBridge": six
fields of UTC, of which either the day of the month or that of the week is a question mark.
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache

_RATE = re.compile(r"rate\((?P<value>[1-9]\d{0,8}) (?P<unit>minute|hour|day)(?P<plural>s?)\)")
_CRON = re.compile(r"cron\((?P<fields>[^()]+)\)")
_UNITS_S: Mapping[str, int] = {"minute": 60, "hour": 3600, "day": 86_400}
_MONTHS = {name.upper(): number for number, name in enumerate(calendar.month_abbr) if name}
_WEEKDAYS = {name: number for number, name in enumerate(("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"), 1)}
_YEARS = (1970, 2199)
_LAST = re.compile(r"L(-(?P<before>\d{1,2}))?")
_WEEKDAY_NEAR = re.compile(r"(?P<day>\d{1,2}|L)W")
_NTH = re.compile(r"(?P<weekday>\w{1,3})#(?P<nth>[1-5])")
_LAST_WEEKDAY = re.compile(r"(?P<weekday>\w{1,3})L")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """Again and again after the same time."""

    every_s: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Cron:
    """At the times that meet all fields; days as they are written, because they depend on the month."""

    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: str
    months: frozenset[int]
    weekdays: str
    years: frozenset[int]


@lru_cache(maxsize=1024)
def parse_schedule(text: str) -> Rate | Cron | None:
    """Return what a schedule expression means; None when it is none."""
    rate = _RATE.fullmatch(text)
    if rate is not None:
        value = int(rate["value"])
        # One minute, but two minutes.
        return Rate(every_s=value * _UNITS_S[rate["unit"]]) if (value == 1) != bool(rate["plural"]) else None
    cron = _CRON.fullmatch(text)
    return None if cron is None else _cron(cron["fields"].upper().split())


def next_due_s(schedule: Rate | Cron, *, since_s: float, after_s: float) -> float | None:
    """Return the first due time after another time; None when there is none any more.

    Args:
        schedule: which.
        since_s: from when a rate counts; it is due for the first time after its span.
        after_s: the other time, in seconds since the epoch.
    """
    if isinstance(schedule, Rate):
        periods = max(0, int((after_s - since_s) // schedule.every_s))
        return since_s + (periods + 1) * schedule.every_s
    return _next_cron(schedule, after_s)


def _cron(fields: list[str]) -> Cron | None:
    if len(fields) != 6:
        return None
    minutes, hours = _numbers(fields[0], 0, 59), _numbers(fields[1], 0, 23)
    months, years = _numbers(fields[3], 1, 12, _MONTHS), _numbers(fields[5], *_YEARS)
    if not (minutes and hours and months and years) or (fields[2] == "?") == (fields[4] == "?"):
        return None
    if not (_is_days(fields[2]) and _is_weekdays(fields[4])):
        return None
    return Cron(
        minutes=tuple(sorted(minutes)),
        hours=tuple(sorted(hours)),
        days=fields[2],
        months=months,
        weekdays=fields[4],
        years=years,
    )


def _numbers(field: str, low: int, high: int, names: Mapping[str, int] | None = None) -> frozenset[int]:
    """Return the numbers that a field means; none at all when it is malformed."""
    found: set[int] = set()
    for part in field.split(","):
        span, slash, step = part.partition("/")
        start, dash, end = span.partition("-")
        first = low if start == "*" else _number(start, names)
        last = _number(end, names) if dash else high if start == "*" or slash else first
        distance = _number(step, None) if slash else 1
        if first is None or last is None or not distance or (start == "*" and dash):
            return frozenset()
        if not (low <= first <= high and low <= last <= high):
            return frozenset()
        # A span of weekdays or months may go over the end.
        numbers = (
            range(first, last + 1) if first <= last else [*range(first, high + 1), *range(low, last + 1)]
        )
        found.update(list(numbers)[::distance])
    return frozenset(found)


def _number(text: str, names: Mapping[str, int] | None) -> int | None:
    if names is not None and text in names:
        return names[text]
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 4 else None


def _is_days(field: str) -> bool:
    last, near = _LAST.fullmatch(field), _WEEKDAY_NEAR.fullmatch(field)
    if field == "?" or last is not None:
        return True
    if near is not None:
        return near["day"] == "L" or 1 <= int(near["day"]) <= 31
    return bool(_numbers(field, 1, 31))


def _is_weekdays(field: str) -> bool:
    special = _NTH.fullmatch(field) or _LAST_WEEKDAY.fullmatch(field)
    if special is not None:
        return 1 <= (_number(special["weekday"], _WEEKDAYS) or 0) <= 7
    return field in ("?", "L") or bool(_numbers(field, 1, 7, _WEEKDAYS))


def _next_cron(cron: Cron, after_s: float) -> float | None:
    try:
        start = datetime.fromtimestamp(after_s, UTC).replace(second=0, microsecond=0) + timedelta(minutes=1)
    except (OverflowError, ValueError):
        return None
    year, month = start.year, start.month
    while year <= max(cron.years):
        if year in cron.years and month in cron.months:
            for day in _days(cron, year, month):
                due = _time_on(cron, datetime(year, month, day, tzinfo=UTC), start)
                if due is not None:
                    return due.timestamp()
        year, month = (year, month + 1) if month < 12 else (year + 1, 1)
    return None


def _time_on(cron: Cron, day: datetime, start: datetime) -> datetime | None:
    if day.date() < start.date():
        return None
    times = (day.replace(hour=hour, minute=minute) for hour in cron.hours for minute in cron.minutes)
    return next((time for time in times if time >= start), None)


def _days(cron: Cron, year: int, month: int) -> list[int]:
    """Return the days of a month that are meant, in order."""
    count = calendar.monthrange(year, month)[1]
    if cron.weekdays == "?":
        return _days_of_month(cron.days, year, month, count)
    return _days_of_week(cron.weekdays, year, month, count)


def _days_of_month(field: str, year: int, month: int, count: int) -> list[int]:
    if (last := _LAST.fullmatch(field)) is not None:
        day = count - int(last["before"] or 0)
        return [day] if day >= 1 else []
    if (near := _WEEKDAY_NEAR.fullmatch(field)) is not None:
        day = count if near["day"] == "L" else int(near["day"])
        return [_weekday_near(year, month, day, count)] if day <= count else []
    return sorted(day for day in _numbers(field, 1, 31) if day <= count)


def _weekday_near(year: int, month: int, day: int, count: int) -> int:
    """Return the day from Monday to Friday that is nearest, within the month."""
    weekday = calendar.weekday(year, month, day)
    if weekday == calendar.SATURDAY:
        return day - 1 if day > 1 else day + 2
    if weekday == calendar.SUNDAY:
        return day + 1 if day < count else day - 2
    return day


def _days_of_week(field: str, year: int, month: int, count: int) -> list[int]:
    def days_on(weekday: int) -> list[int]:
        return [day for day in range(1, count + 1) if _weekday(year, month, day) == weekday]

    if (nth := _NTH.fullmatch(field)) is not None:
        return days_on(_number(nth["weekday"], _WEEKDAYS) or 0)[int(nth["nth"]) - 1 :][:1]
    if (last := _LAST_WEEKDAY.fullmatch(field)) is not None:
        return days_on(_number(last["weekday"], _WEEKDAYS) or 0)[-1:]
    # The last day of a week is its seventh.
    wanted = frozenset({7}) if field == "L" else _numbers(field, 1, 7, _WEEKDAYS)
    return [day for day in range(1, count + 1) if _weekday(year, month, day) in wanted]


def _weekday(year: int, month: int, day: int) -> int:
    """Return 1 for Sunday up to 7 for Saturday."""
    return (calendar.weekday(year, month, day) + 1) % 7 + 1
