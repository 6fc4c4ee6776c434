"""Promises between sandboxes, and promises about what they may use: each test names one and attacks it."""

from __future__ import annotations

import asyncio
import ctypes
import os
import shutil
import socket
import stat
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from family import below
from forking import ForkingSandbox
from lambent.sandbox import Enforcement, ExitStatus, Mount, Sandbox, SandboxError, SandboxSpec, walls
from lambent.sandbox.namespaces import NamespaceSandbox
from security import attacks

MIB = 1024 * 1024


class Arena:
    """A sandbox of this machine's best kind, to be attacked."""

    def __init__(self, sandbox: Sandbox, runner: asyncio.Runner, directory: Path) -> None:
        self.sandbox = sandbox
        self.run: Callable[[Any], Any] = runner.run
        self.directory = directory
        self._count = 0

    def spec(self, source: str, **members: Any) -> SandboxSpec:
        self._count += 1
        tmp = members.pop("tmp", None)
        if tmp is None:
            tmp = self.directory / f"tmp-{self._count}"
            tmp.mkdir()
        return attacks.attack_spec(source, name=f"attack-{self._count}", tmp=tmp, **members)

    async def attack(self, source: str, **members: Any) -> attacks.Outcome:
        try:
            return await attacks.attack(self.sandbox, self.spec(source, **members))
        except attacks.NoWallsError:
            pytest.fail("the walls are not up; the attack refused to run")

    def requires(self, promise: str) -> None:
        """Skip a test of a promise that this machine does not let us keep (start-up says so to users)."""
        line: Enforcement = next(line for line in self.sandbox.enforcement if line.promise == promise)
        if not line.enforced:
            pytest.skip(f"{promise}: {line.how}")


@pytest.fixture(scope="module", params=attacks.SANDBOXES)
def arena(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Arena]:
    directory = tmp_path_factory.mktemp("arena")
    directory.chmod(0o755)
    sandbox = attacks.SANDBOXES[request.param](network="none", run_dir=directory / "run")
    with asyncio.Runner() as runner:
        try:
            runner.run(sandbox.open())
        except SandboxError as error:
            pytest.skip(f"namespaces are impossible here: {error}")
        yield Arena(sandbox, runner, directory)
        runner.run(sandbox.close())


def story(test: Callable[[Arena], Awaitable[None]]) -> Callable[[Arena], None]:
    """Let a coroutine be a test."""

    def run(arena: Arena) -> None:
        arena.run(test(arena))

    run.__name__, run.__doc__ = test.__name__, test.__doc__
    return run


def tree(directory: Path, files: dict[str, str]) -> Path:
    """A directory with these files."""
    for name, text in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return directory


@story
async def test_another_sandboxs_tmp_and_code_are_out_of_reach(arena: Arena) -> None:
    theirs = tree(arena.directory / "theirs", {"tmp/token": "secret", "code/app.py": "secret"})
    other = await arena.sandbox.start(
        arena.spec("time.sleep(1000)", tmp=theirs / "tmp", mounts=(Mount(str(theirs / "code"), "/var/task"),))
    )
    outcome = await arena.attack(
        """
        found = [attempt(os.stat, path) for path in HOST["paths"]]
        result = found, sorted(os.listdir("/tmp")), attempt(os.listdir, "/var/task")
        """,
        host={
            "paths": [
                str(theirs / "tmp/token"),
                str(theirs / "code/app.py"),
                "/tmp/token",
                "/var/task/app.py",
            ]
        },
    )
    await other.close()
    assert outcome.result == [["ENOENT"] * 4, [], "ENOENT"]


@story
async def test_a_kill_of_everybody_stays_inside(arena: Arena) -> None:
    """Two sandboxes have the same host uid, so only the process namespace is between them."""
    bystander = await arena.sandbox.start(arena.spec("time.sleep(1000)"))
    source = (
        "result = [attempt(os.kill, -1, signal.SIGKILL), attempt(os.kill, 3, 9), attempt(os.killpg, 1, 9)]"
    )
    outcome = await arena.attack(source)
    assert set(outcome.result) == {"ESRCH"}
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await bystander.wait()
    await bystander.close()


@story
async def test_symbolic_links_lead_nowhere_outside(arena: Arena) -> None:
    secret = tree(arena.directory / "linked", {"secret": "secret"}) / "secret"
    outcome = await arena.attack(
        """
        os.symlink(HOST["secret"], "/tmp/direct")
        os.symlink("/proc/self/root" + HOST["secret"], "/tmp/through-proc")
        os.symlink("../" * 40 + HOST["secret"], "/tmp/upwards")
        result = {name: attempt(os.stat, "/tmp/" + name) for name in os.listdir("/tmp")}
        """,
        host={"secret": str(secret)},
    )
    assert outcome.result == {"direct": "ENOENT", "through-proc": "ENOENT", "upwards": "ENOENT"}


@story
async def test_a_link_in_code_does_not_move_a_mount_onto_the_host(arena: Arena) -> None:
    """A layer's target may lie in a directory whose author chose where its links point."""
    code = tree(arena.directory / "tricky", {"app.py": ""})
    (code / "lib").symlink_to("/mnt")
    layer = tree(arena.directory / "layer", {"mark": "layer"})
    before = Path("/proc/self/mountinfo").read_text()  # noqa: ASYNC240
    mounts = (Mount(str(code), "/var/task"), Mount(str(layer), "/var/task/lib"))
    outcome = await arena.attack("result = os.listdir('/mnt')", mounts=mounts)
    assert outcome.result == ["mark"]  # inside, where the link leads inside
    assert Path("/proc/self/mountinfo").read_text() == before  # noqa: ASYNC240


@story
async def test_no_mount_target_is_made_in_a_directory_of_the_host(arena: Arena) -> None:
    code = tree(arena.directory / "untouched", {"app.py": ""})
    mounts = (Mount(str(code), "/var/task"), Mount(str(code), "/var/task/new/place"))
    with pytest.raises(SandboxError, match="mounts: does not exist in the mount around it"):
        await arena.sandbox.start(arena.spec("result = 0", mounts=mounts))
    assert [path.name for path in code.iterdir()] == ["app.py"]


@story
async def test_mounts_nest_and_files_can_be_mounted(arena: Arena) -> None:
    outer = tree(arena.directory / "outer", {"app.py": "outer", "inner/covered": "", "file": "covered"})
    inner = tree(arena.directory / "inner", {"seen": "inner"})
    mounts = (
        Mount(str(outer), "/var/task"),
        Mount(str(inner), "/var/task/inner"),
        Mount(str(inner / "seen"), "/var/task/file"),
        Mount(str(inner / "seen"), "/a/new/place"),
    )
    outcome = await arena.attack(
        """
        read = lambda path: open(path).read()
        result = [os.listdir("/var/task/inner"), read("/var/task/file"), read("/a/new/place"), read("/var/task/app.py")]
        """,
        mounts=mounts,
    )
    assert outcome.result == [["seen"], "inner", "inner", "outer"]


@story
async def test_hidden_directories_are_empty_and_read_only(arena: Arena) -> None:
    code = tree(arena.directory / "hiding", {"site-packages/secret.py": "", "app.py": ""})
    outcome = await arena.attack(
        """
        hidden = "/var/task/site-packages"
        result = os.listdir(hidden), attempt(os.mkdir, hidden + "/x"), os.path.exists("/never/there")
        """,
        mounts=(Mount(str(code), "/var/task"),),
        hidden=("/var/task/site-packages", "/never/there", "/var/task/app.py/not-a-directory"),
    )
    assert outcome.result == [[], "EROFS", False]


@story
async def test_code_that_only_the_server_may_read_can_still_be_mounted(arena: Arena) -> None:
    private = tree(arena.directory / "private/below", {"app.py": "code"})
    private.parent.chmod(0o700)
    outcome = await arena.attack(
        "result = open('/var/task/app.py').read()", mounts=(Mount(str(private), "/var/task"),)
    )
    assert outcome.result == "code"


@story
async def test_set_user_id_programs_give_nothing(arena: Arena) -> None:
    """The program stands in /tmp with its owner's bit set, which takes the host's help."""
    tmp = arena.directory / "setuid"
    tmp.mkdir()
    program = tmp / "id"
    shutil.copy("/usr/bin/id", program)
    program.chmod(0o755 | stat.S_ISUID | stat.S_ISGID)
    outcome = await arena.attack(
        "import subprocess; result = subprocess.check_output(['/tmp/id', '-u'], text=True)", tmp=tmp
    )
    assert outcome.result == "993\n"


@story
async def test_the_host_sees_the_command_as_nobody_it_knows(arena: Arena) -> None:
    if os.geteuid() != 0:
        pytest.skip("an ordinary user has no second uid to give")
    outcome = await arena.attack("open('/tmp/mine', 'w').close(); result = 0", tmp=owned(arena, "owner"))
    assert outcome.result == 0
    ids = walls.choose_ids(Path("/proc/self/uid_map").read_text(), is_root=True)  # noqa: ASYNC240
    assert ids.is_private
    assert (arena.directory / "owner/mine").stat().st_uid == int(ids.user_ids.split()[1]) + 993


def owned(arena: Arena, name: str) -> Path:
    path = arena.directory / name
    path.mkdir()
    return path


@story
async def test_a_memory_hog_is_killed_and_reported(arena: Arena) -> None:
    arena.requires("memory limit")
    outcome = await arena.attack("held = bytearray(b'x') * 400_000_000; result = 0", memory_bytes=64 * MIB)
    assert (outcome.result, outcome.status) == (None, ExitStatus(signal=9))
    assert outcome.was_out_of_memory
    assert 48 * MIB < outcome.peak_memory_bytes <= 64 * MIB


@story
async def test_a_hog_among_children_is_killed_and_its_parent_lives_to_tell(arena: Arena) -> None:
    arena.requires("memory limit")
    outcome = await arena.attack(
        """
        if (child := os.fork()) == 0:
            held = bytearray(b"x") * 400_000_000
        result = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        """,
        memory_bytes=64 * MIB,
    )
    assert (outcome.result, outcome.status) == (-9, ExitStatus(code=0))
    assert outcome.was_out_of_memory


@story
async def test_memory_files_and_shared_memory_count_as_memory(arena: Arena) -> None:
    arena.requires("memory limit")
    for source in (
        "file = os.memfd_create('hog')\nfor _ in range(200): os.write(file, b'x' * 1_000_000)\nresult = 0",
        "import mmap\nheld = mmap.mmap(-1, 200_000_000)\nfor _ in range(200): held.write(b'x' * 1_000_000)\nresult = 0",
    ):
        outcome = await arena.attack(source, memory_bytes=64 * MIB)
        assert (outcome.result, outcome.was_out_of_memory) == (None, True)


@story
async def test_the_file_cache_is_not_counted_as_memory_used(arena: Arena) -> None:
    arena.requires("memory limit")
    source = "file = open('/tmp/big', 'wb')\nfor _ in range({}): file.write(b'x' * 1_000_000)\nresult = 0"
    outcome = await arena.attack(source.format(100), memory_bytes=256 * MIB)
    assert outcome.peak_memory_bytes < 50_000_000
    # Nor does it count against the limit: the kernel lets go of it first.
    outcome = await arena.attack(source.format(200), memory_bytes=128 * MIB)
    assert (outcome.status, outcome.was_out_of_memory) == (ExitStatus(code=0), False)


@story
async def test_shared_memory_has_a_size(arena: Arena) -> None:
    outcome = await arena.attack(
        """
        file = os.open("/dev/shm/hog", os.O_CREAT | os.O_WRONLY)
        result = attempt(lambda: [os.write(file, b"x" * 1_000_000) for _ in range(200)])
        """,
    )
    assert outcome.result == "ENOSPC"


@story
async def test_a_fork_bomb_is_bounded(arena: Arena) -> None:
    outcome = await arena.attack(
        """
        children = []
        try:
            while len(children) < 500:
                child = os.fork()
                if child == 0:
                    signal.pause()
                children.append(child)
            result = "unbounded"
        except BlockingIOError:
            result = len(children) + 1
        """,
        max_processes=60,
    )
    assert isinstance(outcome.result, int)
    assert 55 <= outcome.result <= 60


@story
async def test_threads_count_as_processes(arena: Arena) -> None:
    outcome = await arena.attack(
        """
        import threading
        stop = threading.Event()
        started = 1
        try:
            while started < 500:
                threading.Thread(target=stop.wait, daemon=True).start()
                started += 1
            result = "unbounded"
        except RuntimeError:
            result = started
        stop.set()
        """,
        max_processes=60,
    )
    assert isinstance(outcome.result, int)
    assert 55 <= outcome.result <= 60


@story
async def test_the_cpu_share_is_an_upper_bound(arena: Arena) -> None:
    """A busy machine gives less, never more."""
    arena.requires("CPU limit")
    outcome = await arena.attack(
        """
        end = time.monotonic() + 0.5
        while time.monotonic() < end:
            pass
        result = time.process_time() / 0.5
        """,
        cpu_share=0.2,
    )
    assert outcome.result < 0.5


@story
async def test_system_v_memory_of_the_host_is_invisible(arena: Arena) -> None:
    libc = ctypes.CDLL(None)
    key = 0x1A3B0000 + os.getpid() % 0xFFFF
    identifier = libc.shmget(key, 4096, 0o1000 | 0o666)
    assert identifier >= 0
    try:
        outcome = await arena.attack("result = call('shmget', HOST['key'], 4096, 0)", host={"key": key})
    finally:
        libc.shmctl(identifier, 0, None)
    assert outcome.result == "ENOENT"


@story
async def test_files_in_proc_that_tell_about_the_machine_are_covered(arena: Arena) -> None:
    outcome = await arena.attack(
        """
        def read(path):
            try:
                return open(path, "rb").read(100).decode()
            except OSError as error:
                return errno.errorcode[error.errno]
        paths = ["keys", "kmsg", "timer_list", "kcore"]
        result = {path: read("/proc/" + path) for path in paths}
        """
    )
    assert set(outcome.result.values()) <= {"", "ENOENT", "EACCES", "EPERM"}


@story
async def test_no_secret_of_one_function_is_in_the_memory_that_others_are_forked_from(arena: Arena) -> None:
    """The spawner or a zygote forks every sandbox; specs carry credentials in their environment."""
    if os.geteuid() != 0:
        pytest.skip("only root may look into the spawner's memory")
    secret = f"credential-{os.urandom(8).hex()}"
    environment = {"HOST": arena.spec("").environment["HOST"], "SECRET": secret}
    first = await arena.attack("result = os.environ['SECRET']", environment=environment)
    assert first.result == secret
    if isinstance(arena.sandbox, ForkingSandbox):
        await arena.sandbox.settle()
    programs = (b"lambent.sandbox.spawner import main", b"lambent.sandbox.zygote import main")
    ours = {
        pid: program for pid in below(os.getpid()) for program in programs if program in command_line(pid)
    }
    assert list(ours.values()).count(programs[0]) == 2
    # A zygote and its stem, for every kind of command that this file has forked.
    assert (list(ours.values()).count(programs[1]) >= 2) == isinstance(arena.sandbox, ForkingSandbox)
    # The search finds what is there: the program's own text is in the memory of each.
    assert all(memory_contains(pid, program) for pid, program in ours.items())
    assert not any(memory_contains(pid, secret.encode()) for pid in ours)


def command_line(pid: int) -> bytes:
    return Path(f"/proc/{pid}/cmdline").read_bytes()


def memory_contains(pid: int, needle: bytes) -> bool:
    with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            start, end = (int(edge, 16) for edge in line.split()[0].split("-"))
            if "rw" in line.split()[1]:
                memory.seek(start)
                if needle in memory.read(end - start):
                    return True
    return False


@story
async def test_typing_into_a_terminal_that_was_inherited_is_refused(arena: Arena) -> None:
    ours, theirs = os.openpty()
    outcome = await arena.attack(
        "import fcntl, termios; result = attempt(fcntl.ioctl, 7, termios.TIOCSTI, b'x')",
        inherited=((theirs, 7),),
    )
    os.close(ours)
    os.close(theirs)
    assert outcome.result == "EPERM"


@story
async def test_what_programs_usually_do_is_allowed(arena: Arena) -> None:
    """The filter must not cost a function what Lambda gives it."""
    outcome = await arena.attack(
        """
        import multiprocessing, resource, sqlite3, ssl, subprocess, tempfile, threading
        context = multiprocessing.get_context("fork")
        queue = context.Queue()
        child = context.Process(target=queue.put, args=("from a child",))
        child.start()
        with tempfile.NamedTemporaryFile() as file, sqlite3.connect("/tmp/base") as base:
            base.execute("create table t(x)")
            file.write(b"x" * 100)
            os.posix_fallocate(file.fileno(), 0, 1000)
        thread = threading.Thread(target=lambda: None); thread.start(); thread.join()
        a, b = socket.socketpair()
        result = [
            queue.get(), subprocess.check_output(["/bin/sh", "-c", "echo shell"], text=True), os.cpu_count() > 0,
            socket.gethostname(), socket.gethostbyname("localhost"),
            len(os.urandom(16)), os.sched_getaffinity(0) != set(),
        ]
        child.join()
        """,
        hostname="sandbox-1",
    )
    assert outcome.result == ["from a child", "shell\n", True, "sandbox-1", "127.0.0.1", 16, True]


@story
async def test_the_users_name_is_lambdas(arena: Arena) -> None:
    outcome = await arena.attack(
        "import pwd; entry = pwd.getpwuid(os.getuid()); result = entry.pw_name, entry.pw_gid"
    )
    assert outcome.result == ["sbx_user1051", 990]


@story
async def test_a_network_that_was_asked_for_is_the_hosts(arena: Arena) -> None:
    """The other setting: then the enforcement table says that this wall is missing, and it is."""
    sandbox = NamespaceSandbox(network="host", run_dir=arena.directory / "run-host")
    with socket.create_server(("127.0.0.1", 0)) as server:
        source = "with socket.create_connection(('127.0.0.1', HOST['port'])): result = 'connected'"
        spec = arena.spec(source, host={"port": server.getsockname()[1]})
        await sandbox.open()
        outcome = await attacks.attack(sandbox, spec)
    missing = [
        line.promise for line in sandbox.enforcement if "network" in line.promise and not line.enforced
    ]
    await sandbox.close()
    assert outcome.result == "connected"
    assert missing == ["network of the host is out of reach"]
