"""What both kinds of sandbox do alike: keep a spawner, start commands through it, close what lives.

The abstract half of `lambent.sandbox.namespaces` and `lambent.sandbox.process`.
"""

from __future__ import annotations

import asyncio
import logging
import re
from abc import ABC, abstractmethod
from dataclasses import replace
from pathlib import Path

from lambent.sandbox import SandboxError, SandboxProcess, SandboxSpec, Template, Tmp, ZygoteSpec
from lambent.sandbox.calm import Calm
from lambent.sandbox.control import Spawner
from lambent.sandbox.launched import LaunchedProcess
from lambent.sandbox.nat import Links, Nat
from lambent.sandbox.nursery import remaining
from lambent.sandbox.order import CgroupOrder, Order, Outbound
from lambent.sandbox.template import STEP as TEMPLATE_STEP
from lambent.sandbox.tmps import Tmps

_log = logging.getLogger(__name__)
_NAME = re.compile(r"[a-z0-9-]{1,64}")
_START_TIMEOUT_S = 30.0
FROZEN = "frozen between invocations"
"""The name of a promise."""


class Launching(ABC):
    """A sandbox whose commands are forked by a spawner."""

    def __init__(
        self, *, mode: str, network: str, root: str, run_dir: Path, tmps: int = 0, tmp_bytes: int = 0
    ) -> None:
        """Prepare.

        Args:
            mode: the spawner's.
            network: as in `Order`.
            root: as in `Order`.
            run_dir: directory of this server's passing things.
            tmps: how many `Tmp` to keep ready.
            tmp_bytes: the size of those.
        """
        self._network = network
        self._root = root
        self._spawner = Spawner(mode)
        self._calm = Calm()
        self._tmps = Tmps(
            run_dir=run_dir,
            spawner=self._spawner,
            may_mount=mode == "walls",
            ahead=tmps,
            usual_bytes=tmp_bytes,
            calm=self._calm,
        )
        self._nat: Nat | None = None
        self._links: Links | None = None
        self._is_open = False
        self._opening = asyncio.Lock()
        self._living: set[LaunchedProcess] = set()

    async def open(self) -> None:
        """See `Sandbox.open`."""
        self._is_open = True
        await self._ensure_spawner()
        await self._tmps.open(memory_is_limited=self._memory_is_limited())

    async def make_tmp(self, size_bytes: int, *, copy_of: Tmp | None = None) -> Tmp:
        """See `Sandbox.make_tmp`."""
        if not self._is_open:
            raise SandboxError("spawner", "the sandbox is not open")
        await self._ensure_spawner()
        return await self._tmps.make(size_bytes, copy_of)

    async def _ensure_spawner(self) -> None:
        async with self._opening:
            if not self._spawner.is_running:
                await self._spawner.close()
                await self._spawner.open()

    async def start(self, spec: SandboxSpec) -> SandboxProcess:
        """See `Sandbox.start`."""
        self._check_open(spec)
        with self._calm.starting():
            await self._ensure_spawner()
            stem = await self._stem(spec)
            try:
                return await self._start(spec, stem)
            except SandboxError as error:
                if stem is None or stem.has_parked:
                    raise
                # It has not come so far as to wait, whatever its order was.
                _log.warning("A sandbox could not be forked: %s", error)
            return await self._start(spec, None)

    def _check_open(self, spec: SandboxSpec) -> None:
        if not _NAME.fullmatch(spec.name):
            raise SandboxError("name", f"{spec.name!r} is not made of 1 to 64 of a-z, 0-9 and -")
        if not self._is_open:
            raise SandboxError("spawner", "the sandbox is not open")

    async def _start(self, spec: SandboxSpec, stem: LaunchedProcess | None) -> LaunchedProcess:
        await self._tmps.ensure(spec.tmp_directory)
        descriptors = [fd for fd, _ in spec.inherited]
        # A stem has its link already.
        link = None if stem else self._take_link()
        process = stem or self._process(spec)
        self._living.add(process)
        try:
            async with asyncio.timeout(_START_TIMEOUT_S):
                if stem:
                    order = self._order(spec if spec.zygote is None else remaining(spec), stem.cgroup_name)
                    await stem.assign(self._spawner, order, descriptors)
                else:
                    await process.launch(self._spawner, self._order(spec, spec.name, link), descriptors)
        except TimeoutError as error:
            process.abandon()
            await process.close()
            raise SandboxError("launch", f"not started after {_START_TIMEOUT_S:g} s") from error
        except BaseException:
            await process.close()
            raise
        finally:
            process.on_end(self._living.discard)
            process.on_end(lambda _: self._give_back(link))
        return process

    async def close(self) -> None:
        """See `Sandbox.close`."""
        self._is_open = False
        for process in self._living:
            process.kill()
        await asyncio.gather(*(process.close() for process in self._living))
        self._close_nat()
        await self._tmps.close()
        async with self._opening:
            await self._spawner.close()

    def prepare(self, zygote: ZygoteSpec) -> None:
        """See `Sandbox.prepare`."""
        del zygote

    async def start_template(self, spec: SandboxSpec) -> Template:
        """See `Sandbox.start_template`."""
        del spec
        raise SandboxError(TEMPLATE_STEP, "there are no copies without walls")

    async def _stem(self, spec: SandboxSpec) -> LaunchedProcess | None:
        """Return a parked stem for a command; None if it is to be executed."""
        del spec

    def _order(self, spec: SandboxSpec, cgroup_name: str, link: Outbound | None = None) -> Order:
        numbered = tuple((position, inside) for position, (_, inside) in enumerate(spec.inherited))
        return Order(
            spec=replace(spec, environment=dict(spec.environment), inherited=numbered, zygote=None),
            network=self._network,
            root=self._root,
            cgroups=self._cgroup_orders(spec, cgroup_name),
            memory_is_limited=self._memory_is_limited(),
            outbound=link,
        )

    def _take_link(self) -> Outbound | None:
        """Return the link of a sandbox's network to the host's; None where there is none."""
        return None if self._links is None else self._links.take()

    def _give_back(self, link: Outbound | None) -> None:
        """Let a link be taken again: its sandbox is gone."""
        if link is not None and self._links is not None:
            self._links.give_back(link)

    def _close_nat(self) -> None:
        """Undo what was done to the host's network: no sandbox lives any more."""
        nat, self._nat, self._links = self._nat, None, None
        self._spawner.kept = -1
        if nat is not None:
            try:
                nat.close()
            except SandboxError:
                _log.exception("The host's network settings could not be restored.")

    def _memory_is_limited(self) -> bool:
        return False

    @abstractmethod
    def _cgroup_orders(self, spec: SandboxSpec, name: str) -> tuple[CgroupOrder, ...]:
        """Return the control groups of this name to make, with a spec's limits."""

    @abstractmethod
    def _process(self, spec: SandboxSpec) -> LaunchedProcess:
        """Return the process to launch."""
