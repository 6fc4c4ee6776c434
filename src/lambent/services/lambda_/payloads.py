"""What an invocation carries, checked before it is passed on: the payload and the client context.

The payload is never parsed into objects: one pass says whether it is JSON, and only if that pass finds fault is
the text looked at again, to say what is wrong with it (`json_fault`).
"""

from __future__ import annotations

import asyncio
import base64
import binascii

import msgspec

from lambent.domain.limits import (
    ASYNC_PAYLOAD_MAX_BYTES,
    CLIENT_CONTEXT_MAX_BYTES,
    SYNC_PAYLOAD_MAX_BYTES,
)
from lambent.errors import InvalidRequestContentException, RequestTooLargeException
from lambent.services.lambda_.json_fault import find_json_fault

_RAW = msgspec.json.Decoder(msgspec.Raw)
_LIMITS_BYTES = {"RequestResponse": SYNC_PAYLOAD_MAX_BYTES, "Event": ASYNC_PAYLOAD_MAX_BYTES}
_LONG_BYTES = 16_384
"""Above this, finding out what is wrong takes long enough to do it in a thread."""


def check_payload_size(payload: bytes, invocation_type: str) -> None:
    """Hold a payload to the limit of its invocation type.

    Raises:
        RequestTooLargeException: it is larger.
    """
    limit = _LIMITS_BYTES.get(invocation_type, SYNC_PAYLOAD_MAX_BYTES)
    if len(payload) > limit:
        raise RequestTooLargeException(
            f"{len(payload)} byte payload is too large for the {invocation_type} invocation type "
            f"(limit {limit} bytes)"
        )


async def check_payload_json(payload: bytes) -> None:
    """Refuse a payload that is not JSON in UTF-8.

    Raises:
        InvalidRequestContentException: with the words of AWS's JSON parser about the first fault.
    """
    if is_plainly_json(payload):
        return
    if len(payload) > _LONG_BYTES:
        fault = await asyncio.to_thread(find_json_fault, payload)
    else:
        fault = find_json_fault(payload)
    if fault is not None:
        raise InvalidRequestContentException(
            f"Could not parse request body into json: Could not parse payload into json: {fault}"
        )


def decode_client_context(header: str) -> str:
    """Return the client context's JSON text from the header's base64.

    Raises:
        InvalidRequestContentException: it is too long, or not base64 of a JSON object.
    """
    if len(header) > CLIENT_CONTEXT_MAX_BYTES:
        raise InvalidRequestContentException(
            f"Client context must be less than or equal to {CLIENT_CONTEXT_MAX_BYTES} bytes."
        )
    try:
        # AWS takes the padding or leaves it; so do the SDKs.
        text = base64.b64decode(header + "=" * (-len(header) % 4), validate=True).decode("utf-8")
        msgspec.json.decode(text, type=dict[str, msgspec.Raw])
    except (binascii.Error, ValueError, msgspec.DecodeError, RecursionError) as error:
        raise InvalidRequestContentException(
            "Client context must be a valid Base64-encoded JSON object."
        ) from error
    return text


def is_plainly_json(payload: bytes) -> bool:
    """Whether a payload is JSON without any doubt; a closer look may still find it good."""
    try:
        _RAW.decode(payload)
        if not payload.isascii():
            payload.decode("utf-8")  # The decoder skips over strings without looking at their bytes.
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return True
