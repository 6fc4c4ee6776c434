"""Pages of a list, with IAM's ``Marker``, ``MaxItems`` and ``IsTruncated``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from lambent.domain.page_token import key_of_token, token_after
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
    marker = token_after(key(shown[-1]))
    return shown, {"IsTruncated": True, "Marker": marker}


def _decode(marker: str) -> str:
    key = key_of_token(marker)
    if key is None:
        raise ValidationError("Invalid Marker.")
    return key
