"""AWS Signature Version 4, verified (the Authorization header and the presigned query) and made (the header).

Pure: the secret and the time are arguments. The texts of refusals are AWS's. See
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html and
https://docs.aws.amazon.com/IAM/latest/UserGuide/signature-v4-troubleshooting.html.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from urllib.parse import quote, unquote_to_bytes

from lambent.errors import IncompleteSignatureException, InvalidSignatureException, RequestExpired
from lambent.wire import timestamps
from lambent.wire.http import HttpRequest

SKEW_MINUTES = 5
"""How far the clocks of client and server may lie apart."""

LONGEST_EXPIRY_S = 7 * 24 * 3600

_ALGORITHM = "AWS4-HMAC-SHA256"
_TERMINATOR = "aws4_request"
_UNSIGNED = "UNSIGNED-PAYLOAD"
_DATE_FORMAT = "%Y%m%dT%H%M%SZ"
_DATE = re.compile(r"\d{8}T\d{6}Z", re.ASCII)
_QUERY_PARAMETERS = (
    "X-Amz-Algorithm",
    "X-Amz-Credential",
    "X-Amz-Signature",
    "X-Amz-SignedHeaders",
    "X-Amz-Date",
)
# Services whose paths are signed as they were sent, not encoded once more.
_SINGLE_ENCODING = ("s3", "s3-outposts", "s3express")


@dataclass(frozen=True, slots=True, kw_only=True)
class Authorization:
    """What a signed request says of its signature.

    Attributes:
        amz_date: when it was signed, ``20260102T030405Z``.
        expires_s: how long a presigned request lives; None for a signature in the header.
        session_token: the token of temporary credentials.
    """

    access_key_id: str
    date: str
    region: str
    service: str
    terminator: str
    signed_headers: tuple[str, ...]
    signature: str
    amz_date: str
    expires_s: int | None
    session_token: str | None
    is_presigned: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Signer:
    """Signs requests to a service of AWS, or to one that speaks as it does."""

    access_key_id: str
    secret_access_key: str
    region: str
    service: str

    def authorization(self, request: HttpRequest) -> str:
        """Return the Authorization header of a request, which covers all headers that it has.

        Args:
            request: with ``host`` and ``x-amz-date`` among its headers.
        """
        date = request.headers["x-amz-date"]
        unsigned = Authorization(
            access_key_id=self.access_key_id,
            date=date[:8],
            region=self.region,
            service=self.service,
            terminator=_TERMINATOR,
            signed_headers=tuple(sorted(request.headers)),
            signature="",
            amz_date=date,
            expires_s=None,
            session_token=None,
            is_presigned=False,
        )
        to_sign = _string_to_sign(unsigned, next(_canonical_requests(request, unsigned)))
        key = _signing_key(self.secret_access_key, date[:8], self.region, self.service)
        signature = hmac.new(key, to_sign.encode(), hashlib.sha256).hexdigest()
        scope = "/".join((self.access_key_id, date[:8], self.region, self.service, _TERMINATOR))
        names = ";".join(unsigned.signed_headers)
        return f"{_ALGORITHM} Credential={scope}, SignedHeaders={names}, Signature={signature}"


def amz_date(epoch_s: float) -> str:
    """Return a time as signatures have it: ``20260102T030405Z``."""
    return datetime.fromtimestamp(int(epoch_s), UTC).strftime(_DATE_FORMAT)


def parse_authorization(request: HttpRequest) -> Authorization | None:
    """Return what the request says of its signature; None when it is not signed at all.

    Raises:
        IncompleteSignatureException: a part is missing or malformed.
        InvalidSignatureException: it is signed twice, in the header and in the query.
    """
    header = request.headers.get("authorization")
    query = _decoded_query(request.query) if "X-Amz-Algorithm=" in request.query else None
    if header is not None and query is not None:
        raise InvalidSignatureException(
            "Found both 'X-Amz-Algorithm' as a query-string param and 'Authorization' as HTTP header."
        )
    if header is not None:
        return _from_header(request.headers, header)
    return None if query is None else _from_query(query)


def verify(request: HttpRequest, authorization: Authorization, secret_access_key: str, now_s: float) -> None:
    """Check that the request was signed with this secret, a moment ago.

    Args:
        request: the request as it arrived.
        authorization: what `parse_authorization` read from it.
        secret_access_key: the secret of ``authorization.access_key_id``.
        now_s: the time, in seconds since the epoch.

    Raises:
        InvalidSignatureException: the signature does not fit, or was made too early or too late.
        RequestExpired: the presigned request has outlived its ``X-Amz-Expires``.
    """
    _check_time(authorization, now_s)
    _check_scope(authorization)
    if "host" not in authorization.signed_headers and ":authority" not in authorization.signed_headers:
        raise InvalidSignatureException(
            "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization."
        )
    key = _signing_key(secret_access_key, authorization.date, authorization.region, authorization.service)
    first_canonical = first_to_sign = ""
    for canonical in _canonical_requests(request, authorization):
        to_sign = _string_to_sign(authorization, canonical)
        signature = hmac.new(key, to_sign.encode(), hashlib.sha256).hexdigest()
        if hmac.compare_digest(signature.encode(), authorization.signature.encode()):
            return
        if not first_canonical:
            first_canonical, first_to_sign = canonical, to_sign
    raise InvalidSignatureException(
        "The request signature we calculated does not match the signature you provided. Check your AWS "
        "Secret Access Key and signing method. Consult the service documentation for details.\n\n"
        f"The Canonical String for this request should have been\n'{first_canonical}'\n\n"
        f"The String-to-Sign should have been\n'{first_to_sign}'\n"
    )


def _from_header(headers: Mapping[str, str], header: str) -> Authorization:
    algorithm, _, rest = header.strip().partition(" ")
    parts = {name: value for name, _, value in (part.strip().partition("=") for part in rest.split(","))}
    amz_date = headers.get("x-amz-date") or _from_http_date(headers.get("date"))
    missing = [
        f"Authorization header requires '{name}' parameter. "
        for name in ("Credential", "Signature", "SignedHeaders")
        if not parts.get(name)
    ]
    if amz_date is None:
        missing.append(
            "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header. "
        )
    if missing or amz_date is None:
        raise IncompleteSignatureException(f"{''.join(missing)}Authorization={header}")
    return _authorization(
        algorithm=algorithm,
        credential=parts["Credential"],
        signed_headers=parts["SignedHeaders"],
        signature=parts["Signature"],
        amz_date=amz_date,
        session_token=headers.get("x-amz-security-token"),
    )


def _from_query(query: Mapping[str, str]) -> Authorization:
    missing = [name for name in _QUERY_PARAMETERS if not query.get(name)]
    if missing:
        told = "".join(f"AWS query-string parameters must include '{name}'. " for name in missing)
        raise IncompleteSignatureException(f"{told}Re-examine the query-string parameters.")
    return _authorization(
        algorithm=query["X-Amz-Algorithm"],
        credential=query["X-Amz-Credential"],
        signed_headers=query["X-Amz-SignedHeaders"],
        signature=query["X-Amz-Signature"],
        amz_date=query["X-Amz-Date"],
        session_token=query.get("X-Amz-Security-Token"),
        expires=query.get("X-Amz-Expires"),
        is_presigned=True,
    )


def _authorization(
    *,
    algorithm: str,
    credential: str,
    signed_headers: str,
    signature: str,
    amz_date: str,
    session_token: str | None,
    expires: str | None = None,
    is_presigned: bool = False,
) -> Authorization:
    if _moment(amz_date) is None:
        raise IncompleteSignatureException(
            f"Date must be in ISO-8601 'basic format'. Got '{amz_date}'. "
            "See http://en.wikipedia.org/wiki/ISO_8601"
        )
    if algorithm != _ALGORITHM:
        raise IncompleteSignatureException(
            f"Unsupported AWS 'algorithm': '{algorithm}' (only {_ALGORITHM} for now). "
        )
    parts = credential.split("/")
    if len(parts) != 5:
        raise IncompleteSignatureException(
            "Credential must have exactly 5 slash-delimited elements, "
            f"e.g. keyid/date/region/service/term, got '{credential}'"
        )
    return Authorization(
        access_key_id=parts[0],
        date=parts[1],
        region=parts[2],
        service=parts[3],
        terminator=parts[4],
        signed_headers=tuple(name.lower() for name in signed_headers.split(";")),
        signature=signature,
        amz_date=amz_date,
        expires_s=None if expires is None else _expiry_s(expires),
        session_token=session_token,
        is_presigned=is_presigned,
    )


def _expiry_s(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 10 and 0 < int(text) <= LONGEST_EXPIRY_S):
        raise IncompleteSignatureException(
            f"X-Amz-Expires must be a number of seconds between 1 and {LONGEST_EXPIRY_S}, not '{text[:100]}'"
        )
    return int(text)


def _moment(amz_date: str) -> datetime | None:
    if not _DATE.fullmatch(amz_date):
        return None
    try:
        return datetime.strptime(amz_date, _DATE_FORMAT).replace(tzinfo=UTC)
    except ValueError:
        return None


def _from_http_date(date: str | None) -> str | None:
    if date is None:
        return None
    try:
        return timestamps.from_text(date).strftime(_DATE_FORMAT)
    except ValueError:
        return date  # refused below, as a date in the wrong format


def _check_time(authorization: Authorization, now_s: float) -> None:
    signed = _moment(authorization.amz_date)
    if signed is None:
        raise IncompleteSignatureException(f"'{authorization.amz_date}' is not a date")
    now = datetime.fromtimestamp(int(now_s), UTC)
    skew = timedelta(minutes=SKEW_MINUTES)
    if signed > now + skew:
        raise InvalidSignatureException(
            f"Signature not yet current: {authorization.amz_date} is still later than "
            f"{(now + skew).strftime(_DATE_FORMAT)} ({now.strftime(_DATE_FORMAT)} + {SKEW_MINUTES} min.)"
        )
    if authorization.expires_s is not None:
        if now > signed + timedelta(seconds=authorization.expires_s):
            raise RequestExpired("Request has expired.")
    elif signed < now - skew:
        raise InvalidSignatureException(
            f"Signature expired: {authorization.amz_date} is now earlier than "
            f"{(now - skew).strftime(_DATE_FORMAT)} ({now.strftime(_DATE_FORMAT)} - {SKEW_MINUTES} min.)"
        )


def _check_scope(authorization: Authorization) -> None:
    wrong: list[str] = []
    if authorization.terminator != _TERMINATOR:
        wrong.append(
            f"Credential should be scoped with a valid terminator: '{_TERMINATOR}', "
            f"not '{authorization.terminator}'. "
        )
    if authorization.date != authorization.amz_date[:8]:
        wrong.append(
            "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: "
            f"'{authorization.date}' != '{authorization.amz_date[:8]}', from '{authorization.amz_date}'."
        )
    if wrong:
        raise InvalidSignatureException("".join(wrong))


@lru_cache(maxsize=256)
def _signing_key(secret: str, date: str, region: str, service: str) -> bytes:
    key = f"AWS4{secret}".encode()
    for part in (date, region, service, _TERMINATOR):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return key


def _string_to_sign(authorization: Authorization, canonical: str) -> str:
    scope = "/".join((authorization.date, authorization.region, authorization.service, _TERMINATOR))
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    return f"{_ALGORITHM}\n{authorization.amz_date}\n{scope}\n{digest}"


def _canonical_requests(request: HttpRequest, authorization: Authorization) -> Iterator[str]:
    """Yield the canonical forms of the request that clients are known to sign, the usual one first."""
    headers = "".join(
        f"{name}:{' '.join(request.headers.get(name, '').split())}\n" for name in authorization.signed_headers
    )
    query = _canonical_query(request.query, is_presigned=authorization.is_presigned)
    names = ";".join(authorization.signed_headers)
    rest = f"{query}\n{headers}\n{names}\n{_payload_hash(request, authorization)}"
    for path in _canonical_paths(request.path, authorization.service):
        yield f"{request.method}\n{path}\n{rest}"


def _canonical_paths(path: str, service: str) -> Iterator[str]:
    if service in _SINGLE_ENCODING:
        yield path or "/"
        return
    normal = _normal_path(path)
    as_sent = quote(normal, safe="/~")
    yield as_sent
    # A client may send ':' bare and still sign it encoded, as the path that it means.
    as_meant = "/".join(
        quote(quote(unquote_to_bytes(part), safe="~"), safe="~") for part in normal.split("/")
    )
    if as_meant != as_sent:
        yield as_meant


def _normal_path(path: str) -> str:
    """Return the path without ``.``, ``..`` and empty segments (RFC 3986, 5.2.4)."""
    segments: list[str] = []
    for segment in path.split("/"):
        if segment == "..":
            segments = segments[:-1]
        elif segment not in ("", "."):
            segments.append(segment)
    trailing = "/" if segments and path.endswith("/") else ""
    return f"/{'/'.join(segments)}{trailing}"


def _canonical_query(query: str, *, is_presigned: bool) -> str:
    if not query:
        return ""
    pairs: list[tuple[str, str]] = []
    for part in query.split("&"):
        name, _, value = part.partition("=")
        if part and not (is_presigned and name == "X-Amz-Signature"):
            pairs.append((_encoded_once(name), _encoded_once(value)))
    return "&".join(f"{name}={value}" for name, value in sorted(pairs))


def _encoded_once(text: str) -> str:
    return quote(unquote_to_bytes(text), safe="-_.~")


def _decoded_query(query: str) -> dict[str, str]:
    parts = (part.partition("=") for part in query.split("&"))
    return {
        unquote_to_bytes(name).decode("utf-8", "replace"): unquote_to_bytes(value).decode("utf-8", "replace")
        for name, _, value in parts
    }


def _payload_hash(request: HttpRequest, authorization: Authorization) -> str:
    """Return the hash of the body, or the word that says that it is not signed.

    A hash that the request claims is never believed: if it is wrong, so is the signature.
    """
    is_unsigned_by_default = authorization.is_presigned and authorization.service in _SINGLE_ENCODING
    default = _UNSIGNED if is_unsigned_by_default else None
    if request.headers.get("x-amz-content-sha256", default) == _UNSIGNED:
        return _UNSIGNED
    return hashlib.sha256(request.body).hexdigest()
