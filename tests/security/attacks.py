"""The attacker: runs hostile Python inside a sandbox, but only if it really is inside one.

Standard library and `lambent.sandbox` only, because the same attacks also run as an ordinary user under a system
interpreter (``python attacks.py`` prints the results of `CORE` as JSON). An attack is source text that sets ``result``.
Before it runs, a prelude compares the process namespace and the root directory with the host's and refuses to go on if
they are the same: an attack that succeeds must hurt a sandbox at most, never the machine of whoever runs the tests.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from forking import CopyingSandbox, ForkingSandbox, SeedlingSandbox
from lambent.sandbox import ExitStatus, Mount, Sandbox, SandboxSpec, syscalls
from lambent.sandbox.namespaces import NamespaceSandbox

PREFIX = sys.base_prefix
PYTHON = f"{PREFIX}/bin/python{sys.version_info.major}.{sys.version_info.minor}"
NO_WALLS = 99
MEMORY_BYTES = 256 * 1024 * 1024
TMP_BYTES = 4 * 1024 * 1024

PRELUDE = """
import ctypes, errno, json, os, signal, socket, stat, sys, time
HOST, TASK = json.loads(os.environ.pop("HOST")), "/var/task"
root = os.stat("/")
if os.readlink("/proc/self/ns/pid") == HOST["pid_namespace"] or [root.st_dev, root.st_ino] == HOST["root"]:
    os._exit(99)
libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
def call(name, *arguments):
    '''Make a system call; return the name of its error, or OK.'''
    ctypes.set_errno(0)
    got = libc.syscall(HOST["numbers"][name], *(ctypes.c_long(a) if isinstance(a, int) else a for a in arguments))
    if got == 0 and name in ("clone", "fork"):
        os._exit(0)
    return "OK" if got >= 0 else errno.errorcode[ctypes.get_errno()]
def attempt(function, *arguments, **keywords):
    '''Return OK, or the name of the error that a call ends with.'''
    try:
        function(*arguments, **keywords)
    except OSError as error:
        return errno.errorcode[error.errno]
    return "OK"
"""
EPILOGUE = "\nos.write(1, json.dumps(result).encode())\n"


class NoWallsError(Exception):
    """The sandbox is none: the attack refused to run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What an attack found out, and how its sandbox fared."""

    result: Any
    """The attack's ``result``; None if it did not live to tell."""
    status: ExitStatus
    was_out_of_memory: bool
    peak_memory_bytes: int


def host_facts() -> dict[str, Any]:
    """What the prelude needs to know about the outside."""
    root = Path("/").stat()
    return {
        "pid_namespace": str(Path("/proc/self/ns/pid").readlink()),
        "root": [root.st_dev, root.st_ino],
        "numbers": dict(syscalls.numbers()),
    }


def attack_spec(source: str, *, name: str, tmp: Path, **members: Any) -> SandboxSpec:
    """A spec that runs an attack; ``host`` adds to what the attack is told about the outside."""
    host = host_facts() | members.pop("host", {})
    mounts = () if PREFIX == "/usr" else (Mount(PREFIX, PREFIX),)
    defaults: dict[str, Any] = {
        "name": name,
        "command": (PYTHON, "-I", "-S", "-c", PRELUDE + textwrap.dedent(source) + EPILOGUE),
        "environment": {"HOST": json.dumps(host)},
        "working_directory": "/tmp",
        "tmp_directory": str(tmp),
        "memory_bytes": MEMORY_BYTES,
        "mounts": mounts + tuple(members.pop("mounts", ())),
    }
    return SandboxSpec(**(defaults | members))


def read_all(descriptor: int) -> bytes:
    """Everything until every writer is gone; closes the descriptor."""
    with os.fdopen(descriptor, "rb") as file:
        return file.read()


async def attack(sandbox: Sandbox, spec: SandboxSpec) -> Outcome:
    """Run an attack to its end."""
    read, write = os.pipe()
    members = {field: getattr(spec, field) for field in SandboxSpec.__dataclass_fields__}
    members["inherited"] = (*spec.inherited, (write, 1), (write, 2))
    try:
        process = await sandbox.start(SandboxSpec(**members))
    except BaseException:
        os.close(read)
        raise
    finally:
        os.close(write)
    output = await asyncio.to_thread(read_all, read)
    status = await process.wait()
    await process.close()
    if status.code == NO_WALLS:
        raise NoWallsError
    if status.code not in (0, None):
        raise AssertionError(output.decode(errors="replace"))
    return Outcome(
        result=json.loads(output) if status.code == 0 else None,
        status=status,
        was_out_of_memory=process.out_of_memory(),
        peak_memory_bytes=process.peak_memory_bytes(),
    )


_FORBIDDEN_CALLS = """
    acct add_key bpf chroot clock_settime delete_module fanotify_init finit_module fsconfig fsmount fsopen fspick
    init_module io_uring_enter io_uring_register io_uring_setup kcmp kexec_load keyctl lookup_dcookie mbind
    migrate_pages mount mount_setattr move_mount move_pages name_to_handle_at open_by_handle_at open_tree
    perf_event_open personality pidfd_getfd pivot_root process_madvise process_vm_readv process_vm_writev ptrace
    quotactl reboot request_key setdomainname sethostname setns settimeofday swapoff swapon syslog umount2 unshare
    userfaultfd vhangup
"""
FORBIDDEN_CALLS = _FORBIDDEN_CALLS.split()
"""Tried with arguments that would give EFAULT, EINVAL or success if the call were let through."""

CORE = {
    "identity": """
        fields = dict(line.split(":", 1) for line in open("/proc/self/status"))
        result = {
            name: fields[name].split() for name in
            ("Uid", "Gid", "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp")
        }
    """,
    "calls": """
        arguments = {"personality": (0x0040000,)}
        result = {
            name: call(name, *arguments.get(name, (0,) * 6))
            for name in HOST["forbidden"] if name in HOST["numbers"]
        }
    """,
    "namespaces": """
        flags = {
            "mount": 0x20000, "cgroup": 0x2000000, "uts": 0x4000000, "ipc": 0x8000000, "user": 0x10000000,
            "pid": 0x20000000, "net": 0x40000000,
        }
        result = {name: call("clone", flag | 17, 0, 0, 0, 0) for name, flag in flags.items()}
        result["clone3"] = call("clone3", 0, 0)
        for name in ("mnt", "pid", "net", "user"):
            descriptor = os.open(f"/proc/self/ns/{name}", os.O_RDONLY)
            result[f"setns {name}"] = call("setns", descriptor, 0)
    """,
    "files": """
        result = {path: attempt(os.stat, path) for path in HOST["paths"]}
        result["/home"], result["/"] = os.listdir("/home"), sorted(os.listdir("/"))
    """,
    "writes": """
        places = ["/", "/usr", "/etc", "/dev", "/opt", "/var", "/home", "/var/task", "/proc", "/proc/sys/kernel"]
        result = {place: attempt(os.open, place + "/new", os.O_CREAT | os.O_WRONLY) for place in places}
        code = "/var/task/app.py"
        result["append"] = attempt(os.open, code, os.O_WRONLY | os.O_APPEND)
        result["truncate"] = attempt(os.truncate, code, 0)
        result["unlink"] = attempt(os.unlink, code)
        result["rename"] = attempt(os.rename, code, "/var/task/other.py")
        result["chmod"] = attempt(os.chmod, code, 0o777)
        result["utime"] = attempt(os.utime, code)
        result["link"] = attempt(os.link, code, "/tmp/linked")
        result["tmp"] = attempt(os.open, "/tmp/new", os.O_CREAT | os.O_WRONLY)
        result["shm"] = attempt(os.open, "/dev/shm/new", os.O_CREAT | os.O_WRONLY)
    """,
    "processes": """
        result = {
            "pids": sorted(int(name) for name in os.listdir("/proc") if name.isdecimal()),
            "own": os.getpid(),
            "server": attempt(os.kill, HOST["server_pid"], 0),
            "everybody": attempt(os.kill, -1, signal.SIGKILL),
        }
    """,
    "process_1": """
        def read(path):
            with open(path, "rb") as file:
                file.read(8)
        def follow_all(path):
            for name in os.listdir(path):
                os.readlink(f"{path}/{name}")
        files = ("environ", "mem", "maps", "auxv", "io", "syscall", "stack", "pagemap")
        result = {name: attempt(read, f"/proc/1/{name}") for name in files}
        result |= {"fd": attempt(follow_all, "/proc/1/fd"), "fdinfo": attempt(os.listdir, "/proc/1/fdinfo")}
        result |= {name: attempt(os.readlink, f"/proc/1/{name}") for name in ("root", "cwd", "exe", "ns/mnt")}
        for number in set(signal.Signals):
            os.kill(1, number)
        os.kill(1, 0)
    """,
    "network": """
        def connect(family, address):
            with socket.socket(family) as connection:
                connection.settimeout(2)
                return attempt(connection.connect, address)
        def make(*arguments):
            return attempt(lambda: socket.socket(*arguments).close())
        result = {
            "loopback": connect(socket.AF_INET, ("127.0.0.1", HOST["port"])),
            "abstract": connect(socket.AF_UNIX, "\\0" + HOST["abstract"]),
            "outside": connect(socket.AF_INET, ("192.0.2.1", 80)),
            "interfaces": [name for _, name in socket.if_nameindex()],
            "raw": make(socket.AF_INET, socket.SOCK_RAW, 1),
            "packet": make(17, socket.SOCK_RAW, 0),
            "alg": make(38, socket.SOCK_SEQPACKET, 0),
            "vsock": make(40, socket.SOCK_STREAM, 0),
            "port 80": attempt(socket.create_server, ("127.0.0.1", 80)),
        }
    """,
    "devices": """
        result = {
            "block": attempt(os.mknod, "/tmp/disk", 0o600 | stat.S_IFBLK, os.makedev(7, 0)),
            "character": attempt(os.mknod, "/tmp/memory", 0o600 | stat.S_IFCHR, os.makedev(1, 1)),
            "pipe": attempt(os.mkfifo, "/tmp/pipe"),
            "visible": sorted(os.listdir("/dev")),
            "null": attempt(lambda: os.write(os.open("/dev/null", os.O_WRONLY), b"x")),
        }
    """,
    "disk": """
        def fill(path, size):
            with open(path, "wb", buffering=0) as file:
                while file.write(bytes(size)):
                    pass
        result = {
            "one file": attempt(fill, "/tmp/big", 65536),
            "another file": attempt(fill, "/tmp/small", 1),
            "size": sum(os.path.getsize(f"/tmp/{name}") for name in os.listdir("/tmp")),
        }
    """,
    "escalation": """
        result = {
            "setuid": attempt(os.setuid, 0),
            "setgid": attempt(os.setgid, 0),
            "setgroups": attempt(os.setgroups, [0]),
            "capset": call("capset", b"\\x22\\x05\\x08\\x20" + b"\\0" * 4, b"\\xff" * 24),
            "nice": attempt(os.nice, -5),
            "oom": attempt(lambda: os.write(os.open("/proc/self/oom_score_adj", os.O_WRONLY), b"-1000")),
            "chown": attempt(lambda: (open("/tmp/mine", "w").close(), os.chown("/tmp/mine", 0, 0))),
        }
        import resource
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))
            result["files"] = "OK"
        except (ValueError, OSError):
            result["files"] = "EPERM"
    """,
}
"""Attacks that must fail as root and as an ordinary user alike."""


def core_host(secret: str, port: int, abstract: str) -> dict[str, Any]:
    """What `CORE` needs to know about the outside."""
    here = str(Path(__file__).resolve())
    return {
        "forbidden": FORBIDDEN_CALLS,
        "paths": [
            secret,
            here,
            "/root",
            "/sys",
            "/boot",
            "/etc/shadow",
            "/var/log",
            "/proc/1/root/etc",
            "/dev/kmsg",
        ],
        "server_pid": os.getpid(),
        "port": port,
        "abstract": abstract,
    }


def make(directory: str, name: str) -> Path:
    """A new directory."""
    path = Path(directory, name)
    path.mkdir()
    return path


def plant(directory: str) -> tuple[Path, Path]:
    """A directory of code to mount, and a secret file beside it."""
    code, secret = make(directory, "code"), Path(directory, "secret")
    for path in (code / "app.py", secret):
        path.write_text("secret")
    return code, secret


SANDBOXES: dict[str, type[NamespaceSandbox]] = {
    "executed": NamespaceSandbox,
    "forked": ForkingSandbox,
    "copied": CopyingSandbox,
    "started ahead": SeedlingSandbox,
}
"""How the attacker comes to life: by executing an interpreter, forked from one that was there before, as a copy of a
command that runs already, or told what it is when it has been started."""


async def main(port: int, abstract: str, birth: str) -> dict[str, Any]:
    """Run every attack of `CORE` as this user; return their results, and what the sandbox claims to enforce."""
    with tempfile.TemporaryDirectory(prefix="lambent-attacks-") as directory:
        code, secret = plant(directory)
        sandbox = SANDBOXES[birth](network="none", run_dir=Path(directory, "run"))
        results: dict[str, Any] = {}
        try:
            await sandbox.open()
            host = core_host(str(secret), port, abstract)
            for name, source in CORE.items():
                tmp = await sandbox.make_tmp(TMP_BYTES)
                mounts = (Mount(str(code), "/var/task"),)
                spec = attack_spec(
                    source, name=name.replace("_", "-"), tmp=Path(tmp.path), host=host, mounts=mounts
                )
                results[name] = (await attack(sandbox, spec)).result
                await tmp.close()
            results["enforcement"] = {line.promise: line.enforced for line in sandbox.enforcement}
        finally:
            await sandbox.close()
        return {"results": results, "uid": os.getuid()}


if __name__ == "__main__":
    print(json.dumps(asyncio.run(main(int(sys.argv[1]), sys.argv[2], sys.argv[3]))))
