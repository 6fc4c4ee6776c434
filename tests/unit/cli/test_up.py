"""Every setting has a flag, flags reach the settings, and a bad one is one sentence."""

from __future__ import annotations

import sys
import types
from dataclasses import fields
from pathlib import Path

import pytest

from lambent.settings import GROUPS, Settings
from unit.cli.stand_in import Run


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[Settings]:
    """Take the server's place, and remember what it would have been started with."""
    seen: list[Settings] = []

    def serve(settings: Settings) -> int:
        seen.append(settings)
        return 7

    module = types.ModuleType("lambent.app")
    vars(module)["serve"] = serve
    monkeypatch.setitem(sys.modules, "lambent.app", module)
    monkeypatch.setattr(sys.modules["lambent"], "app", module, raising=False)
    monkeypatch.chdir(tmp_path)
    return seen


def test_every_setting_has_a_flag(run: Run, served: list[Settings]) -> None:
    text = run("up", "--help").out.decode()
    for group in GROUPS.values():
        for setting in fields(group):
            assert f"--{setting.name.replace('_', '-')}" in text


def test_flags_reach_the_settings_and_the_exit_code_is_the_servers(run: Run, served: list[Settings]) -> None:
    ran = run("up", "--port", "0", "--data-dir", "d", "--sandbox", "process", "--exact-runtime")
    assert ran.code == 7
    (settings,) = served
    assert settings.server.port == 0
    assert settings.store.data_dir == Path.cwd() / "d"
    assert settings.sandbox.sandbox == "process"
    assert settings.runtimes.exact_runtime is True


def test_what_is_not_said_is_left_to_the_file_and_the_environment(
    run: Run, served: list[Settings], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "my.toml").write_text("[server]\nport = 1234\n")
    monkeypatch.setenv("LAMBENT_REGION", "eu-west-1")
    run("up", "--config", "my.toml")
    assert (served[0].server.port, served[0].server.region) == (1234, "eu-west-1")


def test_a_variable_that_is_no_setting_is_pointed_out(
    run: Run, served: list[Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAMBENT_IDLE_TIMOUT_S", "1")
    monkeypatch.setenv("LAMBENT_ENDPOINT", "http://127.0.0.1:1")
    ran = run("up")
    assert ran.err == (
        "lambent: LAMBENT_IDLE_TIMOUT_S is no setting and has no effect; is LAMBENT_IDLE_TIMEOUT_S meant?\n"
    )
    assert len(served) == 1


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--port", "abc"), "--port must be a whole number, not 'abc'."),
        (("--auth", "closed"), "--auth must be one of open, iam, not 'closed'."),
        (("--config", "none.toml"), "--config names none.toml, which is not a file."),
    ],
)
def test_a_bad_setting_is_one_sentence(
    run: Run, served: list[Settings], arguments: tuple[str, ...], sentence: str
) -> None:
    ran = run("up", *arguments)
    assert ran.code == 2
    assert ran.err == f"lambent: {sentence}\n"
    assert served == []
