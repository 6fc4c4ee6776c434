"""The credential scope of a request, read as cheaply as possible.

Every request passes here, signed or not, verified or not; the full reading of a signature is `wire.sigv4`'s.
"""

from __future__ import annotations

from functools import lru_cache
from urllib.parse import unquote

from lambent.wire.http import HttpRequest

Scope = tuple[str, str, str]
"""Access key id, region and service, as a request claims them."""
_PARTS = 5  # access key id, date, region, service, aws4_request
_REMEMBERED_MAX_LENGTH = 256


def credential_scope(request: HttpRequest) -> Scope | None:
    """Return (access key id, region, service) as the request claims them; None when it claims none."""
    return scope_of(credential_of(request))


def credential_of(request: HttpRequest) -> str:
    """Return the credential that a request claims, which is the same all day; empty when it claims none."""
    authorization = request.headers.get("authorization")
    if authorization is not None:
        start = authorization.find("Credential=")
        if start < 0:
            return ""
        end = authorization.find(",", start)
        return authorization[start + 11 : end if end >= 0 else None]
    if "X-Amz-Credential=" not in request.query:
        return ""
    return unquote(request.query.partition("X-Amz-Credential=")[2].partition("&")[0])


def scope_of(credential: str) -> Scope | None:
    """Return the scope that a credential names."""
    return _split(credential) if len(credential) <= _REMEMBERED_MAX_LENGTH else _split.__wrapped__(credential)


@lru_cache(maxsize=1024)
def _split(credential: str) -> Scope | None:
    # From the right: an access key id may hold a slash, the other parts cannot.
    parts = credential.strip().rsplit("/", _PARTS - 1)
    if len(parts) != _PARTS:
        return None
    return parts[0], parts[2], parts[3]
