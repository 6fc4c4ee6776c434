"""Pages of a list, with IAM's ``Marker``, ``MaxItems`` and ``IsTruncated``.

A marker carries the key of the last item shown, so that a list may change between two pages without an item
being shown twice or left out.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from lambent.services.iam.errors import ValidationError

MAX_ITEMS_DEFAULT = 100

T = TypeVar("T")


def paged(
    items: Iterable[T], parameters: Mapping[str, Any], *, key: Callable[[T], str]
) -> tuple[list[T], dict[str, Any]]:
    """Return the page that the parameters ask for, and the members that say whether there is more.

    Args:
        items: all of them, in any order.
        parameters: ``Marker`` and ``MaxItems`` count.
        key: orders the items; unique.

    Raises:
        ValidationError: the marker is none of ours.
    """
    after = _decode(parameters["Marker"]) if parameters.get("Marker") else None
    ordered = sorted(items, key=key)
    if after is not None:
        ordered = [item for item in ordered if key(item) > after]
    size = parameters.get("MaxItems") or MAX_ITEMS_DEFAULT
    shown = ordered[:size]
    if len(ordered) <= size:
        return shown, {"IsTruncated": False}
    marker = base64.urlsafe_b64encode(b"1:" + key(shown[-1]).encode()).decode()
    return shown, {"IsTruncated": True, "Marker": marker}


def _decode(marker: str) -> str:
    try:
        decoded = base64.b64decode(marker, altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError) as error:
        raise ValidationError("Invalid Marker.") from error
    if not decoded.startswith("1:"):
        raise ValidationError("Invalid Marker.")
    return decoded[2:]
