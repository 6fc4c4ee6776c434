"""Which sandbox this machine allows. Used by `lambent.app` once, at start.

Whether namespaces work depends on the kernel, on distributions' policies and on the container around us in
too many ways to predict, so `choose` does not predict: it starts a real sandbox and sees.
"""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

from lambent.sandbox import Sandbox, SandboxError, SandboxSpec
from lambent.sandbox.namespaces import NamespaceSandbox
from lambent.sandbox.nat import STEP as NAT_STEP
from lambent.sandbox.process import ProcessSandbox
from lambent.sandbox.veth import STEP as LINK_STEP
from lambent.settings import SandboxSettings, SettingsError

_TRIAL_MEMORY_BYTES = 64 * 1024 * 1024


async def choose(
    settings: SandboxSettings, run_dir: Path, *, tmp_bytes: int = 0, why_inward: str = ""
) -> Sandbox:
    """Return an opened sandbox.

    Args:
        settings: ``sandbox`` names the kind, or is ``auto``: namespaces if they work here, else process.
        run_dir: directory for passing things of this server.
        tmp_bytes: the size of `Tmp` that is asked for most, of which some are kept ready.
        why_inward: why ``network`` is ``none``, if it was not asked for.

    Raises:
        SettingsError: ``namespaces`` or ``nat`` was asked for and is impossible here.
        SandboxError: not even a process can be started.
    """
    if settings.sandbox == "process":
        return await _process(run_dir, "sandbox = process was asked for")
    namespaces = NamespaceSandbox(
        network=settings.network,
        run_dir=run_dir,
        why_inward=why_inward,
        stems=settings.stems,
        tmps=settings.tmps,
        tmp_bytes=tmp_bytes,
    )
    try:
        await trial(namespaces)
    except SandboxError as error:
        await namespaces.close()
        if error.step in (NAT_STEP, LINK_STEP):
            # A way out that fails is no reason to take the walls down.
            if settings.network == "nat":
                raise SettingsError(f"network = nat is impossible here: {error.reason}.") from error
            settings, why = replace(settings, network="none"), f"no way out: {error}"
            return await choose(settings, run_dir, tmp_bytes=tmp_bytes, why_inward=why)
        if settings.sandbox == "namespaces":
            raise SettingsError(
                f"sandbox = namespaces is impossible here: step {error.step} failed, {error.reason}."
            ) from error
        return await _process(run_dir, f"namespaces are impossible here: {error}")
    except BaseException:
        await namespaces.close()
        raise
    return namespaces


async def _process(run_dir: Path, reason: str) -> Sandbox:
    sandbox = ProcessSandbox(run_dir=run_dir, reason=reason)
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
