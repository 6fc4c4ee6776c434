"""What is wrong with a JSON text, in the words of the parser that Lambda uses (Jackson).

`find_json_fault` is the judge when the quick check has found fault: None means that the text is acceptable
after all (deeply nested, or with lone surrogates in escapes). Pure, iterative, bounded by the text's length.
"""

from __future__ import annotations

import re
from typing import NoReturn

from lambent.domain.limits import JSON_DEPTH_MAX

_SOURCE = "[Source: REDACTED (`StreamReadFeature.INCLUDE_SOURCE_IN_LOCATION` disabled); line: {}, column: {}]"
_TOKENS = "(JSON String, Number, Array, Object or token 'null', 'true' or 'false')"
_SPACE = re.compile(rb"[ \t\r\n]*+")
_STRING_BODY = re.compile(rb'[^"\\\x00-\x1f]*+(?:\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})[^"\\\x00-\x1f]*+)*+')
_NUMBER = re.compile(rb"-?(?:0|[1-9][0-9]*+)(?:\.[0-9]++)?(?:[eE][+-]?[0-9]++)?")
_KEYWORDS = {ord("t"): b"true", ord("f"): b"false", ord("n"): b"null"}
_NON_NUMERIC = {ord("N"): b"NaN", ord("I"): b"Infinity"}
_IDENTIFIER_MARKS = "$_¢£¤¥"
_TOKEN_SHOWN_MAX = 256
_BOM = b"\xef\xbb\xbf"


def find_json_fault(text: bytes) -> str | None:
    """Return the first fault of a JSON text with its place, or None."""
    try:
        _Reader(text).read()
    except _Fault as fault:
        return str(fault)
    return None


class _Fault(Exception):
    """Something is wrong; the message is for the caller."""


class _Reader:
    """Walks through a text and raises at the first fault."""

    def __init__(self, text: bytes) -> None:
        self._text = text
        self._at: int = len(_BOM) if text.startswith(_BOM) else 0
        self._open: list[int] = []  # where each object or array that is open starts
        self._is_first = True  # whether the innermost one has no entry yet

    def read(self) -> None:
        self._value(self._next_byte_of_root())
        while self._open:
            self._entry()
        byte = self._peek()
        if byte is not None:
            self._trailing(byte)

    # Structure.

    def _next_byte_of_root(self) -> int:
        byte = self._peek()
        if byte is None:
            self._fail("No content to map due to end-of-input", len(self._text) - 1)
        return byte

    def _entry(self) -> None:
        """Read on in the innermost open object or array: its end, or one entry of it."""
        start = self._open[-1]
        is_object = self._text[start] == ord("{")
        byte = self._peek()
        if byte is None:
            self._fail(
                f"Unexpected end-of-input: expected close marker for {_kind(is_object)} "
                f"(start marker at {self._place(start)})",
                len(self._text),
            )
        if byte in b"]}":
            self._close(byte, start, is_object=is_object)
            return
        if not self._is_first:
            if byte != ord(","):
                self._unexpected(byte, f"was expecting comma to separate {_kind(is_object)} entries")
            self._at += 1
            byte = self._peek_within(is_object=is_object)
        if is_object:
            byte = self._name(byte)
        self._is_first = False
        self._value(byte)

    def _close(self, byte: int, start: int, *, is_object: bool) -> None:
        expected = "}" if is_object else "]"
        if chr(byte) != expected:
            self._fail(
                f"Unexpected close marker '{chr(byte)}': expected '{expected}' "
                f"(for {_kind(is_object)} starting at {self._place(start)})",
                self._at + 1,
            )
        self._open.pop()
        self._is_first = False
        self._at += 1

    def _name(self, byte: int) -> int:
        if byte != ord('"'):
            self._unexpected(byte, "was expecting double-quote to start field name")
        self._string("name")
        colon = self._peek_within(is_object=True)
        if colon != ord(":"):
            self._unexpected(colon, "was expecting a colon to separate field name and value")
        self._at += 1
        return self._peek_within(is_object=True)

    def _value(self, byte: int) -> None:
        if byte == ord('"'):
            self._string("string value")
        elif byte in b"{[":
            self._open.append(self._at)
            self._is_first = True
            if len(self._open) > JSON_DEPTH_MAX:
                raise _Fault(
                    f"Document nesting depth ({len(self._open)}) exceeds the maximum allowed "
                    f"({JSON_DEPTH_MAX}, from `StreamReadConstraints.getMaxNestingDepth()`)"
                )
            self._at += 1
        elif byte in b"-0123456789":
            self._number(byte)
        elif byte in _KEYWORDS:
            self._keyword(_KEYWORDS[byte])
        else:
            self._no_value(byte)

    def _trailing(self, byte: int) -> NoReturn:
        if byte in b"]}":
            expected = "}" if byte == ord("]") else "]"
            self._fail(
                f"Unexpected close marker '{chr(byte)}': expected '{expected}' "
                f"(for root starting at {_SOURCE.format(1, 0)})",
                self._at + 1,
            )
        at = self._at
        self._value(byte)
        self._fail("Trailing token found after value: not allowed", at + 1)

    # Tokens.

    def _string(self, what: str) -> None:
        start = self._at + 1
        end = _match_end(_STRING_BODY, self._text, start)
        self._check_utf8(start, end)
        if end == len(self._text):
            ending = (
                " in field name" if what == "name" else ": was expecting closing quote for a string value"
            )
            self._fail(f"Unexpected end-of-input{ending}", end)
        byte = self._text[end]
        if byte == ord("\\"):
            self._bad_escape(end + 1)
        if byte < 0x20:
            self._fail(
                f"Illegal unquoted character ({_describe(byte)}): has to be escaped using backslash to be "
                f"included in {what}",
                end + 1,
                lines_to=end,  # a line break inside a string begins no line
            )
        self._at = end + 1

    def _bad_escape(self, at: int) -> NoReturn:
        if at >= len(self._text):
            self._fail("Unexpected end-of-input in character escape sequence", at)
        if self._text[at] != ord("u"):
            self._fail(f"Unrecognized character escape {_describe(self._text[at])}", at + 1)
        for digit_at in range(at + 1, at + 5):
            if digit_at >= len(self._text):
                break
            if self._text[digit_at] not in b"0123456789abcdefABCDEF":
                self._at = digit_at
                self._unexpected(self._text[digit_at], "expected a hex-digit for character escape sequence")
        self._fail("Unexpected end-of-input in character escape sequence", len(self._text))

    def _number(self, first: int) -> None:
        match = _NUMBER.match(self._text, self._at)
        if match is None:  # a minus without a digit
            self._at += 1
            self._bad_number("expected digit (0-9) to follow minus sign, for valid numeric value")
        digits, self._at = match.group(), match.end()
        following = self._text[self._at : self._at + 1]
        if digits in (b"0", b"-0") and following.isdigit():
            self._fail("Invalid numeric value: Leading zeroes not allowed", self._at + 1)
        if following == b"." and b"." not in digits and b"e" not in digits.lower():
            self._at += 1
            self._bad_number("Decimal point not followed by a digit")
        if following in (b"e", b"E") and b"e" not in digits.lower():
            self._at += 2 if self._text[self._at + 1 : self._at + 2] in (b"+", b"-") else 1
            self._bad_number("Exponent indicator not followed by a digit")
        if not self._open and following and following not in b" \t\r\n":
            self._unexpected(following[0], "Expected space separating root-level values")

    def _bad_number(self, comment: str) -> NoReturn:
        if self._at >= len(self._text):
            self._fail("Unexpected end-of-input within numeric value", len(self._text))
        byte = self._text[self._at]
        self._fail(f"Unexpected character ({_describe(byte)}) in numeric value: {comment}", self._at)

    def _keyword(self, keyword: bytes) -> None:
        matched = 0
        while matched < len(keyword) and self._byte_at(self._at + matched) == keyword[matched]:
            matched += 1
        after = self._at + matched
        follows = self._byte_at(after)
        if matched < len(keyword):
            self._bad_token(self._at, after)
        if follows is not None and (follows >= 0x80 or _is_identifier_part(chr(follows))):
            self._bad_token(self._at, after)
        self._at = after

    def _no_value(self, byte: int) -> NoReturn:
        constant = _NON_NUMERIC.get(byte)
        if constant and self._text.startswith(constant, self._at):
            self._fail(
                f"Non-standard token '{constant.decode()}': enable "
                "`JsonReadFeature.ALLOW_NON_NUMERIC_NUMBERS` to allow",
                self._at + len(constant),
            )
        if _is_identifier_start(chr(byte)):
            self._bad_token(self._at, self._at + 1)
        self._unexpected(byte, f"expected a valid value {_TOKENS}")

    def _bad_token(self, start: int, at: int) -> NoReturn:
        """Report the word that starts here, of which the bytes up to `at` have been read."""
        token = self._text[start:at].decode("latin-1")
        while at < len(self._text) and len(token) < _TOKEN_SHOWN_MAX:
            character, at = self._character(at)
            if not _is_identifier_part(character):
                break
            token += character
        shown = token + "..." if len(token) >= _TOKEN_SHOWN_MAX else token
        self._fail(f"Unrecognized token '{shown}': was expecting {_TOKENS}", at)

    def _character(self, at: int) -> tuple[str, int]:
        first = self._text[at]
        length = 1 if first < 0x80 else 2 if first & 0xE0 == 0xC0 else 3 if first & 0xF0 == 0xE0 else 4
        self._check_utf8(at, min(at + length, len(self._text)))
        return self._text[at : at + length].decode("utf-8"), at + length

    def _check_utf8(self, start: int, end: int) -> None:
        part = self._text[start:end]
        if part.isascii():
            return
        try:
            part.decode("utf-8")
        except UnicodeDecodeError as error:
            first = part[error.start]
            is_start = first & 0xE0 == 0xC0 or first & 0xF0 == 0xE0 or first & 0xF8 == 0xF0
            at = start + (error.end if is_start and error.reason != "invalid start byte" else error.start)
            if at >= len(self._text):
                self._fail("Unexpected end-of-input", len(self._text))
            which = "middle" if at > start + error.start else "start"
            self._fail(f"Invalid UTF-8 {which} byte 0x{self._text[at]:x}", at + 1)

    # Reading and reporting.

    def _peek(self) -> int | None:
        self._at = _match_end(_SPACE, self._text, self._at)
        byte = self._byte_at(self._at)
        if byte is not None and byte < 0x20:
            self._fail(
                f"Illegal character ({_describe(byte)}): only regular white space (\\r, \\n, \\t) is allowed "
                "between tokens",
                self._at + 1,
            )
        return byte

    def _peek_within(self, *, is_object: bool) -> int:
        byte = self._peek()
        if byte is None:
            self._fail(f"Unexpected end-of-input within/between {_kind(is_object)} entries", len(self._text))
        return byte

    def _byte_at(self, at: int) -> int | None:
        return self._text[at] if at < len(self._text) else None

    def _unexpected(self, byte: int, comment: str) -> NoReturn:
        self._fail(f"Unexpected character ({_describe(byte)}): {comment}", self._at)

    def _fail(self, message: str, at: int, *, lines_to: int | None = None) -> NoReturn:
        raise _Fault(f"{message}\n at {self._place(at, lines_to=lines_to)}")

    def _place(self, at: int, *, lines_to: int | None = None) -> str:
        end = max(at if lines_to is None else lines_to, 0)
        line = self._text.count(b"\n", 0, end) + 1
        column = at - (self._text.rfind(b"\n", 0, end) + 1) + 1
        return _SOURCE.format(line, column)


def _match_end(pattern: re.Pattern[bytes], text: bytes, at: int) -> int:
    match = pattern.match(text, at)
    assert match is not None, "the pattern matches the empty text"
    return match.end()


def _kind(is_object: bool) -> str:
    return "Object" if is_object else "Array"


def _describe(byte: int) -> str:
    if byte < 0x20 or 0x7F <= byte < 0xA0:
        return f"(CTRL-CHAR, code {byte})"
    return f"'{chr(byte)}' (code {byte})"


def _is_identifier_start(character: str) -> bool:
    return character.isalpha() or character in _IDENTIFIER_MARKS


def _is_identifier_part(character: str) -> bool:
    return character.isalnum() or character in _IDENTIFIER_MARKS
