"""Who a request comes from: believed with `open`, verified with `iam`."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

import pytest
from botocore.auth import SigV4Auth, SigV4QueryAuth
from botocore.credentials import Credentials as SigningCredentials

from lambent.domain.identity import AccessKey
from lambent.domain.session import Credentials, Session, seal
from lambent.errors import (
    AccessDeniedException,
    ExpiredTokenException,
    IncompleteSignatureException,
    InvalidSignatureException,
    MissingAuthenticationTokenException,
    RequestExpired,
    ServiceError,
    UnrecognizedClientException,
)
from lambent.gateway.auth import Caller, IamAuthentication, OpenAuthentication, RootKey
from lambent.testing import ManualClock
from lambent.wire.http import HttpRequest
from lambent.wire.sigv4 import parse_authorization
from lambent.wire.timestamps import from_text, to_unix
from samples import replace
from wire import oracle

SECRET = b"the server's secret"
ACCOUNT = "000000000000"
OTHER_ACCOUNT = "123456789012"
USER_KEY = AccessKey(
    id="AKIAIOSFODNN7EXAMPLE",
    secret="wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    account=OTHER_ACCOUNT,
    user_name="alice",
    user_path="/team/",
    user_id="AIDAEXAMPLE",
    created_s=0,
)
ROOT = RootKey(access_key_id="AKIA0123456789ABCDEF", secret_access_key="root's")
ROLE_ARN = f"arn:aws:iam::{OTHER_ACCOUNT}:role/worker"
SESSION_ARN = f"arn:aws:sts::{OTHER_ACCOUNT}:assumed-role/worker/f"
FOREVER_S = 4_000_000_000


class Keys:
    """The access keys of users, in memory."""

    def __init__(self, *keys: AccessKey) -> None:
        self._keys = {key.id: key for key in keys}
        self.used: list[tuple[str, str, str]] = []

    async def find_access_key(self, access_key_id: str) -> AccessKey | None:
        return self._keys.get(access_key_id)

    async def note_use(self, access_key_id: str, *, at_s: float, service: str, region: str) -> None:
        self.used.append((access_key_id, service, region))

    def delete(self, access_key_id: str) -> None:
        del self._keys[access_key_id]


def request(
    credentials: Credentials | AccessKey | RootKey | str | None,
    *,
    secret: str = "any",
    service: str = "lambda",
    operation: str = "ListFunctions",
    expires_s: int | None = None,
    **parameters: Any,
) -> HttpRequest:
    """A request signed by botocore with these credentials, or not at all."""
    asked = oracle.aws_request(service, operation, parameters)
    signing = _signing(credentials, secret)
    if signing is not None:
        name = oracle.model(service).signing_name
        signer = SigV4Auth if expires_s is None else partial(SigV4QueryAuth, expires=expires_s)
        signer(signing, name, "us-east-1").add_auth(asked)
    return oracle.http_request(asked)


def _signing(credentials: Any, secret: str) -> SigningCredentials | None:
    if isinstance(credentials, str):
        return SigningCredentials(credentials, secret)
    if isinstance(credentials, AccessKey):
        return SigningCredentials(credentials.id, credentials.secret)
    if isinstance(credentials, Credentials):
        return SigningCredentials(
            credentials.access_key_id, credentials.secret_access_key, credentials.session_token
        )
    if isinstance(credentials, RootKey):
        return SigningCredentials(credentials.access_key_id, credentials.secret_access_key)
    return None


def with_headers(of: HttpRequest, **headers: str | None) -> HttpRequest:
    """The request with headers changed (or, with None, taken away) after it was signed."""
    changed = {**of.headers, **{name.replace("_", "-"): value for name, value in headers.items()}}
    return replace(of, headers={name: value for name, value in changed.items() if value is not None})


def session(*, expires_s: int = FOREVER_S, secret: bytes = SECRET) -> Credentials:
    """Credentials of an assumed role."""
    return seal(
        secret,
        Session(account=OTHER_ACCOUNT, role_arn=ROLE_ARN, role_id="AROAX", name="f", expires_s=expires_s),
    )


def opened(of: HttpRequest, *keys: AccessKey) -> Caller:
    """Who open authentication takes the sender for."""
    door = OpenAuthentication(keys=Keys(*keys), secret=SECRET, account=ACCOUNT, region="us-east-1")
    return asyncio.run(door.authenticate(of))


def verified(of: HttpRequest, *, keys: Keys | None = None, later_s: float = 1) -> Caller:
    """Who `iam` authentication finds the sender to be, so long after signing."""
    authorization = parse_authorization(of)
    date = authorization.amz_date if authorization else "20260102T030405Z"
    signed_s = to_unix(from_text(f"{date[:4]}-{date[4:6]}-{date[6:11]}:{date[11:13]}:{date[13:]}"))
    door = IamAuthentication(
        keys=keys or Keys(USER_KEY),
        secret=SECRET,
        root=ROOT,
        account=ACCOUNT,
        clock=ManualClock(signed_s + later_s),
    )
    return asyncio.run(door.authenticate(of))


def refused(of: HttpRequest, error: type[ServiceError], **options: Any) -> str:
    """The message with which `iam` authentication refuses a request."""
    with pytest.raises(error) as caught:
        verified(of, **options)
    assert caught.value.status in (400, 403)
    return caught.value.message


# Open --------------------------------------------------------------------------------------------------------


def test_open_without_credentials_it_is_the_default_accounts_root() -> None:
    caller = opened(request(None))
    assert (caller.account, caller.region) == (ACCOUNT, "us-east-1")
    assert caller.principal.arn == f"arn:aws:iam::{ACCOUNT}:root"


def test_open_an_access_key_of_twelve_digits_is_an_account() -> None:
    caller = opened(request(OTHER_ACCOUNT))
    assert caller.account == OTHER_ACCOUNT
    assert caller.principal.arn == f"arn:aws:iam::{OTHER_ACCOUNT}:root"
    assert caller.principal.user_id == OTHER_ACCOUNT


@pytest.mark.parametrize(
    "key", ["test", "12345678901", "1234567890123", "12345678901x", "²" * 12, "AKIA", ""]
)
def test_open_any_other_unknown_key_is_the_default_account(key: str) -> None:
    scope = f"{key}/20260102/eu-west-1/lambda/aws4_request"
    caller = opened(with_headers(request(None), authorization=f"AWS4-HMAC-SHA256 Credential={scope}, x=y"))
    assert (caller.account, caller.region) == (ACCOUNT, "eu-west-1")


def test_open_the_region_is_the_scopes() -> None:
    authorization = "AWS4-HMAC-SHA256 Credential=test/20260102/ap-south-1/lambda/aws4_request"
    assert opened(with_headers(request(None), authorization=authorization)).region == "ap-south-1"


@pytest.mark.parametrize("authorization", ["Basic dGVzdA==", "Bearer x", "", "Credential=", "Credential=a/b"])
def test_open_an_authorization_of_another_kind_is_none(authorization: str) -> None:
    assert opened(with_headers(request(None), authorization=authorization)).account == ACCOUNT


def test_open_a_session_is_its_role() -> None:
    caller = opened(request(session()))
    assert (caller.account, caller.principal.arn) == (OTHER_ACCOUNT, SESSION_ARN)
    assert caller.principal.user_id == "AROAX:f"


def test_open_a_session_of_another_server_is_the_default_account() -> None:
    assert opened(request(session(secret=b"other"))).account == ACCOUNT


def test_open_a_users_key_is_the_user_whatever_the_signature() -> None:
    caller = opened(request(USER_KEY.id, secret="wrong"), USER_KEY)
    assert (caller.account, caller.principal.arn) == (
        OTHER_ACCOUNT,
        "arn:aws:iam::123456789012:user/team/alice",
    )


def test_open_a_presigned_request_says_who_sent_it_in_its_query() -> None:
    assert opened(request(session(), expires_s=60)).principal.arn == SESSION_ARN


@pytest.mark.parametrize(
    "origin",
    [
        "http://evil.example",
        "https://127.0.0.1.evil.example",
        "null",
        "http://10.0.0.1",
        "http://[",
        "file://",
    ],
)
def test_open_a_page_of_another_site_is_refused(origin: str) -> None:
    """A browser sends whatever a page asks for to the loopback address; the door is open to its user only."""
    with pytest.raises(AccessDeniedException, match="are refused"):
        opened(with_headers(request(None), origin=origin))


@pytest.mark.parametrize("origin", ["http://localhost:3000", "http://app.localhost", "http://127.0.0.1:8000"])
def test_open_a_page_of_this_machine_is_let_in(origin: str) -> None:
    assert opened(with_headers(request(None), origin=origin)).account == ACCOUNT


# Iam ---------------------------------------------------------------------------------------------------------


def test_iam_a_users_signature_is_recognized_and_the_use_is_noted() -> None:
    keys = Keys(USER_KEY)
    caller = verified(request(USER_KEY), keys=keys)
    assert caller.principal.arn == "arn:aws:iam::123456789012:user/team/alice"
    assert caller.principal.user_id == "AIDAEXAMPLE"
    assert (caller.account, caller.region) == (OTHER_ACCOUNT, "us-east-1")
    assert keys.used == [(USER_KEY.id, "lambda", "us-east-1")]


def test_iam_the_root_key_is_the_accounts_root() -> None:
    caller = verified(request(ROOT))
    assert (caller.account, caller.principal.arn) == (ACCOUNT, f"arn:aws:iam::{ACCOUNT}:root")


def test_iam_a_session_is_its_role() -> None:
    assert verified(request(session())).principal.arn == SESSION_ARN


def test_iam_a_presigned_request_is_recognized_until_it_expires() -> None:
    for credentials in (USER_KEY, session()):
        asked = request(credentials, expires_s=60)
        assert verified(asked, later_s=59).account == OTHER_ACCOUNT
        with pytest.raises(ServiceError):
            verified(asked, later_s=61)


def test_iam_a_request_without_a_signature_is_refused() -> None:
    assert refused(request(None), MissingAuthenticationTokenException) == "Missing Authentication Token"


def test_iam_an_account_number_is_not_a_key() -> None:
    message = refused(request(ACCOUNT), UnrecognizedClientException)
    assert message == "The security token included in the request is invalid."


@pytest.mark.parametrize("key", ["AKIAUNKNOWN", "test", "ASIAUNKNOWN"])
def test_iam_an_unknown_key_is_refused(key: str) -> None:
    refused(request(key), UnrecognizedClientException)


def test_iam_an_inactive_key_is_refused() -> None:
    refused(request(USER_KEY), UnrecognizedClientException, keys=Keys(replace(USER_KEY, status="Inactive")))


@pytest.mark.parametrize("credentials", [USER_KEY.id, ROOT.access_key_id])
def test_iam_a_wrong_secret_is_refused_and_not_noted_as_a_use(credentials: str) -> None:
    keys = Keys(USER_KEY)
    refused(request(credentials, secret="guessed"), InvalidSignatureException, keys=keys)
    assert keys.used == []


def test_iam_an_old_signature_is_refused() -> None:
    with pytest.raises((InvalidSignatureException, RequestExpired)):
        verified(request(USER_KEY), later_s=3600)


def test_iam_an_expired_session_is_refused_in_words_of_its_own() -> None:
    message = refused(request(session(expires_s=1)), ExpiredTokenException)
    assert message == "The security token included in the request is expired"


def test_iam_a_session_of_another_server_is_refused() -> None:
    refused(request(session(secret=b"other")), UnrecognizedClientException)


def test_iam_a_session_without_its_token_is_refused() -> None:
    refused(with_headers(request(session()), x_amz_security_token=None), UnrecognizedClientException)


def test_iam_a_session_key_with_the_token_of_another_session_is_refused() -> None:
    other = session(expires_s=FOREVER_S - 1)
    refused(
        with_headers(request(session()), x_amz_security_token=other.session_token),
        UnrecognizedClientException,
    )


def test_iam_a_body_that_was_changed_is_refused() -> None:
    asked = request(USER_KEY, operation="Invoke", FunctionName="f", Payload=b"{}")
    refused(replace(asked, body=b"[]"), InvalidSignatureException)


def test_iam_another_function_than_the_signed_one_is_refused() -> None:
    asked = request(USER_KEY, operation="Invoke", FunctionName="f", Payload=b"{}")
    refused(replace(asked, path=asked.path.replace("/f/", "/g/")), InvalidSignatureException)


@pytest.mark.parametrize("authorization", ["AWS4-HMAC-SHA256", "AWS4-HMAC-SHA256 Credential=x", "x"])
def test_iam_half_a_signature_is_refused(authorization: str) -> None:
    with pytest.raises((IncompleteSignatureException, MissingAuthenticationTokenException)):
        verified(with_headers(request(USER_KEY), authorization=authorization))


def test_a_key_that_was_deleted_is_nobodys_from_the_next_request_on() -> None:
    """What is remembered of callers depends on nothing that anybody can change."""
    keys, asked = Keys(USER_KEY), request(USER_KEY)
    door = OpenAuthentication(keys=keys, secret=SECRET, account=ACCOUNT, region="us-east-1")
    assert verified(asked, keys=keys).account == OTHER_ACCOUNT
    assert asyncio.run(door.authenticate(asked)).account == OTHER_ACCOUNT
    keys.delete(USER_KEY.id)
    refused(asked, UnrecognizedClientException, keys=keys)
    assert asyncio.run(door.authenticate(asked)).account == ACCOUNT


def test_servers_with_other_accounts_and_regions_take_the_same_key_for_theirs() -> None:
    for account, region in ((ACCOUNT, "us-east-1"), (OTHER_ACCOUNT, "eu-west-1"), (ACCOUNT, "us-east-1")):
        door = OpenAuthentication(keys=Keys(), secret=SECRET, account=account, region=region)
        caller = asyncio.run(door.authenticate(request(None)))
        assert (caller.account, caller.region) == (account, region)
