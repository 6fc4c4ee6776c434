"""How a function's code is replaced; where it comes from is in `code_sources`."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from lambent.clock import Clock, last_modified
from lambent.domain.call import Call
from lambent.domain.function import Code, Function, FunctionVersion
from lambent.errors import InvalidParameterValueException
from lambent.services import Members
from lambent.services.lambda_.activations import Activations
from lambent.services.lambda_.code_signing import CodeSigning
from lambent.services.lambda_.code_sources import CodeSources, check_source
from lambent.services.lambda_.configuration import configuration_of, updating
from lambent.services.lambda_.images import IMAGE
from lambent.services.lambda_.names import not_found, resolve_latest
from lambent.services.lambda_.records import Records
from lambent.services.lambda_.rules import check_unzipped_size
from lambent.services.lambda_.states import check_updatable, with_update
from lambent.services.lambda_.versions import published, published_version


class CodeOperations:
    """The operation that replaces code."""

    def __init__(
        self,
        *,
        records: Records,
        sources: CodeSources,
        signing: CodeSigning,
        activations: Activations,
        clock: Clock,
    ) -> None:
        self._records = records
        self._sources = sources
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
        target = resolve_latest(call, parameters["FunctionName"], operation="UpdateFunctionCode")
        function = await self._records.get(target.key)
        if function is None:
            raise not_found(target.key.arn)
        check_updatable(function, parameters.get("RevisionId"))
        _check_given(function, parameters)
        package_type = function.latest.package_type
        now = last_modified(self._clock.now_s())
        if parameters.get("DryRun"):
            deployed = await self._sources.inspect(call, parameters, package_type=package_type)
            await self._signing.check(target.key, function.code_signing_config_arn, deployed.content)
            return configuration_of(_recoded(function.latest, deployed.code, parameters), is_qualified=False)
        async with self._sources.deploying(call, parameters, package_type=package_type) as deployed:
            await self._signing.check(target.key, function.code_signing_config_arn, deployed.content)
            changed = await self._records.change(
                target.key, partial(_with_code, code=deployed.code, parameters=parameters, now=now)
            )
            if changed is None:
                raise not_found(target.key.arn)
            self._activations.begin(changed[1])
        if parameters.get("Publish"):
            return configuration_of(published_version(changed[1], parameters), is_qualified=True)
        return configuration_of(changed[1].latest, is_qualified=False)


def _check_given(function: Function, parameters: Members) -> None:
    """Check that code of the function's kind is given.

    Raises:
        InvalidParameterValueException: it is of the other kind, or there is none.
    """
    if function.latest.package_type == IMAGE:
        if not parameters.get("ImageUri"):
            raise InvalidParameterValueException(
                "Please provide ImageUri when updating a function with packageType Image."
            )
        return
    if parameters.get("ImageUri"):
        raise InvalidParameterValueException(
            "Please don't provide ImageUri when updating a function with packageType Zip."
        )
    check_source(parameters)


def _with_code(function: Function, *, code: Code, parameters: Members, now: str) -> Function:
    check_updatable(function, parameters.get("RevisionId"))
    latest = updating(_recoded(function.latest, code, parameters), now=now)
    after = with_update(function, latest)
    return published(after, parameters) if parameters.get("Publish") else after


def _recoded(version: FunctionVersion, code: Code, parameters: Members) -> FunctionVersion:
    check_unzipped_size(code, version.layers)
    return replace(
        version, code=code, architecture=parameters.get("Architectures", [version.architecture])[0]
    )
