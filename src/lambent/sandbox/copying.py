"""Copies of a running command: how one process becomes many sandboxes.

A *template* is a command that was forked from a zygote, has loaded code of its own and waits to be copied: it calls
the `Copier` that it finds among its globals (`lambent.sandbox.interpreter.run`), and the call returns in the copies
alone. A copy has everything of the template's memory and nothing else in common with it or with other copies: it
has namespaces, control groups, a /tmp and a network of its own, and what the template had open is renewed
(`lambent.sandbox.belongings`).

The code in a template is the user's, so a template is a sandbox like any other, but for one thing: it keeps two
capabilities in its own user namespace, where they reach nothing of the host's, and may call what copies need to move
into new namespaces (`lambent.sandbox.seccomp.FOR_TEMPLATES`). Copies give up both before they run.

Each copy is two processes, as every sandbox: process 1, forked here and never returning to the user's code, and
process 2, the command. A template outlives its copies: their process namespaces lie in its own.
"""

from __future__ import annotations

import contextlib
import gc
import os
import select
import signal
import socket
import sys
import warnings
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

from lambent.sandbox import SandboxSpec, belongings, cgroup, command, linux, mounts, stem, walls
from lambent.sandbox.order import Order, StepFailedError, receive, receive_order, report, step

_HOST_NETWORK = "host"
_ALONE = "none"
"""The kind of network to begin with: whoever has a link to the outside is linked by the spawner."""


class Copier:
    """Copies the process that calls it."""

    def __init__(self, spec: SandboxSpec, *, network: str, program: bytes) -> None:
        """Prepare.

        Args:
            spec: the template's.
            network: `Order.network`.
            program: the seccomp filter of every sandbox.
        """
        assert spec.copies_over is not None, "only templates are copied"
        self._spec = spec
        self._network = network
        self._program = program
        self._control = spec.copies_over
        self._belongings: Sequence[belongings.Belonging] = ()
        self._process_namespace = -1
        self._copies: dict[int, int] = {}  # pid of a process 1, by its pidfd

    def __call__(self) -> None:
        """Wait to be copied, for ever; return in each copy.

        A template that cannot be copied says why to the server, and ends.
        """
        control = socket.socket(fileno=self._control)
        try:
            own = {0, 1, 2, self._control, *(inside for _, inside in self._spec.inherited)}
            _refuse_threads()
            self._belongings = belongings.survey(own)
            _refuse_processes()
            self._process_namespace = os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
        except (belongings.UnfitError, OSError) as error:
            report(control, "refused", reason=str(error))
            os._exit(0)
        gc.collect()
        gc.freeze()  # what is never written is never copied
        report(control, "copyable")
        self._serve(control)

    def _serve(self, control: socket.socket) -> None:
        """Fork for every report socket that arrives, until the server wants no more; return in a copy."""
        poll = select.poll()
        poll.register(control, select.POLLIN)
        while True:
            for descriptor, _ in poll.poll():
                if descriptor != self._control:
                    poll.unregister(descriptor)
                    self._reap(descriptor)
                    continue
                message, descriptors = receive(control)
                if not message:
                    os._exit(0)
                pidfd = self._fork(descriptors)
                if pidfd is None:
                    control.close()
                    return
                poll.register(pidfd, select.POLLIN)

    def _reap(self, pidfd: int) -> None:
        pid = self._copies.pop(pidfd)
        with contextlib.suppress(ChildProcessError):  # the user's code lets the kernel reap
            os.waitpid(pid, 0)
        os.close(pidfd)

    def _fork(self, descriptors: Sequence[int]) -> int | None:
        """Fork a copy; return the pidfd of its process 1, and None in its process 2."""
        with _capable():
            linux.unshare(linux.CLONE_NEWPID)
        pid = _fork_quietly()
        if pid == 0:
            self._be_process_1(descriptors)
            return None
        with _capable():
            linux.enter_namespace(self._process_namespace, linux.CLONE_NEWPID)
        for descriptor in descriptors:
            os.close(descriptor)
        pidfd = os.pidfd_open(pid)
        self._copies[pidfd] = pid
        return pidfd

    def _be_process_1(self, descriptors: Sequence[int]) -> None:
        """Be process 1 of a copy; return in process 2."""
        for descriptor in (self._process_namespace, *self._copies):
            os.close(descriptor)
        channel = socket.socket(fileno=descriptors[0])
        try:
            self._get_ready(channel, descriptors[1:])
            order, (trees, *inherited) = receive_order(channel)
            pid = self._start(channel, order, trees, inherited)
        except EOFError:
            os._exit(0)  # not needed after all
        except BaseException as error:
            if isinstance(error, StepFailedError):
                report(channel, "failed", step=error.step, reason=error.reason)
            os._exit(1)
        if pid:
            _watch(channel, pid)
        channel.close()

    def _get_ready(self, channel: socket.socket, groups: Sequence[int]) -> None:
        """Take every step that does not depend on the copy's order."""
        with step("order"):
            pidfd = os.pidfd_open(os.getpid())
            report(channel, "enclosed", [pidfd])
            os.close(pidfd)
        with step("cgroup"):
            cgroup.enter(groups)
        linux.set_capabilities(effective=walls.KEPT_BY_TEMPLATES, permitted=walls.KEPT_BY_TEMPLATES)
        with step("cgroup_namespace"):
            linux.unshare(linux.CLONE_NEWCGROUP)
        kind = _HOST_NETWORK if self._network == _HOST_NETWORK else _ALONE
        walls.enter_namespaces(
            channel, self._spec.hostname, self._spec.listen, network_kind=kind, outbound=None
        )
        with step("inner_proc"):
            mounts.mount_inner_proc()
        with step("network"):
            network = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
            report(channel, "parked", [network])
            os.close(network)

    def _start(self, channel: socket.socket, order: Order, trees: int, inherited: Sequence[int]) -> int:
        """Complete the sandbox, give up every right and fork process 2; return its pid, or 0 in it."""
        mounts.attach(stem.receive_trees(trees), order)
        with step("belongings"):
            os.chdir(os.getcwd())  # noqa: PTH109 - what is there now under the same name
            for belonging in self._belongings:
                belonging.renew()
        with step("privileges"):
            linux.drop_capabilities()
            linux.forbid_inspection()
        with step("seccomp"):
            linux.filter_system_calls(self._program)
        # The handlers are the user's, for process 2 alone, and that may send signals at once.
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        with step("fork"):
            pid = _fork_quietly()
        if pid == 0:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            self._be_command(order.spec, inherited)
            return 0
        _default_signals()
        for descriptor in inherited:
            os.close(descriptor)
        pidfd = os.pidfd_open(pid)
        report(channel, "started", [pidfd])
        os.close(pidfd)
        return pid

    def _be_command(self, spec: SandboxSpec, inherited: Sequence[int]) -> None:
        """Be process 2: take the descriptors and variables that are this copy's own."""
        try:
            linux.permit_inspection()
            os.setsid()
            for position, inside in spec.inherited:
                os.dup2(inherited[position], inside, inheritable=os.get_inheritable(inside))
            for descriptor in inherited:
                os.close(descriptor)
            _change_environment(self._spec.environment, spec.environment)
        except BaseException:
            os._exit(127)


def _change_environment(before: Mapping[str, str], after: Mapping[str, str]) -> None:
    """Set what differs between two specs; what the command has changed itself stays as it is."""
    for name in before.keys() - after.keys():
        os.environ.pop(name, None)
    for name, value in after.items():
        if before.get(name) != value:
            os.environ[name] = value


def _refuse_threads() -> None:
    """Refuse to be copied with threads, which a fork does not copy.

    Libraries that look after themselves (OpenBLAS) end theirs when they are asked whether a fork may come.

    Raises:
        UnfitError: some are left.
    """
    if (count := len(sys._current_frames())) > 1:  # pyright: ignore[reportPrivateUsage]
        raise belongings.UnfitError(f"{count - 1} threads of the function are running")
    pid = _fork_quietly()
    if pid == 0:
        os._exit(0)
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, 0)
    if (count := len(list(Path("/proc/self/task").iterdir()))) > 1:
        raise belongings.UnfitError(f"{count - 1} threads of a library are running")


def _refuse_processes() -> None:
    """Refuse to be copied with processes of its own, which would stay behind with the template.

    Raises:
        UnfitError: some are running.
    """
    for directory in Path("/proc").iterdir():
        if not directory.name.isdigit() or int(directory.name) in (1, os.getpid()):
            continue
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            name, _, rest = (directory / "stat").read_text(errors="replace").partition("(")[2].rpartition(")")
            if rest.split()[0] not in "ZX":
                raise belongings.UnfitError(f"a process that the function has started is running ({name})")


def _fork_quietly() -> int:
    """Fork without a warning about threads: whether there are any has been looked at."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return os.fork()


@contextmanager
def _capable() -> Generator[None]:
    linux.set_capabilities(effective=walls.KEPT_BY_TEMPLATES, permitted=walls.KEPT_BY_TEMPLATES)
    try:
        yield
    finally:
        linux.set_capabilities(effective=0, permitted=walls.KEPT_BY_TEMPLATES)


def _watch(channel: socket.socket, pid: int) -> NoReturn:
    """Reap, and report how the command ended."""
    command.obey(channel)
    status, peak_bytes = command.reap_until_end(pid)
    report(channel, "exited", status=status, peak_bytes=peak_bytes)
    os._exit(0)


def _default_signals() -> None:
    """Take the default action for every signal, which for a process 1 is none, and block none."""
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        with contextlib.suppress(OSError, ValueError):
            signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
