"""Promises of signed packages: who signed is known, and whatever was changed afterwards is noticed."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from lambent.errors import ServiceError
from lambent.services.lambda_.code_signature import (
    DER_PREFIX,
    MANIFEST,
    PUBLISHER,
    SIGNATURE,
    is_allowed,
    publisher_of,
)
from lambent.services.lambda_.errors import (
    CodeVerificationFailedException,
    InvalidCodeSignatureException,
)
from unit.services.lambda_.test_code_signing import create, policy
from unit.services.lambda_.world import ACCOUNT, NAME, REGION, ZIP, World, story, zip_of

SEED = bytes(range(32))


def public_key(seed: bytes) -> bytes:
    """The 32 bytes of the public key of a seed."""
    return Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()


def sign(seed: bytes, message: bytes) -> bytes:
    """The signature of a message."""
    return Ed25519PrivateKey.from_private_bytes(seed).sign(message)


KEY = DER_PREFIX + public_key(SEED)
OURS = hashlib.sha256(KEY).hexdigest()
PROFILE = f"arn:aws:signer:{REGION}:{ACCOUNT}:/signing-profiles/ours/{OURS}"
SOURCES: Mapping[str, str | bytes] = {
    "app.py": "def handler(event, context): return 3",
    "data/x y.bin": b"\0",
}


def manifest_of(files: Mapping[str, str | bytes]) -> bytes:
    """What `sha256sum` prints."""
    contents = {name: text.encode() if isinstance(text, str) else text for name, text in files.items()}
    return "".join(f"{hashlib.sha256(c).hexdigest()}  ./{n}\n" for n, c in contents.items()).encode()


def signed(
    files: Mapping[str, str | bytes] = SOURCES, manifest: bytes | None = None, **changes: str | bytes
) -> dict[str, str | bytes]:
    """The files of a signed package, some of them changed after they were signed."""
    manifest = manifest_of(files) if manifest is None else manifest
    added = {MANIFEST: manifest, SIGNATURE: sign(SEED, manifest), PUBLISHER: KEY}
    return {**files, **added, **changes}


def test_a_package_says_who_signed_it() -> None:
    assert publisher_of(zip_of(signed())) == OURS
    assert publisher_of(ZIP) is None


OTHER_KEY = DER_PREFIX + public_key(bytes(32))
TAMPERED: dict[str, dict[str, str | bytes]] = {
    "a file was changed": signed() | {"app.py": "def handler(event, context): return 4"},
    "a file was added": signed() | {"more.py": ""},
    "a file was taken away": {name: text for name, text in signed().items() if name != "app.py"},
    "the manifest was changed": signed() | {MANIFEST: manifest_of({"app.py": SOURCES["app.py"]})},
    "the key was replaced": signed() | {PUBLISHER: OTHER_KEY},
    "the key is none": signed() | {PUBLISHER: b"key"},
    "the signature was taken away": {name: text for name, text in signed().items() if name != SIGNATURE},
    "the signature is none": signed() | {SIGNATURE: b"signature"},
    "the manifest is none": signed(manifest=b"app.py\n"),
    "a file is named twice": signed(manifest=manifest_of(SOURCES) + manifest_of(SOURCES)),
}


@pytest.mark.parametrize("files", TAMPERED.values(), ids=TAMPERED.keys())
def test_a_package_that_is_not_what_was_signed_is_refused(files: dict[str, str | bytes]) -> None:
    with pytest.raises(InvalidCodeSignatureException, match="failed the integrity check"):
        publisher_of(zip_of(files))


@pytest.mark.parametrize(
    ("publisher", "arns", "allowed"),
    [
        (OURS, ["arn:aws:signer:us-east-1:1:/signing-profiles/a/x", PROFILE], True),
        (OURS, [PROFILE.replace(":signer:", ":iam:")], False),
        (OURS, [PROFILE.removesuffix(OURS)], False),
        (None, [PROFILE], False),
    ],
)
def test_a_profile_version_stands_for_one_key(publisher: str | None, arns: list[str], allowed: bool) -> None:
    assert is_allowed(publisher, arns) is allowed


async def update(world: World, files: Mapping[str, str | bytes], **options: Any) -> dict[str, Any]:
    return await world.ask("update_function_code", FunctionName=NAME, ZipFile=zip_of(files), **options)


@story
async def test_only_code_of_trusted_publishers_is_deployed_where_signatures_are_enforced(
    world: World,
) -> None:
    trusted = {"AllowedPublishers": {"SigningProfileVersionArns": [PROFILE]}}
    arn = (await create(world, **trusted, **policy("Enforce")))["CodeSigningConfigArn"]
    created = await world.create_active(Code={"ZipFile": zip_of(signed())}, CodeSigningConfigArn=arn)
    refusals: list[tuple[type[ServiceError], Mapping[str, str | bytes]]] = [
        (CodeVerificationFailedException, SOURCES),
        (InvalidCodeSignatureException, TAMPERED["a file was changed"]),
    ]
    for error, files in refusals:
        for options in ({}, {"DryRun": True}):
            with pytest.raises(error):
                await update(world, files, **options)
    await world.ask(
        "update_code_signing_config",
        CodeSigningConfigArn=arn,
        AllowedPublishers={"SigningProfileVersionArns": [PROFILE.removesuffix(OURS) + "other"]},
    )
    with pytest.raises(CodeVerificationFailedException):
        await update(world, signed({"app.py": "x = 1"}))
    shown = await world.ask("get_function_configuration", FunctionName=NAME)
    assert shown["CodeSha256"] == created["CodeSha256"]


@story
async def test_tampered_code_is_refused_even_where_signatures_are_only_missed(world: World) -> None:
    arn = (await create(world))["CodeSigningConfigArn"]
    await world.create_active(CodeSigningConfigArn=arn)
    with pytest.raises(InvalidCodeSignatureException):
        await update(world, TAMPERED["a file was added"])
    await update(world, signed())


async def layer(world: World, name: str, files: Mapping[str, str | bytes]) -> str:
    published = await world.ask("publish_layer_version", LayerName=name, Content={"ZipFile": zip_of(files)})
    return published["LayerVersionArn"]


@story
async def test_layers_need_a_trusted_signature_where_signatures_are_enforced(world: World) -> None:
    trusted = {"AllowedPublishers": {"SigningProfileVersionArns": [PROFILE]}}
    config = (await create(world, **trusted, **policy("Enforce")))["CodeSigningConfigArn"]
    good, unsigned = await layer(world, "good", signed()), await layer(world, "unsigned", SOURCES)
    tampered = await layer(world, "tampered", TAMPERED["a file was changed"])
    code = {"Code": {"ZipFile": zip_of(signed())}, "CodeSigningConfigArn": config}
    for arn, error in (
        (unsigned, CodeVerificationFailedException),
        (tampered, InvalidCodeSignatureException),
    ):
        with pytest.raises(error):
            await world.create(Layers=[good, arn], **code)
        assert await world.stored() is None
    await world.create_active(Layers=[good], **code)
    with pytest.raises(CodeVerificationFailedException) as caught:
        await world.ask("update_function_configuration", FunctionName=NAME, Layers=[good, unsigned])
    assert caught.value.message.endswith(f"Check the provided signature for {unsigned}.")
    # What stays as it is, is not looked at again.
    await world.ask("update_function_configuration", FunctionName=NAME, Description="changed")


@story
async def test_without_a_configuration_any_layer_will_do(world: World) -> None:
    arn = await layer(world, "unsigned", TAMPERED["a file was changed"])
    await world.create_active(Layers=[arn])
