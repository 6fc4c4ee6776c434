"""Function URLs: configurations, and how a request finds its function."""

from __future__ import annotations

import re
from typing import Any

import pytest

from lambent.domain.function_url import UrlOwner
from lambent.errors import (
    InvalidParameterValueException,
    ResourceConflictException,
    ResourceNotFoundException,
    ServiceError,
    ValidationException,
)
from lambent.store.function_urls import find_url_owner
from unit.services.lambda_.world import ACCOUNT, ARN, NAME, REGION, World, a_call, story

NO_URL = "The resource you requested does not exist."


async def refused(
    world: World, error: type[ServiceError], operation: str, name: str = NAME, **parameters: Any
) -> str:
    with pytest.raises(error) as caught:
        await world.ask(operation, FunctionName=name, **parameters)
    return caught.value.message


async def create_url(world: World, name: str = NAME, **parameters: Any) -> dict[str, Any]:
    return await world.ask(
        "create_function_url_config", **{"FunctionName": name, "AuthType": "NONE"} | parameters
    )


def url_id(url: str) -> str:
    return url.removeprefix("http://").partition(".")[0]


@story
async def test_the_life_of_a_url_is_as_recorded(world: World) -> None:
    await world.create_active()
    created = await create_url(world)
    assert set(created) == {"FunctionUrl", "FunctionArn", "AuthType", "CreationTime"}
    assert created["FunctionArn"] == ARN
    assert await refused(world, ResourceConflictException, "create_function_url_config", AuthType="NONE") == (
        f"Failed to create function url config for [functionArn = {ARN}]. Error message:  FunctionUrlConfig "
        "exists for this Lambda function"
    )
    found = await world.ask("get_function_url_config", FunctionName=NAME)
    assert found == created | {"LastModifiedTime": created["CreationTime"], "InvokeMode": "BUFFERED"}
    await world.clock.advance(1)
    updated = await world.ask("update_function_url_config", FunctionName=NAME, AuthType="AWS_IAM")
    assert "InvokeMode" not in updated
    assert updated["AuthType"] == "AWS_IAM"
    assert updated["FunctionUrl"] == created["FunctionUrl"]
    assert updated["LastModifiedTime"] > updated["CreationTime"] == created["CreationTime"]
    assert await world.ask("delete_function_url_config", FunctionName=NAME) == {}
    assert await refused(world, ResourceNotFoundException, "get_function_url_config") == NO_URL
    assert await refused(world, ResourceNotFoundException, "delete_function_url_config") == NO_URL


@story
async def test_a_mode_that_was_set_is_shown_and_stays(world: World) -> None:
    await world.create_active()
    assert (await create_url(world, InvokeMode="RESPONSE_STREAM"))["InvokeMode"] == "RESPONSE_STREAM"
    updated = await world.ask("update_function_url_config", FunctionName=NAME)
    assert updated["InvokeMode"] == "RESPONSE_STREAM"


@story
async def test_cors_is_kept_as_given_replaced_as_a_whole_and_taken_away_by_an_empty_one(world: World) -> None:
    await world.create_active()
    cors = {"AllowOrigins": ["https://example.com"], "MaxAge": 5}
    assert (await create_url(world, Cors=cors))["Cors"] == cors
    changed = await world.ask("update_function_url_config", FunctionName=NAME, Cors={"AllowOrigins": ["*"]})
    assert changed["Cors"] == {"AllowOrigins": ["*"]}
    assert "Cors" not in await world.ask("update_function_url_config", FunctionName=NAME, Cors={})


@story
async def test_the_address_names_region_and_port_and_leads_back_to_the_function(world: World) -> None:
    await world.create_active()
    url = (await create_url(world))["FunctionUrl"]
    assert re.fullmatch(rf"http://[a-z0-9]{{32}}\.lambda-url\.{REGION}\.localhost:4566/", url)
    owner = await find_url_owner(world.store, url_id(url))
    assert owner == UrlOwner(account=ACCOUNT, region=REGION, name=NAME)
    elsewhere = a_call(endpoint_url="https://127.0.0.1:8443")
    moved = (await world.ask("get_function_url_config", elsewhere, FunctionName=NAME))["FunctionUrl"]
    assert moved == url.replace("http:", "https:").replace("4566", "8443")


@story
async def test_a_deleted_function_takes_its_urls_with_it(world: World) -> None:
    await world.create_active()
    url = (await create_url(world))["FunctionUrl"]
    await world.ask("delete_function", FunctionName=NAME)
    assert await find_url_owner(world.store, url_id(url)) is None
    await world.create_active()
    assert await refused(world, ResourceNotFoundException, "get_function_url_config") == NO_URL
    assert (await create_url(world))["FunctionUrl"] != url


@story
async def test_urls_survive_a_restart(world: World) -> None:
    await world.create_active()
    url = (await create_url(world))["FunctionUrl"]
    await world.restart()
    assert (await world.ask("get_function_url_config", FunctionName=NAME))["FunctionUrl"] == url


@pytest.mark.parametrize("qualifier", ["$LATEST", "1"])
@story
async def test_versions_have_no_urls(world: World, qualifier: str) -> None:
    await world.create_active(Publish=True)
    message = await refused(
        world, ValidationException, "create_function_url_config", AuthType="NONE", Qualifier=qualifier
    )
    assert message == (
        f"1 validation error detected: Value '{qualifier}' at 'qualifier' failed to satisfy constraint: "
        r"Member must satisfy regular expression pattern: ((?!^\d+$)^[0-9a-zA-Z-_]+$)"
    )


@story
async def test_what_does_not_exist_has_no_url(world: World) -> None:
    missing = "Function does not exist"
    for operation in ("create_function_url_config", "update_function_url_config"):
        assert await refused(world, ResourceNotFoundException, operation, AuthType="NONE") == missing
    assert await refused(world, ResourceNotFoundException, "list_function_url_configs") == missing
    for operation in ("get_function_url_config", "delete_function_url_config"):
        assert await refused(world, ResourceNotFoundException, operation) == NO_URL
    await world.create_active()
    for operation in ("create_function_url_config", "update_function_url_config"):
        message = await refused(
            world, ResourceNotFoundException, operation, AuthType="NONE", Qualifier="no-alias"
        )
        assert message == missing


@story
async def test_two_qualifiers_that_differ_are_refused(world: World) -> None:
    await world.create_active()
    await refused(
        world,
        InvalidParameterValueException,
        "get_function_url_config",
        f"{NAME}:blue",
        Qualifier="green",
    )


@story
async def test_aliases_have_urls_of_their_own_which_are_listed_page_by_page(world: World) -> None:
    await world.create_active(Publish=True)
    for alias in ("blue", "green"):
        await world.ask("create_alias", FunctionName=NAME, Name=alias, FunctionVersion="1")
        created = await create_url(world, f"{NAME}:{alias}")
        assert created["FunctionArn"] == f"{ARN}:{alias}"
    await create_url(world)
    listed: list[str] = []
    page: dict[str, Any] = {"NextMarker": None}
    while "NextMarker" in page:
        marker = {"Marker": page["NextMarker"]} if page["NextMarker"] else {}
        page = await world.ask("list_function_url_configs", FunctionName=NAME, MaxItems=1, **marker)
        listed += [config["FunctionArn"] for config in page["FunctionUrlConfigs"]]
    assert sorted(listed) == [ARN, f"{ARN}:blue", f"{ARN}:green"]


@story
async def test_a_url_outlives_its_alias(world: World) -> None:
    """AWS keeps it; requests to it are forbidden from then on."""
    await world.create_active(Publish=True)
    await world.ask("create_alias", FunctionName=NAME, Name="blue", FunctionVersion="1")
    url = (await create_url(world, Qualifier="blue"))["FunctionUrl"]
    await world.ask("delete_alias", FunctionName=NAME, Name="blue")
    assert (await find_url_owner(world.store, url_id(url))) is not None
    await world.ask("delete_function_url_config", FunctionName=NAME, Qualifier="blue")
    assert (await find_url_owner(world.store, url_id(url))) is None


@story
async def test_cross_origin_access_is_for_methods_that_there_are(world: World) -> None:
    await world.create_active()
    methods = ["GET", "PUT", "POST", "DELETE", "HEAD", "PATCH"]
    with pytest.raises(InvalidParameterValueException) as caught:
        await create_url(world, Cors={"AllowOrigins": ["*"], "AllowMethods": ["GET", "FETCH"]})
    assert caught.value.message.endswith(
        "You can use GET, PUT, POST, DELETE, HEAD, PATCH, and the wildcard character (*)."
    )
    with pytest.raises(InvalidParameterValueException) as caught:
        await create_url(world, Cors={"AllowOrigins": ["*"], "AllowMethods": ["GET", "*"]})
    assert caught.value.message == (
        "You can't specify additional fields for AllowMethods because you already specified the wildcard "
        "character (*)."
    )
    created = await create_url(world, Cors={"AllowOrigins": ["*"], "AllowMethods": methods})
    assert created["Cors"]["AllowMethods"] == methods


@pytest.mark.parametrize("cors", [{"AllowMethods": ["*"]}, {"AllowMethods": ["*"], "AllowOrigins": []}])
@story
async def test_cross_origin_access_names_its_origins(world: World, cors: dict[str, Any]) -> None:
    await world.create_active()
    with pytest.raises(InvalidParameterValueException) as caught:
        await create_url(world, Cors=cors)
    assert caught.value.message == "You can't leave AllowOrigins as empty when Cors is enabled."
    await create_url(world)
    with pytest.raises(InvalidParameterValueException):
        await world.ask("update_function_url_config", FunctionName=NAME, Cors=cors)
