"""Between a `FunctionVersion` and AWS's FunctionConfiguration, both ways. Pure.

Defaults, the order of members and what is left out are those of recorded answers (API page
"FunctionConfiguration"). Members that nothing here acts upon live in `FunctionVersion.passive` as AWS shows
them, defaults included.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import msgspec

from lambent.domain.function import (
    Code,
    FunctionKey,
    FunctionVersion,
    LoggingConfig,
    runtime_version_arn,
)
from lambent.errors import InvalidParameterValueException
from lambent.services.lambda_.images import IMAGE, ZIP, image_config, refuse_zip_settings
from lambent.services.lambda_.managed_instances import CONFIG as CAPACITY_PROVIDER_CONFIG
from lambent.services.lambda_.managed_instances import (
    check_settings,
    is_managed,
    own_members,
    with_creation_defaults,
)
from lambent.services.lambda_.rules import (
    check_dead_letter_queue,
    check_file_systems,
    refuse_image_config,
)
from lambent.services.lambda_.runtimes import check_snap_start
from lambent.services.lambda_.tenancy import refuse_tenancy

CREATING = "The function is being created."

# The order in which AWS's model lists the members of a configuration.
_ORDER = (
    "FunctionName",
    "FunctionArn",
    "Runtime",
    "Role",
    "Handler",
    "CodeSize",
    "Description",
    "Timeout",
    "MemorySize",
    "LastModified",
    "CodeSha256",
    "Version",
    "VpcConfig",
    "DeadLetterConfig",
    "Environment",
    "KMSKeyArn",
    "TracingConfig",
    "RevisionId",
    "Layers",
    "State",
    "StateReason",
    "StateReasonCode",
    "LastUpdateStatus",
    "LastUpdateStatusReason",
    "LastUpdateStatusReasonCode",
    "FileSystemConfigs",
    "PackageType",
    "ImageConfigResponse",
    "Architectures",
    "EphemeralStorage",
    "SnapStart",
    "RuntimeVersionConfig",
    "LoggingConfig",
    "TenancyConfig",
    "CapacityProviderConfig",
    "AcceleratorConfig",
    "DurableConfig",
)
_NOT_IN_LISTS = frozenset(
    {
        "State",
        "StateReason",
        "StateReasonCode",
        "LastUpdateStatus",
        "LastUpdateStatusReason",
        "LastUpdateStatusReasonCode",
        "RuntimeVersionConfig",
    }
)


def configuration_of(version: FunctionVersion, *, is_qualified: bool) -> dict[str, Any]:
    """Return the FunctionConfiguration of a version.

    Args:
        version: what is described.
        is_qualified: whether the ARN ends with the version, as it does when the caller gave a qualifier.
    """
    members = {**version.passive, **_active_members(version)}
    if version.package_type == IMAGE:
        # The runtime and the handler are the image's affair.
        members |= {"Runtime": None, "Handler": None, "RuntimeVersionConfig": None}
    if is_managed(version):
        members["SnapStart"] = None
    members["FunctionArn"] = version.arn if is_qualified else version.key.arn
    return {name: members[name] for name in _ORDER if members.get(name) is not None}


def summary_of(version: FunctionVersion, *, is_qualified: bool) -> dict[str, Any]:
    """Return what lists show of a version: the configuration without its state."""
    members = configuration_of(version, is_qualified=is_qualified)
    return {name: value for name, value in members.items() if name not in _NOT_IN_LISTS}


def _active_members(version: FunctionVersion) -> dict[str, Any]:
    environment = version.environment
    return {
        "FunctionName": version.key.name,
        "Runtime": version.runtime,
        "Role": version.role,
        "Handler": version.handler,
        "CodeSize": version.code.size_bytes,
        "Description": version.description,
        "Timeout": version.timeout_s,
        "MemorySize": version.memory_mb,
        "LastModified": version.last_modified,
        "CodeSha256": version.code.sha256,
        "Version": version.version,
        "Environment": None if environment is None else {"Variables": dict(environment)},
        "RevisionId": version.revision_id,
        "State": version.state,
        "StateReason": version.state_reason,
        "StateReasonCode": version.state_reason_code,
        "LastUpdateStatus": version.last_update_status,
        "LastUpdateStatusReason": version.last_update_status_reason,
        "LastUpdateStatusReasonCode": version.last_update_status_reason_code,
        "PackageType": version.package_type,
        "Architectures": [version.architecture],
        "EphemeralStorage": {"Size": version.ephemeral_storage_mb},
        "RuntimeVersionConfig": {
            "RuntimeVersionArn": runtime_version_arn(version.key.region, version.runtime)
        },
        "LoggingConfig": _logging_members(version.logging),
        "Layers": [{"Arn": layer.arn, "CodeSize": layer.code.size_bytes} for layer in version.layers] or None,
    }


def _logging_members(logging: LoggingConfig) -> dict[str, str]:
    members = {
        "LogFormat": logging.format,
        "ApplicationLogLevel": logging.application_level,
        "SystemLogLevel": logging.system_level,
        "LogGroup": logging.group,
    }
    return {name: value for name, value in members.items() if value is not None}


def new_version(key: FunctionKey, code: Code, parameters: Mapping[str, Any], *, now: str) -> FunctionVersion:
    """Return the ``$LATEST`` of a function that is being created.

    Args:
        key: the function.
        code: its deployment package.
        parameters: those of CreateFunction.
        now: the time, as ``LastModified`` has it.

    Raises:
        InvalidParameterValueException: members contradict one another.
    """
    parameters = with_creation_defaults(parameters)
    blank = FunctionVersion(
        key=key,
        code=code,
        runtime=parameters.get("Runtime", ""),
        handler=parameters.get("Handler", ""),
        package_type=parameters.get("PackageType", ZIP),
        role=parameters["Role"],
        architecture=parameters.get("Architectures", ["x86_64"])[0],
        logging=LoggingConfig(group=f"/aws/lambda/{key.name}"),
        passive={
            "TracingConfig": {"Mode": "PassThrough"},
            "SnapStart": {"ApplyOn": "None", "OptimizationStatus": "Off"},
            **({"DurableConfig": _durable_config(parameters)} if "DurableConfig" in parameters else {}),
            **{
                member: parameters[member]
                for member in ("TenancyConfig", CAPACITY_PROVIDER_CONFIG)
                if member in parameters
            },
        },
        state="Pending",
        state_reason=CREATING,
        state_reason_code="Creating",
    )
    return changed(with_settings(blank, parameters), now=now)


def with_settings(version: FunctionVersion, parameters: Mapping[str, Any]) -> FunctionVersion:
    """Return the version with the configuration members that are given; the others stay as they are.

    Raises:
        InvalidParameterValueException: members contradict one another or what was there before.
    """
    if version.package_type == IMAGE:
        refuse_zip_settings(parameters)
    environment = version.environment
    if "Environment" in parameters:
        environment = parameters["Environment"].get("Variables", {})
    after = replace(
        version,
        runtime=parameters.get("Runtime", version.runtime),
        handler=parameters.get("Handler", version.handler),
        role=parameters.get("Role", version.role),
        description=parameters.get("Description", version.description),
        memory_mb=parameters.get("MemorySize", version.memory_mb),
        timeout_s=parameters.get("Timeout", version.timeout_s),
        environment=environment,
        ephemeral_storage_mb=parameters.get("EphemeralStorage", {}).get("Size", version.ephemeral_storage_mb),
        logging=_logging_after(version.logging, parameters.get("LoggingConfig", {})),
        passive=_passive_after(version, parameters),
    )
    check_settings(after)
    check_file_systems(after.passive.get("FileSystemConfigs", ()), after.passive.get("VpcConfig"))
    if after.passive["SnapStart"]["ApplyOn"] == "PublishedVersions":
        refuse_tenancy(after, "SnapStart is")
        check_snap_start(
            after.runtime,
            package_type=after.package_type,
            ephemeral_storage_mb=after.ephemeral_storage_mb,
            has_file_systems=bool(after.passive.get("FileSystemConfigs")),
        )
    return after


def changed(version: FunctionVersion, *, now: str) -> FunctionVersion:
    """Return the version under new ids, after its code or configuration was changed."""
    return replace(
        version, last_modified=now, revision_id=str(uuid.uuid4()), configuration_id=str(uuid.uuid4())
    )


def updating(version: FunctionVersion, *, now: str) -> FunctionVersion:
    """Return the changed version as the callers see it until the change is in effect."""
    return replace(
        changed(version, now=now),
        last_update_status="InProgress",
        last_update_status_reason=CREATING,
        last_update_status_reason_code="Creating",
    )


def configuration_digest(version: FunctionVersion) -> str:
    """Return a digest of code and configuration: equal when publishing again would make the same version."""
    neutral = replace(
        version,
        version="",
        state="",
        state_reason=None,
        state_reason_code=None,
        last_update_status=None,
        last_update_status_reason=None,
        last_update_status_reason_code=None,
        last_modified="",
        revision_id="",
        configuration_id="",
    )
    return hashlib.sha256(msgspec.json.encode(neutral, order="sorted")).hexdigest()


def _logging_after(before: LoggingConfig, given: Mapping[str, str]) -> LoggingConfig:
    if not given:
        return before
    log_format = given.get("LogFormat", before.format)
    levels = given.get("ApplicationLogLevel"), given.get("SystemLogLevel")
    group = given.get("LogGroup", before.group)
    if log_format == "Text":
        if any(levels):
            raise InvalidParameterValueException(
                'LogLevel is not supported when LogFormat is set to "Text". Remove LogLevel from your request '
                'or change the LogFormat to "JSON" and try again.'
            )
        return LoggingConfig(group=group, format=log_format)
    return LoggingConfig(
        group=group,
        format=log_format,
        application_level=levels[0] or before.application_level or "INFO",
        system_level=levels[1] or before.system_level or "INFO",
    )


def _passive_after(version: FunctionVersion, parameters: Mapping[str, Any]) -> dict[str, Any]:
    before = version.passive
    after = dict(before)
    if mode := parameters.get("TracingConfig", {}).get("Mode"):
        after["TracingConfig"] = {"Mode": mode}
    if apply_on := parameters.get("SnapStart", {}).get("ApplyOn"):
        after["SnapStart"] = {"ApplyOn": apply_on, "OptimizationStatus": "Off"}
    if "VpcConfig" in parameters:
        after["VpcConfig"] = _vpc_config(version.key, parameters["VpcConfig"], before.get("VpcConfig", {}))
    if "DurableConfig" in parameters:
        if "DurableConfig" not in before:
            raise InvalidParameterValueException("DurableConfig can only be set when a function is created.")
        after["DurableConfig"] = {**before["DurableConfig"], **parameters["DurableConfig"]}
    after |= own_members(parameters)
    if "ImageConfig" in parameters:
        if version.package_type != IMAGE:
            refuse_image_config()
        after.pop("ImageConfigResponse", None)
        if config := image_config(parameters["ImageConfig"]):
            after["ImageConfigResponse"] = {"ImageConfig": config}
    queue = parameters.get("DeadLetterConfig", {}).get("TargetArn")
    check_dead_letter_queue(queue, region=version.key.region)
    # An empty value takes the member away.
    for member, value in (
        ("DeadLetterConfig", queue),
        ("KMSKeyArn", parameters.get("KMSKeyArn")),
        ("FileSystemConfigs", parameters.get("FileSystemConfigs")),
    ):
        if member not in parameters:
            continue
        after.pop(member, None)
        if value:
            after[member] = {"TargetArn": value} if member == "DeadLetterConfig" else value
    return after


def _vpc_config(key: FunctionKey, given: Mapping[str, Any], before: Mapping[str, Any]) -> dict[str, Any]:
    subnets = given.get("SubnetIds", before.get("SubnetIds", []))
    groups = given.get("SecurityGroupIds", before.get("SecurityGroupIds", []))
    if bool(subnets) != bool(groups):
        raise InvalidParameterValueException("SubnetIds and SecurityIds must coexist or be both empty list.")
    # There is no EC2 to ask: all subnets of an account and region are taken to be in one VPC.
    vpc_id = "vpc-" + hashlib.sha256(f"{key.account}/{key.region}".encode()).hexdigest()[:17]
    return {
        "SubnetIds": subnets,
        "SecurityGroupIds": groups,
        "VpcId": vpc_id if subnets else "",
        "Ipv6AllowedForDualStack": given.get(
            "Ipv6AllowedForDualStack", before.get("Ipv6AllowedForDualStack", False)
        ),
    }


def _durable_config(parameters: Mapping[str, Any]) -> dict[str, Any]:
    if "ExecutionTimeout" not in parameters["DurableConfig"]:
        raise InvalidParameterValueException(
            "You cannot create a function with a durable configuration without an executionTimeout"
        )
    return {"RetentionPeriodInDays": 14, **parameters["DurableConfig"]}
