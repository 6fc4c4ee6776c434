"""Making versions ready to run, in the background, after the caller has had its answer.

What readiness takes (unpacking ahead, finding the interpreter) is a callable that
is passed in; how a version's state moves is decided in `states`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from typing import TypeVar

from lambent.domain.function import ActivationError, Function, FunctionKey, FunctionVersion
from lambent.own_log import is_disk_full
from lambent.services.lambda_.background import Background, insisted
from lambent.services.lambda_.images import IMAGE
from lambent.services.lambda_.records import Records
from lambent.services.lambda_.states import pending_versions, with_activated

Prepare = Callable[[FunctionVersion], Awaitable[bool]]
"""Make a version ready to run here, and return whether there is a snapshot of it; raises `ActivationError` when that
cannot be."""
Retire = Callable[[FunctionKey], None]
"""Let go of the function's execution environments that run what is not current any more."""
Forget = Callable[[FunctionKey, str | None], None]
"""Let go of the snapshots of a function, or of one version of it."""

_AT_ONCE_MAX = 8
_Result = TypeVar("_Result")
_log = logging.getLogger(__name__)


class Activations:
    """Activates versions and lets go of what they replace."""

    def __init__(self, records: Records, prepare: Prepare, retire: Retire, forget: Forget) -> None:
        self._records = records
        self._prepare = prepare
        self._retire = retire
        self._forget = forget
        self._at_once = asyncio.Semaphore(_AT_ONCE_MAX)
        self._background = Background()

    def begin(self, function: Function) -> None:
        """Start to activate every version of a stored function that is pending."""
        for version in pending_versions(function):
            self._background.begin(self._activate(version))

    def resume(self, functions: Iterable[Function]) -> None:
        """Complete at start what a server that ended left pending."""
        versions = [version for function in functions for version in function.versions.values()]
        for function in functions:
            self.begin(function)
        self._background.begin(self._renew([version for version in versions if version.has_snapshot]))

    def retire(self, key: FunctionKey, version: str | None = None) -> None:
        """Let go of what is left of a function that was deleted, or of one version of it."""
        self._retire(key)
        self._forget(key, version)

    async def settled(self) -> None:
        """Return when no activation is under way."""
        await self._background.settled()

    async def close(self) -> None:
        """Stop; what is pending stays so and is completed after the next start."""
        await self._background.close()

    async def _renew(self, versions: Iterable[FunctionVersion]) -> None:
        """Take the snapshots anew that ended with a server before this one, one after the other."""
        for version in versions:
            error = await self._insisted(version, partial(self._prepared, version))
            if isinstance(error, ActivationError):
                _log.warning("The snapshot of %s could not be taken anew: %s", version.arn, error.reason)

    async def _activate(self, version: FunctionVersion) -> None:
        async with self._at_once:
            prepared = await self._insisted(version, partial(self._prepared, version))
        error = prepared if isinstance(prepared, ActivationError) else None
        activated = partial(with_activated, activated=version, error=error, is_optimized=prepared is True)
        changed = await self._insisted(version, partial(self._records.change, version.key, activated))
        if changed is not None and changed[0] is not changed[1] and error is None:
            self._retire(version.key)

    async def _insisted(self, version: FunctionVersion, attempt: Callable[[], Awaitable[_Result]]) -> _Result:
        return await insisted(attempt, _log, f"The activation of {version.arn}")

    async def _prepared(self, version: FunctionVersion) -> ActivationError | bool:
        if version.package_type == IMAGE:
            return False  # Kept and shown; an invocation is told that images are not run yet.
        try:
            return await self._prepare(version)
        except ActivationError as error:
            return error
        except Exception as error:
            if is_disk_full(error):
                raise
            _log.exception("%s could not be made ready to run", version.arn)
            return ActivationError("An internal error occurred while the function was being activated.")
