"""Opaque page tokens: a place in a listing, wrapped so that nobody is tempted to make one."""

from __future__ import annotations

import base64
from typing import TypeVar

import msgspec

from lambent.errors import InvalidParameterException

T = TypeVar("T")


def token_of(place: object) -> str:
    """Return the token of a place (tuples, texts, numbers)."""
    return base64.urlsafe_b64encode(msgspec.msgpack.encode(place)).decode().rstrip("=")


def place_of(token: str, shape: type[T]) -> T:
    """Return the place that a token stands for.

    Raises:
        InvalidParameterException: the token is not one of ours, or of another listing.
    """
    try:
        raw = base64.b64decode(token.encode() + b"=" * (-len(token) % 4), altchars=b"-_", validate=True)
        return msgspec.msgpack.decode(raw, type=shape)
    except (ValueError, msgspec.MsgspecError) as error:
        raise invalid_token() from error


def invalid_token() -> InvalidParameterException:
    """Return the error that AWS gives for a token it does not know."""
    return InvalidParameterException("The specified nextToken is invalid.")
