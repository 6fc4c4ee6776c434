"""Recursion config: what to do when a function keeps invoking itself.

What is chosen here is acted upon where chains of invocations are followed.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from lambent.domain.call import Call
from lambent.services import Members
from lambent.services.lambda_.names import not_found, resolve
from lambent.services.lambda_.records import Records


class RecursionOperations:
    """The operations on the recursion config of a function."""

    def __init__(self, *, records: Records) -> None:
        self._records = records

    async def put_function_recursion_config(self, call: Call, parameters: Members) -> Members:
        """Allow recursive loops or have them terminated (API page PutFunctionRecursionConfig).

        Raises:
            ResourceNotFoundException: no such function.
        """
        key = resolve(call, parameters["FunctionName"], operation="PutFunctionRecursionConfig").key
        choice: str = parameters["RecursiveLoop"]
        if await self._records.change(key, partial(replace, recursive_loop=choice)) is None:
            raise not_found(key.arn)
        return {"RecursiveLoop": choice}

    async def get_function_recursion_config(self, call: Call, parameters: Members) -> Members:
        """Return what is done about recursive loops (API page GetFunctionRecursionConfig).

        Raises:
            ResourceNotFoundException: no such function.
        """
        key = resolve(call, parameters["FunctionName"], operation="GetFunctionRecursionConfig").key
        function = await self._records.get(key)
        if function is None:
            raise not_found(key.arn)
        return {"RecursiveLoop": function.recursive_loop}
