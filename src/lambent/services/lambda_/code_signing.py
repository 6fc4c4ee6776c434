"""Code signing: configurations, and which functions they hold for.

Attaching a configuration and deleting it take turns (`AccountUsage.lock`), so that no function is left with one
that does not exist.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from typing import Any

from lambent.arn import parse_arn
from lambent.clock import Clock, last_modified
from lambent.domain.call import Call
from lambent.domain.code_signing import ENFORCE, WARN, CodeSigningConfig
from lambent.domain.function import AttachedLayer, Function, FunctionKey
from lambent.domain.limits import CODE_SIGNING_CONFIGS_MAX
from lambent.errors import (
    InvalidParameterValueException,
    ResourceConflictException,
    ResourceNotFoundException,
)
from lambent.services import Members
from lambent.services.lambda_.code_signature import is_allowed, publisher_of
from lambent.services.lambda_.code_storage import CodeStorage
from lambent.services.lambda_.errors import (
    CodeSigningConfigNotFoundException,
    CodeVerificationFailedException,
)
from lambent.services.lambda_.images import refuse_to_sign_image
from lambent.services.lambda_.names import not_found, resolve
from lambent.services.lambda_.pages import page_by_name
from lambent.services.lambda_.records import Records
from lambent.services.lambda_.rules import check_tags
from lambent.services.lambda_.usage import AccountUsage
from lambent.store import RevisionConflict
from lambent.store.code_signing_configs import CodeSigningConfigs

_ATTEMPTS_MAX = 8


class CodeSigning:
    """The configurations as the families see them."""

    def __init__(
        self, *, configs: CodeSigningConfigs, usage: AccountUsage, code_storage: CodeStorage
    ) -> None:
        self._configs = configs
        self._usage = usage
        self._code_storage = code_storage

    async def find(self, account: str, region: str, arn: str) -> tuple[int, CodeSigningConfig] | None:
        """Return a configuration of an account and region with its revision, or None."""
        parsed = parse_arn(arn)
        if parsed is None or (parsed.account, parsed.region) != (account, region):
            return None
        return await self._configs.get(account, region, parsed.resource.partition(":")[2])

    @asynccontextmanager
    async def attaching(self, key: FunctionKey, arn: str | None) -> AsyncGenerator[None]:
        """While a function is given a configuration of its account: that exists, and stays.

        Raises:
            CodeSigningConfigNotFoundException: it does not exist.
        """
        if arn is None:
            yield
            return
        async with self._usage.lock(key.account, key.region):
            if await self.find(key.account, key.region, arn) is None:
                raise CodeSigningConfigNotFoundException(
                    "The code signing configuration cannot be found. Check that the provided configuration is "
                    f"not deleted: {arn}."
                )
            yield

    async def check(
        self,
        key: FunctionKey,
        arn: str | None,
        content: bytes | None,
        layers: Sequence[AttachedLayer] = (),
    ) -> None:
        """Check the signatures of what is to be deployed to a function with a configuration.

        Args:
            key: the function.
            arn: its configuration; None: it has none, and any code will do.
            content: the deployment package, checked as such; None: it is not what changes.
            layers: the layers that the function would have.

        Raises:
            InvalidCodeSignatureException: something is signed and is not what was signed.
            CodeVerificationFailedException: it is not signed by whom the configuration trusts, and must be.
        """
        found = await self.find(key.account, key.region, arn) if arn is not None else None
        if found is None:
            return
        if content is not None:
            await _check_signature(content, found[1], name=key.name)
        for layer in layers:
            await _check_signature(await self._code_storage.content(layer.code), found[1], name=layer.arn)


async def _check_signature(content: bytes, config: CodeSigningConfig, *, name: str) -> None:
    publisher = await asyncio.to_thread(publisher_of, content)
    is_trusted = is_allowed(publisher, config.signing_profile_version_arns)
    if not is_trusted and config.untrusted_artifact_on_deployment == ENFORCE:
        raise CodeVerificationFailedException(
            "Lambda cannot deploy the function. The function or layer might be signed using a signature "
            f"that the client is not configured to accept. Check the provided signature for {name}."
        )


class CodeSigningOperations:
    """The operations on code signing configurations, and on what they hold for."""

    def __init__(
        self,
        *,
        configs: CodeSigningConfigs,
        signing: CodeSigning,
        records: Records,
        usage: AccountUsage,
        clock: Clock,
    ) -> None:
        self._configs = configs
        self._signing = signing
        self._records = records
        self._usage = usage
        self._clock = clock

    async def create_code_signing_config(self, call: Call, parameters: Members) -> Members:
        """Keep a new configuration (API page CreateCodeSigningConfig).

        Raises:
            InvalidParameterValueException: the tags are not acceptable, or there are too many configurations.
        """
        tags: dict[str, str] = parameters.get("Tags", {})
        check_tags(tags)
        config = CodeSigningConfig(
            account=call.account,
            region=call.region,
            id=f"csc-{secrets.token_hex(9)[:17]}",
            signing_profile_version_arns=parameters["AllowedPublishers"]["SigningProfileVersionArns"],
            untrusted_artifact_on_deployment=parameters.get("CodeSigningPolicies", {}).get(
                "UntrustedArtifactOnDeployment", WARN
            ),
            description=parameters.get("Description"),
            last_modified=last_modified(self._clock.now_s()),
            tags=tags,
        )
        if len(await self._configs.list(call.account, call.region)) >= CODE_SIGNING_CONFIGS_MAX:
            raise InvalidParameterValueException(
                f"The number of code signing configurations has reached the limit of {CODE_SIGNING_CONFIGS_MAX}."
            )
        await self._configs.put(config, expect_revision=0)
        return {"CodeSigningConfig": _members(config)}

    async def get_code_signing_config(self, call: Call, parameters: Members) -> Members:
        """Return a configuration (API page GetCodeSigningConfig).

        Raises:
            ResourceNotFoundException: there is none of that ARN.
        """
        _, config = await self._find(call, parameters)
        return {"CodeSigningConfig": _members(config)}

    async def update_code_signing_config(self, call: Call, parameters: Members) -> Members:
        """Change what is given of a configuration (API page UpdateCodeSigningConfig).

        Raises:
            ResourceNotFoundException: there is none of that ARN.
            ResourceConflictException: others changed it again and again meanwhile.
        """
        for _ in range(_ATTEMPTS_MAX):
            revision, before = await self._find(call, parameters)
            after = _updated(before, parameters)
            if after == before:
                return {"CodeSigningConfig": _members(before)}
            after = replace(after, last_modified=last_modified(self._clock.now_s()))
            try:
                await self._configs.put(after, expect_revision=revision)
            except RevisionConflict:
                continue
            return {"CodeSigningConfig": _members(after)}
        raise ResourceConflictException(
            "The operation cannot be performed at this time. An update is in progress for resource: "
            f"{parameters['CodeSigningConfigArn']}"
        )

    async def delete_code_signing_config(self, call: Call, parameters: Members) -> Members:
        """Delete a configuration that no function has (API page DeleteCodeSigningConfig).

        Raises:
            ResourceNotFoundException: there is none of that ARN.
            ResourceConflictException: a function has it.
        """
        async with self._usage.lock(call.account, call.region):
            _, config = await self._find(call, parameters)
            if self._usage.functions_with(config.arn):
                raise ResourceConflictException(
                    f"The code signing configuration {config.arn} is in use by functions. Remove it from them "
                    "before you delete it."
                )
            await self._configs.delete(config)
        return {}

    async def list_code_signing_configs(self, call: Call, parameters: Members) -> Members:
        """Return the account's configurations in a region (API page ListCodeSigningConfigs).

        Raises:
            InvalidParameterValueException: the marker is not one of ours.
        """
        configs = {config.id: config for config in await self._configs.list(call.account, call.region)}
        page, more = page_by_name(configs, parameters)
        return {"CodeSigningConfigs": [_members(config) for config in page], **more}

    async def list_functions_by_code_signing_config(self, call: Call, parameters: Members) -> Members:
        """Return the functions that have a configuration (API page ListFunctionsByCodeSigningConfig).

        Raises:
            ResourceNotFoundException: there is none of that ARN.
            InvalidParameterValueException: the marker is not one of ours.
        """
        _, config = await self._find(call, parameters)
        keys = self._usage.functions_with(config.arn)
        page, more = page_by_name({key.name: key.arn for key in keys}, parameters)
        return {"FunctionArns": page, **more}

    async def put_function_code_signing_config(self, call: Call, parameters: Members) -> Members:
        """Have a configuration hold for a function's next deployments (PutFunctionCodeSigningConfig).

        Raises:
            CodeSigningConfigNotFoundException: there is none of that ARN.
            ResourceNotFoundException: no such function.
            InvalidParameterValueException: the function is an image.
        """
        target = resolve(call, parameters["FunctionName"], operation="PutFunctionCodeSigningConfig")
        arn: str = parameters["CodeSigningConfigArn"]
        async with self._signing.attaching(target.key, arn):
            change = partial(_with_code_signing, arn=arn)
            if await self._records.change(target.key, change) is None:
                raise not_found(target.key.arn)
        return {"CodeSigningConfigArn": arn, "FunctionName": target.key.name}

    async def get_function_code_signing_config(self, call: Call, parameters: Members) -> Members:
        """Return the configuration that holds for a function, if any (API page GetFunctionCodeSigningConfig).

        Raises:
            ResourceNotFoundException: no such function.
            InvalidParameterValueException: the function is an image.
        """
        target = resolve(call, parameters["FunctionName"], operation="GetFunctionCodeSigningConfig")
        function = await self._records.get(target.key)
        if function is None:
            raise not_found(target.key.arn)
        refuse_to_sign_image(function.latest)
        if function.code_signing_config_arn is None:
            return {}
        return {"CodeSigningConfigArn": function.code_signing_config_arn, "FunctionName": target.key.name}

    async def delete_function_code_signing_config(self, call: Call, parameters: Members) -> Members:
        """Have no configuration hold for a function any more (API page DeleteFunctionCodeSigningConfig).

        Raises:
            ResourceNotFoundException: no such function.
            InvalidParameterValueException: the function is an image.
        """
        target = resolve(call, parameters["FunctionName"], operation="DeleteFunctionCodeSigningConfig")
        if await self._records.change(target.key, partial(_with_code_signing, arn=None)) is None:
            raise not_found(target.key.arn)
        return {}

    async def _find(self, call: Call, parameters: Members) -> tuple[int, CodeSigningConfig]:
        arn: str = parameters["CodeSigningConfigArn"]
        found = await self._signing.find(call.account, call.region, arn)
        if found is None:
            # This answer of AWS's has no Type.
            raise ResourceNotFoundException(
                f"The Lambda code signing configuration {arn} can not be found.", Type=None
            )
        return found


def _with_code_signing(function: Function, *, arn: str | None) -> Function:
    refuse_to_sign_image(function.latest)
    return (
        function
        if function.code_signing_config_arn == arn
        else replace(function, code_signing_config_arn=arn)
    )


def _updated(before: CodeSigningConfig, parameters: Members) -> CodeSigningConfig:
    publishers = parameters.get("AllowedPublishers", {})
    policies = parameters.get("CodeSigningPolicies", {})
    return replace(
        before,
        description=parameters.get("Description", before.description),
        signing_profile_version_arns=publishers.get(
            "SigningProfileVersionArns", before.signing_profile_version_arns
        ),
        untrusted_artifact_on_deployment=policies.get(
            "UntrustedArtifactOnDeployment", before.untrusted_artifact_on_deployment
        ),
    )


def _members(config: CodeSigningConfig) -> dict[str, Any]:
    members: dict[str, Any] = {
        "CodeSigningConfigId": config.id,
        "CodeSigningConfigArn": config.arn,
        "AllowedPublishers": {"SigningProfileVersionArns": list(config.signing_profile_version_arns)},
        "CodeSigningPolicies": {"UntrustedArtifactOnDeployment": config.untrusted_artifact_on_deployment},
        "LastModified": config.last_modified,
    }
    return members if config.description is None else {**members, "Description": config.description}
