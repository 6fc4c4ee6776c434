"""Functions on capacity providers (Lambda Managed Instances): how they differ from ordinary ones. Pure.

Their control side is AWS's: ``$LATEST`` cannot be invoked, what is published can, and an unqualified invocation runs
``$LATEST.PUBLISHED``. They run in the same environments as ordinary functions, one invocation at a time, because there
are no instances here. Source: AWS pages "Lambda Managed Instances" and "$LATEST.PUBLISHED version in Lambda Managed
Instances"; texts without a recording are ours.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from lambent.domain.function import LATEST_PUBLISHED, Function, FunctionVersion
from lambent.errors import InvalidParameterValueException, ValidationException

CONFIG = "CapacityProviderConfig"
ACCELERATOR = "AcceleratorConfig"
"""Kept and shown; there are no accelerators here."""
_INSTANCES = "LambdaManagedInstancesCapacityProviderConfig"
_DEFAULTS = {"ExecutionEnvironmentMemoryGiBPerVCpu": 2.0, "PerExecutionEnvironmentMaxConcurrency": 16}
MEMORY_MIN_MB = 2048
NON_INVOCABLE = "ActiveNonInvocable"
UPDATING = "The function is being updated."
# The first runtime of each language that they run (AWS page "Lambda Managed Instances runtimes").
_OLDEST = {"python": (3, 13), "nodejs": (22,), "java": (21,), "dotnet": (8,)}
_PLATFORMS = frozenset({"provided.al2023"})


def is_managed(version: FunctionVersion) -> bool:
    """Whether a version is one of a function on a capacity provider."""
    return CONFIG in version.passive


def provider_arn(config: Mapping[str, Any]) -> str:
    """Return the ARN of the capacity provider that a ``CapacityProviderConfig`` names."""
    arn: str = config[_INSTANCES]["CapacityProviderArn"]
    return arn


def complete(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return a ``CapacityProviderConfig`` with AWS's defaults for what was not given.

    Raises:
        ValidationException: it names no capacity provider.
    """
    if not config.get(_INSTANCES):
        raise ValidationException(
            "1 validation error detected: Value null at "
            "'capacityProviderConfig.lambdaManagedInstancesCapacityProviderConfig' failed to satisfy constraint: "
            "Member must not be null"
        )
    return {_INSTANCES: {**_DEFAULTS, **config[_INSTANCES]}}


def own_members(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a request says of what only functions on capacity providers have, as it is kept.

    Raises:
        ValidationException: it names no capacity provider.
    """
    found: dict[str, Any] = {}
    if CONFIG in parameters:
        found[CONFIG] = complete(parameters[CONFIG])
    if ACCELERATOR in parameters:
        found[ACCELERATOR] = parameters[ACCELERATOR]
    return found


def with_creation_defaults(parameters: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the parameters of CreateFunction with what is another default for functions on capacity providers.

    Raises:
        InvalidParameterValueException: they ask for what such functions cannot have.
    """
    if CONFIG not in parameters:
        _refuse_members(parameters)
        return parameters
    check_runtime(parameters.get("Runtime"))
    logging = parameters.get("LoggingConfig", {})
    if logging.get("LogFormat") == "Text":
        raise InvalidParameterValueException(
            'LogLevel is not supported when LogFormat is set to "Text". Remove LogLevel from your request or '
            'change the LogFormat to "JSON" and try again.'
        )
    return {
        "MemorySize": MEMORY_MIN_MB,
        **parameters,
        CONFIG: complete(parameters[CONFIG]),
        "LoggingConfig": {"LogFormat": "JSON", **logging},
    }


def _refuse_members(parameters: Mapping[str, Any]) -> None:
    for member in (CONFIG, ACCELERATOR):
        if member in parameters:
            raise InvalidParameterValueException(f"{member} isn't supported for Lambda Default functions.")


def check_runtime(runtime: str | None) -> None:
    """Hold functions on capacity providers to the runtimes that run there; images have none.

    Raises:
        InvalidParameterValueException: this one does not.
    """
    if runtime is None or runtime in _PLATFORMS:
        return
    language = runtime.rstrip(".x0123456789")
    number = runtime.removeprefix(language).removesuffix(".x")
    parts = tuple(int(part) for part in number.split(".") if part.isdecimal())
    if language not in _OLDEST or parts < _OLDEST[language]:
        raise InvalidParameterValueException(
            f"Runtime Enum {runtime} does not support specified feature: Lambda Managed Instances"
        )


def check_settings(version: FunctionVersion) -> None:
    """Hold the settings of a function on a capacity provider to what such functions can have.

    Raises:
        InvalidParameterValueException: it has too little memory, or SnapStart.
    """
    if not is_managed(version):
        return
    if version.memory_mb < MEMORY_MIN_MB:
        raise InvalidParameterValueException(
            f"MemorySize must be at least {MEMORY_MIN_MB} MB for functions with a capacity provider."
        )
    if version.passive["SnapStart"]["ApplyOn"] != "None":
        raise refusal("SnapStart is")


def refuse_managed(version: FunctionVersion, what: str) -> None:
    """Refuse what functions on capacity providers cannot have.

    Args:
        version: of the function.
        what: the words for it, with their verb: ``SnapStart is``.

    Raises:
        InvalidParameterValueException: it is such a function.
    """
    if is_managed(version):
        raise refusal(what)


def refusal(what: str) -> InvalidParameterValueException:
    """Return the error for what functions on capacity providers cannot have."""
    return InvalidParameterValueException(f"{what} not supported for functions with a capacity provider.")


def refuse_to_make_managed(version: FunctionVersion, parameters: Mapping[str, Any]) -> None:
    """Refuse to put an ordinary function on a capacity provider: that is chosen at creation.

    Raises:
        InvalidParameterValueException: that is asked for.
    """
    if not is_managed(version):
        _refuse_members(parameters)


def wants_latest_published(version: FunctionVersion, parameters: Mapping[str, Any]) -> bool:
    """Whether a request publishes ``$LATEST.PUBLISHED`` rather than a number.

    Raises:
        InvalidParameterValueException: it does, and the function is not on a capacity provider.
    """
    if "PublishTo" not in parameters:
        return False
    if not is_managed(version):
        raise InvalidParameterValueException("PublishTo isn't supported for Lambda Default functions.")
    return True


def with_latest_published(function: Function, digest: str, *, description: str | None = None) -> Function:
    """Return the function with ``$LATEST`` published as ``$LATEST.PUBLISHED``, which replaces what was there.

    Args:
        function: the function.
        digest: of ``$LATEST``; the same function is returned when that is what is published already.
        description: of the version, if not that of ``$LATEST``.
    """
    before = function.versions.get(LATEST_PUBLISHED)
    if before is not None and digest == function.latest_published_from:
        return function
    is_served = before is not None and before.state == "Active"
    version = replace(
        function.latest,
        version=LATEST_PUBLISHED,
        description=function.latest.description if description is None else description,
        revision_id=str(uuid.uuid4()),
        configuration_id=str(uuid.uuid4()),
        state="Active" if is_served else "Pending",
        state_reason=None if is_served else "The function is being created.",
        state_reason_code=None if is_served else "Creating",
        last_update_status="InProgress",
        last_update_status_reason=UPDATING,
        last_update_status_reason_code="Updating",
    )
    return replace(
        function,
        versions={**function.versions, LATEST_PUBLISHED: version},
        latest_published_from=digest,
    )
