"""Tags, with the errors that AWS was seen to answer."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from lambent.errors import InvalidParameterValueException, ResourceNotFoundException, ServiceError
from unit.services.lambda_.world import ARN, NAME, World, story

OPERATIONS: list[tuple[str, dict[str, Any]]] = [
    ("tag_resource", {"Tags": {"a": "b"}}),
    ("untag_resource", {"TagKeys": ["a"]}),
    ("list_tags", {}),
]


async def refused(
    world: World, error: type[ServiceError], operation: str, resource: str = ARN, **parameters: Any
) -> str:
    with pytest.raises(error) as caught:
        await world.ask(operation, Resource=resource, **parameters)
    return caught.value.message


async def tags(world: World) -> dict[str, str]:
    return (await world.ask("list_tags", Resource=ARN))["Tags"]


@story
async def test_the_life_of_tags_is_as_recorded(world: World) -> None:
    await world.create_active(Tags={"key_a": "value_a"})
    assert await tags(world) == {"key_a": "value_a"}
    added = {f"key_{letter}": f"value_{letter}" for letter in "bcde"}
    assert await world.ask("tag_resource", Resource=ARN, Tags=added) == {}
    assert await tags(world) == {"key_a": "value_a", **added}
    await world.ask("tag_resource", Resource=ARN, Tags={"key_c": "value_x"})
    assert (await tags(world))["key_c"] == "value_x"
    await world.ask("untag_resource", Resource=ARN, TagKeys=["key_c", "key_d", "never"])
    assert sorted(await tags(world)) == ["key_a", "key_b", "key_e"]
    assert (await world.ask("get_function", FunctionName=NAME))["Tags"] == await tags(world)
    await world.ask("untag_resource", Resource=ARN, TagKeys=list(await tags(world)))
    assert await tags(world) == {}
    assert "Tags" not in await world.ask("get_function", FunctionName=NAME)


@pytest.mark.parametrize(("operation", "parameters"), OPERATIONS)
@pytest.mark.parametrize(
    ("resource", "text"),
    [
        ("function:gone", "Function not found: {}"),
        ("event-source-mapping:0b0a0908-0706-0504-0302-0100aabbccdd", "Event source mapping not found: {}"),
        ("capacity-provider:big", "Capacity provider not found: {}"),
    ],
)
@story
async def test_what_does_not_exist_has_no_tags(
    world: World, operation: str, parameters: dict[str, Any], resource: str, text: str
) -> None:
    arn = f"arn:aws:lambda:us-east-1:111111111111:{resource}"
    message = await refused(world, ResourceNotFoundException, operation, arn, **parameters)
    assert message == text.format(arn)


@pytest.mark.parametrize(("operation", "parameters"), OPERATIONS)
@pytest.mark.parametrize("qualifier", ["$LATEST", "1", "alias"])
@story
async def test_versions_and_aliases_have_no_tags(
    world: World, operation: str, parameters: dict[str, Any], qualifier: str
) -> None:
    await world.create_active()
    message = await refused(
        world, InvalidParameterValueException, operation, f"{ARN}:{qualifier}", **parameters
    )
    assert (
        message == "Tags on function aliases and versions are not supported. Please specify a function ARN."
    )


@story
async def test_no_tags_are_an_error_with_awss_text(world: World) -> None:
    await world.create_active()
    message = await refused(world, InvalidParameterValueException, "tag_resource", Tags={})
    assert message == "An error occurred and the request cannot be processed."


@story
async def test_the_fifty_first_tag_is_refused_and_nothing_is_added(world: World) -> None:
    await world.create_active()
    too_many = "Number of tags exceeds resource tag limit."
    all_at_once = {f"{n}_key": f"{n}_value" for n in range(51)}
    assert await refused(world, InvalidParameterValueException, "tag_resource", Tags=all_at_once) == too_many
    assert await tags(world) == {}
    fifty = dict(list(all_at_once.items())[:50])
    await world.ask("tag_resource", Resource=ARN, Tags=fifty)
    message = await refused(world, InvalidParameterValueException, "tag_resource", Tags={"another": "one"})
    assert message == too_many
    assert await tags(world) == fifty


@story
async def test_tags_set_at_once_by_many_are_all_kept(world: World) -> None:
    await world.create_active()
    await asyncio.gather(
        *(world.ask("tag_resource", Resource=ARN, Tags={f"key_{n}": "x"}) for n in range(40))
    )
    assert len(await tags(world)) == 40
