"""Promises of reserved concurrency: who sets it aside cannot take what others need, and invocations are told."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from lambent.errors import InvalidParameterValueException, ResourceNotFoundException, ServiceError
from unit.services.lambda_.world import ARN, NAME, World, story

BELOW_MINIMUM = (
    "Specified ReservedConcurrentExecutions for function decreases account's UnreservedConcurrentExecution below "
    "its minimum value of [100]."
)


async def reserve(world: World, count: int, name: str = NAME) -> dict[str, Any]:
    return await world.ask("put_function_concurrency", FunctionName=name, ReservedConcurrentExecutions=count)


async def unreserved(world: World) -> int:
    limits = (await world.ask("get_account_settings"))["AccountLimit"]
    assert limits["ConcurrentExecutions"] == 1000
    return limits["UnreservedConcurrentExecutions"]


@story
async def test_a_reservation_is_shown_until_it_is_deleted(world: World) -> None:
    await world.create_active()
    assert await world.ask("get_function_concurrency", FunctionName=NAME) == {}
    assert await reserve(world, 0) == {"ReservedConcurrentExecutions": 0}
    assert await world.ask("get_function_concurrency", FunctionName=NAME) == {
        "ReservedConcurrentExecutions": 0
    }
    shown = await world.ask("get_function", FunctionName=NAME)
    assert shown["Concurrency"] == {"ReservedConcurrentExecutions": 0}
    await world.ask("delete_function_concurrency", FunctionName=NAME)
    assert await world.ask("get_function_concurrency", FunctionName=NAME) == {}
    assert "Concurrency" not in await world.ask("get_function", FunctionName=NAME)


@story
async def test_a_hundred_always_stay_unreserved(world: World) -> None:
    await world.create_active()
    await world.create_active("other")
    await reserve(world, 500, "other")
    with pytest.raises(InvalidParameterValueException) as caught:
        await reserve(world, 401)
    assert caught.value.message == BELOW_MINIMUM
    assert caught.value.members == {"Type": None}
    await reserve(world, 400)
    assert await unreserved(world) == 100
    await reserve(world, 300)  # Giving some back is always possible.
    assert await unreserved(world) == 200


@story
async def test_two_functions_do_not_reserve_the_same_concurrency(world: World) -> None:
    names = [f"f{n}" for n in range(4)]
    for name in names:
        await world.create_active(name)
    answers = await asyncio.gather(*(reserve(world, 450, name) for name in names), return_exceptions=True)
    assert sum(isinstance(answer, dict) for answer in answers) == 2
    assert await unreserved(world) == 100


@story
async def test_what_a_function_had_set_aside_is_free_when_it_is_gone(world: World) -> None:
    await world.create_active()
    await reserve(world, 500)
    await world.ask("delete_function", FunctionName=NAME)
    assert await unreserved(world) == 1000


@story
async def test_reservations_outlive_the_server(world: World) -> None:
    await world.create_active()
    await reserve(world, 500)
    await world.restart()
    assert await unreserved(world) == 500


@pytest.mark.parametrize("operation", ["put_function_concurrency", "delete_function_concurrency"])
@pytest.mark.parametrize("qualifier", ["$LATEST", "1", "live"])
@story
async def test_versions_and_aliases_have_no_reservation(world: World, operation: str, qualifier: str) -> None:
    await world.create_active(Publish=True)
    with pytest.raises(InvalidParameterValueException) as caught:
        await world.ask(operation, FunctionName=f"{ARN}:{qualifier}", ReservedConcurrentExecutions=1)
    assert caught.value.message == (
        "This operation is permitted on Lambda functions only. Aliases and versions do not support this "
        "operation. Please specify either a function name or an unqualified function ARN."
    )


@pytest.mark.parametrize(
    "operation", ["put_function_concurrency", "get_function_concurrency", "delete_function_concurrency"]
)
@story
async def test_what_does_not_exist_has_no_reservation(world: World, operation: str) -> None:
    with pytest.raises(ResourceNotFoundException) as caught:
        await world.ask(operation, FunctionName=NAME, ReservedConcurrentExecutions=1)
    assert caught.value.message == f"Function not found: {ARN}"


@story
async def test_an_invocation_carries_the_limits_that_hold_for_it(world: World) -> None:
    await world.create_active(Publish=True)
    await world.create_active("other")
    await reserve(world, 300, "other")
    await world.ask(
        "put_provisioned_concurrency_config",
        FunctionName=NAME,
        Qualifier="1",
        ProvisionedConcurrentExecutions=50,
    )
    await world.ask("invoke", FunctionName=NAME, Qualifier="1")
    await world.ask("invoke", FunctionName=NAME)
    await world.ask("invoke", FunctionName="other")
    assert world.echo.reserved == [None, None, 300]
    assert world.echo.limits == [(50, 650), (0, 650), (0, 650)]


async def provision(world: World, count: int) -> str:
    """Ask for provisioned concurrency of version 1, and return what was refused."""
    try:
        await world.ask(
            "put_provisioned_concurrency_config",
            FunctionName=NAME,
            Qualifier="1",
            ProvisionedConcurrentExecutions=count,
        )
    except ServiceError as error:
        assert isinstance(error, InvalidParameterValueException)
        return error.message
    return ""


@story
async def test_provisioned_concurrency_fits_into_the_accounts(world: World) -> None:
    await world.create_active(Publish=True)
    await world.create_active("other")
    await reserve(world, 500, "other")
    assert await provision(world, 501) == (
        "Specified ConcurrentExecutions for function is greater than account's unreserved concurrency [500]."
    )
    assert await provision(world, 401) == (
        "Specified ConcurrentExecutions for function decreases account's UnreservedConcurrentExecution below its "
        "minimum value of [100]."
    )
    assert await provision(world, 400) == ""
    assert await provision(world, 400) == ""  # What it has already is not counted twice.
    assert await unreserved(world) == 100


@story
async def test_provisioned_concurrency_fits_into_the_functions_reservation(world: World) -> None:
    await world.create_active(Publish=True)
    await reserve(world, 10)
    assert await provision(world, 11) == (
        "Requested Provisioned Concurrency should not be greater than the reservedConcurrentExecution for function"
    )
    assert await provision(world, 2) == ""
    assert await unreserved(world) == 990
    with pytest.raises(InvalidParameterValueException) as caught:
        await reserve(world, 1)
    assert caught.value.message == (
        " ReservedConcurrentExecutions  1 should not be lower than function's total provisioned concurrency [2]."
    )
