"""Stored functions, changed one step at a time.

Every mutation of a function goes through here: it is decided on what is stored now and written in one piece,
so that of several concurrent calls each sees the result of the one before. The families decide; this file
knows locks, revisions and which packages a change frees.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

from lambent.domain.function import Function, FunctionKey, FunctionVersion
from lambent.errors import ResourceConflictException
from lambent.services.lambda_.code_storage import CodeStorage
from lambent.services.lambda_.usage import AccountUsage
from lambent.store import RevisionConflict
from lambent.store.function_urls import url_changes
from lambent.store.functions import Functions

_LOCKS = 64
_ATTEMPTS_MAX = 8
_PAGE = 200


class Records:
    """Reads and changes stored functions."""

    def __init__(self, functions: Functions, code_storage: CodeStorage, usage: AccountUsage) -> None:
        self._functions = functions
        self._code_storage = code_storage
        self._usage = usage
        # Calls of this process queue here; revisions guard against other processes.
        self._locks = [asyncio.Lock() for _ in range(_LOCKS)]

    def get(self, key: FunctionKey) -> Coroutine[Any, Any, Function | None]:
        """Return the function to come, or None."""
        return self._functions.get(key)

    async def create(self, function: Function) -> None:
        """Keep a new function.

        Raises:
            ResourceConflictException: there is one of that name.
        """
        async with self._lock(function.key):
            try:
                await self._functions.put(function, expect_revision=0)
            except RevisionConflict as error:
                raise already_exists(function.key) from error
            self._settle(None, function)

    async def change(
        self, key: FunctionKey, decide: Callable[[Function], Function]
    ) -> tuple[Function, Function] | None:
        """Replace a function by what `decide` makes of it, and return it before and after.

        Args:
            key: the function.
            decide: pure; may raise a ServiceError, and may be asked again when somebody else was faster.
                Returning the function itself means that nothing is to be changed.

        Returns:
            None when there is no such function.

        Raises:
            ResourceConflictException: others changed it again and again meanwhile.
        """
        async with self._lock(key):
            for _ in range(_ATTEMPTS_MAX):
                found = await self._functions.get_with_revision(key)
                if found is None:
                    return None
                revision, before = found
                after = decide(before)
                if after is before:
                    return before, before
                try:
                    await self._functions.put(
                        after, expect_revision=revision, also=url_changes(before, after)
                    )
                except RevisionConflict:
                    continue
                self._settle(before, after)
                return before, after
        raise ResourceConflictException(
            f"The operation cannot be performed at this time. An update is in progress for resource: {key.arn}"
        )

    async def delete(self, key: FunctionKey) -> Function | None:
        """Forget a function with all its versions and return what it was, or None."""
        async with self._lock(key):
            function = await self._functions.get(key)
            if function is not None:
                await self._functions.delete(key, also=url_changes(function, None))
                self._settle(function, None)
            return function

    async def latest_of(
        self, account: str, region: str, *, after: str = "", limit: int
    ) -> list[FunctionVersion]:
        """Return the ``$LATEST`` of functions in the order of their names, after the given name."""
        return await self._functions.list_latest(account, region, after=after, limit=limit)

    async def functions_of(
        self, account: str, region: str, *, after: str = "", page_size: int = _PAGE
    ) -> AsyncIterator[Function]:
        """Yield the functions of an account and region in the order of their names, after the given name.

        Args:
            account: whose.
            region: where.
            after: the name after which to begin.
            page_size: how many are read at once.
        """
        while page := await self._functions.list(account, region, after=after, limit=page_size):
            for function in page:
                yield function
            after = page[-1].key.name

    async def all(self) -> list[Function]:
        """Return every function of every account; for start-up work."""
        return await self._functions.all()

    def _settle(self, before: Function | None, after: Function | None) -> None:
        self._code_storage.settle(before, after)
        self._usage.settle(before, after)

    def _lock(self, key: FunctionKey) -> asyncio.Lock:
        return self._locks[hash(key) % _LOCKS]


def already_exists(key: FunctionKey) -> ResourceConflictException:
    """Return the error for creating a function whose name is taken."""
    return ResourceConflictException(f"Function already exist: {key.name}")
