"""Control groups: what is read from the kernel's files, and what is to be written into them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lambent.sandbox import cgroup
from lambent.sandbox.cgroup import Hierarchy, SandboxCgroup
from lambent.sandbox.order import CgroupOrder

HYBRID = """\
24 1 254:0 / / rw,relatime - ext4 /dev/vda rw,discard
30 24 0:26 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
31 30 0:27 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:5 master:1 - cgroup cgroup rw,cpu,cpuacct
32 30 0:28 / /sys/fs/cgroup/with\\040space rw,relatime - cgroup cgroup rw,memory
33 30 0:29 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw,nsdelegate
"""


def hierarchy(directory: Path, version: int, *controllers: str) -> Hierarchy:
    return Hierarchy(version=version, controllers=frozenset(controllers), directory=str(directory))


def orders(directory: Path, version: int, *controllers: str, cpu_share: float = 0.5) -> list[tuple[str, str]]:
    (order,) = cgroup.orders(
        [hierarchy(directory, version, *controllers)],
        "name",
        memory_bytes=128,
        max_processes=10,
        cpu_share=cpu_share,
    )
    assert order.directory == f"{directory}/name"
    return list(order.settings)


def test_mounted_hierarchies_are_found_with_their_versions_and_controllers() -> None:
    found = [(mount.version, mount.mount_point, "memory" in mount.options) for mount in mounts()]
    assert found == [
        (1, "/sys/fs/cgroup/cpu,cpuacct", False),
        (1, "/sys/fs/cgroup/with space", True),
        (2, "/sys/fs/cgroup/unified", False),
    ]
    assert mounts()[0].options >= {"cpu", "cpuacct"}


def mounts() -> list[cgroup.MountedHierarchy]:
    return cgroup.mounted_hierarchies(HYBRID)


def test_version_1_limits_memory_before_memory_and_swap() -> None:
    """The kernel refuses the other order: memory may never be more than memory and swap together."""
    assert orders(Path("/v1"), 1, "memory") == [
        ("memory.limit_in_bytes", "128"),
        ("?memory.memsw.limit_in_bytes", "128"),
    ]


def test_version_2_allows_no_swap() -> None:
    assert orders(Path("/v2"), 2, "memory") == [("memory.max", "128"), ("?memory.swap.max", "0")]


def test_a_cpu_share_is_a_quota_of_a_fiftieth_of_a_second() -> None:
    assert orders(Path("/v1"), 1, "cpu") == [("cpu.cfs_period_us", "20000"), ("cpu.cfs_quota_us", "10000")]
    assert orders(Path("/v2"), 2, "cpu") == [("cpu.max", "10000 20000")]


def test_no_share_is_no_quota() -> None:
    assert orders(Path("/v1"), 1, "cpu", cpu_share=0)[-1] == ("cpu.cfs_quota_us", "-1")
    assert orders(Path("/v2"), 2, "cpu", cpu_share=0) == [("cpu.max", "max 20000")]


def test_a_tiny_share_is_the_smallest_quota_that_the_kernel_accepts() -> None:
    assert orders(Path("/v2"), 2, "cpu", cpu_share=0.000001) == [("cpu.max", "1000 20000")]


def test_process_1_is_not_counted_as_one_of_the_commands() -> None:
    assert orders(Path("/v1"), 1, "pids") == [("pids.max", "11")]


def test_a_group_of_version_1_is_made_limited_and_entered_by_the_thread_itself(tmp_path: Path) -> None:
    group = tmp_path / "group"
    group.mkdir()
    for file in ("memory.limit_in_bytes", "tasks"):
        (group / file).touch()
    limits = (("memory.limit_in_bytes", "128"), ("?memory.memsw.limit_in_bytes", "128"))
    entrance = cgroup.make(CgroupOrder(str(group), limits, 1))
    assert cgroup.birthplace([entrance]) is None
    cgroup.enter([entrance])
    assert {path.name: path.read_text() for path in group.iterdir()} == {
        "memory.limit_in_bytes": "128",
        "tasks": "0",
    }
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(entrance)


def test_a_process_is_born_in_a_group_of_version_2(tmp_path: Path) -> None:
    group = tmp_path / "group"
    group.mkdir()
    (group / "memory.max").touch()
    entrance = cgroup.make(CgroupOrder(str(group), (("memory.max", "128"),), 2))
    assert cgroup.birthplace([entrance]) == entrance
    cgroup.enter([entrance])
    assert {path.name: path.read_text() for path in group.iterdir()} == {"memory.max": "128"}


def test_a_limit_whose_file_is_missing_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"memory\.max"):
        cgroup.make(CgroupOrder(str(tmp_path / "group"), (("memory.max", "128"),), 2))


def test_the_peak_is_the_highest_usage_less_the_file_cache(tmp_path: Path) -> None:
    first, second = tmp_path / "v1" / "name", tmp_path / "v2" / "name"
    write(
        first,
        {"memory.max_usage_in_bytes": "1000\n", "memory.stat": "cache 9\ntotal_cache 300\ntotal_shmem 50\n"},
    )
    write(second, {"memory.peak": "1000\n", "memory.stat": "anon 1\nfile 300\nshmem 50\n"})
    for version, group in ((1, first), (2, second)):
        sandbox = SandboxCgroup([hierarchy(group.parent, version, "memory")], "name")
        assert sandbox.peak_memory_bytes() == 750


def test_an_older_kernel_tells_its_current_usage(tmp_path: Path) -> None:
    """memory.peak came with Linux 5.19."""
    write(tmp_path / "name", {"memory.current": "1000\n", "memory.stat": "file 300\nshmem 0\n"})
    assert SandboxCgroup([hierarchy(tmp_path, 2, "memory")], "name").peak_memory_bytes() == 700


def test_without_a_memory_group_there_is_no_peak(tmp_path: Path) -> None:
    assert SandboxCgroup([hierarchy(tmp_path, 2, "cpu")], "name").peak_memory_bytes() is None


def test_oom_kills_are_counted_in_both_versions(tmp_path: Path) -> None:
    first, second = tmp_path / "v1" / "name", tmp_path / "v2" / "name"
    write(first, {"memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n"})
    write(second, {"memory.events": "low 0\nhigh 0\nmax 7\noom 3\noom_kill 2\noom_group_kill 0\n"})
    for version, group in ((1, first), (2, second)):
        assert SandboxCgroup([hierarchy(group.parent, version, "memory")], "name").oom_kills() == 2


def test_removed_groups_answer_with_nothing(tmp_path: Path) -> None:
    sandbox = SandboxCgroup([hierarchy(tmp_path, 2, "memory")], "gone")
    assert (sandbox.peak_memory_bytes(), sandbox.oom_kills(), sandbox.remove()) == (0, 0, True)


def test_a_group_that_is_still_busy_is_reported(tmp_path: Path) -> None:
    write(tmp_path / "name", {"busy": ""})
    assert not SandboxCgroup([hierarchy(tmp_path, 2, "memory")], "name").remove()


def write(group: Path, files: dict[str, str]) -> None:
    group.mkdir(parents=True)
    for name, text in files.items():
        (group / name).write_text(text)


def version_2_host(root: Path, server: str) -> str:
    """A version 2 hierarchy in a directory; the groups that the kernel would fill exist already."""
    for group in (root, root / "lambent", root / "lambent" / server):
        write(group, {"cgroup.subtree_control": ""})
    (root / "cgroup.controllers").write_text("cpuset cpu io memory hugetlb pids\n")
    return f"33 30 0:29 / {root} rw,relatime - cgroup2 cgroup2 rw\n"


def test_a_version_2_host_shares_its_controllers_out_down_to_our_group(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "cgroup"
    mountinfo = version_2_host(root, "server")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    claimed = cgroup.claim(cgroup.mounted_hierarchies(mountinfo), "server")
    assert claimed == (hierarchy(root / "lambent" / "server", 2, "memory", "cpu", "pids", "freezer"),)
    for group in (root, root / "lambent", root / "lambent" / "server"):
        assert (group / "cgroup.subtree_control").read_text() == "+cpu +memory +pids"


def test_a_controller_is_taken_from_the_first_hierarchy_that_has_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "unified"
    first = tmp_path / "memory"
    first.mkdir()
    mountinfo = f"32 30 0:28 / {first} rw,relatime - cgroup cgroup rw,memory\n" + version_2_host(
        root, "server"
    )
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    claimed = cgroup.claim(cgroup.mounted_hierarchies(mountinfo), "server")
    assert [(one.version, one.controllers) for one in claimed] == [
        (1, {"memory"}),
        (2, {"cpu", "pids", "freezer"}),
    ]


def test_what_freezes_is_version_2_also_where_it_has_no_controllers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Version 1 could, but what it has frozen cannot be killed."""
    first, root = tmp_path / "freezer", tmp_path / "unified"
    first.mkdir()
    mountinfo = f"32 30 0:28 / {first} rw,relatime - cgroup cgroup rw,freezer\n" + version_2_host(
        root, "server"
    )
    (root / "cgroup.controllers").write_text("hugetlb\n")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    (claimed,) = cgroup.claim(cgroup.mounted_hierarchies(mountinfo), "server")
    assert (claimed.version, claimed.controllers) == (2, {"freezer"})
    assert (root / "cgroup.subtree_control").read_text() == ""
    group = Path(claimed.directory, "sandbox")
    write(group, {"cgroup.freeze": "0"})
    one = cgroup.SandboxCgroup((claimed,), "sandbox")
    for is_frozen, text in ((True, "1"), (False, "0")):
        assert one.freeze(is_frozen=is_frozen)
        assert (group / "cgroup.freeze").read_text() == text
    assert not cgroup.SandboxCgroup((hierarchy(tmp_path, 1, "memory"),), "sandbox").freeze(is_frozen=True)


def test_hierarchies_that_cannot_be_written_are_left_alone(tmp_path: Path) -> None:
    mountinfo = f"32 30 0:28 / {tmp_path}/missing rw,relatime - cgroup cgroup rw,memory\n"
    assert cgroup.claim(cgroup.mounted_hierarchies(mountinfo), "server") == ()


def test_groups_of_dead_servers_are_removed_and_those_of_living_ones_stay(tmp_path: Path) -> None:
    ours = tmp_path / "lambent"
    living = cgroup.server_name(os.getpid())
    reused = f"{os.getpid()}-1-00000000"  # our pid, but started at another time
    for name in (living, reused, "99999999-1-00000000", "not-a-server"):
        (ours / name / "sandbox").mkdir(parents=True)
    mountinfo = f"32 30 0:28 / {tmp_path} rw,relatime - cgroup cgroup rw,memory\n"
    cgroup.claim(cgroup.mounted_hierarchies(mountinfo), "server")
    assert sorted(path.name for path in ours.iterdir()) == sorted([living, "not-a-server", "server"])


def test_two_rooms_of_one_server_have_different_names() -> None:
    assert cgroup.server_name(os.getpid()) != cgroup.server_name(os.getpid())


def test_forgetting_leaves_what_others_still_use(tmp_path: Path) -> None:
    for name in ("lambent/one", "lambent/two"):
        (tmp_path / name).mkdir(parents=True)
    cgroup.forget([hierarchy(tmp_path / "lambent/one", 1, "memory")])
    assert [path.name for path in (tmp_path / "lambent").iterdir()] == ["two"]
    cgroup.forget([hierarchy(tmp_path / "lambent/two", 1, "memory")])
    assert not (tmp_path / "lambent").exists()


def test_where_systemd_runs_the_machine_an_ordinary_user_is_told_how_to_have_a_group(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    program = tmp_path / "systemd-run"
    program.touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    command = "systemd-run --user --scope -p Delegate=yes lambent up"
    assert cgroup.way_to_a_group(tmp_path) == command
    assert cgroup.way_to_a_group(tmp_path / "missing") is None
    program.unlink()
    assert cgroup.way_to_a_group(tmp_path) is None
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert cgroup.way_to_a_group(tmp_path) is None
