"""Names as values: Amazon Resource Names, taken apart and put together in one place."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Arn:
    """``arn:partition:service:region:account:resource``; ``resource`` may hold further colons."""

    partition: str = "aws"
    service: str
    region: str
    account: str
    resource: str

    def __str__(self) -> str:
        return f"arn:{self.partition}:{self.service}:{self.region}:{self.account}:{self.resource}"


def parse_arn(text: str) -> Arn | None:
    """Return the parts of an ARN, or None when the text is not one."""
    parts = text.split(":", 5)
    if len(parts) != 6 or parts[0] != "arn" or not parts[2] or not parts[5]:
        return None
    return Arn(partition=parts[1], service=parts[2], region=parts[3], account=parts[4], resource=parts[5])


def role_arn(account: str, name: str, path: str = "/") -> str:
    """Return the ARN of an IAM role."""
    return f"arn:aws:iam::{account}:role{path}{name}"
