"""`lambent deploy`: from a folder to a function, new or renewed."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import sys
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from lambent.cli import dependencies, handler, package, role
from lambent.cli.client import AwsOption, Connection, EndpointOption, RegionOption, connect, waiter_error
from lambent.cli.package import Source
from lambent.cli.plan import Request, Wish, plan
from lambent.cli.terminal import CommandError, UsageError, notice, notices, one_line, size_text

# A state on this machine changes within milliseconds; AWS's own waiters ask once in a second.
LOCAL_WAITER_DELAY_S = 0.1
WAITER_ATTEMPTS = 600


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """What the user says about the function. None: not said."""

    name: str | None = None
    runtime: str | None = None
    handler: str | None = None
    memory_mb: int | None = None
    timeout_s: int | None = None
    variables: dict[str, str] | None = None
    role: str | None = None
    description: str | None = None
    architecture: str | None = None
    layers: tuple[str, ...] | None = None
    is_verbose: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployed:
    """What a deploy did: the function's configuration now, and the requests it took."""

    configuration: dict[str, Any]
    requests: tuple[Request, ...]


def deploy(
    context: typer.Context,
    path: Annotated[Path, typer.Argument(metavar="PATH", help="A folder, a .py file or a .zip file.")],
    *,
    name: Annotated[
        str | None, typer.Option(help="Function name (default: the folder's).", show_default=False)
    ] = None,
    runtime: Annotated[
        str | None,
        typer.Option(help="Runtime (default: the Python nearest to this one).", show_default=False),
    ] = None,
    handler_: Annotated[
        str | None,
        typer.Option("--handler", help="Handler (default: found in the code).", show_default=False),
    ] = None,
    memory: Annotated[int | None, typer.Option(metavar="MB", help="Memory size.", show_default=False)] = None,
    timeout: Annotated[
        int | None, typer.Option(metavar="SECONDS", help="Timeout.", show_default=False)
    ] = None,
    env: Annotated[
        list[str] | None,
        typer.Option(
            "--env",
            "-e",
            metavar="NAME=VALUE",
            help="Environment variable; repeatable. Those given replace all that the function has.",
            show_default=False,
        ),
    ] = None,
    role_: Annotated[
        str | None,
        typer.Option(
            "--role", help=f"Execution role, ARN or name (default: {role.ROLE_NAME}).", show_default=False
        ),
    ] = None,
    description: Annotated[str | None, typer.Option(help="Description.", show_default=False)] = None,
    architecture: Annotated[
        str | None,
        typer.Option(
            metavar="x86_64|arm64", help="Architecture (default: this machine's).", show_default=False
        ),
    ] = None,
    layer: Annotated[
        list[str] | None,
        typer.Option("--layer", metavar="ARN", help="Layer version; repeatable.", show_default=False),
    ] = None,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Show all that pip says.")] = False,
    endpoint: EndpointOption = None,
    region: RegionOption = None,
    aws: AwsOption = False,
) -> None:
    """Create a function from a folder or a file, or update it.

    A requirements.txt is installed into the zip. What is not said stays as it is, or is AWS's default.
    """
    if architecture not in {None, "x86_64", "arm64"}:
        raise UsageError(f"--architecture must be x86_64 or arm64, not {architecture!r}.")
    choices = Choices(
        name=name,
        runtime=runtime,
        handler=handler_,
        memory_mb=memory,
        timeout_s=timeout,
        variables=parse_variables(env) if env else None,
        role=role_,
        description=description,
        architecture=architecture,
        layers=tuple(layer) if layer else None,
        is_verbose=verbose,
    )
    deployed = deploy_path(connect(context, endpoint, region, aws), path, choices)
    notice(summary(deployed))
    typer.echo(deployed.configuration["FunctionArn"])


def parse_variables(pairs: list[str]) -> dict[str, str]:
    """Return the environment variables of ``NAME=VALUE`` texts.

    Raises:
        UsageError: a text has another form.
    """
    variables: dict[str, str] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise UsageError(f"--env takes NAME=VALUE, not {pair!r}.")
        variables[name] = value
    return variables


def deploy_path(connection: Connection, path: Path, choices: Choices) -> Deployed:
    """Create or update the function that a path holds, and wait until it can be invoked.

    Raises:
        UsageError, CommandError: see `package`, `handler`, `dependencies` and `role`; or the function failed.
    """
    source = package.read_source(path)
    client = connection.client("lambda")
    name = choices.name or handler.function_name(source.path)
    current = _settled(client, name, connection)
    wish = wish_for(connection, source, name, choices, current)
    requests = plan(wish, current)
    configuration = current or {}
    for request in requests:
        getattr(client, request.operation)(**request.parameters)
        configuration = wait_until_ready(client, request.waiter, name, connection)
    return Deployed(configuration=configuration, requests=requests)


def _settled(client: Any, name: str, connection: Connection) -> dict[str, Any] | None:
    """Return the function's configuration once no change is under way, None when there is none."""
    try:
        configuration = client.get_function_configuration(FunctionName=name)
    except client.exceptions.ResourceNotFoundException:
        return None
    if configuration.get("State") == "Pending":
        configuration = wait_until_ready(client, "function_active_v2", name, connection)
    if configuration.get("LastUpdateStatus") == "InProgress":
        configuration = wait_until_ready(client, "function_updated_v2", name, connection)
    return configuration


def wait_until_ready(
    client: Any, waiter: str, name: str, connection: Connection, qualifier: str | None = None
) -> dict[str, Any]:
    """Wait for a function or a version of it, and return its configuration.

    Raises:
        CommandError: it did not become what the waiter of boto3 waits for.
    """
    named = {"FunctionName": name, **({"Qualifier": qualifier} if qualifier else {})}
    options: dict[str, Any] = {"MaxAttempts": WAITER_ATTEMPTS}
    if not connection.target.is_aws:
        options["Delay"] = LOCAL_WAITER_DELAY_S
    # When the waiter gives up, the configuration says why in plain words.
    with contextlib.suppress(waiter_error()):
        client.get_waiter(waiter).wait(**named, WaiterConfig=options)
    configuration: dict[str, Any] = client.get_function_configuration(**named)
    for status, reason in (("State", "StateReason"), ("LastUpdateStatus", "LastUpdateStatusReason")):
        if configuration.get(status) in {"Failed", "Pending", "InProgress"}:
            why = one_line(configuration.get(reason) or "no reason given")
            raise CommandError(f"{name} is not ready ({status} {configuration[status]}): {why}")
    return configuration


def wish_for(
    connection: Connection, source: Source, name: str, choices: Choices, current: dict[str, Any] | None
) -> Wish:
    """Return the function as it shall be: the user's word first, then what is there, then what the code says.

    Raises:
        UsageError, CommandError: see `package`, `handler`, `dependencies` and `role`.
    """
    present = current or {}
    version = (sys.version_info[0], sys.version_info[1])
    runtime = choices.runtime or present.get("Runtime") or handler.infer_runtime(source.names, version)
    architecture = choices.architecture or _architecture(connection, present)
    chosen_handler = _handler(source, runtime, choices.handler, present.get("Handler"))
    # Before minutes are spent on packages: is there a role at all?
    role_arn = role.find_role(connection, choices.role) if choices.role or not present else None
    archive = build_archive(source, runtime, architecture, connection.target.is_aws, choices.is_verbose)
    return Wish(
        name=name,
        runtime=runtime,
        handler=chosen_handler,
        architecture=architecture,
        archive=archive,
        code_sha256=base64.b64encode(hashlib.sha256(archive).digest()).decode(),
        role=role_arn,
        memory_mb=choices.memory_mb,
        timeout_s=choices.timeout_s,
        description=choices.description,
        variables=choices.variables,
        layers=choices.layers,
    )


def _architecture(connection: Connection, present: dict[str, Any]) -> str:
    if architectures := present.get("Architectures"):
        return str(architectures[0])
    # AWS's default there; here, what this machine can run.
    return "x86_64" if connection.target.is_aws else dependencies.this_architecture()


def _handler(source: Source, runtime: str, given: str | None, present: str | None) -> str:
    if given:
        return given
    # An update keeps the handler, which the user may have chosen, as long as the code still has it.
    if present and (not runtime.startswith("python") or handler.has_handler(present, source.modules)):
        return present
    own_name = handler.function_name(source.path)
    try:
        return handler.infer_handler(runtime, source.names, source.modules, own_name)
    except UsageError:
        if present:
            return present
        raise


def build_archive(source: Source, runtime: str, architecture: str, is_aws: bool, is_verbose: bool) -> bytes:
    """Return the zip of a source, the packages of its ``requirements.txt`` included.

    Raises:
        CommandError: pip failed, or the zip is too large.
    """
    if source.archive is not None:
        return package.checked(source.archive)
    python = dependencies.python_of(runtime)
    if source.requirements is None or python is None:
        return package.write_zip(source.entries)
    wanted = dependencies.Wanted(python=python, architecture=architecture, is_aws=is_aws)
    with (
        _progress(is_verbose) as progress,
        dependencies.installed(source.requirements, wanted, progress.say) as folder,
    ):
        entries = package.merge(source.entries, package.collect(folder)) if folder else source.entries
        progress.measure("Zipping", sum(entry.size_bytes for entry in entries))
        return package.write_zip(entries, progress.advance)


class _Bar:
    """A bar on stderr: it pulses while pip works, then counts bytes. Without a terminal it is silent."""

    def __init__(self, bar: Any, is_verbose: bool) -> None:
        self._bar = bar
        self._is_verbose = is_verbose
        self._task = bar.add_task("Installing requirements", total=None)

    def say(self, line: str) -> None:
        if self._is_verbose:
            self._bar.console.print(line, style="dim")
        if line.startswith(
            ("Collecting ", "Installing collected ", "Building ", "  Downloading ", "  Building ")
        ):
            words = one_line(line)
            self._bar.update(self._task, description=words if len(words) <= 60 else f"{words[:59]}…")

    def measure(self, description: str, total_bytes: int) -> None:
        self._bar.update(self._task, description=description, total=total_bytes, completed=0)

    def advance(self, size_bytes: int) -> None:
        self._bar.advance(self._task, size_bytes)


@contextlib.contextmanager
def _progress(is_verbose: bool) -> Generator[_Bar]:
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    console = notices()
    columns = (TextColumn("{task.description}", markup=False), BarColumn(bar_width=24), TimeElapsedColumn())
    # `disable` keeps the lines of --verbose and draws nothing where nobody would see it move.
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        yield _Bar(bar, is_verbose)


def summary(deployed: Deployed) -> str:
    """Return what a deploy did, in one or two lines for people."""
    function = deployed.configuration
    name = function["FunctionName"]
    operations = [request.operation for request in deployed.requests]
    verbs = {"update_function_code": "code", "update_function_configuration": "configuration"}
    if not operations:
        return f"{name} is up to date."
    done = "Created" if "create_function" in operations else "Updated"
    changed = "" if done == "Created" else f" ({' and '.join(verbs[operation] for operation in operations)})"
    facts = (
        str(function.get("Runtime")),
        str(function.get("Handler")),
        f"{function['MemorySize']} MB",
        f"{function['Timeout']} s",
        f"code {size_text(function['CodeSize'])}",
    )
    return f"{done} {name}{changed}: {', '.join(facts)}.\nInvoke it with: lambent invoke {name} -d '{{}}'"
