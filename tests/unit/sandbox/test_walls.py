"""Decisions of a launch that need no kernel."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from lambent.sandbox import ExitStatus, Mount, SandboxError, SandboxSpec, nat, veth, walls
from lambent.sandbox import namespaces as namespaces_module
from lambent.sandbox import probe as probe_module
from lambent.sandbox.launched import exit_status
from lambent.sandbox.mounts import etc_files
from lambent.sandbox.namespaces import NamespaceSandbox
from lambent.sandbox.network import on_host
from lambent.sandbox.order import Order
from lambent.sandbox.process import ProcessSandbox
from lambent.sandbox.spawner import has_admin_capability
from lambent.settings import SandboxSettings, SettingsError

WHOLE = "         0          0 4294967295\n"


def test_root_maps_ids_that_nobody_else_has() -> None:
    first = walls.PREFERRED_HOST_ID
    assert walls.choose_ids(WHOLE, is_root=True) == walls.IdMap(f"0 {first} 1000", f"0 {first} 1000", True)


def test_root_in_a_container_maps_the_last_ids_that_it_has() -> None:
    own = "0 100000 65536\n"
    assert walls.choose_ids(own, is_root=True) == walls.IdMap("0 64536 1000", "0 64536 1000", True)


def test_root_with_hardly_any_ids_maps_itself() -> None:
    assert walls.choose_ids("0 1000 1\n", is_root=True) == walls.IdMap("993 0 1", "990 0 1", False)


def test_an_ordinary_user_maps_itself() -> None:
    assert walls.choose_ids(WHOLE, is_root=False) == walls.IdMap("993 0 1", "990 0 1", False)


def test_root_is_whoever_has_the_capability() -> None:
    assert has_admin_capability("Name:\tx\nCapEff:\t000001fffeffffff\n")
    assert not has_admin_capability("CapEff:\t0000000000000000\n")
    assert not has_admin_capability("CapEff:\t00000000a80425fb\n")  # root in a container with default rights


def test_a_wait_status_is_a_code_or_a_signal() -> None:
    assert exit_status(3 << 8) == ExitStatus(code=3)
    assert exit_status(9) == ExitStatus(signal=9)
    assert exit_status(11 | 0x80) == ExitStatus(signal=11)  # with a core dump


def test_on_the_hosts_network_every_listener_takes_a_free_port() -> None:
    assert on_host([("169.254.100.1", 9001), ("127.0.0.1", 4566)]) == [("127.0.0.1", 0)] * 2


def test_the_synthesised_files_know_the_users_and_the_host_name() -> None:
    spec = SandboxSpec(
        name="x",
        command=("/bin/true",),
        environment={},
        working_directory="/",
        tmp_directory="/x",
        memory_bytes=1,
        hostname="here",
        mounts=(Mount("/a", "/b"),),
    )
    files = etc_files(Order(spec=spec, network="none", root="/r", cgroups=(), memory_is_limited=False))
    users = {line.split(":")[0]: line.split(":")[2:4] for line in files["/etc/passwd"].splitlines()}
    assert users == {"root": ["0", "0"], "sbx_user1051": ["993", "990"], "nobody": ["65534", "65534"]}
    assert files["/etc/hosts"] == "127.0.0.1 localhost here\n"
    assert files["/etc/resolv.conf"] == ""


def refuse(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the trial fail as on a machine without user namespaces."""

    async def trial(sandbox: object) -> None:
        del sandbox
        raise SandboxError("clone", "Operation not permitted")

    monkeypatch.setattr(probe_module, "trial", trial)


def test_namespaces_that_were_asked_for_and_are_impossible_are_one_clear_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse(monkeypatch)
    with pytest.raises(SettingsError) as raised:
        asyncio.run(probe_module.choose(SandboxSettings(sandbox="namespaces"), tmp_path))
    expected = "sandbox = namespaces is impossible here: step clone failed, Operation not permitted."
    assert str(raised.value) == expected


def test_auto_falls_back_to_process_and_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refuse(monkeypatch)

    async def story() -> None:
        sandbox = await probe_module.choose(SandboxSettings(sandbox="auto"), tmp_path)
        await sandbox.close()
        assert isinstance(sandbox, ProcessSandbox)
        reason = sandbox.enforcement[0].how
        assert reason == "namespaces are impossible here: clone: Operation not permitted"

    asyncio.run(story())


@pytest.mark.parametrize("sandbox", ["auto", "namespaces"])
def test_a_way_out_that_was_asked_for_and_is_impossible_is_one_clear_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sandbox: str
) -> None:
    """Above all, the walls do not fall because of it."""

    def refused() -> object:
        raise SandboxError(nat.STEP, "this machine has no default route")

    monkeypatch.setattr(namespaces_module, "Nat", refused)
    with pytest.raises(SettingsError) as raised:
        asyncio.run(probe_module.choose(SandboxSettings(sandbox=sandbox, network="nat"), tmp_path))
    assert str(raised.value) == "network = nat is impossible here: this machine has no default route."


def test_a_way_out_that_fails_at_the_trial_is_given_up_and_the_walls_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    networks: list[str] = []

    async def trial(sandbox: NamespaceSandbox) -> None:
        networks.append(sandbox.enforcement[2].how)
        if len(networks) == 1:
            raise SandboxError(veth.STEP, "Operation not supported")

    monkeypatch.setattr(probe_module, "trial", trial)

    async def story() -> None:
        sandbox = await probe_module.choose(SandboxSettings(sandbox="auto", network="auto"), tmp_path)
        await sandbox.close()
        assert isinstance(sandbox, NamespaceSandbox)

    asyncio.run(story())
    assert networks[1].endswith("(no way out: outbound: Operation not supported)")


@pytest.mark.parametrize("network", ["none", "host"])
def test_the_network_wall_is_claimed_only_if_it_is_there(tmp_path: Path, network: str) -> None:
    sandbox = NamespaceSandbox(network=network, run_dir=tmp_path)
    (line,) = (line for line in sandbox.enforcement if "network" in line.promise)
    assert line.enforced == (network == "none")


def test_no_limit_is_claimed_without_a_control_group(tmp_path: Path) -> None:
    table = {
        line.promise: line.enforced for line in NamespaceSandbox(network="none", run_dir=tmp_path).enforcement
    }
    assert (table["memory limit"], table["CPU limit"], table["process limit"]) == (False, False, True)


def test_a_sandbox_that_is_not_open_starts_nothing() -> None:
    spec = SandboxSpec(
        name="x",
        command=("/bin/true",),
        environment={},
        working_directory="/",
        tmp_directory="/x",
        memory_bytes=1,
    )
    with pytest.raises(SandboxError, match="not open"):
        asyncio.run(ProcessSandbox(run_dir=Path("/x")).start(spec))
