"""Making versions ready to run, in the background, after the caller has had its answer.

Owns the background tasks. What readiness takes (unpacking ahead, finding the interpreter) is a callable that
is passed in; how a version's state moves is decided in `states`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from functools import partial

from lambent.domain.function import ActivationError, Function, FunctionKey, FunctionVersion
from lambent.services.lambda_.records import Records
from lambent.services.lambda_.states import pending_versions, with_activated

Prepare = Callable[[FunctionVersion], Awaitable[None]]
"""Make a version ready to run here; raises `ActivationError` when that cannot be."""
Retire = Callable[[FunctionKey], None]
"""Let go of the function's execution environments that run what is not current any more."""

_AT_ONCE_MAX = 8
_log = logging.getLogger(__name__)


class Activations:
    """Activates versions and lets go of what they replace."""

    def __init__(self, records: Records, prepare: Prepare, retire: Retire) -> None:
        self._records = records
        self._prepare = prepare
        self._retire = retire
        self._at_once = asyncio.Semaphore(_AT_ONCE_MAX)
        self._tasks: set[asyncio.Task[None]] = set()

    def begin(self, function: Function) -> None:
        """Start to activate every version of a stored function that is pending."""
        for version in pending_versions(function):
            task = asyncio.create_task(self._activate(version))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def resume(self, functions: Iterable[Function]) -> None:
        """Complete at start what a server that ended left pending."""
        for function in functions:
            self.begin(function)

    def retire(self, key: FunctionKey) -> None:
        """Let go of the environments of a function or version that was deleted."""
        self._retire(key)

    async def settled(self) -> None:
        """Return when no activation is under way."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def close(self) -> None:
        """Stop; what is pending stays so and is completed after the next start."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _activate(self, version: FunctionVersion) -> None:
        async with self._at_once:
            error = await self._prepared(version)
        changed = await self._records.change(
            version.key, partial(with_activated, activated=version, error=error)
        )
        if changed is not None and changed[0] is not changed[1] and error is None:
            self._retire(version.key)

    async def _prepared(self, version: FunctionVersion) -> ActivationError | None:
        try:
            await self._prepare(version)
        except ActivationError as error:
            return error
        except Exception:
            _log.exception("%s could not be made ready to run", version.arn)
            return ActivationError("An internal error occurred while the function was being activated.")
        return None
