"""Netlink messages: what is written can be read, and what the kernel says is heard."""

from __future__ import annotations

import contextlib
import socket
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambent.sandbox import netlink, veth
from lambent.sandbox.netlink import Message, Netlink


@given(st.lists(st.tuples(st.integers(0, 0x3FFF), st.binary(max_size=70))))
def test_attributes_are_read_as_they_were_written(written: list[tuple[int, bytes]]) -> None:
    content = b"".join(netlink.attribute(kind, payload) for kind, payload in written)
    assert len(content) % 4 == 0
    assert list(netlink.listed_attributes(content)) == written


def test_a_nest_holds_attributes() -> None:
    outer = netlink.nest(18, netlink.text(1, "veth"), netlink.network_number(2, -3))
    inner = netlink.attributes(netlink.attributes(outer)[18])
    assert inner == {1: b"veth\0", 2: struct.pack("!i", -3)}


def test_an_attribute_without_a_length_is_not_read_for_ever() -> None:
    with pytest.raises(ValueError, match="an attribute of 0 bytes"):
        netlink.attributes(bytes(8))


def test_the_kernel_tells_of_the_loopback() -> None:
    with contextlib.closing(Netlink(netlink.ROUTE)) as here:
        loopback = veth.find(here, "lo")
    assert loopback.index == socket.if_nametoindex("lo")
    assert loopback.mtu_bytes >= 576


def test_an_error_of_the_kernel_is_raised_and_the_socket_still_works() -> None:
    with contextlib.closing(Netlink(netlink.ROUTE)) as here:
        with pytest.raises(OSError, match="No such device"):
            veth.find(here, "no-such-device")
        assert veth.find(here, "lo").index == socket.if_nametoindex("lo")


def test_answers_to_a_request_that_was_given_up_are_not_taken_for_later_ones() -> None:
    wrong = Message(18, b"\0" * 16 + netlink.text(3, "no-such-device"))
    right = Message(18, b"\0" * 16 + netlink.text(3, "lo"))
    with contextlib.closing(Netlink(netlink.ROUTE)) as here:
        with pytest.raises(OSError, match="No such device"):
            here.ask(wrong, right)
        assert len(here.ask(right)) == 1


def test_a_list_has_an_entry_for_every_interface() -> None:
    with contextlib.closing(Netlink(netlink.ROUTE)) as here:
        entries = here.dump(Message(18, b"\0" * 16))
    names = {netlink.attributes(entry[16:])[3].rstrip(b"\0").decode() for entry in entries}
    assert "lo" in names


def test_a_closed_socket_can_be_closed_again() -> None:
    here = Netlink(netlink.ROUTE)
    here.close()
    here.close()
    assert here.fileno() == -1
