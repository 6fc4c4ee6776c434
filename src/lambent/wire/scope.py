"""The credential scope of a request, read as cheaply as possible.

Every request passes here, signed or not, verified or not; the full reading of a signature is `wire.sigv4`'s.
"""

from __future__ import annotations

from functools import lru_cache
from urllib.parse import unquote

from lambent.wire.http import HttpRequest

_PARTS = 5  # access key id, date, region, service, aws4_request
_REMEMBERED_MAX_LENGTH = 256


def credential_scope(request: HttpRequest) -> tuple[str, str, str] | None:
    """Return (access key id, region, service) as the request claims them; None when it claims none."""
    authorization = request.headers.get("authorization")
    if authorization is not None:
        start = authorization.find("Credential=")
        if start < 0:
            return None
        end = authorization.find(",", start)
        return _scope_of(authorization[start + 11 : end if end >= 0 else None])
    if "X-Amz-Credential=" not in request.query:
        return None
    return _scope_of(unquote(request.query.partition("X-Amz-Credential=")[2].partition("&")[0]))


def _scope_of(credential: str) -> tuple[str, str, str] | None:
    # A caller's credential is the same all day.
    return _split(credential) if len(credential) <= _REMEMBERED_MAX_LENGTH else _split.__wrapped__(credential)


@lru_cache(maxsize=1024)
def _split(credential: str) -> tuple[str, str, str] | None:
    # From the right: an access key id may hold a slash, the other parts cannot.
    parts = credential.strip().rsplit("/", _PARTS - 1)
    if len(parts) != _PARTS:
        return None
    return parts[0], parts[2], parts[3]
