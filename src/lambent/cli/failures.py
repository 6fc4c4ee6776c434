"""Every failure of a command as one sentence for the user."""

from __future__ import annotations

from lambent.cli.terminal import CommandError, UsageError, one_line
from lambent.settings import SettingsError


def translate(error: Exception) -> CommandError:
    """Return any failure as a sentence for the user."""
    if isinstance(error, CommandError):
        return error
    if isinstance(error, SettingsError):
        return UsageError(str(error))
    if isinstance(error, OSError) and error.strerror:
        return CommandError(
            f"{error.filename}: {error.strerror}." if error.filename else f"{error.strerror}."
        )
    from lambent.cli import client

    if failure := client.translate(error):
        return failure
    return CommandError(
        f"This is a bug of Lambent's command line ({type(error).__name__}: {one_line(error)}): "
        "run it again with `lambent --verbose …` and report what it prints."
    )
