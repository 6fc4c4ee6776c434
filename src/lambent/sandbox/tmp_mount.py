"""The mount behind a `/tmp` of limited size, in the spawner's mount namespace: made, copied and taken away.

Runs in children of the spawner, one for each request of `lambent.sandbox.tmps`. They share the spawner's mount
namespace, so what they mount stays when they end, is seen by builders and stems, is not seen by the host, and is
gone with the spawner. As root it is an ext4 image on a loop device. The image is a file without a name that the
server has open, and the device lets go of it with the last mount, so that the kernel leaves nothing of either.
An ordinary user gets a tmpfs.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import shutil
import signal
import socket
import stat
import struct
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from lambent.sandbox import linux
from lambent.sandbox.order import receive, report, step

_LOOP_CONFIGURE, _LOOP_GET_FREE = 0x4C0A, 0x4C82
_LOOP_AUTOCLEAR = 4
_LOOP_CONFIG = struct.Struct("=II 5Q4I 64s64s32s2Q 64x")
"""``struct loop_config``: the image, its block size, and a ``struct loop_info64``."""
_ATTEMPTS = 100
_COPY_BYTES = 1 << 24
_FLAGS = linux.MS_NOSUID | linux.MS_NODEV | linux.MS_NOATIME
_OPTIONS = "noinit_itable,nobarrier"
"""Sparse files are zero without being written, and nothing of a /tmp is to survive a power cut."""
_FEATURES = ("-O", "^has_journal,^resize_inode", "-E", "lazy_itable_init=1,nodiscard")
_BLOCK_BYTES = 4096
_GEOMETRY = ("-b", str(_BLOCK_BYTES), "-I", "256", "-i", "16384", "-m", "0")
_MODE = 0o1777


def serve(channel: socket.socket) -> NoReturn:
    """Fulfil one request and end.

    Raises:
        StepFailedError: it could not be fulfilled; nothing is left.
    """
    message, descriptors = receive(channel)
    if message:
        request: dict[str, Any] = json.loads(message)
        os.nice(request.pop("nice"))
        with step("tmp"):
            answer = _ACTIONS[request.pop("action")](descriptors, **request)
        report(channel, "done", answer=answer)
    os._exit(0)


def image_bytes(size_bytes: int) -> int:
    """Return how large an image must be for `size_bytes` of content, or a little more.

    ext4 takes a sixty-fourth for its inodes (`_GEOMETRY`), some for its bitmaps, and keeps a fiftieth, at most
    4,096 blocks, back for itself.
    """
    own_bytes = size_bytes // 60 + min(size_bytes // 48, 4096 * _BLOCK_BYTES) + (1 << 19)
    return (size_bytes + own_bytes) // _BLOCK_BYTES * _BLOCK_BYTES


def _format(descriptors: Sequence[int], *, program: str, size_bytes: int) -> None:
    """Make an empty filesystem in a file."""
    (image,) = descriptors
    os.ftruncate(image, image_bytes(size_bytes))
    os.set_inheritable(image, True)
    command = [program, "-q", "-F", *_GEOMETRY, *_FEATURES, f"/proc/self/fd/{image}"]
    pid = os.posix_spawn(program, command, {}, setsigdef=(signal.SIGPIPE,))
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if code:
        raise OSError(errno.EIO, f"mkfs.ext4 ended with {code}")


def _mount_image(descriptors: Sequence[int], *, place: str, copy_of: str) -> None:
    """Fill an image and mount it.

    Args:
        descriptors: the image, and the one that it becomes a copy of.
        place: the directory on which it is mounted.
        copy_of: where the image is mounted whose content it is to have; empty: it is to be empty.
    """
    image, source = descriptors
    if copy_of:
        _flush(copy_of)
    copy_sparsely(source, image)
    device, path = _attach(image)
    try:
        linux.mount(path, place, "ext4", _FLAGS, _OPTIONS)
    finally:
        os.close(device)  # the mount holds it now; without one, it lets go of the image
    with contextlib.suppress(FileNotFoundError):
        Path(place, "lost+found").rmdir()
    if not copy_of:
        Path(place).chmod(_MODE)


def _flush(place: str) -> None:
    directory = os.open(place, os.O_RDONLY | os.O_DIRECTORY)
    linux.flush_filesystem(directory)
    os.close(directory)


def copy_sparsely(source: int, target: int) -> None:
    """Give an empty file the content of another one; what is a hole there is one here."""
    size = os.fstat(source).st_size
    os.ftruncate(target, size)
    end = 0
    while True:
        try:
            start = os.lseek(source, end, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:
                return  # no data beyond
            raise
        end = os.lseek(source, start, os.SEEK_HOLE)
        while start < end:
            start += _copy_part(source, target, start, min(_COPY_BYTES, end - start))


def _copy_part(source: int, target: int, start: int, count: int) -> int:
    try:
        copied = os.copy_file_range(source, target, count, start, start)
    except OSError as error:
        if error.errno not in (errno.EXDEV, errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS):
            raise
        copied = os.pwrite(target, os.pread(source, count, start), start)
    if not copied:
        raise OSError(errno.EIO, "the image has become shorter")
    return copied


def _attach(image: int) -> tuple[int, str]:
    """Return a loop device for an image, open, and its path."""
    control = os.open("/dev/loop-control", os.O_RDWR | os.O_CLOEXEC)
    try:
        for _ in range(_ATTEMPTS):
            path = f"/dev/loop{fcntl.ioctl(control, _LOOP_GET_FREE)}"
            device = os.open(path, os.O_RDWR | os.O_CLOEXEC)
            try:
                numbers = (0,) * 8
                config = _LOOP_CONFIG.pack(
                    image, 0, *numbers, _LOOP_AUTOCLEAR, b"lambent /tmp", b"", b"", 0, 0
                )
                fcntl.ioctl(device, _LOOP_CONFIGURE, config)
            except OSError as error:
                os.close(device)
                if error.errno != errno.EBUSY:
                    raise OSError(error.errno, error.strerror, path) from error
            else:
                return device, path
    finally:
        os.close(control)
    raise OSError(errno.EBUSY, "every free loop device was taken by somebody else first")


def _mount_memory(descriptors: Sequence[int], *, place: str, size_bytes: int, copy_of: str) -> None:
    """Mount a tmpfs, with the content of a directory if that is given."""
    del descriptors
    linux.mount("tmpfs", place, "tmpfs", _FLAGS, f"size={size_bytes},mode={_MODE:o}")
    if copy_of:
        try:
            copy_directory(copy_of, place)
        except OSError:
            linux.detach(place)
            raise


def _unmount(descriptors: Sequence[int], *, place: str) -> None:
    del descriptors
    linux.detach(place)


def _is_empty(descriptors: Sequence[int], *, place: str) -> bool:
    del descriptors
    return not any(Path(place).iterdir())


_ACTIONS: Mapping[str, Callable[..., bool | None]] = {
    "is empty": _is_empty,
    "format": _format,
    "image": _mount_image,
    "memory": _mount_memory,
    "unmount": _unmount,
}


def copy_directory(source: str, target: str) -> None:
    """Copy files, directories and symbolic links; no link is followed, whoever changes the source meanwhile."""
    for path, directories, files, descriptor in os.fwalk(source, follow_symlinks=False):
        into = Path(target, os.path.relpath(path, source))
        for name in (*directories, *files):
            _copy_entry(name, descriptor, into / name)
        _dress(into, os.fstat(descriptor))


def _copy_entry(name: str, directory: int, target: Path) -> None:
    found = os.stat(name, dir_fd=directory, follow_symlinks=False)
    if stat.S_ISDIR(found.st_mode):
        target.mkdir(0o700)
    elif stat.S_ISLNK(found.st_mode):
        target.symlink_to(os.readlink(name, dir_fd=directory))
    elif stat.S_ISREG(found.st_mode):
        source = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=directory)
        with os.fdopen(source, "rb") as content, target.open("xb") as copy:
            shutil.copyfileobj(content, copy)
        _dress(target, found)


def _dress(path: Path, like: os.stat_result) -> None:
    """Give a copy the owner, the mode and the times of what it is a copy of."""
    if os.geteuid() == 0:
        with contextlib.suppress(
            PermissionError
        ):  # an ordinary user is root among the spawner's children, too
            os.chown(path, like.st_uid, like.st_gid)
    path.chmod(stat.S_IMODE(like.st_mode))
    os.utime(path, ns=(like.st_atime_ns, like.st_mtime_ns))
