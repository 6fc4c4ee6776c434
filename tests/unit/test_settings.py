"""Settings: where a value comes from, and one sentence about each that cannot be."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from lambent import settings
from lambent.settings import GROUPS, Settings, SettingsError, load, unknown_variables


@pytest.fixture(autouse=True)
def empty_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is read from where the tests happen to run."""
    monkeypatch.chdir(tmp_path)


def loaded(text: str = "", environ: dict[str, str] | None = None, **flags: Any) -> Settings:
    """The settings with this ``lambent.toml`` in the working directory."""
    if text:
        Path("lambent.toml").write_text(text)
    return load(flags=flags, environ=environ or {})


def refused(text: str = "", environ: dict[str, str] | None = None, **flags: Any) -> str:
    """The sentence with which a value is refused."""
    with pytest.raises(SettingsError) as caught:
        loaded(text, environ, **flags)
    sentence = str(caught.value)
    assert "\n" not in sentence
    return sentence


def test_everything_has_a_default() -> None:
    found = loaded()
    assert (found.server.host, found.server.port, found.server.auth) == ("127.0.0.1", 4566, "open")
    assert found.store.data_dir == Path("~/.lambent").expanduser()
    assert found.sandbox.sandbox == "auto"
    assert found.runtimes.exact_runtime is False


def test_a_flag_wins_over_a_variable_over_the_file_over_the_default() -> None:
    toml, variable = "[server]\nport = 1", {"LAMBENT_PORT": "2"}
    assert loaded(toml, variable, port="3").server.port == 3
    assert loaded(toml, variable).server.port == 2
    assert loaded(toml).server.port == 1
    Path("lambent.toml").unlink()
    assert loaded().server.port == 4566


def test_a_flag_that_was_not_given_is_no_value() -> None:
    assert loaded("", {"LAMBENT_PORT": "2"}, port=None).server.port == 2


def test_a_falsy_value_is_a_value() -> None:
    assert loaded("[runtimes]\nexact_runtime = true", exact_runtime=False).runtimes.exact_runtime is False
    assert loaded(port="0").server.port == 0


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("1", True),
        ("true", True),
        ("YES", True),
        ("on", True),
        ("0", False),
        ("False", False),
        ("off", False),
    ],
)
def test_truth_has_several_words(word: str, value: bool) -> None:
    assert loaded("", {"LAMBENT_EXACT_RUNTIME": word}).runtimes.exact_runtime is value


def test_paths_are_absolute_and_know_the_home_directory() -> None:
    assert loaded(data_dir="here").store.data_dir == Path.cwd() / "here"
    assert loaded(data_dir="~/there").store.data_dir == Path.home() / "there"


def test_numbers_may_be_text_and_text_may_be_a_number() -> None:
    found = loaded('[server]\nport = "80"\naccount = 123456789012\ndrain_timeout_s = 5')
    assert (found.server.port, found.server.account, found.server.drain_timeout_s) == (
        80,
        "123456789012",
        5.0,
    )


def test_the_file_can_be_named_by_a_variable_or_by_the_caller(tmp_path: Path) -> None:
    Path("lambent.toml").write_text("[server]\nport = 1")
    other = tmp_path / "other.toml"
    other.write_text("[server]\nport = 7")
    assert load(environ={"LAMBENT_CONFIG": str(other)}).server.port == 7
    assert load(environ={}, toml=other).server.port == 7


def test_tables_of_a_project_in_the_file_are_left_alone() -> None:
    assert loaded('[functions.hello]\nhandler = "app.handler"\n[server]\nport = 1').server.port == 1


@pytest.mark.parametrize(
    ("text", "environ", "flags", "sentence"),
    [
        ("", {}, {"port": "abc"}, "--port must be a whole number, not 'abc'."),
        ("", {"LAMBENT_PORT": ""}, {}, "LAMBENT_PORT must be a whole number, not ''."),
        ("[server]\nport = 80.5", {}, {}, "port in [server] must be a whole number, not 80.5."),
        ("[server]\nport = true", {}, {}, "port in [server] must be a whole number, not True."),
        ("[server]\nport = -1", {}, {}, "port in [server] must be at least 0, not -1."),
        ("[server]\nhost = ['a']", {}, {}, "host in [server] must be text, not ['a']."),
        ("[server]\nhost = 2026-01-02", {}, {}, "host in [server] must be text, not datetime.date(2026, 1, 2)."),
        ("", {"LAMBENT_AUTH": "none"}, {}, "LAMBENT_AUTH must be one of open, iam, not 'none'."),
        ("", {}, {"sandbox": "docker"}, "--sandbox must be one of auto, namespaces, process, not 'docker'."),
        ("", {}, {"drain_timeout_s": "nan"}, "--drain-timeout-s must be a number, not 'nan'."),
        ("", {}, {"drain_timeout_s": "inf"}, "--drain-timeout-s must be a number, not 'inf'."),
        ("", {}, {"drain_timeout_s": "-0.5"}, "--drain-timeout-s must be at least 0, not -0.5."),
        ("", {}, {"idle_timeout_s": "soon"}, "--idle-timeout-s must be a number, not 'soon'."),
        ("", {}, {"stems": "101"}, "--stems must be at most 100, not 101."),
        ("", {"LAMBENT_TMPS": "100000"}, {}, "LAMBENT_TMPS must be at most 100, not 100000."),
        ("", {}, {"account_concurrency": "0"}, "--account-concurrency must be at least 1, not 0."),
        ("", {"LAMBENT_DATA_DIR": ""}, {}, "LAMBENT_DATA_DIR must be a path, not ''."),
        ("[store]\ndata_dir = 5", {}, {}, "data_dir in [store] must be a path, not 5."),
        ("", {}, {"data_dir": "~nobody-of-this-name/x"}, "--data-dir must be a path, not '~nobody-of-this-name/x'."),
        ("", {}, {"account": "12345"}, "--account must be twelve digits, not '12345'."),
        ("", {}, {"account": "१२३४५६७८९०१२"}, "--account must be twelve digits, not '१२३४५६७८९०१२'."),
        ("", {}, {"region": "us east"}, "--region must be a region such as us-east-1, not 'us east'."),
        ("", {}, {"region": ""}, "--region must be a region such as us-east-1, not ''."),
        ("", {"LAMBENT_EXACT_RUNTIME": "maybe"}, {}, "LAMBENT_EXACT_RUNTIME must be true or false, not 'maybe'."),
        ("[server]\nprot = 1", {}, {}, "[server] in the configuration file has no setting 'prot'."),
        ("[function.f]", {}, {}, "The configuration file has no settings in [function]: there is no such group."),
        ("server = 1", {}, {}, "[server] in the configuration file must be a table."),
        ("", {"LAMBENT_CONFIG": "missing.toml"}, {}, "LAMBENT_CONFIG names missing.toml, which is not a file."),
    ],
)  # fmt: skip
def test_a_bad_value_is_refused_in_one_sentence(
    text: str, environ: dict[str, str], flags: dict[str, Any], sentence: str
) -> None:
    assert refused(text, environ, **flags) == sentence


@pytest.mark.parametrize("text", ["[server", "port == 1", "\x00", "[server]\nport = 1\nport = 2"])
def test_a_file_that_is_no_toml_is_refused_by_its_name(text: str) -> None:
    assert refused(text).startswith("lambent.toml cannot be read as TOML: ")


def test_a_file_that_is_no_text_is_refused_by_its_name() -> None:
    Path("lambent.toml").write_bytes(b"\xff\xfe")
    assert refused().startswith("lambent.toml cannot be read as TOML: ")


def test_settings_cannot_be_changed_once_read() -> None:
    with pytest.raises(AttributeError):
        setattr(loaded().server, "port", 1)  # noqa: B010


def test_every_setting_says_what_it_means_and_no_two_share_a_name() -> None:
    """Flags and variables carry no group."""
    names = [setting.name for group in GROUPS.values() for setting in fields(group)]
    assert len(names) == len(set(names))
    for group in GROUPS.values():
        for setting in fields(group):
            assert setting.metadata["doc"].endswith("."), setting.name


def test_the_reference_page_is_what_the_code_says() -> None:
    """``python -m lambent.settings > docs/reference/settings.md`` makes it so again."""
    page = Path(__file__).parents[2] / "docs" / "reference" / "settings.md"
    assert page.read_text(encoding="utf-8") == settings.reference()


def test_the_reference_page_names_every_setting() -> None:
    page = settings.reference()
    for group in GROUPS.values():
        for setting in fields(group):
            assert f"| `{setting.name}` | `LAMBENT_{setting.name.upper()}` |" in page


def test_a_variable_that_is_no_setting_is_told_with_the_nearest_one() -> None:
    environ = {
        "LAMBENT_STEM": "1",
        "LAMBENT_CONFIG": "x",
        "LAMBENT_XYZZY": "1",
        "PATH": "/",
        "LAMBENT_PORT": "1",
    }
    assert unknown_variables(environ) == [
        "LAMBENT_STEM is no setting and has no effect; is LAMBENT_STEMS meant?",
        "LAMBENT_XYZZY is no setting and has no effect.",
    ]


def test_a_number_that_no_machine_has_is_refused_with_what_may_be() -> None:
    with pytest.raises(SettingsError) as caught:
        load(environ={"LAMBENT_MEMORY_BUDGET_MB": "99999999999"})
    assert str(caught.value) == (
        "LAMBENT_MEMORY_BUDGET_MB must be auto or a whole number of at most nine digits, not '99999999999'."
    )
