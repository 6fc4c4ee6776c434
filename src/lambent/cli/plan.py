"""What a deploy changes: the wish and the present in, the requests to make out.

Pure. `cli.deploy` makes the requests. Nothing is sent that would change nothing, and nothing is touched
that the user did not name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """What the user says about a function. None: not said."""

    name: str | None = None
    runtime: str | None = None
    handler: str | None = None
    memory_mb: int | None = None
    timeout_s: int | None = None
    variables: Mapping[str, str] | None = None
    role: str | None = None
    description: str | None = None
    architecture: str | None = None
    layers: tuple[str, ...] | None = None
    ephemeral_storage_mb: int | None = None
    is_verbose: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """The function as it shall be. None: not said; AWS's default holds, or what is there stays."""

    name: str
    runtime: str
    handler: str
    architecture: str
    archive: bytes
    code_sha256: str
    role: str | None = None
    memory_mb: int | None = None
    timeout_s: int | None = None
    description: str | None = None
    variables: Mapping[str, str] | None = None
    layers: tuple[str, ...] | None = None
    ephemeral_storage_mb: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One operation to ask for."""

    operation: str
    parameters: dict[str, Any]


def plan(wish: Wish, current: Mapping[str, Any] | None) -> tuple[Request, ...]:
    """Decide which requests make the wish true.

    Args:
        wish: what the function shall be.
        current: its present configuration (GetFunctionConfiguration's answer), None when there is none.
    """
    if current is None:
        parameters = {
            "FunctionName": wish.name,
            "PackageType": "Zip",
            "Architectures": [wish.architecture],
            "Code": {"ZipFile": wish.archive},
            **_configuration(wish),
        }
        return (Request(operation="create_function", parameters=parameters),)
    requests: list[Request] = []
    is_same_code = current.get("CodeSha256") == wish.code_sha256
    if not is_same_code or current.get("Architectures", ["x86_64"]) != [wish.architecture]:
        code = {"FunctionName": wish.name, "ZipFile": wish.archive, "Architectures": [wish.architecture]}
        requests.append(Request(operation="update_function_code", parameters=code))
    present = _present(current)
    changes = {name: value for name, value in _configuration(wish).items() if present.get(name) != value}
    if changes:
        parameters = {"FunctionName": wish.name, **changes}
        configure = Request(operation="update_function_configuration", parameters=parameters)
        # While one update is under way another is refused, so they follow each other; an invocation in
        # between may meet the new code with the old handler, as with every tool that updates AWS Lambda.
        requests.append(configure)
    return tuple(requests)


def _configuration(wish: Wish) -> dict[str, Any]:
    """Return what both CreateFunction and UpdateFunctionConfiguration take, without what was not said."""
    size_mb = wish.ephemeral_storage_mb
    storage = None if size_mb is None else {"Size": size_mb}
    values = {
        "Runtime": wish.runtime,
        "Handler": wish.handler,
        "Role": wish.role,
        "MemorySize": wish.memory_mb,
        "Timeout": wish.timeout_s,
        "Description": wish.description,
        "Environment": None if wish.variables is None else {"Variables": dict(wish.variables)},
        "Layers": None if wish.layers is None else list(wish.layers),
        "EphemeralStorage": storage,
    }
    return {name: value for name, value in values.items() if value is not None}


def _present(current: Mapping[str, Any]) -> dict[str, Any]:
    """Return a configuration as the API answers it in the form in which the API takes it."""
    variables = current.get("Environment", {}).get("Variables", {})
    layers = [layer["Arn"] for layer in current.get("Layers", [])]
    return {**current, "Environment": {"Variables": variables}, "Layers": layers}
