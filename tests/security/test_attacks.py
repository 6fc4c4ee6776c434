"""Promises that hold against hostile code, as root and as an ordinary user: each test names one and attacks it.

The results of both runs come from the same attacks (`attacks.CORE`).
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lambent.sandbox import SandboxError
from security import attacks

ORDINARY_UID = 12345
SYSTEM_PYTHON = "/usr/bin/python3"
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def targets() -> Iterator[tuple[int, str]]:
    """Things of the host that a function must not reach: a server on its loopback, an abstract socket."""
    abstract = f"lambent-target-{os.getpid()}"
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket(socket.AF_UNIX) as local:
        local.bind(f"\0{abstract}")
        local.listen()
        yield server.getsockname()[1], abstract


@pytest.fixture(scope="module", params=attacks.SANDBOXES)
def birth(request: pytest.FixtureRequest) -> str:
    """How the attacker comes to life."""
    return request.param


@pytest.fixture(scope="module", params=["this user", "an ordinary user"])
def results(request: pytest.FixtureRequest, targets: tuple[int, str], birth: str) -> dict[str, Any]:
    """What the attacks found, by name."""
    if request.param == "an ordinary user":
        return run_as_ordinary_user(*targets, birth)
    try:
        return asyncio.run(attacks.main(*targets, birth))["results"]
    except SandboxError as error:
        pytest.skip(f"namespaces are impossible here: {error}")
    except attacks.NoWallsError:
        pytest.fail("the walls are not up; the attacks refused to run")


def run_as_ordinary_user(port: int, abstract: str, birth: str) -> dict[str, Any]:
    if os.geteuid() != 0:
        pytest.skip("this user is an ordinary one already")
    version = [SYSTEM_PYTHON, "-c", "import sys; sys.exit(sys.version_info < (3, 11))"]
    if not shutil.which(SYSTEM_PYTHON) or subprocess.run(version, check=False).returncode:
        pytest.skip(
            f"{SYSTEM_PYTHON} is missing or older than 3.11, and other interpreters may be root's alone"
        )
    done = subprocess.run(
        [SYSTEM_PYTHON, "-B", "-m", "security.attacks", str(port), abstract, birth],
        user=ORDINARY_UID,
        group=ORDINARY_UID,
        extra_groups=[],
        cwd="/",
        env={"PYTHONPATH": f"{ROOT}/src:{ROOT}/tests", "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    if "PermissionError" in done.stderr or "No module named" in done.stderr:
        pytest.skip(f"the project's files are out of an ordinary user's reach: {done.stderr[-200:]}")
    if "SandboxError: spawner_namespaces" in done.stderr:
        pytest.skip(f"user namespaces are not permitted to ordinary users here: {done.stderr[-200:]}")
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["uid"] == ORDINARY_UID
    return answer["results"]


def test_the_command_is_an_unprivileged_user_without_capabilities(results: dict[str, Any]) -> None:
    assert results["identity"] == {
        "Uid": ["993"] * 4,
        "Gid": ["990"] * 4,
        "CapInh": ["0" * 16],
        "CapPrm": ["0" * 16],
        "CapEff": ["0" * 16],
        "CapBnd": ["0" * 16],
        "CapAmb": ["0" * 16],
        "NoNewPrivs": ["1"],
        "Seccomp": ["2"],
    }


def test_system_calls_that_no_function_needs_are_refused(results: dict[str, Any]) -> None:
    """Each answers EPERM although its arguments would make the kernel answer something else."""
    assert {name: got for name, got in results["calls"].items() if got != "EPERM"} == {}
    assert len(results["calls"]) > 40


def test_no_namespace_can_be_made_or_entered(results: dict[str, Any]) -> None:
    assert results["namespaces"].pop("clone3", "ENOSYS") == "ENOSYS"  # so that C libraries fall back to clone
    assert set(results["namespaces"].values()) == {"EPERM"}


def test_files_of_the_host_do_not_exist(results: dict[str, Any]) -> None:
    files = dict(results["files"])
    assert files.pop("/home") == []
    assert set(files.pop("/")) <= {
        *("bin", "sbin", "lib", "lib32", "lib64", "libx32", "usr", "nix", "gnu", "root"),
        *("dev", "etc", "home", "mnt", "opt", "proc", "run", "srv", "tmp", "var"),
    }
    # The interpreter may be mounted below /root: then there is a /root with nothing else in it.
    if attacks.PREFIX.startswith("/root/"):
        files.pop("/root")
    assert files.pop("/proc/1/root/etc") == "EACCES"
    assert set(files.values()) == {"ENOENT"}


def test_nothing_but_tmp_can_be_written(results: dict[str, Any]) -> None:
    writes = dict(results["writes"])
    assert [writes.pop("tmp"), writes.pop("shm")] == ["OK", "OK"]
    assert writes.pop("link") in ("EXDEV", "EPERM", "EROFS")
    assert writes.pop("/proc") in ("ENOENT", "EACCES")
    assert writes.pop("/proc/sys/kernel") in ("ENOENT", "EACCES")
    assert set(writes.values()) <= {"EROFS", "EPERM", "EACCES"}


def test_processes_of_the_host_are_invisible_and_out_of_reach(results: dict[str, Any]) -> None:
    processes = results["processes"]
    assert (processes["pids"], processes["own"]) == ([1, 2], 2)
    assert processes["server"] == "ESRCH"
    assert (
        processes["everybody"] == "ESRCH"
    )  # kill(-1) finds nobody but process 1, which is not for it to kill


def test_process_1_can_be_neither_read_nor_killed(results: dict[str, Any]) -> None:
    """It has the same uid and, from its birth, memory that came from outside."""
    assert set(results["process_1"].values()) <= {"EACCES", "EPERM"}


def test_the_network_of_the_host_is_out_of_reach(results: dict[str, Any]) -> None:
    network = results["network"]
    assert network.pop("interfaces", ["lo"]) == ["lo"]
    assert network["loopback"] == network["abstract"] == "ECONNREFUSED"
    assert network["outside"] == "ENETUNREACH"
    assert {network[name] for name in ("raw", "packet", "alg", "vsock")} <= {"EPERM", "EACCES"}
    assert network["port 80"] in (
        "EACCES",
        "OK",
    )  # a port of the sandbox's own, if the kernel lets anybody have it


def test_devices_can_be_neither_made_nor_found(results: dict[str, Any]) -> None:
    devices = results["devices"]
    assert devices["block"] == devices["character"] == "EPERM"
    assert devices["pipe"] == devices["null"] == "OK"
    assert devices["visible"] == sorted(
        ["fd", "full", "null", "random", "shm", "stderr", "stdin", "stdout", "urandom", "zero"]
    )


def test_the_disk_cannot_be_filled(results: dict[str, Any]) -> None:
    if not results["enforcement"]["size of /tmp"]:
        pytest.skip("the size of /tmp is not limited here")
    disk = results["disk"]
    assert disk["one file"] == disk["another file"] == "ENOSPC"
    assert attacks.TMP_BYTES <= disk["size"] < 1.2 * attacks.TMP_BYTES


def test_nothing_gives_privileges(results: dict[str, Any]) -> None:
    assert set(results["escalation"].values()) <= {"EPERM", "EINVAL", "EACCES"}


def test_the_attacks_refuse_to_run_without_walls(tmp_path: Path) -> None:
    """Else a failing wall would make the tests dangerous, and a missing one would make them lie."""
    spec = attacks.attack_spec("result = 'attacked'", name="bare", tmp=tmp_path)
    done = subprocess.run(spec.command, env=dict(spec.environment), capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (attacks.NO_WALLS, b"")
