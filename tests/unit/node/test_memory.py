"""How much memory there is: the machine's, or what a control group leaves of it."""

from __future__ import annotations

from pathlib import Path

from lambent.node.memory import memory_mb

MACHINE = "MemTotal:        8388608 kB\nMemFree:          102400 kB\n"


def machine(root: Path, *, cgroup: str = "0::/\n", limits: dict[str, str] | None = None) -> Path:
    """A machine with 8 GB, and control groups with these limits."""
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/meminfo").write_text(MACHINE)
    (root / "proc/self/cgroup").write_text(cgroup)
    for path, limit in (limits or {}).items():
        file = root / "sys/fs/cgroup" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(limit + "\n")
    return root


def test_without_control_groups_it_is_the_machines(tmp_path: Path) -> None:
    assert memory_mb(machine(tmp_path)) == 8192


def test_a_limit_of_version_2_counts_wherever_above_it_is(tmp_path: Path) -> None:
    limits = {"a/b/memory.max": "max", "a/memory.max": str(2 << 30)}
    assert memory_mb(machine(tmp_path, cgroup="0::/a/b\n", limits=limits)) == 2048


def test_a_limit_of_version_1_counts_and_no_limit_is_none(tmp_path: Path) -> None:
    cgroup = "9:name=systemd:/\n4:memory:/docker/x\n0::/\n"
    limits = {
        "memory/docker/x/memory.limit_in_bytes": str(1 << 30),
        "memory/memory.limit_in_bytes": "9223372036854771712",
    }
    assert memory_mb(machine(tmp_path, cgroup=cgroup, limits=limits)) == 1024


def test_a_limit_above_what_the_machine_has_is_none(tmp_path: Path) -> None:
    limits = {"memory.max": str(1 << 50)}
    assert memory_mb(machine(tmp_path, limits=limits)) == 8192


def test_this_machine_has_some() -> None:
    assert memory_mb() > 0
