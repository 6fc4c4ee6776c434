"""Tokens of pages: the key of the last thing shown, wrapped so that nobody is tempted to make one. Pure.

So a list may change between two pages without anything being shown twice or left out.
"""

from __future__ import annotations

import base64
import binascii


def token_after(key: str) -> str:
    """Return the token of a page that ended with this key."""
    return base64.urlsafe_b64encode(b"1:" + key.encode()).decode()


def key_of_token(token: str) -> str | None:
    """Return the key with which the page before ended; None when the token is none of ours."""
    try:
        decoded = base64.b64decode(token, altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        return None
    return decoded[2:] if decoded.startswith("1:") else None
