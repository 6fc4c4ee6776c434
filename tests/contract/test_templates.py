"""What copies of a running command promise: everything of its memory, and nothing else in common."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from family import below
from forking import ForkingSandbox, zygote_for
from lambent.sandbox import Mount, SandboxError, SandboxProcess, SandboxSpec, Template
from lambent.sandbox.process import ProcessSandbox

PREFIX = sys.base_prefix
COMMAND = (f"{PREFIX}/bin/python{sys.version_info.major}.{sys.version_info.minor}", "-I", "-S", "-c")
PATIENCE_S = 20.0


class Piped:
    """A copy (or the template) and what it writes, a line at a time."""

    def __init__(self, process: SandboxProcess, output: int) -> None:
        self.process = process
        self._file = os.fdopen(output, "rb", buffering=0)

    def line(self) -> Any:
        text = self._file.readline()
        return json.loads(text) if text else None

    async def next(self) -> Any:
        return await asyncio.wait_for(asyncio.to_thread(self.line), PATIENCE_S)

    async def close(self) -> None:
        await self.process.close()
        self._file.close()


class Bench:
    """A sandbox that forks, and the loop in which it lives."""

    def __init__(self, runner: asyncio.Runner, directory: Path) -> None:
        self.run: Callable[[Any], Any] = runner.run
        self.directory = directory
        self.sandbox = ForkingSandbox(network="none", run_dir=directory / "run")
        self._count = 0

    def spec(self, source: str, **members: Any) -> SandboxSpec:
        self._count += 1
        tmp = self.directory / f"tmp-{self._count}"
        tmp.mkdir()
        text = "import json, os, sys\ndef say(x): print(json.dumps(x), flush=True)\n" + textwrap.dedent(
            source
        )
        defaults: dict[str, Any] = {
            "name": f"template-{self._count}",
            "environment": {"KEPT": "k", "CHANGED": "before", "REMOVED": "r"},
            "working_directory": "/",
            "tmp_directory": str(tmp),
            "memory_bytes": 256 * 1024 * 1024,
            "mounts": () if PREFIX == "/usr" else (Mount(PREFIX, PREFIX),),
        }
        spec = SandboxSpec(command=(*COMMAND, text), **(defaults | members))
        return replace(spec, zygote=zygote_for(spec))

    async def template(self, source: str, **members: Any) -> tuple[Template, SandboxSpec]:
        """A template that waits to be copied; `say` writes JSON, `copy_this_process` is there."""
        spec = self.spec(source, **members)
        read, write = os.pipe()
        try:
            template = await self.sandbox.start_template(replace(spec, inherited=((write, 1), (write, 2))))
            await asyncio.wait_for(template.wait_copyable(), PATIENCE_S)
        finally:
            os.close(write)
            os.close(read)
        return template, spec

    async def copy(self, template: Template, spec: SandboxSpec, **changes: Any) -> Piped:
        self._count += 1
        tmp = self.directory / f"tmp-{self._count}"
        tmp.mkdir()
        read, write = os.pipe()
        changes = {"name": f"copy-{self._count}", "tmp_directory": str(tmp)} | changes
        try:
            process = await template.copy(replace(spec, inherited=((write, 1), (write, 2)), **changes))
        finally:
            os.close(write)
        return Piped(process, read)

    async def answers(self, source: str, copies: int = 2, **changes: Any) -> list[Any]:
        """What each of some copies says first."""
        template, spec = await self.template(source)
        running = [await self.copy(template, spec, **changes) for _ in range(copies)]
        answers = [await copy.next() for copy in running]
        for copy in running:
            await copy.close()
        await template.close()
        return answers

    async def refusal(self, source: str) -> str:
        with pytest.raises(SandboxError) as caught:
            await self.template(source)
        assert caught.value.step == "template"
        return caught.value.reason


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    directory = tmp_path_factory.mktemp("templates")
    directory.chmod(0o755)
    with asyncio.Runner() as runner:
        bench = Bench(runner, directory)
        try:
            runner.run(bench.sandbox.open())
        except SandboxError as error:
            pytest.skip(f"namespaces are impossible here: {error}")
        yield bench
        runner.run(bench.sandbox.close())


def test_a_copy_goes_on_where_the_template_waits_with_what_that_had_in_memory(bench: Bench) -> None:
    source = """
        made = os.urandom(8).hex()
        copy_this_process()
        say([made, os.getpid(), os.getppid(), os.listdir("/tmp"), sorted(os.listdir("/proc/self/fd"))])
    """
    first, second = bench.run(bench.answers(source))
    assert first == second
    assert first[1:] == [2, 1, [], ["0", "1", "2", "3"]]  # 3: the directory that is being listed


def test_variables_that_differ_are_changed_and_the_commands_own_are_kept(bench: Bench) -> None:
    source = """
        os.environ["OWN"] = "o"
        copy_this_process()
        say(dict(os.environ))
    """
    environment = {"KEPT": "k", "CHANGED": "after", "ADDED": "a"}
    (answer,) = bench.run(bench.answers(source, copies=1, environment=environment))
    assert {name: answer.get(name) for name in ("KEPT", "CHANGED", "ADDED", "REMOVED", "OWN")} == {
        "KEPT": "k",
        "CHANGED": "after",
        "ADDED": "a",
        "REMOVED": None,
        "OWN": "o",
    }


def test_random_numbers_of_copies_differ(bench: Bench) -> None:
    source = """
        import random, secrets, tempfile, uuid
        random.random(); uuid.uuid4()
        copy_this_process()
        say([random.random(), secrets.token_hex(), str(uuid.uuid4()), tempfile.mktemp()])
    """
    first, second = bench.run(bench.answers(source))
    assert all(one != other for one, other in zip(first, second, strict=True))


def test_a_copy_has_no_rights_and_cannot_leave_its_walls(bench: Bench) -> None:
    source = """
        import ctypes
        copy_this_process()
        libc = ctypes.CDLL(None, use_errno=True)
        status = dict(line.split(":", 1) for line in open("/proc/self/status"))
        def refused(result): return [result, ctypes.get_errno()]
        say({
            "capabilities": [status[name].strip() for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")],
            "no new privileges": status["NoNewPrivs"].strip(), "uid": os.getuid(),
            "unshare": refused(libc.unshare(0x20000)), "user": refused(libc.unshare(0x10000000)),
            "mount": refused(libc.mount(b"x", b"/tmp", b"tmpfs", 0, None)), "umount": refused(libc.umount2(b"/tmp", 2)),
            "setns": refused(libc.setns(os.open("/proc/self/ns/net", 0), 0)),
            "pids": sorted(int(name) for name in os.listdir("/proc") if name.isdigit()),
            "root": sorted(os.listdir("/mnt")),
        })
    """
    (answer,) = bench.run(bench.answers(source, copies=1))
    assert answer["capabilities"] == ["0" * 16] * 5
    assert answer["no new privileges"] == "1"
    assert answer["uid"] == 993
    for call in ("unshare", "user", "mount", "umount", "setns"):
        assert answer[call] == [-1, 1], f"{call} must be refused with EPERM"
    assert answer["pids"] == [1, 2]
    assert answer["root"] == []


def test_handlers_from_before_run_in_a_copys_command_and_never_in_its_process_1(bench: Bench) -> None:
    """Not even when the command signals it at once."""
    source = """
        import signal
        seen = []
        signal.signal(signal.SIGUSR1, lambda *_: seen.append(os.getpid()) if os.getpid() == 2 else os._exit(3))
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR2])
        copy_this_process()
        for number in (signal.SIGUSR1, signal.SIGINT):
            os.kill(1, number)
        os.kill(2, signal.SIGUSR1)
        say([seen, [number.name for number in signal.pthread_sigmask(signal.SIG_BLOCK, ())]])
    """
    assert bench.run(bench.answers(source, copies=12)) == [[[2], ["SIGUSR2"]]] * 12


def test_the_code_in_a_template_has_no_rights_over_the_host(bench: Bench) -> None:
    """It keeps two capabilities in its own user namespace; what they reach is its own."""
    source = """
        import ctypes
        libc = ctypes.CDLL(None, use_errno=True)
        status = dict(line.split(":", 1) for line in open("/proc/self/status"))
        def errno_of(call, *arguments):
            return 0 if call(*arguments) >= 0 else ctypes.get_errno()
        usr = b"/usr"
        tried = {
            "effective": status["CapEff"].strip(), "bounding": status["CapBnd"].strip(),
            "remount": errno_of(libc.mount, None, usr, None, 32 | 4096, None),
            "umount": errno_of(libc.umount2, usr, 2),
            "ptrace": errno_of(libc.ptrace, 16, 1, None, None), "sethostname": errno_of(libc.sethostname, b"x", 1),
        }
        try:
            open("/proc/1/environ").read(); tried["environ"] = "read"
        except OSError as error:
            tried["environ"] = error.errno
        copy_this_process()
        say(tried)
    """
    (answer,) = bench.run(bench.answers(source, copies=1))
    assert answer.pop("effective") == "0" * 16
    assert answer.pop("bounding") == "0" * 16
    assert all(number in (1, 13, 22) for number in answer.values()), answer


def test_files_of_one_copy_are_nobody_elses(bench: Bench) -> None:
    source = """
        open("/tmp/early", "w").write("of the template")
        copy_this_process()
        before = [sorted(os.listdir("/tmp")), os.listdir("/dev/shm")]
        open("/tmp/mine", "w").write("x"); open("/dev/shm/mine", "w").write("x")
        say(before)
    """
    assert bench.run(bench.answers(source)) == [[[], []], [[], []]]


def test_an_open_file_has_an_offset_of_its_own_in_each_copy(bench: Bench) -> None:
    source = """
        source = open("/etc/passwd", "rb", buffering=0); source.read(5)
        copy_this_process()
        say([source.tell(), source.read(3).decode(), source.tell()])
    """
    first, second = bench.run(bench.answers(source))
    assert first == second
    assert [first[0], first[2]] == [5, 8]


def test_an_event_loop_that_was_made_before_works_in_each_copy(bench: Bench) -> None:
    source = """
        import asyncio
        loop = asyncio.new_event_loop()
        loop.run_until_complete(asyncio.sleep(0))
        copy_this_process()
        async def main():
            thread = await loop.run_in_executor(None, os.getpid)  # wakes the loop through its socket pair
            await asyncio.sleep(0.01)
            return thread
        say(loop.run_until_complete(main()))
    """
    assert bench.run(bench.answers(source, copies=3)) == [2, 2, 2]


def test_a_connection_from_before_is_at_its_end(bench: Bench) -> None:
    source = """
        import socket
        server = socket.create_server(("127.0.0.1", 0))
        client = socket.create_connection(server.getsockname())
        accepted, _ = server.accept()
        server.close()
        copy_this_process()
        received = client.recv(10)
        try:
            client.send(b"x"); client.send(b"x"); sent = "sent"
        except OSError as error:
            sent = type(error).__name__
        say([received.decode(), sent])
    """
    assert bench.run(bench.answers(source, copies=1)) == [["", "BrokenPipeError"]]


REFUSED = {
    "a thread": (
        "import threading, time\nthreading.Thread(target=time.sleep, args=(60,), daemon=True).start()",
        "thread",
    ),
    "a deleted file": ("f = open('/tmp/x', 'w'); os.unlink('/tmp/x')", "no name"),
    "shared memory": ("import mmap\nm = mmap.mmap(-1, 4096)", "memory is shared"),
    "memory": ("f = os.memfd_create('x')", "cannot be copied"),
    "a child": ("if os.fork() == 0: import time; time.sleep(60)", "has started is running"),
    "a listening socket": (
        "import socket\nserver = socket.create_server(('127.0.0.1', 0))",
        "waits for connections",
    ),
    "a pipe to a child": (
        "r, w = os.pipe()\nif os.fork() == 0:\n os.close(r); import time; time.sleep(60)\nos.close(w)",
        "pipe",
    ),
}


@pytest.mark.parametrize("case", REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_copied_is_refused_with_the_reason(bench: Bench, case: tuple[str, str]) -> None:
    source, reason = case
    assert reason in bench.run(bench.refusal(source + "\ncopy_this_process()"))


def test_a_command_that_ends_instead_is_refused(bench: Bench) -> None:
    assert "ended" in bench.run(bench.refusal("sys.exit(3)"))


def test_copies_live_and_die_by_themselves_and_a_template_outlives_them(bench: Bench) -> None:
    async def story() -> None:
        template, spec = await bench.template(
            "import time\ncopy_this_process()\nsay(1)\nsys.stdin.read()\nsay(2)\ntime.sleep(60)"
        )
        one, other = await bench.copy(template, spec), await bench.copy(template, spec)
        assert [await one.next(), await other.next()] == [1, 1]
        one.process.kill()
        assert (await one.process.wait()).signal == 9
        await template.close()  # no more copies, but the one that lives goes on
        assert await other.next() == 2
        with pytest.raises(SandboxError):
            await bench.copy(template, spec)
        await other.close()
        await asyncio.wait_for(template.process.wait(), PATIENCE_S)
        await one.close()

    bench.run(story())


def test_memory_is_limited_for_each_copy(bench: Bench) -> None:
    if not any(it.promise == "memory limit" and it.enforced for it in bench.sandbox.enforcement):
        pytest.skip("memory is not limited here")

    async def story() -> None:
        template, spec = await bench.template("copy_this_process()\nx = bytearray(200 << 20)\nsay(len(x))")
        small = await bench.copy(template, spec, memory_bytes=64 << 20)
        large = await bench.copy(template, spec)
        assert await large.next() == 200 << 20
        assert (await small.process.wait()).signal == 9
        assert small.process.out_of_memory()
        for copy in (small, large):
            await copy.close()
        await template.close()

    bench.run(story())


def test_nothing_is_left_of_templates_and_copies(bench: Bench) -> None:
    async def story() -> None:
        before = below(os.getpid())
        await bench.answers("copy_this_process()\nsay(1)", copies=3)
        await bench.sandbox.forget_zygotes()
        await bench.sandbox.settle()
        assert len(below(os.getpid())) <= len(before)

    bench.run(story())


def test_without_walls_there_are_no_copies(bench: Bench) -> None:
    async def story() -> None:
        sandbox = ProcessSandbox(run_dir=bench.directory / "plain")
        await sandbox.open()
        with pytest.raises(SandboxError) as caught:
            await sandbox.start_template(bench.spec("copy_this_process()"))
        assert caught.value.step == "template"
        await sandbox.close()

    bench.run(story())
