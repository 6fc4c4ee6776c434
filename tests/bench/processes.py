"""What /proc says about a process and all that it started: who they are and what memory is theirs."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from pathlib import Path

_STOP_TIMEOUT_S = 5.0


def descendants(pid: int) -> list[int]:
    """Return the processes that descend from a process, parents before children."""
    found: list[int] = []
    waiting = [pid]
    while waiting:
        children = _children(waiting.pop())
        found += children
        waiting += children
    return found


def pss_bytes(pids: list[int]) -> int:
    """Return the memory of processes, each page divided by the number of processes that share it."""
    return sum(map(_pss_bytes, pids))


def cpu_s(pids: list[int]) -> float:
    """Return the CPU time that processes have used so far, that of dead children included (proc(5), stat)."""
    ticks = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            members = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
            ticks += sum(map(int, members[11:15]))
    return ticks / os.sysconf("SC_CLK_TCK")


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a process and everything that it started, at the latest after some seconds."""
    below = descendants(process.pid)
    process.terminate()
    try:
        process.wait(_STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    # They were told by their parent; whoever did not hear it is told once more.
    for pid in below:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def end_all_below(pid: int) -> None:
    """End whatever a process has started and not ended: when something went wrong in between."""
    for below in descendants(pid):
        with contextlib.suppress(ProcessLookupError):
            os.kill(below, signal.SIGKILL)


def _children(pid: int) -> list[int]:
    found: list[int] = []
    # A child belongs to the thread that started it.
    with contextlib.suppress(OSError):
        for thread in Path(f"/proc/{pid}/task").iterdir():
            with contextlib.suppress(OSError):
                found += map(int, (thread / "children").read_text().split())
    return found


def _pss_bytes(pid: int) -> int:
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    return 0
