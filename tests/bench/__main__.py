"""`python -m tests.bench` (`make bench`): Lambent measured beside a peer, in the same run on the same machine.

It measures and never judges: its exit code says whether it could measure. Figures, method and how to read them
are in docs/performance.md.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType

from rich.console import Console
from tests.bench import emulators, figures, measuring, processes, queues, table
from tests.bench.emulators import EmulatorsMissing
from tests.bench.goals import Figure
from tests.bench.load import LoadFailed
from tests.bench.measuring import Bench, Effort, Group
from tests.bench.peers import HELLO, HELLO_BOTO3, HOLD, Floor, Lambent, RieMissing, fetch_rie, versions
from tests.harness import REPOSITORY

_BENCH_DIRECTORY = REPOSITORY / ".bench"
_FAULT = "Not measured, by a fault of the bench's own:"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the bench."""
    options = _parser().parse_args(arguments)
    console = Console(highlight=False, width=None if os.isatty(1) else 150)
    effort = measuring.QUICK if options.quick else measuring.FULL
    before = table.read(options.compare) if options.compare else None
    started = table.Results(
        taken_at=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        is_quick=options.quick,
        machine=table.machine(),
        load_average=os.getloadavg()[0],
    )
    signal.signal(signal.SIGTERM, _leave)
    try:
        groups = [group for group in figures.GROUPS if not options.only or _name(group) in options.only]
        found, notices = _measure(effort, groups, Console(stderr=True, highlight=False, soft_wrap=True))
    finally:
        processes.end_all_below(os.getpid())
    results = table.with_figures(
        started, found, notices, peers=f"{versions(_BENCH_DIRECTORY)}; {emulators.versions()}"
    )
    table.write(results, options.output)
    table.show(results, before, console)
    console.print(f"Written to {options.output}.")
    return int(any(notice.startswith(_FAULT) for notice in notices))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--quick", action="store_true", help="a short run: a minute or two, less certain")
    parser.add_argument(
        "--only",
        action="append",
        metavar="GROUP",
        choices=[_name(group) for group in figures.GROUPS],
        help=f"measure this group alone; may be repeated: {', '.join(map(_name, figures.GROUPS))}",
    )
    parser.add_argument("--compare", type=Path, metavar="FILE", help="show the change since an earlier run")
    parser.add_argument(
        "--output", type=Path, metavar="FILE", default=_BENCH_DIRECTORY / "results.json", help="where to"
    )
    return parser


def _name(group: Group) -> str:
    return group.__name__.replace("_", "-")  # type: ignore[attr-defined]  # functions have one


def _measure(effort: Effort, groups: Sequence[Group], progress: Console) -> tuple[list[Figure], list[str]]:
    started_s = time.monotonic()
    notices: list[str] = []
    found: list[Figure] = []
    with contextlib.ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="lambent-bench-")))
        rie_program = _rie(notices, progress)
        if any(group in queues.BESIDE_EMULATORS for group in groups):
            _install_emulators(notices, progress)
        started_s = time.monotonic()  # a download is not part of the run
        floor = stack.enter_context(Floor(directory / "floor"))
        lambent = stack.enter_context(Lambent(directory))
        _create_functions(lambent)
        bench = Bench(
            effort=effort,
            directory=directory,
            cache=_BENCH_DIRECTORY,
            lambent=lambent,
            floor=floor,
            rie_program=rie_program,
        )
        for group in groups:
            words = (group.__doc__ or "").splitlines()[0]
            if time.monotonic() - started_s > effort.limit_s:
                notices.append(f"Left out, because the time was over: {words}")
                continue
            progress.print(f"{time.monotonic() - started_s:5.0f} s  {words}", style="dim")
            try:
                found += group(bench)
            except LoadFailed as error:
                notices.append(f"Not measured: {words} A server {error} {_last_words(lambent)}".rstrip())
            except Exception as error:  # what the others have found is worth its minutes
                progress.print_exception()
                notices.append(f"{_FAULT} {words} {type(error).__name__}: {error}")
    return found, notices


def _last_words(lambent: Lambent) -> str:
    lines = lambent.server.error_text().strip().splitlines()
    return f"Lambent's last words: {lines[-1]}" if lines else ""


def _rie(notices: list[str], progress: Console) -> Path | None:
    _BENCH_DIRECTORY.mkdir(exist_ok=True)
    progress.print("Looking for AWS's Runtime Interface Emulator …", style="dim")
    try:
        return fetch_rie(_BENCH_DIRECTORY)
    except RieMissing as error:
        notices.append(f"Without RIE: {error}")
        return None


def _install_emulators(notices: list[str], progress: Console) -> None:
    progress.print("Looking for moto and MiniStack …", style="dim")
    try:
        emulators.install(_BENCH_DIRECTORY)
    except EmulatorsMissing as error:
        notices.append(f"Without the peers of the queues: {error}")


def _create_functions(lambent: Lambent) -> None:
    lambent.create("hello", HELLO)
    lambent.create("cold", HELLO)
    lambent.create("cold-boto3", HELLO_BOTO3)
    lambent.create("hold", HOLD, memory_mb=512)
    for number in range(figures.FUNCTIONS - 4):
        lambent.create(f"other-{number:02}", HELLO)


def _leave(number: int, _frame: FrameType | None) -> None:
    raise SystemExit(128 + number)


if __name__ == "__main__":
    raise SystemExit(main())
