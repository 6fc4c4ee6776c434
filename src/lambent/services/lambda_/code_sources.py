"""Where the code of functions and layers comes from: the request itself, an object in S3, or an image's address.

What comes out is checked, stored and held while an operation is about to refer to it. S3 is asked through a door
(`Objects`); without one there is no bucket.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any, Protocol

from lambent.domain.call import Call
from lambent.domain.function import Code
from lambent.domain.limits import UNZIPPED_MAX_BYTES, ZIP_UPLOAD_MAX_BYTES
from lambent.domain.s3_object import S3Error, S3Object, S3ObjectTooLarge
from lambent.errors import (
    AccessDeniedException,
    InvalidParameterValueException,
    RequestEntityTooLargeException,
    ServiceException,
)
from lambent.services.lambda_.code_storage import CodeStorage
from lambent.services.lambda_.images import IMAGE, image_code

_S3_MEMBERS = ("S3Bucket", "S3Key", "S3ObjectVersion")
_DOWNLOADS_MAX = 2
"""At once; each may take 250 MB of memory."""


class Objects(Protocol):
    """Objects in S3."""

    async def get(self, source: S3Object, *, max_bytes: int) -> bytes:
        """Return the content of an object.

        Raises:
            S3Error: there is none, it is not for us, or S3 gives no answer.
            S3ObjectTooLarge: it has more bytes than that.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployed:
    """Code that is held for an operation."""

    code: Code
    content: bytes | None
    """The zip; None for an image."""


class CodeSources:
    """Gets code from where a caller says it is.

    Args:
        code_storage: keeps it.
        objects: S3; None: there is none.
    """

    def __init__(self, *, code_storage: CodeStorage, objects: Objects | None) -> None:
        self._code_storage = code_storage
        self._objects = objects
        self._downloading = asyncio.Semaphore(_DOWNLOADS_MAX)

    @asynccontextmanager
    async def deploying(
        self, call: Call, given: Mapping[str, Any], *, package_type: str = "Zip"
    ) -> AsyncGenerator[Deployed]:
        """Get, check and store code; it stays at least until the block ends.

        Args:
            call: whose account and region it is for.
            given: FunctionCode, LayerVersionContentInput, or the parameters of UpdateFunctionCode, which have
                the same members.
            package_type: ``Zip`` or ``Image``.

        Raises:
            InvalidParameterValueException: there is none, it is no acceptable package, or S3 does not have it.
            AccessDeniedException: S3 does not give it.
            RequestEntityTooLargeException: a zip in the request is over 50 MB.
            CodeStorageExceededException: the account's code storage is full.
            ServiceException: S3 could not be asked.
        """
        if package_type == IMAGE:
            yield Deployed(code=image_code(given["ImageUri"]), content=None)
            return
        content = await self._content(call, given)
        self._code_storage.check_room(call.account, call.region, len(content))
        async with self._code_storage.holding(content) as code:
            yield Deployed(code=_described(code, given), content=content)

    async def inspect(self, call: Call, given: Mapping[str, Any], *, package_type: str = "Zip") -> Deployed:
        """Get and check code, and keep nothing; raises what `deploying` does."""
        if package_type == IMAGE:
            return Deployed(code=image_code(given["ImageUri"]), content=None)
        content = await self._content(call, given)
        return Deployed(code=_described(await self._code_storage.inspect(content), given), content=content)

    async def _content(self, call: Call, given: Mapping[str, Any]) -> bytes:
        check_source(given)
        if "ZipFile" in given:
            return given["ZipFile"]
        source = S3Object(
            region=call.region,
            bucket=given["S3Bucket"],
            key=given["S3Key"],
            version=given.get("S3ObjectVersion"),
        )
        if self._objects is None:
            raise InvalidParameterValueException(
                "Error occurred while GetObject. S3 Error Code: NoSuchBucket. S3 Error Message: The specified "
                "bucket does not exist (no S3 is configured: see the setting s3_endpoint_url)"
            )
        try:
            async with self._downloading:
                return await self._objects.get(source, max_bytes=UNZIPPED_MAX_BYTES)
        except S3ObjectTooLarge as error:
            raise InvalidParameterValueException(
                f"Unzipped size must be smaller than {UNZIPPED_MAX_BYTES} bytes"
            ) from error
        except S3Error as error:
            raise _refusal(source, error) from error


def check_source(given: Mapping[str, Any]) -> None:
    """Check that code is said to be in one place, and that a zip in the request is not too large.

    Raises:
        InvalidParameterValueException: no place is named, or two are.
        RequestEntityTooLargeException: a zip in the request is over 50 MB.
    """
    in_s3 = any(given.get(member) for member in _S3_MEMBERS)
    if "ZipFile" in given:
        if in_s3:
            raise InvalidParameterValueException(
                "Please do not provide other FunctionCode parameters when providing a ZipFile."
            )
        if not given["ZipFile"]:
            raise InvalidParameterValueException("Uploaded file must be a non-empty zip")
        if len(given["ZipFile"]) > ZIP_UPLOAD_MAX_BYTES:
            raise RequestEntityTooLargeException(
                f"Zipped size must be smaller than {ZIP_UPLOAD_MAX_BYTES} bytes"
            )
    elif not in_s3:
        raise InvalidParameterValueException("Please provide a source for function code.")
    elif not (given.get("S3Bucket") and given.get("S3Key")):
        raise InvalidParameterValueException(
            "S3 Bucket and Key are required for uploading with S3 parameters."
        )


def _described(code: Code, given: Mapping[str, Any]) -> Code:
    if given.get("S3ObjectStorageMode") == "REFERENCE":
        # A copy is kept all the same: what runs does not depend on S3.
        code = replace(code, s3_object={name: given[name] for name in _S3_MEMBERS if given.get(name)})
    key = given.get("SourceKMSKeyArn")
    return replace(code, source_kms_key_arn=key) if key else code


def _refusal(
    source: S3Object, error: S3Error
) -> InvalidParameterValueException | AccessDeniedException | ServiceException:
    if error.status == 403:
        return AccessDeniedException(
            "Your access has been denied by S3, please make sure your request credentials have permission to "
            f"GetObject for {source.bucket}/{source.key}. S3 Error Code: {error.code}. "
            f"S3 Error Message: {error.message}"
        )
    if error.status == 0 or error.status >= 500:
        return ServiceException(f"S3 could not be asked for the code. {error.message}")
    message = error.message
    if error.code == "PermanentRedirect":
        message = (
            f"The bucket is in this region: {error.bucket_region or 'null'}. "
            "Please use this region to retry the request"
        )
    return InvalidParameterValueException(
        f"Error occurred while GetObject. S3 Error Code: {error.code}. S3 Error Message: {message}"
    )
