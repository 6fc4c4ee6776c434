"""Values of the two JSON protocols: functions compiled from shapes that turn JSON into parameters and results
into JSON.

What AWS's own deserializer says about wrong types is said here in its words, for instance
``STRING_VALUE can not be converted to an Integer``.
"""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, cast

import msgspec

from lambent.errors import SerializationException
from lambent.wire import timestamps
from lambent.wire.shapes import Shape

Convert = Callable[[Any], Any]

_NOT_FINITE = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


def decode_body(body: bytes) -> Any:
    """Return the JSON value of a body; an empty body is an empty object.

    Raises:
        SerializationException: the body is not JSON.
    """
    if not body:
        return {}
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise SerializationException(f"Could not parse request body into json: {error}") from error
    except RecursionError as error:
        raise SerializationException("Could not parse request body into json: nested too deeply") from error


encode_body = msgspec.json.Encoder(decimal_format="number").encode


def wrong_type(value: Any, wanted: str) -> SerializationException:
    """Return the error for a JSON value of the wrong type; `wanted` has its article: ``an Integer``."""
    if isinstance(value, dict):
        return SerializationException("Start of structure or map found where not expected.")
    if isinstance(value, list):
        return SerializationException("Start of list found where not expected")
    return SerializationException(f"{_token(value)} can not be converted to {wanted}")


def _token(value: Any) -> str:
    """Name a JSON scalar as AWS does."""
    if isinstance(value, bool):
        return "TRUE_VALUE" if value else "FALSE_VALUE"
    if isinstance(value, str):
        return "STRING_VALUE"
    if isinstance(value, float):
        return "DECIMAL_VALUE"
    return "NUMBER_VALUE"


def _not_a_collection(value: Any) -> SerializationException:
    if isinstance(value, dict | list):
        return wrong_type(value, "")
    return SerializationException("Unexpected field type")


class JsonDecoders:
    """Compiles readers of JSON values; structures are compiled once, so shapes may refer to themselves."""

    def __init__(self) -> None:
        self._structures: dict[str, Convert] = {}

    def decoder(self, shape: Shape) -> Convert:
        """Return the function that turns a JSON value (never null) into a value of this shape."""
        if shape.is_document:
            return _as_it_is
        match shape.type:
            case "structure":
                return self._structure(shape)
            case "list":
                return _decode_list(self.decoder(shape.element))
            case "map":
                return _decode_map(self.decoder(shape.value))
            case scalar:
                return _DECODE_SCALAR[scalar]

    def _structure(self, shape: Shape) -> Convert:
        if shape.name in self._structures:
            return self._later(shape.name)
        self._structures[shape.name] = _as_it_is  # known from here on, replaced below
        members = {name: member for name, member in shape.members.items() if member.location is None}
        self._structures[shape.name] = decode = _decode_structure(
            {member.location_name or name: (name, self.decoder(member)) for name, member in members.items()}
        )
        return decode

    def _later(self, name: str) -> Convert:
        def convert(value: Any) -> Any:
            return self._structures[name](value)

        return convert


def _as_it_is(value: Any) -> Any:
    return value


def _decode_structure(plan: Mapping[str, tuple[str, Convert]]) -> Convert:
    def decode(value: Any) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise _not_a_collection(value)
        structure: dict[str, Any] = {}
        for wire_name, item in cast("dict[str, Any]", value).items():
            # Unknown members are ignored and null means absent, as AWS has it.
            if item is not None and (member := plan.get(wire_name)) is not None:
                structure[member[0]] = member[1](item)
        return structure

    return decode


def _decode_list(element: Convert) -> Convert:
    def decode(value: Any) -> list[Any]:
        if not isinstance(value, list):
            raise _not_a_collection(value)
        return [None if item is None else element(item) for item in cast("list[Any]", value)]

    return decode


def _decode_map(of_value: Convert) -> Convert:
    def decode(value: Any) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise _not_a_collection(value)
        items = cast("dict[str, Any]", value).items()
        return {key: None if item is None else of_value(item) for key, item in items}

    return decode


def _decode_string(value: Any) -> str:
    if not isinstance(value, str):
        raise wrong_type(value, "a String")
    return value


def _decode_integer(wanted: str, limit: int) -> Convert:
    def decode(value: Any) -> int:
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if not isinstance(value, int) or isinstance(value, bool) or not -limit <= value < limit:
            raise wrong_type(value, wanted)
        return value

    return decode


def _decode_float(value: Any) -> float:
    if isinstance(value, str) and value in _NOT_FINITE:
        return _NOT_FINITE[value]
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise wrong_type(value, "a Double")
    try:
        return float(value)
    except OverflowError as error:
        raise wrong_type(value, "a Double") from error


def _decode_boolean(value: Any) -> bool:
    if not isinstance(value, bool):
        raise wrong_type(value, "a Boolean")
    return value


def _decode_blob(value: Any) -> bytes:
    if not isinstance(value, str):
        raise wrong_type(value, "a Blob")
    return blob_from_text(value)


def blob_from_text(text: str) -> bytes:
    """Return the bytes of a base64 text.

    Raises:
        SerializationException: it is not base64.
    """
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise SerializationException(f"Blob value is not valid base64: {error}") from error


def _decode_timestamp(value: Any) -> datetime:
    try:
        if isinstance(value, str):
            return timestamps.from_text(value)
        if isinstance(value, int | float) and not isinstance(value, bool):
            return timestamps.from_unix(value)
    except ValueError:
        pass
    raise wrong_type(value, "milliseconds since epoch")


_DECODE_SCALAR: Mapping[str, Convert] = {
    "blob": _decode_blob,
    "boolean": _decode_boolean,
    "character": _decode_string,
    "double": _decode_float,
    "float": _decode_float,
    "integer": _decode_integer("an Integer", 2**31),
    "long": _decode_integer("a Long", 2**63),
    "string": _decode_string,
    "timestamp": _decode_timestamp,
}


class JsonEncoders:
    """Compiles writers of JSON values."""

    def __init__(self, timestamp_format: str = timestamps.UNIX) -> None:
        self._timestamp_format = timestamp_format
        self._structures: dict[str, Convert] = {}

    def encoder(self, shape: Shape) -> Convert:
        """Return the function that turns a value of this shape (never None) into a JSON value."""
        if shape.is_document:
            return _as_it_is
        match shape.type:
            case "structure":
                return self._structure(shape)
            case "list":
                return _encode_list(self.encoder(shape.element))
            case "map":
                return _encode_map(self.encoder(shape.value))
            case "timestamp":
                return _timestamp_encoder(shape.timestamp_format or self._timestamp_format)
            case scalar:
                return _ENCODE_SCALAR.get(scalar, _as_it_is)

    def _later(self, name: str) -> Convert:
        def convert(value: Any) -> Any:
            return self._structures[name](value)

        return convert

    def _structure(self, shape: Shape) -> Convert:
        if shape.name in self._structures:
            return self._later(shape.name)
        self._structures[shape.name] = _as_it_is
        self._structures[shape.name] = encode = self.members(shape.name, shape.members)
        return encode

    def members(self, owner: str, members: Mapping[str, Shape]) -> Convert:
        """Return the function that turns a mapping of these members into a JSON object; None means absent."""
        plan = {
            name: (member.location_name or name, self.encoder(member))
            for name, member in members.items()
            if member.location is None
        }

        def encode(value: Mapping[str, Any]) -> dict[str, Any]:
            json: dict[str, Any] = {}
            for name, item in value.items():
                if (member := plan.get(name)) is None:
                    raise TypeError(f"{owner} has no member {name!r}")
                if item is not None:
                    json[member[0]] = member[1](item)
            return json

        return encode


def _encode_list(element: Convert) -> Convert:
    return lambda value: [None if item is None else element(item) for item in value]


def _encode_map(of_value: Convert) -> Convert:
    return lambda value: {key: of_value(item) for key, item in value.items() if item is not None}


def _encode_float(value: float) -> float | str:
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def blob_to_text(value: bytes) -> str:
    """Return bytes as base64 text."""
    return base64.b64encode(value).decode("ascii")


_ENCODE_SCALAR: Mapping[str, Convert] = {
    "blob": blob_to_text,
    "double": _encode_float,
    "float": _encode_float,
}


def _timestamp_encoder(timestamp_format: str) -> Convert:
    if timestamp_format == timestamps.UNIX:
        return timestamps.to_unix
    return timestamps.text_formatter(timestamp_format)
