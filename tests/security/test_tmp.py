"""Promises about `/tmp`: each test names one and attacks it."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import textwrap
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from lambent.sandbox import SandboxError, Tmp
from lambent.sandbox.namespaces import NamespaceSandbox
from lambent.sandbox.tmps import MountedTmp
from security import attacks

MIB = 1024 * 1024
SIZE_BYTES = 16 * MIB
PATIENCE_S = 20
FILL = """
    def fill(number):
        with open(f"/tmp/full-{number}", "wb", buffering=0) as file:
            while file.write(bytes(65536)):
                pass
    result = [attempt(fill, number) for number in range(3)]
    result.append(sum(os.path.getsize(f"/tmp/{name}") for name in os.listdir("/tmp")))
"""


class Den:
    """A sandbox whose `/tmp` is attacked."""

    def __init__(self, sandbox: NamespaceSandbox, runner: asyncio.Runner, directory: Path) -> None:
        self.sandbox = sandbox
        self.directory = directory
        self.run: Callable[[Awaitable[None]], None] = runner.run
        self._count = 0

    async def attack(self, source: str, tmp: Tmp) -> attacks.Outcome:
        self._count += 1
        limit = tmp.max_file_bytes
        name = f"attack-{self._count}"
        spec = attacks.attack_spec(source, name=name, tmp=Path(tmp.path), max_file_bytes=limit)
        try:
            return await attacks.attack(self.sandbox, spec)
        except attacks.NoWallsError:
            pytest.fail("the walls are not up; the attack refused to run")


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Den]:
    directory = tmp_path_factory.mktemp("den")
    directory.chmod(0o755)
    sandbox = NamespaceSandbox(network="none", run_dir=directory / "run")
    with asyncio.Runner() as runner:
        try:
            runner.run(sandbox.open())
        except SandboxError as error:
            pytest.skip(f"namespaces are impossible here: {error}")
        yield Den(sandbox, runner, directory)
        runner.run(sandbox.close())
    assert images(directory) == []


@pytest.fixture
def den(shared: Den) -> Iterator[Den]:
    """The shared sandbox, if it limits `/tmp` here; after each test everything is gone."""
    promise = next(line for line in shared.sandbox.enforcement if line.promise == "size of /tmp")
    if not promise.enforced:
        pytest.skip(f"the size of /tmp: {promise.how}")
    yield shared
    assert list((shared.directory / "run/tmp").iterdir()) == []
    assert images(shared.directory) == []


def story(test: Callable[[Den], Awaitable[None]]) -> Callable[[Den], None]:
    """Let a coroutine be a test."""

    def run(den: Den) -> None:
        den.run(test(den))

    run.__name__, run.__doc__ = test.__name__, test.__doc__
    return run


def images(directory: Path) -> list[str]:
    """The loop devices whose image lies below a directory."""
    found: list[str] = []
    for device in Path("/sys/block").glob("loop*"):
        try:
            image = (device / "loop/backing_file").read_text()
        except OSError:
            continue  # it has none
        if image.startswith(str(directory)):
            found.append(device.name)
    return found


@story
async def test_a_full_tmp_is_full_and_nobody_else_notices(den: Den) -> None:
    theirs, ours = await den.sandbox.make_tmp(SIZE_BYTES), await den.sandbox.make_tmp(SIZE_BYTES)
    attacking = asyncio.create_task(den.attack(FILL, theirs))
    answers = 0
    while not attacking.done():
        other = "result = attempt(lambda: open('/tmp/mine', 'wb').write(bytes(10**6)))"
        assert (await den.attack(other, ours)).result == "OK"
        answers += 1
    assert answers
    *errors, written_bytes = (await attacking).result
    assert errors == ["ENOSPC"] * 3
    assert SIZE_BYTES <= written_bytes < SIZE_BYTES * 1.05
    assert (await den.attack("result = sorted(os.listdir('/tmp'))", ours)).result == ["mine"]
    await theirs.close()
    await ours.close()


@story
async def test_tmp_shows_its_size_and_is_empty_and_private(den: Den) -> None:
    tmp = await den.sandbox.make_tmp(SIZE_BYTES)
    outcome = await den.attack(
        """
        found = os.statvfs("/tmp")
        line = next(line.split() for line in open("/proc/mounts") if line.split()[1] == "/tmp")
        result = [
            found.f_bavail * found.f_frsize, os.listdir("/tmp"), oct(os.stat("/tmp").st_mode),
            {"nosuid", "nodev"} <= set(line[3].split(",")), os.stat("/tmp").st_dev != os.stat("/").st_dev,
        ]
        """,
        tmp,
    )
    free_bytes, *rest = outcome.result
    assert SIZE_BYTES <= free_bytes < SIZE_BYTES * 1.05
    assert rest == [[], "0o41777", True, True]
    await tmp.close()


@story
async def test_the_host_sees_nothing_of_what_is_in_it(den: Den) -> None:
    before = Path("/proc/self/mountinfo").read_text()  # noqa: ASYNC240
    tmp = await den.sandbox.make_tmp(SIZE_BYTES)
    await den.attack("open('/tmp/secret', 'w').close(); result = 0", tmp)
    assert list(Path(tmp.path).iterdir()) == []  # noqa: ASYNC240
    assert Path("/proc/self/mountinfo").read_text() == before  # noqa: ASYNC240
    await tmp.close()


@story
async def test_it_stays_between_sandboxes_and_a_copy_goes_its_own_way(den: Den) -> None:
    first = await den.sandbox.make_tmp(SIZE_BYTES)
    nothing = await den.sandbox.make_tmp(SIZE_BYTES)
    empty = await den.sandbox.make_tmp(SIZE_BYTES, copy_of=nothing)
    keep = (
        "os.mkdir('/tmp/d'); open('/tmp/d/kept', 'wb').write(b'k' * 5_000_000); os.symlink('/etc', '/tmp/l')"
    )
    await den.attack(f"{keep}; result = 0", first)
    second = await den.sandbox.make_tmp(SIZE_BYTES, copy_of=first)
    await den.attack("os.rename('/tmp/d/kept', '/tmp/mine'); result = 0", second)
    look = """
        names = sorted(os.path.join(path, name) for path, below, files in os.walk("/tmp") for name in files)
        result = [names, [len(open(name, "rb").read()) for name in names], os.listdir("/tmp/d")]
    """
    assert (await den.attack(look, first)).result == [["/tmp/d/kept"], [5_000_000], ["kept"]]
    assert (await den.attack(look, second)).result == [["/tmp/mine"], [5_000_000], []]
    assert (await den.attack("result = os.listdir('/tmp')", empty)).result == []
    for tmp in (first, second, nothing, empty):
        await tmp.close()
        await tmp.close()


@story
async def test_a_start_that_fails_leaves_nothing(den: Den) -> None:
    tmp = await den.sandbox.make_tmp(SIZE_BYTES)
    spec = attacks.attack_spec("", name="failing", tmp=Path(tmp.path), working_directory="/not/there")
    with pytest.raises(SandboxError, match="working_directory"):
        await den.sandbox.start(spec)
    await tmp.close()
    if os.geteuid() == 0:
        with pytest.raises(SandboxError, match="File too large"):
            await den.sandbox.make_tmp(1 << 61)


@story
async def test_one_that_is_not_waited_for_leaves_nothing(den: Den) -> None:
    making = asyncio.create_task(den.sandbox.make_tmp(SIZE_BYTES))
    await asyncio.sleep(0)
    making.cancel()
    with pytest.raises(asyncio.CancelledError):
        await making


@story
async def test_one_that_went_with_the_spawner_is_empty_again_and_still_limited(den: Den) -> None:
    tmp = await den.sandbox.make_tmp(SIZE_BYTES)
    await den.attack("open('/tmp/before', 'w').close(); result = 0", tmp)
    await den.sandbox._spawner.close()  # pyright: ignore[reportPrivateUsage]
    await (
        await den.sandbox.make_tmp(SIZE_BYTES)
    ).close()  # has the spawner replaced, before zygotes ask for it
    assert (await den.attack(FILL, tmp)).result[:3] == ["ENOSPC"] * 3
    assert (await den.attack("result = os.path.exists('/tmp/before')", tmp)).result is False
    await tmp.close()


def test_some_are_ready_before_they_are_asked_for(tmp_path: Path) -> None:
    async def scenario() -> None:
        sandbox = NamespaceSandbox(network="none", run_dir=tmp_path, tmps=2, tmp_bytes=SIZE_BYTES)
        try:
            await sandbox.open()
        except SandboxError as error:
            pytest.skip(f"namespaces are impossible here: {error}")
        made = [await sandbox.make_tmp(SIZE_BYTES) for _ in range(3)]
        assert len({tmp.path for tmp in made}) == 3
        for tmp in made:
            if isinstance(tmp, MountedTmp):
                await tmp.close()
        await sandbox.close()
        assert not (tmp_path / "tmp").exists()
        assert images(tmp_path) == []

    asyncio.run(scenario())


SERVER = """
    import asyncio, sys, time
    from pathlib import Path
    from lambent.sandbox.namespaces import NamespaceSandbox

    async def main(directory):
        sandbox = NamespaceSandbox(network="none", run_dir=Path(directory), tmps=2, tmp_bytes=16 << 20)
        await sandbox.open()
        tmp = await sandbox.make_tmp(20 << 20)
        print(tmp.path, flush=True)
        await asyncio.Event().wait()

    asyncio.run(main(*sys.argv[1:]))
"""


def test_a_killed_server_leaves_no_loop_device_and_no_file(den: Den, tmp_path: Path) -> None:
    """Neither images that are in use nor those that were made ahead of time."""
    arguments = [sys.executable, "-c", textwrap.dedent(SERVER), str(tmp_path)]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        assert server.stdout.readline().startswith(str(tmp_path))
        if os.geteuid() == 0:
            assert len(images(tmp_path)) >= 2
        server.kill()
    deadline_s = time.monotonic() + PATIENCE_S
    while images(tmp_path) and time.monotonic() < deadline_s:
        time.sleep(0.01)
    assert images(tmp_path) == []
    assert [path for path in tmp_path.rglob("*") if not path.is_dir()] == []
