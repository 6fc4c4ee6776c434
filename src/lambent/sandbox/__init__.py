"""Walls: run a command where it can reach only what it was given.

This room knows Linux and knows nothing of Lambda: it starts a command with these files, these sockets, this
much memory and CPU, says how it ended, and leaves nothing behind. What the command means is the business of
the node, its only user. This file is the door; its docstrings are the contract, and
``tests/contract/test_sandbox.py`` runs one suite against both implementations:

- ``namespaces`` (`lambent.sandbox.namespaces`): the kernel's own walls, as root or as an ordinary user;
- ``process`` (`lambent.sandbox.process`): the same behaviour without walls, for machines that refuse
  namespaces.

`lambent.sandbox.probe.choose` takes one of them. The small program that forks (`lambent.sandbox.spawner`)
imports this file too, so it stays free of heavy imports.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol


class SandboxError(Exception):
    """A sandbox could not be started. Nothing of it is left behind.

    Args:
        step: the step that failed, for instance ``pivot_root`` or ``execute``.
        reason: why, in words (usually the kernel's error and the path that it concerns).
    """

    def __init__(self, step: str, reason: str) -> None:
        super().__init__(f"{step}: {reason}")
        self.step = step
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Mount:
    """A file or directory of the host that is visible inside: read-only, no set-user-id, no devices."""

    source: str
    """Absolute path on the host."""
    target: str
    """Absolute path inside; missing parents are made."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SeedlingSpec:
    """A program that is started behind walls before anybody knows what it is to run, and waits for that.

    It writes one byte to `channel` when it waits, and reads from there its order: the length of a JSON object as four
    bytes, the most significant first, then ``{"environment": {...}, "working_directory": "..."}``. From then on the
    socket is the command's, and the program is what it would be if it had been executed with these.
    """

    command: tuple[str, ...]
    """The whole command line of every fitting command."""
    environment: tuple[tuple[str, str], ...] = ()
    """Variables with which it starts."""
    fixed_variables: tuple[str, ...] = ()
    """Beginnings of the names of variables that it reads when it starts and never again: fitting commands agree in
    them with `environment`."""
    changing_variables: tuple[str, ...] = ()
    """Names that begin like that and are read later all the same."""
    channel: int
    """The number of a socket inside."""
    output: tuple[int, ...]
    """The numbers of the writing end of one pipe inside."""
    memory_bytes: int
    """`SandboxSpec.memory_bytes` of every fitting command, as the following are its other limits."""
    max_processes: int = 1024
    max_open_files: int = 1024
    max_file_bytes: int = 0
    passing: tuple[str, ...] = ()
    """As `ZygoteSpec.passing`, while it starts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ZygoteSpec:
    """What many commands have in common: a Python interpreter, started once, from which they are forked.

    A command that fits (`lambent.sandbox.nursery.fits`) is run by a copy of that interpreter instead of a new
    one: the same walls, but no time for putting them up and for starting. Copies share what the interpreter
    chose when it started, the seed of string hashes and the layout of its memory; random numbers differ.
    """

    interpreter: tuple[str, ...]
    """Program (absolute path, as seen from inside) and options: how commands that fit begin. What follows is
    a script or ``-c`` and its text, and arguments, as the interpreter itself takes them. Empty: commands are
    executed, whatever they are written in, and only their walls are put up beforehand."""
    environment: tuple[tuple[str, str], ...] = ()
    """Variables with which the interpreter starts. Commands that fit agree with them in what an interpreter
    reads at its start alone (``PYTHON*``, ``LD_*``, ``LANG``, ``LC_*`` …)."""
    modules: tuple[str, ...] = ()
    """What every fitting command imports before it looks at anything of its own: imported beforehand."""
    likely_modules: tuple[str, ...] = ()
    """Loaded beforehand too, but only seen by commands that import them and would find the same files
    (`lambent.sandbox.stash`). Both are code that all commands trust."""
    scripts: tuple[str, ...] = ()
    """Compiled beforehand; paths as seen from inside."""
    mounts: tuple[Mount, ...] = ()
    """The first of every fitting command's `SandboxSpec.mounts`."""
    hidden: tuple[str, ...] = ()
    """`SandboxSpec.hidden` of every fitting command."""
    places: tuple[str, ...] = ()
    """Empty directories on which further directories of a fitting command are mounted (``/opt`` is always
    there). Further files can only be mounted inside these."""
    passing: tuple[str, ...] = ()
    """Further empty directories, only while the interpreter starts: the C library remembers which directories of
    LD_LIBRARY_PATH are missing. Their parents are places."""
    hostname: str = "localhost"
    listen: tuple[tuple[str, int], ...] = ()
    """`SandboxSpec.listen` of every fitting command."""
    seedling: SeedlingSpec | None = None
    """What commands may be instead of executed; only without an `interpreter`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxSpec:
    """What to run, what it sees and what it may use."""

    name: str
    """Unique among the living sandboxes of this server; ``[a-z0-9-]``, at most 64 characters."""
    command: tuple[str, ...]
    """Program (absolute path, as seen from inside) and arguments."""
    environment: Mapping[str, str]
    """The whole environment of the command; nothing is added."""
    working_directory: str
    """As seen from inside."""
    tmp_directory: str
    """What becomes ``/tmp`` inside, writable: the path of a `Tmp`, or a directory of the host. It outlives the
    sandbox; the caller removes it. Without walls the command is expected to find it by its host path."""
    memory_bytes: int
    """Limit of everything in the sandbox together, swap included."""
    mounts: tuple[Mount, ...] = ()
    """Made in this order; a later target may lie inside an earlier one if the directory exists there."""
    hidden: tuple[str, ...] = ()
    """Directories inside that are covered by an empty read-only one; those that do not exist are skipped."""
    cpu_share: float = 0.0
    """CPU time per wall time, in vCPUs; 0 means no limit (for now: see `SandboxProcess.limit_cpu`)."""
    max_processes: int = 1024
    """Processes and threads together."""
    max_open_files: int = 1024
    max_file_bytes: int = 0
    """Size of each file that is written; 0 means no limit. See `Tmp.max_file_bytes`."""
    hostname: str = "localhost"
    inherited: tuple[tuple[int, int], ...] = ()
    """Pairs of (descriptor in the caller, its number inside). The caller keeps its own descriptors. 0, 1 and
    2 are ``/dev/null`` unless given; every other descriptor is closed."""
    listen: tuple[tuple[str, int], ...] = ()
    """IPv4 addresses and TCP ports to listen on inside the sandbox's own network; port 0 picks a free one.
    Where the network is the host's, each becomes ``127.0.0.1`` with a free port."""
    copies_over: int | None = None
    """The number of the socket over which a template is told to be copied. See `Sandbox.start_template`, which
    sets it; None for all other commands."""
    zygote: ZygoteSpec | None = None
    """From what the command may be forked. It is executed as ever if it does not fit, if that interpreter is
    not ready, or if the sandbox knows no such thing."""


@dataclass(frozen=True, slots=True)
class ExitStatus:
    """How the command ended: one of the two is given."""

    code: int | None = None
    """The exit code, when it exited."""
    signal: int | None = None
    """The signal that killed it (9 also when the whole sandbox was killed)."""


@dataclass(frozen=True, slots=True)
class Enforcement:
    """One promise about sandboxes, and whether this machine lets us keep it."""

    promise: str
    """For instance ``memory limit``."""
    enforced: bool
    how: str
    """By what, or why not, in a few words."""


class SandboxProcess(Protocol):
    """A command that was started, with everything that it starts in turn."""

    @property
    def listeners(self) -> tuple[socket.socket, ...]:
        """Listening, non-blocking sockets in the order of `SandboxSpec.listen`. `close` closes them."""
        ...

    @property
    def addresses(self) -> tuple[tuple[str, int], ...]:
        """Where the command reaches them, in the same order."""
        ...

    def take_given(self) -> Mapping[int, int]:
        """Return descriptors that the caller is to use, and to close, in place of its own, by their numbers inside.

        A command that had been started before its order (`SeedlingSpec`) did not inherit the caller's descriptors. It
        has a socket and a pipe, and these are their other ends. Empty for all other commands, and at later calls.
        """
        ...

    async def wait(self) -> ExitStatus:
        """Return how the command ended, once everything in the sandbox is gone.

        Any number of tasks may wait, also after the end.
        """
        ...

    def kill(self) -> None:
        """Kill everything inside at once (SIGKILL). Never raises; may be repeated."""
        ...

    def terminate(self) -> None:
        """Ask the command to end (SIGTERM to it alone). Never raises; may be repeated."""
        ...

    def limit_cpu(self, share: float) -> None:
        """Set the CPU share, in vCPUs (0: no limit). Does nothing where the promise is not enforced."""
        ...

    def set_patient(self, is_patient: bool) -> None:
        """Say whether the command waits for its turn when it wakes, or may take a processor from others at once.

        It may at first. Never raises; does nothing where this user may not decide that.
        """
        ...

    def freeze(self) -> None:
        """Stop everything inside where it stands, until `thaw`. Never raises; may be repeated.

        What is frozen can be killed, and its death is noticed. Does nothing where the promise is not enforced.
        """
        ...

    def thaw(self) -> None:
        """Let everything inside go on. Never raises; may be repeated."""
        ...

    async def connect(self, port: int) -> socket.socket:
        """Return a non-blocking connection to a TCP port of the sandbox's own 127.0.0.1, or of the host's where the
        network is that.

        A sandbox with a network of its own is reached if it listens somewhere (`SandboxSpec.listen`).

        Raises:
            ConnectionRefusedError: nothing listens there, as far as can be told now.
            SandboxError: the sandbox is gone, or cannot be reached.
        """
        ...

    def peak_memory_bytes(self) -> int:
        """Return the most memory used so far by everything inside; file cache is not counted where it can be
        told.

        The last value stays available after `close`.
        """
        ...

    def out_of_memory(self) -> bool:
        """Return whether the kernel has killed something inside because the memory limit was reached."""
        ...

    async def close(self) -> None:
        """Kill, reap and remove everything but the tmp directory. May be repeated."""
        ...


class Template(Protocol):
    """A command that has been started, has loaded what it needs, and is copied instead of going on.

    It waits in a call of `COPY`, which returns in the copies.
    """

    @property
    def process(self) -> SandboxProcess:
        """The template itself."""
        ...

    async def wait_copyable(self) -> None:
        """Return when the command waits to be copied.

        Raises:
            SandboxError: it cannot be copied, and has ended: it has threads, or something open that copies could
                neither share nor have one each of. The reason says what.
        """
        ...

    async def copy(self, spec: SandboxSpec) -> SandboxProcess:
        """Start a copy, in a sandbox of its own, and return when it runs.

        Args:
            spec: the template's, but for ``name``, ``tmp_directory``, ``inherited`` (other descriptors for the same
                numbers) and ``environment``: what differs from the template's is set or removed.

        Raises:
            SandboxError: with the step that failed; nothing is left behind.
        """
        ...

    @property
    def is_copied(self) -> bool:
        """Whether a copy lives."""
        ...

    async def close(self) -> None:
        """Make no more copies. The template ends with its last copy, because those could not go on without it."""
        ...


COPY = "copy_this_process"
"""The name under which a template's main module finds the function to call when it can be copied. It takes nothing
and returns nothing, in copies only; what it was before in memory and on disk is what it is then."""


class Tmp(Protocol):
    """A directory that becomes ``/tmp`` of one sandbox after another, and keeps its content in between."""

    @property
    def path(self) -> str:
        """For `SandboxSpec.tmp_directory`. What lies there on the host may be empty: ask inside."""
        ...

    @property
    def max_file_bytes(self) -> int:
        """For `SandboxSpec.max_file_bytes`: a size that is not enforced as a whole is for each file. Else 0."""
        ...

    async def close(self) -> None:
        """Remove it with its content; no sandbox may use it any more. Never raises; may be repeated."""
        ...


class Sandbox(Protocol):
    """Something that starts commands inside walls (or says which walls it lacks)."""

    @property
    def kind(self) -> str:
        """``namespaces`` or ``process``."""
        ...

    @property
    def enforcement(self) -> tuple[Enforcement, ...]:
        """Every promise and whether it is kept here. Complete after `open`."""
        ...

    @property
    def task_paths_are_virtual(self) -> bool:
        """Whether `Mount.target` exists inside. If not, no mounts are made and commands use host paths."""
        ...

    async def open(self) -> None:
        """Start the spawner, the small program that forks every sandbox.

        Raises:
            SandboxError: the machine does not allow it.
        """
        ...

    def prepare(self, zygote: ZygoteSpec) -> None:
        """Begin to make commands of this kind start faster. Returns at once, never raises; may be repeated."""
        ...

    async def make_tmp(self, size_bytes: int, *, copy_of: Tmp | None = None) -> Tmp:
        """Return a new, empty directory for `SandboxSpec.tmp_directory`; the caller closes it.

        `enforcement` says whether its size is limited here. None survives the server, whatever ends that.

        Args:
            size_bytes: how much it can hold.
            copy_of: another one of this sandbox and of this size: the new one begins with its content, which is
                not to change any more from the first copy on.

        Raises:
            SandboxError: it cannot be made; nothing is left behind.
        """
        ...

    async def start(self, spec: SandboxSpec) -> SandboxProcess:
        """Start a command; return when it has been executed.

        Cancelling is safe: nothing is left behind. A spawner that died is started again.

        Raises:
            SandboxError: with the step that failed; nothing is left behind.
        """
        ...

    async def start_template(self, spec: SandboxSpec) -> Template:
        """Start a command that is to be copied; return when it has been started.

        Raises:
            SandboxError: also with step ``template`` where there are no copies: without walls, or of commands that
                do not fit their zygote.
        """
        ...

    async def close(self) -> None:
        """Kill every sandbox and stop the spawner. May be repeated."""
        ...
