"""Code that lies in S3: what the families make of it, and of S3's refusals."""

from __future__ import annotations

from typing import Any

import pytest

from lambent.domain.limits import UNZIPPED_MAX_BYTES, ZIP_UPLOAD_MAX_BYTES
from lambent.domain.s3_object import S3Error, S3Object, S3ObjectTooLarge
from lambent.errors import (
    AccessDeniedException,
    InvalidParameterValueException,
    RequestEntityTooLargeException,
    ServiceError,
    ServiceException,
)
from unit.services.lambda_.world import NAME, OTHER_ZIP, ZIP, World, story

PLACE = {"S3Bucket": "bucket", "S3Key": "team/app.zip"}


class Objects:
    """S3, with one answer to everything."""

    def __init__(self, answer: bytes | Exception) -> None:
        self.answer = answer
        self.asked: list[S3Object] = []
        self.limits: list[int] = []

    async def get(self, source: S3Object, *, max_bytes: int) -> bytes:
        self.asked.append(source)
        self.limits.append(max_bytes)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@story
async def test_code_of_functions_and_layers_comes_from_s3(world: World) -> None:
    world.objects = objects = Objects(OTHER_ZIP)
    inline = await world.create_active("inline", Code={"ZipFile": OTHER_ZIP})
    created = await world.create_active(Code={**PLACE, "S3ObjectVersion": "v1"})
    assert created["CodeSha256"] == inline["CodeSha256"]
    objects.answer = ZIP
    updated = await world.ask("update_function_code", FunctionName=NAME, **PLACE)
    assert updated["CodeSize"] == len(ZIP)
    layer = await world.ask("publish_layer_version", LayerName="layer", Content=PLACE)
    assert layer["Content"]["CodeSize"] == len(ZIP)
    assert [(asked.bucket, asked.key, asked.version) for asked in objects.asked] == [
        ("bucket", "team/app.zip", "v1"),
        ("bucket", "team/app.zip", None),
        ("bucket", "team/app.zip", None),
    ]
    assert set(objects.limits) == {UNZIPPED_MAX_BYTES}


@story
async def test_a_dry_run_fetches_and_keeps_nothing(world: World) -> None:
    await world.create_active()
    world.objects = Objects(OTHER_ZIP)
    would_be = await world.ask("update_function_code", FunctionName=NAME, DryRun=True, **PLACE)
    assert would_be["CodeSize"] == len(OTHER_ZIP)
    assert not world.has_blob(OTHER_ZIP)


def _s3_error(status: int, code: str, message: str, region: str | None = None) -> S3Error:
    return S3Error(status=status, code=code, message=message, bucket_region=region)


@pytest.mark.parametrize(
    ("answer", "error", "message"),
    [
        (
            _s3_error(404, "NoSuchKey", "The specified key does not exist."),
            InvalidParameterValueException,
            "Error occurred while GetObject. S3 Error Code: NoSuchKey. S3 Error Message: "
            "The specified key does not exist.",
        ),
        (
            _s3_error(404, "NoSuchBucket", "The specified bucket does not exist"),
            InvalidParameterValueException,
            "Error occurred while GetObject. S3 Error Code: NoSuchBucket. S3 Error Message: "
            "The specified bucket does not exist",
        ),
        (
            _s3_error(301, "PermanentRedirect", "", "eu-west-1"),
            InvalidParameterValueException,
            "Error occurred while GetObject. S3 Error Code: PermanentRedirect. S3 Error Message: The bucket is "
            "in this region: eu-west-1. Please use this region to retry the request",
        ),
        (
            _s3_error(403, "AccessDenied", "Access Denied"),
            AccessDeniedException,
            "Your access has been denied by S3, please make sure your request credentials have permission to "
            "GetObject for bucket/team/app.zip. S3 Error Code: AccessDenied. S3 Error Message: Access Denied",
        ),
        (
            S3ObjectTooLarge(),
            InvalidParameterValueException,
            "Unzipped size must be smaller than 262144000 bytes",
        ),
        (
            _s3_error(0, "Unreachable", "http://s3 gave no answer: Connection refused."),
            ServiceException,
            "S3 could not be asked for the code. http://s3 gave no answer: Connection refused.",
        ),
        (
            b"no zip",
            InvalidParameterValueException,
            "Could not unzip uploaded file. Please check your file, then try to upload again.",
        ),
    ],
)
@story
async def test_what_s3_refuses_is_refused_in_lambdas_words(
    world: World, answer: bytes | Exception, error: type[ServiceError], message: str
) -> None:
    world.objects = Objects(answer)
    with pytest.raises(error) as caught:
        await world.create(Code=PLACE)
    assert caught.value.message == message
    assert await world.stored() is None


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ({}, "Please provide a source for function code."),
        ({"S3Bucket": "bucket"}, "S3 Bucket and Key are required for uploading with S3 parameters."),
        ({"S3Key": "key"}, "S3 Bucket and Key are required for uploading with S3 parameters."),
        ({"ZipFile": b""}, "Uploaded file must be a non-empty zip"),
        (
            {"ZipFile": ZIP, "S3Bucket": "bucket"},
            "Please do not provide other FunctionCode parameters when providing a ZipFile.",
        ),
    ],
)
@story
async def test_code_is_in_one_place(world: World, code: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidParameterValueException) as caught:
        await world.create(Code=code)
    assert caught.value.message == message


@story
async def test_only_a_zip_in_the_request_is_held_to_50_mb(world: World) -> None:
    too_large = b"\0" * (ZIP_UPLOAD_MAX_BYTES + 1)
    with pytest.raises(RequestEntityTooLargeException) as caught:
        await world.create(Code={"ZipFile": too_large})
    assert caught.value.message == "Zipped size must be smaller than 52428800 bytes"
    world.objects = Objects(too_large)
    with pytest.raises(InvalidParameterValueException, match="Could not unzip"):
        await world.create(Code=PLACE)


@story
async def test_code_that_is_referred_to_is_shown_where_it_is_until_it_is_replaced(world: World) -> None:
    world.objects = Objects(ZIP)
    await world.create_active(Code={**PLACE, "S3ObjectStorageMode": "REFERENCE"})
    assert (await world.ask("get_function", FunctionName=NAME))["Code"]["ResolvedS3Object"] == PLACE
    await world.ask("update_function_code", FunctionName=NAME, **PLACE, S3ObjectStorageMode="COPY")
    assert "ResolvedS3Object" not in (await world.ask("get_function", FunctionName=NAME))["Code"]


@story
async def test_the_key_of_encrypted_code_is_shown_until_the_code_is_replaced(world: World) -> None:
    key = "arn:aws:kms:us-east-1:111111111111:key/k"
    await world.create_active(Code={"ZipFile": ZIP, "SourceKMSKeyArn": key})
    assert (await world.ask("get_function", FunctionName=NAME))["Code"]["SourceKMSKeyArn"] == key
    await world.ask("update_function_code", FunctionName=NAME, ZipFile=OTHER_ZIP)
    assert "SourceKMSKeyArn" not in (await world.ask("get_function", FunctionName=NAME))["Code"]
