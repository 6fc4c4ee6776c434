"""Hostile functions on a running server: each attack is contained, and another function answers meanwhile.

The functions refuse to attack unless they are really behind walls (see `security.attacks`).
"""

from __future__ import annotations

import io
import stat
import zipfile
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from botocore.exceptions import ClientError

from harness import ROLE, Invoked, Server, create, invoke
from security.attacks import host_facts

GUARD = """
import ctypes, errno, os, resource, signal, subprocess, sys, threading, time
def refuse_without_walls(host):
    root = os.stat("/")
    inside = os.readlink("/proc/self/ns/pid")
    if inside == host["pid_namespace"] or [root.st_dev, root.st_ino] == host["root"]:
        raise SystemError("no walls")
def handler(event, context):
    refuse_without_walls(event)
    return attack(event)
"""
BYSTANDER = "def handler(event, context): return event"
ATTACKS = {
    "a bomb of processes": """
def attack(event):
    for _ in range(12):
        try:
            os.fork()
        except BlockingIOError:
            pass
    time.sleep(60)
""",
    "more memory than there is": """
def attack(event):
    held = []
    while True:
        held.append(bytearray(b"x") * 10_000_000)
""",
    "two thousand files": """
def attack(event):
    held = []
    try:
        while len(held) < 2000:
            held.append(open("/dev/null"))
        return "unbounded"
    except OSError as error:
        return error.errno == errno.EMFILE and 900 < len(held) < 1024
    finally:
        for file in held:
            file.close()
""",
    "all of the processor": """
def attack(event):
    for _ in range(16):
        subprocess.Popen([sys.executable, "-c", "while True: pass"])
    time.sleep(60)
""",
    "all of the disk": """
def attack(event):
    size, file = 0, open("/tmp/big", "wb", buffering=0)
    for step in (64 << 20, 1 << 20, 4096):
        try:
            while True:
                os.posix_fallocate(file.fileno(), size, step)
                size += step
        except OSError as error:
            if error.errno != errno.ENOSPC:
                return errno.errorcode[error.errno]
    try:
        open("/tmp/another", "wb", buffering=0).write(b"x" * 65536)
    except OSError as error:
        return error.errno == errno.ENOSPC and 400 << 20 < size < 600 << 20
    return "there was room"
""",
    "system calls that no function needs": """
def attack(event):
    libc = ctypes.CDLL(None, use_errno=True)
    names = "mount umount2 unshare setns pivot_root ptrace bpf keyctl add_key userfaultfd perf_event_open reboot "
    names += "kexec_load init_module io_uring_setup open_by_handle_at process_vm_readv quotactl swapoff"
    answers = set()
    for _ in range(200):
        for name in names.split():
            if name in event["numbers"]:
                ctypes.set_errno(0)
                got = libc.syscall(event["numbers"][name], *(ctypes.c_long(0),) * 6)
                answers.add("OK" if got >= 0 else errno.errorcode[ctypes.get_errno()])
    return sorted(answers)
""",
    "what is below /proc": """
def attack(event):
    def opens(path, mode):
        try:
            with open(path, mode, buffering=0) as file:
                return mode != "rb" or file.read(1) is not None
        except OSError:
            return False
    secret = ("environ", "mem", "maps", "auxv", "root/etc/shadow", "cwd/etc/shadow", "fd/0", "task/1/mem")
    switches = ("sysrq-trigger", "sys/kernel/core_pattern", "sys/vm/drop_caches", "sys/kernel/pid_max",
                "sys/net/ipv4/ip_forward", "sys/fs/file-max", "1/oom_score_adj", "1/clear_refs")
    opened = []
    for _ in range(50):
        opened += [name for name in secret if opens("/proc/1/" + name, "rb")]
        opened += [name for name in switches if opens("/proc/" + name, "r+b")]
    return opened
""",
    "signals for everybody": """
def attack(event):
    for _ in range(500):
        for number in set(signal.Signals):
            os.kill(1, number)
    found = []
    for pid, number in ((-1, signal.SIGKILL), (event["server_pid"], 0)):
        try:
            os.kill(pid, number)
            found.append("OK")
        except OSError as error:
            found.append(errno.errorcode[error.errno])
    return found
""",
}
WINS: dict[str, Any] = {
    "two thousand files": True,
    "all of the disk": True,
    "system calls that no function needs": ["EPERM"],
    "what is below /proc": [],
    "signals for everybody": ["ESRCH", "ESRCH"],
}
"""What the attacks return that live to tell."""


def require_walls(server: Server) -> None:
    if "sandbox   namespaces" not in server.start_block:
        pytest.skip("there are no walls here to be attacked")


def require(server: Server, promise: str) -> None:
    if f"yes {promise}" not in server.start_block:
        pytest.skip(f"not enforced here: {promise}")


def answers(client: Any, name: str) -> bool:
    return invoke(client, name, "here").payload == "here"


@pytest.mark.parametrize("attack", ATTACKS)
def test_the_platform_answers_others_while_a_function_attacks(
    lambent: Server, name: str, attack: str
) -> None:
    require_walls(lambent)
    if "memory" in attack:
        require(lambent, "memory limit")
    if "bomb" in attack:
        require(lambent, "process limit")
    if "disk" in attack:
        require(lambent, "size of /tmp")
    client = lambent.client("lambda")
    create(client, name, GUARD + ATTACKS[attack], Timeout=10 if attack in WINS else 1, MemorySize=256)
    create(client, f"{name}-other", BYSTANDER)
    with ThreadPoolExecutor(1) as pool:
        attacking = pool.submit(invoke, client, name, host_facts() | {"server_pid": lambent.process.pid})
        count = 0
        while not attacking.done() or count == 0:
            assert answers(client, f"{name}-other")
            count += 1
    outcome: Invoked = attacking.result()
    if attack in WINS:
        assert (outcome.error, outcome.payload) == (None, WINS[attack])
    else:
        assert outcome.error == "Unhandled"
        assert "no walls" not in str(outcome.payload)
        assert outcome.payload["errorType"] in (
            "Sandbox.Timedout",
            "Runtime.OutOfMemory",
            "Runtime.ExitError",
        )
    assert answers(client, f"{name}-other")


def test_nothing_keeps_running_after_a_timeout(lambent: Server, name: str) -> None:
    """Not even what has left its parent and its session. What it wrote in /tmp is there to tell."""
    require_walls(lambent)
    source = """
def attack(event):
    if os.path.exists("/tmp/beats"):
        before = os.path.getsize("/tmp/beats")
        time.sleep(0.5)
        return [before > 0, os.path.getsize("/tmp/beats") - before]
    if os.fork() == 0:
        os.setsid()
        if os.fork():
            os._exit(0)
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)
        with open("/tmp/beats", "wb", buffering=0) as beats:
            while True:
                beats.write(b"x")
                time.sleep(0.01)
    time.sleep(60)
"""
    client = lambent.client("lambda")
    create(client, name, GUARD + source, Timeout=1)
    assert invoke(client, name, host_facts()).payload["errorType"] == "Sandbox.Timedout"
    assert invoke(client, name, host_facts()).payload == [True, 0]


@pytest.mark.parametrize("target", ["/etc/passwd", "../" * 30 + "etc/passwd"])
def test_a_package_with_a_link_that_leads_outside_is_refused(lambent: Server, name: str, target: str) -> None:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as package:
        package.writestr("app.py", BYSTANDER)
        entry = zipfile.ZipInfo("link")
        entry.external_attr = (stat.S_IFLNK | 0o777) << 16
        package.writestr(entry, target)
    client = lambent.client("lambda")
    with pytest.raises(ClientError, match="Could not unzip uploaded file"):
        client.create_function(
            FunctionName=name,
            Runtime="python3.12",
            Handler="app.handler",
            Role=ROLE,
            Code={"ZipFile": content.getvalue()},
        )
