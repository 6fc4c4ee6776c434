"""Who asks: from a signed request to an account, a region and a principal.

`open` authentication believes everybody and only reads who they say they are; `iam` verifies the signature
(AWS page "Signature Version 4 signing process") against the access keys of users and of the account's root.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol
from urllib.parse import parse_qs, urlsplit

import msgspec

from lambent.clock import Clock
from lambent.domain.call import Principal, root_principal
from lambent.domain.identity import AccessKey
from lambent.domain.session import ASSUMED_ROLE_KEY_PREFIX, Session, unseal
from lambent.errors import (
    AccessDeniedException,
    ExpiredTokenException,
    MissingAuthenticationTokenException,
    UnrecognizedClientException,
)
from lambent.wire.http import HttpRequest
from lambent.wire.scope import Scope, credential_scope
from lambent.wire.sigv4 import parse_authorization, verify

_ACCOUNT_DIGITS = 12
USER_KEY_PREFIX = "AKIA"
_INVALID_TOKEN = "The security token included in the request is invalid."  # noqa: S105


class Caller(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Who asks, and where."""

    account: str
    region: str
    access_key_id: str
    principal: Principal
    session: Session | None = None
    """For temporary credentials: the session behind them."""


ANYBODY = Caller(
    account="", region="", access_key_id="", principal=Principal(arn="Anonymous", user_id="Anonymous")
)
"""Who asks without a signature, where none is needed."""


class AccessKeys(Protocol):
    """Where access keys of users are looked up."""

    async def find_access_key(self, access_key_id: str) -> AccessKey | None:
        """Return the key, or None."""
        ...

    async def note_use(self, access_key_id: str, *, at_s: float, service: str, region: str) -> None:
        """Remember that a key signed a request."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class RootKey:
    """The access key of the account's root, for `iam` authentication before there are users."""

    access_key_id: str
    secret_access_key: str


class OpenAuthentication:
    """Believes every caller: the access key id says who it is."""

    def __init__(self, *, keys: AccessKeys, secret: bytes, account: str, region: str) -> None:
        self._keys = keys
        self._secret = secret
        self._account = account
        self._region = region
        self._of_scope = lru_cache(maxsize=1024)(self._account_of)

    async def authenticate(self, request: HttpRequest) -> Caller:
        """Return the caller; a request without credentials is the default account's root.

        Raises:
            AccessDeniedException: a web page of another site sent the request.
        """
        _refuse_foreign_pages(request)
        scope = credential_scope(request)
        if (known := self._of_scope(scope)) is not None:
            return known
        assert scope is not None, "who claims nothing is known"
        access_key_id, region, _ = scope
        if access_key_id.startswith(ASSUMED_ROLE_KEY_PREFIX):
            found = unseal(self._secret, access_key_id, _session_token(request))
            if found is not None:
                return _of_session(found[0], region, access_key_id)
        elif access_key_id.startswith(USER_KEY_PREFIX):
            key = await self._keys.find_access_key(access_key_id)
            if key is not None:
                return _of_key(key, region)
        return self._root(self._account, region, access_key_id)

    def known(self, request: HttpRequest, scope: Scope | None) -> Caller | None:
        """Return the caller where nothing has to be weighed or looked up; None: `authenticate` finds out."""
        if "origin" in request.headers:
            return None
        return self._of_scope(scope)

    def _account_of(self, scope: Scope | None) -> Caller | None:
        """Return the caller that a scope names by an account, as its root; None: it is somebody's access key."""
        if scope is None:
            return self._root(self._account, self._region, "")
        access_key_id, region, _ = scope
        if len(access_key_id) == _ACCOUNT_DIGITS and access_key_id.isascii() and access_key_id.isdigit():
            return self._root(access_key_id, region, access_key_id)
        return None

    def _root(self, account: str, region: str, access_key_id: str) -> Caller:
        return _root_of(account, region or self._region, access_key_id)


class IamAuthentication:
    """Verifies signatures."""

    def __init__(self, *, keys: AccessKeys, secret: bytes, root: RootKey, account: str, clock: Clock) -> None:
        self._keys = keys
        self._secret = secret
        self._root = root
        self._account = account
        self._clock = clock

    def known(self, request: HttpRequest, scope: Scope | None) -> Caller | None:
        """Return None: every signature is verified, by `authenticate`."""
        return None

    async def authenticate(self, request: HttpRequest) -> Caller:
        """Return the caller that signed the request.

        Raises:
            MissingAuthenticationTokenException, IncompleteSignatureException, UnrecognizedClientException,
            ExpiredTokenException, InvalidSignatureException, RequestExpired: as AWS answers.
        """
        authorization = parse_authorization(request)
        if authorization is None:
            raise MissingAuthenticationTokenException("Missing Authentication Token")
        secret_access_key, caller = await self._find(
            authorization.access_key_id, authorization.region, request
        )
        now_s = self._clock.now_s()
        verify(request, authorization, secret_access_key, now_s)
        if authorization.access_key_id.startswith(USER_KEY_PREFIX):
            await self._keys.note_use(
                authorization.access_key_id,
                at_s=now_s,
                service=authorization.service,
                region=authorization.region,
            )
        return caller

    async def _find(self, access_key_id: str, region: str, request: HttpRequest) -> tuple[str, Caller]:
        if access_key_id == self._root.access_key_id:
            return self._root.secret_access_key, _root_of(self._account, region, access_key_id)
        if access_key_id.startswith(ASSUMED_ROLE_KEY_PREFIX):
            found = unseal(self._secret, access_key_id, _session_token(request))
            if found is None:
                raise UnrecognizedClientException(_INVALID_TOKEN)
            session, credentials = found
            if session.expires_s <= self._clock.now_s():
                raise ExpiredTokenException("The security token included in the request is expired")
            return credentials.secret_access_key, _of_session(session, region, access_key_id)
        key = await self._keys.find_access_key(access_key_id)
        if key is None or key.status != "Active":
            raise UnrecognizedClientException(_INVALID_TOKEN)
        return key.secret, _of_key(key, region)


def _refuse_foreign_pages(request: HttpRequest) -> None:
    """Every site that the user visits could otherwise run code here: browsers reach loopback addresses."""
    origin = request.headers.get("origin")
    if origin is None:
        return
    try:
        host = urlsplit(origin).hostname or ""
    except ValueError:
        host = ""
    if host != "localhost" and not host.endswith(".localhost") and not is_loopback(host):
        raise AccessDeniedException(f"Requests from web pages of {origin} are refused while auth is open.")


def is_loopback(host: str) -> bool:
    """Whether a host is an address that only this machine reaches; names are not looked up."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@lru_cache(maxsize=1024)
def _root_of(account: str, region: str, access_key_id: str) -> Caller:
    return Caller(
        account=account, region=region, access_key_id=access_key_id, principal=root_principal(account)
    )


def _of_session(session: Session, region: str, access_key_id: str) -> Caller:
    principal = Principal(arn=session.arn, user_id=session.user_id)
    return Caller(
        account=session.account,
        region=region,
        access_key_id=access_key_id,
        principal=principal,
        session=session,
    )


def _of_key(key: AccessKey, region: str) -> Caller:
    principal = Principal(arn=key.user_arn, user_id=key.user_id)
    return Caller(account=key.account, region=region, access_key_id=key.id, principal=principal)


def _session_token(request: HttpRequest) -> str:
    token = request.headers.get("x-amz-security-token")
    if token is None and "X-Amz-Security-Token=" in request.query:
        token = parse_qs(request.query).get("X-Amz-Security-Token", [""])[0]
    return token or ""
