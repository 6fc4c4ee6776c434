"""The pure parts of the way out: which interfaces lead anywhere, who gets which address, who is asked for names."""

from __future__ import annotations

import ipaddress

import pytest

from lambent.sandbox import SandboxError, resolvers
from lambent.sandbox.nat import Links, default_interfaces, outbound

HEAD = "Iface Destination Gateway Flags RefCnt Use Metric Mask MTU Window IRTT"
DEFAULT = "00000000 010200C0 0003 0 0 0 00000000 0 0 0"
LINK_LOCAL = ipaddress.IPv4Network("169.254.0.0/16")


def routes(*lines: str) -> str:
    return "\n".join((HEAD, *lines)) + "\n"


def test_the_default_routes_interfaces_lead_outside() -> None:
    text = routes(f"eth0 {DEFAULT}", "eth0 000200C0 00000000 0001 0 0 0 00FFFFFF 0 0 0", f"wlan0 {DEFAULT}")
    assert default_interfaces(text) == ("eth0", "wlan0")


def test_a_tunnel_that_takes_half_of_all_addresses_leads_outside() -> None:
    half, other = "00000000 0 0003 0 0 0 00000080 0 0 0", "00000080 0 0003 0 0 0 00000080 0 0 0"
    assert default_interfaces(routes(f"tun0 {half}", f"tun0 {other}", f"eth0 {DEFAULT}")) == ("tun0", "eth0")


@pytest.mark.parametrize(
    "line",
    [
        "docker0 000011AC 00000000 0001 0 0 0 0000FFFF 0 0 0",
        "lo 00000000 00000000 0001 0 0 0 00000000 0 0 0",
        "eth0 00000000 00000000 0000 0 0 0 00000000 0 0 0",
        "eth0 00000000 00000000 0201 0 0 0 00000000 0 0 0",
    ],
    ids=["a network", "the loopback", "a route that is down", "a route that rejects"],
)
def test_this_leads_nowhere(line: str) -> None:
    assert default_interfaces(routes(line)) == ()


def test_every_sandbox_of_every_block_has_an_address_and_a_name_of_its_own() -> None:
    links = [outbound(block, index, 1500) for block in range(16) for index in range(2, 1023)]
    assert len({link.address for link in links}) == len({link.interface for link in links}) == len(links)
    assert {link.gateway for link in links}.isdisjoint(link.address for link in links)
    assert max(len(link.interface) for link in links) <= 15  # IFNAMSIZ


def test_a_link_is_taken_once_and_those_given_back_come_last() -> None:
    links = Links(0, 1500)
    first, *others = [links.take() for _ in range(1021)]
    assert len({first.interface, *(link.interface for link in others)}) == 1021
    with pytest.raises(SandboxError, match="all 1021 addresses of this server are in use"):
        links.take()
    links.give_back(others[0])
    links.give_back(first)
    assert [links.take(), links.take()] == [others[0], first]


def test_addresses_are_link_local_and_not_those_that_lambda_and_clouds_use() -> None:
    used = {ipaddress.IPv4Address(last) for last in ("169.254.100.1", "169.254.169.254", "169.254.170.2")}
    given = {
        ipaddress.IPv4Address(outbound(block, index, 1500).address)
        for block in (0, 15)
        for index in (2, 1022)
    }
    assert all(address in LINK_LOCAL for address in given)
    assert min(given) > max(used)


def test_the_hosts_resolvers_are_the_sandboxs() -> None:
    text = "search example.org\nnameserver 192.0.2.53\nnameserver 2001:db8::53\n"
    assert resolvers.choose(text, "nameserver 192.0.2.1\n") == text


def test_behind_a_stub_on_the_loopback_the_real_resolvers_are_asked() -> None:
    stub, real = "nameserver 127.0.0.53\noptions edns0\n", "nameserver 192.0.2.1\n"
    assert resolvers.choose(stub, real) == real


def test_a_resolver_on_the_loopback_is_left_out_if_there_is_another() -> None:
    text = "# mine\nnameserver 127.0.0.1\nnameserver 192.0.2.1\n"
    assert resolvers.choose(text) == "# mine\nnameserver 192.0.2.1\n"


@pytest.mark.parametrize("text", ["", "nameserver ::1\n", "nameserver 0.0.0.0\n", "search example.org\n"])
def test_without_a_resolver_in_reach_there_is_none(text: str) -> None:
    assert resolvers.choose(text, "") == ""


@pytest.mark.parametrize("line", ["nameserver fe80::1%eth0", "nameserver not-an-address"])
def test_what_cannot_be_judged_is_kept(line: str) -> None:
    assert resolvers.choose(f"{line}\n") == f"{line}\n"
