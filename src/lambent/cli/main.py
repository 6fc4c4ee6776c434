"""The `lambent` command: its commands, and the one place where failures become sentences and exit codes.

Exit codes: 0 done, 1 failed, 2 misused, 130 interrupted. A traceback is a bug report and appears only after
`--verbose`.
"""

from __future__ import annotations

import importlib
import sys
import traceback
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from lambent import __version__
from lambent.cli.client import AwsOption, EndpointOption, RegionOption, TargetFlags
from lambent.cli.failures import translate
from lambent.cli.terminal import notice, one_line

# Typer carries its own copy of click or uses the installed one, as its version wills. The parent of its
# public exception is right for both: it is the root of all errors that have a message to show.
_SHOWN = typer.BadParameter.__mro__[2]

_PLACES: Mapping[str, str] = {
    "up": "lambent.cli.up:up",
    "demo": "lambent.cli.demo:demo",
    "deploy": "lambent.cli.deploy:deploy",
    "dev": "lambent.cli.dev:dev",
    "invoke": "lambent.cli.invoke:invoke",
    "logs": "lambent.cli.logs:logs",
    "list": "lambent.cli.functions:list_functions",
    "url": "lambent.cli.functions:url",
    "delete": "lambent.cli.functions:delete",
    "advise": "lambent.cli.advise:advise",
    "ledger": "lambent.cli.ledger:ledger",
    "simulate": "lambent.cli.simulate:simulate",
    "tune": "lambent.cli.tune:tune",
    "version": "lambent.cli.main:version",
    "bill": "lambent.cli.bill:app",
    "budget": "lambent.cli.budget:app",
    "iam": "lambent.cli.iam:app",
    "pattern": "lambent.cli.pattern:app",
}


class _Commands(TyperGroup):
    """Imports a command when it is asked for: a server need not wait for what only a tuner is made of."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(_PLACES)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in _PLACES:
            return None
        module, _, attribute = _PLACES[cmd_name].partition(":")
        found = getattr(importlib.import_module(module), attribute)
        if isinstance(found, typer.Typer):
            command: Any = typer.main.get_group(found)
            command.name = cmd_name
            return command
        alone = typer.Typer(add_completion=False)
        alone.command(cmd_name)(found)
        return typer.main.get_command(alone)


app = typer.Typer(
    name="lambent",
    cls=_Commands,
    help="AWS Lambda on your own machine: the same API, zip files and SDKs, real isolation, no Docker.",
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(is_asked: bool) -> None:
    if is_asked:
        typer.echo(f"lambent {__version__}")
        raise typer.Exit


@app.callback()
def root(
    context: typer.Context,
    *,
    endpoint: EndpointOption = None,
    region: RegionOption = None,
    aws: AwsOption = False,
    verbose: Annotated[bool, typer.Option("--verbose", help="Show tracebacks.")] = False,
    version_: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    context.obj = TargetFlags(endpoint=endpoint, region=region, aws=aws)
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())
        raise typer.Exit(2)


def version() -> None:
    """Print the version."""
    typer.echo(f"lambent {__version__}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        command: Any = typer.main.get_command(app)
        # A reader that goes away (`| head`) is typer's business: it leaves with exit code 1 and no words.
        code = command.main(args=list(arguments), prog_name="lambent", standalone_mode=False)
        return code if isinstance(code, int) else 0
    except (KeyboardInterrupt, typer.Abort):
        notice("")
        return 130
    except Exception as error:
        if "--verbose" in arguments:
            traceback.print_exc()
        return _report(error)


def _report(error: Exception) -> int:
    if isinstance(error, _SHOWN):
        return _report_misuse(error)
    failure = translate(error)
    notice(f"lambent: {failure}", style="red")
    return failure.exit_code


def _report_misuse(error: Any) -> int:
    context = getattr(error, "ctx", None)
    command = context.command_path if context else "lambent"
    # Who named none of a group's commands has been shown its help, and there is no more to say.
    if sentence := one_line(error.format_message()).rstrip("."):
        notice(f"lambent: {sentence}. Try `{command} --help`.", style="red")
    return int(error.exit_code)
