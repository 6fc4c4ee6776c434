"""Who is who: the credentials of functions, the keys of callers, and what is asked of both."""

from __future__ import annotations

import hashlib
import json
import logging
import secrets
from collections.abc import Awaitable, Callable

from lambent.clock import Clock
from lambent.data_directory import DataDirectory, DataDirectoryError, write_private
from lambent.domain.function import FunctionVersion
from lambent.domain.session import Credentials, Session, seal
from lambent.gateway.auth import IamAuthentication, OpenAuthentication, RootKey
from lambent.gateway.dispatch import Authentication
from lambent.settings import Settings
from lambent.store.identities import Identities

_log = logging.getLogger(__name__)
_CREDENTIALS_VALID_S = 12 * 3600


def execution_credentials(
    identities: Identities, secret: bytes, clock: Clock
) -> Callable[[FunctionVersion], Awaitable[Credentials]]:
    """Return what makes the credentials of a version's environments: sessions of its execution role."""

    async def credentials(version: FunctionVersion) -> Credentials:
        role = await identities.find_role(version.role)
        session = Session(
            account=version.role.split(":")[4] or version.key.account,
            role_arn=version.role,
            role_id=role.id if role else _unknown_role_id(version.role),
            name=version.key.name,
            expires_s=int(clock.now_s()) + _CREDENTIALS_VALID_S,
        )
        return seal(secret, session)

    return credentials


def _unknown_role_id(role_arn: str) -> str:
    """A stable id for a role that open authentication accepted without its existing."""
    return "AROA" + hashlib.sha256(role_arn.encode()).hexdigest()[:17].upper()


def build_authentication(
    settings: Settings, identities: Identities, data: DataDirectory, clock: Clock
) -> Authentication:
    """Return what says who asks, as `auth` wills."""
    account = settings.server.account
    if settings.server.auth == "open":
        return OpenAuthentication(
            keys=identities, secret=data.secret, account=account, region=settings.server.region
        )
    return IamAuthentication(
        keys=identities, secret=data.secret, root=_root_key(data), account=account, clock=clock
    )


def find_metrics_token(settings: Settings, data: DataDirectory) -> str | None:
    """Return what has to be shown for the metrics, made at the first start with `auth = iam`."""
    if settings.server.auth == "open":
        return None
    if not data.metrics_token.exists():
        write_private(data.metrics_token, secrets.token_urlsafe(30).encode())
    try:
        if token := data.metrics_token.read_text().strip():
            return token
    except (OSError, ValueError):
        pass
    raise DataDirectoryError(
        f"{data.metrics_token} is damaged: remove it, and a new token is made at the next start."
    )


def _root_key(data: DataDirectory) -> RootKey:
    """Read the root's access key, made at the first start with `auth = iam`."""
    if not data.root_key.exists():
        key = {
            "AccessKeyId": "AKIA" + secrets.token_hex(8).upper(),
            "SecretAccessKey": secrets.token_urlsafe(30),
        }
        write_private(data.root_key, json.dumps(key, indent=2).encode())
    try:
        found = json.loads(data.root_key.read_text())
        return RootKey(access_key_id=found["AccessKeyId"], secret_access_key=found["SecretAccessKey"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataDirectoryError(
            f"{data.root_key} is damaged: remove it, and a new access key of the root is made at the next start."
        ) from error
