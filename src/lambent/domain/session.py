"""Temporary credentials that need no storage.

A session token carries its own session, sealed with the server's secret: whoever holds the secret can read
and verify it, so credentials of execution roles and of AssumeRole cost nothing to make and survive a restart.
The secret access key is derived from the token, so a signature can be verified without looking anything up.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

from lambent.domain.identity import access_key_id

ASSUMED_ROLE_KEY_PREFIX = "ASIA"


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """An assumed role: the identity behind temporary credentials."""

    account: str
    role_arn: str
    role_id: str
    """``AROA…``."""
    name: str
    """The role session name; for execution roles the function's name."""
    expires_s: int
    """Seconds since the epoch."""
    policy: str | None = None
    """The session policy document, when AssumeRole was given one."""
    policy_arns: tuple[str, ...] = ()
    """Managed policies that AssumeRole was given as session policies."""
    tags: Mapping[str, str] = field(default_factory=dict[str, str])
    """Session tags, those inherited along a chain of roles included."""
    transitive_tag_keys: tuple[str, ...] = ()
    """Keys of the tags that a role assumed from this session inherits."""
    source_identity: str | None = None
    lent_arn: str | None = None
    """Set when no role was assumed: the session lends a user's (or root's) own identity (GetSessionToken)."""
    lent_id: str | None = None
    """The user id that goes with it."""
    federated_name: str | None = None
    """Set when a user (or root) lent a part of what it may do to somebody of this name (GetFederationToken)."""

    @property
    def arn(self) -> str:
        """``arn:aws:sts::account:assumed-role/role-name/session-name``, or the ARN of the lent identity.

        Of a federated user ``arn:aws:sts::account:federated-user/name``.
        """
        if self.federated_name is not None:
            return f"arn:aws:sts::{self.account}:federated-user/{self.federated_name}"
        if self.lent_arn is not None:
            return self.lent_arn
        return f"arn:aws:sts::{self.account}:assumed-role/{self.role_arn.rsplit('/', 1)[-1]}/{self.name}"

    @property
    def user_id(self) -> str:
        """``AROA…:session-name``, the id of the lent identity, or ``account:name`` of a federated user."""
        if self.federated_name is not None:
            return f"{self.account}:{self.federated_name}"
        return self.lent_id or f"{self.role_id}:{self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """What a client needs to sign requests."""

    access_key_id: str
    secret_access_key: str
    session_token: str
    expires_s: int = 0
    """Seconds since the epoch."""


def credentials_document(credentials: Credentials) -> bytes:
    """Return the JSON with which a container credentials provider answers (SDK page of that name)."""
    expiration = datetime.fromtimestamp(credentials.expires_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return json.dumps(
        {
            "AccessKeyId": credentials.access_key_id,
            "SecretAccessKey": credentials.secret_access_key,
            "Token": credentials.session_token,
            "Expiration": expiration,
        }
    ).encode()


def seal(secret: bytes, session: Session) -> Credentials:
    """Make temporary credentials for a session."""
    body = json.dumps(asdict(session), separators=(",", ":"), sort_keys=True).encode()
    token = base64.b64encode(_mac(secret, b"token", body) + body).decode()
    return _credentials(secret, session, token)


def unseal(secret: bytes, access_key_id: str, token: str) -> tuple[Session, Credentials] | None:
    """Return the session that a token carries and its credentials, or None when it is not ours.

    Expiry is the caller's to judge: AWS answers an expired token with an error of its own.
    """
    try:
        raw = base64.b64decode(token, validate=True)
        mac, body = raw[:32], raw[32:]
        if not hmac.compare_digest(mac, _mac(secret, b"token", body)):
            return None
        session = _session(json.loads(body))
    except (KeyError, TypeError, ValueError):
        return None
    credentials = _credentials(secret, session, token)
    if credentials.access_key_id != access_key_id:
        return None
    return session, credentials


def _session(members: dict[str, Any]) -> Session:
    for name in ("policy_arns", "transitive_tag_keys"):
        members[name] = tuple(members[name])
    return Session(**members)


def _credentials(secret: bytes, session: Session, token: str) -> Credentials:
    key = _mac(secret, b"access-key", token.encode())
    return Credentials(
        access_key_id=access_key_id(ASSUMED_ROLE_KEY_PREFIX, session.account, key),
        secret_access_key=base64.b64encode(_mac(secret, b"secret-key", token.encode())[:30]).decode(),
        session_token=token,
        expires_s=session.expires_s,
    )


def _mac(secret: bytes, purpose: bytes, message: bytes) -> bytes:
    return hmac.new(secret, purpose + b"\0" + message, hashlib.sha256).digest()
