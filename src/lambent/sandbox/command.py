"""The last steps of a launch, and what the launcher does while the command runs.

Shared by both kinds of sandbox: prepare a child's descriptors, directory and signals, execute the command,
reap, report how it ended. Runs in a single-threaded process of its own (process 1 of a sandbox, or the
monitor of a command without walls) and ends in `os._exit`.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import resource
import signal
import socket
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

from lambent.sandbox import SandboxSpec, linux
from lambent.sandbox.order import StepFailedError, report, step

Orders = Callable[[], tuple[SandboxSpec, Sequence[int]]]
"""What a child calls to learn what it is to become: takes the last steps before that, and returns the spec and the
descriptors in the order of ``spec.inherited``."""
Become = Callable[[SandboxSpec, int], NoReturn]
"""The last step of the command's process: gets the spec and the descriptor on which a failure can be told; every
other descriptor is as the command is to find it, or closes when a program is executed."""

_OUT_OF_MEMORY_SCORE = 500
_LOCKED_MEMORY_BYTES = 64 * 1024


LOOK = signal.SIGUSR1
"""To a process 1 that obeys (`obey`): there is a word for it on its report socket."""
STOP, CONTINUE = b"stop", b"continue"
_WORDS = {STOP: signal.SIGSTOP, CONTINUE: signal.SIGCONT}


def obey(channel: socket.socket) -> None:
    """Let this process 1 stop and continue everything else in its namespace when it is told so.

    For machines without a control group that does it. The signal alone says nothing: the command may send it, too.
    """

    def look(*_: object) -> None:
        with contextlib.suppress(BlockingIOError, ProcessLookupError):
            while word := channel.recv(len(CONTINUE), socket.MSG_DONTWAIT):
                os.kill(-1, _WORDS[word])

    signal.signal(LOOK, look)


def prefer_as_victim() -> None:
    """Let the kernel kill sandboxes before the server when the whole machine runs out of memory."""
    Path("/proc/self/oom_score_adj").write_text(str(_OUT_OF_MEMORY_SCORE), encoding="ascii")


def limit_resources(spec: SandboxSpec, *, processes: bool, data_bytes: int | None) -> None:
    """Set the resource limits that the command inherits.

    Args:
        spec: has the numbers.
        processes: whether to limit the user's processes (only where the user is the sandbox's own).
        data_bytes: limit of each process's data segment; None leaves it.
    """
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_NOFILE, spec.max_open_files)
    _limit(resource.RLIMIT_MEMLOCK, _LOCKED_MEMORY_BYTES)
    if spec.max_file_bytes:
        _limit(resource.RLIMIT_FSIZE, spec.max_file_bytes)
    if processes:
        _limit(resource.RLIMIT_NPROC, spec.max_processes + 1)  # process 1 is ours
    if data_bytes is not None:
        _limit(resource.RLIMIT_DATA, data_bytes)


def _limit(kind: int, value: int) -> None:
    _, hard = resource.getrlimit(kind)
    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(kind, (value, value))


# No error: it unwinds the stack, past every handler of errors.
class Became(BaseException):
    """This process is the command now, without an executed program: who forked it takes over, above."""

    def __init__(self, spec: SandboxSpec) -> None:
        super().__init__()
        self.spec = spec


def start(
    channel: socket.socket,
    orders: Orders,
    passed: Sequence[int],
    *,
    meanwhile: Callable[[], None],
    become: Become,
) -> int:
    """Fork and become the command; report ``started`` with its pidfd and return its pid.

    Args:
        channel: the report socket.
        orders: tells the child what to execute, now or later.
        passed: descriptors that are the child's: closed here.
        meanwhile: what this process does while the child waits for its orders and follows them.
        become: how the child becomes the command.

    Raises:
        StepFailedError: the command was not executed; the child is gone.
        Became: in the child, if `become` raises it.
    """
    executed, failed = os.pipe2(os.O_CLOEXEC)
    pid = os.fork()
    if pid == 0:
        os.close(executed)
        _be_command(channel, orders, failed, become=become)
    for descriptor in (failed, *passed):
        os.close(descriptor)
    meanwhile()
    reason = os.read(executed, 4096)  # ends without bytes when a successful exec closes the other end
    os.close(executed)
    if reason:
        os.waitpid(pid, 0)
        name, _, text = reason.decode(errors="replace").partition("\0")
        raise StepFailedError(name, text)
    pidfd = os.pidfd_open(pid)
    report(channel, "started", [pidfd])
    os.close(pidfd)
    return pid


def _be_command(channel: socket.socket, orders: Orders, failed: int, *, become: Become) -> NoReturn:
    try:
        with step("session"):
            os.setsid()
            os.umask(0o022)
        spec, inherited = orders()
        with step("working_directory"):
            os.chdir(spec.working_directory)
        with step("descriptors"):
            channel.detach()  # its number may be another descriptor's soon
            failed = arrange(spec, inherited, failed)
        become(spec, failed)
    except Became:
        raise
    except BaseException as error:
        if isinstance(error, StepFailedError):
            os.write(failed, f"{error.step}\0{error.reason}".encode(errors="replace")[:4096])
    os._exit(127)


def execute(spec: SandboxSpec, failed: int) -> NoReturn:
    """Become the command by executing its program. See `Become`."""
    del failed  # closes by itself
    with step("execute"):
        _default_signals()
        os.execve(spec.command[0], spec.command, dict(spec.environment))  # noqa: S606 - no shell on purpose


def arrange(spec: SandboxSpec, inherited: Sequence[int], failed: int) -> int:
    """Give the inherited descriptors their numbers, close everything else at exec; return `failed`'s new
    number."""
    null = os.open("/dev/null", os.O_RDWR)
    wanted = dict.fromkeys((0, 1, 2), null) | {
        inside: inherited[position] for position, (_, inside) in enumerate(spec.inherited)
    }
    # First move all of them out of the way: a source may sit on a number that another one wants.
    floor = max(wanted) + 1
    failed = fcntl.fcntl(failed, fcntl.F_DUPFD, floor)
    moved = {inside: fcntl.fcntl(source, fcntl.F_DUPFD, floor) for inside, source in wanted.items()}
    for inside, source in moved.items():
        os.dup2(source, inside)
    linux.close_all_on_exec()
    for inside in moved:
        os.set_inheritable(inside, True)
    return failed


def _default_signals() -> None:
    """Undo what the interpreter ignores (SIGPIPE, SIGXFSZ) and the spawner blocks or ignores (SIGCHLD)."""
    for number in range(1, signal.NSIG):
        if number not in (signal.SIGKILL, signal.SIGSTOP) and signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
    linux.restore_reserved_signals()
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def reap_until_end(pid: int) -> tuple[int, int]:
    """Reap every child until the command ends; return its raw wait status and its peak memory in bytes."""
    while True:
        child, status, usage = os.wait4(-1, 0)
        if child == pid:
            return status, usage.ru_maxrss * 1024
