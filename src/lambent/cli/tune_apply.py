"""Giving a function the size that was found: its configuration, and if asked for a new version behind an alias."""

from __future__ import annotations

from typing import Any

from lambent.cli.blueprint import Blueprint
from lambent.cli.client import Connection
from lambent.cli.deployment import wait_until_ready
from lambent.cli.terminal import CommandError, notice


def apply(connection: Connection, blueprint: Blueprint, memory_mb: int, alias: str | None) -> None:
    """Set the memory size, and publish a version behind an alias if one is named.

    Raises:
        CommandError: the code has changed since it was measured, or was that of another version.
    """
    client = connection.client("lambda")
    name = blueprint.function
    present = client.get_function_configuration(FunctionName=name)
    if present.get("CodeSha256") != blueprint.code_sha256:
        raise CommandError(
            f"Nothing was applied: the code of {name} is another than that of {blueprint.label}, which was measured."
        )
    if present["MemorySize"] != memory_mb:
        client.update_function_configuration(
            FunctionName=name, MemorySize=memory_mb, RevisionId=present["RevisionId"]
        )
        wait_until_ready(client, name, connection)
        notice(f"{name} has {memory_mb} MB now; before, it had {present['MemorySize']} MB.")
    else:
        notice(f"{name} has {memory_mb} MB already.")
    if alias is not None:
        _publish(client, connection, name, alias, blueprint.code_sha256)


def _publish(client: Any, connection: Connection, name: str, alias: str, code_sha256: str) -> None:
    version = client.publish_version(FunctionName=name, CodeSha256=code_sha256)["Version"]
    wait_until_ready(client, name, connection, version)
    pointed = {"FunctionName": name, "Name": alias, "FunctionVersion": version}
    try:
        client.update_alias(**pointed)
    except client.exceptions.ResourceNotFoundException:
        client.create_alias(**pointed)
    notice(f"{name}:{alias} is version {version} now.")
