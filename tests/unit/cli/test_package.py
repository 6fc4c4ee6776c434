"""The zip holds what it should, and the same files make the same bytes."""

from __future__ import annotations

import io
import os
import zipfile
from pathlib import Path

import pytest

from lambent.cli import package
from lambent.cli.terminal import CommandError, UsageError


def write(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def names(folder: Path) -> list[str]:
    return [entry.name for entry in package.read_source(folder).entries]


def opened(archive: bytes) -> zipfile.ZipFile:
    return zipfile.ZipFile(io.BytesIO(archive))


def test_the_same_content_makes_the_same_bytes(tmp_path: Path) -> None:
    """Neither the order of creation nor times nor the umask change the zip, so CodeSha256 stays."""
    one = write(tmp_path / "one", {"app.py": "a", "lib/b.py": "b"})
    two = write(tmp_path / "two", {"lib/b.py": "b", "app.py": "a"})
    os.utime(two / "app.py", (1, 1))
    (two / "app.py").chmod(0o600)
    archives = [package.write_zip(package.read_source(folder).entries) for folder in (one, two)]
    assert archives[0] == archives[1]


def test_every_file_can_be_read_by_the_user_that_runs_functions(tmp_path: Path) -> None:
    write(tmp_path, {"app.py": "", "tool": "#!/bin/sh"})
    (tmp_path / "app.py").chmod(0o600)
    (tmp_path / "tool").chmod(0o700)
    archive = opened(package.write_zip(package.read_source(tmp_path).entries))
    modes = {info.filename: oct(info.external_attr >> 16) for info in archive.infolist()}
    assert modes == {"app.py": "0o100644", "tool": "0o100755"}


def test_leavings_stay_out(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "app.py": "",
            ".env": "SECRET=1",
            ".git/config": "",
            "__pycache__/app.pyc": "",
            "lib/__pycache__/x.pyc": "",
            "environment/pyvenv.cfg": "",
            "environment/lib/x.py": "",
            "node_modules/.bin/tool": "",
        },
    )
    assert names(tmp_path) == ["app.py", "node_modules/.bin/tool"]


def test_lambentignore_leaves_out_and_brings_back(tmp_path: Path) -> None:
    write(
        tmp_path,
        {"app.py": "", ".env": "", "big/a": "", "notes.md": "", ".lambentignore": "big/\n*.md\n!.env"},
    )
    assert names(tmp_path) == [".env", "app.py"]


def test_links_are_followed_but_not_in_circles(tmp_path: Path) -> None:
    folder = write(tmp_path / "function", {"app.py": ""})
    shared = write(tmp_path / "shared", {"util.py": "shared"})
    (folder / "shared").symlink_to(shared)
    (folder / "again").symlink_to(folder)
    (folder / "broken").symlink_to(tmp_path / "nowhere")
    assert names(folder) == ["app.py", "shared/util.py"]


def test_a_python_file_is_deployed_alone(tmp_path: Path) -> None:
    write(tmp_path, {"one.py": "def handler(e, c): ...", "requirements.txt": "numpy", "two.py": ""})
    source = package.read_source(tmp_path / "one.py")
    assert [entry.name for entry in source.entries] == ["one.py"]
    assert source.requirements is None


def test_a_zip_is_sent_as_it_is(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "code.zip", "w") as archive:
        archive.writestr("app.py", "def handler(e, c): ...")
        archive.writestr("lib/inner.py", "")
    source = package.read_source(tmp_path / "code.zip")
    assert source.archive == (tmp_path / "code.zip").read_bytes()
    assert source.modules == {"app.py": "def handler(e, c): ..."}
    assert source.names == {"app.py", "lib"}


def test_a_broken_zip_is_said_to_be_broken(tmp_path: Path) -> None:
    (tmp_path / "code.zip").write_bytes(b"no zip")
    with pytest.raises(CommandError, match=r"code\.zip cannot be read as a zip file"):
        package.read_source(tmp_path / "code.zip")


@pytest.mark.parametrize("name", ["missing", "text.txt"])
def test_what_is_no_function_is_a_wrong_argument(tmp_path: Path, name: str) -> None:
    (tmp_path / "text.txt").write_text("")
    with pytest.raises(UsageError, match=name):
        package.read_source(tmp_path / name)


def test_an_empty_folder_is_nothing_to_deploy(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="holds no file to deploy"):
        package.read_source(tmp_path)


def test_a_folder_over_the_limit_is_refused_before_it_is_zipped(tmp_path: Path) -> None:
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(package.MAX_UNZIPPED_BYTES + 1)
    with pytest.raises(CommandError, match="250 MB, Lambda's limit"):
        package.read_source(tmp_path)


def test_a_folder_at_the_limit_is_accepted(tmp_path: Path) -> None:
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(package.MAX_UNZIPPED_BYTES)
    assert names(tmp_path) == ["sparse"]


def test_a_zip_over_the_limit_is_refused_with_its_size() -> None:
    assert package.checked(b"x" * package.MAX_ZIP_BYTES)
    with pytest.raises(CommandError, match=r"The zip has 52\.4 MB.*at most 52\.4 MB"):
        package.checked(b"x" * (package.MAX_ZIP_BYTES + 1))


def test_the_users_own_file_wins_over_a_package(tmp_path: Path) -> None:
    own = package.collect(write(tmp_path / "own", {"six.py": "mine", "z.py": ""}))
    packages = package.collect(write(tmp_path / "packages", {"six.py": "theirs", "a.py": ""}))
    archive = opened(package.write_zip(package.merge(own, packages)))
    assert archive.namelist() == ["a.py", "six.py", "z.py"]
    assert archive.read("six.py") == b"mine"


def test_progress_is_told_byte_by_byte(tmp_path: Path) -> None:
    write(tmp_path, {"a": "12", "b": "345"})
    told: list[int] = []
    package.write_zip(package.read_source(tmp_path).entries, told.append)
    assert told == [2, 3]


def test_a_name_that_is_not_utf8_is_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"bad-\xff.py")
    path.write_text("")
    with pytest.raises(CommandError, match="is not UTF-8"):
        package.write_zip(package.read_source(tmp_path).entries)
