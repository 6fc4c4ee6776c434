"""Links to deployment packages: what ``Code.Location`` of GetFunction holds, and how the front door checks it.

A link is good for anybody who has it, for ten minutes, as AWS's presigned links are. It needs no storage: the
server's secret signs the blob's name together with the time of expiry.
"""

from __future__ import annotations

import hashlib
import hmac

from lambent.domain.limits import CODE_LINK_VALID_S

PATH_PREFIX = "/_lambent/code/"


def code_link(secret: bytes, blob: str, *, endpoint_url: str, now_s: float) -> str:
    """Return the URL under which the blob can be fetched until ten minutes from now."""
    expires = str(int(now_s) + CODE_LINK_VALID_S)
    return (
        f"{endpoint_url}{PATH_PREFIX}{blob}?Expires={expires}&Signature={_signature(secret, blob, expires)}"
    )


def verify_code_link(secret: bytes, blob: str, expires: str, signature: str, now_s: float) -> bool:
    """Tell whether a link is ours and has not expired; the texts are those of the request, unchecked."""
    ours = _signature(secret, blob, expires)
    # Compared as bytes: a signature with characters beyond ASCII is a wrong one, not an exception.
    if not hmac.compare_digest(ours.encode(), signature.encode("utf-8", "surrogateescape")):
        return False
    return int(expires) > now_s


def _signature(secret: bytes, blob: str, expires: str) -> str:
    message = f"code-link\0{blob}\0{expires}".encode("utf-8", "surrogateescape")
    return hmac.new(secret, message, hashlib.sha256).hexdigest()
