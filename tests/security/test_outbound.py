"""Promises about the way out (``network = nat``), kept in a little internet of namespaces (`outside`).

Each scenario is played once, by a program of its own, because it moves into another network.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from security import outside

ORDINARY_UID = outside.ORDINARY_ID
ORDINARY_PATH = "/usr/bin:/bin"
SYSTEM_PYTHON = "/usr/bin/python3"
ROOT = Path(__file__).parents[2]
WHERE = {"PYTHONPATH": f"{ROOT}/src:{ROOT}/tests"}
SEES_MACHINE = f"the outside sees {outside.MACHINE}"
NOTHING: dict[str, Any] = {"tables": [], "links": [], "forwards": False}
_LACKS = ("CAP_NET_ADMIN", "Protocol not supported", "Operation not supported", "Operation not permitted")


@cache
def played(scenario: str) -> dict[str, Any]:
    """What a scenario has found."""
    if os.geteuid() != 0:
        pytest.skip("making networks needs root")
    done = run([sys.executable, "-m", "security.outside", scenario], dict(os.environ) | WHERE)
    if done.returncode and any(reason in done.stderr for reason in _LACKS):
        pytest.skip(f"networks cannot be made here: {done.stderr[-200:]}")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def run(command: list[str], environment: Mapping[str, str], **user: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, env=environment, cwd="/", capture_output=True, text=True, check=False, **user
    )


@pytest.mark.parametrize("name", ["far", "gateway", "datagram"])
def test_a_function_reaches_the_outside_in_the_machines_name(name: str) -> None:
    assert played("walls")["reached"][name] == SEES_MACHINE


def test_the_loopback_is_the_sandboxs_own() -> None:
    assert played("walls")["reached"]["loopback"] == "ECONNREFUSED"


@pytest.mark.parametrize("name", ["machine", "machine's end"])
def test_services_of_the_machine_are_out_of_reach_by_any_of_its_addresses(name: str) -> None:
    assert played("walls")["reached"][name] == "silence"


def test_another_sandbox_is_out_of_reach() -> None:
    """Of the same server, and of another one, whose functions may be another tenant's."""
    assert played("walls")["reached"]["sandbox"] == "silence"
    assert played("two_servers")["second"] == {"sandbox": "silence", "far": SEES_MACHINE}


def test_the_credentials_of_a_cloud_machine_are_out_of_reach() -> None:
    assert played("walls")["machine reaches metadata"] == SEES_MACHINE  # they are there
    assert played("walls")["reached"]["metadata"] == "silence"


def test_nothing_leaves_under_another_address() -> None:
    """The Runtime API's address, on the sandbox's loopback, is one that a function could send from."""
    assert played("walls")["reached"]["with another address"] == "silence"
    assert played("walls")["senders"] == [outside.MACHINE]


def test_there_is_no_way_around_by_ipv6() -> None:
    assert played("walls")["reached"]["IPv6"] in ("EADDRNOTAVAIL", "EAFNOSUPPORT", "ENETUNREACH")
    assert set(played("walls")["IPv6 addresses"]) <= {"lo"}


@pytest.mark.parametrize("who", ["outside", "machine"])
def test_nobody_reaches_into_a_sandbox(who: str) -> None:
    assert played("walls")[f"{who} reaches sandbox"] == "silence"


def test_the_wall_is_claimed_with_the_way_out_in_it() -> None:
    assert played("walls")["promise"] == [True, "network namespace; the outside by NAT (lmb0-* to eth0)"]


def test_a_stopped_server_leaves_the_machines_network_as_it_was() -> None:
    found = played("walls")
    assert found["during"] == {"tables": ["lambent-0"], "links": ["lmb0-2"], "forwards": True}
    assert found["before"] == found["after"] == NOTHING


def test_a_killed_server_leaves_the_machines_network_as_it_was() -> None:
    found = played("killed")
    assert found["during"] == {"tables": ["lambent-0"], "links": ["lmb0-2"], "forwards": True}
    assert found["after"] == NOTHING


def test_the_last_of_several_servers_restores_what_the_first_has_changed() -> None:
    found = played("two_servers")
    assert found["during"]["tables"] == ["lambent-0", "lambent-1"]
    assert found["without the first"] == {"tables": ["lambent-1"], "links": [], "forwards": True}
    assert found["second alone"] == {"far": SEES_MACHINE}
    assert found["after"] == NOTHING


def test_the_walls_stand_when_the_spawner_dies() -> None:
    found = played("spawner_dies")
    assert found["reached"] == {"far": SEES_MACHINE, "machine": "silence"}
    assert found["during"]["tables"] == ["lambent-0"]
    assert found["after"] == NOTHING


def test_twenty_sandboxes_start_at_once_and_all_get_out() -> None:
    assert played("many")["reached"] == [SEES_MACHINE] * 40
    assert played("many")["after"] == NOTHING


@pytest.mark.parametrize("scenario", ["copies", "seedlings"])
def test_what_was_prepared_gets_out_and_reaches_nobody_else(scenario: str) -> None:
    found = played(scenario)
    # Of the one that listens, and of its template or of a stem.
    assert found["links"] >= 2
    reached = found["reached"]
    assert reached.pop("far") == SEES_MACHINE
    assert set(reached.values()) == {"silence"}
    assert found["after"] == NOTHING


def test_a_link_that_is_left_of_another_sandbox_is_replaced() -> None:
    found = played("left_over")
    assert found == {"before": ["lmb0-2"], "reached": {"far": SEES_MACHINE}, "after": NOTHING}


def test_without_a_network_nothing_is_reached_and_nothing_is_changed() -> None:
    found = played("no_network")
    assert found == {"reached": {"far": "ENETUNREACH", "machine": "ENETUNREACH"}, "during": NOTHING}


def test_the_machine_does_not_become_a_router() -> None:
    """Packets come back only if the interface forwards; what it forwards is for sandboxes alone."""
    found = played("neighbours")
    assert [found["before"], found["during"]] == ["silence", "silence"]
    assert found["after"] == NOTHING


def test_a_machine_that_is_a_router_stays_one() -> None:
    found = played("router")
    assert found["before"] == found["during"] == f"the neighbour sees {outside.GATEWAY}"
    assert found["after"] == NOTHING | {"forwards": True}


def test_networks_behind_the_machine_are_out_of_reach() -> None:
    """Containers and virtual machines are services of the machine, too."""
    assert played("router")["sandbox"] == {"neighbour": "silence"}


def test_a_firewall_that_drops_what_functions_send_is_named() -> None:
    found = played("firewalled")
    assert found["reached"] == {"far": "silence"}
    assert found["promise"].endswith("the host's firewall may drop it: accept lmb* in firewall forwarded")
    assert found["during"]["tables"] == ["firewall", "lambent-0"]


def test_a_machine_without_a_way_out_says_so_and_goes_without() -> None:
    found = played("alone")
    assert found["promise"].endswith("loopback only (no way out: this machine has no default route)")
    assert found["reached"] == {"far": "ENETUNREACH"}


@cache
def played_by_ordinary_user(scenario: str) -> dict[str, Any]:
    """What a scenario has found that becomes an ordinary user, once its machine is there."""
    require_system_python()
    if not shutil.which("pasta", path=ORDINARY_PATH):
        pytest.skip("pasta is not installed (Debian's package passt)")
    command = [SYSTEM_PYTHON, "-B", "-m", "security.outside", scenario]
    return found_by(run(command, WHERE | {"PATH": ORDINARY_PATH}))


def require_system_python() -> None:
    if os.geteuid() != 0:
        pytest.skip("this test is root, who becomes an ordinary user")
    version = [SYSTEM_PYTHON, "-c", "import sys; sys.exit(sys.version_info < (3, 11))"]
    if not shutil.which(SYSTEM_PYTHON) or subprocess.run(version, check=False).returncode:
        pytest.skip(f"{SYSTEM_PYTHON} is missing or older than 3.11")


def found_by(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    lacks = "PermissionError", "No module named", "spawner_namespaces", *_LACKS
    if done.returncode and any(reason in done.stderr for reason in lacks):
        pytest.skip(f"an ordinary user cannot run sandboxes here: {done.stderr[-200:]}")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_an_ordinary_users_function_reaches_the_outside_by_pasta() -> None:
    found = played_by_ordinary_user("ordinary")
    assert found["promise"][0]
    assert found["promise"][1].startswith("network namespace; the outside by pasta (/")
    assert found["reached"]["far"] == found["reached"]["datagram"] == SEES_MACHINE


@pytest.mark.parametrize("name", ["machine", "machine's end", "pasta's end"])
def test_services_of_an_ordinary_users_machine_are_out_of_reach(name: str) -> None:
    """Though pasta, an ordinary process of the machine, could reach each."""
    assert played_by_ordinary_user("ordinary")["reached"][name] == "silence"


def test_an_ordinary_users_functions_have_a_loopback_of_their_own() -> None:
    found = played_by_ordinary_user("ordinary")
    assert found["reached"]["loopback"] == "ECONNREFUSED"
    assert set(found["IPv6 addresses"]) <= {"lo"}


@pytest.mark.parametrize("name", ["sandbox", "metadata"])
def test_what_is_near_an_ordinary_user_is_out_of_reach(name: str) -> None:
    assert played_by_ordinary_user("ordinary")["reached"][name] == "silence"


def test_other_networks_of_an_ordinary_users_machine_are_out_of_reach_also_when_they_come_later() -> None:
    """And the machine's own addresses in them."""
    found = played_by_ordinary_user("ordinary")
    assert found["machine reaches neighbour"] == f"the neighbour sees {outside.NEIGHBOURS_GATEWAY}"
    assert found["later"] == {"machine's other address": "silence", "neighbour": "silence"}


def test_an_ordinary_users_copies_get_out_and_stay_away_from_the_machine() -> None:
    reached = dict(played_by_ordinary_user("ordinary")["copy"])
    assert reached.pop("far") == SEES_MACHINE
    assert reached == dict.fromkeys(("machine", "machine's other address", "neighbour"), "silence")


def test_pasta_is_one_process_that_is_replaced_when_it_dies() -> None:
    found = played_by_ordinary_user("ordinary")
    assert found["during"] == 1
    assert found["with another pasta"] == {"far": SEES_MACHINE, "is another": True}


def test_no_pasta_is_left_of_a_server_however_it_ends() -> None:
    assert played_by_ordinary_user("ordinary")["after"] == 0
    assert played_by_ordinary_user("ordinary_killed") == {"during": 1, "after": 0}


def test_an_ordinary_user_goes_without_a_pasta_that_fails_and_is_told() -> None:
    assert played_by_ordinary_user("broken") == no_way_out("pasta fails: It has burnt.")


def test_an_ordinary_user_without_pasta_gets_no_way_out_and_is_told() -> None:
    require_system_python()
    command = [SYSTEM_PYTHON, "-B", "-m", "security.outside", "unprivileged"]
    user: dict[str, Any] = {"user": ORDINARY_UID, "group": ORDINARY_UID, "extra_groups": []}
    found = found_by(run(command, WHERE | {"PATH": "/nowhere"}, **user))
    reason = (
        "the server may not set up networks here (CAP_NET_ADMIN), and pasta, which could, is not installed"
    )
    assert found == no_way_out(f"{reason} (package passt)")


def no_way_out(reason: str) -> dict[str, Any]:
    return {
        "promise": [True, f"network namespace with a loopback only (no way out: {reason})"],
        "reached": {"far": "ENETUNREACH"},
        "asked for": f"network = nat: {reason}",
    }
