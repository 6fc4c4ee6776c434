"""`lambent deploy`: a folder becomes a function, a project becomes all of its functions."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from lambent.cli import role
from lambent.cli.client import AwsOption, Connection, EndpointOption, RegionOption, connect
from lambent.cli.deploy_project import Deployer, Published, chosen, place_of
from lambent.cli.deployment import Deployed, deploy_path
from lambent.cli.handler import SOURCE_SUFFIXES
from lambent.cli.plan import Choices
from lambent.cli.project import NOWHERE, Project, ProjectFunction, project_file, read_project
from lambent.cli.terminal import UsageError, notice, size_text


def deploy(
    context: typer.Context,
    path: Annotated[
        Path,
        typer.Argument(
            metavar="PATH|NAME",
            help="A folder, a .py, .js or .zip file or a project; or a function of the project here.",
        ),
    ] = Path(),
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

    A requirements.txt is installed into the zip. What is not said stays as it is, or is AWS's default. A folder with a
    lambent.toml that has [functions.NAME], or with a SAM template, is a project: all its functions are deployed.
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
    connection = connect(context, endpoint, region, aws)
    path, names = path_and_names(path)
    if project_file(path) is None:
        tell(deploy_path(connection, path, choices))
        return
    project = read_project(path, partial(place_of, connection))
    deploy_functions(connection, project, chosen(project, names), choices)


def path_and_names(path: Path) -> tuple[Path, tuple[str, ...]]:
    """Return the path that is meant and the names of those of its functions that are; no names: all.

    A plain name is first that of a function of the project here, then that of a folder or file.
    """
    here = Path()
    files = {*SOURCE_SUFFIXES, ".zip", ".toml", ".yaml", ".yml", ".json"}
    is_plain = len(path.parts) == 1 and path.suffix not in files
    if is_plain and project_file(here) is not None:
        # The names alone are asked for: where the project will live does not matter yet.
        project = read_project(here, lambda: NOWHERE)
        if project.named(path.name) is not None or not path.exists():
            return here, (path.name,)
    return path, ()


def deploy_functions(
    connection: Connection, project: Project, functions: tuple[ProjectFunction, ...], choices: Choices
) -> None:
    """Deploy these functions of a project, and what they share, and say what was done.

    Raises:
        UsageError: something is said of one function and there are several.
    """
    if len(functions) > 1 and choices != Choices(is_verbose=choices.is_verbose):
        raise UsageError("Options for one function need its name: lambent deploy NAME.")
    for remark in project.remarks:
        notice(remark, style="yellow")
    deployer = Deployer(connection, project, is_verbose=choices.is_verbose)
    for name, published in deployer.deploy_shared(functions):
        notice(layer_summary(name, published))
    for function in functions:
        tell(deployer.deploy(function, choices))


def tell(deployed: Deployed) -> None:
    """Say what a deploy did: to people on stderr, the ARN on stdout."""
    notice(summary(deployed))
    typer.echo(deployed.configuration["FunctionArn"])


def layer_summary(name: str, published: Published) -> str:
    """Return what became of a layer, in one line for people."""
    version = published.arn.rpartition(":")[2]
    if not published.is_new:
        return f"Layer {name} is up to date (version {version})."
    return f"Published layer {name} as version {version}: {size_text(published.size_bytes)}."


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
