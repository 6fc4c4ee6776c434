"""The functions of a `lambent.toml`: its tables `[functions.NAME]` and `[layers.NAME]`.

The other tables of that file are the server's settings (`lambent.settings`).
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, cast

from lambent.cli.plan import Choices
from lambent.cli.project import LayerFolder, Project, ProjectFunction, ProjectQueue, QueueSource
from lambent.cli.terminal import UsageError
from lambent.settings import GROUPS, PROJECT_TABLES

_FUNCTIONS, _LAYERS = PROJECT_TABLES
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_ARCHITECTURES = ("x86_64", "arm64")
_FUNCTION_KEYS: Mapping[str, tuple[type, ...]] = {
    "architecture": (str,),
    "description": (str,),
    "environment": (dict,),
    "ephemeral_storage": (int,),
    "handler": (str,),
    "layers": (list,),
    "memory": (int,),
    "path": (str,),
    "queues": (list,),
    "role": (str,),
    "runtime": (str,),
    "timeout": (int,),
    "url": (bool, str),
}
_LAYER_KEYS: Mapping[str, tuple[type, ...]] = {"path": (str,), "runtime": (str,)}
_QUEUE_KEYS: Mapping[str, tuple[type, ...]] = {"batch_size": (int,), "name": (str,), "window": (int,)}
KEYS = {_FUNCTIONS: _FUNCTION_KEYS, _LAYERS: _LAYER_KEYS}
"""What a table of a group may hold, with the types of the values."""
_WORDS = {bool: "true or false", dict: "a table", int: "a whole number", list: "a list", str: "text"}


def describes_functions(file: Path) -> bool:
    """Say whether a `lambent.toml` is a project's, and not a server's settings alone.

    A table that means nothing makes it one, too: reading it as a project says so.
    """
    return bool(_load(file).keys() - {*GROUPS, _LAYERS})


def read_project_file(file: Path) -> Project:
    """Return the project that a `lambent.toml` describes.

    Raises:
        UsageError: it cannot be read, or a key or a value is not possible.
    """
    document = _load(file)
    known = (*GROUPS, *PROJECT_TABLES)
    if unknown := sorted(document.keys() - set(known)):
        hint = _hint(unknown[0], known, "functions are tables [functions.NAME]")
        raise UsageError(f"{file} has a table [{unknown[0]}] that means nothing: {hint}.")
    layers = {name: _layer(file, name, table) for name, table in _tables(file, document, _LAYERS).items()}
    functions = tuple(
        _function(file, name, table, layers) for name, table in _tables(file, document, _FUNCTIONS).items()
    )
    names = {
        source.queue for one in functions for source in one.queues if not source.queue.startswith("arn:")
    }
    return Project(
        file=file,
        functions=functions,
        layers=tuple(layers.values()),
        queues=tuple(_queue(name) for name in sorted(names)),
    )


def _load(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"{file} cannot be read as TOML: {error}.") from error


def _tables(file: Path, document: Mapping[str, Any], group: str) -> dict[str, dict[str, Any]]:
    found = document.get(group, {})
    if not isinstance(found, dict) or not all(isinstance(table, dict) for table in _values(found)):
        raise UsageError(f"{file}: [{group}] must hold tables [{group}.NAME].")
    tables = cast("dict[str, dict[str, Any]]", found)
    for name in tables:
        if not _NAME.fullmatch(name):
            raise UsageError(f"{file}: {name!r} is no name: letters, digits, - and _ make one, at most 64.")
    return tables


def _values(table: Any) -> Collection[Any]:
    return cast("dict[str, Any]", table).values()


def _check(where: str, table: Mapping[str, Any], keys: Mapping[str, tuple[type, ...]]) -> None:
    """Refuse keys that mean nothing, and values of another type than the key's."""
    for key, value in table.items():
        if key not in keys:
            raise UsageError(
                f"{where} has no key {key!r}: {_hint(key, keys, 'there are ' + ', '.join(keys))}."
            )
        # To Python, true is a number.
        if type(value) not in keys[key]:
            words = " or ".join(_WORDS[kind] for kind in keys[key])
            raise UsageError(f"{where}: {key} must be {words}, not {value!r}.")


def _hint(word: str, known: Collection[str], otherwise: str) -> str:
    near = difflib.get_close_matches(word, known, n=1)
    return f"{near[0]!r} is nearest" if near else otherwise


def _layer(file: Path, name: str, table: Mapping[str, Any]) -> LayerFolder:
    _check(f"[{_LAYERS}.{name}] in {file}", table, _LAYER_KEYS)
    runtime = table.get("runtime")
    return LayerFolder(
        name=name,
        published_as=name,
        path=file.parent / table.get("path", name),
        runtimes=(runtime,) if runtime else (),
        built_for=runtime if runtime and runtime.startswith("python") else None,
    )


def _function(file: Path, name: str, table: Mapping[str, Any], layers: Collection[str]) -> ProjectFunction:
    where = f"[{_FUNCTIONS}.{name}] in {file}"
    _check(where, table, _FUNCTION_KEYS)
    architecture = table.get("architecture")
    if architecture is not None and architecture not in _ARCHITECTURES:
        raise UsageError(f"{where}: architecture must be x86_64 or arm64, not {architecture!r}.")
    choices = Choices(
        name=name,
        runtime=table.get("runtime"),
        handler=table.get("handler"),
        memory_mb=table.get("memory"),
        timeout_s=table.get("timeout"),
        variables=_variables(where, table.get("environment")),
        role=table.get("role"),
        description=table.get("description"),
        architecture=architecture,
        ephemeral_storage_mb=table.get("ephemeral_storage"),
    )
    return ProjectFunction(
        name=name,
        path=file.parent / table.get("path", name),
        choices=choices,
        layers=_layers_of(where, table.get("layers"), layers),
        url=_url(where, table.get("url", False)),
        queues=tuple(_source(where, one) for one in table.get("queues", [])),
    )


def _variables(where: str, table: Mapping[str, Any] | None) -> dict[str, str] | None:
    if table is None:
        return None
    for name, value in table.items():
        if not isinstance(value, str | int | float):
            raise UsageError(f"{where}: environment {name} must be text, not {value!r}.")
    # As in JSON: a variable that says true says it in small letters.
    return {
        name: str(value).lower() if isinstance(value, bool) else str(value) for name, value in table.items()
    }


def _layers_of(where: str, given: list[Any] | None, layers: Collection[str]) -> tuple[str, ...] | None:
    if given is None:
        return None
    for one in given:
        if not isinstance(one, str) or not (one.startswith("arn:") or one in layers):
            raise UsageError(f"{where}: {one!r} is neither the ARN of a layer version nor one of [layers.…].")
    return tuple(given)


def _url(where: str, value: bool | str) -> dict[str, Any] | None:
    if isinstance(value, bool):
        return {"AuthType": "NONE"} if value else None
    if value not in {"NONE", "AWS_IAM"}:
        raise UsageError(f"{where}: url must be true, false, NONE or AWS_IAM, not {value!r}.")
    return {"AuthType": value}


def _source(where: str, given: Any) -> QueueSource:
    if isinstance(given, str):
        return QueueSource(queue=given)
    if not isinstance(given, dict):
        raise UsageError(f"{where}: queues holds names, ARNs or tables with a name, not {given!r}.")
    table = cast("dict[str, Any]", given)
    _check(f"{where}, queues", table, _QUEUE_KEYS)
    if "name" not in table:
        raise UsageError(f"{where}: a table of queues needs a name.")
    words = {"BatchSize": table.get("batch_size"), "MaximumBatchingWindowInSeconds": table.get("window")}
    parameters = {word: value for word, value in words.items() if value is not None}
    return QueueSource(queue=table["name"], parameters=parameters)


def _queue(name: str) -> ProjectQueue:
    return ProjectQueue(name=name, attributes={"FifoQueue": "true"} if name.endswith(".fifo") else {})
