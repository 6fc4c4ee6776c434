"""What is measured, and how: a function per group of figures, each with Lambent beside its peers.

Measurements that are compared take turns in rounds, so that what else the machine does falls on all of them. No
figure is judged here.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable
from dataclasses import replace

from tests.bench import languages, ledger, load, many, queues, simulated, snapstart, streams
from tests.bench.goals import FLOOR, LAMBENT, RIE, Figure
from tests.bench.load import Load, LoadFailed, Target
from tests.bench.measuring import MB, SETTLE_S, Bench, Effort, Group, percentile
from tests.bench.peers import HELLO, HELLO_BOTO3, Floor, Lambent

CONNECTIONS = 8
_EMULATOR_TRIES = 3
ENVIRONMENTS = 100
FUNCTIONS = 20


def starts(bench: Bench) -> list[Figure]:
    """From the command to an answer (Lambent: of its health path; peers: to a listening port)."""
    found: dict[str, list[float]] = {LAMBENT: [], RIE: [], FLOOR: []}
    for _ in range(bench.effort.starts):
        with Lambent(bench.new_directory("start")) as lambent:
            found[LAMBENT].append(lambent.started_in_s)
        with Floor(bench.new_directory("floor")) as floor:
            found[FLOOR].append(floor.started_in_s)
        with bench.rie() as rie:
            if rie is not None:
                found[RIE].append(rie.started_in_s)
    note = "median; Lambent opens its stores and probes its walls, the peers only listen"
    return [_figure_ms("start of the server", found, note)]


def warm(bench: Bench) -> list[Figure]:
    """Invocations of an environment that is ready, over one connection."""
    with bench.rie() as rie:
        targets = {LAMBENT: bench.lambent.invoke_target("hello"), FLOOR: bench.floor.invoke_target()}
        if rie is not None:
            targets[RIE] = rie.invoke_target()
        loads = _in_turns(
            targets,
            bench.effort,
            lambda target: load.one_after_another(target, duration_s=bench.effort.round_s),
        )
    latencies_s = {name: [s for found in loads[name] for s in found.latencies_s] for name in loads}
    return [
        Figure(name="warm invoke, p50", unit="ms", values=_medians_ms(latencies_s), note="1 connection"),
        Figure(
            name="warm invoke, p99",
            unit="ms",
            values={name: percentile(found, 99) * 1000 for name, found in latencies_s.items()},
            note="1 connection",
        ),
        _throughput("throughput, 1 connection", loads),
    ]


def throughput(bench: Bench) -> list[Figure]:
    """Invocations over several connections at once; the emulator gets its try."""
    targets = {LAMBENT: bench.lambent.invoke_target("hello"), FLOOR: bench.floor.invoke_target()}
    # Of two processors that are busy, each is slowed down by what else its machine does, for a second or two at a time.
    turns = replace(bench.effort, rounds=4 * bench.effort.rounds, round_s=bench.effort.round_s / 3)
    loads = _in_turns(targets, turns, lambda target: _parallel(target, turns))
    latencies_s = {peer: [s for found in loads[peer] for s in found.latencies_s] for peer in loads}
    emulated, words = _emulated_throughput(bench)
    if emulated is not None:
        loads[RIE] = [emulated]
    note = f"{CONNECTIONS} environments at work{words}"
    return [
        _throughput(f"throughput, {CONNECTIONS} connections", loads, note=note),
        Figure(
            name=f"warm invoke, p99, {CONNECTIONS} connections",
            unit="ms",
            values={peer: percentile(found, 99) * 1000 for peer, found in latencies_s.items()},
        ),
    ]


def _emulated_throughput(bench: Bench) -> tuple[Load | None, str]:
    """Return what the emulator does over several connections, or, where it does not last, over one; and words for it.

    It runs one invocation at a time and answers others at the same time with an error, or ends (a race of its own).
    """
    last_words = ""
    for connections in (*[CONNECTIONS] * _EMULATOR_TRIES, 1):
        with bench.rie() as rie:
            if rie is None:
                return None, ""
            target = rie.invoke_target()
            try:
                load.once(target)
                duration_s = bench.effort.round_s
                found = load.side_by_side(target, connections=connections, duration_s=duration_s)
            except LoadFailed as error:
                last_words = rie.last_words() or str(error)
            else:
                over_one = f"; RIE over 1 connection, it did not last over more: {last_words}"
                return found, over_one if connections == 1 else ""
    return None, f"; RIE did not last: {last_words}"


def cold_starts(bench: Bench) -> list[Figure]:
    """The first invocation of a configuration: a new environment, its init phase, and the result."""
    effort = bench.effort
    return [
        _cold(
            bench,
            bench.lambent,
            "cold",
            None,
            effort.cold_starts,
            effort.peer_cold_starts,
            "cold start, hello",
        ),
        _cold(
            bench,
            bench.lambent,
            "cold-boto3",
            HELLO_BOTO3,
            effort.boto3_cold_starts,
            min(effort.boto3_cold_starts, effort.peer_cold_starts),
            "cold start, import boto3",
        ),
    ]


def cold_starts_without_stems(bench: Bench) -> list[Figure]:
    """The same when another has just taken the sandbox that was ready, and when there are none to begin with."""
    count = bench.effort.cold_starts // 2
    figures: list[Figure] = []
    with Lambent(bench.new_directory("one-stem"), "--stems", "1") as lambent:
        for name in ("before", "cold"):
            lambent.create(name, HELLO)
        taking = lambent.invoke_target("before")

        def take_the_ready_one(turn: int) -> None:
            lambent.reconfigure("before", turn)
            time.sleep(SETTLE_S)
            load.once(taking)

        words = "cold start, hello, no stem ready"
        figures.append(_cold(bench, lambent, "cold", None, count, 0, words, just_before=take_the_ready_one))
    with Lambent(bench.new_directory("stemless"), "--stems", "0") as lambent:
        lambent.create("cold", HELLO)
        figures.append(_cold(bench, lambent, "cold", None, count, 0, "cold start, hello, stems = 0"))
    return figures


def bursts(bench: Bench) -> list[Figure]:
    """Many invocations at once of a function without environments, and what those environments weigh then."""
    lambent, hold_s = bench.lambent, bench.effort.hold_s
    event = json.dumps({"hold_s": hold_s}).encode()
    target = lambent.invoke_target("hold", event=event, answer=None)
    last_s: list[float] = []
    weights_mb: list[float] = []
    fewest = ENVIRONMENTS
    for turn in range(bench.effort.bursts):
        lambent.reconfigure("hold", turn)
        time.sleep(2 * SETTLE_S)
        before_bytes = lambent.below_pss_bytes()
        sent_s = time.time()
        answers = [json.loads(answer.body) for _, answer in load.all_at_once(target, count=ENVIRONMENTS)]
        last_s.append(max(started_s for _, started_s in answers) - sent_s)
        found = len({log_stream for log_stream, _ in answers})
        weights_mb.append((lambent.below_pss_bytes() - before_bytes) / found / MB)
        fewest = min(fewest, found)
    note = "until the last handler runs; memory 512 MB each"
    if fewest < ENVIRONMENTS:
        note += f"; took longer than the {hold_s:g} s of the handler: only {fewest} environments came to be"
    return [
        Figure(
            name=f"0 to {ENVIRONMENTS} environments",
            unit="ms",
            values={LAMBENT: statistics.median(last_s) * 1000},
            note=note,
        ),
        _idle_weight(bench, statistics.median(weights_mb)),
    ]


def control_plane(bench: Bench) -> list[Figure]:
    """Reading operations, over one connection."""
    lambent = bench.lambent
    targets = {
        "GetFunction": lambent.get_target("/2015-03-31/functions/hello"),
        f"ListFunctions of {FUNCTIONS}": lambent.get_target(f"/2015-03-31/functions?MaxItems={FUNCTIONS}"),
    }
    figures: list[Figure] = []
    for name, target in targets.items():
        found = load.one_after_another(target, duration_s=bench.effort.round_s / 2).latencies_s
        for words, percent in (("p50", 50), ("p99", 99)):
            value_ms = percentile(found, percent) * 1000
            figures.append(Figure(name=f"{name}, {words}", unit="ms", values={LAMBENT: value_ms}))
    return figures


def idle_server(bench: Bench) -> list[Figure]:
    """The memory of servers that have not been asked to run anything."""
    values = {
        LAMBENT: bench.lambent.pss_bytes() / MB,
        FLOOR: bench.floor.pss_bytes() / MB,
    }
    with bench.rie() as rie:
        if rie is not None:
            values[RIE] = rie.pss_bytes() / MB
    return [Figure(name="memory of the idle server", unit="MB", values=values, note="PSS, no environments")]


GROUPS: tuple[Group, ...] = (
    *(idle_server, starts, cold_starts, cold_starts_without_stems, warm, throughput, bursts, control_plane),
    *(languages.nodejs_warm, languages.nodejs_cold_starts, languages.custom_runtime),
    *(
        snapstart.restores,
        snapstart.one_ahead,
        snapstart.restored_memory,
        streams.streams,
        many.many_functions,
    ),
    ledger.ledger,
    simulated.simulator,
    *(queues.sqs, queues.deep_queue, queues.events, queues.pollers),
)


def _cold(
    bench: Bench,
    lambent: Lambent,
    name: str,
    source: str | None,
    count: int,
    peer_count: int,
    words: str,
    *,
    just_before: Callable[[int], None] = lambda _: None,
) -> Figure:
    found: dict[str, list[float]] = {LAMBENT: [], RIE: []}
    target = lambent.invoke_target(name)
    for turn in range(count):
        lambent.reconfigure(name, turn)
        time.sleep(SETTLE_S)
        just_before(turn)
        latency_s, answer = load.once(target)
        if answer.header("x-lambent-cold-start-reason") is None:
            raise LoadFailed(f"the invocation of {name} was no cold start")
        found[LAMBENT].append(latency_s)
        if turn >= peer_count:
            continue
        with bench.rie(source) as rie:
            if rie is not None:
                time.sleep(SETTLE_S)
                found[RIE].append(load.once(rie.invoke_target())[0])
    note = f"invoke to result, median of {count}"
    if found[RIE]:
        note += f"; RIE: first invoke of a started emulator, no walls, of {len(found[RIE])}"
    return _figure_ms(words, found, note)


def _idle_weight(bench: Bench, lambent_mb: float) -> Figure:
    values = {LAMBENT: lambent_mb}
    with bench.rie() as rie:
        if rie is not None:
            load.once(rie.invoke_target())
            values[RIE] = rie.pss_bytes() / MB
    note = "PSS of its processes, once idle; RIE: emulator and runtime"
    return Figure(name="memory of one environment", unit="MB", values=values, note=note)


def _in_turns(
    targets: dict[str, Target], effort: Effort, measure: Callable[[Target], Load]
) -> dict[str, list[Load]]:
    found: dict[str, list[Load]] = {name: [] for name in targets}
    for _ in range(effort.rounds):
        for name, target in targets.items():
            found[name].append(measure(target))
    return found


def _parallel(target: Target, effort: Effort) -> Load:
    return load.side_by_side(target, connections=CONNECTIONS, duration_s=effort.round_s)


def _throughput(name: str, loads: dict[str, list[Load]], *, note: str = "") -> Figure:
    values = {peer: statistics.median(part.per_s for part in found) for peer, found in loads.items()}
    return Figure(name=name, unit="per s", values=values, more_is_better=True, note=note)


def _figure_ms(name: str, found_s: dict[str, list[float]], note: str) -> Figure:
    p99 = {peer: percentile(found, 99) * 1000 for peer, found in found_s.items() if found}
    return Figure(name=name, unit="ms", values=_medians_ms(found_s), p99=p99, note=note)


def _medians_ms(found_s: dict[str, list[float]]) -> dict[str, float]:
    return {name: statistics.median(found) * 1000 for name, found in found_s.items() if found}
