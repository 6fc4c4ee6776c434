"""Promises of the recursion config: loops are terminated unless they are allowed."""

from __future__ import annotations

import pytest

from lambent.errors import ResourceNotFoundException
from unit.services.lambda_.world import ARN, NAME, World, story


@story
async def test_loops_are_terminated_until_they_are_allowed(world: World) -> None:
    await world.create_active()
    get = "get_function_recursion_config"
    assert await world.ask(get, FunctionName=NAME) == {"RecursiveLoop": "Terminate"}
    allowed = await world.ask("put_function_recursion_config", FunctionName=ARN, RecursiveLoop="Allow")
    assert allowed == {"RecursiveLoop": "Allow"}
    await world.restart()
    assert await world.ask(get, FunctionName=NAME) == {"RecursiveLoop": "Allow"}


@pytest.mark.parametrize("operation", ["get_function_recursion_config", "put_function_recursion_config"])
@story
async def test_what_does_not_exist_does_not_recur(world: World, operation: str) -> None:
    with pytest.raises(ResourceNotFoundException) as caught:
        await world.ask(operation, FunctionName=NAME, RecursiveLoop="Allow")
    assert caught.value.message == f"Function not found: {ARN}"
