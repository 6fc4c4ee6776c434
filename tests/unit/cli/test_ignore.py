"""`.lambentignore` speaks the language of `.gitignore` (https://git-scm.com/docs/gitignore)."""

from __future__ import annotations

import pytest

from lambent.cli.ignore import ALWAYS, is_ignored, parse


def ignored(pattern: str, name: str, *, is_folder: bool = False) -> bool:
    return is_ignored(name, is_folder=is_folder, rules=parse(pattern.splitlines()))


@pytest.mark.parametrize(
    ("pattern", "name"),
    [
        ("*.log", "a.log"),
        ("*.log", "deep/down/a.log"),
        ("/notes.txt", "notes.txt"),
        ("docs/*.md", "docs/a.md"),
        ("docs/**/*.md", "docs/a.md"),
        ("docs/**/*.md", "docs/b/c/a.md"),
        ("**/cache", "x/y/cache"),
        ("docs/**", "docs/a/b"),
        ("file?.py", "file1.py"),
        ("file[0-9].py", "file7.py"),
        ("file[!0-9].py", "filex.py"),
        ("\\#odd", "#odd"),
        ("two words.txt", "two words.txt"),
    ],
)
def test_a_pattern_leaves_out_what_it_names(pattern: str, name: str) -> None:
    assert ignored(pattern, name)


@pytest.mark.parametrize(
    ("pattern", "name"),
    [
        ("*.log", "a.log.py"),
        ("/notes.txt", "deep/notes.txt"),
        ("docs/*.md", "docs/b/a.md"),
        ("docs/*.md", "other/docs/a.md"),
        ("docs/**", "docs"),
        ("file?.py", "file/.py"),
        ("file[!0-9].py", "file7.py"),
        ("# a comment", "# a comment"),
        ("", "anything"),
        ("a.b", "axb"),
    ],
)
def test_a_pattern_leaves_alone_what_it_does_not_name(pattern: str, name: str) -> None:
    assert not ignored(pattern, name)


def test_a_pattern_with_a_slash_at_its_end_means_folders_only() -> None:
    assert ignored("build/", "build", is_folder=True)
    assert not ignored("build/", "build", is_folder=False)


def test_the_last_rule_that_matches_decides() -> None:
    assert not ignored("*.log\n!keep.log", "keep.log")
    assert ignored("!keep.log\n*.log", "keep.log")


@pytest.mark.parametrize("name", [".env", "sub/.env", "x.pyc"])
def test_secrets_and_leavings_stay_out_without_being_asked(name: str) -> None:
    assert is_ignored(name, is_folder=False, rules=parse(ALWAYS))


def test_a_rule_of_ones_own_brings_back_what_always_stays_out() -> None:
    assert not is_ignored(".env", is_folder=False, rules=parse([*ALWAYS, "!.env"]))
