"""Which sandbox this machine allows. Used by `lambent.app` once, at start.

Whether namespaces work depends on the kernel, on distributions' policies and on the container around us in
too many ways to predict, so `choose` does not predict: it starts a real sandbox and sees.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from lambent.sandbox import Sandbox, SandboxError, SandboxSpec
from lambent.sandbox.namespaces import NamespaceSandbox
from lambent.sandbox.nat import STEP as NAT_STEP
from lambent.sandbox.process import ProcessSandbox
from lambent.settings import SandboxSettings, SettingsError

_TRIAL_MEMORY_BYTES = 64 * 1024 * 1024


async def choose(settings: SandboxSettings, run_dir: Path) -> Sandbox:
    """Return an opened sandbox.

    Args:
        settings: ``sandbox`` names the kind, or is ``auto``: namespaces if they work here, else process.
        run_dir: directory for passing things of this server.

    Raises:
        SettingsError: ``namespaces`` was asked for and is impossible here.
        SandboxError: not even a process can be started.
    """
    if settings.sandbox == "process":
        return await _process("sandbox = process was asked for")
    namespaces = NamespaceSandbox(network=settings.network, run_dir=run_dir)
    try:
        await trial(namespaces)
    except SandboxError as error:
        await namespaces.close()
        if error.step == NAT_STEP:
            raise SettingsError(f"{error.step} is impossible here: {error.reason}.") from error
        if settings.sandbox == "namespaces":
            raise SettingsError(
                f"sandbox = namespaces is impossible here: step {error.step} failed, {error.reason}."
            ) from error
        return await _process(f"namespaces are impossible here: {error}")
    except BaseException:
        await namespaces.close()
        raise
    return namespaces


async def _process(reason: str) -> Sandbox:
    sandbox = ProcessSandbox(reason=reason)
    await sandbox.open()
    return sandbox


async def trial(sandbox: Sandbox) -> None:
    """Open a sandbox and run a command in it.

    Raises:
        SandboxError: something does not work here.
    """
    await sandbox.open()
    with tempfile.TemporaryDirectory(prefix="lambent-trial-") as directory:
        spec = SandboxSpec(
            name="trial",
            command=("/bin/sh", "-c", "exit 42"),
            environment={},
            working_directory="/",
            tmp_directory=directory,
            memory_bytes=_TRIAL_MEMORY_BYTES,
        )
        process = await sandbox.start(spec)
        status = await process.wait()
        await process.close()
    if status.code != 42:
        raise SandboxError("trial", f"the trial command ended with {status}")
