"""The file tree of a sandbox: what of the host is visible in it, and how.

Built by the launching process in a mount namespace of its own, while it still has the rights to reach every
source; the root is a small tmpfs, everything on it a read-only bind. Targets are resolved inside the new root
only, because what was mounted earlier may contain symbolic links that a function's author chose.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from lambent.sandbox import Mount, ZygoteSpec, linux, resolvers
from lambent.sandbox.order import Order, step

USER_ID, GROUP_ID, USER_NAME = 993, 990, "sbx_user1051"
"""Who runs the command, in Lambda's numbers and words."""

_SYSTEM = (
    "/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/nix/store", "/gnu/store"
)  # fmt: skip
_SHM, _TMP = "/dev/shm", "/tmp"  # noqa: S108 - the names inside
_EMPTY = (_SHM, "/home", "/mnt", "/opt", "/proc", "/run", "/srv", _TMP, "/var")
_DEVICES = ("null", "zero", "full", "random", "urandom")
_DEVICE_LINKS: Mapping[str, str] = {
    "fd": "/proc/self/fd",
    "stdin": "/proc/self/fd/0",
    "stdout": "/proc/self/fd/1",
    "stderr": "/proc/self/fd/2",
}
_ETC_OF_HOST = (
    "/etc/alternatives", "/etc/ca-certificates/extracted", "/etc/crypto-policies", "/etc/ld.so.cache",
    "/etc/localtime", "/etc/mime.types", "/etc/pki/ca-trust/extracted", "/etc/pki/tls/cert.pem",
    "/etc/pki/tls/certs", "/etc/pki/tls/openssl.cnf", "/etc/ssl/cert.pem", "/etc/ssl/certs",
    "/etc/ssl/openssl.cnf",
)  # fmt: skip
_UNSEEN_IN_PROC = ("kcore", "keys", "kmsg", "sysrq-trigger", "timer_list")
_SHM_BYTES = 64 * 1024 * 1024
_ROOT_BYTES = 1024 * 1024
_PACKAGE_PLACE = "/mnt"
_FLAGS = linux.MS_NOSUID | linux.MS_NODEV
_READ_ONLY = linux.MOUNT_ATTR_RDONLY | linux.MOUNT_ATTR_NOSUID | linux.MOUNT_ATTR_NODEV


def build(order: Order) -> None:
    """Build the tree of an order and make it the root of this mount namespace.

    Raises:
        StepFailedError: with the step that failed.
    """
    with _new_root(order.root) as tree:
        _show_host(tree, order)
        with step("tmp"):
            tree.bind(order.spec.tmp_directory, _TMP)
            attributes = linux.MOUNT_ATTR_NOSUID | linux.MOUNT_ATTR_NODEV
            linux.set_mount_attributes(order.root + _TMP, attributes)
        _mount_shm(tree, order.spec.memory_bytes)


def build_base(order: Order, zygote: ZygoteSpec, package: Mount) -> None:
    """Build the tree of a zygote: all of a sandbox's but what differs between the commands forked from it.

    Args:
        order: has the zygote's mounts and no tmp directory.
        zygote: names the places of later mounts.
        package: our own code, for the zygote alone (`forget_passing`).
    """
    with _new_root(order.root) as tree:
        with step("places"):
            for place in zygote.places:
                os.close(tree.place(place, is_directory=True))
        _show_host(tree, order)
        with step("package"):
            tree.mount("tmpfs", _PACKAGE_PLACE, _FLAGS, f"size={_ROOT_BYTES},mode=755")
            inside = Path(order.root + package.target)
            inside.mkdir()
            linux.mount(package.source, str(inside), None, linux.MS_BIND | linux.MS_REC)
            linux.set_mount_attributes(str(inside), _READ_ONLY)
        with step("passing"):
            for path in zygote.passing:
                tree.mount("tmpfs", os.path.dirname(path), _FLAGS, f"size={_ROOT_BYTES},mode=755")  # noqa: PTH120
                Path(order.root + path).mkdir()


def package_mount() -> Mount:
    """Return where a zygote finds the package that this file belongs to."""
    own = Path(__file__).resolve().parents[1]
    return Mount(str(own), f"{_PACKAGE_PLACE}/{own.name}")


def forget_passing(zygote: ZygoteSpec) -> None:
    """Take away again, once everything is loaded, what is only there for that: our own code among it."""
    for path in zygote.passing:
        linux.detach(os.path.dirname(path))  # noqa: PTH120
    linux.detach(_PACKAGE_PLACE)


def clone_trees(mounts: Iterable[Mount], tmp_directory: str) -> list[int]:
    """Return descriptors of mounts that `attach` attaches elsewhere: the host's side of completing a base."""
    trees: list[int] = []
    try:
        for source, target, attributes in (
            *((mount.source, mount.target, _READ_ONLY) for mount in mounts),
            (tmp_directory, _TMP, linux.MOUNT_ATTR_NOSUID | linux.MOUNT_ATTR_NODEV),
        ):
            with _naming(source, target):
                trees.append(linux.clone_tree(source, attributes))
    except OSError:
        for tree in trees:
            os.close(tree)
        raise
    return trees


def attach(trees: Sequence[int], order: Order) -> None:
    """Complete this process's copy of a base with what an order adds to it; closes the trees."""
    with _own_root() as tree:
        _attach_all(tree, trees, order)
        _mount_shm(tree, order.spec.memory_bytes)
        _hide_all(tree, order)


def share(passing: Sequence[str] = ()) -> None:
    """Prepare this process's copy of a base for a process that is cloned before its order.

    What `attach_later` will mount here appears in mount namespaces that are cloned from this one, locked there as
    everything is that comes from outside.

    Args:
        passing: directories that the command finds while it starts.
    """
    with _own_root() as tree:
        _mount_shm(tree, _SHM_BYTES)
        with step("passing"):
            for path in passing:
                tree.mount("tmpfs", os.path.dirname(path), _FLAGS, "size=4k,mode=755")  # noqa: PTH120
                Path(path).mkdir()
        with step("shared_mounts"):
            linux.mount(None, "/", None, linux.MS_REC | linux.MS_SHARED)


def attach_later(trees: Sequence[int], order: Order, passing: Sequence[str] = ()) -> None:
    """Complete what `share` has prepared, for a process that is there already; closes the trees."""
    covered = {mount.target for mount in order.spec.mounts}
    with _own_root() as tree:
        _attach_all(tree, trees, order)
        _limit_shm(order.spec.memory_bytes)
        with step("passing"):
            for place in {os.path.dirname(path) for path in passing} - covered:  # noqa: PTH120
                _hide(tree, place)
        _hide_all(tree, order)


@contextmanager
def _own_root() -> Generator[_Tree]:
    """Give the tree that this process lives in."""
    root = os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield _Tree(root)
    finally:
        os.close(root)


def _attach_all(tree: _Tree, trees: Sequence[int], order: Order) -> None:
    targets = (*order.spec.mounts, Mount(order.spec.tmp_directory, _TMP))
    with step("mounts"):
        for descriptor, mount in zip(trees, targets, strict=True):
            tree.attach(descriptor, mount)
            os.close(descriptor)


@contextmanager
def _new_root(root: str) -> Generator[_Tree]:
    """Give an empty tree to fill, and make it this mount namespace's root afterwards."""
    with step("private_mounts"):
        linux.mount(None, "/", None, linux.MS_REC | linux.MS_PRIVATE)
    with step("root"):
        linux.mount("tmpfs", root, "tmpfs", _FLAGS, f"size={_ROOT_BYTES},mode=755")
        descriptor = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    yield _Tree(descriptor)
    with step("pivot_root"):
        os.close(descriptor)
        os.chdir(root)
        linux.pivot_root(".", ".")
        linux.detach(".")
        os.chdir("/")


def _show_host(tree: _Tree, order: Order) -> None:
    """Show what of the host is visible, all of it read-only, and a /proc."""
    with step("system"):
        for path in _SYSTEM:
            _show_system(tree, path)
        for path in (*_EMPTY, *(f"/dev/{name}" for name in _DEVICES)):
            os.close(tree.place(path, is_directory=path in _EMPTY))
        for name, target in _DEVICE_LINKS.items():
            tree.link(f"/dev/{name}", target)
    with step("etc"):
        for path in _ETC_OF_HOST:
            if Path(path).exists():
                tree.bind(path, path)
        for path, text in etc_files(order).items():
            tree.write(path, text)
    with step("mounts"):
        for mount in order.spec.mounts:
            tree.bind(mount.source, mount.target)
    with step("read_only"):
        linux.set_mount_attributes(order.root, _READ_ONLY)
    with step("devices"):
        for name in _DEVICES:
            tree.bind(f"/dev/{name}", f"/dev/{name}")
            attributes = linux.MOUNT_ATTR_RDONLY | linux.MOUNT_ATTR_NOSUID
            linux.set_mount_attributes(f"{order.root}/dev/{name}", attributes, recursive=False)
    _hide_all(tree, order)
    with step("proc"):
        # Another one follows inside; the kernel asks for a visible one before it grants that.
        tree.mount("proc", "/proc", _FLAGS | linux.MS_NOEXEC)


def _mount_shm(tree: _Tree, memory_bytes: int) -> None:
    with step("shm"):
        tree.mount("tmpfs", _SHM, _FLAGS, f"size={min(_SHM_BYTES, memory_bytes)},mode=1777")


def _limit_shm(memory_bytes: int) -> None:
    """Make what is mounted there no larger than a command's memory."""
    if memory_bytes < _SHM_BYTES:
        with step("shm"):
            linux.mount(None, _SHM, None, _FLAGS | linux.MS_REMOUNT, f"size={memory_bytes}")


def mount_inner_proc() -> None:
    """Mount the new process namespace's /proc and cover the files that tell about the machine.

    Called by process 1, the owner of that namespace, after `build`.
    """
    flags = linux.MS_NOSUID | linux.MS_NODEV | linux.MS_NOEXEC
    linux.mount("proc", "/proc", "proc", flags)
    for name in _UNSEEN_IN_PROC:
        if Path(f"/proc/{name}").exists():
            linux.mount("/dev/null", f"/proc/{name}", None, linux.MS_BIND)


def etc_files(order: Order) -> dict[str, str]:
    """Return the small files that a sandbox has instead of the host's."""
    hostname = order.spec.hostname
    nobody = 65534
    return {
        "/etc/passwd": f"root:x:0:0:root:/root:/sbin/nologin\n"
        f"{USER_NAME}:x:{USER_ID}:{GROUP_ID}::/home/{USER_NAME}:/sbin/nologin\n"
        f"nobody:x:{nobody}:{nobody}:nobody:/:/sbin/nologin\n",
        "/etc/group": f"root:x:0:\n{USER_NAME}:x:{GROUP_ID}:\nnogroup:x:{nobody}:\n",
        "/etc/hosts": f"127.0.0.1 localhost {hostname}\n",
        "/etc/hostname": f"{hostname}\n",
        "/etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
        "/etc/resolv.conf": resolvers.of(order.network),
    }


class _Tree:
    """The tree under construction. Paths are absolute inside it and cannot lead out."""

    def __init__(self, root: int) -> None:
        self._root = root
        self._device = os.fstat(root).st_dev

    def place(self, path: str, *, is_directory: bool) -> int:
        """Return a descriptor of an existing file or directory, made with its parents if necessary.

        Raises:
            OSError: it does not exist and lies inside a mount, where nothing is made.
        """
        with contextlib.suppress(FileNotFoundError):
            return linux.open_in_root(self._root, path)
        parent = self._parent(path)
        try:
            if is_directory:
                os.mkdir(os.path.basename(path), 0o755, dir_fd=parent)  # noqa: PTH119
            else:
                os.close(self._create(path, parent))
        finally:
            os.close(parent)
        return linux.open_in_root(self._root, path)

    def has(self, path: str) -> bool:
        """Return whether there is something at a path."""
        try:
            os.close(linux.open_in_root(self._root, path))
        except (FileNotFoundError, NotADirectoryError):
            return False
        return True

    def bind(self, source: str, target: str) -> None:
        """Make a file or directory of the host visible, with everything mounted below it."""
        is_directory = stat.S_ISDIR(os.stat(source).st_mode)  # noqa: PTH116 - raises with the path, as wanted
        with self._opened(target, is_directory=is_directory) as place, _naming(source, target):
            linux.mount(source, place, None, linux.MS_BIND | linux.MS_REC)

    def attach(self, detached: int, mount: Mount) -> None:
        """Attach a mount that `linux.clone_tree` has copied from the host."""
        place = self.place(mount.target, is_directory=True)
        try:
            with _naming(mount.source, mount.target):
                linux.attach_tree(detached, place)
        finally:
            os.close(place)

    def mount(self, filesystem: str, target: str, flags: int, options: str | None = None) -> None:
        """Mount a new filesystem."""
        with self._opened(target, is_directory=True) as place, _naming(filesystem, target):
            linux.mount(filesystem, place, filesystem, flags, options)

    @contextmanager
    def _opened(self, target: str, *, is_directory: bool) -> Generator[str]:
        """Give a path for mount(2) that leads to the place itself, whatever links its name contains."""
        descriptor = self.place(target, is_directory=is_directory)
        try:
            yield f"/proc/self/fd/{descriptor}"
        finally:
            os.close(descriptor)

    def link(self, path: str, target: str) -> None:
        """Make a symbolic link."""
        parent = self._parent(path)
        os.symlink(target, os.path.basename(path), dir_fd=parent)  # noqa: PTH119 - pathlib has no dir_fd
        os.close(parent)

    def write(self, path: str, text: str) -> None:
        """Make a small file."""
        parent = self._parent(path)
        descriptor = self._create(path, parent)
        os.write(descriptor, text.encode())
        os.close(descriptor)
        os.close(parent)

    def _parent(self, path: str) -> int:
        parent = self.place(os.path.dirname(path), is_directory=True)  # noqa: PTH120
        if os.fstat(parent).st_dev != self._device:
            os.close(parent)
            raise FileNotFoundError(2, "does not exist in the mount around it", path)
        return parent

    @staticmethod
    def _create(path: str, parent: int) -> int:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        return os.open(os.path.basename(path), flags, 0o644, dir_fd=parent)  # noqa: PTH119


@contextmanager
def _naming(source: str, target: str) -> Generator[None]:
    """Name what was to be mounted in the error, instead of a descriptor."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, os.strerror(error.errno or 0), f"{source} on {target}") from error


def _show_system(tree: _Tree, path: str) -> None:
    """Show a directory of the host's system; a link (of a merged /usr) stays a link."""
    source = Path(path)
    if source.is_symlink():
        tree.link(path, str(source.readlink()))
    elif source.is_dir():
        tree.bind(path, path)


def _hide_all(tree: _Tree, order: Order) -> None:
    with step("hidden"):
        for path in order.spec.hidden:
            _hide(tree, path)


def _hide(tree: _Tree, path: str) -> None:
    """Cover a directory if there is one; nothing is made to be covered."""
    if tree.has(path):
        flags = linux.MS_RDONLY | linux.MS_NOSUID | linux.MS_NODEV
        tree.mount("tmpfs", path, flags, "size=4k,mode=755")
