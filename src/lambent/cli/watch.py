"""Which files of a project have changed, and what has to be deployed because of it.

`Watcher` sees changes, by inotify; `affected` decides, purely but for looking at ignore files.
"""

from __future__ import annotations

import contextlib
import errno
import queue
import threading
import time
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lambent.cli import ignore, package
from lambent.cli.handler import SOURCE_SUFFIXES
from lambent.cli.project import Project
from lambent.cli.terminal import CommandError

if TYPE_CHECKING:
    # Documented as the backend that may be used directly; it watches as soon as it is made.
    from watchfiles._rust_notify import RustNotify

QUIET_MS = 15
"""A burst of changes is over when nothing has changed for this long."""
BURST_MAX_MS = 300
_LOOK_MS = 1000
"""How often roots are looked at, which may have been removed and made anew."""
_UNSEEN = (errno.ENOENT, errno.ENOTDIR)


@dataclass(frozen=True, slots=True, kw_only=True)
class Affected:
    """What changes mean for a project."""

    is_project_changed: bool = False
    functions: frozenset[str] = frozenset()
    layers: frozenset[str] = frozenset()
    events: frozenset[Path] = frozenset()

    def __bool__(self) -> bool:
        return bool(self.is_project_changed or self.functions or self.layers or self.events)


def affected(project: Project, changed: Iterable[Path], events: Collection[Path] = ()) -> Affected:
    """Decide what changed files mean.

    Args:
        project: what is deployed.
        changed: absolute paths that were written, made or removed.
        events: files with which functions are invoked.
    """
    changed = tuple(changed)
    functions = {
        one.name for one in project.functions if one.path is not None and _concerns(one.path, changed)
    }
    layers = {layer.name for layer in project.layers if _concerns(layer.path, changed)}
    return Affected(
        is_project_changed=project.file in changed,
        functions=frozenset(functions),
        layers=frozenset(layers),
        events=frozenset(set(events) & set(changed)),
    )


def _concerns(root: Path, changed: Iterable[Path]) -> bool:
    """Say whether a change is one of what lies in a folder, or is a file, and would be deployed."""
    inside = [path for path in changed if path == root or root in path.parents]
    if not inside:
        return False
    rules = package.rules_of(root)
    return any(path == root or _is_deployed(path.relative_to(root), root, rules) for path in inside)


def _is_deployed(name: Path, root: Path, rules: tuple[ignore.Rule, ...]) -> bool:
    if str(name) == package.IGNORE_FILE:
        return True
    for folder in [*name.parents][-2::-1]:
        if (
            ignore.is_ignored(str(folder), is_folder=True, rules=rules)
            or (root / folder / "pyvenv.cfg").is_file()
        ):
            return False
    return not ignore.is_ignored(str(name), is_folder=(root / name).is_dir(), rules=rules)


def roots_of(project: Project, events: Iterable[Path] = ()) -> tuple[frozenset[Path], frozenset[Path]]:
    """Return the folders to watch with all that lies in them, and those to watch without."""
    deep = {one.path for one in project.functions if one.path is not None} | {
        one.path for one in project.layers
    }
    files = [*events, *([project.file] if project.file else []), *(path for path in deep if _is_file(path))]
    folders = {path for path in deep if not _is_file(path)}
    # What lies in a watched folder is watched; the same folder twice would be seen twice.
    tops = {path for path in folders if not any(parent in folders for parent in path.parents)}
    flat = {path.parent for path in files}
    return frozenset(tops), frozenset(flat - tops)


def _is_file(path: Path) -> bool:
    return path.is_file() or path.suffix in {*SOURCE_SUFFIXES, ".zip"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """Paths that have changed, and when."""

    paths: frozenset[Path]
    at_s: float
    """When the newest of them was written, as far as that can be told; since the epoch."""


class Watcher:
    """Watches folders, in threads of its own, until it is closed. What changes from now on is seen."""

    def __init__(self, deep: Iterable[Path], flat: Iterable[Path]) -> None:
        """Begin to watch.

        Args:
            deep: folders, with all that lies in them; one that is missing is watched when it comes.
            flat: folders, with the files that lie directly in them.

        Raises:
            CommandError: the folders cannot be watched.
        """
        self._found: queue.SimpleQueue[frozenset[Path] | Exception] = queue.SimpleQueue()
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []
        for roots, is_deep in ((tuple(deep), True), (tuple(flat), False)):
            if roots:
                there = _existing(roots)
                arguments = (roots, is_deep, there, _notify(there, is_deep=is_deep))
                self._threads.append(threading.Thread(target=self._watch, args=arguments, daemon=True))
        for thread in self._threads:
            thread.start()

    def wait(self, timeout_s: float | None = None) -> Changes | None:
        """Return the next changes, those that have come meanwhile together; None when there were none in time.

        Raises:
            CommandError: the folders cannot be watched any more.
        """
        try:
            found = [self._found.get(timeout=timeout_s)]
        except queue.Empty:
            return None
        with contextlib.suppress(queue.Empty):
            while True:
                found.append(self._found.get_nowait())
        paths: set[Path] = set()
        for one in found:
            if isinstance(one, Exception):
                raise one
            paths |= one
        return Changes(paths=frozenset(paths), at_s=_written_s(paths))

    def close(self) -> None:
        """Watch no longer."""
        self._stop.set()
        for thread in self._threads:
            thread.join(timeout=1)

    def _watch(
        self, roots: tuple[Path, ...], is_deep: bool, there: dict[Path, int], notify: RustNotify | None
    ) -> None:
        try:
            while not self._stop.is_set():
                if changed := self._changes(notify):
                    self._found.put(changed)
                now = _existing(roots)
                if now != there:
                    # A root was removed, or made anew: what was watched is not it any more.
                    before, there, notify = there, now, _notify(now, is_deep=is_deep)
                    self._found.put(frozenset(path for path, _ in now.items() ^ before.items()))
        except Exception as error:
            self._found.put(error)

    def _changes(self, notify: RustNotify | None) -> frozenset[Path]:
        """Return what has changed; nothing, after a while, when nothing has."""
        if notify is None:
            self._stop.wait(_LOOK_MS / 1000)
            return frozenset()
        changes = notify.watch(BURST_MAX_MS, QUIET_MS, _LOOK_MS, self._stop)
        return frozenset(Path(path) for _, path in changes) if isinstance(changes, set) else frozenset()


def _notify(there: Iterable[Path], *, is_deep: bool) -> RustNotify | None:
    """Return what sees changes in these folders; None when there is no folder."""
    from watchfiles._rust_notify import RustNotify

    paths = [str(path) for path in there]
    try:
        # No words about it, no polling (with which pause), with what is below, whatever may not be read.
        return RustNotify(paths, False, False, 0, is_deep, True) if paths else None
    except Exception as error:
        raise CommandError(_watch_failure(error)) from error


def _existing(roots: Iterable[Path]) -> dict[Path, int]:
    """Return the folders that are there, each with what makes it itself."""
    found: dict[Path, int] = {}
    for root in roots:
        try:
            found[root] = root.stat().st_ino
        except OSError as error:
            if error.errno not in _UNSEEN:
                raise
    return found


def _written_s(paths: Iterable[Path]) -> float:
    """Return when the newest of these files was written; now, if that was not just now."""
    now_s = time.time()
    times_s = [now_s]
    for path in paths:
        with contextlib.suppress(OSError):
            times_s.append(path.stat().st_mtime)
    newest_s = max((at_s for at_s in times_s[1:] if at_s <= now_s), default=now_s)
    return newest_s if now_s - newest_s < 2 else now_s


def _watch_failure(error: Exception) -> str:
    if "limit" in str(error).lower() or getattr(error, "errno", None) == errno.ENOSPC:
        return (
            "The folders cannot be watched, because the kernel's limit of watches is reached: raise "
            "fs.inotify.max_user_watches with sysctl."
        )
    return f"The folders cannot be watched: {error}."
