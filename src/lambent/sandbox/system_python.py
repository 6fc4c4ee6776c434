"""The Python that every sandbox sees, because it lies in the system's ``/usr``.

It runs our own code where a sandbox is prepared for a command in another language: see `lambent.sandbox.zygote`.
"""

from __future__ import annotations

import re
from pathlib import Path

_PROGRAM = Path("/usr/bin/python3")
_NAME = re.compile(r"python3\.(\d+)")
_MINIMUM_MINOR = 10
"""The oldest that this package's code runs on."""


def system_python() -> tuple[str, ...]:
    """Return program and options of an interpreter without anything of the user's; empty if there is none."""
    try:
        found = _NAME.fullmatch(_PROGRAM.resolve(strict=True).name)
    except OSError:
        return ()
    if found is None or int(found[1]) < _MINIMUM_MINOR:
        return ()
    return (str(_PROGRAM), "-I", "-S")
