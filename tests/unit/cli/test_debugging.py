"""What is printed for whoever attaches a debugger can be pasted into VS Code."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lambent.cli.debugging import Waiting, instructions, launch_configuration
from lambent.cli.invoke import local_root
from unit.cli.stand_in import Run, StandIn

PYTHON = Waiting(host="127.0.0.1", port=5678, family="python", task_root="/var/task", is_attached=False)
NODE = Waiting(host="127.0.0.1", port=9229, family="nodejs", task_root="/var/task", is_attached=False)


def test_python_is_attached_to_by_debugpy_with_paths_mapped() -> None:
    assert launch_configuration("f", PYTHON, "${workspaceFolder}/f") == {
        "name": "Lambent: f",
        "type": "debugpy",
        "request": "attach",
        "connect": {"host": "127.0.0.1", "port": 5678},
        "pathMappings": [{"localRoot": "${workspaceFolder}/f", "remoteRoot": "/var/task"}],
    }


def test_nodejs_is_attached_to_by_its_inspector_with_paths_mapped() -> None:
    found = launch_configuration("f", NODE, "/home/me/f")
    wanted = {"type": "node", "port": 9229, "localRoot": "/home/me/f", "remoteRoot": "/var/task"}
    assert found.items() >= wanted.items()


def test_the_instructions_hold_a_whole_launch_file() -> None:
    text = instructions("f", PYTHON, "x")
    assert "127.0.0.1:5678" in text.partition("\n")[0]
    assert json.loads(text[text.index("{") :])["configurations"][0]["request"] == "attach"


def test_the_code_of_a_project_here_is_found_from_the_folder_that_is_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert local_root("f") == "${workspaceFolder}"
    (tmp_path / "functions" / "f").mkdir(parents=True)
    (tmp_path / "lambent.toml").write_text("[functions.f]\npath = 'functions/f'")
    assert local_root("f") == "${workspaceFolder}/functions/f"
    assert local_root("other") == "${workspaceFolder}"
    (tmp_path / "lambent.toml").write_text("[functions")
    assert local_root("f") == "${workspaceFolder}"


def test_a_runtime_without_a_debugger_is_said(ask: Run, aws: StandIn) -> None:
    configuration = {"FunctionName": "f", "Runtime": "provided.al2023"}
    aws.on("GET", "/2015-03-31/functions/f/configuration", configuration)
    ran = ask("invoke", "f", "--debug")
    assert (ran.code, ran.err) == (2, "lambent: There is no debugger for functions on provided.al2023.\n")
    ran = ask("invoke", "f", "--debug", "--async")
    assert (ran.code, ran.err) == (2, "lambent: --debug goes neither with --async nor with --aws.\n")
