"""Whether this machine can run code that was built for an architecture."""

from __future__ import annotations

import logging
import platform

_log = logging.getLogger(__name__)
_OF_MACHINES = {"aarch64": "arm64", "arm64": "arm64", "x86_64": "x86_64", "amd64": "x86_64"}


class ForeignArchitecture(Exception):
    """The code is for other machines than this one; the message says what helps."""


class Architectures:
    """The architectures of this machine: its own, and others if that was asked for."""

    def __init__(self, *, machine: str | None = None, runs_foreign: bool = False) -> None:
        """Find out.

        Args:
            machine: as the kernel names it; by default this one.
            runs_foreign: run functions of others natively: their code may well be portable.
        """
        name = machine or platform.machine()
        self._own = _OF_MACHINES.get(name.lower(), name)
        self._runs_foreign = runs_foreign
        self._said: set[str] = set()

    def check(self, architecture: str, function: str) -> None:
        """Refuse a function that cannot run here.

        Raises:
            ForeignArchitecture: it is for another architecture.
        """
        if architecture == self._own:
            return
        if not self._runs_foreign:
            raise ForeignArchitecture(
                f"This machine is {self._own} and cannot run {architecture} code. Create the function with "
                f"Architectures=[{self._own}], or start Lambent with run_foreign = true to run it natively."
            )
        if function not in self._said:
            self._said.add(function)
            _log.warning("%s is for %s and runs natively on %s.", function, architecture, self._own)
