"""Promises about the time between invocations: nothing that a function has left running moves then."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

import pytest

from harness import Server, create, invoke
from lambent.sandbox import SandboxError
from lambent.sandbox.cgroup import FREEZER
from lambent.sandbox.namespaces import NamespaceSandbox
from security import attacks

BACKGROUND = """
import subprocess, sys, threading, time
beats = []
def beat():
    while True:
        beats.append(time.monotonic())
        time.sleep(0.005)
SPIN = "import time\\nwhile True: print(time.monotonic(), flush=True); time.sleep(0.005)"
def handler(event, context):
    if not beats:
        threading.Thread(target=beat, daemon=True).start()
        subprocess.Popen([sys.executable, "-c", SPIN], stdout=open("/tmp/beats", "w"), start_new_session=True)
    started_s, left_ms = time.monotonic(), context.get_remaining_time_in_millis()
    while True:
        time.sleep(0.01)
        also = [float(line) for line in open("/tmp/beats").read().split("\\n")[:-1]]
        if all(it and it[-1] > started_s for it in (beats, also)):
            return [max((b - a for a, b in zip(it, it[1:])), default=0) for it in (beats[:], also)], left_ms
"""


def test_background_work_stands_still_between_invocations_and_goes_on_in_the_next(
    lambent: Server, name: str
) -> None:
    """A thread and a daemon in a session of its own; and the pause does not count against the function."""
    if "yes frozen between invocations" not in lambent.start_block:
        pytest.skip("environments are not frozen here")
    client = lambent.client("lambda")
    create(client, name, BACKGROUND, Timeout=5)
    invoke(client, name)
    time.sleep(1.2)
    gaps, left_ms = invoke(client, name).payload  # which answers when both have gone on
    assert min(gaps) > 0.8, "somebody worked on in the pause"
    assert left_ms > 4_500


@pytest.mark.parametrize("means", ["a control group", "signals"])
def test_nothing_inside_can_go_on_and_process_1_does_not_listen_to_the_function(
    means: str, tmp_path: Path
) -> None:
    source = """
        os.kill(1, signal.SIGUSR1)  # by which process 1 is told to stop everything, if there is a word for it
        if os.fork() == 0:
            os.setsid()
        while True:
            os.write(1, b"x")
    """

    async def scenario() -> None:
        sandbox = NamespaceSandbox(network="none", run_dir=tmp_path / "run")
        try:
            await sandbox.open()
        except SandboxError as error:
            pytest.skip(f"namespaces are impossible here: {error}")
        found = sandbox._hierarchies  # pyright: ignore[reportPrivateUsage]
        freezing = tuple(hierarchy for hierarchy in found if FREEZER in hierarchy.controllers)
        if means == "signals":
            sandbox._hierarchies = tuple(set(found) - set(freezing))  # pyright: ignore[reportPrivateUsage]
        read, write = os.pipe()
        (tmp_path / "tmp").mkdir()
        spec = attacks.attack_spec(source, name="working", tmp=tmp_path / "tmp", inherited=((write, 1),))
        process = await sandbox.start(spec)
        os.close(write)
        for _ in range(3):
            assert await asyncio.to_thread(os.read, read, 1) == b"x"
            process.freeze()
            assert await stands_still(read)
            process.thaw()
        process.freeze()
        await process.close()
        os.close(read)
        sandbox._hierarchies = found  # pyright: ignore[reportPrivateUsage]
        await sandbox.close()

    async def stands_still(pipe: int) -> bool:
        """Whether nothing comes for a moment, once what was in the pipe has been read."""
        for _ in range(200):
            await asyncio.sleep(0.02)
            size_bytes = len(await asyncio.to_thread(read_what_is_there, pipe))
            if not size_bytes:
                return True
        return False

    asyncio.run(scenario())


def read_what_is_there(pipe: int) -> bytes:
    """At most what a pipe holds."""
    os.set_blocking(pipe, False)
    try:
        return os.read(pipe, 1 << 17)
    except BlockingIOError:
        return b""
    finally:
        os.set_blocking(pipe, True)
