"""Credentials in the members of STS's shapes."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from lambent.domain.session import Credentials


def credentials_members(credentials: Credentials, expires_s: int) -> dict[str, Any]:
    """Return the ``Credentials`` member."""
    return {
        "AccessKeyId": credentials.access_key_id,
        "SecretAccessKey": credentials.secret_access_key,
        "SessionToken": credentials.session_token,
        "Expiration": datetime.fromtimestamp(expires_s, UTC),
    }
