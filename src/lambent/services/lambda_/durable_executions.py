"""Durable executions: what can be said of them while functions are not run durably yet.

There are none, so lists are empty; every durable execution and callback that a caller names does not exist, and no
checkpoint token is valid.
"""

from __future__ import annotations

from lambent.domain.call import Call
from lambent.errors import InvalidParameterValueException, ResourceNotFoundException
from lambent.services import Members
from lambent.services.lambda_.names import not_found, resolve
from lambent.services.lambda_.records import Records
from lambent.services.lambda_.versions import version_named


class DurableExecutionOperations:
    """The operations on durable executions."""

    def __init__(self, *, records: Records) -> None:
        self._records = records

    async def list_durable_executions_by_function(self, call: Call, parameters: Members) -> Members:
        """Return a function's durable executions (API page ListDurableExecutionsByFunction).

        Raises:
            ResourceNotFoundException: no such function or version.
        """
        target = resolve(
            call,
            parameters["FunctionName"],
            parameters.get("Qualifier"),
            operation="ListDurableExecutionsByFunction",
        )
        function = await self._records.get(target.key)
        if function is None:
            raise not_found(target.arn)
        version_named(function, target)
        return {"DurableExecutions": []}

    async def get_durable_execution(self, call: Call, parameters: Members) -> Members:
        """Answer that the durable execution does not exist (API page GetDurableExecution).

        Raises:
            ResourceNotFoundException: always.
        """
        raise _no_execution(parameters)

    async def get_durable_execution_history(self, call: Call, parameters: Members) -> Members:
        """Answer that the durable execution does not exist (API page GetDurableExecutionHistory).

        Raises:
            ResourceNotFoundException: always.
        """
        raise _no_execution(parameters)

    async def stop_durable_execution(self, call: Call, parameters: Members) -> Members:
        """Answer that the durable execution does not exist (API page StopDurableExecution).

        Raises:
            ResourceNotFoundException: always.
        """
        raise _no_execution(parameters)

    async def pause_durable_execution(self, call: Call, parameters: Members) -> Members:
        """Answer that the durable execution does not exist (API page PauseDurableExecution).

        Raises:
            ResourceNotFoundException: always.
        """
        raise _no_execution(parameters)

    async def resume_durable_execution(self, call: Call, parameters: Members) -> Members:
        """Answer that the durable execution does not exist (API page ResumeDurableExecution).

        Raises:
            ResourceNotFoundException: always.
        """
        raise _no_execution(parameters)

    async def delete_durable_execution(self, call: Call, parameters: Members) -> Members:
        """Answer that the durable execution does not exist (API page DeleteDurableExecution).

        Raises:
            ResourceNotFoundException: always.
        """
        raise _no_execution(parameters)

    async def checkpoint_durable_execution(self, call: Call, parameters: Members) -> Members:
        """Answer that the checkpoint token is not valid (API page CheckpointDurableExecution).

        Raises:
            InvalidParameterValueException: always.
        """
        raise InvalidParameterValueException("Invalid Checkpoint Token")

    async def get_durable_execution_state(self, call: Call, parameters: Members) -> Members:
        """Answer that the checkpoint token is not valid (API page GetDurableExecutionState).

        Raises:
            InvalidParameterValueException: always.
        """
        raise InvalidParameterValueException("Invalid Checkpoint Token")

    async def send_durable_execution_callback_success(self, call: Call, parameters: Members) -> Members:
        """Answer that the callback does not exist (API page SendDurableExecutionCallbackSuccess).

        Raises:
            ResourceNotFoundException: always.
        """
        raise _no_callback(parameters)

    async def send_durable_execution_callback_failure(self, call: Call, parameters: Members) -> Members:
        """Answer that the callback does not exist (API page SendDurableExecutionCallbackFailure).

        Raises:
            ResourceNotFoundException: always.
        """
        raise _no_callback(parameters)

    async def send_durable_execution_callback_heartbeat(self, call: Call, parameters: Members) -> Members:
        """Answer that the callback does not exist (API page SendDurableExecutionCallbackHeartbeat).

        Raises:
            ResourceNotFoundException: always.
        """
        raise _no_callback(parameters)


def _no_execution(parameters: Members) -> ResourceNotFoundException:
    return ResourceNotFoundException(f"Durable execution not found: {parameters['DurableExecutionArn']}")


def _no_callback(parameters: Members) -> ResourceNotFoundException:
    return ResourceNotFoundException(f"Callback not found: {parameters['CallbackId']}")
