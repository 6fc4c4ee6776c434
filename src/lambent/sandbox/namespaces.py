"""The sandbox behind the kernel's walls: namespaces, control groups, no capabilities, a system call filter.

The asyncio side of it. What is built, in which order and why, is in `lambent.sandbox.walls`; this file knows
what the machine allows (control groups, root or not) and says so.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import os
import socket
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from lambent.sandbox import (
    Enforcement,
    SandboxError,
    SandboxProcess,
    SandboxSpec,
    Template,
    ZygoteSpec,
    pasta,
)
from lambent.sandbox.cgroup import (
    CONTROLLERS,
    FREEZER,
    Hierarchy,
    SandboxCgroup,
    discover,
    forget,
    has_controller,
    orders,
    server_name,
    way_to_a_group,
)
from lambent.sandbox.launched import LaunchedProcess
from lambent.sandbox.launching import FROZEN, Launching
from lambent.sandbox.nat import STEP as NAT_STEP
from lambent.sandbox.nat import Links, Nat, NotAllowedError
from lambent.sandbox.nursery import Nursery, fits
from lambent.sandbox.order import CgroupOrder, Order
from lambent.sandbox.seedbed import Seedbed, suits
from lambent.sandbox.system_python import system_python
from lambent.sandbox.template import STEP as TEMPLATE_STEP
from lambent.sandbox.template import LaunchedTemplate

_log = logging.getLogger(__name__)
_WITHOUT_CGROUP: Mapping[str, str] = {
    "memory": "no memory control group here: each process's data segment is limited, not their sum",
    "cpu": "no cpu control group here: not limited",
    "pids": "RLIMIT_NPROC of the sandbox's own user",
}
_SEEDBEDS_MAX = 4
"""Programs that wait are whole interpreters: for so many kinds of commands, and no more, some are kept."""
_SEEDBED_LEAST_S = 30.0
"""For so long at least: kinds that take turns do not drive each other out."""


class NamespaceSandbox(Launching):
    """See `lambent.sandbox.Sandbox`."""

    kind = "namespaces"
    task_paths_are_virtual = True

    def __init__(
        self,
        *,
        network: str,
        run_dir: Path,
        why_inward: str = "",
        stems: int = 0,
        tmps: int = 0,
        tmp_bytes: int = 0,
    ) -> None:
        """Prepare.

        Args:
            network: ``auto``, ``nat``, ``none`` or ``host``, as in the settings.
            why_inward: why ``network`` is ``none``, if it was not asked for.
            run_dir: directory of this server's passing things; an empty directory is made in it.
            stems: how many sandboxes to prepare for each zygote; 0: there are no zygotes.
            tmps: how many `Tmp` to keep ready.
            tmp_bytes: the size of those.
        """
        run_dir = run_dir.absolute()
        super().__init__(
            mode="walls",
            network=network,
            root=str(run_dir / "root"),
            run_dir=run_dir,
            tmps=tmps,
            tmp_bytes=tmp_bytes,
        )
        self._hierarchies: tuple[Hierarchy, ...] = ()
        self._wanted_network = network
        self._why_inward = why_inward or "network = none was asked for"
        self._stems = stems
        self._stem_numbers = itertools.count()
        self._nurseries: dict[ZygoteSpec, Nursery] = {}
        self._seedbeds: dict[ZygoteSpec, Seedbed] = {}
        self._forgotten: set[asyncio.Task[None]] = set()
        self._templates: set[LaunchedTemplate] = set()

    @property
    def enforcement(self) -> tuple[Enforcement, ...]:
        """See `Sandbox.enforcement`."""
        own = (
            "user namespace"
            if self._spawner.is_root
            else "user namespace with the server's own uid and groups"
        )
        return (
            Enforcement("files of the host are out of reach", True, "mount namespace with a read-only root"),
            Enforcement("processes of the host are out of reach", True, "process namespace"),
            Enforcement(
                "network of the host is out of reach", self._network != "host", self._network_words()
            ),
            Enforcement("no privileges", True, f"{own}, no capabilities, no_new_privs"),
            Enforcement("system calls are filtered", True, "seccomp allow-list"),
            self._limit("memory limit", "memory", enforced_without=False),
            self._limit("CPU limit", "cpu", enforced_without=False),
            self._limit("process limit", "pids", enforced_without=True),
            self._tmps.enforcement,
            self._freezing(),
            Enforcement("open files limit", True, "RLIMIT_NOFILE"),
            Enforcement("nothing outlives its sandbox", True, "process namespace"),
        )

    def _network_words(self) -> str:
        if self._network == "host":
            return "network = host was asked for"
        if self._nat is not None:
            return self._nat.how
        if self._spawner.way_out is not None:
            return str(self._spawner.way_out["how"])
        return f"network namespace with a loopback only ({self._why_inward})"

    def _limit(self, promise: str, controller: str, *, enforced_without: bool) -> Enforcement:
        for hierarchy in self._hierarchies:
            if controller in hierarchy.controllers:
                return Enforcement(promise, True, f"{controller} control group, version {hierarchy.version}")
        words = _WITHOUT_CGROUP[controller]
        if controller == "memory" and (command := way_to_a_group()) is not None:
            words += f"; `{command}` may have one"
        return Enforcement(promise, enforced_without, words)

    def _freezing(self) -> Enforcement:
        if has_controller(self._hierarchies, FREEZER):
            return Enforcement(FROZEN, True, "control group, version 2")
        words = (
            "no control group of version 2 here: stopped by signals, which hostile code can have a timer undo"
        )
        return Enforcement(FROZEN, False, words)

    async def open(self) -> None:
        """See `Sandbox.open`."""
        self._prepare()
        self._open_network()
        try:
            await self._open_inside()
        except BaseException:
            self._close_nat()
            raise

    async def _open_inside(self) -> None:
        try:
            await super().open()
        except SandboxError as error:
            if error.step != NAT_STEP or self._wanted_network == "nat":
                raise
            self._go_without(error.reason)
            await super().open()
        found = self._spawner.way_out
        if found is not None and self._links is None:
            self._links = Links(found["block"], found["mtu_bytes"])

    def _prepare(self) -> None:
        Path(self._root).mkdir(parents=True, exist_ok=True)
        if not self._hierarchies:
            self._hierarchies = discover(server_name(os.getpid()))

    def _open_network(self) -> None:
        """Find out whether there is a way out, and go without one if it need not be."""
        if self._wanted_network not in ("auto", "nat") or self._nat is not None:
            return
        self._network = "nat"
        try:
            try:
                self._nat = Nat()
            except NotAllowedError:
                self._spawner.pasta = pasta.find()
                return
        except SandboxError as error:
            if self._wanted_network == "nat":
                raise
            self._go_without(error.reason)
            return
        self._links = Links(self._nat.block, self._nat.mtu_bytes)
        self._spawner.kept = self._nat.fileno()

    def _go_without(self, reason: str) -> None:
        self._network, self._spawner.pasta = "none", ""
        self._why_inward = f"no way out: {reason}"

    async def close(self) -> None:
        """See `Sandbox.close`."""
        self._is_open = False
        seedbeds, self._seedbeds = list(self._seedbeds.values()), {}
        nurseries, self._nurseries = list(self._nurseries.values()), {}
        await asyncio.gather(*self._forgotten, *(seedbed.close() for seedbed in seedbeds))
        await asyncio.gather(*(parked.close() for parked in (*nurseries, *self._templates)))
        await super().close()
        forget(self._hierarchies)
        self._hierarchies = ()

    def prepare(self, zygote: ZygoteSpec) -> None:
        """See `Sandbox.prepare`."""
        nursery = self._nursery(zygote)
        if nursery is not None:
            nursery.prepare()
        seedbed = self._seedbed(zygote)
        if seedbed is not None:
            seedbed.prepare()

    async def settle(self) -> None:
        """Return when no stem is being prepared any more. For tests and benchmarks."""
        await asyncio.gather(*(parked.settle() for parked in self._nurseries.values()))
        await asyncio.gather(*(parked.settle() for parked in self._seedbeds.values()))

    def _seedbed(self, zygote: ZygoteSpec) -> Seedbed | None:
        """Return where the seedlings of a kind are; None where commands are to be executed."""
        if zygote in self._seedbeds:
            return self._seedbeds[zygote]
        nursery = self._nursery(zygote) if zygote.seedling is not None else None
        if zygote.seedling is None or nursery is None or not self._has_place_for_a_seedbed():
            return None
        self._seedbeds[zygote] = Seedbed(
            zygote.seedling,
            nursery,
            spawner=self._spawner,
            new_stem=self._new_stem,
            take_link=self._take_link,
            give_back=self._give_back,
            seedlings=self._stems,
            calm=self._calm,
        )
        return self._seedbeds[zygote]

    def _has_place_for_a_seedbed(self) -> bool:
        """Whether there may be one more, for which the one that was used longest ago goes if need be."""
        if len(self._seedbeds) < _SEEDBEDS_MAX:
            return True
        oldest = min(self._seedbeds, key=lambda kind: self._seedbeds[kind].used_s)
        if asyncio.get_running_loop().time() - self._seedbeds[oldest].used_s < _SEEDBED_LEAST_S:
            return False
        forgotten = asyncio.create_task(self._seedbeds.pop(oldest).close())
        self._forgotten.add(forgotten)
        forgotten.add_done_callback(self._forgotten.discard)
        return True

    def _nursery(self, zygote: ZygoteSpec) -> Nursery | None:
        zygote = replace(zygote, seedling=None)
        if not self._stems or not self._is_open or not (zygote.interpreter or system_python()):
            return None
        if zygote not in self._nurseries:
            self._nurseries[zygote] = Nursery(
                self._zygote_order(zygote),
                spawner=self._spawner,
                new_stem=self._new_stem,
                take_link=self._take_link,
                give_back=self._give_back,
                stems=self._stems,
                calm=self._calm,
            )
        return self._nurseries[zygote]

    def _zygote_order(self, zygote: ZygoteSpec) -> Order:
        spec = SandboxSpec(
            name="zygote",
            command=zygote.interpreter or system_python(),
            environment=dict(zygote.environment),
            working_directory="/",
            tmp_directory="",
            memory_bytes=0,
            mounts=zygote.mounts,
            hidden=zygote.hidden,
            hostname=zygote.hostname,
            listen=zygote.listen,
            zygote=zygote,
        )
        limited = self._memory_is_limited()
        return Order(spec=spec, network=self._network, root=self._root, cgroups=(), memory_is_limited=limited)

    def _new_stem(self) -> LaunchedProcess:
        # No spec has such a name, so no other sandbox's groups are called like this.
        name = f"stem_{next(self._stem_numbers)}"
        return LaunchedProcess(cgroup=SandboxCgroup(self._hierarchies, name), has_builder=True)

    async def start(self, spec: SandboxSpec) -> SandboxProcess:
        """See `Sandbox.start`."""
        with self._calm.starting():
            seedling = await self._seedling(spec)
            if seedling is not None:
                try:
                    return await self._start(spec, seedling)
                except SandboxError as error:
                    # It may have ended since, and nobody is to suffer from that: the command is executed.
                    _log.info("A program that waited did not take its order: %s", error)
            return await super().start(spec)

    async def _seedling(self, spec: SandboxSpec) -> LaunchedProcess | None:
        """Return a program that waits to be this command; None if there is none."""
        zygote = spec.zygote
        if zygote is None or zygote.seedling is None or not self._is_open:
            return None
        if not fits(spec, zygote) or not suits(spec, zygote.seedling):
            return None
        self._check_open(spec)
        await self._ensure_spawner()
        seedbed = self._seedbed(zygote)
        return await seedbed.take() if seedbed is not None else None

    async def start_template(self, spec: SandboxSpec) -> Template:
        """See `Sandbox.start_template`."""
        if self._stems == 0:
            raise SandboxError(TEMPLATE_STEP, "stems = 0, so there is no prepared interpreter to fork")
        if spec.zygote is None or not fits(spec, spec.zygote):
            raise SandboxError(
                TEMPLATE_STEP,
                "its variables or its wrapper want an interpreter of their own, and a prepared one is forked",
            )
        self._check_open(spec)
        await self._ensure_spawner()
        stem = await self._certain_stem(spec.zygote)
        control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        control.setblocking(False)
        number = max((2, *(inside for _, inside in spec.inherited))) + 1
        with theirs:
            inherited = (*spec.inherited, (theirs.fileno(), number))
            try:
                process = await self._start(replace(spec, inherited=inherited, copies_over=number), stem)
            except BaseException:
                control.close()
                raise
        template = LaunchedTemplate(
            process,
            control,
            spawner=self._spawner,
            new_copy=self._new_stem,
            begin=self._begin_copy,
            take_link=self._take_link,
            give_back=self._give_back,
            ahead=1,
            calm=self._calm,
        )
        self._templates.add(template)
        process.on_end(lambda _: self._templates.discard(template))
        return template

    async def _certain_stem(self, zygote: ZygoteSpec) -> LaunchedProcess:
        """Return a stem, when its zygote has been started if need be."""
        nursery = self._nursery(zygote)
        stem = await nursery.take() if nursery is not None else None
        if stem is None and nursery is not None:
            await nursery.settle()
            stem = await nursery.take()
        if stem is None:
            raise SandboxError(TEMPLATE_STEP, "there is no interpreter to fork it from")
        return stem

    async def _begin_copy(self, copy: LaunchedProcess, spec: SandboxSpec) -> None:
        self._check_open(spec)
        await self._start(spec, copy)

    async def _stem(self, spec: SandboxSpec) -> LaunchedProcess | None:
        if spec.zygote is None or not fits(spec, spec.zygote):
            return None
        nursery = self._nursery(spec.zygote)
        return await nursery.take() if nursery is not None else None

    def _cgroup_orders(self, spec: SandboxSpec, name: str) -> tuple[CgroupOrder, ...]:
        return orders(
            self._hierarchies,
            name,
            memory_bytes=spec.memory_bytes,
            max_processes=spec.max_processes,
            cpu_share=spec.cpu_share,
        )

    def _memory_is_limited(self) -> bool:
        return has_controller(self._hierarchies, "memory")

    def _process(self, spec: SandboxSpec) -> LaunchedProcess:
        return LaunchedProcess(cgroup=SandboxCgroup(self._hierarchies, spec.name), has_builder=True)


assert set(_WITHOUT_CGROUP) == set(CONTROLLERS)
