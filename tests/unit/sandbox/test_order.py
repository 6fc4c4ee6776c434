"""What is said between the asyncio side and a launching process survives the way."""

from __future__ import annotations

import os
import socket
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambent.sandbox import Mount, SandboxSpec, SeedlingSpec, ZygoteSpec
from lambent.sandbox.order import (
    CgroupOrder,
    Order,
    Outbound,
    StepFailedError,
    decode,
    encode,
    parse_report,
    receive,
    receive_order,
    report,
    send_order,
    step,
)

TEXT = st.binary().map(os.fsdecode)  # what environments hold: any bytes, as the interpreter decodes them


def order(environment: dict[str, str]) -> Order:
    spec = SandboxSpec(
        name="name",
        command=("/bin/true", "argument"),
        environment=environment,
        working_directory="/",
        tmp_directory="/tmp/x",
        memory_bytes=1,
        mounts=(Mount("/source", "/target"),),
        hidden=("/hidden",),
        inherited=((0, 1), (1, 5)),
        listen=(("127.0.0.1", 0),),
        cpu_share=0.5,
    )
    cgroups = (CgroupOrder("/group", (("memory.max", "1"),), 2),)
    link = Outbound(interface="lmb0-2", address="169.254.192.2", gateway="169.254.192.1", mtu_bytes=1500)
    return Order(
        spec=spec, network="nat", root="/root", cgroups=cgroups, memory_is_limited=True, outbound=link
    )


@given(st.dictionaries(TEXT, TEXT))
def test_an_order_is_the_same_after_encoding_and_decoding(environment: dict[str, str]) -> None:
    assert decode(encode(order(environment))) == order(environment)


def test_a_zygotes_order_arrives_with_its_seedling() -> None:
    seedling = SeedlingSpec(
        command=("/bin/true",), environment=(("A", "b"),), channel=3, output=(1, 2), memory_bytes=1
    )
    zygote = ZygoteSpec(interpreter=(), mounts=(Mount("/a", "/b"),), places=("/c",), seedling=seedling)
    whole = order({})
    whole = replace(whole, spec=replace(whole.spec, zygote=zygote))
    assert decode(encode(whole)) == whole


def test_an_order_without_a_link_arrives_without_one() -> None:
    without = replace(order({}), network="none", outbound=None)
    assert decode(encode(without)) == without


def test_an_order_larger_than_any_datagram_arrives_with_its_descriptors() -> None:
    sent = order({"LARGE": "x" * 2_000_000})
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    read, write = os.pipe()
    with ours, theirs:
        send_order(ours, sent, [write])
        os.close(write)
        received, (inherited,) = receive_order(theirs)
    assert received == sent
    os.write(inherited, b"through")
    os.close(inherited)
    assert os.read(read, 100) == b"through"
    os.close(read)


def test_a_report_arrives_and_the_end_is_told_from_a_report() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours:
        with theirs:
            report(theirs, "failed", step="mount", reason="no ünicode problem")
        message, descriptors = receive(ours)
        assert parse_report(message) == {"event": "failed", "step": "mount", "reason": "no ünicode problem"}
        assert (descriptors, receive(ours)) == ([], (b"", []))


def test_a_failing_step_is_named_with_the_kernels_reason_and_the_path() -> None:
    with pytest.raises(StepFailedError) as raised, step("open"):
        os.open("/nowhere", os.O_RDONLY)
    assert (raised.value.step, raised.value.reason) == ("open", "No such file or directory (/nowhere)")


def test_a_bug_in_a_step_is_a_failed_step_too() -> None:
    with pytest.raises(StepFailedError, match="count: ZeroDivisionError"), step("count"):
        _ = 1 / 0


def test_the_innermost_step_is_the_one_that_failed() -> None:
    with pytest.raises(StepFailedError) as raised, step("outer"), step("inner"):
        raise OSError(1, "no")
    assert raised.value.step == "inner"
