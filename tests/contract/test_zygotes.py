"""What a command that is forked from a zygote has in common with one that is executed: everything that it can see."""

from __future__ import annotations

import _csv
import asyncio
import json
import logging
import os
import select
import shutil
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from family import below
from forking import ForkingSandbox, is_forked, zygote_for
from lambent.sandbox import ExitStatus, Mount, SandboxError, SandboxProcess, SandboxSpec, ZygoteSpec
from lambent.sandbox.cgroup import SandboxCgroup
from lambent.sandbox.namespaces import NamespaceSandbox
from lambent.sandbox.system_python import system_python

PREFIX = sys.base_prefix
PYTHON = f"{PREFIX}/bin/python{sys.version_info.major}.{sys.version_info.minor}"
BARE = (PYTHON, "-I", "-S")
ORDINARY = (PYTHON, "-u")
LOCALE = {"LC_CTYPE": "C.UTF-8"}
"""Without it, an interpreter sets it for itself."""


class Bench:
    """A sandbox that forks, and the loop in which it lives."""

    def __init__(self, runner: asyncio.Runner, directory: Path) -> None:
        self.run: Callable[[Any], Any] = runner.run
        self.directory = directory
        self.sandbox = ForkingSandbox(network="none", run_dir=directory / "run")
        self._count = 0

    def spec(self, *command: str, **members: Any) -> SandboxSpec:
        self._count += 1
        tmp = self.directory / f"tmp-{self._count}"
        tmp.mkdir()
        own = () if PREFIX == "/usr" else (Mount(PREFIX, PREFIX),)
        defaults: dict[str, Any] = {
            "name": f"zygote-{self._count}",
            "environment": {},
            "working_directory": "/",
            "tmp_directory": str(tmp),
            "memory_bytes": 256 * 1024 * 1024,
            "mounts": (*own, *members.pop("mounts", ())),
        }
        return SandboxSpec(command=command, **(defaults | members))

    async def both(self, *command: str, options: tuple[str, ...] = ("-u",), **members: Any) -> list[Any]:
        """What a command writes and how it ends, first executed, then forked."""
        spec = self.spec(PYTHON, *options, *command, **members)
        locale = tuple((name, value) for name, value in LOCALE.items() if name in spec.environment)
        zygote = replace(zygote_for(spec), interpreter=(PYTHON, *options), environment=locale)
        return [await self.output(spec), await self.output(replace(spec, zygote=zygote))]

    async def output(self, spec: SandboxSpec) -> tuple[str, ExitStatus]:
        process, output = await self.piped(spec)
        text = await asyncio.to_thread(read_all, output)
        status = await process.wait()
        await process.close()
        return text, status

    async def piped(self, spec: SandboxSpec) -> tuple[SandboxProcess, int]:
        if spec.zygote is not None:
            await self.sandbox.have_ready(spec.zygote)
        read, write = os.pipe()
        try:
            process = await self.sandbox.start(replace(spec, inherited=((write, 1), (write, 2))))
        finally:
            os.close(write)
        assert is_forked(process) == (spec.zygote is not None or spec.command[:3] == BARE)
        return process, read


def read_all(descriptor: int) -> str:
    with open(descriptor, encoding="utf-8") as file:
        return file.read()


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    directory = tmp_path_factory.mktemp("zygotes")
    directory.chmod(0o755)
    with asyncio.Runner() as runner:
        bench = Bench(runner, directory)
        try:
            runner.run(bench.sandbox.open())
        except SandboxError as error:
            pytest.skip(f"namespaces are impossible here: {error}")
        yield bench
        runner.run(bench.sandbox.close())


def tree(directory: Path, files: dict[str, str]) -> Path:
    directory.mkdir()
    for name, text in files.items():
        (directory / name).write_text(text)
    return directory


ENDINGS = {
    "a code": "import sys; sys.exit(7)",
    "a message": "raise SystemExit('farewell')",
    "an exception": "def f(): 1 / 0\nf()",
    "a chain of exceptions": "try:\n  1 / 0\nexcept Exception as e:\n  raise KeyError('x') from e",
    "a syntax error": "def",
    "an interrupt": "raise KeyboardInterrupt",
    "an interrupt from outside": "import os, signal; os.kill(os.getpid(), signal.SIGINT)",
    "a signal": "import os; os.kill(os.getpid(), 11)",
    "os._exit": "import os; print('printed', end=''); os._exit(3)",
    "atexit and threads": "import atexit, threading, time\natexit.register(print, 'at exit')\n"
    "threading.Thread(target=lambda: (time.sleep(0.02), print('thread'))).start()\nprint('main')",
    "a hook": "import sys\nsys.excepthook = lambda *_: print('hook')\n1 / 0",
    "a child": "import os\nif os.fork() == 0: raise SystemExit(4)\nprint(os.waitstatus_to_exitcode(os.wait()[1]))",
    "unflushed output": "import sys; sys.stdout.write('no line end')",
}


@pytest.mark.parametrize("source", ENDINGS.values(), ids=ENDINGS)
def test_a_command_ends_as_an_executed_one_does(bench: Bench, source: str) -> None:
    executed, forked = bench.run(bench.both("-c", source))
    assert forked == executed


VIEW = """
    import json, os, signal, sys
    main = sys.modules["__main__"]
    print(json.dumps({
        "argv": sys.argv, "orig_argv": sys.orig_argv, "path": sys.path, "flags": list(sys.flags),
        "modules": sorted(sys.modules.keys() - set(sys.builtin_module_names)),
        "environ": dict(os.environ), "main": sorted(vars(main)),
        "name": __name__, "file": globals().get("__file__"), "executable": sys.executable, "cwd": os.getcwd(),
        "descriptors": sorted(os.listdir("/proc/self/fd")), "umask": os.umask(0),
        "pids": [os.getpid(), os.getppid()],
        "streams": [[s.encoding, s.errors, s.line_buffering, s.write_through] for s in (sys.stdin, sys.stdout)],
        "ids": [os.getresuid(), os.getresgid(), os.getgroups(), os.getsid(0)],
        "handlers": [str(signal.getsignal(number)) for number in sorted(signal.valid_signals())],
        "mask": [str(number) for number in signal.pthread_sigmask(signal.SIG_BLOCK, [])],
        "root": sorted(os.listdir("/")), "mnt": os.listdir("/mnt"), "shm": os.listdir("/dev/shm"),
        "encoding": [sys.getfilesystemencoding(), sys.getdefaultencoding()], "meta_path": len(sys.meta_path[-3:]),
        "limits": __import__("resource").getrlimit(7), "frozen": "lambent" in sys.modules,
        "mounts": sorted(line.split()[4:6] for line in open("/proc/self/mountinfo")),
    }))
"""


def test_a_command_finds_what_an_executed_one_finds(bench: Bench) -> None:
    source = textwrap.dedent(VIEW)
    code = tree(bench.directory / "view", {"view.py": source})
    mounts = (Mount(str(code), "/opt"),)
    members: dict[str, Any] = {
        "mounts": mounts,
        "environment": {**LOCALE, "_HANDLER": "a.b", "RAW": "\udcff"},
    }
    for command in (("-c", source, "one", "two"), ("/opt/view.py", "three")):
        for options in (("-u",), ("-I",)):
            (text, _), (forked_text, _) = bench.run(bench.both(*command, options=options, **members))
            executed, forked = json.loads(text), json.loads(forked_text)
            # Main's own attributes that programs do not look for.
            for view in (executed, forked):
                view["main"] = [
                    name for name in view["main"] if name not in ("__cached__", "__annotations__")
                ]
            # A module that is given back brings those along that it refers to; one too many is no harm.
            extra = set(forked.pop("modules")) ^ set(executed.pop("modules"))
            assert {name.partition(".")[0] for name in extra} <= {"importlib", "encodings"}
            assert forked == executed


def test_local_time_follows_the_time_zone(bench: Bench) -> None:
    executed, forked = bench.run(
        bench.both("-c", "import time; print(time.tzname, time.timezone)", environment={"TZ": "XYZ-3"})
    )
    assert forked == executed
    assert "XYZ" in forked[0]


def test_a_script_that_cannot_be_opened_ends_as_ever(bench: Bench) -> None:
    executed, forked = bench.run(bench.both("/nowhere.py"))
    assert forked[1] == executed[1] == ExitStatus(code=2)
    assert "can't open file '/nowhere.py'" in forked[0]


def test_a_module_of_the_commands_own_wins_over_one_that_was_loaded_in_advance(bench: Bench) -> None:
    """`token` and `platform` are in the zygote, because its own code needs them, and `csv` on request."""
    names = ("token", "platform", "csv", "lambent")
    code = tree(bench.directory / "shadows", {f"{name}.py": f"OWN = {name!r}" for name in names})
    source = f"import {', '.join(names)}\nprint([m.OWN for m in ({', '.join(names)})])"
    code.joinpath("main.py").write_text(source)
    spec = bench.spec(*ORDINARY, "/opt/main.py", mounts=(Mount(str(code), "/opt"),))
    zygote = replace(zygote_for(spec), interpreter=ORDINARY, likely_modules=("csv",))
    assert bench.run(bench.output(replace(spec, zygote=zygote)))[0] == f"{list(names)}\n"


def test_a_module_that_was_loaded_in_advance_is_the_same_as_a_new_one(bench: Bench) -> None:
    source = """
        import sys
        before = {"csv", "_csv", "re", "email.message"} & sys.modules.keys()
        import csv, email.message, inspect
        spec = csv.__spec__
        print(before, spec.name, spec.origin == csv.__file__, type(spec.loader).__name__, csv.re is sys.modules["re"])
        print(sys.modules["email"].message.Message.__module__, list(csv.reader(["a,b"])), spec.cached == csv.__cached__)
        import importlib
        print(importlib.reload(csv) is csv, importlib.util.find_spec("csv").origin == csv.__file__)
        print(len(inspect.getsource(csv)) > 100)
    """
    spec = bench.spec(*ORDINARY, "-c", textwrap.dedent(source))
    zygote = replace(zygote_for(spec), interpreter=ORDINARY, likely_modules=("csv", "email.message"))
    executed = bench.run(bench.output(spec))
    assert bench.run(bench.output(replace(spec, zygote=zygote))) == executed
    assert executed[1] == ExitStatus(code=0), executed


def test_what_cannot_be_loaded_in_advance_is_named_and_keeps_nothing_from_running(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    spec = bench.spec(*ORDINARY, "-c", "import csv; print('runs')")
    zygote = replace(zygote_for(spec), interpreter=ORDINARY, likely_modules=("csv", "nowhere.to.be.found"))
    assert bench.run(bench.output(replace(spec, zygote=zygote)))[0] == "runs\n"
    assert "nowhere.to.be.found" in caplog.text


def test_a_shared_library_that_comes_with_the_code_is_found_where_the_variable_says(bench: Bench) -> None:
    """The C library remembers missing directories; the zygote searches before the code is there."""
    code = tree(bench.directory / "libraries", {})
    (code / "lib").mkdir()
    shutil.copyfile(_csv.__file__, code / "lib" / "libmine.so")
    environment = {**LOCALE, "LD_LIBRARY_PATH": f"{PREFIX}/lib:/opt/lib"}
    source = "import ctypes, os; ctypes.CDLL('libmine.so'); print(os.listdir('/opt'), os.listdir('/mnt'))"
    spec = bench.spec(*ORDINARY, "-c", source, mounts=(Mount(str(code), "/opt"),), environment=environment)
    zygote = replace(
        zygote_for(spec),
        interpreter=ORDINARY,
        environment=tuple(environment.items()),
        likely_modules=("ctypes", "ssl"),
        passing=("/opt/lib",),
    )
    assert bench.run(bench.output(replace(spec, zygote=zygote))) == ("['lib'] []\n", ExitStatus(code=0))


def test_nothing_random_is_the_same_in_two_commands_of_one_zygote(bench: Bench) -> None:
    source = """
        import json, os, random, secrets, ssl, tempfile, uuid
        print(json.dumps([
            os.urandom(8).hex(), random.random(), random.Random().random(), random.SystemRandom().random(),
            secrets.token_hex(8), ssl.RAND_bytes(8).hex(), str(uuid.uuid4()), tempfile.mktemp(), tempfile.mkdtemp(),
        ]))
    """
    spec = bench.spec(*ORDINARY, "-c", textwrap.dedent(source))
    likely = ("random", "secrets", "ssl", "tempfile", "uuid")
    zygote = replace(zygote_for(spec), interpreter=ORDINARY, likely_modules=likely)
    siblings = [
        json.loads(bench.run(bench.output(replace(spec, name=name, zygote=zygote)))[0])
        for name in ("a", "b", "c")
    ]
    assert all(len(set(values)) == 3 for values in zip(*siblings, strict=True)), siblings


def test_a_zygote_that_cannot_start_costs_nothing_but_its_advantage(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    spec = bench.spec(*ORDINARY, "-c", "print('executed')")
    zygote = ZygoteSpec(interpreter=ORDINARY, mounts=spec.mounts, scripts=("/no/such/script.py",))

    async def story() -> tuple[str, ExitStatus]:
        for _ in range(3):
            await bench.sandbox.have_ready(zygote)
        read, write = os.pipe()
        process = await bench.sandbox.start(replace(spec, zygote=zygote, inherited=((write, 1),)))
        os.close(write)
        assert not is_forked(process)
        text = await asyncio.to_thread(read_all, read)
        return text, await process.wait()

    with caplog.at_level(logging.WARNING):
        assert bench.run(story()) == ("executed\n", ExitStatus(code=0))
    (record,) = caplog.records
    assert "zygote: No such file or directory (/no/such/script.py)" in record.getMessage()


def zygote_pids(pid: int) -> list[int]:
    return [
        child
        for child in below(pid)
        if b"lambent.sandbox.zygote" in Path(f"/proc/{child}/cmdline").read_bytes()
    ]


async def gone(pidfd: int) -> None:
    await asyncio.to_thread(select.select, [pidfd], [], [])
    os.close(pidfd)


def test_commands_outlive_their_zygote_and_the_next_is_forked_from_a_new_one(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    async def story() -> None:
        await bench.sandbox.forget_zygotes()
        running, output = await bench.piped(
            bench.spec(*BARE, "-c", "import os, signal; os.write(1, b'!'); signal.pause()")
        )
        assert await asyncio.to_thread(os.read, output, 1) == b"!"
        await bench.sandbox.settle()
        zygote, *_ = zygote_pids(os.getpid())
        pidfd = os.pidfd_open(zygote)
        os.kill(zygote, signal.SIGKILL)
        await gone(pidfd)
        assert await bench.output(bench.spec(*BARE, "-c", "print('next')")) == ("next\n", ExitStatus(code=0))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await running.wait()
        await running.close()
        os.close(output)

    bench.run(story())
    assert "is gone" in caplog.text


def test_closing_leaves_no_zygote_and_no_stem(tmp_path: Path) -> None:
    async def story() -> None:
        at_first = set(below(os.getpid()))
        sandbox = ForkingSandbox(network="none", run_dir=tmp_path, stems=3)
        await sandbox.open()
        before = set(below(os.getpid()))
        own = () if PREFIX == "/usr" else (Mount(PREFIX, PREFIX),)
        await sandbox.have_ready(ZygoteSpec(interpreter=BARE, mounts=own))
        # A zygote, and three stems with a builder and processes 1 and 2 each.
        assert len(set(below(os.getpid())) - before) == 1 + 3 * 3
        await sandbox.forget_zygotes()
        assert set(below(os.getpid())) == before
        sandbox.prepare(ZygoteSpec(interpreter=BARE, mounts=own))
        await sandbox.close()
        assert not set(below(os.getpid())) - at_first

    asyncio.run(story())


@pytest.mark.parametrize("member", ["builder", "process 1", "process 2"])
def test_a_stem_of_which_something_has_died_is_given_to_nobody(tmp_path: Path, member: str) -> None:
    async def story() -> None:
        before = set(below(os.getpid()))
        bench = Bench(asyncio.Runner(), tmp_path)
        await bench.sandbox.open()
        spec = bench.spec(*BARE, "-c", "print('another')")
        await bench.sandbox.have_ready(zygote_for(spec))
        # Parents before their children; with the zygote's.
        *_, builder, process_1, process_2 = below(os.getpid())
        family = {"builder": builder, "process 1": process_1, "process 2": process_2}
        inside = os.pidfd_open(process_1)
        os.kill(family[member], signal.SIGKILL)
        await gone(inside)
        for _ in range(10):
            await asyncio.sleep(0)
        assert await bench.output(spec) == ("another\n", ExitStatus(code=0))
        await bench.sandbox.close()
        assert not set(below(os.getpid())) - before

    asyncio.run(story())


def test_a_command_is_executed_when_a_stem_fails_that_was_forked_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    make = SandboxCgroup.make

    def unwritable(cgroup: SandboxCgroup, *, into_groups: bool) -> list[int]:
        for entrance in make(cgroup, into_groups=into_groups):
            os.close(entrance)
        return [os.open(os.devnull, os.O_RDONLY)]

    monkeypatch.setattr(SandboxCgroup, "make", unwritable)

    async def story() -> tuple[str, ExitStatus]:
        sandbox = NamespaceSandbox(network="none", run_dir=tmp_path / "run", stems=1)
        await sandbox.open()
        spec = Bench(asyncio.Runner(), tmp_path).spec(*BARE, "-c", "print('executed')")
        zygote = zygote_for(spec)
        sandbox.prepare(zygote)
        await sandbox.settle()
        read, write = os.pipe()
        process = await sandbox.start(replace(spec, zygote=zygote, inherited=((write, 1),)))
        os.close(write)
        assert not is_forked(process)
        text, status = await asyncio.to_thread(read_all, read), await process.wait()
        await sandbox.close()
        return text, status

    with caplog.at_level(logging.WARNING):
        assert asyncio.run(story()) == ("executed\n", ExitStatus(code=0))
    assert "A sandbox could not be forked: cgroup: " in caplog.text


SERVER = """
    import asyncio, sys
    from pathlib import Path
    from forking import ForkingSandbox
    from lambent.sandbox import Mount, ZygoteSpec

    async def main(directory, prefix, *interpreter):
        sandbox = ForkingSandbox(network="none", run_dir=Path(directory), stems=2)
        await sandbox.open()
        mounts = () if prefix == "/usr" else (Mount(prefix, prefix),)
        await sandbox.have_ready(ZygoteSpec(interpreter=interpreter, mounts=mounts))
        print("ready", flush=True)
        await asyncio.Event().wait()

    asyncio.run(main(*sys.argv[1:]))
"""


def test_no_zygote_and_no_stem_outlives_a_server_that_is_killed(tmp_path: Path) -> None:
    arguments = [sys.executable, "-c", textwrap.dedent(SERVER), str(tmp_path), PREFIX, *BARE]
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, env=environ) as server:
        assert server.stdout is not None
        assert server.stdout.readline() == b"ready\n"
        # A spawner of two processes, a zygote, and two stems with a builder and processes 1 and 2 each.
        pids = below(server.pid)
        assert len(pids) == 3 + 2 * 3
        pidfds = [os.pidfd_open(pid) for pid in pids]
        server.kill()
    for pidfd in pidfds:
        select.select([pidfd], [], [])
        os.close(pidfd)


def test_stems_that_were_forked_on_demand_do_not_interfere(bench: Bench) -> None:
    """Twenty at once, one of them prepared."""

    async def story() -> list[tuple[str, ExitStatus]]:
        specs = [bench.spec(*BARE, "-c", f"print({number})") for number in range(20)]
        zygote = zygote_for(specs[0])
        await bench.sandbox.have_ready(zygote)
        return await asyncio.gather(*(bench.output(replace(spec, zygote=zygote)) for spec in specs))

    assert bench.run(story()) == [(f"{number}\n", ExitStatus(code=0)) for number in range(20)]


# Walls alone -----------------------------------------------------------------------------------------------


@pytest.mark.skipif(not system_python(), reason="there is no Python in /usr that is new enough")
def test_a_command_in_any_language_may_find_its_walls_up(bench: Bench) -> None:
    """It is executed, so it may choose its interpreter's options and variables as it likes."""
    code = "import os, sys; print(os.getpid(), sorted(os.environ), os.listdir('/mnt'), sys.flags.isolated)"
    spec = bench.spec(PYTHON, "-I", "-c", code, environment={"PYTHONSAFEPATH": "1", "OWN": "x"})
    zygote = replace(zygote_for(spec), interpreter=())

    async def story() -> list[Any]:
        return [await bench.output(spec), await bench.output(replace(spec, zygote=zygote))]

    executed, prepared = bench.run(story())
    assert prepared == executed
    assert prepared[1] == ExitStatus(code=0)


@pytest.mark.skipif(not system_python(), reason="there is no Python in /usr that is new enough")
def test_a_prepared_sandbox_says_why_a_command_cannot_be_executed(bench: Bench) -> None:
    spec = bench.spec("/no/such/program")
    zygote = replace(zygote_for(spec), interpreter=())
    with pytest.raises(SandboxError, match="execute: No such file"):
        bench.run(bench.output(replace(spec, zygote=zygote)))
