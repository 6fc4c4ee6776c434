"""The filter program, judged by a small interpreter of classic BPF for both machines."""

from __future__ import annotations

import errno
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambent.sandbox import seccomp, syscalls

ALLOW = 0x7FFF0000
EPERM = 0x00050000 | errno.EPERM
ENOSYS = 0x00050000 | errno.ENOSYS
KILL = 0x80000000
MACHINES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
MAX_INSTRUCTIONS = 4096  # BPF_MAXINSNS


def verdict(machine: str, number: int, *arguments: int, arch: int | None = None) -> int:
    """What the kernel would answer to a call."""
    words = [*arguments, *[0] * (6 - len(arguments))]
    packet = struct.pack("IIQ6Q", number, MACHINES[machine] if arch is None else arch, 0, *words)
    code = list(struct.iter_unpack("HBBI", seccomp.program(machine)))
    accumulator, position = 0, 0
    while True:
        operation, when_true, when_false, operand = code[position]
        position += 1
        if operation == 0x20:
            (accumulator,) = struct.unpack_from("I", packet, operand)
        elif operation == 0x54:
            accumulator &= operand
        elif operation == 0x15:
            position += when_true if accumulator == operand else when_false
        elif operation == 0x35:
            position += when_true if accumulator >= operand else when_false
        elif operation == 0x06:
            return operand
        else:
            raise AssertionError(f"unknown operation {operation:#x}")


@pytest.mark.parametrize("machine", MACHINES)
def test_every_known_call_gets_the_verdict_of_the_list(machine: str) -> None:
    for name, number in syscalls.numbers(machine).items():
        if name in seccomp.GUARDED:
            continue
        expected = ALLOW if name in seccomp.ALLOWED else ENOSYS if name == "clone3" else EPERM
        assert verdict(machine, number) == expected, name


@pytest.mark.parametrize("machine", MACHINES)
def test_calls_newer_than_the_table_do_not_exist(machine: str) -> None:
    """So that C libraries fall back, as on a kernel that is older than they are."""
    newest = max(syscalls.numbers(machine).values())
    for number in (newest + 1, newest + 1000, 0x40000000, 0x40000000 + 59, 0xFFFFFFFF):
        assert verdict(machine, number) == ENOSYS


@pytest.mark.parametrize("machine", MACHINES)
def test_calls_through_another_architectures_entry_kill(machine: str) -> None:
    for arch in (0x40000003, 0x40000028, 0):  # i386, arm, none
        assert verdict(machine, syscalls.numbers(machine)["read"], arch=arch) == KILL


@pytest.mark.parametrize("machine", MACHINES)
def test_clone_makes_threads_and_processes_but_no_namespaces(machine: str) -> None:
    clone = syscalls.numbers(machine)["clone"]
    sigchld, thread = 17, 0x3D0F00
    assert verdict(machine, clone, sigchld) == verdict(machine, clone, thread) == ALLOW
    for namespace in (0x20000, 0x2000000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000):
        assert verdict(machine, clone, namespace | sigchld) == EPERM


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize(("name", "position"), [("mknod", 1), ("mknodat", 2)])
def test_devices_are_refused_and_pipes_allowed(machine: str, name: str, position: int) -> None:
    number = syscalls.numbers(machine).get(name)
    if number is None:
        pytest.skip(f"{machine} has no {name}")
    modes = {0x1000: ALLOW, 0xC000: ALLOW, 0x8000: ALLOW, 0: ALLOW, 0x2000: EPERM, 0x6000: EPERM}
    for mode, expected in modes.items():
        assert verdict(machine, number, *[0] * position, mode | 0o644) == expected


@pytest.mark.parametrize("machine", MACHINES)
def test_only_common_socket_families_are_allowed(machine: str) -> None:
    number = syscalls.numbers(machine)["socket"]
    allowed = {family for family in range(64) if verdict(machine, number, family) == ALLOW}
    assert allowed == {1, 2, 10, 16}


@pytest.mark.parametrize("machine", MACHINES)
def test_terminals_cannot_be_typed_into(machine: str) -> None:
    number = syscalls.numbers(machine)["ioctl"]
    assert verdict(machine, number, 0, 0x5412) == verdict(machine, number, 0, 0x541C) == EPERM
    assert verdict(machine, number, 0, 0x5413) == ALLOW  # TIOCGWINSZ


@pytest.mark.parametrize("machine", MACHINES)
def test_the_personality_can_be_asked_but_not_weakened(machine: str) -> None:
    number = syscalls.numbers(machine)["personality"]
    no_randomization = 0x0040000
    assert verdict(machine, number, 0xFFFFFFFF) == verdict(machine, number, 0) == ALLOW
    assert verdict(machine, number, no_randomization) == EPERM


@given(
    st.sampled_from(sorted(MACHINES)),
    st.integers(0, 2**32 - 1),
    st.lists(st.integers(0, 2**64 - 1), max_size=6),
)
def test_every_call_gets_one_of_three_verdicts(machine: str, number: int, arguments: list[int]) -> None:
    assert verdict(machine, number, *arguments) in (ALLOW, EPERM, ENOSYS)


@pytest.mark.parametrize("machine", MACHINES)
def test_the_program_is_one_that_the_kernel_accepts(machine: str) -> None:
    """Every jump lands inside, and the last instruction returns."""
    code = list(struct.iter_unpack("HBBI", seccomp.program(machine)))
    assert len(code) <= MAX_INSTRUCTIONS
    for position, (operation, when_true, when_false, _) in enumerate(code):
        if operation in (0x15, 0x35):
            assert position + 1 + max(when_true, when_false) < len(code)
    assert code[-1][0] == 0x06


def test_a_machine_without_a_table_is_named() -> None:
    with pytest.raises(OSError, match="riscv64 are not known"):
        seccomp.program("riscv64")


def test_every_allowed_name_exists_somewhere() -> None:
    """A misspelt name would silently be refused."""
    known = {name for machine in MACHINES for name in syscalls.numbers(machine)}
    assert known >= seccomp.ALLOWED | seccomp.GUARDED.keys()
