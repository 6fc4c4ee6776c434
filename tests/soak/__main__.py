"""`python -m tests.soak` (`make soak`): hours of misfortune in minutes, and what is left of them.

A real server is called by many at once with functions of every kind, changed while it runs, killed and restarted, and
in the end everything is counted. The exit code says whether something was found; CONTRIBUTING.md says how to read it.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from rich import box
from rich.console import Console
from rich.table import Table
from tests.bench import processes
from tests.soak import ledger, machine
from tests.soak.callers import Callers
from tests.soak.story import CHECKS, Script, Soak, Verdict

from lambent.sandbox import linux

_DEFAULT_S = 180.0
_NOBODY = 65534
_CALLERS = 10
_THINK_S = 0.05
_SHOWN = 12
"""Findings of one kind that are shown; the first ones tell the story."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the soak."""
    options = _parser().parse_args(arguments)
    seconds = options.seconds or options.minutes * 60
    console = Console(highlight=False, width=None if os.isatty(1) else 150)
    signal.signal(signal.SIGTERM, _leave)
    # Whatever a dead server leaves becomes ours, so that it is found and ended.
    linux.become_subreaper()
    is_root = os.geteuid() == 0
    kept = machine.enter_own_network() if is_root else None
    if is_root and options.run_as in ("user", "both"):
        machine.make_reachable(Path(sys.executable).resolve())
    users = {"root": [None], "user": [_NOBODY if is_root else None], "both": [None, _NOBODY]}[
        options.run_as or ("root" if is_root else "user")
    ]
    if options.run_as in ("root", "both") and not is_root:
        print("Running as root needs root.", file=sys.stderr)
        return 2
    codes = [_soak(options, seconds / len(users), user, console, is_own_network=is_root) for user in users]
    del kept
    return max(codes)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--minutes", type=float, default=_DEFAULT_S / 60, help="of load (default: %(default)g)"
    )
    parser.add_argument("--seconds", type=float, help="the same, in seconds")
    parser.add_argument(
        "--callers", type=int, default=_CALLERS, help="who call at once (default: %(default)s)"
    )
    parser.add_argument(
        "--seed", type=int, default=None, help="repeats the calls and changes of an earlier run"
    )
    parser.add_argument(
        "--as",
        dest="run_as",
        choices=("root", "user", "both"),
        help="whom the server runs as (default: us; `user` is nobody when we are root)",
    )
    parser.add_argument("--keep", action="store_true", help="leave the data directory to look at")
    return parser


def _soak(
    options: argparse.Namespace, seconds: float, user: int | None, console: Console, *, is_own_network: bool
) -> int:
    seed = random.randrange(2**32) if options.seed is None else options.seed
    started_s = time.monotonic()
    progress = Console(stderr=True, highlight=False, soft_wrap=True)

    def tell(words: str) -> None:
        progress.print(f"{time.monotonic() - started_s:5.0f} s  {words}", style="dim")

    callers = Callers(count=options.callers, seed=seed, think_s=_THINK_S)
    directory = Path(tempfile.mkdtemp(prefix="lambent-soak-"))
    tell(f"seed {seed}, in {directory}")
    soak = Soak(directory, callers=callers, seed=seed, user=user, is_own_network=is_own_network, tell=tell)
    try:
        verdict = soak.run(Script.of(seconds))
    finally:
        processes.end_all_below(os.getpid())
        if not options.keep:
            shutil.rmtree(directory, ignore_errors=True)
    who = "an ordinary user" if user is not None or os.geteuid() else "root"
    _show(verdict, callers, console, f"Soak as {who}, {seconds:.0f} s of load, seed {seed}")
    return 0 if verdict.is_good else 1


def _show(verdict: Verdict, callers: Callers, console: Console, title: str) -> None:
    counts = ledger.outcomes(callers.entries)
    outcomes = sorted({outcome for _, outcome in counts})
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("function")
    for outcome in outcomes:
        table.add_column(outcome, justify="right")
    for name in sorted({name for name, _ in counts}):
        table.add_row(name, *(str(counts.get((name, outcome), 0)) for outcome in outcomes))
    console.print(title)
    console.print(table)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("promise", no_wrap=True)
    table.add_column("kept", no_wrap=True)
    table.add_column("what was seen")
    for check in CHECKS:
        found = verdict.findings[check]
        words = f"{len(found)} findings, see below" if found else verdict.remarks.get(check, "")
        table.add_row(check, "[red]NO[/red]" if found else "yes", words)
    console.print(table)
    for check, found in verdict.findings.items():
        for words in found[:_SHOWN]:
            console.print(f"  {check}: NO, {words}", soft_wrap=True)
    console.print("Nothing was found." if verdict.is_good else "[red]Something was found.[/red]")


def _leave(number: int, _frame: FrameType | None) -> None:
    raise SystemExit(128 + number)


if __name__ == "__main__":
    raise SystemExit(main())
