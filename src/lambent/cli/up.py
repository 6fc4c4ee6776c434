"""`lambent up`: the server. The one command that is no client; it hands the settings to `lambent.app`.

Its flags are made from `lambent.settings`, so that every setting has one and none has to be written twice.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable
from dataclasses import Field, fields
from pathlib import Path
from typing import Annotated, Any

import typer

from lambent import settings
from lambent.cli.terminal import notice


def _run(config: Path | None = None, **flags: Any) -> None:
    """Start Lambent and serve until Ctrl-C or SIGTERM."""
    loaded = settings.load(flags=flags, toml=_existing(config))
    for sentence in settings.unknown_variables(os.environ):
        notice(f"lambent: {sentence}", style="yellow")
    # Only this command needs the server, and every other one should start without waiting for it.
    from lambent import app

    raise typer.Exit(app.serve(loaded))


def _existing(config: Path | None) -> Path | None:
    if config is not None and not config.is_file():
        raise settings.SettingsError(f"--config names {config}, which is not a file.")
    return config


def _with_flags(command: Callable[..., None]) -> Callable[..., None]:
    """Give the command one keyword parameter for each setting, which is what typer makes flags of."""
    parameters = [
        _parameter("config", _option("--config", "FILE", "Configuration file (default: lambent.toml)."))
    ]
    for group, group_class in settings.GROUPS.items():
        parameters += [_parameter(setting.name, _flag(group, setting)) for setting in fields(group_class)]

    def up(**flags: Any) -> None:
        command(**flags)

    up.__doc__ = command.__doc__
    up.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    vars(up)["__signature__"] = inspect.Signature(parameters)
    return up


def _parameter(name: str, annotation: Any) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)


def _flag(group: str, setting: Field[Any]) -> Any:
    name = setting.name.replace("_", "-")
    default = str(setting.default)
    text = f"{setting.metadata['doc']} (default: {default})" if default else str(setting.metadata["doc"])
    if isinstance(setting.default, bool):
        return Annotated[bool | None, _info(f"--{name}/--no-{name}", None, text, group)]
    # Values stay text: `settings.load` converts and checks those of all sources alike.
    choices = setting.metadata["choices"]
    is_number = isinstance(setting.default, int | float)
    metavar = "|".join(choices) or ("N" if is_number else "TEXT")
    return Annotated[str | None, _info(f"--{name}", metavar, text, group)]


def _option(flag: str, metavar: str, text: str) -> Any:
    return Annotated[Path | None, _info(flag, metavar, text, None)]


def _info(flag: str, metavar: str | None, text: str, group: str | None) -> Any:
    panel = f"Settings ({group})" if group else None
    return typer.Option(flag, metavar=metavar, help=text, show_default=False, rich_help_panel=panel)


up = _with_flags(_run)
