"""Functions from container images: what is kept, what is shown, what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from lambent.errors import InvalidParameterValueException, NotImplemented_
from unit.services.lambda_.world import NAME, REGION, ROLE, ZIP, World, story

DIGEST = "ab" * 32
URI = f"111111111111.dkr.ecr.{REGION}.amazonaws.com/team/app"


def image(**parameters: Any) -> dict[str, Any]:
    usual = {"FunctionName": NAME, "Role": ROLE, "PackageType": "Image", "Code": {"ImageUri": f"{URI}:v1"}}
    return usual | parameters


async def refusal(world: World, operation: str, **parameters: Any) -> str:
    with pytest.raises(InvalidParameterValueException) as caught:
        await world.ask(operation, **parameters)
    return caught.value.message


@story
async def test_the_digest_of_an_image_is_shown_as_its_code_hash(world: World) -> None:
    created = await world.ask("create_function", **image(Code={"ImageUri": f"{URI}@sha256:{DIGEST}"}))
    assert (created["CodeSha256"], created["CodeSize"]) == (DIGEST, 0)
    code = (await world.ask("get_function", FunctionName=NAME))["Code"]
    assert code["ResolvedImageUri"] == f"{URI}@sha256:{DIGEST}"


@story
async def test_another_tag_is_another_image(world: World) -> None:
    first = (await world.ask("create_function", **image()))["CodeSha256"]
    await world.settled()
    second = await world.ask("update_function_code", FunctionName=NAME, ImageUri=f"{URI}:v2", Publish=True)
    assert second["CodeSha256"] != first
    assert second["Version"] == "1"
    code = (await world.ask("get_function", FunctionName=NAME, Qualifier="1"))["Code"]
    assert code["ImageUri"] == f"{URI}:v2"
    assert code["ResolvedImageUri"] == f"{URI}@sha256:{second['CodeSha256']}"


@story
async def test_code_is_not_signed_where_it_is_an_image(world: World) -> None:
    message = "Code signing is not supported for functions created with container images."
    publishers = {"SigningProfileVersionArns": [f"arn:aws:signer:{REGION}:111111111111:/signing-profiles/p"]}
    created = await world.ask("create_code_signing_config", AllowedPublishers=publishers)
    arn = created["CodeSigningConfig"]["CodeSigningConfigArn"]
    assert await refusal(world, "create_function", **image(CodeSigningConfigArn=arn)) == message
    await world.ask("create_function", **image())
    for operation, given in (
        ("put_function_code_signing_config", {"CodeSigningConfigArn": arn}),
        ("get_function_code_signing_config", {}),
        ("delete_function_code_signing_config", {}),
    ):
        assert await refusal(world, operation, FunctionName=NAME, **given) == message


@story
async def test_an_image_is_never_prepared_nor_invoked(world: World) -> None:
    await world.ask("create_function", **image())
    await world.settled()
    assert world.prepared == []
    with pytest.raises(NotImplemented_, match="not run yet"):
        await world.ask("invoke", FunctionName=NAME)
    assert world.echo.invocations == []


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        (
            {"Code": {"ZipFile": ZIP}},
            "Please provide ImageUri when creating a function with packageType Image.",
        ),
        (
            {"Handler": "app.handler"},
            "Please don't provide Handler or Runtime or Layer when the intended function PackageType is Image.",
        ),
        (
            {"Code": {"ImageUri": URI}},
            f"Source image {URI} is not valid. Provide a valid source image.",
        ),
        (
            {"Code": {"ImageUri": "no image: at all"}},
            "Source image no image: at all is not valid. Provide a valid source image.",
        ),
    ],
)
@story
async def test_what_no_image_is_is_refused(world: World, parameters: dict[str, Any], message: str) -> None:
    assert await refusal(world, "create_function", **image(**parameters)) == message
    assert await world.stored() is None


@story
async def test_a_zip_function_takes_no_image_and_an_image_function_no_zip(world: World) -> None:
    code = {"ImageUri": f"{URI}:v1"}
    both = await refusal(
        world, "create_function", **image(PackageType="Zip", Runtime="python3.12", Handler="a.b", Code=code)
    )
    assert both == "Please don't provide ImageUri when creating a function with packageType Zip."
    await world.ask("create_function", **image())
    await world.settled()
    zipped = await refusal(world, "update_function_code", FunctionName=NAME, ZipFile=ZIP)
    assert zipped == "Please provide ImageUri when updating a function with packageType Image."
    handler = await refusal(world, "update_function_configuration", FunctionName=NAME, Handler="a.b")
    assert handler.startswith("Please don't provide Handler")


@story
async def test_an_image_configuration_is_replaced_as_a_whole(world: World) -> None:
    await world.ask("create_function", **image(ImageConfig={"EntryPoint": ["sh"], "Command": []}))
    await world.settled()
    shown = await world.ask("get_function_configuration", FunctionName=NAME)
    assert shown["ImageConfigResponse"] == {"ImageConfig": {"EntryPoint": ["sh"]}}
    for given, wanted in (({"Command": ["x"]}, {"ImageConfig": {"Command": ["x"]}}), ({}, None)):
        updated = await world.ask("update_function_configuration", FunctionName=NAME, ImageConfig=given)
        assert updated.get("ImageConfigResponse") == wanted
        await world.settled()
