"""Which commands a program that runs already can be: those that would not notice."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from lambent.sandbox import SandboxSpec, SeedlingSpec
from lambent.sandbox.seedbed import suits

SEEDLING = SeedlingSpec(
    command=("/bin/node", "--flag", "/var/runtime/bootstrap.js"),
    environment=(("LANG", "C.UTF-8"), ("NODE_PATH", "/opt"), ("TZ", "UTC")),
    fixed_variables=("LANG", "NODE_"),
    changing_variables=("NODE_ENV",),
    channel=3,
    output=(1, 2, 4),
    memory_bytes=1,
)
SUITED = SandboxSpec(
    name="x",
    command=SEEDLING.command,
    environment={"LANG": "C.UTF-8", "NODE_PATH": "/opt", "TOKEN": "secret"},
    working_directory="/var/task",
    tmp_directory="/host/tmp",
    memory_bytes=1,
    inherited=((9, 1), (9, 2), (8, 3), (9, 4)),
)


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"environment": {**SUITED.environment, "NODE_ENV": "production", "TZ": "Europe/Berlin"}},
        {"working_directory": "/", "tmp_directory": "/elsewhere", "cpu_share": 0.5, "name": "y"},
    ],
)
def test_a_command_suits_whose_differences_the_program_can_take_on(change: dict[str, Any]) -> None:
    assert suits(replace(SUITED, **change), SEEDLING)


@pytest.mark.parametrize(
    "change",
    [
        {"command": ("/bin/node", "/var/runtime/bootstrap.js")},
        {"environment": {**SUITED.environment, "NODE_OPTIONS": "--trace-gc"}},
        {"environment": {"LANG": "C.UTF-8"}},
        {"memory_bytes": 2},
        {"max_processes": 2},
        {"max_open_files": 2},
        {"max_file_bytes": 2},
        {"inherited": ((9, 1), (9, 2), (8, 3))},
        {"inherited": (*SUITED.inherited, (7, 5))},
        {"copies_over": 5},
    ],
)
def test_a_command_does_not_suit_that_would_notice(change: dict[str, Any]) -> None:
    assert not suits(replace(SUITED, **change), SEEDLING)
