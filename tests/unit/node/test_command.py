"""What is executed in an environment."""

from __future__ import annotations

from pathlib import Path

import pytest

from lambent.node.command import Roots, command_of, environment_of
from lambent.runtimes import Launch, OwnOptions

LAUNCH = Launch(
    command=("/var/lang/bin/node", "/var/runtime/bootstrap.js"),
    host_command=("/usr/bin/node", "/cache/bootstrap.js"),
    memory_options=(("--max-old-space-size", 0.9),),
    default_options=("--no-new",),
    own_options=OwnOptions(variable="OPTIONS", memory=("old-space",), revoked={"--no-new": "--new"}),
    environment={"NODE_PATH": "/opt/nodejs:/var/task"},
    host_environment={"NODE_PATH": "/opt/nodejs:/cache:/var/task"},
    family="nodejs",
    version="22.1.0",
)
BRINGS_ITS_OWN = Launch(
    command=(), host_command=(), entrypoint="bootstrap", family="provided", version="al2023"
)


def roots(tmp_path: Path, *, are_virtual: bool = True) -> Roots:
    for name in ("code", "layers"):
        (tmp_path / name).mkdir(exist_ok=True)
    return Roots(code=tmp_path / "code", layers=tmp_path / "layers", are_virtual=are_virtual)


def test_a_runtime_is_told_its_memory_size(tmp_path: Path) -> None:
    found = command_of(LAUNCH, roots(tmp_path), memory_mb=128, environment={})
    assert found.line == (
        "/var/lang/bin/node",
        "--max-old-space-size=115",
        "--no-new",
        "/var/runtime/bootstrap.js",
    )


@pytest.mark.parametrize(
    ("own", "kept"),
    [
        ("--other", ("--max-old-space-size=115", "--no-new")),
        ("--new", ("--max-old-space-size=115",)),
        ("--max-old-space-size=20 --new", ()),
    ],
)
def test_options_of_the_users_replace_the_runtimes(tmp_path: Path, own: str, kept: tuple[str, ...]) -> None:
    found = command_of(LAUNCH, roots(tmp_path), memory_mb=128, environment={"OPTIONS": own})
    assert found.line == ("/var/lang/bin/node", *kept, "/var/runtime/bootstrap.js")


def test_without_walls_everything_has_its_path_on_the_host(tmp_path: Path) -> None:
    places = roots(tmp_path, are_virtual=False)
    variables = {"AWS_LAMBDA_EXEC_WRAPPER": "/opt/wrap"}
    found = command_of(LAUNCH, places, memory_mb=100, environment=variables)
    assert found.line[-5:] == (
        f"{tmp_path}/layers/wrap",
        "/usr/bin/node",
        "--max-old-space-size=90",
        "--no-new",
        "/cache/bootstrap.js",
    )
    expected = f"{tmp_path}/layers/nodejs:/cache:{tmp_path}/code"
    assert environment_of(LAUNCH, places) == {"NODE_PATH": expected}
    assert environment_of(LAUNCH, roots(tmp_path)) == {"NODE_PATH": "/opt/nodejs:/var/task"}


@pytest.mark.parametrize(
    ("files", "line"),
    [
        (("code/bootstrap", "layers/bootstrap"), ("/var/task/bootstrap",)),
        (("layers/bootstrap",), ("/opt/bootstrap",)),
    ],
)
def test_the_functions_own_bootstrap_comes_before_a_layers(
    tmp_path: Path, files: tuple[str, ...], line: tuple[str, ...]
) -> None:
    places = roots(tmp_path)
    for file in files:
        (tmp_path / file).touch()
    found = command_of(BRINGS_ITS_OWN, places, memory_mb=128, environment={})
    assert (found.line, found.fault) == (line, None)


def test_no_bootstrap_is_a_fault(tmp_path: Path) -> None:
    places = roots(tmp_path)
    (tmp_path / "code" / "bootstrap").mkdir()  # a directory is none
    found = command_of(BRINGS_ITS_OWN, places, memory_mb=128, environment={})
    assert found.fault == "Couldn't find valid bootstrap(s): [/var/task/bootstrap /opt/bootstrap]"


def test_a_custom_runtime_has_no_wrapper(tmp_path: Path) -> None:
    places = roots(tmp_path)
    (tmp_path / "code" / "bootstrap").touch()
    variables = {"AWS_LAMBDA_EXEC_WRAPPER": "/opt/wrap"}
    assert command_of(BRINGS_ITS_OWN, places, memory_mb=128, environment=variables).line == (
        "/var/task/bootstrap",
    )
