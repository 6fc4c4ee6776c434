"""What a temporary function is made from: another function's code and settings, or a package of one's own.

`parameters_of` decides, purely, what of a configuration a clone gets; the rest fetches.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lambent.cli.client import Connection, download
from lambent.cli.package import MAX_ZIP_BYTES
from lambent.cli.terminal import CommandError, UsageError, one_line, size_text

DOWNLOAD_TIMEOUT_S = 60.0

# Members that CreateFunction takes in the form in which GetFunction answers them. Not among them: who may sign
# (a clone's code is code that was accepted), and what has effect for queued events only.
_AS_THEY_ARE = (
    "Architectures",
    "Environment",
    "EphemeralStorage",
    "FileSystemConfigs",
    "Handler",
    "KMSKeyArn",
    "MemorySize",
    "Role",
    "Runtime",
    "Timeout",
    "TracingConfig",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Blueprint:
    """A function that can be created, but for its name and its memory size."""

    parameters: Mapping[str, Any]
    """Those of CreateFunction, with ``Code``."""
    label: str
    """What people call it: the name, with the version or alias that was asked for."""
    package_bytes: int
    """Of the zip; 0 for an image."""
    is_snapshot: bool = False
    """Whether invocations shall start from a snapshot, and hence need a published version."""
    reserved_concurrency: int | None = None
    memory_mb: int = 128
    code_sha256: str = ""
    function: str = ""
    """The name of the function it is a clone of, without version or alias."""

    @property
    def architecture(self) -> str:
        return str(self.parameters.get("Architectures", ["x86_64"])[0])

    @property
    def runtime(self) -> str:
        return str(self.parameters.get("Runtime", ""))

    @property
    def ephemeral_storage_mb(self) -> int:
        return int(self.parameters.get("EphemeralStorage", {}).get("Size", 512))


def read_blueprint(connection: Connection, name: str) -> Blueprint:
    """Return what a function is made of.

    Args:
        connection: where it is.
        name: its name, ``name:qualifier`` or ARN.

    Raises:
        CommandError: its code cannot be fetched, or is too large to be sent.
        UsageError: it is switched off.
    """
    answer: dict[str, Any] = connection.client("lambda").get_function(FunctionName=name)
    configuration = answer["Configuration"]
    reserved = answer.get("Concurrency", {}).get("ReservedConcurrentExecutions")
    if reserved == 0:
        raise UsageError(
            f"{name} is switched off (its reserved concurrency is 0), so no clone of it is run either."
        )
    code, size_bytes = _code(connection, answer)
    return Blueprint(
        parameters={**parameters_of(configuration), "Code": code},
        label=name.rpartition(":function:")[2],
        package_bytes=size_bytes,
        is_snapshot=is_snapshot(configuration),
        reserved_concurrency=reserved,
        memory_mb=configuration["MemorySize"],
        code_sha256=configuration.get("CodeSha256", ""),
        function=configuration["FunctionName"],
    )


def parameters_of(configuration: Mapping[str, Any]) -> dict[str, Any]:
    """Return what CreateFunction has to be asked for, to get a function that runs as this one does.

    Its log goes to a group of its own, so that nobody who reads the function's is disturbed, and its REPORT lines
    are there to be read.

    Args:
        configuration: as GetFunction answers it.
    """
    parameters = {name: configuration[name] for name in _AS_THEY_ARE if configuration.get(name)}
    if errors := parameters.get("Environment", {}).get("Error"):
        raise CommandError(f"The environment variables cannot be read: {errors.get('Message', errors)}")
    parameters["PackageType"] = configuration.get("PackageType", "Zip")
    if layers := configuration.get("Layers"):
        parameters["Layers"] = [layer["Arn"] for layer in layers]
    if snap_start := configuration.get("SnapStart"):
        parameters["SnapStart"] = {"ApplyOn": snap_start.get("ApplyOn", "None")}
    if image := configuration.get("ImageConfigResponse", {}).get("ImageConfig"):
        parameters["ImageConfig"] = image
    vpc = configuration.get("VpcConfig", {})
    if vpc.get("SubnetIds"):
        wanted = ("SubnetIds", "SecurityGroupIds", "Ipv6AllowedForDualStack")
        parameters["VpcConfig"] = {name: vpc[name] for name in wanted if name in vpc}
    logging = configuration.get("LoggingConfig", {})
    if logging.get("LogFormat") == "JSON":
        level = logging.get("ApplicationLogLevel")
        parameters["LoggingConfig"] = {
            "LogFormat": "JSON",
            "SystemLogLevel": "INFO",
            **({"ApplicationLogLevel": level} if level else {}),
        }
    return parameters


def is_snapshot(configuration: Mapping[str, Any]) -> bool:
    """Say whether invocations of this very version start from a snapshot."""
    applies_on = configuration.get("SnapStart", {}).get("ApplyOn")
    return applies_on == "PublishedVersions" and configuration.get("Version", "$LATEST") != "$LATEST"


def _code(connection: Connection, answer: Mapping[str, Any]) -> tuple[dict[str, Any], int]:
    code: dict[str, Any] = answer["Code"]
    if answer["Configuration"].get("PackageType") == "Image":
        return {"ImageUri": code.get("ResolvedImageUri") or code["ImageUri"]}, 0
    archive = _download(connection, str(code["Location"]))
    if len(archive) > MAX_ZIP_BYTES:
        raise CommandError(
            f"The package has {size_text(len(archive))}, and Lambda takes at most {size_text(MAX_ZIP_BYTES)} in "
            "a request, so it cannot be cloned: move dependencies to a layer."
        )
    return {"ZipFile": archive}, len(archive)


def _download(connection: Connection, location: str) -> bytes:
    try:
        return download(location, timeout_s=DOWNLOAD_TIMEOUT_S)
    except OSError as error:
        place = "AWS" if connection.target.is_aws else "the server"
        raise CommandError(f"The code could not be fetched from {place}: {one_line(error)}") from error


def error_type(payload: bytes) -> tuple[str, str]:
    """Return the type and the message that a failed invocation's payload tells."""
    try:
        content = json.loads(payload)
    except ValueError:
        return "Unhandled", payload[:200].decode("utf-8", "replace")
    if not isinstance(content, dict):
        return "Unhandled", str(content)[:200]
    found: dict[str, Any] = content  # pyright: ignore[reportUnknownVariableType]
    # "RequestId: … Error: " says nothing where only the kind of failure matters.
    message = re.sub(r"^RequestId: \S+ Error: ", "", str(found.get("errorMessage", "")))
    return str(found.get("errorType", "Unhandled")), message
