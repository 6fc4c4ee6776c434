"""The `lambent` command: its commands, and the one place where failures become sentences and exit codes.

Exit codes: 0 done, 1 failed, 2 misused, 130 interrupted. A traceback is a bug report and appears only after
`--verbose`.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from lambent import __version__
from lambent.cli import (
    bill,
    bill_diff,
    demo,
    deploy,
    dev,
    functions,
    iam,
    invoke,
    ledger,
    logs,
    pattern,
    simulate,
    tune,
    up,
)
from lambent.cli.client import AwsOption, EndpointOption, RegionOption, TargetFlags
from lambent.cli.failures import translate
from lambent.cli.terminal import notice, one_line

# Typer carries its own copy of click or uses the installed one, as its version wills. The parent of its
# public exception is right for both: it is the root of all errors that have a message to show.
_SHOWN = typer.BadParameter.__mro__[2]

app = typer.Typer(
    name="lambent",
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


app.command("up")(up.up)
app.command("demo")(demo.demo)
app.command("deploy")(deploy.deploy)
app.command("dev")(dev.dev)
app.command("invoke")(invoke.invoke)
app.command("logs")(logs.logs)
app.command("list")(functions.list_functions)
app.command("url")(functions.url)
app.command("delete")(functions.delete)
app.command("ledger")(ledger.ledger)
app.command("simulate")(simulate.simulate)
app.command("tune")(tune.tune)
app.command("version")(version)
bill_diff.register(bill.app)
app.add_typer(bill.app, name="bill")
app.add_typer(iam.app, name="iam")
app.add_typer(pattern.app, name="pattern")


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
    sentence = one_line(error.format_message()).rstrip(".")
    notice(f"lambent: {sentence}. Try `{command} --help`.", style="red")
    return int(error.exit_code)
