"""Which commands may be forked from a zygote: those that would not notice."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from lambent.sandbox import Mount, SandboxSpec, ZygoteSpec
from lambent.sandbox.nursery import fits, remaining

LANG = Mount("/host/python", "/var/lang")
CODE = Mount("/host/code", "/var/task")
ZYGOTE = ZygoteSpec(
    interpreter=("/var/lang/bin/python3", "-u"),
    environment=(("LANG", "C.UTF-8"), ("LD_LIBRARY_PATH", "/var/lang/lib"), ("TZ", "UTC")),
    mounts=(LANG,),
    hidden=("/var/lang/site-packages",),
    places=("/var/task",),
    hostname="here",
    listen=(("127.0.0.1", 1),),
)
FITTING = SandboxSpec(
    name="x",
    command=("/var/lang/bin/python3", "-u", "/var/runtime/bootstrap.py", "argument"),
    environment={"LANG": "C.UTF-8", "LD_LIBRARY_PATH": "/var/lang/lib", "TOKEN": "secret"},
    working_directory="/var/task",
    tmp_directory="/host/tmp",
    memory_bytes=1,
    mounts=(LANG, CODE),
    hidden=("/var/lang/site-packages",),
    hostname="here",
    listen=(("127.0.0.1", 1),),
    zygote=ZYGOTE,
)


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"command": ("/var/lang/bin/python3", "-u", "-c", "pass")},
        {"environment": {**FITTING.environment, "TZ": "Europe/Berlin", "PATH": "/elsewhere"}},
        {"mounts": (LANG, CODE, Mount("/host/layer", "/opt"), Mount("/host/more", "/opt/lib"))},
        {"mounts": (LANG,)},
        {"memory_bytes": 2, "max_open_files": 3, "cpu_share": 0.5, "working_directory": "/"},
    ],
)
def test_a_command_fits_whose_differences_a_running_interpreter_can_take_on(change: dict[str, Any]) -> None:
    assert fits(replace(FITTING, **change), ZYGOTE)


@pytest.mark.parametrize(
    "change",
    [
        {"command": ("/var/lang/bin/python3", "/var/runtime/bootstrap.py")},
        {"command": ("/bin/sh", "-u", "-c", "python")},
        {"command": ("/var/lang/bin/python3", "-u", "-X", "dev", "script.py")},
        {"command": ("/var/lang/bin/python3", "-u", "-c")},
        {"command": ("/var/lang/bin/python3", "-u", "-")},
        {"command": ("/var/lang/bin/python3", "-u")},
        {"command": ("/var/lang/bin/python3", "-u", "")},
        {"environment": {**FITTING.environment, "PYTHONWARNINGS": "error"}},
        {"environment": {**FITTING.environment, "LD_PRELOAD": "/opt/lib/agent.so"}},
        {"environment": {**FITTING.environment, "LD_LIBRARY_PATH": "/opt/mine"}},
        {"environment": {**FITTING.environment, "LC_ALL": "de_DE.UTF-8"}},
        {"environment": {"LD_LIBRARY_PATH": "/var/lang/lib"}},
        {"mounts": (CODE, LANG)},
        {"mounts": (LANG, CODE, Mount("/host/more", "/elsewhere"))},
        {"hidden": ()},
        {"hostname": "there"},
        {"listen": ()},
    ],
)
def test_a_command_does_not_fit_that_would_be_something_else_when_executed(change: dict[str, Any]) -> None:
    assert not fits(replace(FITTING, **change), ZYGOTE)


def test_what_remains_for_a_stem_is_what_the_zygote_has_not() -> None:
    hidden = ("/var/lang/site-packages", "/var/task/inside")
    left = remaining(replace(FITTING, hidden=hidden))
    assert (left.mounts, left.hidden) == ((CODE,), ("/var/task/inside",))
