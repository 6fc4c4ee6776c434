"""Text messages of SNS: telephone numbers, and what an account has settled about them. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

TEXT_MAX = 1_600
"""How many characters a text message may have (AWS page "Publishing SMS messages to a mobile phone")."""
_SEPARATORS = re.compile(r"(?<=[0-9])[-. ](?=[0-9])")
_NUMBER = re.compile(r"\+?[1-9][0-9]{6,14}")
_DEFAULTS: Mapping[str, str] = {"MonthlySpendLimit": "1"}


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxNumber:
    """A telephone number that is to be verified."""

    password: str
    """Its one-time password."""
    is_verified: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TextMessageSettings:
    """What an account has settled about text messages in a region."""

    account: str
    region: str
    attributes: Mapping[str, str] = field(default_factory=dict[str, str])
    """By AWS name, those that were set."""
    numbers: Mapping[str, SandboxNumber] = field(default_factory=dict[str, SandboxNumber])

    @property
    def key(self) -> str:
        """``account/region``."""
        return f"{self.account}/{self.region}"

    @property
    def shown(self) -> dict[str, str]:
        """Its attributes as callers see them."""
        return {**_DEFAULTS, **self.attributes}


def is_telephone_number(text: str) -> bool:
    """Whether a text is a telephone number: E.164, with single separators between its parts if one likes."""
    return _NUMBER.fullmatch(_SEPARATORS.sub("", text)) is not None
