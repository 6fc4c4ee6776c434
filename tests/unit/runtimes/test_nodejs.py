"""Which interpreter runs a Node.js function, and what its environment is made of."""

from __future__ import annotations

import asyncio
import logging
import shutil
import stat
import tarfile
from pathlib import Path

import pytest

from lambent.runtimes import Launch, Runtimes, RuntimeUnavailable
from lambent.runtimes.nodejs import NodeJs, nearest
from lambent.runtimes.nodejs.interpreters import Interpreter, fetch, fetched_directory, find_interpreters
from lambent.runtimes.nodejs.library import PACKAGES, SDK_DATE, RuntimeLibrary, digest, sdk_packages


def interpreter(major: int, minor: int = 1, prefix: str = "/opt/node") -> Interpreter:
    return Interpreter(executable=f"{prefix}/bin/node", version=(major, minor, 0))


def nodejs(tmp_path: Path, *found: Interpreter, exact: bool = False, clients: str = "") -> NodeJs:
    library = RuntimeLibrary(tmp_path, clients=clients)
    return NodeJs(interpreters=found, library=library, exact=exact, cache_directory=tmp_path, fetches=False)


def launch(language: NodeJs, identifier: str) -> Launch:
    return asyncio.run(Runtimes([language]).launch(identifier))


def program(path: Path, text: str) -> Path:
    """A program that a shell runs."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


@pytest.mark.parametrize(
    ("installed", "wanted", "chosen"),
    [((18, 22), 22, 22), ((18, 22), 20, 22), ((18, 24), 20, 18), ((20,), 26, 20)],
)
def test_the_nearest_version_is_chosen_the_newer_of_two(
    installed: tuple[int, ...], wanted: int, chosen: int
) -> None:
    found = nearest([interpreter(major) for major in installed], wanted)
    assert found is not None
    assert found.version[0] == chosen


def test_a_machine_without_nodejs_says_so(tmp_path: Path) -> None:
    with pytest.raises(RuntimeUnavailable, match=r"No Node\.js interpreter was found"):
        launch(nodejs(tmp_path), "nodejs22.x")


def test_a_stand_in_is_used_and_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    language = nodejs(tmp_path, interpreter(20))
    assert language.stand_ins()["nodejs22.x"] == "20.1.0"
    with caplog.at_level(logging.WARNING):
        found = launch(language, "nodejs22.x")
    assert (found.version, found.is_exact) == ("20.1.0", False)
    assert "nodejs22.x is not installed here; Node.js 20.1.0 runs it instead." in caplog.text


def test_exact_runtime_refuses_a_stand_in(tmp_path: Path) -> None:
    language = nodejs(tmp_path, interpreter(20), exact=True)
    assert launch(language, "nodejs20.x").is_exact
    with pytest.raises(RuntimeUnavailable, match=r"No interpreter for nodejs22\.x .* exact_runtime"):
        launch(language, "nodejs22.x")


@pytest.mark.parametrize("identifier", ["python3.12", "nodejs", "nodejs22", "nodejs22.1", "xnodejs22.x", ""])
def test_other_identifiers_are_other_languages(tmp_path: Path, identifier: str) -> None:
    assert not nodejs(tmp_path).serves(identifier)


@pytest.mark.parametrize(
    ("version", "disabled"),
    [
        ((18, 20, 0), ()),
        ((20, 16, 0), ()),
        ((20, 17, 0), ("require",)),
        ((22, 1, 0), ("require", "detect")),
        ((26, 0, 0), ("require", "detect")),
    ],
)
def test_what_is_experimental_is_off_where_it_exists(
    tmp_path: Path, version: tuple[int, int, int], disabled: tuple[str, ...]
) -> None:
    found = Interpreter(executable="/opt/node/bin/node", version=version)
    options = launch(nodejs(tmp_path, found), f"nodejs{version[0]}.x").default_options
    assert options == tuple(f"--no-experimental-{name}-module" for name in disabled)


def test_an_installation_is_shown_under_var_lang(tmp_path: Path) -> None:
    found = launch(nodejs(tmp_path, interpreter(22)), "nodejs22.x")
    assert found.command[0] == "/var/lang/bin/node"
    assert found.mounts[0] == ("/opt/node", "/var/lang")
    assert found.environment["NODE_PATH"] == (
        "/opt/nodejs/node22/node_modules:/opt/nodejs/node_modules:/var/runtime/node_modules:/var/runtime:/var/task"
    )


def test_the_systems_own_stays_where_it_is(tmp_path: Path) -> None:
    found = launch(nodejs(tmp_path, interpreter(22, prefix="/usr")), "nodejs22.x")
    assert found.command[0] == "/usr/bin/node"
    (client,) = found.mounts
    assert client[1] == "/var/runtime"
    assert (Path(client[0]) / "bootstrap.js").is_file()


def test_an_sdk_that_is_there_is_mounted_and_one_that_is_not_is_no_hindrance(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")  # no npm
    language = nodejs(tmp_path, interpreter(22), clients="s3")

    async def story() -> tuple[Launch, Launch]:
        without = await language.launch("nodejs22.x")
        language_sdk(tmp_path).mkdir(parents=True)
        return without, await language.launch("nodejs22.x")

    without, complete = asyncio.run(story())
    assert not without.is_complete
    assert "/var/runtime/node_modules" not in [inside for _, inside in without.mounts]
    assert (str(language_sdk(tmp_path)), "/var/runtime/node_modules") in complete.mounts


def language_sdk(cache: Path) -> Path:
    """Where the SDK of one client is looked for."""
    return cache / "nodejs" / f"sdk-{SDK_DATE}-{digest(' '.join(sdk_packages(['s3'])).encode())}" / PACKAGES


def test_the_clients_of_the_sdk_bring_their_libraries_along() -> None:
    assert sdk_packages(["sqs", "dynamodb"]) == [
        "@aws-sdk/client-sqs@3",
        "@aws-sdk/client-dynamodb@3",
        "@aws-sdk/lib-dynamodb@3",
        "@aws-sdk/util-dynamodb@3",
    ]


def test_a_shell_script_on_path_is_no_interpreter(tmp_path: Path) -> None:
    program(tmp_path / "bin" / "node", "echo v22.1.0")
    found = find_interpreters(
        search="", environ={"PATH": f"{tmp_path}/bin"}, cache_directory=tmp_path / "cache"
    )
    assert found == []


@pytest.mark.skipif(shutil.which("node") is None, reason="there is no Node.js here")
def test_interpreters_are_asked_once_and_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    directory = str(Path(shutil.which("node") or "").parent)
    (first,) = find_interpreters(search="", environ={"PATH": directory}, cache_directory=tmp_path)
    monkeypatch.setattr("subprocess.run", None)
    assert find_interpreters(search="", environ={"PATH": directory}, cache_directory=tmp_path) == [first]


def fake_npm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    program(tmp_path / "npm-bin" / "npm", text)
    monkeypatch.setenv("PATH", f"{tmp_path}/npm-bin:/usr/bin:/bin")


def test_a_missing_version_is_fetched_from_npm_into_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = program(tmp_path / "package" / "bin" / "node", "echo v22.9.3")
    with tarfile.open(tmp_path / "package.tgz", "w:gz") as archive:
        archive.add(node, "package/bin/node")
    fake_npm(tmp_path, monkeypatch, f'echo "$3" > {tmp_path}/asked; cp {tmp_path}/package.tgz .')
    cache = tmp_path / "cache"
    found = asyncio.run(fetch(22, cache))
    assert found is not None
    assert found.version == (22, 9, 3)
    assert Path(found.executable) == fetched_directory(cache) / "22.9.3" / "bin" / "node"
    assert Path(found.executable).stat().st_mode & stat.S_IXUSR
    assert (tmp_path / "asked").read_text().startswith("node-linux-")
    assert asyncio.run(fetch(22, cache)) == found


@pytest.mark.parametrize(
    ("npm", "words"),
    [
        ("echo 'npm error code E404' >&2; echo 'npm error 404 Not Found' >&2; exit 1", "404 Not Found"),
        ("exit 3", "npm ended with 3"),
    ],
)
def test_what_cannot_be_fetched_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, npm: str, words: str
) -> None:
    fake_npm(tmp_path, monkeypatch, npm)
    assert asyncio.run(fetch(22, tmp_path / "cache")) is None
    assert f"Node.js 22 could not be fetched: {words}" in caplog.text
