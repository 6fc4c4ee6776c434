"""npm, the package manager of Node.js, as a program that is run and can be stopped."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
from pathlib import Path

_OPTIONS = (
    "--fetch-retries=1",
    "--ignore-scripts",
    "--no-audit",
    "--no-fund",
    "--no-update-notifier",
)


class NpmError(Exception):
    """npm is missing or has failed; the message says why, in one line."""


async def run_npm(*arguments: str, directory: Path, timeout_s: float) -> None:
    """Run npm in a directory. Cancelling ends it.

    Raises:
        NpmError: it is missing, has failed or takes too long.
    """
    program = shutil.which("npm")
    if program is None:
        raise NpmError("npm is not installed")
    process = await asyncio.create_subprocess_exec(
        program,
        *arguments,
        *_OPTIONS,
        cwd=directory,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(timeout_s):
            _, said = await process.communicate()
    except TimeoutError:
        raise NpmError(f"npm took more than {timeout_s:g} s") from None
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
    if process.returncode:
        raise NpmError(_reason(said.decode(errors="replace")) or f"npm ended with {process.returncode}")


def _reason(said: str) -> str:
    """Return the first line of npm's complaint that says more than a code."""
    lines = [line.removeprefix("npm error").strip() for line in said.splitlines() if "npm error" in line]
    return next((line for line in lines if line and not line.startswith(("code ", "errno "))), "")
