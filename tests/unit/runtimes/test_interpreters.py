"""Finding interpreters: in trees that look like real ones, each program asked once, whatever the cache holds."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from lambent.runtimes.python import interpreters
from lambent.runtimes.python.interpreters import Interpreter, find_interpreters


@dataclass
class Machine:
    """A directory that plays a machine: its interpreters are known by their path."""

    root: Path
    answers: dict[Path, tuple[int, int, int]]
    asked: list[Path]

    def install(self, prefix: str, version: tuple[int, int, int]) -> Path:
        """Put an interpreter under a prefix, as ``bin/python3.X``."""
        path = self.root / prefix / "bin" / f"python3.{version[1]}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"\x7fELF and so on")
        path.chmod(0o755)
        self.answers[path] = version
        return path

    def ask(self, path: Path) -> Interpreter | None:
        self.asked.append(path)
        version = self.answers.get(path)
        if version is None:
            return None
        return Interpreter(executable=str(path), version=version, prefix=str(path.parent.parent))

    @property
    def cache_file(self) -> Path:
        return self.root / "cache" / "interpreters.json"

    def find(self, search: str = "", **environ: str) -> list[str]:
        """The versions and prefixes found, those of the machine that runs this test aside."""
        variables: Mapping[str, str] = {"PATH": "", "HOME": str(self.root / "home"), **environ}
        found = find_interpreters(search=search, environ=variables, cache_file=self.cache_file)
        inside = [one for one in found if one.executable.startswith(str(self.root))]
        return [f"{one.version_text} in {Path(one.prefix).relative_to(self.root)}" for one in inside]


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    machine = Machine(tmp_path.resolve(), {}, [])
    monkeypatch.setattr(interpreters, "_ask", machine.ask)
    return machine


def test_a_machine_without_interpreters_has_none(machine: Machine) -> None:
    assert machine.find() == []


def test_the_path_is_searched(machine: Machine) -> None:
    machine.install("opt/a", (3, 12, 1))
    machine.install("opt/b", (3, 9, 2))
    path = f"{machine.root}/opt/b/bin:/nowhere::{machine.root}/opt/a/bin"
    assert machine.find(PATH=path) == ["3.9.2 in opt/b", "3.12.1 in opt/a"]


def test_pyenv_and_uv_are_searched_where_they_are(machine: Machine) -> None:
    machine.install("home/.pyenv/versions/3.11.7", (3, 11, 7))
    machine.install("home/.local/share/uv/python/cpython-3.13.0-linux", (3, 13, 0))
    machine.install("elsewhere/versions/3.10.1", (3, 10, 1))
    assert machine.find() == [
        "3.11.7 in home/.pyenv/versions/3.11.7",
        "3.13.0 in home/.local/share/uv/python/cpython-3.13.0-linux",
    ]
    assert "3.10.1 in elsewhere/versions/3.10.1" in machine.find(PYENV_ROOT=f"{machine.root}/elsewhere")


def test_the_users_own_places_come_first_be_they_programs_or_directories(machine: Machine) -> None:
    machine.install("path", (3, 12, 1))
    program = machine.install("mine", (3, 12, 2))
    machine.install("also", (3, 8, 0))
    found = machine.find(f"{program}:{machine.root}/also/bin:/not/there", PATH=f"{machine.root}/path/bin")
    assert found == ["3.12.2 in mine", "3.8.0 in also", "3.12.1 in path"]


def test_what_may_not_be_read_is_passed_over(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """`sudo -u somebody` keeps the variables that name another's home."""
    machine.install("home/.local/share/uv/python/cpython-3.13.0-linux", (3, 13, 0))
    locked = machine.root / "locked"

    def refuse(path: Path, *_: object, **__: object) -> object:
        raise PermissionError(13, "Permission denied", str(path))

    # Root may read everything: what the system would tell another is told by hand.
    for name in ("stat", "iterdir", "open"):
        plain = getattr(Path, name)
        monkeypatch.setattr(
            Path,
            name,
            lambda path, *given, _plain=plain, **named: (
                refuse(path) if path.is_relative_to(locked) else _plain(path, *given, **named)
            ),
        )
    found = machine.find(f"{locked}/bin", PATH=f"{locked}/path", PYENV_ROOT=str(locked))
    assert found == ["3.13.0 in home/.local/share/uv/python/cpython-3.13.0-linux"]


def test_an_installation_with_several_names_is_found_once(machine: Machine) -> None:
    real = machine.install("opt", (3, 12, 1))
    link = machine.root / "bin" / "python3.12"
    link.parent.mkdir()
    link.symlink_to(real)
    assert machine.find(PATH=f"{machine.root}/bin:{machine.root}/opt/bin") == ["3.12.1 in opt"]


def test_shims_scripts_and_broken_links_are_not_interpreters(machine: Machine) -> None:
    """pyenv's shims are shell scripts that say something else in every directory."""
    shims = machine.root / "shims"
    shims.mkdir()
    (shims / "python3.12").write_text("#!/bin/sh\nexec pyenv exec python3.12\n")
    (shims / "python3.12").chmod(0o755)
    (shims / "python3.11").symlink_to("/nowhere/python3.11")
    (shims / "python3.10").mkdir()
    locked = machine.install("locked", (3, 9, 0))
    locked.chmod(0o644)
    assert machine.find(PATH=f"{shims}:{locked.parent}") == []
    assert not [path for path in machine.asked if path.is_relative_to(machine.root)]


@pytest.mark.parametrize("version", [(3, 7, 17), (2, 7, 18)])
def test_interpreters_that_are_too_old_are_left_out(machine: Machine, version: tuple[int, int, int]) -> None:
    path = machine.install("old", (3, 9, 0))
    machine.answers[path] = version
    assert machine.find(PATH=str(path.parent)) == []


def test_a_program_that_does_not_answer_is_left_out(machine: Machine) -> None:
    path = machine.install("broken", (3, 12, 0))
    del machine.answers[path]
    assert machine.find(PATH=str(path.parent)) == []


def test_nobody_is_asked_twice_unless_they_changed(machine: Machine) -> None:
    path = machine.install("opt", (3, 12, 1))
    assert machine.find(PATH=str(path.parent)) == ["3.12.1 in opt"]
    machine.asked.clear()
    assert machine.find(PATH=str(path.parent)) == ["3.12.1 in opt"]
    assert machine.asked == []
    machine.answers[path] = (3, 12, 2)
    os.utime(path, ns=(1, 1))
    assert machine.find(PATH=str(path.parent)) == ["3.12.2 in opt"]
    assert machine.asked == [path]


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"no json", b"\xff\xfe", b'"text"', b"{}", b"null", b'{"PATH": {}}']
)
def test_a_cache_that_makes_no_sense_is_made_again(machine: Machine, content: bytes) -> None:
    path = machine.install("opt", (3, 12, 1))
    machine.find(PATH=str(path.parent))
    (key,) = [key for key in json.loads(machine.cache_file.read_text()) if key.startswith(str(path))]
    machine.cache_file.write_bytes(content.replace(b"PATH", key.encode()))
    assert machine.find(PATH=str(path.parent)) == ["3.12.1 in opt"]
    assert key in json.loads(machine.cache_file.read_text())


def test_a_cache_that_cannot_be_written_is_done_without(machine: Machine) -> None:
    path = machine.install("opt", (3, 12, 1))
    machine.cache_file.parent.write_text("a file where the cache directory should be")
    assert machine.find(PATH=str(path.parent)) == ["3.12.1 in opt"]


def test_a_real_interpreter_is_asked_for_its_version_and_prefix(tmp_path: Path) -> None:
    executable = shutil.which(f"python3.{sys.version_info.minor}", path=f"{sys.base_prefix}/bin")
    assert executable is not None
    found = find_interpreters(search=executable, environ={}, cache_file=tmp_path / "cache.json")
    assert found[0].version == sys.version_info[:3]
    assert Path(found[0].prefix) == Path(sys.base_prefix)
    assert Path(found[0].library).is_dir()


def test_a_virtual_environment_stands_for_what_it_was_made_from(tmp_path: Path) -> None:
    venv_bin = tmp_path / "bin"
    venv_bin.mkdir()
    name = f"python3.{sys.version_info.minor}"
    (venv_bin / name).symlink_to(Path(sys.base_prefix, "bin", name))
    found = find_interpreters(search=str(venv_bin), environ={}, cache_file=tmp_path / "cache.json")
    assert Path(found[0].prefix) == Path(sys.base_prefix)
