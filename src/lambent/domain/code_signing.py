"""Code signing configurations: who may have signed the code of a function, and what becomes of other code. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

ENFORCE = "Enforce"
WARN = "Warn"


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeSigningConfig:
    """A code signing configuration (API page "CodeSigningConfig")."""

    account: str
    region: str
    id: str
    """``csc-`` and 17 letters or digits."""
    signing_profile_version_arns: Sequence[str]
    """Those whose signatures are trusted."""
    untrusted_artifact_on_deployment: str = WARN
    """``Warn`` or ``Enforce``: whether code without such a signature is deployed."""
    description: str | None = None
    last_modified: str
    """``2026-01-02T03:04:05.678+0000``."""
    tags: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def arn(self) -> str:
        """The ARN, by which callers name it."""
        return f"arn:aws:lambda:{self.region}:{self.account}:code-signing-config:{self.id}"
