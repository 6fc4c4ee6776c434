"""Figures of the ledger: what a row costs the server, and how long questions take when there are many.

Rows are made by script and written by the code with which the server writes, in batches of one function as a busy
server has them; then they are packed, as the server does in the background. ``python -m
tests.bench.ledger ROWS DIRECTORY`` does the same for any number of rows, and keeps the database.
"""

from __future__ import annotations

import asyncio
import random
import statistics
import sys
import time
import uuid
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path

import msgspec
from tests.bench.goals import LAMBENT, Figure
from tests.bench.measuring import Bench

from lambent.domain.bill import bill
from lambent.domain.facts import Origin, Report
from lambent.domain.function import FunctionKey
from lambent.domain.grouping import groups
from lambent.domain.ledger import DAY_MS, INVOCATION, Category, Rare, Rows
from lambent.domain.pricing.price_list import AWS
from lambent.store.ledger import RowQuery
from lambent.store.sqlite.ledger import SqliteLedger
from lambent.store.sqlite.light_writes import LightDatabase
from lambent.telemetry.billing import BillingListener

ACCOUNT = "000000000000"
FUNCTIONS, DAYS = 50, 30
_BATCH = 100
_FIRST_DAY = 20_454  # 2026-01-01
_LAST_DAY = _FIRST_DAY + DAYS - 1
_TIMES = 7
_REPORTS = 40_000
_PER_CONSUME = 200
"""Reports in a batch of facts: 2,000 a second, for the tenth of a second for which they are gathered."""
_TRACE = "Root=1-6b092771-333ba18511bf677315ee6783;Parent=0123456789abcdef;Sampled=0;Lineage=aaaaaaaa:1"


def ledger(bench: Bench) -> list[Figure]:
    """The ledger: CPU of a row, and questions to a million rows."""
    directory = bench.new_directory("ledger")
    cpu_us = asyncio.run(_append_cpu_us(directory / "hot.db"))
    seconds = asyncio.run(_ask(directory / "many.db", bench.effort.ledger_rows))
    count = f"{bench.effort.ledger_rows:,} rows"
    return [
        _figure("ledger, CPU of a row", "µs", cpu_us, "all threads, batches of 200 of 8 environments"),
        *(_figure(f"ledger, {name}, {count}", "ms", s * 1000, "") for name, s in seconds.items()),
    ]


def _figure(name: str, unit: str, value: float, note: str) -> Figure:
    return Figure(name=name, unit=unit, values={LAMBENT: value}, note=note)


async def _append_cpu_us(path: Path) -> float:
    """Return the processor time of this process for each report that becomes a row, in microseconds."""
    database = LightDatabase(path, migrations="ledger", full_sync=False)

    async def tags_of(key: FunctionKey) -> dict[str, str]:
        return {"team": "red"}

    listener = BillingListener(ledger=SqliteLedger(database), tags_of=tags_of, price_list=AWS.id)
    reports = list(_reports())
    started_s = time.process_time()
    for begin in range(0, len(reports), _PER_CONSUME):
        await listener.consume(reports[begin : begin + _PER_CONSUME])
    used_s = time.process_time() - started_s
    database.close()
    return used_s / len(reports) * 1e6


def _reports() -> Iterator[Report]:
    key = FunctionKey(account=ACCOUNT, region="us-east-1", name="f")
    origins = [
        Origin(
            environment_id=str(number),
            function=key,
            version="$LATEST",
            memory_mb=512,
            architecture="x86_64",
            log_group="",
            log_stream="",
            log_format="Text",
            runtime_version="",
            runtime_version_arn="",
        )
        for number in range(8)
    ]
    chance = random.Random(1)
    zero = AWS.prices.request
    assert zero is not None
    one = Report(
        at_s=_FIRST_DAY * DAY_MS / 1000,
        origin=origins[0],
        request_id="",
        status="success",
        error_type=None,
        duration_ms=1.0,
        billed_duration_ms=1,
        memory_size_mb=512,
        max_memory_used_mb=40,
        init_duration_ms=None,
        cold_start_reason=None,
        gb_seconds=zero,
        price_usd=zero,
        trace_id=_TRACE,
        invoked_arn=key.arn,
    )
    for number in range(_REPORTS):
        duration_ms = chance.uniform(0.5, 30)
        yield msgspec.structs.replace(
            one,
            origin=origins[number % 8],
            at_s=one.at_s + number / 2000,
            request_id=str(uuid.UUID(int=chance.getrandbits(128))),
            duration_ms=duration_ms,
            billed_duration_ms=int(duration_ms) + 1,
            request_bytes=chance.randrange(10, 500),
            response_bytes=chance.randrange(10, 500),
        )


async def _ask(path: Path, count: int) -> dict[str, float]:
    """Fill a ledger, and return how many seconds questions take."""
    database = LightDatabase(path, migrations="ledger", full_sync=False)
    ledger = SqliteLedger(database)
    if not await ledger.usage(ACCOUNT, first_day=_FIRST_DAY, last_day=_LAST_DAY):
        await fill(ledger, count)
    middle_ms = (_FIRST_DAY + DAYS // 2) * DAY_MS

    async def month() -> None:
        usages = await ledger.usage(ACCOUNT, first_day=_FIRST_DAY, last_day=_LAST_DAY, by_day=False)
        bill(usages, AWS)
        groups(usages, AWS, "function")

    async def of_a_function() -> None:
        page = await ledger.read(
            RowQuery(account=ACCOUNT, function="f7", since_ms=middle_ms, until_ms=middle_ms + 7 * DAY_MS)
        )
        assert page.rows

    async def of_all() -> None:
        page = await ledger.read(RowQuery(account=ACCOUNT, since_ms=middle_ms))
        assert len(page.rows) == 1000

    async def check() -> None:
        audit = await ledger.audit(ACCOUNT, first_day=_FIRST_DAY, last_day=_LAST_DAY)
        assert bill(audit.kept, AWS) == bill(audit.recounted, AWS)

    found = {
        "bill of a month by function": await _median_s(month, _TIMES),
        "1,000 rows of a function and a week": await _median_s(of_a_function, _TIMES),
        "1,000 rows of all functions": await _median_s(of_all, _TIMES),
        "check, all rows added up": await _median_s(check, 1),
    }
    database.close()
    return found


async def _median_s(ask: Callable[[], Awaitable[None]], times: int) -> float:
    taken_s: list[float] = []
    for _ in range(times):
        started_s = time.perf_counter()
        await ask()
        taken_s.append(time.perf_counter() - started_s)
    return statistics.median(taken_s)


async def fill(ledger: SqliteLedger, count: int) -> None:
    """Write rows of a month, in the order of time, and pack them."""
    chance = random.Random(1)
    batches = max(1, count // _BATCH)
    for number in range(batches):
        at_ms = _FIRST_DAY * DAY_MS + DAYS * DAY_MS * number // batches
        await ledger.append([_rows(chance, at_ms, min(_BATCH, count))])
    while await ledger.compact(today=_LAST_DAY + 1):
        pass


def _rows(chance: random.Random, at_ms: int, count: int) -> Rows:
    category = Category(
        kind=INVOCATION,
        account=ACCOUNT,
        region="us-east-1",
        function=f"f{chance.randrange(FUNCTIONS)}",
        version="$LATEST",
        tags=(("team", f"t{chance.randrange(5)}"),),
        runtime="python3.12",
        memory_mb=512,
        source="invoke",
        price_list=AWS.id,
    )
    digits = chance.getrandbits(128 * count).to_bytes(16 * count, "big").hex()
    ids = [digits[place : place + 32] for place in range(0, 32 * count, 32)]
    durations_us = [int(chance.expovariate(1 / 20_000)) + 300 for _ in range(count)]
    return Rows(
        category=category,
        at_ms=[at_ms + place // 10 for place in range(count)],
        request_ids=[f"{i[:8]}-{i[8:12]}-{i[12:16]}-{i[16:20]}-{i[20:]}" for i in ids],
        trace_ids=[f"1-{i[:8]}-{i[8:]}" for i in ids],
        duration_us=durations_us,
        billed_ms=[us // 1000 + 1 for us in durations_us],
        max_memory_mb=[40] * count,
        request_bytes=[place % 400 + 20 for place in range(count)],
        response_bytes=[place % 300 + 20 for place in range(count)],
        rare={0: Rare(cold_start_reason="scale-out", init_us=100_000, billed_init_ms=100)},
    )


def main(arguments: Sequence[str]) -> None:
    """Fill a database with so many rows, unless it has some, and ask it."""
    count, directory = int(arguments[0]), Path(arguments[1])
    directory.mkdir(parents=True, exist_ok=True)
    started_s = time.perf_counter()
    for name, seconds in asyncio.run(_ask(directory / "ledger.db", count)).items():
        print(f"{name}: {seconds * 1000:.1f} ms")
    size = (directory / "ledger.db").stat().st_size
    print(f"{size / 1e6:.0f} MB, {size / count:.1f} B a row; {time.perf_counter() - started_s:.0f} s in all")


if __name__ == "__main__":
    main(sys.argv[1:])
