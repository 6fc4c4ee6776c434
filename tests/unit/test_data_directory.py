"""The data directory: one server at a time, secrets that only the owner reads, and nobody else's files."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from lambent.data_directory import DataDirectoryError, open_data_directory, write_private


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "data"


def refusal(root: Path) -> str:
    """The sentence with which a directory is refused."""
    with pytest.raises(DataDirectoryError) as caught, open_data_directory(root):
        pass
    assert "\n" not in str(caught.value)
    return str(caught.value)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_it_is_made_for_its_owner_alone(root: Path) -> None:
    with open_data_directory(root) as directory:
        assert directory.root == root
        assert directory.run.is_dir()
    assert (mode(root), mode(root / "secret"), mode(root / "lock")) == (0o700, 0o600, 0o600)


def test_its_secret_is_made_once(root: Path) -> None:
    with open_data_directory(root) as first:
        pass
    with open_data_directory(root) as second:
        assert first.secret == second.secret
        assert len(first.secret) == 32
    with open_data_directory(root.with_name("other")) as other:
        assert other.secret != first.secret


def test_two_servers_cannot_use_it_at_once_but_one_after_the_other(root: Path) -> None:
    with open_data_directory(root):
        assert refusal(root) == f"Another Lambent is using the data directory {root}."
    with open_data_directory(root):
        pass


def test_what_died_with_an_earlier_server_is_removed(root: Path) -> None:
    with open_data_directory(root) as directory:
        (directory.run / "environment" / "tmp").mkdir(parents=True)
        (directory.run / "environment" / "tmp" / "file").write_text("left")
        directory.blobs.mkdir()
    with open_data_directory(root) as directory:
        assert list(directory.run.iterdir()) == []
        assert directory.blobs.is_dir()


def test_somebody_elses_directory_is_not_touched(root: Path) -> None:
    """``--data-dir .`` in a project that has a directory named ``run``."""
    (root / "run").mkdir(parents=True)
    (root / "run" / "precious").write_text("years of work")
    assert refusal(root) == (
        f"{root} is not a data directory of Lambent and not empty (it holds run): use another one."
    )
    assert (root / "run" / "precious").read_text() == "years of work"


def test_an_empty_directory_can_be_used_and_so_can_one_whose_first_start_was_killed(root: Path) -> None:
    root.mkdir(parents=True)
    (root / "secret.part").write_bytes(b"half")
    with open_data_directory(root) as directory:
        assert len(directory.secret) == 32


@pytest.mark.parametrize("secret", [b"", b"short"])
def test_a_damaged_secret_is_refused_instead_of_signing_with_it(root: Path, secret: bytes) -> None:
    with open_data_directory(root):
        pass
    (root / "secret").write_bytes(secret)
    assert refusal(root).startswith(f"{root}/secret is damaged")


def test_a_file_is_no_directory(root: Path) -> None:
    root.parent.mkdir(parents=True)
    root.write_text("a file")
    assert refusal(root).startswith(f"The data directory {root} cannot be used: ")
    assert root.read_text() == "a file"


def test_a_place_where_nothing_can_be_made_is_refused() -> None:
    assert refusal(Path("/proc/lambent")).startswith("The data directory /proc/lambent cannot be used: ")


@pytest.mark.skipif(os.getuid() == 0, reason="root may write everywhere")
def test_a_directory_that_cannot_be_written_is_refused(root: Path) -> None:
    root.mkdir(parents=True, mode=0o500)
    assert refusal(root) == f"The data directory {root} cannot be used: Permission denied."


def test_the_lock_is_given_back_when_opening_fails(root: Path) -> None:
    root.mkdir(parents=True)
    foreign = root / "foreign"
    foreign.write_text("")
    refusal(root)
    foreign.unlink()
    with open_data_directory(root):
        pass


def test_a_private_file_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "key.json"
    write_private(path, b"one, and rather long")
    write_private(path, b"two")
    assert path.read_bytes() == b"two"
    assert mode(path) == 0o600
    assert [entry.name for entry in tmp_path.iterdir()] == ["key.json"]
