"""The asyncio side of `/tmp`: what machine and rights allow, some made ahead of time, handed out, taken away.

Used by `lambent.sandbox.launching`. The mounts themselves are made by children of the spawner
(`lambent.sandbox.tmp_mount`). A filesystem takes twenty milliseconds to format and to mount, so an image is
formatted once for each size and copied, and some of the usual size are kept mounted.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import logging
import os
import shutil
import socket
import tempfile
from collections import OrderedDict, deque
from pathlib import Path
from typing import IO, Any

from lambent.sandbox import Enforcement, SandboxError, Tmp
from lambent.sandbox.calm import Calm
from lambent.sandbox.control import Spawner, readable
from lambent.sandbox.report_socket import next_report
from lambent.sandbox.tmp_mount import copy_directory

_log = logging.getLogger(__name__)
_PROMISE = "size of /tmp"
_TIMEOUT_S = 60.0
_NICE_AHEAD = 10
_MAX_TEMPLATES = 8
_SYSTEM_PATH = "/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin"


class MountedTmp:
    """A `Tmp` that is a filesystem of its own, in the spawner's mount namespace."""

    max_file_bytes = 0

    def __init__(self, tmps: Tmps, place: Path, size_bytes: int) -> None:
        """Prepare; nothing is there yet."""
        self.path = str(place)
        self.size_bytes = size_bytes
        self.image: IO[bytes] | None = None
        """The file with the content; None if that is in memory."""
        self.generation = 0
        """Of the spawner in whose namespace it is mounted."""
        self.is_empty: bool | None = None
        """Whether there was anything to copy, once somebody wanted to."""
        self._tmps = tmps

    async def close(self) -> None:
        """See `Tmp.close`."""
        await self._tmps.unmount(self)


class DirectoryTmp:
    """A `Tmp` that is a directory of the host: its files are limited, not their sum."""

    def __init__(self, place: Path, size_bytes: int) -> None:
        """Prepare; nothing is there yet."""
        self.path = str(place)
        self.max_file_bytes = size_bytes

    async def close(self) -> None:
        """See `Tmp.close`."""
        await asyncio.to_thread(shutil.rmtree, self.path, ignore_errors=True)


class Tmps:
    """Every `Tmp` of one sandbox room."""

    def __init__(
        self,
        *,
        run_dir: Path,
        spawner: Spawner,
        may_mount: bool,
        calm: Calm,
        ahead: int = 0,
        usual_bytes: int = 0,
    ) -> None:
        """Prepare.

        Args:
            run_dir: where they lie; removed with everything in it by whoever owns that.
            spawner: forks who mounts them.
            may_mount: whether the spawner has a mount namespace of its own. In the host's, what is mounted would
                outlive a killed server.
            calm: when to make more of them.
            ahead: how many to keep ready.
            usual_bytes: the size of those.
        """
        self._directory = run_dir / "tmp"
        self._spawner = spawner
        self._may_mount = may_mount
        self._calm = calm
        self._ahead = ahead
        self._usual_bytes = usual_bytes
        self._numbers = itertools.count(1)
        self._kind = "directory"
        self._words = "each file is limited (RLIMIT_FSIZE), not their sum"
        self._mkfs = ""
        self._templates: OrderedDict[int, asyncio.Task[IO[bytes]]] = OrderedDict()
        self._mounted: dict[str, MountedTmp] = {}
        self._ready: deque[MountedTmp] = deque()
        self._filling: asyncio.Task[None] | None = None
        self._is_open = False

    @property
    def enforcement(self) -> Enforcement:
        """The promise about them."""
        return Enforcement(_PROMISE, self._kind != "directory", self._words)

    async def open(self, *, memory_is_limited: bool) -> None:
        """Find out what is possible here.

        Args:
            memory_is_limited: whether what sandboxes keep in memory files counts as their memory.
        """
        if self._is_open:
            return
        self._is_open = True
        self._directory.mkdir(parents=True, exist_ok=True)
        if not self._may_mount:
            return
        if self._spawner.is_root:
            await self._open_images()
        elif memory_is_limited:
            self._words += "; a tmpfs would count as the function's memory"
        else:
            await self._try("memory", "tmpfs: in the machine's memory, not counted as the function's")

    async def _open_images(self) -> None:
        path = f"{os.environ.get('PATH', '')}:{_SYSTEM_PATH}"
        self._mkfs = shutil.which("mkfs.ext4", path=path) or ""
        if not self._mkfs:
            self._words += "; an image of limited size needs mkfs.ext4 (Debian's e2fsprogs)"
            return
        words = "ext4 image on a loop device"
        if _is_in_memory(self._directory):
            words += (
                "; the data directory is in memory, so that what is in /tmp counts as the function's memory"
            )
        await self._try("image", words)

    async def _try(self, kind: str, words: str) -> None:
        """Take a kind of mount if one can be made here."""
        before, self._kind = self._kind, kind
        try:
            tmp = await self._mount(self._usual_bytes or 1 << 24, None)
        except SandboxError as error:
            self._kind = before
            self._words += f"; impossible here: {kind}, {error.reason}"
            return
        self._words = words
        if self._ahead:
            self._ready.append(tmp)
            self._fill()
        else:
            await tmp.close()

    async def make(self, size_bytes: int, copy_of: Tmp | None) -> Tmp:
        """See `Sandbox.make_tmp`."""
        if self._kind == "directory":
            return await asyncio.to_thread(self._make_directory, size_bytes, copy_of)
        assert copy_of is None or isinstance(copy_of, MountedTmp), "it is one of ours"
        if copy_of is not None and await self._is_empty(copy_of):
            copy_of = None
        if copy_of is None and size_bytes == self._usual_bytes:
            while self._ready:
                tmp = self._ready.popleft()
                self._fill()
                if tmp.generation == self._spawner.generation:
                    return tmp
                await tmp.close()
        mounting = asyncio.create_task(self._mount(size_bytes, copy_of))
        try:
            return await asyncio.shield(mounting)
        except asyncio.CancelledError:
            with contextlib.suppress(SandboxError):
                await (await mounting).close()
            raise

    async def _is_empty(self, tmp: MountedTmp) -> bool:
        if tmp.is_empty is None:
            tmp.is_empty = bool(await self._ask("is empty", [], place=tmp.path))
        return tmp.is_empty

    async def ensure(self, path: str) -> None:
        """Mount one again that went with an earlier spawner: empty, like a machine that was switched on again.

        Raises:
            SandboxError: it cannot be mounted.
        """
        tmp = self._mounted.get(path)
        if tmp is not None and tmp.generation != self._spawner.generation:
            await self._mount_at(tmp, None)

    async def unmount(self, tmp: MountedTmp) -> None:
        """See `Tmp.close`."""
        if self._mounted.pop(tmp.path, None) is None:
            return
        if tmp.generation == self._spawner.generation and self._spawner.is_running:
            try:
                await self._ask("unmount", [], place=tmp.path)
            except SandboxError as error:
                _log.warning("A /tmp could not be removed; that happens when the server ends: %s", error)
        _forget(tmp)

    async def close(self) -> None:
        """Let go of everything; the spawner's end removes the mounts."""
        self._is_open = False
        if self._filling is not None:
            self._filling.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._filling
            self._filling = None
        for template in self._templates.values():
            template.cancel()
            template.add_done_callback(_close_result)
        self._templates.clear()
        for tmp in self._mounted.values():
            _forget(tmp)
        self._mounted.clear()
        self._ready.clear()
        await asyncio.to_thread(shutil.rmtree, self._directory, ignore_errors=True)

    def _fill(self) -> None:
        if self._filling is None or self._filling.done():
            self._filling = asyncio.create_task(self._fill_slowly())

    async def _fill_slowly(self) -> None:
        try:
            while len(self._ready) < self._ahead:
                await self._calm.come()
                self._ready.append(await self._mount(self._usual_bytes, None, nice=_NICE_AHEAD))
        except SandboxError as error:
            _log.warning("No /tmp could be prepared: %s", error)

    def _make_directory(self, size_bytes: int, copy_of: Tmp | None) -> DirectoryTmp:
        tmp = DirectoryTmp(self._place(), size_bytes)
        try:
            Path(tmp.path).chmod(0o1777)
            if copy_of is not None:
                copy_directory(copy_of.path, tmp.path)
        except OSError as error:
            shutil.rmtree(tmp.path, ignore_errors=True)
            raise SandboxError("tmp", str(error)) from error
        return tmp

    def _place(self) -> Path:
        place = self._directory / str(next(self._numbers))
        place.mkdir()
        return place

    async def _mount(self, size_bytes: int, copy_of: MountedTmp | None, *, nice: int = 0) -> MountedTmp:
        tmp = MountedTmp(self, self._place(), size_bytes)
        self._mounted[tmp.path] = tmp
        try:
            await self._mount_at(tmp, copy_of, nice=nice)
        except BaseException:
            del self._mounted[tmp.path]
            _forget(tmp)
            raise
        return tmp

    async def _mount_at(self, tmp: MountedTmp, copy_of: MountedTmp | None, *, nice: int = 0) -> None:
        generation = self._spawner.generation
        source = copy_of.path if copy_of is not None else ""
        if self._kind == "memory":
            size = tmp.size_bytes
            await self._ask("memory", [], place=tmp.path, size_bytes=size, copy_of=source, nice=nice)
        else:
            image = await self._template(tmp.size_bytes) if copy_of is None else copy_of.image
            assert image is not None and (copy_of is None or copy_of.size_bytes == tmp.size_bytes), (
                "it is alike"
            )
            if tmp.image is not None:
                tmp.image.close()
            tmp.image = self._new_file()
            descriptors = [tmp.image.fileno(), image.fileno()]
            await self._ask("image", descriptors, place=tmp.path, copy_of=source, nice=nice)
        tmp.generation = generation

    async def _template(self, size_bytes: int) -> IO[bytes]:
        """Return a formatted, empty image. Whoever asks meanwhile waits for the same one."""
        while True:
            if size_bytes not in self._templates:
                self._templates[size_bytes] = asyncio.create_task(self._format(size_bytes))
            self._templates.move_to_end(size_bytes)
            while len(self._templates) > _MAX_TEMPLATES:
                self._templates.popitem(last=False)[1].add_done_callback(_close_result)
            try:
                image = await asyncio.shield(self._templates[size_bytes])
            except SandboxError:
                self._templates.pop(size_bytes, None)
                raise
            if not image.closed:
                return image

    async def _format(self, size_bytes: int) -> IO[bytes]:
        image = self._new_file()
        try:
            await self._ask("format", [image.fileno()], program=self._mkfs, size_bytes=size_bytes)
        except BaseException:
            image.close()
            raise
        return image

    def _new_file(self) -> IO[bytes]:
        """Return a file that has no name, so that it is gone with the last who has it open."""
        try:
            return tempfile.TemporaryFile(dir=self._directory)
        except OSError as error:
            raise SandboxError("tmp", str(error)) from error

    async def _ask(
        self, action: str, descriptors: list[int], *, nice: int = 0, **members: Any
    ) -> bool | None:
        """Let a child of the spawner do something; return its answer.

        Raises:
            SandboxError: it could not.
        """
        try:
            channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        except OSError as error:
            raise SandboxError("tmp", error.strerror or str(error)) from error
        request = json.dumps({"action": action, "nice": nice, **members}).encode("ascii")
        with channel:
            with theirs:
                socket.send_fds(channel, [request], descriptors)
                await self._spawner.hand_over([theirs.fileno()], b"tmp")
            channel.setblocking(False)
            try:
                async with asyncio.timeout(_TIMEOUT_S):
                    told = await _last_word(channel)
            except TimeoutError as error:
                raise SandboxError("tmp", f"not done after {_TIMEOUT_S:g} s: {action}") from error
        if told["event"] != "done":
            raise SandboxError(told.get("step", "tmp"), told.get("reason", "ended without a word"))
        return told["answer"]


async def _last_word(channel: socket.socket) -> dict[str, Any]:
    """Return what a child has to say in the end, when it is gone."""
    last: dict[str, Any] = {"event": "gone"}
    pidfds: list[int] = []
    try:
        while message := await next_report(channel):
            last, descriptors = message
            pidfds += descriptors
        for pidfd in pidfds:
            await readable(pidfd)
    finally:
        for pidfd in pidfds:
            os.close(pidfd)
    return last


def _forget(tmp: MountedTmp) -> None:
    """Let go of what the server holds of it."""
    if tmp.image is not None:
        tmp.image.close()
    with contextlib.suppress(OSError):
        Path(tmp.path).rmdir()


def _close_result(formatting: asyncio.Task[IO[bytes]]) -> None:
    if not formatting.cancelled() and formatting.exception() is None:
        formatting.result().close()


def _is_in_memory(directory: Path) -> bool:
    """Whether files of a directory are kept in memory (proc(5) on ``mountinfo``)."""
    device = directory.stat().st_dev
    number = f"{os.major(device)}:{os.minor(device)}"
    with Path("/proc/self/mountinfo").open(encoding="utf-8", errors="replace") as lines:
        for line in lines:
            before, _, after = line.partition(" - ")
            if before.split()[2] == number:
                return after.split()[0] in ("tmpfs", "ramfs")
    return False
