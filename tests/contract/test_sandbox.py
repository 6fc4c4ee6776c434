"""What every sandbox promises, whatever its walls: one suite, run against each kind."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
import textwrap
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from family import below, children
from forking import CopyingSandbox, ForkingSandbox, SeedlingSandbox
from lambent.sandbox import ExitStatus, Mount, Sandbox, SandboxError, SandboxProcess, SandboxSpec, Tmp
from lambent.sandbox.launched import LaunchedProcess
from lambent.sandbox.namespaces import NamespaceSandbox
from lambent.sandbox.probe import trial
from lambent.sandbox.process import ProcessSandbox

PREFIX = sys.base_prefix
PYTHON = f"{PREFIX}/bin/python{sys.version_info.major}.{sys.version_info.minor}"
MEMORY_BYTES = 256 * 1024 * 1024


class Bench:
    """A sandbox under test and the loop in which it lives."""

    def __init__(self, sandbox: Sandbox, runner: asyncio.Runner, directory: Path) -> None:
        self.sandbox = sandbox
        self.run: Callable[[Any], Any] = runner.run
        self._directory = directory
        self._count = 0

    def spec(self, *command: str, **members: Any) -> SandboxSpec:
        """A spec with a name and a tmp directory of its own; Python is at the same path in every kind."""
        self._count += 1
        tmp = self._directory / f"tmp-{self._count}"
        tmp.mkdir()
        defaults: dict[str, Any] = {
            "name": f"contract-{self._count}",
            "environment": {},
            "working_directory": "/",
            "tmp_directory": str(tmp),
            "memory_bytes": MEMORY_BYTES,
            "mounts": () if PREFIX == "/usr" else (Mount(PREFIX, PREFIX),),
        }
        return SandboxSpec(command=command, **(defaults | members))

    def shell(self, script: str, **members: Any) -> SandboxSpec:
        return self.spec("/bin/sh", "-c", script, **members)

    def python(self, source: str, **members: Any) -> SandboxSpec:
        return self.spec(PYTHON, "-I", "-S", "-c", textwrap.dedent(source), **members)

    async def output(self, spec: SandboxSpec) -> tuple[bytes, ExitStatus]:
        """What a command writes to its standard output, and how it ends."""
        process, output = await self.piped(spec)
        text = await read_all(output)
        status = await process.wait()
        await process.close()
        return text, status

    async def piped(self, spec: SandboxSpec) -> tuple[SandboxProcess, int]:
        """A started command and the reading end of its standard output and error."""
        read, write = os.pipe()
        members = {name: getattr(spec, name) for name in SandboxSpec.__dataclass_fields__}
        members["inherited"] = ((write, 1), (write, 2), *spec.inherited)
        try:
            return await self.sandbox.start(SandboxSpec(**members)), read
        except BaseException:
            os.close(read)
            raise
        finally:
            os.close(write)

    def inside_tmp(self, spec: SandboxSpec) -> str:
        return "/tmp" if self.sandbox.task_paths_are_virtual else spec.tmp_directory


async def read_all(descriptor: int) -> bytes:
    """Everything until every writer is gone; closes the descriptor."""

    def read() -> bytes:
        with open(descriptor, "rb") as file:
            return file.read()

    return await asyncio.to_thread(read)


def groups(pid: int) -> set[str]:
    """Every control group of a server and of its sandboxes, in one hierarchy or in several."""
    places = [
        place for depth in ("", "*/") for place in Path("/sys/fs/cgroup").glob(f"{depth}lambent/{pid}-*")
    ]
    return {str(path) for place in places for path in (place, *place.glob("*/"))}


def traces() -> dict[str, Any]:
    """What a sandbox could leave behind on this machine."""
    return {
        "processes": len(below(os.getpid())),
        "mounts": Path("/proc/self/mountinfo").read_text(),
        "groups": groups(os.getpid()),
        "descriptors": {path.name for path in Path("/proc/self/fd").iterdir() if path.exists()},
    }


KINDS: dict[str, type[NamespaceSandbox]] = {
    "namespaces": NamespaceSandbox,
    "namespaces, forked": ForkingSandbox,
    "namespaces, copied": CopyingSandbox,
    "namespaces, started ahead": SeedlingSandbox,
}


def make(kind: str, directory: Path) -> Sandbox:
    if kind == "process":
        return ProcessSandbox(run_dir=directory / "run")
    return KINDS[kind](network="none", run_dir=directory / "run")


@pytest.fixture(scope="module", params=[*KINDS, "process"])
def shared(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    directory = tmp_path_factory.mktemp("sandbox")
    with asyncio.Runner() as runner:
        sandbox = make(request.param, directory)
        try:
            runner.run(trial(sandbox))
        except SandboxError as error:
            pytest.skip(f"{request.param} sandboxes are impossible here: {error}")
        # The thread pool's threads and descriptors are the loop's, not a sandbox's.
        runner.run(asyncio.to_thread(int))
        yield Bench(sandbox, runner, directory)
        runner.run(sandbox.close())


@pytest.fixture
def bench(shared: Bench) -> Iterator[Bench]:
    """The shared sandbox; after each test nothing more may be there than before it."""
    before = traces()
    yield shared
    if isinstance(shared.sandbox, ForkingSandbox):
        shared.run(shared.sandbox.settle())
        shared.run(shared.sandbox.forget_zygotes())
    assert traces() == before


def story(test: Callable[[Bench], Awaitable[None]]) -> Callable[[Bench], None]:
    """Let a coroutine be a test."""

    def run(bench: Bench) -> None:
        bench.run(test(bench))

    run.__name__, run.__doc__ = test.__name__, test.__doc__
    return run


@story
async def test_a_command_writes_into_the_pipe_that_it_inherits(bench: Bench) -> None:
    text, status = await bench.output(bench.shell("echo hello"))
    assert (text, status) == (b"hello\n", ExitStatus(code=0))


@story
async def test_a_command_talks_over_an_inherited_socket_at_the_number_it_was_promised(bench: Bench) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        echo = "import socket; s = socket.socket(fileno=5); s.sendall(s.recv(100)[::-1])"
        process = await bench.sandbox.start(bench.python(echo, inherited=((theirs.fileno(), 5),)))
        ours.sendall(b"drawer")
        await process.wait()
        assert ours.recv(100) == b"reward"
        await process.close()


@story
async def test_descriptors_may_swap_numbers(bench: Bench) -> None:
    """A descriptor whose number another one takes inside is not lost."""
    first, first_write = os.pipe()
    second, second_write = os.pipe()
    swapped = ((first_write, second_write), (second_write, first_write))
    source = f"import os; os.write({second_write}, b'one'); os.write({first_write}, b'two')"
    process = await bench.sandbox.start(bench.python(source, inherited=swapped))
    os.close(first_write)
    os.close(second_write)
    assert [await read_all(first), await read_all(second)] == [b"one", b"two"]
    await process.close()


@story
async def test_every_other_descriptor_is_closed(bench: Bench) -> None:
    secret = os.open("/etc/passwd", os.O_RDONLY)
    os.set_inheritable(secret, True)
    listing = "import os; print(sorted(map(int, os.listdir('/proc/self/fd'))))"
    text, _ = await bench.output(bench.python(listing, inherited=((secret, 9),)))
    os.close(secret)
    assert text == b"[0, 1, 2, 3, 9]\n"  # 3 is the listing itself


@story
async def test_standard_descriptors_are_null_unless_given(bench: Bench) -> None:
    probe = """
        import os
        report = os.fdopen(7, "w")
        print([os.readlink(f"/proc/self/fd/{n}") for n in (0, 1, 2)], file=report)
    """
    read, write = os.pipe()
    process = await bench.sandbox.start(bench.python(probe, inherited=((write, 7),)))
    os.close(write)
    assert await read_all(read) == b"['/dev/null', '/dev/null', '/dev/null']\n"
    await process.close()


@story
async def test_an_exit_code_is_reported(bench: Bench) -> None:
    for code in (0, 1, 129, 255):
        _, status = await bench.output(bench.shell(f"exit {code}"))
        assert status == ExitStatus(code=code)


@story
async def test_the_signal_that_killed_the_command_is_reported(bench: Bench) -> None:
    for number in (signal.SIGSEGV, signal.SIGTERM, signal.SIGKILL):
        _, status = await bench.output(bench.shell(f"kill -{int(number)} $$"))
        assert status == ExitStatus(signal=int(number))


@story
async def test_terminate_asks_the_command_alone(bench: Bench) -> None:
    script = "trap 'echo asked; exit 3' TERM; echo ready; while :; do read line || :; done"
    feed, keep = os.pipe()
    process, output = await bench.piped(bench.shell(script, inherited=((feed, 0),)))
    assert await asyncio.to_thread(os.read, output, 100) == b"ready\n"
    process.terminate()
    assert await process.wait() == ExitStatus(code=3)
    assert await read_all(output) == b"asked\n"
    os.close(feed)
    os.close(keep)
    await process.close()


@story
async def test_kill_ends_a_command_that_ignores_signals(bench: Bench) -> None:
    ignoring = """
        import signal
        for number in set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP}:
            signal.signal(number, signal.SIG_IGN)
        print("ready", flush=True)
        while True:
            signal.pause()
    """
    process, output = await bench.piped(bench.python(ignoring))
    assert await asyncio.to_thread(os.read, output, 100) == b"ready\n"
    process.terminate()
    process.kill()
    process.kill()
    assert await process.wait() == ExitStatus(signal=9)
    process.kill()
    process.terminate()
    process.limit_cpu(1.0)
    await process.close()
    process.kill()
    assert await read_all(output) == b""


COUNT = """
    import os, threading
    def count(number):
        while True:
            os.write(number, b"x")
    if (child := os.fork()) == 0:
        count(1)
    threading.Thread(target=count, args=(1,)).start()
"""


async def stands_still(output: int) -> bool:
    """Whether nothing is written into a pipe for a moment, once what is in it has been read."""
    os.set_blocking(output, False)
    for _ in range(200):
        try:
            while os.read(output, 1 << 16):
                pass
        except BlockingIOError:
            await asyncio.sleep(0.02)
        with contextlib.suppress(BlockingIOError):
            os.read(output, 1)
            continue
        return True
    return False


async def goes_on(output: int) -> bool:
    """Whether something is written into a pipe, sooner or later."""
    os.set_blocking(output, True)
    return await asyncio.to_thread(os.read, output, 1) == b"x"


@story
async def test_what_is_frozen_stands_still_and_goes_on_afterwards(bench: Bench) -> None:
    if bench.sandbox.kind == "process":
        pytest.skip("not promised without walls")
    process, output = await bench.piped(bench.python(COUNT))
    for _ in range(3):
        assert await goes_on(output)
        process.freeze()
        process.freeze()
        assert await stands_still(output)
        process.thaw()
        process.thaw()
    assert await goes_on(output)
    await process.close()
    process.freeze()
    process.thaw()
    os.close(output)


@story
async def test_what_is_to_be_patient_is_scheduled_so_until_it_need_not_be_any_more(bench: Bench) -> None:
    source = "import os, sys\nfor _ in sys.stdin: print(os.sched_getscheduler(0), flush=True)"
    asks, asked = os.pipe()
    process, output = await bench.piped(bench.python(source, inherited=((asks, 0),)))
    os.close(asks)
    found: list[int] = []
    for is_patient in (None, True, True, False):
        if is_patient is not None:
            process.set_patient(is_patient)
        os.write(asked, b"\n")
        found.append(int(await asyncio.to_thread(os.read, output, 100)))
    may_decide = os.geteuid() == 0 or bench.sandbox.kind == "process"
    batch = os.SCHED_BATCH if may_decide else os.SCHED_OTHER
    assert found == [os.SCHED_OTHER, batch, batch, os.SCHED_OTHER]
    os.close(asked)
    await process.wait()
    await process.close()
    process.set_patient(True)
    os.close(output)


@story
async def test_what_is_frozen_can_be_killed_and_asked_to_end(bench: Bench) -> None:
    for end in ("kill", "terminate", "close", "from outside"):
        process, output = await bench.piped(bench.shell("echo ready; exec sleep 1000"))
        assert await asyncio.to_thread(os.read, output, 100) == b"ready\n"
        process.freeze()
        match end:
            case "kill":
                process.kill()
            case "terminate":
                process.terminate()
            case "close":
                await process.close()
            case _:
                assert isinstance(process, LaunchedProcess)
                signal.pidfd_send_signal(process._command, signal.SIGKILL)  # pyright: ignore[reportPrivateUsage]
        assert (await process.wait()).signal == (15 if end == "terminate" else 9)
        await process.close()
        os.close(output)


DAEMON = """
    import os, signal
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            signal.signal(signal.SIGHUP, signal.SIG_IGN)
            os.write(1, b"daemon")
            os.execv("/bin/sleep", ["sleep", "1000"])
        os._exit(0)
    os.wait()
    os.read(0, 1)
"""


@story
async def test_a_daemon_does_not_outlive_the_command_that_left_it(bench: Bench) -> None:
    """It holds the pipe open: the pipe's end proves its death."""
    for end in ("exit", "kill"):
        feed, keep = os.pipe()
        process, output = await bench.piped(bench.python(DAEMON, inherited=((feed, 0),)))
        assert await asyncio.to_thread(os.read, output, 100) == b"daemon"
        if end == "exit":
            os.write(keep, b"!")
        else:
            process.kill()
        await process.wait()
        assert await read_all(output) == b""
        os.close(feed)
        os.close(keep)
        await process.close()


@story
async def test_listeners_are_reached_from_inside_at_the_addresses_given(bench: Bench) -> None:
    client = """
        import os, socket
        for address in os.environ["ADDRESSES"].split():
            host, _, port = address.partition(":")
            with socket.create_connection((host, int(port))) as connection:
                connection.sendall(address.encode())
    """
    spec = bench.python(client, listen=(("169.254.100.1", 9001), ("127.0.0.1", 4566), ("127.0.0.1", 0)))
    # Ports are known when the command runs already: it is told over a pipe, as environments never change.
    wrapper = 'read ADDRESSES; export ADDRESSES; exec "$@"'
    feed, tell = os.pipe()
    wrapped = bench.spec(
        "/bin/sh", "-c", wrapper, "sh", *spec.command, listen=spec.listen, inherited=((feed, 0),)
    )
    process = await bench.sandbox.start(wrapped)
    addresses = [f"{host}:{port}" for host, port in process.addresses]
    os.write(tell, " ".join(addresses).encode() + b"\n")
    os.close(tell)
    os.close(feed)
    heard: list[str] = []
    for listener in process.listeners:
        connection, _ = await asyncio.get_running_loop().sock_accept(listener)
        with connection:
            heard.append((await asyncio.get_running_loop().sock_recv(connection, 100)).decode())
    assert heard == addresses
    assert await process.wait() == ExitStatus(code=0)
    await process.close()
    assert all(listener.fileno() == -1 for listener in process.listeners)


@story
async def test_addresses_are_the_ones_asked_for_where_the_network_is_the_sandboxs_own(bench: Bench) -> None:
    spec = bench.shell("exit 0", listen=(("169.254.100.1", 9001), ("127.0.0.1", 4566)))
    first, second = [await bench.sandbox.start(spec), await bench.sandbox.start(bench_copy(bench, spec))]
    if bench.sandbox.task_paths_are_virtual:
        assert first.addresses == second.addresses == spec.listen
    else:
        assert {host for host, _ in first.addresses + second.addresses} == {"127.0.0.1"}
        assert len({port for _, port in first.addresses + second.addresses}) == 4
    await first.close()
    await second.close()


@story
async def test_what_listens_inside_is_reached_from_outside(bench: Bench) -> None:
    """On the sandbox's own loopback, which nothing outside has."""
    server = """
        import socket
        with socket.create_server(("127.0.0.1", 0)) as listener:
            print(listener.getsockname()[1], flush=True)
            for _ in range(2):
                connection, _ = listener.accept()
                with connection:
                    connection.sendall(b"inside")
        print("closed", flush=True)
        input()
    """
    feed, tell = os.pipe()
    spec = bench.python(server, listen=(("127.0.0.1", 0),), inherited=((feed, 0),))
    process, output = await bench.piped(spec)
    os.close(feed)
    loop = asyncio.get_running_loop()
    port = int(await asyncio.to_thread(os.read, output, 100))
    for _ in range(2):
        with await process.connect(port) as connection:
            assert await loop.sock_recv(connection, 100) == b"inside"
    if bench.sandbox.task_paths_are_virtual:
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port))
    assert await asyncio.to_thread(os.read, output, 100) == b"closed\n"
    with pytest.raises(ConnectionRefusedError):
        await process.connect(port)
    os.close(tell)
    os.close(output)
    await process.close()
    with pytest.raises((SandboxError, ConnectionRefusedError)):
        await process.connect(port)


def bench_copy(bench: Bench, spec: SandboxSpec) -> SandboxSpec:
    return bench.spec(*spec.command, listen=spec.listen)


@story
async def test_the_environment_is_exactly_the_given_one(bench: Bench) -> None:
    wanted = {"_HANDLER": "app.handler", "EMPTY": "", "UMLAUT": "ä\n=", "RAW": os.fsdecode(b"\xff\xfe")}
    text, _ = await bench.output(bench.spec("/usr/bin/env", "-0", environment=wanted))
    assert dict(line.split("=", 1) for line in os.fsdecode(text).split("\0")[:-1]) == wanted


@story
async def test_a_large_environment_is_no_problem(bench: Bench) -> None:
    wanted = {f"VARIABLE_{number}": "x" * 10_000 for number in range(60)}
    text, _ = await bench.output(bench.spec("/usr/bin/env", "-0", environment=wanted))
    assert len(text) == sum(len(name) + len(value) + 2 for name, value in wanted.items())


@story
async def test_the_working_directory_is_the_given_one(bench: Bench) -> None:
    text, _ = await bench.output(bench.spec("/bin/pwd", working_directory="/usr/bin"))
    assert text == b"/usr/bin\n"


@story
async def test_signals_are_neither_ignored_nor_blocked(bench: Bench) -> None:
    text, _ = await bench.output(bench.spec("/bin/grep", "-E", "SigBlk|SigIgn", "/proc/self/status"))
    assert text.split() == [b"SigBlk:", b"0" * 16, b"SigIgn:", b"0" * 16]


@story
async def test_the_command_leads_a_session_of_its_own(bench: Bench) -> None:
    text, _ = await bench.output(
        bench.python("import os; print(os.getpid() == os.getsid(0) == os.getpgid(0))")
    )
    assert text == b"True\n"


@story
async def test_the_tmp_directory_outlives_the_sandbox(bench: Bench) -> None:
    first = bench.shell("")
    path = f"{bench.inside_tmp(first)}/kept"
    writer = bench.shell(f"echo kept > {path}", tmp_directory=first.tmp_directory)
    reader = bench.shell(f"cat {path}", tmp_directory=first.tmp_directory)
    assert await bench.output(writer) == (b"", ExitStatus(code=0))
    assert await bench.output(reader) == (b"kept\n", ExitStatus(code=0))


@story
async def test_nothing_is_mounted_where_it_would_outlive_the_server(bench: Bench) -> None:
    before = traces()["mounts"]
    tmp = await bench.sandbox.make_tmp(1 << 24)
    during = traces()["mounts"]
    await tmp.close()
    assert during == before


@story
async def test_a_tmp_is_made_empty_kept_between_commands_copied_and_removed(bench: Bench) -> None:
    tmp = await bench.sandbox.make_tmp(16 << 20)

    def shell(script: str, tmp: Tmp) -> SandboxSpec:
        place = "/tmp" if bench.sandbox.task_paths_are_virtual else tmp.path
        limit = tmp.max_file_bytes
        return bench.shell(f"cd {place}; {script}", tmp_directory=tmp.path, max_file_bytes=limit)

    assert await bench.output(shell("ls; mkdir d; echo kept > d/kept; ln -s d l", tmp)) == (
        b"",
        ExitStatus(code=0),
    )
    copy = await bench.sandbox.make_tmp(16 << 20, copy_of=tmp)
    assert (await bench.output(shell("cat l/kept; rm d/kept", copy)))[0] == b"kept\n"
    assert (await bench.output(shell("cat l/kept; readlink l", tmp)))[0] == b"kept\nd\n"
    await tmp.close()
    await copy.close()
    assert not Path(tmp.path).exists()  # noqa: ASYNC240
    assert not Path(copy.path).exists()  # noqa: ASYNC240


@story
async def test_files_do_not_grow_beyond_their_limit(bench: Bench) -> None:
    source = """
        try:
            with open(f"{TMP}/big", "wb", buffering=0) as file:
                while file.write(bytes(65536)):
                    pass
        except OSError as error:
            print(error.strerror, os.path.getsize(file.name))
    """
    spec = bench.python("", max_file_bytes=1_000_000)
    command = (*spec.command[:-1], f"import os; TMP = {bench.inside_tmp(spec)!r}" + textwrap.dedent(source))
    text, _ = await bench.output(replace(spec, command=command))
    assert text == b"File too large 1000000\n"


@story
async def test_twenty_commands_start_at_once(bench: Bench) -> None:
    outputs = await asyncio.gather(*(bench.output(bench.shell(f"echo {number}")) for number in range(20)))
    assert [text for text, _ in outputs] == [b"%d\n" % number for number in range(20)]


@story
async def test_many_may_wait_also_after_the_end(bench: Bench) -> None:
    process = await bench.sandbox.start(bench.shell("exit 5"))
    assert await asyncio.gather(*(process.wait() for _ in range(5))) == [ExitStatus(code=5)] * 5
    await process.close()
    await process.close()
    assert await process.wait() == ExitStatus(code=5)


@story
async def test_a_cancelled_waiter_does_not_disturb_the_others(bench: Bench) -> None:
    process, output = await bench.piped(bench.shell("exec sleep 1000"))
    impatient = asyncio.ensure_future(process.wait())
    await asyncio.sleep(0)
    impatient.cancel()
    with pytest.raises(asyncio.CancelledError):
        await impatient
    process.kill()
    assert await process.wait() == ExitStatus(signal=9)
    await process.close()
    await read_all(output)


@story
async def test_cancelling_a_start_at_any_moment_leaves_nothing(bench: Bench) -> None:
    """The loop turns are the moments; `bench` looks for what is left."""
    for turns in range(12):
        task = asyncio.ensure_future(
            bench.sandbox.start(bench.shell("exec sleep 1000", listen=(("127.0.0.1", 0),)))
        )
        for _ in range(turns):
            await asyncio.sleep(0)
            await asyncio.to_thread(int)  # lets real time pass in small steps
        task.cancel()
        try:
            process = await task
        except asyncio.CancelledError:
            continue
        await process.close()


@story
async def test_a_program_that_does_not_exist_is_an_error_of_the_step_execute(bench: Bench) -> None:
    with pytest.raises(SandboxError) as raised:
        await bench.sandbox.start(bench.spec("/nowhere/program", listen=(("127.0.0.1", 0),)))
    assert (raised.value.step, raised.value.reason) == (
        "execute",
        "No such file or directory (/nowhere/program)",
    )


@story
async def test_a_working_directory_that_does_not_exist_is_an_error_of_that_step(bench: Bench) -> None:
    with pytest.raises(SandboxError, match="working_directory: No such file or directory"):
        await bench.sandbox.start(bench.shell("exit 0", working_directory="/nowhere"))


@story
async def test_a_descriptor_that_is_not_open_is_an_error(bench: Bench) -> None:
    with pytest.raises(SandboxError, match="order: Bad file descriptor"):
        await bench.sandbox.start(bench.shell("exit 0", inherited=((9999, 3),)))


@story
async def test_a_name_that_could_lead_elsewhere_is_refused(bench: Bench) -> None:
    for name in ("", "../x", "A", "x" * 65):
        with pytest.raises(SandboxError, match="name"):
            await bench.sandbox.start(bench.shell("exit 0", name=name))


@story
async def test_the_peak_of_memory_is_measured(bench: Bench) -> None:
    hungry = """
        import os
        held = bytearray(60_000_000)
        del held
        os.write(1, b"eaten")
        os.read(0, 1)
    """
    feed, keep = os.pipe()
    process, output = await bench.piped(bench.python(hungry, inherited=((feed, 0),)))
    assert await asyncio.to_thread(os.read, output, 100) == b"eaten"
    assert 60_000_000 < process.peak_memory_bytes() < 100_000_000
    process.kill()
    await process.close()
    assert 60_000_000 < process.peak_memory_bytes() < 100_000_000
    assert not process.out_of_memory()
    for descriptor in (feed, keep, output):
        os.close(descriptor)


@story
async def test_the_peak_of_a_short_command_is_known_after_its_end(bench: Bench) -> None:
    process = await bench.sandbox.start(bench.python("bytearray(60_000_000)"))
    await process.wait()
    await process.close()
    assert 60_000_000 < process.peak_memory_bytes() < 100_000_000


@story
async def test_more_open_files_than_allowed_are_refused(bench: Bench) -> None:
    opener = """
        import os
        opened = 0
        try:
            while opened < 5000:
                os.dup(0)
                opened += 1
        except OSError as error:
            print(opened + 3, error.strerror)
    """
    text, _ = await bench.output(bench.python(opener, max_open_files=1024))
    assert text == b"1024 Too many open files\n"


@story
async def test_a_spawner_that_dies_takes_its_commands_along_and_is_replaced(bench: Bench) -> None:
    process, output = await bench.piped(bench.shell("exec sleep 1000"))
    (spawner,) = children(os.getpid())
    os.kill(spawner, signal.SIGKILL)
    assert await process.wait() == ExitStatus(signal=9)
    assert await read_all(output) == b""
    await process.close()
    assert await bench.output(bench.shell("echo again")) == (b"again\n", ExitStatus(code=0))


def test_every_kind_speaks_about_the_same_promises(tmp_path: Path) -> None:
    kinds: list[Sandbox] = [
        NamespaceSandbox(network="none", run_dir=tmp_path),
        ProcessSandbox(run_dir=tmp_path),
    ]
    promises = [[line.promise for line in sandbox.enforcement] for sandbox in kinds]
    assert promises[0] == promises[1]
    assert [sandbox.kind for sandbox in kinds] == ["namespaces", "process"]


SERVER = """
    import asyncio, os, sys
    from pathlib import Path
    from lambent.sandbox import SandboxSpec
    from lambent.sandbox.namespaces import NamespaceSandbox
    from lambent.sandbox.process import ProcessSandbox

    async def main(kind, directory):
        sandbox = (
            NamespaceSandbox(network="none", run_dir=Path(directory))
            if kind == "namespaces" else ProcessSandbox(run_dir=Path(directory))
        )
        await sandbox.open()
        await sandbox.start(SandboxSpec(
            name="orphan", command=("/bin/sh", "-c", "sleep 1000 & echo ready; wait"), environment={},
            working_directory="/", tmp_directory=directory, memory_bytes=64 << 20, inherited=((1, 1),),
        ))
        await asyncio.Event().wait()

    asyncio.run(main(*sys.argv[1:]))
"""


def test_nothing_outlives_a_server_that_is_killed(shared: Bench, tmp_path: Path) -> None:
    """The sandboxed commands hold the server's standard output open: its end proves their death."""
    arguments = [sys.executable, "-c", textwrap.dedent(SERVER), shared.sandbox.kind, str(tmp_path)]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE) as server:
        assert server.stdout is not None
        assert server.stdout.readline() == b"ready\n"
        server.kill()
        assert server.stdout.read() == b""


def test_a_new_server_removes_the_control_groups_of_one_that_was_killed(
    shared: Bench, tmp_path: Path
) -> None:
    arguments = [sys.executable, "-c", textwrap.dedent(SERVER), "namespaces", str(tmp_path / "first")]
    if not shared.sandbox.task_paths_are_virtual:
        pytest.skip("the process sandbox makes no control groups")
    (tmp_path / "first").mkdir()
    with subprocess.Popen(arguments, stdout=subprocess.PIPE) as server:
        assert server.stdout is not None
        assert server.stdout.readline() == b"ready\n"
        server.kill()
        server.stdout.read()
    assert bool(groups(server.pid)) == bool(groups(os.getpid()))  # what there is to remove
    newcomer = NamespaceSandbox(network="none", run_dir=tmp_path / "second")
    shared.run(newcomer.open())
    shared.run(newcomer.close())
    assert groups(server.pid) == set()
