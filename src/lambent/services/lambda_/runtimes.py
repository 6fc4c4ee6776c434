"""Which runtime identifiers can be given to a function, and with which words AWS refuses the others.

Pure names: whether an interpreter for one of them is on this machine is found out when a function is
activated. The sets follow the model's ``Runtime`` enumeration and AWS's page "Lambda runtimes".
"""

from __future__ import annotations

from lambent.errors import InvalidParameterValueException

# In the order in which AWS lists them, newer ones at the end.
ACCEPTED = (
    "nodejs20.x",
    "python3.14",
    "provided.al2023",
    "python3.12",
    "python3.13",
    "nodejs24.x",
    "nodejs22.x",
    "java17",
    "nodejs16.x",
    "java25",
    "dotnet8",
    "python3.10",
    "java11",
    "python3.11",
    "dotnet6",
    "java21",
    "nodejs18.x",
    "provided.al2",
    "ruby3.3",
    "ruby3.4",
    "java8.al2",
    "ruby3.2",
    "python3.8",
    "python3.9",
    "dotnet10",
    "nodejs26.x",
    "python3.15",
    "ruby4.0",
    "java8.al2023",
    "java11.al2023",
    "java17.al2023",
)
BLOCKED = frozenset(
    {
        "nodejs",
        "nodejs4.3",
        "nodejs4.3-edge",
        "nodejs6.10",
        "nodejs8.10",
        "nodejs10.x",
        "nodejs12.x",
        "nodejs14.x",
        "java8",
        "python2.7",
        "python3.6",
        "python3.7",
        "dotnetcore1.0",
        "dotnetcore2.0",
        "dotnetcore2.1",
        "dotnetcore3.1",
        "go1.x",
        "ruby2.5",
        "ruby2.7",
        "provided",
    }
)
SNAP_START = frozenset(
    {
        "java11",
        "java17",
        "java21",
        "java25",
        "java11.al2023",
        "java17.al2023",
        "python3.12",
        "python3.13",
        "python3.14",
        "python3.15",
        "dotnet8",
        "dotnet10",
    }
)


def check_runtime(runtime: str) -> None:
    """Refuse an identifier that no function can be created with or updated to.

    Raises:
        InvalidParameterValueException: AWS has blocked the runtime, or there is none of that name.
    """
    if runtime in BLOCKED:
        raise InvalidParameterValueException(
            f"The runtime parameter of {runtime} is no longer supported for creating or updating AWS Lambda "
            "functions. We recommend you use a supported runtime while creating or updating functions."
        )
    if runtime not in ACCEPTED:
        raise InvalidParameterValueException(
            f"Value {runtime} at 'runtime' failed to satisfy constraint: Member must satisfy enum value set: "
            f"[{', '.join(ACCEPTED)}] or be a valid ARN"
        )


def check_snap_start(
    runtime: str, *, package_type: str, ephemeral_storage_mb: int, has_file_systems: bool
) -> None:
    """Refuse SnapStart where AWS does not offer it (page "Lambda SnapStart", limitations).

    Raises:
        InvalidParameterValueException: the runtime, /tmp above 512 MB or a file system rules it out.
    """
    if package_type == "Zip" and runtime not in SNAP_START:
        raise InvalidParameterValueException(f"{runtime} is not supported for SnapStart enabled functions.")
    if ephemeral_storage_mb > 512:
        raise InvalidParameterValueException(
            "Ephemeral storage size exceeding 512 MB is not supported for SnapStart enabled functions."
        )
    if has_file_systems:
        raise InvalidParameterValueException(
            "FileSystemConfigs are not supported for SnapStart enabled functions."
        )
