"""What lies under /var/runtime: made once, whole, and shared by whoever comes next."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lambent.runtimes.python import library
from lambent.runtimes.python.interpreters import Interpreter
from lambent.runtimes.python.library import RuntimeLibrary

NAME = f"python3.{sys.version_info.minor}"
INTERPRETER = Interpreter(
    executable=f"{sys.base_prefix}/bin/{NAME}", version=sys.version_info[:3], prefix=sys.base_prefix
)
CLIENT = {"bootstrap.py", "lambda_context.py", "lambda_json.py", "lambda_log.py"}


@pytest.fixture(autouse=True)
def small_sdk(monkeypatch: pytest.MonkeyPatch) -> None:
    """One module instead of 30 MB of botocore: how they are copied is the same."""
    monkeypatch.setattr(library, "SDK_PACKAGES", ("six", "jmespath"))


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def shelf(cache: Path) -> Iterator[RuntimeLibrary]:
    with contextlib.closing(RuntimeLibrary(cache)) as shelf:
        yield shelf


def test_the_directory_holds_the_client_and_the_sdk(shelf: RuntimeLibrary) -> None:
    place = asyncio.run(shelf.directory(INTERPRETER))
    names = {path.name for path in place.iterdir()}
    assert names >= CLIENT | {"six.py", "jmespath", "__pycache__"}
    assert place.stat().st_mode & 0o777 == 0o755


def test_the_client_is_compiled_for_the_path_inside_the_walls(shelf: RuntimeLibrary) -> None:
    """Tracebacks of functions show /var/runtime, not a directory of this machine."""
    place = asyncio.run(shelf.directory(INTERPRETER))
    code = (
        "import importlib.util, marshal, sys; path = importlib.util.cache_from_source(sys.argv[1]); "
        "print(marshal.loads(open(path, 'rb').read()[16:]).co_filename)"
    )
    answer = subprocess.run(
        [INTERPRETER.executable, "-I", "-S", "-c", code, str(place / "bootstrap.py")],
        capture_output=True,
        text=True,
        check=True,
    )
    assert answer.stdout.strip() == "/var/runtime/bootstrap.py"


def test_it_is_made_once_even_if_many_ask_at_the_same_time(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two servers may share the cache and start together."""

    async def story(shelves: list[RuntimeLibrary]) -> list[Path]:
        return await asyncio.gather(*(shelf.directory(INTERPRETER) for shelf in shelves))

    with contextlib.ExitStack() as stack:
        shelves = [stack.enter_context(contextlib.closing(RuntimeLibrary(cache))) for _ in range(3)]
        places = asyncio.run(story(shelves))
    assert len(set(places)) == 1
    assert list((cache / "python").iterdir()) == [places[0]], "no draft is left"
    assert {path.name for path in places[0].iterdir()} >= CLIENT


def test_what_was_made_is_used_again(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with contextlib.closing(RuntimeLibrary(cache)) as shelf:
        first = asyncio.run(shelf.directory(INTERPRETER))

    def refuse(*_: object) -> Path:
        raise AssertionError("it is there")

    monkeypatch.setattr(library, "_build", refuse)
    with contextlib.closing(RuntimeLibrary(cache)) as shelf:
        assert asyncio.run(shelf.directory(INTERPRETER)) == first


def test_a_failure_leaves_nothing(cache: Path) -> None:
    broken = Interpreter(executable="/bin/false", version=(3, 12, 0), prefix="/nowhere")
    with contextlib.closing(RuntimeLibrary(cache)) as shelf, pytest.raises(subprocess.CalledProcessError):
        asyncio.run(shelf.directory(broken))
    assert list((cache / "python").iterdir()) == []


def test_every_version_has_a_directory_of_its_own(cache: Path, shelf: RuntimeLibrary) -> None:
    """A client or SDK that changed is another directory too: the name says what it is made from."""
    place = asyncio.run(shelf.directory(INTERPRETER))
    assert place.name.startswith(INTERPRETER.version_text + "-")
    assert place.parent == cache / "python"
