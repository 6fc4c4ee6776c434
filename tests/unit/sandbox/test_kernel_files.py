"""Promises of reading the kernel's files."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lambent.sandbox.kernel_files import number, read, resident_peak_bytes

STATUS = b"Name:\tpython\nPid:\t17\nNSpid:\t18\nVmHWM:\t   13032 kB\ncache 4096\ntotal_cache 8192\n"


@pytest.mark.parametrize(
    ("name", "expected"),
    [(b"Pid", 17), (b"VmHWM", 13032), (b"cache", 4096), (b"total_cache", 8192), (b"shmem", 0)],
)
def test_a_number_is_the_one_behind_its_whole_name(name: bytes, expected: int) -> None:
    assert number(STATUS, name) == expected


def test_a_file_that_is_not_there_says_nothing(tmp_path: Path) -> None:
    assert read(f"{tmp_path}/memory.stat") == b""
    assert read(str(tmp_path)) == b""


def test_the_peak_of_a_process_is_that_of_its_status() -> None:
    pidfd = os.pidfd_open(os.getpid())
    try:
        resident = resident_peak_bytes(pidfd, with_descendants=False)
        assert 1024 * number(Path("/proc/self/status").read_bytes(), b"VmHWM") >= resident > 1024 * 1024
    finally:
        os.close(pidfd)


def test_a_process_that_is_gone_uses_nothing() -> None:
    child = os.fork()
    if child == 0:
        os._exit(0)
    pidfd = os.pidfd_open(child)
    os.waitpid(child, 0)
    try:
        assert resident_peak_bytes(pidfd, with_descendants=True) == 0
    finally:
        os.close(pidfd)
    assert resident_peak_bytes(-1, with_descendants=True) == 0
