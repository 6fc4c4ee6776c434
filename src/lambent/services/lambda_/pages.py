"""Where a page of a list ended: markers that mean nothing to the caller and everything to the next call."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from lambent.domain.function import LATEST, LATEST_PUBLISHED, FunctionVersion
from lambent.domain.limits import LIST_FUNCTIONS_MAX
from lambent.errors import InvalidParameterValueException

T = TypeVar("T")
_AFTER_ALL = 2**53


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """The last version that a page showed."""

    name: str
    number: int = 0
    """0 stands for ``$LATEST``, which comes before the published versions."""


def number_of(version: FunctionVersion) -> int:
    """Return the number of a published version, 0 for ``$LATEST``; ``$LATEST.PUBLISHED`` comes after all."""
    if version.version == LATEST_PUBLISHED:
        return _AFTER_ALL
    return 0 if version.version == LATEST else int(version.version)


def place_of(version: FunctionVersion) -> Place:
    """Return the place of a version in a list."""
    return Place(name=version.key.name, number=number_of(version))


def encode_marker(place: Place) -> str:
    """Return ``NextMarker`` for a page that ended here."""
    return base64.urlsafe_b64encode(f"{place.number}:{place.name}".encode()).decode()


def decode_marker(marker: str) -> Place:
    """Return the place that a ``Marker`` stands for.

    Raises:
        InvalidParameterValueException: it is not one of ours.
    """
    try:
        number, separator, name = base64.urlsafe_b64decode(marker.encode()).decode().partition(":")
        place = Place(name=name, number=int(number))
    except (binascii.Error, ValueError) as error:
        raise InvalidParameterValueException("Invalid pagination marker.") from error
    if not separator or place.number < 0:
        raise InvalidParameterValueException("Invalid pagination marker.")
    return place


def encode_text_marker(text: str) -> str:
    """Return ``NextMarker`` for a page whose last item has this text as its place in the order."""
    return base64.urlsafe_b64encode(f"after:{text}".encode()).decode()


def decode_text_marker(marker: str) -> str:
    """Return the text that `encode_text_marker` was given.

    Raises:
        InvalidParameterValueException: the marker is not one of ours.
    """
    try:
        prefix, separator, text = base64.urlsafe_b64decode(marker.encode()).decode().partition(":")
    except (binascii.Error, ValueError) as error:
        raise InvalidParameterValueException("Invalid pagination marker.") from error
    if not separator or prefix != "after":
        raise InvalidParameterValueException("Invalid pagination marker.")
    return text


def page_by_name(items: Mapping[str, T], parameters: Mapping[str, Any]) -> tuple[list[T], dict[str, str]]:
    """Return the page of a list in the order of names, and its ``NextMarker`` if there is more.

    Args:
        items: everything, by name.
        parameters: ``Marker`` and ``MaxItems`` of the caller.

    Raises:
        InvalidParameterValueException: the marker is not one of ours.
    """
    after = decode_marker(parameters["Marker"]).name if parameters.get("Marker") else ""
    limit = min(parameters.get("MaxItems") or LIST_FUNCTIONS_MAX, LIST_FUNCTIONS_MAX)
    names = sorted(name for name in items if name > after)
    page = [items[name] for name in names[:limit]]
    more = {"NextMarker": encode_marker(Place(name=names[limit - 1]))} if len(names) > limit else {}
    return page, more
