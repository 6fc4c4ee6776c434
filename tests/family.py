"""Which processes are below one. Zombies are dead: the kernel is about to remove them.

A server that other tests of the same run share lives a life of its own: neither it nor what is below it counts.
"""

from __future__ import annotations

from pathlib import Path


def read_or_nothing(path: Path) -> str:
    """A file of /proc; nothing if its process has just ended."""
    try:
        return path.read_text(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return ""


def children(pid: int) -> set[int]:
    """Every living child of a process."""
    found = {
        int(child)
        for path in Path(f"/proc/{pid}/task").glob("*/children")
        for child in read_or_nothing(path).split()
    }
    return {child for child in found if _is_alive(child) and not _is_server(child)}


def below(pid: int) -> list[int]:
    """Every living process below a process, parents before their children."""
    nearest = sorted(children(pid))
    return nearest + [deeper for child in nearest for deeper in below(child)]


def _is_alive(pid: int) -> bool:
    state = read_or_nothing(Path(f"/proc/{pid}/stat")).rpartition(")")[2].split()[:1]
    return state not in ([], ["Z"], ["X"])


def _is_server(pid: int) -> bool:
    return "\0lambent\0up\0" in read_or_nothing(Path(f"/proc/{pid}/cmdline"))
