"""Which event a function is invoked with, and what it is called."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from lambent.cli.dev import parse_events, renamed
from lambent.cli.plan import Choices
from lambent.cli.project import Project, ProjectFunction
from lambent.cli.terminal import UsageError


def test_an_event_is_for_one_function_or_for_all(tmp_path: Path) -> None:
    file = tmp_path / "e.json"
    file.write_text("{}")
    assert parse_events([str(file), f"hello={file}"]) == {None: file, "hello": file}


@pytest.mark.parametrize("texts", [["{file}", "{file}"], ["f={file}", "f={file}"], ["f=no-such-file"]])
def test_an_event_that_cannot_be_is_refused(tmp_path: Path, texts: list[str]) -> None:
    file = tmp_path / "e.json"
    file.write_text("{}")
    with pytest.raises(UsageError):
        parse_events(text.format(file=file) for text in texts)


def test_a_name_is_for_what_has_none_of_its_own(tmp_path: Path) -> None:
    function = ProjectFunction(name="folder", path=tmp_path, choices=Choices())
    project = Project(file=None, functions=(function,))
    assert renamed(project, "mine").functions[0].choices.name == "mine"
    with pytest.raises(UsageError):
        renamed(replace(project, file=tmp_path / "lambent.toml"), "mine")
