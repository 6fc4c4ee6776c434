"""Function scaling config: how many environments of a version a capacity provider keeps.

It belongs to Lambda Managed Instances. Functions here are never on a capacity provider, so what can be asked
is answered as AWS answers it for ordinary functions.
"""

from __future__ import annotations

from lambent.domain.call import Call
from lambent.errors import InvalidParameterValueException
from lambent.services import Members
from lambent.services.lambda_.names import not_found, resolve
from lambent.services.lambda_.records import Records
from lambent.services.lambda_.states import current_version


class ScalingOperations:
    """The operations on the scaling config of a version."""

    def __init__(self, *, records: Records) -> None:
        self._records = records

    async def put_function_scaling_config(self, call: Call, parameters: Members) -> Members:
        """Refuse to scale an ordinary function (API page PutFunctionScalingConfig).

        Raises:
            ResourceNotFoundException: no such function or version.
            InvalidParameterValueException: the function is not on a capacity provider.
        """
        raise await self._refusal(call, parameters, "PutFunctionScalingConfig")

    async def get_function_scaling_config(self, call: Call, parameters: Members) -> Members:
        """Refuse to look for what an ordinary function does not have (API page GetFunctionScalingConfig).

        Raises:
            ResourceNotFoundException: no such function or version.
            InvalidParameterValueException: the function is not on a capacity provider.
        """
        raise await self._refusal(call, parameters, "GetFunctionScalingConfig")

    async def _refusal(
        self, call: Call, parameters: Members, operation: str
    ) -> InvalidParameterValueException:
        target = resolve(call, parameters["FunctionName"], parameters["Qualifier"], operation=operation)
        function = await self._records.get(target.key)
        if function is None or current_version(function, parameters["Qualifier"]) is None:
            raise not_found(target.arn)
        return InvalidParameterValueException(
            "Function scaling configuration is only supported for functions with a capacity provider."
        )
