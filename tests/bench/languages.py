"""Figures of runtimes other than Python: Node.js, and a custom runtime.

Beside Lambent: the emulator with AWS's own client for Node.js, and serverless-offline. All of them run the machine's
Node.js. The custom runtime is AWS's client, too, once behind Lambent's walls and once in the emulator.
"""

from __future__ import annotations

import contextlib
import shutil
import statistics
import subprocess
import time
from collections.abc import Callable, Generator
from pathlib import Path

from tests.bench import load
from tests.bench.goals import LAMBENT, OFFLINE, RIE, Figure
from tests.bench.load import Load, LoadFailed, Target
from tests.bench.measuring import SETTLE_S, Bench, percentile
from tests.bench.peers import Lambent, Offline, OfflineMissing, Rie, fetch_offline
from tests.builds import CannotBeBuilt, build_runtime_client
from tests.harness import zip_of
from tests.runtimes import package_of

HELLO = "exports.handler = async (event) => event;\n"
EVENT = b'{"message":"hello","number":1}'
"""As JavaScript writes it."""
CONNECTIONS = 8
_PEERS = (RIE, OFFLINE)
_OFFLINE_COLD_STARTS = 2
"""It takes seconds to start."""
_READY_S = 0.3
"""For an interpreter to be ready that waits in the place of the one before."""
_BOOTSTRAP = """#!/bin/sh
exec node /var/task/client/index.mjs "$_HANDLER"
"""


class NoNode(Exception):
    """There is no Node.js here. The message is one sentence."""


def nodejs_warm(bench: Bench) -> list[Figure]:
    """Node.js: invocations of an environment that is ready, over one connection and over several."""
    try:
        runtime = _runtime()
    except NoNode as error:
        return [Figure(name="Node.js: warm invoke, p50", unit="ms", values={}, note=str(error), peers=_PEERS)]
    bench.lambent.create("node", "", runtime=runtime, package=zip_of({"app.js": HELLO}))
    ours = _target(bench.lambent, "node")
    with _rie(bench) as rie, _offline(bench, runtime) as offline:
        targets = {LAMBENT: ours}
        targets |= {RIE: rie.invoke_target(EVENT)} if rie else {}
        targets |= {OFFLINE: offline.invoke_target(EVENT)} if offline else {}
        alone = _in_turns(
            bench,
            targets,
            lambda target: load.one_after_another(target, duration_s=bench.effort.round_s, warmup=20),
        )
        targets.pop(RIE, None)  # it has one environment
        together = _in_turns(
            bench,
            targets,
            lambda target: load.side_by_side(
                target, connections=CONNECTIONS, duration_s=bench.effort.round_s, warmup=5
            ),
        )
    return [
        *_latencies("Node.js: warm invoke", alone),
        _throughput("Node.js: throughput, 1 connection", alone),
        _throughput(f"Node.js: throughput, {CONNECTIONS} connections", together),
    ]


def nodejs_cold_starts(bench: Bench) -> list[Figure]:
    """Node.js: the first invocation of a configuration, with an interpreter that waits, and without one."""
    try:
        runtime = _runtime()
    except NoNode as error:
        return [
            Figure(name="Node.js: cold start, hello", unit="ms", values={}, note=str(error), peers=_PEERS)
        ]
    bench.lambent.create("node-cold", "", runtime=runtime, package=zip_of({"app.js": HELLO}))
    found: dict[str, list[float]] = {LAMBENT: [], RIE: [], OFFLINE: []}
    for turn in range(bench.effort.cold_starts):
        found[LAMBENT].append(_cold_start_s(bench.lambent, "node-cold", turn))
        if turn < bench.effort.peer_cold_starts:
            with _rie(bench) as rie:
                if rie is not None:
                    time.sleep(SETTLE_S)
                    found[RIE].append(load.once(rie.invoke_target(EVENT))[0])
    for _ in range(_OFFLINE_COLD_STARTS):
        with _offline(bench, runtime) as offline:
            if offline is not None:
                found[OFFLINE].append(load.once(offline.invoke_target(EVENT))[0])
    note = f"invoke to result, median of {len(found[LAMBENT])}; RIE and serverless-offline: first of a started one"
    figures = [_cold_figure("Node.js: cold start, hello", found, note)]
    with Lambent(bench.new_directory("node-stemless"), "--stems", "0") as lambent:
        lambent.create("cold", "", runtime=runtime, package=zip_of({"app.js": HELLO}))
        alone = [_cold_start_s(lambent, "cold", turn) for turn in range(bench.effort.cold_starts // 2)]
    figures.append(_cold_figure("Node.js: cold start, hello, stems = 0", {LAMBENT: alone}, ""))
    return figures


def custom_runtime(bench: Bench) -> list[Figure]:
    """A custom runtime, AWS's client for Node.js: warm, and cold with walls that are ready."""
    name = "custom runtime: warm invoke, p50"
    try:
        client = _client_directory()
        _runtime()
    except (CannotBeBuilt, NoNode) as error:
        return [Figure(name=name, unit="ms", values={}, note=str(error), peers=_PEERS)]
    if not str(Path(shutil.which("node") or "").resolve()).startswith("/usr/"):
        return [
            Figure(
                name=name,
                unit="ms",
                values={},
                note="Node.js is not in /usr, where sandboxes see it",
                peers=_PEERS,
            )
        ]
    files: dict[str, str | bytes] = {"app.js": HELLO, "bootstrap": _BOOTSTRAP}
    files |= {
        f"client/{file}": (client / file).read_bytes()
        for file in ("index.mjs", "package.json", "rapid-client.node")
    }
    for function in ("custom", "custom-cold"):
        bench.lambent.create(function, "", runtime="provided.al2023", package=package_of(files))
    with _rie(bench) as rie:
        targets = {LAMBENT: _target(bench.lambent, "custom")}
        targets |= {RIE: rie.invoke_target(EVENT)} if rie else {}
        loads = _in_turns(
            bench,
            targets,
            lambda target: load.one_after_another(target, duration_s=bench.effort.round_s, warmup=20),
        )
    count = bench.effort.cold_starts // 2
    cold = [_cold_start_s(bench.lambent, "custom-cold", turn) for turn in range(count)]
    return [
        *_latencies("custom runtime: warm invoke", loads),
        _throughput("custom runtime: throughput, 1 connection", loads),
        _cold_figure("custom runtime: cold start", {LAMBENT: cold}, "AWS's client for Node.js"),
    ]


def _runtime() -> str:
    """Return the identifier of the machine's Node.js, so that all run the same one.

    Raises:
        NoNode: there is none.
    """
    if shutil.which("node") is None:
        raise NoNode("there is no Node.js here")
    version = subprocess.run(["node", "--version"], check=True, capture_output=True, text=True).stdout
    return f"nodejs{version.removeprefix('v').partition('.')[0]}.x"


def _client_directory() -> Path:
    return build_runtime_client() / "node_modules" / "aws-lambda-ric"


@contextlib.contextmanager
def _rie(bench: Bench) -> Generator[Rie | None]:
    """A fresh emulator with AWS's client for Node.js, if both can be had here."""
    try:
        client = ("node", str(_client_directory() / "index.mjs"))
    except CannotBeBuilt:
        yield None
        return
    if bench.rie_program is None:
        yield None
        return
    directory = bench.new_directory("node-rie")
    with Rie(bench.rie_program, directory, HELLO, file="app.js", client=client) as rie:
        yield rie


@contextlib.contextmanager
def _offline(bench: Bench, runtime: str) -> Generator[Offline | None]:
    """A fresh serverless-offline, if it can be had here."""
    try:
        modules = fetch_offline(bench.cache)
    except OfflineMissing:
        yield None
        return
    with Offline(modules.resolve(), bench.new_directory("offline"), HELLO, runtime) as offline:
        yield offline


def _target(lambent: Lambent, name: str) -> Target:
    return lambent.invoke_target(name, event=EVENT, answer=EVENT)


def _cold_start_s(lambent: Lambent, name: str, turn: int) -> float:
    lambent.reconfigure(name, turn)
    time.sleep(_READY_S)
    latency_s, answer = load.once(_target(lambent, name))
    if answer.header("x-lambent-cold-start-reason") is None:
        raise LoadFailed(f"the invocation of {name} was no cold start")
    return latency_s


def _in_turns(
    bench: Bench, targets: dict[str, Target], measure: Callable[[Target], Load]
) -> dict[str, list[Load]]:
    found: dict[str, list[Load]] = {name: [] for name in targets}
    for _ in range(bench.effort.rounds):
        for name, target in targets.items():
            found[name].append(measure(target))
    return found


def _latencies(name: str, loads: dict[str, list[Load]]) -> list[Figure]:
    found_ms = {
        peer: [one_s * 1000 for part in parts for one_s in part.latencies_s] for peer, parts in loads.items()
    }
    return [
        Figure(
            name=f"{name}, p{percent}",
            unit="ms",
            values={peer: percentile(found, percent) for peer, found in found_ms.items()},
            note="1 connection",
            peers=_PEERS,
        )
        for percent in (50, 99)
    ]


def _throughput(name: str, loads: dict[str, list[Load]]) -> Figure:
    values = {peer: statistics.median(part.per_s for part in parts) for peer, parts in loads.items()}
    return Figure(name=name, unit="per s", values=values, more_is_better=True, peers=_PEERS)


def _cold_figure(name: str, found_s: dict[str, list[float]], note: str) -> Figure:
    found_ms = {peer: [one_s * 1000 for one_s in found] for peer, found in found_s.items() if found}
    return Figure(
        name=name,
        unit="ms",
        values={peer: statistics.median(found) for peer, found in found_ms.items()},
        p99={peer: percentile(found, 99) for peer, found in found_ms.items()},
        note=note,
        peers=_PEERS,
    )
