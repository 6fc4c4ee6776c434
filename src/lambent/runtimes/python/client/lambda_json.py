"""A handler's result as JSON text, the way AWS's runtime writes it.

AWS's encodes by simplejson: named tuples and what else has an `_asdict` become objects, bytes become text, and
Decimals are numbers, digit by digit. Here the standard library's encoder, which is written in C, does the work, and
what it does otherwise is put right where it occurs.
"""

import json
import os
import sys


def _ascii_only():
    # AWS's runtime escapes non-ASCII characters up to Python 3.11 and writes them as they are from 3.12 on.
    minor = os.environ.get("AWS_EXECUTION_ENV", "").partition("AWS_Lambda_python3.")[2]
    return minor.isdigit() and int(minor) < 12


_decimals_seen = False


def _encode_other(value):
    decimal = sys.modules.get("decimal")
    if decimal is not None and isinstance(value, decimal.Decimal):
        if value.is_nan():
            return float("nan")
        global _decimals_seen
        _decimals_seen = True
        return "\x00decimal:%s\x00" % value
    if isinstance(value, bytes):
        return value.decode("utf-8")
    if callable(getattr(value, "_asdict", None)) and not isinstance(value, type):
        return value._asdict()
    raise TypeError("Object of type %s is not JSON serializable" % type(value).__name__)


_chunks_of = None
_open = {}
"""The containers that are being written, by which the encoder knows cycles."""


def _make_encoder():
    """Return what makes the chunks of a value's text.

    `JSONEncoder.encode` makes the same encoder in C anew for each value, which costs as much as a small value itself.
    Where Python has none, or asks for it otherwise, its own way is taken.
    """
    encoder = json.JSONEncoder(ensure_ascii=_ascii_only(), default=_encode_other)
    texts = json.encoder.encode_basestring_ascii if encoder.ensure_ascii else json.encoder.encode_basestring
    try:
        write = json.encoder.c_make_encoder(
            _open,
            _encode_other,
            texts,
            None,
            encoder.key_separator,
            encoder.item_separator,
            False,
            False,
            True,
        )
        if "".join(write({"a": [1.5, None, "b"]}, 0)) == '{"a": [1.5, null, "b"]}':
            return write
    except Exception:
        pass
    return lambda value, _: encoder.iterencode(value)


def _text_of(value):
    """Encode; which runtime this is, is asked for at the first time, because before it this may be a zygote."""
    global _chunks_of
    if _chunks_of is None:
        _chunks_of = _make_encoder()
    try:
        return "".join(_chunks_of(value, 0))
    except BaseException:
        _open.clear()
        raise


def _is_named(value):
    return isinstance(value, tuple) and hasattr(value, "_asdict")


def _holds_named(value):
    """Whether a value without cycles has named tuples inside, which the encoder takes for lists."""
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            waiting.extend(one.values())
        elif isinstance(one, (list, tuple)):
            if _is_named(one):
                return True
            waiting.extend(one)
    return False


def _plain(value):
    """The same of dictionaries with text for keys, and lists."""
    if _is_named(value):
        value = value._asdict()
    if isinstance(value, dict):
        return {
            key.decode("utf-8") if isinstance(key, bytes) else key: _plain(one) for key, one in value.items()
        }
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    return value


def encode(value):
    """Return JSON text.

    Raises:
        Exception: JSON does not know a value; as AWS's runtime words it.
    """
    global _decimals_seen
    _decimals_seen = False
    try:
        text = _text_of(value)
    except TypeError as error:
        if "not bytes" not in str(error):
            raise
        text = _text_of(_plain(value))
    # What was a tuple is in brackets now.
    if "[" in text and _holds_named(value):
        text = _text_of(_plain(value))
    if _decimals_seen:
        import re

        text = re.sub(r'"\\u0000decimal:([^"\\]*)\\u0000"', r"\1", text)
    return text
