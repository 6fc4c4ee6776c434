"""LANGUAGES: from a runtime identifier to what an execution environment has to start.

`Runtimes` is the catalogue that the node asks. It knows identifiers, interpreters and search paths; it knows
nothing of walls (`sandbox`) or of functions beyond the words in `Launch`. Here are Python, Node.js and custom
runtimes; images come as a further file behind the same `Launch`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol


class RuntimeUnavailable(Exception):
    """This machine cannot run the runtime; the message says why, in one sentence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Preparation:
    """What an interpreter may do before it knows the function, so that environments can be forked from it."""

    interpreter: tuple[str, ...]
    """How the command begins: program and options."""
    modules: tuple[str, ...]
    """What the command imports before it looks at the function."""
    likely_modules: tuple[str, ...]
    """What functions often import."""
    scripts: tuple[str, ...]
    """What the command runs."""
    places: tuple[str, ...]
    """Directories that have to exist before the function's code does."""
    passing: tuple[str, ...]
    """Further ones, only while the interpreter starts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnOptions:
    """A variable with which users give a program options, and what of the runtime's these replace."""

    variable: str
    memory: tuple[str, ...]
    """Texts in the variable that say that memory is the user's affair."""
    revoked: Mapping[str, str]
    """A default option, and the text in the variable that takes it back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """How a command can be started before its function is known, and what it cannot be told later.

    Its variables are then the runtime's, and ``_LAMBENT_WAITS_FD``, the number of the socket from which it reads its
    order (`lambent.sandbox.SeedlingSpec`).
    """

    fixed_variables: tuple[str, ...]
    """Beginnings of the names of variables that are read at its start alone."""
    changing_variables: tuple[str, ...]
    """Names that begin like that and are read later."""
    passing: tuple[str, ...]
    """Directories that have to exist while it starts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """How to start a runtime inside an execution environment."""

    command: tuple[str, ...]
    """With the paths as they are inside the walls: program, options and script."""
    host_command: tuple[str, ...]
    """The same with the host's paths, for a sandbox without walls."""
    entrypoint: str | None = None
    """The function or one of its layers brings the program along, a file of this name; `command` is empty then."""
    memory_options: tuple[tuple[str, float], ...] = ()
    """Options with a number of megabytes, as a share of the memory size, that follow the program."""
    default_options: tuple[str, ...] = ()
    """Options that follow those."""
    own_options: OwnOptions | None = None
    """How users give options of their own; None: they cannot."""
    takes_wrapper: bool = True
    """Whether AWS_LAMBDA_EXEC_WRAPPER means anything to it."""
    mounts: tuple[tuple[str, str], ...] = ()
    """(host path, path inside), read-only."""
    hidden: tuple[str, ...] = ()
    """Directories inside that the function must find empty."""
    environment: Mapping[str, str] = field(default_factory=dict[str, str])
    """Variables that the runtime needs inside the walls, beneath what the user configures."""
    host_environment: Mapping[str, str] = field(default_factory=dict[str, str])
    """The same for a sandbox without walls."""
    speaks_over_socket: bool = True
    """The Runtime API travels over an inherited socket (our own runtimes), not over TCP."""
    preparation: Preparation | None = None
    """None: every environment needs an interpreter of its own."""
    waiting: Waiting | None = None
    """None: the command cannot be started before the function is known."""
    family: str
    """The language in AWS's words: ``python``, ``nodejs``, ``provided``."""
    version: str
    """The version that really runs, for instance ``3.12.1``."""
    is_exact: bool = True
    """False when the nearest version stands in for a missing one."""
    is_complete: bool = True
    """False while something that belongs to it is still on its way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DebuggerLaunch:
    """What a runtime client of ours needs, besides a port, to wait for a debugger before it loads the function."""

    mounts: tuple[tuple[str, str], ...] = ()
    """(host path, path inside), read-only."""
    environment: Mapping[str, str] = field(default_factory=dict[str, str])
    """Variables inside the walls."""
    host_environment: Mapping[str, str] = field(default_factory=dict[str, str])
    """The same for a sandbox without walls."""


class Language(Protocol):
    """A family of runtime identifiers."""

    def identifiers(self) -> Sequence[str]:
        """Return the identifiers that this machine runs exactly, for the start block."""
        ...

    def stand_ins(self) -> Mapping[str, str]:
        """Return what runs instead of identifiers that are missing: identifier → version, for the start block."""
        ...

    def fetched(self) -> Sequence[str]:
        """Return the identifiers whose interpreters are fetched when a function needs them, for the start block."""
        ...

    def serves(self, identifier: str) -> bool:
        """Whether an identifier belongs to this family."""
        ...

    async def launch(self, identifier: str) -> Launch:
        """Prepare the runtime, if that has not been done, and return how to start it.

        Raises:
            RuntimeUnavailable: there is nothing here to run it with.
        """
        ...

    async def settle(self, identifier: str, directories: Sequence[Path]) -> None:
        """Wait for what is still on its way to a runtime, if code in these directories needs it."""
        ...

    async def debugger(self, identifier: str) -> DebuggerLaunch:
        """Prepare the runtime's debugger, if that has not been done, and return how it is started.

        Raises:
            RuntimeUnavailable: there is none.
        """
        ...


class Runtimes:
    """All languages of this machine."""

    def __init__(self, languages: Sequence[Language]) -> None:
        self._languages = tuple(languages)
        self._launches: dict[str, Launch] = {}
        self._locks: dict[str, asyncio.Lock] = {}

    def identifiers(self) -> list[str]:
        """Return every identifier that runs exactly here."""
        return [identifier for language in self._languages for identifier in language.identifiers()]

    def stand_ins(self) -> dict[str, str]:
        """Return what runs instead of identifiers that are missing here."""
        return {
            name: version for language in self._languages for name, version in language.stand_ins().items()
        }

    def fetched(self) -> list[str]:
        """Return the identifiers whose interpreters are fetched when a function needs them."""
        return [identifier for language in self._languages for identifier in language.fetched()]

    async def launch(self, identifier: str) -> Launch:
        """Return how to start a runtime.

        Raises:
            RuntimeUnavailable: no language here serves it.
        """
        known = self._launches.get(identifier)
        if known is not None:
            return known
        # One that takes its time to be prepared does not hold up the others.
        async with self._locks.setdefault(identifier, asyncio.Lock()):
            if identifier in self._launches:
                # It was prepared while this call waited for its turn.
                return self._launches[identifier]
            launch = await self._language(identifier).launch(identifier)
            if launch.is_complete:
                self._launches[identifier] = launch
            return launch

    async def settle(self, identifier: str, directories: Sequence[Path]) -> None:
        """Wait until everything is there that a runtime gives to code in these directories."""
        await self._language(identifier).settle(identifier, directories)

    async def debugger(self, identifier: str) -> DebuggerLaunch:
        """Return how the debugger of a runtime is started.

        Raises:
            RuntimeUnavailable: there is none.
        """
        return await self._language(identifier).debugger(identifier)

    def _language(self, identifier: str) -> Language:
        for language in self._languages:
            if language.serves(identifier):
                return language
        raise RuntimeUnavailable(f"Lambent does not run {identifier} functions yet.")
