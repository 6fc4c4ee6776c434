"""The sandbox without walls, for machines that refuse namespaces.

The same door and the same behaviour as `lambent.sandbox.namespaces`, except that the command sees the host:
its files, processes, memory and network. `enforcement` says so for each promise. Commands are forked by the
same spawner, which keeps forks out of the server and lets nothing survive it.
"""

from __future__ import annotations

from pathlib import Path

from lambent.sandbox import Enforcement, SandboxSpec
from lambent.sandbox.cgroup import SandboxCgroup
from lambent.sandbox.launched import LaunchedProcess
from lambent.sandbox.launching import FROZEN, Launching
from lambent.sandbox.order import CgroupOrder


class ProcessSandbox(Launching):
    """See `lambent.sandbox.Sandbox`."""

    kind = "process"
    task_paths_are_virtual = False

    def __init__(self, *, run_dir: Path, reason: str = "the process sandbox has no walls") -> None:
        """Prepare.

        Args:
            run_dir: directory of this server's passing things.
            reason: why there are no walls, for `enforcement`.
        """
        super().__init__(mode="plain", network="host", root="/", run_dir=run_dir)
        self._reason = reason

    @property
    def enforcement(self) -> tuple[Enforcement, ...]:
        """See `Sandbox.enforcement`."""
        return (
            Enforcement("files of the host are out of reach", False, self._reason),
            Enforcement("processes of the host are out of reach", False, self._reason),
            Enforcement("network of the host is out of reach", False, self._reason),
            Enforcement("no privileges", False, "the command runs as the server's user"),
            Enforcement("system calls are filtered", False, self._reason),
            Enforcement("memory limit", False, "not limited; the peak is measured"),
            Enforcement("CPU limit", False, "not limited"),
            Enforcement("process limit", False, "not limited"),
            self._tmps.enforcement,
            Enforcement(FROZEN, False, self._reason),
            Enforcement("open files limit", True, "RLIMIT_NOFILE"),
            Enforcement("nothing outlives its sandbox", True, "a monitor adopts and kills descendants"),
        )

    def _cgroup_orders(self, spec: SandboxSpec, name: str) -> tuple[CgroupOrder, ...]:
        del spec, name
        return ()

    def _process(self, spec: SandboxSpec) -> LaunchedProcess:
        del spec
        return LaunchedProcess(cgroup=SandboxCgroup((), ""), has_builder=False)
