"""Which interpreter runs a Python function, and what its environment is made of."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import pytest

from lambent.runtimes import Launch, Runtimes, RuntimeUnavailable
from lambent.runtimes.python import Python, nearest
from lambent.runtimes.python.interpreters import Interpreter
from lambent.runtimes.python.library import RuntimeLibrary


def interpreter(minor: int, patch: int = 1, prefix: str = "/opt/python") -> Interpreter:
    return Interpreter(executable=f"{prefix}/bin/python3.{minor}", version=(3, minor, patch), prefix=prefix)


class PreparedLibrary(RuntimeLibrary):
    """A library whose directories are there already."""

    async def directory(self, interpreter: Interpreter) -> Path:
        return Path(f"/cache/{interpreter.version_text}")


def python(*interpreters: Interpreter, exact: bool = False) -> Python:
    library = PreparedLibrary(Path("/cache"))
    return Python(interpreters=interpreters, library=library, exact=exact, preloaded=("boto3",))


def launch(language: Python, identifier: str) -> Launch:
    return asyncio.run(Runtimes([language]).launch(identifier))


@pytest.mark.parametrize(
    ("installed", "wanted", "chosen"),
    [
        ((8, 11, 12), 11, 11),
        ((8, 11, 13), 12, 13),
        ((8, 11, 14), 12, 11),
        ((8,), 14, 8),
        ((13,), 8, 13),
        ((10, 12), 11, 12),
    ],
)
def test_the_nearest_version_is_chosen_the_newer_of_two(
    installed: tuple[int, ...], wanted: int, chosen: int
) -> None:
    found = nearest([interpreter(minor) for minor in installed], wanted)
    assert found is not None
    assert found.version[1] == chosen


def test_of_several_patch_releases_the_newest_is_chosen() -> None:
    assert nearest([interpreter(12, 1), interpreter(12, 9), interpreter(12, 3)], 12) == interpreter(12, 9)


def test_of_equal_ones_the_users_own_is_chosen() -> None:
    mine = interpreter(12, 1, "/mine")
    assert nearest([mine, interpreter(12, 1, "/usr")], 12) is mine


def test_nothing_is_nearest_where_there_is_nothing() -> None:
    assert nearest([], 12) is None


def test_a_machine_without_python_says_so() -> None:
    with pytest.raises(RuntimeUnavailable, match="No Python interpreter was found"):
        launch(python(), "python3.12")


def test_a_stand_in_is_used_and_said(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        found = launch(python(interpreter(11)), "python3.12")
    assert (found.version, found.is_exact) == ("3.11.1", False)
    assert "python3.12 is not installed here; Python 3.11.1 runs it instead." in caplog.text


def test_exact_runtime_refuses_a_stand_in() -> None:
    language = python(interpreter(11), exact=True)
    assert launch(language, "python3.11").is_exact
    with pytest.raises(RuntimeUnavailable, match=r"No interpreter for python3\.12 .* exact_runtime"):
        launch(language, "python3.12")
    assert language.stand_ins() == {}


def test_what_stands_in_for_missing_versions_is_known() -> None:
    language = python(interpreter(11), interpreter(13))
    assert language.identifiers() == ["python3.11", "python3.13"]
    assert language.stand_ins()["python3.12"] == "3.13.1"
    assert "python3.11" not in language.stand_ins()


@pytest.mark.parametrize("identifier", ["nodejs22.x", "python2.7", "python3", "python3.x", "xpython3.12", ""])
def test_other_languages_are_not_pythons(identifier: str) -> None:
    assert not python(interpreter(12)).serves(identifier)
    with pytest.raises(RuntimeUnavailable, match="does not run"):
        launch(python(interpreter(12)), identifier)


def test_an_interpreter_is_mounted_where_aws_has_it() -> None:
    found = launch(python(interpreter(12, prefix="/opt/python")), "python3.12")
    assert found.command == ("/var/lang/bin/python3.12", "-u", "/var/runtime/bootstrap.py")
    assert found.mounts == (("/opt/python", "/var/lang"), ("/cache/3.12.1", "/var/runtime"))
    assert found.environment["PYTHONPATH"] == "/var/runtime"
    assert found.host_command == ("/opt/python/bin/python3.12", "-u", "/cache/3.12.1/bootstrap.py")
    assert found.host_environment["LAMBDA_RUNTIME_DIR"] == "/cache/3.12.1"


def test_the_systems_own_interpreter_stays_where_it_is() -> None:
    found = launch(python(interpreter(11, prefix="/usr")), "python3.11")
    assert found.command[0] == "/usr/bin/python3.11"
    assert found.mounts == (("/cache/3.11.1", "/var/runtime"),)


def test_packages_installed_on_the_host_are_hidden(tmp_path: Path) -> None:
    site = tmp_path / "lib/python3.12/site-packages"
    assert launch(python(interpreter(12, prefix=str(tmp_path))), "python3.12").hidden == ()
    site.mkdir(parents=True)
    found = launch(python(interpreter(12, prefix=str(tmp_path))), "python3.12")
    assert found.hidden == ("/var/lang/lib/python3.12/site-packages",)


def test_a_runtime_is_prepared_once_however_many_ask() -> None:
    class Counting(PreparedLibrary):
        asked = 0

        async def directory(self, interpreter: Interpreter) -> Path:
            self.asked += 1
            await asyncio.sleep(0)
            return await super().directory(interpreter)

    async def story() -> int:
        library = Counting(Path("/cache"))
        language = Python(interpreters=[interpreter(12)], library=library, exact=False, preloaded=())
        runtimes = Runtimes([language])
        launches = await asyncio.gather(*(runtimes.launch("python3.12") for _ in range(5)))
        assert len({id(one) for one in launches}) == 1
        return library.asked

    assert asyncio.run(story()) == 1
