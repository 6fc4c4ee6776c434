"""Programs that are started before their order: what they find with it, and who gets them."""

from __future__ import annotations

import _csv
import asyncio
import contextlib
import json
import os
import select
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from family import below
from forking import WAITS
from lambent.sandbox import ExitStatus, Mount, SandboxError, SandboxSpec, SeedlingSpec, ZygoteSpec
from lambent.sandbox.namespaces import NamespaceSandbox
from lambent.sandbox.system_python import system_python

PREFIX = sys.base_prefix
PYTHON = f"{PREFIX}/bin/python{sys.version_info.major}.{sys.version_info.minor}"
COMMAND = (PYTHON, "-I", "-S", "-c", WAITS)
MIB = 1024 * 1024
OWN = () if PREFIX == "/usr" else (Mount(PREFIX, PREFIX),)
SEEDLING = SeedlingSpec(
    command=COMMAND,
    channel=3,
    output=(1, 2),
    memory_bytes=256 * MIB,
    fixed_variables=("FIXED",),
    changing_variables=("FIXED_NOT",),
    environment=(("FIXED", "x"), ("STARTED_WITH", "this")),
    passing=("/opt/lib", "/var/task/lib"),
)
ZYGOTE = ZygoteSpec(interpreter=(), mounts=OWN, places=("/var/task",), seedling=SEEDLING)
pytestmark = pytest.mark.skipif(not system_python(), reason="there is no Python in /usr that is new enough")


class Bench:
    """A sandbox room, and the loop in which it lives."""

    def __init__(self, runner: asyncio.Runner, directory: Path) -> None:
        self.run: Callable[[Any], Any] = runner.run
        self.directory = directory
        self.sandbox = NamespaceSandbox(network="none", run_dir=directory / "run", stems=1)
        self._count = 0

    def spec(self, source: str, *mounts: Mount, **members: Any) -> SandboxSpec:
        self._count += 1
        tmp = self.directory / f"tmp-{self._count}"
        tmp.mkdir()
        (tmp / "of-this-one").write_text("")
        environment = members.pop("environment", {"FIXED": "x", "OWN": "ü"})
        defaults: dict[str, Any] = {
            "name": f"seedling-{self._count}",
            "command": COMMAND,
            "environment": {**environment, "_TEXT": json.dumps([source])},
            "working_directory": "/",
            "tmp_directory": str(tmp),
            "memory_bytes": SEEDLING.memory_bytes,
            "mounts": (*OWN, *mounts),
            "zygote": ZYGOTE,
        }
        return SandboxSpec(**(defaults | members))

    async def started(self, spec: SandboxSpec) -> tuple[str, ExitStatus] | None:
        """What a command says that was started ahead, and how it ends; None if it was executed."""
        null = os.open("/dev/null", os.O_RDWR)
        try:
            process = await self.sandbox.start(
                replace(spec, inherited=((null, 1), (null, 2), (null, 3))) if not spec.inherited else spec
            )
        finally:
            os.close(null)
        given = process.take_given()
        if not given:
            await process.close()
            return None
        assert process.take_given() == {}
        os.close(given[3])
        text = await asyncio.to_thread(read_all, given[1])
        status = await process.wait()
        await process.close()
        return text, status

    async def ready(self, zygote: ZygoteSpec = ZYGOTE) -> None:
        self.sandbox.prepare(zygote)
        await self.sandbox.settle()

    def says(self, spec: SandboxSpec) -> str:
        """What a command says that is started ahead."""

        async def story() -> tuple[str, ExitStatus] | None:
            await self.ready()
            return await self.started(spec)

        found = self.run(story())
        assert found is not None, "the command was executed"
        assert found[1] == ExitStatus(code=0), found
        return found[0]


def read_all(descriptor: int) -> str:
    with open(descriptor, encoding="utf-8") as file:
        return file.read()


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    directory = tmp_path_factory.mktemp("seedlings")
    directory.chmod(0o755)
    with asyncio.Runner() as runner:
        bench = Bench(runner, directory)
        try:
            runner.run(bench.sandbox.open())
        except SandboxError as error:
            pytest.skip(f"namespaces are impossible here: {error}")
        yield bench
        runner.run(bench.sandbox.close())


def code_directory(bench: Bench, name: str) -> Path:
    place = bench.directory / name
    place.mkdir()
    (place / "app.py").write_text("")
    return place


LOOK = """
import json, os
print(json.dumps({
    "environment": dict(os.environ), "directory": os.getcwd(),
    "seen": {place: sorted(os.listdir(place)) for place in ("/var/task", "/opt", "/tmp", "/dev/shm", "/mnt")},
    "descriptors": sorted(os.listdir("/proc/self/fd"))[:4],
}))
"""


def test_a_program_that_runs_already_finds_what_comes_with_its_order(bench: Bench) -> None:
    code = code_directory(bench, "code")
    spec = bench.spec(LOOK, Mount(str(code), "/var/task"), working_directory="/var/task")
    assert json.loads(bench.says(spec)) == {
        "environment": {"FIXED": "x", "OWN": "ü"},
        "directory": "/var/task",
        "seen": {"/var/task": ["app.py"], "/opt": [], "/tmp": ["of-this-one"], "/dev/shm": [], "/mnt": []},
        "descriptors": ["0", "1", "2", "3"],
    }


def test_what_comes_with_the_order_is_read_only_but_tmp(bench: Bench) -> None:
    source = """
import os
def attempt(path):
    try:
        open(path, "w").close()
    except OSError as error:
        return error.strerror
print([attempt(f"{place}/new") for place in ("/var/task", "/opt", "/opt/lib", "/tmp", "/dev/shm")])
flags = {line.split()[4]: line.split()[5].split(",") for line in open("/proc/self/mountinfo")}
print([set(("nosuid", "nodev")) <= set(flags[place]) for place in ("/var/task", "/opt", "/tmp", "/dev/shm")])
"""
    layer = bench.directory / "layer"
    (layer / "lib").mkdir(parents=True)
    spec = bench.spec(
        source, Mount(str(code_directory(bench, "code-2")), "/var/task"), Mount(str(layer), "/opt")
    )
    written, flags = bench.says(spec).splitlines()
    refused = "'Read-only file system'"
    assert written == f"[{refused}, {refused}, {refused}, None, None]"
    assert flags == "[True, True, True, True]"


def test_a_shared_library_that_comes_with_the_order_is_found_where_the_variable_says(bench: Bench) -> None:
    """The C library remembers missing directories; the program is looking for its own libraries when it starts."""
    code = code_directory(bench, "library-code")
    (code / "lib").mkdir()
    shutil.copyfile(_csv.__file__, code / "lib" / "libmine.so")
    waits = f"import ctypes, ssl\n{WAITS}"
    path = ("LD_LIBRARY_PATH", f"{PREFIX}/lib:/opt/lib:/var/task/lib")
    command = (*COMMAND[:-1], waits)
    seedling = replace(SEEDLING, command=command, environment=(path,), fixed_variables=("LD_",))
    zygote = replace(ZYGOTE, seedling=seedling)
    spec = bench.spec(
        "import ctypes; ctypes.CDLL('libmine.so'); print('found')",
        Mount(str(code), "/var/task"),
        command=command,
        environment=dict([path]),
        zygote=zygote,
    )

    async def story() -> Any:
        await bench.ready(zygote)
        return await bench.started(spec)

    assert bench.run(story()) == ("found\n", ExitStatus(code=0))


@pytest.mark.parametrize(
    "change",
    [
        {"memory_bytes": 128 * MIB},
        {"environment": {"FIXED": "y"}},
        {"environment": {}},
        {"environment": {"FIXED": "x", "FIXED_NEW": "1"}},
        {"command": (PYTHON, "-I", "-S", "-c", "pass")},
        {"max_file_bytes": MIB},
        {"inherited": ((0, 1), (0, 2))},
    ],
    ids=str,
)
def test_a_command_is_executed_when_the_program_was_started_otherwise(
    bench: Bench, change: dict[str, Any]
) -> None:
    async def story() -> Any:
        await bench.ready()
        return await bench.started(bench.spec("", **change))

    assert bench.run(story()) is None


def test_variables_that_are_read_later_may_differ(bench: Bench) -> None:
    environment = {"FIXED": "x", "FIXED_NOT": "2", "OTHER": "1"}
    spec = bench.spec("import os; print(sorted(os.environ.items()))", environment=environment)
    assert bench.says(spec) == f"{sorted(environment.items())}\n"


def test_nobody_waits_for_a_program_to_start(bench: Bench) -> None:
    """Of two commands at once, the second is executed: one program was ready."""

    async def story() -> list[Any]:
        await bench.ready()
        return await asyncio.gather(*(bench.started(bench.spec("print(1)")) for _ in range(2)))

    assert sorted(map(str, bench.run(story()))) == ["('1\\n', ExitStatus(code=0, signal=None))", "None"]


def test_a_program_that_ended_while_it_waited_is_given_to_nobody(bench: Bench) -> None:
    async def story() -> Any:
        await bench.ready()
        (waiting,) = programs()
        ending = os.pidfd_open(waiting)
        os.kill(waiting, signal.SIGKILL)
        # Its command line is gone a moment before it is dead for those who ask.
        assert await asyncio.to_thread(select.select, [ending], [], [], 30) == ([ending], [], [])
        os.close(ending)
        return await bench.started(bench.spec("print(1)"))

    assert bench.run(story()) is None


def programs() -> set[int]:
    """Every program of the usual kinds that waits."""
    found: set[int] = set()
    for pid in below(os.getpid()):
        with contextlib.suppress(OSError):
            if Path(f"/proc/{pid}/cmdline").read_bytes().rstrip(b"\0").endswith(b"\0" + WAITS.encode()):
                found.add(pid)
    return found


def test_a_command_is_executed_when_the_program_does_not_take_its_order(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says that it waits, and listens no more."""
    monkeypatch.setattr("lambent.sandbox.launching._START_TIMEOUT_S", 0.5)
    deaf = "import signal, socket as s; i = s.socket(fileno=3); i.shutdown(s.SHUT_RD); i.send(b'!'); signal.pause()"
    command = (PYTHON, "-I", "-S", "-c", deaf)
    zygote = replace(ZYGOTE, seedling=replace(SEEDLING, command=command))

    async def story() -> Any:
        await bench.ready(zygote)
        return await bench.started(bench.spec("", command=command, zygote=zygote))

    assert bench.run(story()) is None


def test_a_program_that_never_waits_costs_nothing_but_its_advantage(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    command = (PYTHON, "-I", "-S", "-c", "pass")
    zygote = replace(ZYGOTE, seedling=replace(SEEDLING, command=command))

    async def story() -> Any:
        for _ in range(2):
            await bench.ready(zygote)
        return await bench.started(bench.spec("", command=command, zygote=zygote))

    assert bench.run(story()) is None
    (record,) = caplog.records
    assert "the program ended without waiting for its order" in record.getMessage()


def test_few_kinds_of_programs_are_kept_and_closing_leaves_none(tmp_path: Path) -> None:
    async def story() -> None:
        at_first, waiting_at_first = set(below(os.getpid())), programs()
        sandbox = NamespaceSandbox(network="none", run_dir=tmp_path, stems=1)
        await sandbox.open()
        for memory_mb in range(100, 106):
            seedling = replace(SEEDLING, memory_bytes=memory_mb * MIB)
            sandbox.prepare(replace(ZYGOTE, seedling=seedling))
        await sandbox.settle()
        assert len(programs() - waiting_at_first) == 4
        await sandbox.close()
        assert not set(below(os.getpid())) - at_first

    asyncio.run(story())
