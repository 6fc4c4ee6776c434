"""Reserved concurrency: what a function keeps of its account's, and must not exceed.

Provisioned concurrency is in `provisioned`; limits are enforced where invocations are counted.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from lambent.domain.call import Call
from lambent.domain.function import Function
from lambent.errors import InvalidParameterValueException
from lambent.services import Members
from lambent.services.lambda_.concurrency_rules import check_reserved
from lambent.services.lambda_.names import Target, not_found, resolve
from lambent.services.lambda_.records import Records
from lambent.services.lambda_.usage import AccountUsage


class ConcurrencyOperations:
    """The operations on reserved concurrency."""

    def __init__(self, *, records: Records, usage: AccountUsage) -> None:
        self._records = records
        self._usage = usage

    async def put_function_concurrency(self, call: Call, parameters: Members) -> Members:
        """Reserve concurrency for a function; 0 throttles it (API page PutFunctionConcurrency).

        Raises:
            ResourceNotFoundException: no such function.
            InvalidParameterValueException: a version or alias is named, or too little would be left to others.
        """
        target = _function_target(call, parameters, "PutFunctionConcurrency")
        reserved: int = parameters["ReservedConcurrentExecutions"]
        async with self._usage.lock(target.key.account, target.key.region):
            change = partial(_reserved, reserved=reserved, usage=self._usage)
            changed = await self._records.change(target.key, change)
        if changed is None:
            raise not_found(target.key.arn)
        return {"ReservedConcurrentExecutions": reserved}

    async def get_function_concurrency(self, call: Call, parameters: Members) -> Members:
        """Return a function's reserved concurrency, if it has one (API page GetFunctionConcurrency).

        Raises:
            ResourceNotFoundException: no such function.
        """
        target = resolve(call, parameters["FunctionName"], operation="GetFunctionConcurrency")
        function = await self._records.get(target.key)
        if function is None:
            raise not_found(target.key.arn)
        if function.reserved_concurrency is None:
            return {}
        return {"ReservedConcurrentExecutions": function.reserved_concurrency}

    async def delete_function_concurrency(self, call: Call, parameters: Members) -> Members:
        """Take a function's reservation away (API page DeleteFunctionConcurrency).

        Raises:
            ResourceNotFoundException: no such function.
            InvalidParameterValueException: a version or alias is named.
        """
        target = _function_target(call, parameters, "DeleteFunctionConcurrency")
        if await self._records.change(target.key, partial(replace, reserved_concurrency=None)) is None:
            raise not_found(target.key.arn)
        return {}


def _function_target(call: Call, parameters: Members, operation: str) -> Target:
    target = resolve(call, parameters["FunctionName"], operation=operation)
    if target.qualifier is not None:
        raise InvalidParameterValueException(
            "This operation is permitted on Lambda functions only. Aliases and versions do not support this "
            "operation. Please specify either a function name or an unqualified function ARN."
        )
    return target


def _reserved(function: Function, *, reserved: int, usage: AccountUsage) -> Function:
    check_reserved(function, reserved, unreserved=usage.unreserved(function.key.account, function.key.region))
    return replace(function, reserved_concurrency=reserved)
