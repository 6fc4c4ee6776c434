"""Figures of SnapStart: environments that are restored from the snapshot of a published version.

Everything goes through AWS's public API. A figure counts only if each answer's log says that it was a restore; else the
group says that there is none to be had.
"""

from __future__ import annotations

import base64
import dataclasses
import json
import statistics
import time
from collections.abc import Generator
from contextlib import contextmanager

from tests.bench import load, packages
from tests.bench.goals import LAMBENT, Figure
from tests.bench.load import Answer, LoadFailed, Target
from tests.bench.measuring import MB, SETTLE_S, Bench, distribution
from tests.bench.peers import HELLO, HOLD, Lambent

from lambent.settings import GROUPS

HELLO_BOTO3_CLIENT = 'import boto3\n\nclient = boto3.client("s3", region_name="us-east-1")\n\n\n' + HELLO
HELLO_PANDAS = """import numpy
import pandas

frame = pandas.DataFrame({"x": numpy.arange(1000)})


def handler(event, context):
    frame.x.sum()
    return event
"""
HOLD_PANDAS = "import numpy\nimport pandas\n" + HOLD
WHICH = "import sys\n\n\ndef handler(event, context):\n    return list(sys.version_info[:2])\n"
_RESTORED = {"hello": HELLO, "boto3 client": HELLO_BOTO3_CLIENT, "numpy and pandas": HELLO_PANDAS}
_RUNTIMES = ("python3.12", "python3.13", "python3.14")
"""AWS offers SnapStart from Python 3.12 on."""
_AHEAD = "snapstart_ahead"
_ACTIVE_TIMEOUT_S = 60.0
_IDLE_TIMEOUT_S = 0.1
_GONE_TIMEOUT_S = 10.0
_AHEAD_PAUSE_S = 0.2
"""For the next one to get ready, which is not what is measured."""
_WARM_CALLS = 30
_RESTORED_AT_ONCE = 10
_HOLD_S = 4.0


class NoSnapStart(Exception):
    """There are no restores here. The message says how that showed."""


def restores(bench: Bench) -> list[Figure]:
    """The first invocation of a published version with SnapStart: restore to result, each in a new environment."""
    figures: list[Figure] = []
    with _server(bench, ahead=0, idle_timeout_s=_IDLE_TIMEOUT_S) as (lambent, runtime):
        for name, source in _RESTORED.items():
            figure = f"SnapStart restore, {name}"
            try:
                target = _published(bench, lambent, runtime, name.replace(" ", "-"), source)
                found_s = [_restore_s(lambent, target) for _ in range(bench.effort.restores)]
                note = f"restore to result, median of {len(found_s)}, none ahead"
                figures.append(distribution(figure, found_s, note))
            except NoSnapStart as error:
                return [_missing(f"SnapStart restore, {other}", str(error)) for other in _RESTORED]
            except (packages.PackagesMissing, LoadFailed) as error:
                figures.append(_missing(figure, str(error)))
    return figures


def one_ahead(bench: Bench) -> list[Figure]:
    """A further environment of a SnapStart version in use, with one ahead, beside a warm call of the same function."""
    name = "scale-out with one ahead, beyond a warm call"
    if not any(field.name == _AHEAD for group in GROUPS.values() for field in dataclasses.fields(group)):
        return [_missing(name, f"no environment waits ahead here (there is no setting {_AHEAD})")]
    with _server(bench, ahead=1, idle_timeout_s=600.0) as (lambent, runtime):
        try:
            return _one_ahead(bench, lambent, runtime, name)
        except (NoSnapStart, LoadFailed) as error:
            return [_missing(name, str(error))]


def restored_memory(bench: Bench) -> list[Figure]:
    """What an idle environment weighs that was restored with numpy and pandas in it."""
    name = "memory of one restored environment, pandas"
    with _server(bench, ahead=0, idle_timeout_s=600.0) as (lambent, runtime):
        try:
            _published(bench, lambent, runtime, "hello", HELLO)  # before anything is downloaded in vain
            target = _published(bench, lambent, runtime, "hold-pandas", HOLD_PANDAS, hold_s=_HOLD_S)
            before_bytes = lambent.below_pss_bytes()
            answers = [answer for _, answer in load.all_at_once(target, count=_RESTORED_AT_ONCE)]
            _check_restored(answers)
            found = len({json.loads(answer.body)[0] for answer in answers})
            weight_mb = (lambent.below_pss_bytes() - before_bytes) / found / MB
        except (NoSnapStart, packages.PackagesMissing, LoadFailed) as error:
            return [_missing(name, str(error), unit="MB")]
    note = f"PSS of its processes, once idle, of {found} beside their snapshot, which is not counted"
    return [Figure(name=name, unit="MB", values={LAMBENT: weight_mb}, note=note)]


def _one_ahead(bench: Bench, lambent: Lambent, runtime: str | None, name: str) -> list[Figure]:
    target = _published(bench, lambent, runtime, "hold", HOLD, hold_s=0.0)
    started_s: list[float] = []
    calls = load.in_turn(target, count=_WARM_CALLS, read=_handler_delay_s)
    warm_s = [late_s for late_s, _, reason in calls if reason is None]
    if not warm_s:
        raise LoadFailed("no call of the function was warm")
    time.sleep(_AHEAD_PAUSE_S)
    # Whoever is held stays busy, so that each of these needs an environment more than there are.
    holding = _hold(target, bench.effort.ahead * (_AHEAD_PAUSE_S + 0.1) + 1.0)
    for late_s, answer, reason in load.staggered(
        holding, count=bench.effort.ahead + 1, pause_s=_AHEAD_PAUSE_S, read=_handler_delay_s
    )[1:]:
        _check_restored([answer])
        if reason != "scale-out":
            raise LoadFailed(f"an invocation was no scale-out but {reason or 'warm'}")
        started_s.append(late_s)
    beyond_s = [one_s - statistics.median(warm_s) for one_s in started_s]
    warm_ms = statistics.median(warm_s) * 1000
    note = f"until the handler runs, median of {len(beyond_s)}, less {warm_ms:.2f} ms of a warm call"
    return [distribution(name, beyond_s, note)]


def _handler_delay_s(sent_s: float, answer: Answer) -> tuple[float, Answer, str | None]:
    return json.loads(answer.body)[1] - sent_s, answer, answer.header("x-lambent-cold-start-reason")


def _hold(target: Target, hold_s: float) -> Target:
    return target.with_event(json.dumps({"hold_s": hold_s}).encode())


def _restore_s(lambent: Lambent, target: Target) -> float:
    """Wait until no environment is left, then measure one restore."""
    deadline_s = time.monotonic() + _GONE_TIMEOUT_S
    while lambent.environments():
        if time.monotonic() > deadline_s:
            raise LoadFailed(f"kept environments that idled for longer than {_IDLE_TIMEOUT_S:g} s")
        time.sleep(0.02)
    time.sleep(SETTLE_S)
    latency_s, answer = load.once(target)
    _check_restored([answer])
    return latency_s


def _check_restored(answers: list[Answer]) -> None:
    for answer in answers:
        log = base64.b64decode(answer.header("x-amz-log-result") or "").decode(errors="replace")
        if answer.header("x-lambent-cold-start-reason") is None:
            raise NoSnapStart("an invocation found an environment that was there already")
        if "Restore Duration:" not in log:
            raise NoSnapStart("the environments of a version with SnapStart are not restored")


def _published(
    bench: Bench,
    lambent: Lambent,
    runtime: str | None,
    name: str,
    source: str,
    *,
    hold_s: float | None = None,
) -> Target:
    """Publish a version with SnapStart and return its invocation.

    Raises:
        NoSnapStart: its snapshot does not come to be.
        PackagesMissing: what it imports cannot be had.
    """
    if runtime is None:
        raise NoSnapStart("no Python 3.12 or newer here")
    package = None
    if "pandas" in source:
        python = runtime.removeprefix("python")
        package = packages.package_with(bench.cache, python, ("numpy", "pandas"), source)
    settings = {"SnapStart": {"ApplyOn": "PublishedVersions"}}
    lambent.create(name, source, runtime=runtime, package=package, **settings)
    client = lambent.client
    version = client.publish_version(FunctionName=name)["Version"]
    deadline_s = time.monotonic() + _ACTIVE_TIMEOUT_S
    while True:
        found = client.get_function_configuration(FunctionName=name, Qualifier=version)
        if found["State"] == "Active":
            break
        if found["State"] == "Failed" or time.monotonic() > deadline_s:
            raise NoSnapStart(
                f"the version is {found['State']}: {found.get('StateReason', 'no reason given')}"
            )
        time.sleep(0.02)
    if found["SnapStart"]["OptimizationStatus"] != "On":
        raise NoSnapStart("OptimizationStatus of a version with SnapStart is not On")
    target = lambent.invoke_target(name, qualifier=version, wants_log_tail=True)
    return target if hold_s is None else _hold(target, hold_s)


@contextmanager
def _server(bench: Bench, *, ahead: int, idle_timeout_s: float) -> Generator[tuple[Lambent, str | None]]:
    """A server of its own for one group, and a runtime that may have SnapStart, if this machine has one."""
    environ = {f"LAMBENT_{_AHEAD.upper()}": str(ahead), "LAMBENT_IDLE_TIMEOUT_S": str(idle_timeout_s)}
    with Lambent(bench.new_directory("snapstart"), environ=environ) as lambent:
        yield lambent, next((name for name in _RUNTIMES if _is_real(lambent, name)), None)


def _is_real(lambent: Lambent, runtime: str) -> bool:
    """Whether a runtime runs on its own Python version here, and not on the nearest one."""
    name = f"which-{runtime.replace('.', '-')}"
    try:
        lambent.create(name, WHICH, runtime=runtime)
        _, answer = load.once(lambent.invoke_target(name, answer=None))
    except Exception:  # whatever keeps it from running
        return False
    return bool(answer.body == f"[3, {runtime.partition('.')[2]}]".encode())


def _missing(name: str, reason: str, *, unit: str = "ms") -> Figure:
    return Figure(name=name, unit=unit, values={}, note=f"not available: {reason}")
