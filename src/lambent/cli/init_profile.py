"""Profiles what a Python function's init imports, without invoking it: a clone's version is provisioned once.

The clone has the function's code and configuration and one variable more, `PYTHONPROFILEIMPORTTIME`, by which Python
writes what it imports to the log. Its handler is in a module of ours that imports the function's: Python says nothing
of modules that `importlib` loads, as runtimes do. The function's handler never runs. The clone and its log are removed,
also after a failure.
"""

from __future__ import annotations

import contextlib
import io
import secrets
import time
import urllib.request
import zipfile
from collections.abc import Generator, Mapping
from typing import TYPE_CHECKING, Any

from lambent.cli.client import Connection, error_code
from lambent.cli.terminal import CommandError

if TYPE_CHECKING:
    from lambent.advice import Import

TEMPORARY = "lambent-temporary-"
VARIABLE = "PYTHONPROFILEIMPORTTIME"
NAME_MAX = 64
UPLOAD_MAX_BYTES = 50_000_000
INIT_TIMEOUT_S = 120.0
LOG_TIMEOUT_S = 10.0
POLL_INTERVAL_S = 0.1
MODULE = "lambent_import_profile"
_SOURCE = """__import__({module!r})


def handler(event, context):
    pass
"""
_KEPT = ("Runtime", "Role", "MemorySize", "Timeout", "Architectures", "EphemeralStorage")


def profile_init(connection: Connection, configuration: Mapping[str, Any]) -> list[Import]:
    """Run a function's init once, and return what it imported.

    Args:
        connection: where the function is.
        configuration: its own, as GetFunctionConfiguration answers.

    Raises:
        CommandError: it is no Python function, or its init fails.
    """
    from lambent.advice import parse_import_times

    name = configuration["FunctionName"]
    if not configuration.get("Runtime", "").startswith("python"):
        raise CommandError(
            f"{name} runs on {configuration.get('Runtime') or 'an image'}: only Python tells what it imports."
        )
    if configuration.get("CodeSize", 0) > UPLOAD_MAX_BYTES:
        raise CommandError(
            f"{name} has more code than a clone can be made of ({UPLOAD_MAX_BYTES // 1_000_000} MB)."
        )
    with _clone(connection, configuration) as (clone, version):
        _run_init(connection.client("lambda"), clone, version, name)
        found = parse_import_times(_log_lines(connection.client("logs"), clone))
    if not found:
        raise CommandError(f"The init of {name} wrote nothing about its imports.")
    return found


@contextlib.contextmanager
def _clone(connection: Connection, configuration: Mapping[str, Any]) -> Generator[tuple[str, str]]:
    """Make a clone of a function and a version of it, give their names, and remove it all in the end."""
    client = connection.client("lambda")
    ending = f"-imports-{secrets.token_hex(3)}"
    clone = f"{TEMPORARY}{configuration['FunctionName'][: NAME_MAX - len(TEMPORARY) - len(ending)]}{ending}"
    try:
        client.create_function(**_parameters(client, configuration, clone))
        client.get_waiter("function_active_v2").wait(FunctionName=clone, WaiterConfig=_WAITING)
        version = client.publish_version(FunctionName=clone)["Version"]
        client.get_waiter("published_version_active").wait(
            FunctionName=clone, Qualifier=version, WaiterConfig=_WAITING
        )
        yield clone, version
    finally:
        _remove(lambda: client.delete_function(FunctionName=clone))
        _remove(lambda: connection.client("logs").delete_log_group(logGroupName=f"/aws/lambda/{clone}"))


_WAITING = {"Delay": POLL_INTERVAL_S, "MaxAttempts": round(INIT_TIMEOUT_S / POLL_INTERVAL_S)}


def _parameters(client: Any, configuration: Mapping[str, Any], clone: str) -> dict[str, Any]:
    variables = {**configuration.get("Environment", {}).get("Variables", {}), VARIABLE: "1"}
    link = client.get_function(FunctionName=configuration["FunctionName"])["Code"]["Location"]
    return {
        **{name: configuration[name] for name in _KEPT if name in configuration},
        "FunctionName": clone,
        "Description": f"Temporary clone of {configuration['FunctionName'][:140]} for `lambent advise --imports`",
        "Handler": f"{MODULE}.handler",
        "Code": {"ZipFile": with_profile(_download(link), configuration["Handler"])},
        "Layers": [layer["Arn"] for layer in configuration.get("Layers", [])],
        "Environment": {"Variables": variables},
        "Tags": {"lambent:temporary": "advise"},
    }


def with_profile(package: bytes, handler: str) -> bytes:
    """Return a deployment package with one module more, which imports that of a handler."""
    module = handler.rpartition(".")[0].replace("/", ".")
    content = io.BytesIO(package)
    with zipfile.ZipFile(content, "a") as archive:
        entry = zipfile.ZipInfo(f"{MODULE}.py")
        entry.external_attr = 0o644 << 16
        archive.writestr(entry, _SOURCE.format(module=module))
    return content.getvalue()


def _download(link: str) -> bytes:
    # The link leads to the server that was asked, which no proxy is needed for.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(link, timeout=60) as answer:
            content: bytes = answer.read()
    except OSError as error:
        raise CommandError(f"The code cannot be downloaded: {error}.") from None
    return content


def _run_init(client: Any, clone: str, version: str, name: str) -> None:
    client.put_provisioned_concurrency_config(
        FunctionName=clone, Qualifier=version, ProvisionedConcurrentExecutions=1
    )
    deadline_s = time.monotonic() + INIT_TIMEOUT_S
    while time.monotonic() < deadline_s:
        answer = client.get_provisioned_concurrency_config(FunctionName=clone, Qualifier=version)
        if answer["Status"] == "READY":
            return
        if answer["Status"] == "FAILED":
            raise CommandError(
                f"The init of {name} failed ({answer.get('StatusReason', 'for no reason that is told')}): "
                f"see `lambent logs {name}`."
            )
        time.sleep(POLL_INTERVAL_S)
    raise CommandError(f"The init of {name} did not end within {INIT_TIMEOUT_S:g} s.")


def _log_lines(client: Any, clone: str) -> list[str]:
    """Return the log of the clone as soon as no more comes: lines are written a moment after they happen."""
    deadline_s = time.monotonic() + LOG_TIMEOUT_S
    lines: list[str] = []
    while time.monotonic() < deadline_s:
        now = _read_log(client, clone)
        if now and len(now) == len(lines):
            return now
        lines = now
        time.sleep(POLL_INTERVAL_S * 3)
    return lines


def _read_log(client: Any, clone: str) -> list[str]:
    pages = client.get_paginator("filter_log_events").paginate(logGroupName=f"/aws/lambda/{clone}")
    try:
        return [line for page in pages for event in page["events"] for line in event["message"].splitlines()]
    except client.exceptions.ResourceNotFoundException:
        return []


def _remove(remove: Any) -> None:
    try:
        remove()
    except Exception as error:
        # It never came to be, or is gone already.
        if error_code(error) != "ResourceNotFoundException":
            raise
