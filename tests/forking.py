"""Sandboxes whose Python commands are forked, not executed: for tests of what holds for them too."""

from __future__ import annotations

import asyncio
import os
from dataclasses import replace
from pathlib import Path

from lambent.sandbox import Mount, SandboxProcess, SandboxSpec, Template, ZygoteSpec
from lambent.sandbox.launched import LaunchedProcess
from lambent.sandbox.namespaces import NamespaceSandbox

_BARE = ("-I", "-S")


class ForkingSandbox(NamespaceSandbox):
    """Gives every bare Python command a zygote, and insists that the command is forked from it.

    Not those with files among their mounts: there are no places for files.
    """

    def __init__(self, *, network: str, run_dir: Path, stems: int = 1) -> None:
        super().__init__(network=network, run_dir=run_dir, stems=stems)

    async def start(self, spec: SandboxSpec) -> SandboxProcess:
        if spec.command[1:3] != _BARE or any(is_file(mount.source) for mount in spec.mounts):
            return await super().start(spec)
        zygote = zygote_for(spec)
        await self.have_ready(zygote)
        process = await super().start(replace(spec, zygote=zygote))
        assert is_forked(process), "the command was executed"
        return process

    async def have_ready(self, zygote: ZygoteSpec) -> None:
        """Return when a command of this kind can be forked."""
        self.prepare(zygote)
        await self.settle()

    async def forget_zygotes(self) -> None:
        """Let everything go that is not a command."""
        nurseries, self._nurseries = list(self._nurseries.values()), {}
        await asyncio.gather(*(nursery.close() for nursery in nurseries))


class CopyingSandbox(ForkingSandbox):
    """Gives every bare Python command a template that does nothing, and runs a copy of that."""

    def __init__(self, *, network: str, run_dir: Path, stems: int = 1) -> None:
        super().__init__(network=network, run_dir=run_dir, stems=stems)
        self._directory = run_dir
        self._closing: set[asyncio.Task[None]] = set()

    async def start(self, spec: SandboxSpec) -> SandboxProcess:
        if spec.command[1:4] != (*_BARE, "-c") or any(is_file(mount.source) for mount in spec.mounts):
            return await super().start(spec)
        text = f"copy_this_process()\nexec(compile({spec.command[4]!r}, '<string>', 'exec'))"
        spec = replace(spec, command=(*spec.command[:4], text, *spec.command[5:]))
        spec = replace(spec, zygote=zygote_for(spec))
        template = await self._template(spec)
        try:
            return await template.copy(spec)
        finally:
            closing = asyncio.create_task(_end(template))
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)

    async def settle(self) -> None:
        await super().settle()
        await asyncio.gather(*self._closing)

    async def close(self) -> None:
        await super().close()
        await asyncio.gather(*self._closing)

    async def _template(self, spec: SandboxSpec) -> Template:
        tmp = self._directory / f"{spec.name}-template-tmp"
        tmp.mkdir()
        null = os.open("/dev/null", os.O_RDWR)
        try:
            inherited = tuple((null, inside) for _, inside in spec.inherited)
            template = await self.start_template(
                replace(spec, name=f"{spec.name[:50]}-template", tmp_directory=str(tmp), inherited=inherited)
            )
        finally:
            os.close(null)
        await template.wait_copyable()
        return template


async def _end(template: Template) -> None:
    """Return when the template has ended, which it does with its copy."""
    await template.close()
    await template.process.wait()
    await template.process.close()


def is_file(path: str) -> bool:
    return Path(path).is_file()


def zygote_for(spec: SandboxSpec) -> ZygoteSpec:
    """A zygote that a command fits: its interpreter's own mount is there before, its other mounts are not."""
    interpreter = spec.command[:3]
    own = tuple(mount for mount in spec.mounts[:1] if interpreter[0].startswith(mount.target))
    further: list[Mount] = []
    for mount in spec.mounts[len(own) :]:
        if not any(mount.target.startswith(f"{outer.target}/") for outer in further):
            further.append(mount)
    return ZygoteSpec(
        interpreter=interpreter,
        mounts=own,
        hidden=spec.hidden,
        places=tuple(mount.target for mount in further),
        hostname=spec.hostname,
        listen=spec.listen,
    )


def is_forked(process: SandboxProcess) -> bool:
    """Whether a command was forked from a zygote, and not executed."""
    assert isinstance(process, LaunchedProcess)
    return process.cgroup_name.startswith("stem_")
