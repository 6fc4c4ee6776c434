"""What is compared: events of a folder, packages, revisions of git; misuse is one sentence."""

from __future__ import annotations

import contextlib
import subprocess
from pathlib import Path

import pytest

from lambent.cli import bill_diff
from lambent.cli.bill_diff import is_package, read_events
from lambent.cli.terminal import UsageError
from unit.cli.stand_in import Run


def test_events_are_the_json_files_of_a_folder_as_they_are(tmp_path: Path) -> None:
    (tmp_path / "b.json").write_bytes(b'{"b":  1}')
    (tmp_path / "a.json").write_bytes(b"[]")
    (tmp_path / "notes.txt").write_text("not an event")
    assert read_events(tmp_path) == {"a.json": b"[]", "b.json": b'{"b":  1}'}
    assert read_events(tmp_path / "b.json") == {"b.json": b'{"b":  1}'}


def test_a_folder_without_events_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"There is no \.json file"):
        read_events(tmp_path)
    (tmp_path / "a.json").write_text("{")
    with pytest.raises(UsageError, match=r"a\.json is not JSON"):
        read_events(tmp_path)


def test_a_side_is_a_package_if_it_looks_like_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    assert is_package("folder")
    assert is_package("./missing")
    assert is_package("git:main")
    assert not is_package("thumbnail")
    assert not is_package("thumbnail:prod")
    assert not is_package("arn:aws:lambda:us-east-1:000000000000:function:thumbnail:prod")


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository whose last commit differs from the working tree."""
    monkeypatch.chdir(tmp_path)

    def git(*arguments: str) -> None:
        identity = ["-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "commit.gpgsign=false"]
        subprocess.run(["git", *identity, *arguments], check=True, capture_output=True)

    git("init", "--quiet")
    (tmp_path / "functions" / "hello").mkdir(parents=True)
    (tmp_path / "functions" / "hello" / "app.py").write_text("before")
    git("add", ".")
    git("commit", "--quiet", "-m", "first")
    (tmp_path / "functions" / "hello" / "app.py").write_text("after")
    return tmp_path


def test_a_revision_of_git_is_what_was_committed(repository: Path) -> None:
    with contextlib.ExitStack() as stack:
        folder = bill_diff._checkout("git:HEAD:functions/hello", stack)
        assert folder.name == "hello"
        assert (folder / "app.py").read_text() == "before"
        whole = bill_diff._checkout("git:HEAD", stack)
        assert (whole / "functions" / "hello" / "app.py").read_text() == "before"
    assert not folder.exists()
    assert (repository / "functions" / "hello" / "app.py").read_text() == "after"


@pytest.mark.parametrize("text", ["git:", "git:--output=x", "git:nowhere", "git:HEAD:missing"])
def test_a_revision_that_is_not_there_is_one_sentence(repository: Path, text: str) -> None:
    del repository
    with contextlib.ExitStack() as stack, pytest.raises(UsageError, match="git") as caught:
        bill_diff._checkout(text, stack)
    assert "\n" not in str(caught.value)


def test_misuse_is_told_before_anything_is_made(run: Run, tmp_path: Path) -> None:
    ran = run("bill", "diff", "a", "b", "--payloads", tmp_path)
    assert ran.code == 2
    assert ran.err.startswith("lambent: There is no .json file")
    assert run("bill", "diff", "a", "b").code == 2
