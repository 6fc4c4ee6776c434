"""Sandboxes whose Python commands are forked, not executed: for tests of what holds for them too."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import threading
from dataclasses import replace
from pathlib import Path

from lambent.sandbox import Mount, SandboxProcess, SandboxSpec, SeedlingSpec, Template, ZygoteSpec
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


WAITS = """
import json, os, socket, sys
with socket.socket(fileno=3) as channel:
    channel.send(b"!")
    size = int.from_bytes(channel.recv(4, socket.MSG_WAITALL), "big")
    order = json.loads(channel.recv(size, socket.MSG_WAITALL))
os.environ.clear()
os.environ.update(order["environment"])
os.chdir(order["working_directory"])
text, *sys.argv[1:] = json.loads(os.environ.pop("_TEXT"))
del json, os, socket, sys, channel, size, order
exec(compile(text, "<string>", "exec"))
"""
"""A program that waits for its order, and then is a Python command whose text is in a variable."""


class SeedlingSandbox(ForkingSandbox):
    """Starts every bare Python command before its order, and insists on that; but for those that want more from
    their caller than somewhere to write."""

    async def start(self, spec: SandboxSpec) -> SandboxProcess:
        outputs = {outside for outside, _ in spec.inherited}
        numbers = tuple(inside for _, inside in spec.inherited)
        is_plain = set(numbers) <= {1, 2} and len(outputs) == 1
        if spec.command[1:4] != (*_BARE, "-c") or not is_plain:
            return await super().start(spec)
        if any(is_file(mount.source) for mount in spec.mounts):
            return await super().start(spec)
        command = (*spec.command[:4], WAITS)
        variables = {**spec.environment, "_TEXT": json.dumps(spec.command[4:])}
        seedling = SeedlingSpec(
            command=command,
            channel=3,
            output=numbers,
            memory_bytes=spec.memory_bytes,
            max_processes=spec.max_processes,
            max_open_files=spec.max_open_files,
            max_file_bytes=spec.max_file_bytes,
        )
        zygote = replace(zygote_for(spec), interpreter=(), seedling=seedling)
        await self.have_ready(zygote)
        null = os.open("/dev/null", os.O_RDWR)
        given = tuple((null, number) for number in (*numbers, 3))
        try:
            spec = replace(spec, command=command, environment=variables, inherited=given, zygote=zygote)
            process = await NamespaceSandbox.start(self, spec)
        finally:
            os.close(null)
            await self._seedbeds.pop(zygote).close()
        ends = process.take_given()
        assert ends, "the command was executed"
        os.close(ends[3])
        threading.Thread(target=_relay, args=(ends[numbers[0]], os.dup(outputs.pop()))).start()
        return process

    async def forget_zygotes(self) -> None:
        seedbeds, self._seedbeds = list(self._seedbeds.values()), {}
        await asyncio.gather(*(seedbed.close() for seedbed in seedbeds))
        await super().forget_zygotes()


def _relay(source: int, target: int) -> None:
    """Write what a command writes to where its caller wanted it."""
    with contextlib.suppress(BrokenPipeError):
        while content := os.read(source, 65536):
            os.write(target, content)
    os.close(source)
    os.close(target)


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
