"""Promises of the scaling config, which ordinary functions do not have."""

from __future__ import annotations

import pytest

from lambent.errors import AccessDeniedException, ResourceNotFoundException
from unit.services.lambda_.world import ARN, NAME, World, story


@pytest.mark.parametrize("operation", ["get_function_scaling_config", "put_function_scaling_config"])
@story
async def test_an_ordinary_function_does_not_scale_on_a_capacity_provider(
    world: World, operation: str
) -> None:
    await world.create_active(Publish=True)
    with pytest.raises(AccessDeniedException) as denied:
        await world.ask(operation, FunctionName=NAME, Qualifier="1")
    assert denied.value.message == (
        "The function provided by the arn does not contain a capacity provider configuration"
    )
    for missing in ("2", "$LATEST.PUBLISHED"):
        with pytest.raises(ResourceNotFoundException) as caught:
            await world.ask(operation, FunctionName=NAME, Qualifier=missing)
        assert caught.value.message == f"Function not found: {ARN}:{missing}"
