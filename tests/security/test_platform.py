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
import errno, os, resource, signal, subprocess, sys, threading, time
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
}
WINS = {"two thousand files": True}
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
    client = lambent.client("lambda")
    create(client, name, GUARD + ATTACKS[attack], Timeout=10 if attack in WINS else 1, MemorySize=256)
    create(client, f"{name}-other", BYSTANDER)
    with ThreadPoolExecutor(1) as pool:
        attacking = pool.submit(invoke, client, name, host_facts())
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
