"""Figures of servers with many functions beside one with few: do they answer as quickly, and do they rest?

A store is filled by writing documents of a stopped server: a function with three published versions is made through
the API, and copied under new names and ids by the same code with which the server writes (`lambent.store`). Through
the API alone, 10,000 functions with three versions each would be 50,000 requests: minutes, in which nothing is learnt.
"""

from __future__ import annotations

import asyncio
import dataclasses
import statistics
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
from tests.bench import load, processes
from tests.bench.goals import LAMBENT, Figure
from tests.bench.load import Target
from tests.bench.measuring import Bench, percentile
from tests.bench.peers import HELLO, Lambent
from tests.harness import ACCOUNT, REGION

from lambent.domain.function import Function, FunctionVersion
from lambent.store.functions import Functions
from lambent.store.sqlite.database import Database
from lambent.store.sqlite.documents import SqliteDocuments

_FEW, _SOME = 10, 1_000
_AT_ONCE = 500
_PAGE = 10
"""Functions of a page: as many as the smallest server has."""
_SLICE_S = 0.5
_SLICES = 4


def many_functions(bench: Bench) -> list[Figure]:
    """Servers with 10, 1,000 and 10,000 registered functions of three versions: ratios, in turns, and idle CPU."""
    counts = (_FEW, _SOME, bench.effort.many_functions)
    servers: dict[int, Lambent] = {}
    try:
        for count in counts:
            servers[count] = _filled(bench, count)
        cpu = {count: _cpu_percent(server, bench.effort.idle_s) for count, server in servers.items()}
        found = {name: _medians(bench, servers, target) for name, target in _TARGETS.items()}
    finally:
        for server in servers.values():
            server.__exit__()
    figures = [
        _ratio(f"{name}, {count:,} functions to {_FEW}", medians[count], medians[_FEW])
        for name, medians in found.items()
        for count in counts[1:]
        if name == "warm invoke" or count != _SOME
    ]
    for count in counts[1:]:
        name = f"CPU of the idle server, {count:,} functions"
        figures.append(
            Figure(name=name, unit="%", values={LAMBENT: cpu[count]}, note=f"with {_FEW}: {cpu[_FEW]:.2f} %")
        )
    return figures


_TARGETS: dict[str, Callable[[Lambent], Target]] = {
    "warm invoke": lambda lambent: lambent.invoke_target("copy-00005"),
    "GetFunction": lambda lambent: lambent.get_target("/2015-03-31/functions/copy-00007"),
    "ListFunctions": lambda lambent: lambent.get_target(f"/2015-03-31/functions?MaxItems={_PAGE}"),
}


def _medians(
    bench: Bench, servers: dict[int, Lambent], target: Callable[[Lambent], Target]
) -> dict[int, float]:
    """Measure in many short turns, so that disturbances fall on all servers."""
    found_s: dict[int, list[float]] = {count: [] for count in servers}
    for _ in range(_SLICES * bench.effort.rounds):
        for count, server in servers.items():
            duration_s = _SLICE_S * min(1.0, bench.effort.round_s / 3)
            found_s[count] += load.one_after_another(
                target(server), duration_s=duration_s, warmup=5
            ).latencies_s
    return {count: statistics.median(found) for count, found in found_s.items()}


def _ratio(name: str, many_s: float, few_s: float) -> Figure:
    note = f"{many_s * 1000:.2f} ms to {few_s * 1000:.2f} ms, p50 over one connection"
    return Figure(name=name, unit="×", values={LAMBENT: many_s / few_s}, note=note)


def _cpu_percent(lambent: Lambent, seconds: float) -> float:
    """CPU time of an idle server and all below it, in per cent of one CPU: the median second."""
    found: list[float] = []
    for _ in range(max(1, round(seconds))):
        pids = [lambent.server.process.pid, *processes.descendants(lambent.server.process.pid)]
        before_s, started_s = processes.cpu_s(pids), time.monotonic()
        time.sleep(1.0)
        found.append((processes.cpu_s(pids) - before_s) / (time.monotonic() - started_s) * 100)
    return percentile(found, 50)


def _filled(bench: Bench, count: int) -> Lambent:
    """A server on a data directory with so many functions."""
    directory = bench.new_directory(f"with-{count}")
    with Lambent(directory) as lambent:
        lambent.create("template", HELLO)
        client = lambent.client
        for number in range(3):
            lambent.reconfigure("template", number)
            version = client.publish_version(FunctionName="template")["Version"]
            while (
                client.get_function_configuration(FunctionName="template", Qualifier=version)["State"]
                != "Active"
            ):
                time.sleep(0.01)
    asyncio.run(_copy(directory / "data" / "control.db", count))
    lambent = Lambent(directory)
    try:
        assert (
            lambent.client.get_function(FunctionName=f"copy-{count - 2:05}")["Configuration"]["State"]
            == "Active"
        )
    except BaseException:
        lambent.__exit__()
        raise
    return lambent


async def _copy(path: Path, count: int) -> None:
    """Copy the template under new names until there are so many functions."""
    database = Database(path, migrations="control", full_sync=False)
    try:
        functions = Functions(SqliteDocuments(database))
        (template,) = await functions.list(ACCOUNT, REGION)
        copies = _copies(template, count - 1)
        while batch := [copy for _, copy in zip(range(_AT_ONCE), copies, strict=False)]:
            await asyncio.gather(*(functions.put(copy) for copy in batch))
    finally:
        database.close()


def _copies(template: Function, count: int) -> Iterator[Function]:
    for number in range(count):
        key = msgspec.structs.replace(template.key, name=f"copy-{number:05}")

        def copied(version: FunctionVersion, key: object = key) -> FunctionVersion:
            return dataclasses.replace(
                version, key=key, revision_id=str(uuid.uuid4()), configuration_id=str(uuid.uuid4())
            )

        versions = {number: copied(version) for number, version in template.versions.items()}
        yield dataclasses.replace(template, key=key, latest=copied(template.latest), versions=versions)
