"""A function's code: where a caller says it is, and how it is replaced."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from lambent.clock import Clock, last_modified
from lambent.domain.call import Call
from lambent.domain.function import Code, Function, FunctionVersion
from lambent.errors import InvalidParameterValueException
from lambent.services import Members
from lambent.services.lambda_.activations import Activations
from lambent.services.lambda_.code_signing import CodeSigning
from lambent.services.lambda_.code_storage import CodeStorage
from lambent.services.lambda_.configuration import configuration_of, updating
from lambent.services.lambda_.names import not_found, resolve
from lambent.services.lambda_.records import Records
from lambent.services.lambda_.rules import check_unzipped_size
from lambent.services.lambda_.states import check_updatable, with_update
from lambent.services.lambda_.versions import published_version, refuse_publish_to, with_published

_S3_MEMBERS = ("S3Bucket", "S3Key", "S3ObjectVersion")


def content_of(code: Mapping[str, Any]) -> bytes:
    """Return the zip that a caller gave.

    Args:
        code: the members of FunctionCode, or the parameters of UpdateFunctionCode, which has the same ones.

    Raises:
        InvalidParameterValueException: there is none, or it is said to be where nothing is.
    """
    in_s3 = any(code.get(member) for member in _S3_MEMBERS)
    if "ZipFile" in code:
        if in_s3:
            raise InvalidParameterValueException(
                "Please do not provide other FunctionCode parameters when providing a ZipFile."
            )
        if not code["ZipFile"]:
            raise InvalidParameterValueException("Uploaded file must be a non-empty zip")
        return code["ZipFile"]
    if in_s3:
        # There is no S3 here yet, hence no bucket.
        raise InvalidParameterValueException(
            "Error occurred while GetObject. S3 Error Code: NoSuchBucket. S3 Error Message: "
            "The specified bucket does not exist"
        )
    raise InvalidParameterValueException("Please provide a source for function code.")


class CodeOperations:
    """The operation that replaces code."""

    def __init__(
        self,
        *,
        records: Records,
        code_storage: CodeStorage,
        signing: CodeSigning,
        activations: Activations,
        clock: Clock,
    ) -> None:
        self._records = records
        self._code_storage = code_storage
        self._signing = signing
        self._activations = activations
        self._clock = clock

    async def update_function_code(self, call: Call, parameters: Members) -> Members:
        """Replace ``$LATEST``'s code (API page UpdateFunctionCode).

        Until the new code is in effect, and should it turn out unusable, invocations run the code before.

        Raises:
            ResourceNotFoundException: no such function.
            ResourceConflictException: it is being created or updated.
            PreconditionFailedException: the revision id is not the current one.
            InvalidParameterValueException: the package is not acceptable.
            RequestEntityTooLargeException: the zip is over 50 MB.
            CodeStorageExceededException: the account's code storage is full.
            CodeVerificationFailedException: the function's code signing configuration does not trust the code.
            InvalidCodeSignatureException: the code is not what was signed.
        """
        target = resolve(call, parameters["FunctionName"], operation="UpdateFunctionCode")
        function = await self._records.get(target.key)
        if function is None:
            raise not_found(target.key.arn)
        check_updatable(function, parameters.get("RevisionId"))
        refuse_publish_to(parameters)
        if parameters.get("ImageUri"):
            raise InvalidParameterValueException(
                "Please don't provide ImageUri when updating a function with packageType Zip."
            )
        content = content_of(parameters)
        now = last_modified(self._clock.now_s())
        if parameters.get("DryRun"):
            code = await self._code_storage.inspect(content)
            await self._signing.check(target.key, function.code_signing_config_arn, content)
            return configuration_of(_recoded(function.latest, code, parameters), is_qualified=False)
        self._code_storage.check_room(target.key.account, target.key.region, len(content))
        async with self._code_storage.holding(content) as code:
            await self._signing.check(target.key, function.code_signing_config_arn, content)
            changed = await self._records.change(
                target.key, partial(_with_code, code=code, parameters=parameters, now=now)
            )
            if changed is None:
                raise not_found(target.key.arn)
            self._activations.begin(changed[1])
        if parameters.get("Publish"):
            return configuration_of(published_version(changed[1]), is_qualified=True)
        return configuration_of(changed[1].latest, is_qualified=False)


def _with_code(function: Function, *, code: Code, parameters: Members, now: str) -> Function:
    check_updatable(function, parameters.get("RevisionId"))
    latest = updating(_recoded(function.latest, code, parameters), now=now)
    after = with_update(function, latest)
    return with_published(after) if parameters.get("Publish") else after


def _recoded(version: FunctionVersion, code: Code, parameters: Members) -> FunctionVersion:
    check_unzipped_size(code, version.layers)
    return replace(
        version, code=code, architecture=parameters.get("Architectures", [version.architecture])[0]
    )
