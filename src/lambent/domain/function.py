"""A function and its versions: what is stored, and what an execution environment is made from.

Members that the invocation path does not use (VpcConfig, TracingConfig, …) are kept word for word in
`FunctionVersion.passive` under their AWS names and returned as they came.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from lambent.domain.alias import Alias
from lambent.domain.concurrency import ProvisionedConcurrency
from lambent.domain.event_invoke_config import EventInvokeConfig
from lambent.domain.function_url import FunctionUrl
from lambent.domain.resource_policy import ResourcePolicy
from lambent.domain.runtime_management import RuntimeManagement

LATEST = "$LATEST"
LATEST_PUBLISHED = "$LATEST.PUBLISHED"
"""Of functions on capacity providers: what was published last without a number."""


class FunctionKey(msgspec.Struct, frozen=True, kw_only=True, gc=False, cache_hash=True):
    """Which function: names are unique in an account and region."""

    account: str
    region: str
    name: str

    @property
    def path(self) -> str:
        """``account/region/name``, the key under which the store keeps it."""
        return f"{self.account}/{self.region}/{self.name}"

    @property
    def arn(self) -> str:
        """The unqualified function ARN."""
        return f"arn:aws:lambda:{self.region}:{self.account}:function:{self.name}"

    def qualified_arn(self, qualifier: str) -> str:
        """The function ARN with a version or alias."""
        return f"{self.arn}:{qualifier}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """A deployment package: its blob, its size, and AWS's name for its content; or a container image."""

    blob: str
    """SHA-256 of the zip in hex, the blob's name in the store; empty for an image."""
    sha256: str
    """``CodeSha256``: the same hash in base64, or the digest of an image in hex."""
    size_bytes: int
    unzipped_bytes: int = 0
    """What the files take; 0 when it was kept before this was measured."""
    image_uri: str = ""
    """Of an image, as the caller gave it."""
    source_kms_key_arn: str = ""
    """With which the caller had the package encrypted; kept for the caller only."""
    s3_object: Mapping[str, str] = field(default_factory=dict[str, str])
    """Where the caller keeps it and refers to it (``S3ObjectStorageMode=REFERENCE``), by AWS's members."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AttachedLayer:
    """A layer version that a function version has; it stays when the layer version is deleted."""

    arn: str
    """Of the layer version."""
    code: Code


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggingConfig:
    """Where and how a function logs."""

    group: str
    format: str = "Text"
    """``Text`` or ``JSON``."""
    application_level: str | None = None
    """TRACE … FATAL; only with JSON."""
    system_level: str | None = None
    """DEBUG, INFO or WARN; only with JSON."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionVersion:
    """Code and configuration of ``$LATEST`` or of a published version."""

    key: FunctionKey
    version: str = LATEST
    code: Code
    runtime: str
    """Empty for an image, and so is the handler."""
    handler: str
    role: str
    logging: LoggingConfig
    description: str = ""
    memory_mb: int = 128
    timeout_s: int = 3
    environment: Mapping[str, str] | None = None
    """None: never set; AWS then leaves the member out."""
    ephemeral_storage_mb: int = 512
    architecture: str = "x86_64"
    package_type: str = "Zip"
    passive: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Members by AWS name that are kept for the caller only."""
    layers: tuple[AttachedLayer, ...] = ()
    """In the order in which they are merged: of two files with one name, the later layer's is there."""
    state: str = "Pending"
    state_reason: str | None = None
    state_reason_code: str | None = None
    last_update_status: str | None = None
    last_update_status_reason: str | None = None
    last_update_status_reason_code: str | None = None
    last_modified: str = ""
    """``2026-01-02T03:04:05.678+0000``."""
    revision_id: str = ""
    """UUID; new on each change, also of state."""
    configuration_id: str = ""
    """UUID; new when code or configuration change, so that environments of the old ones are retired."""

    @property
    def arn(self) -> str:
        """The ARN qualified with this version."""
        return self.key.qualified_arn(self.version)

    @property
    def is_snap_start(self) -> bool:
        """Whether its environments are to start from a snapshot: on ``$LATEST`` SnapStart has no effect."""
        applies_on = self.passive.get("SnapStart", {}).get("ApplyOn")
        return self.version != LATEST and applies_on == "PublishedVersions"

    @property
    def has_snapshot(self) -> bool:
        """Whether a snapshot of it was taken when it was published."""
        return self.passive.get("SnapStart", {}).get("OptimizationStatus") == "On"


@dataclass(frozen=True, slots=True, kw_only=True)
class Function:
    """A function: its ``$LATEST`` version and what belongs to no version."""

    key: FunctionKey
    latest: FunctionVersion
    serving: FunctionVersion | None = None
    """While an update is in progress: the version that invocations still use."""
    tags: Mapping[str, str] = field(default_factory=dict[str, str])
    reserved_concurrency: int | None = None
    versions: Mapping[str, FunctionVersion] = field(default_factory=dict[str, FunctionVersion])
    """Published versions by number; never changed, except in state."""
    last_published: int = 0
    """The number of the newest version ever published: numbers are not used twice."""
    published_from: str = ""
    """What `configuration_digest` was of ``$LATEST`` when it was last published."""
    latest_published_from: str = ""
    """The same of what was published as ``$LATEST.PUBLISHED``."""
    scaling: Mapping[str, Mapping[str, int]] = field(default_factory=dict[str, Mapping[str, int]])
    """``FunctionScalingConfig`` by version; only of functions on capacity providers."""
    urls: Mapping[str, FunctionUrl] = field(default_factory=dict[str, FunctionUrl])
    """Function URLs by alias; that of the function itself under ``$LATEST``."""
    aliases: Mapping[str, Alias] = field(default_factory=dict[str, Alias])
    """By name."""
    provisioned: Mapping[str, ProvisionedConcurrency] = field(
        default_factory=dict[str, ProvisionedConcurrency]
    )
    """Provisioned concurrency by version number or alias."""
    event_invoke_configs: Mapping[str, EventInvokeConfig] = field(
        default_factory=dict[str, EventInvokeConfig]
    )
    """Asynchronous invocation settings by version number or alias; the function's own under ``$LATEST``."""
    runtime_management: Mapping[str, RuntimeManagement] = field(default_factory=dict[str, RuntimeManagement])
    """Runtime update modes by version, where one was chosen."""
    recursive_loop: str = "Terminate"
    """``Terminate`` or ``Allow``: what to do when the function keeps calling itself."""
    code_signing_config_arn: str | None = None
    policies: Mapping[str, ResourcePolicy] = field(default_factory=dict[str, ResourcePolicy])
    """Resource-based policies by version number or alias; the function's own under ``$LATEST``."""

    @property
    def invocable(self) -> FunctionVersion:
        """The version that an unqualified invocation runs now."""
        return self.serving or self.latest


class ActivationError(Exception):
    """A version cannot be made ready to run; it becomes ``Failed`` with this reason.

    Args:
        reason: one sentence for the caller (``StateReason`` or ``LastUpdateStatusReason``).
        reason_code: AWS's code for it, for instance ``InvalidRuntime`` (API page "FunctionConfiguration").
    """

    def __init__(self, reason: str, reason_code: str = "InternalError") -> None:
        super().__init__(reason)
        self.reason = reason
        self.reason_code = reason_code


def runtime_version_arn(region: str, runtime: str) -> str:
    """Return ``RuntimeVersionConfig.RuntimeVersionArn`` of a runtime identifier such as ``python3.12``."""
    return f"arn:aws:lambda:{region}::runtime:{hashlib.sha256(runtime.encode()).hexdigest()}"
