"""Promises about where no way leads for an ordinary user's sandboxes, and about what is told without pasta."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lambent.sandbox import SandboxError, nat, pasta

UNICAST, LOCAL, BROADCAST = 1, 2, 3
ETHERNET, BRIDGE, TUNNEL = 2, 3, 4


def test_the_machines_own_addresses_are_kept_in_whatever_interface_has_them() -> None:
    own = [(("192.168.1.7", 32), LOCAL, ETHERNET), (("172.17.0.1", 32), LOCAL, BRIDGE)]
    assert pasta.choose(own, {ETHERNET}) == (("192.168.1.7", 32), ("172.17.0.1", 32))


def test_networks_behind_other_interfaces_are_kept_in_and_those_on_the_way_are_not() -> None:
    listed = [
        (("192.168.1.0", 24), UNICAST, ETHERNET),
        (("172.17.0.0", 16), UNICAST, BRIDGE),
        (("10.0.0.0", 8), UNICAST, 0),  # by several interfaces
    ]
    assert pasta.choose(listed, {ETHERNET}) == (("172.17.0.0", 16), ("10.0.0.0", 8))


def test_a_tunnel_for_half_of_all_addresses_is_a_way_out() -> None:
    halves = [(("0.0.0.0", 1), UNICAST, TUNNEL), (("128.0.0.0", 1), UNICAST, TUNNEL)]
    assert pasta.choose([*halves, (("0.0.0.0", 0), UNICAST, ETHERNET)], {ETHERNET, TUNNEL}) == ()


def test_what_needs_no_wall_is_left_out() -> None:
    listed = [
        (("127.0.0.0", 8), LOCAL, 1),  # every network's own
        (("127.0.0.1", 32), LOCAL, 1),
        (("169.254.192.1", 32), LOCAL, BRIDGE),  # a server of root's has sandboxes with the addresses of ours
        (("169.254.192.2", 32), UNICAST, BRIDGE),
        (("0.0.0.0", 0), UNICAST, BRIDGE),  # everything, in a table for some
        (("192.168.1.255", 32), BROADCAST, ETHERNET),
    ]
    assert pasta.choose(listed, {ETHERNET}) == ()


def test_an_address_that_several_tables_list_is_kept_in_once() -> None:
    own = (("192.168.1.7", 32), LOCAL, ETHERNET)
    assert pasta.choose([own, own], {ETHERNET}) == (("192.168.1.7", 32),)


def test_without_pasta_the_package_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SandboxError, match=r"not installed \(package passt\)$") as caught:
        pasta.find()
    assert caught.value.step == nat.STEP


def test_a_user_who_may_make_no_interfaces_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program = tmp_path / "pasta"
    program.touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(os, "access", lambda path, mode: path != "/dev/net/tun")  # as it is before udev
    with pytest.raises(SandboxError, match=r"may not open /dev/net/tun$"):
        pasta.find()
