"""The filter pattern language: which messages a pattern matches, and which texts are no patterns.

The sentences follow the AWS page "Filter pattern syntax for metric filters, subscription filters, filter log
events, and Live Tail".
"""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lambent.domain.log_pattern import compile_pattern, split_fields
from lambent.errors import InvalidParameterException

ACCESS = '10.1.2.3 - ada [10/Oct/2000:13:25:15 -0700] "GET /index.html HTTP/1.0" 404 1534'
REPORT = (
    "REPORT RequestId: 6f1e\tDuration: 27.40 ms\tBilled Duration: 28 ms\tMemory Size: 128 MB\t"
    "Max Memory Used: 47 MB\t\n"
)
ORDER = json.dumps(
    {
        "level": "ERROR",
        "latency": 250.5,
        "code": 404,
        "textual": "404",
        "address": "10.20.30.40",
        "note": 'say "hi"',
        "nothing": None,
        "isOpen": True,
        "isShut": False,
        "request-id": "r-1",
        "user": {"id": 1228, "mail": "ada@example.com"},
        "tags": ["red", "green"],
        "items": [{"name": "bolt", "count": 2}, {"name": "nut", "count": 30}],
        "grid": [[0, 1], [2, 3]],
    }
)


@pytest.mark.parametrize(
    ("pattern", "message", "expected"),
    [
        ("", "anything at all", True),
        ("   ", "anything at all", True),
        ("ERROR", "[ERROR] disk full", True),
        ("ERROR", "left with ERRORCODE 7", True),
        ("ERROR", "error: lower case is something else", False),
        ("ERROR disk", "disk is in ERROR", True),
        ("ERROR disk", "ERROR elsewhere", False),
        ('"disk full"', "ERROR: disk full", True),
        ('"disk full"', "full disk", False),
        ('"say \\"hi\\""', 'they say "hi" twice', True),
        ('"a\\\\b"', r"path a\b", True),
        ("ERROR -retry", "ERROR final", True),
        ("ERROR -retry", "ERROR, will retry", False),
        ('ERROR -"will retry"', "ERROR, will retry", False),
        ('"ERROR" - "retry"', "ERROR, will retry", False),
        ("-retry", "first try", True),
        ("-retry", "retry", False),
        ("?ERROR ?WARN", "WARN only", True),
        ("?ERROR ?WARN", "INFO only", False),
        ('?"out of memory" ?"timed out"', "Task timed out", True),
        ("?ERROR ?WARN -test", "WARN in a test", False),
        ("?ERROR REQUEST", "REQUEST fine", True),  # with a required term, AWS ignores the optional ones
        ("Übergröße", "die Übergröße fehlt", True),
        ("ERROR", "two lines\nERROR on the second", True),
    ],
)
def test_terms(pattern: str, message: str, expected: bool) -> None:
    """Terms are case-sensitive parts of the message; all must be there."""
    assert compile_pattern(pattern).matches(message) is expected


@pytest.mark.parametrize(
    ("pattern", "message", "expected"),
    [
        ("%AUTHORIZED%", "401 UNAUTHORIZED", True),
        ("%AUTHORIZED%", "401 unauthorized", False),
        ("%colou?r%", "the color", True),
        ("%colou?r%", "the colour", True),
        ("%colou?r%", "the colouur", False),
        ("%^ERROR%", "ERROR first", True),
        ("%^ERROR%", "no ERROR first", False),
        ("%full$%", "disk full", True),
        ("%full$%", "disk full\n", True),
        ("%full$%", "full disk", False),
        ("%^$%", "", True),
        ("%^$%", "x", False),
        ("%gray|grey%", "a grey cat", True),
        ("%gray|^grey%", "a grey cat", False),
        (r"%10\.10\.0\.1%", "from 10.10.0.1", True),
        (r"%10\.10\.0\.1%", "from 10x10x0x1", False),
        ("%[a-f0-9]{4}-%", "id 0a9f-", True),
        ("%[a-f0-9]{4}-%", "id 0a9-", False),
        ("%[^0-9]x%", "7x", False),
        ("%[^0-9]x%", "ax", True),
        ("%x{2,3}y%", "xy", False),
        ("%x{2,3}y%", "xxxy", True),
        ("%^x{2,3}y%", "xxxxy", False),
        ("%^x{2,}y%", "xxxxxy", True),
        ("%^a*b+c%", "bbc", True),
        ("%^a*b+c%", "aac", False),
        (r"%\d+\sms%", "took 27 ms", True),
        (r"%\d+\sms%", "took no ms", False),
        (r"%^\S+\s\w+$%", "one two", True),
        (r"%^\D\W$%", "a!", True),
        (r"%\x41B%", "AB", True),
        (r"%[\d_]+x%", "1_x", True),
        ("%[]%", "", None),
        ("%a.c%", "abc", True),
        ("%a.c%", "a\nc", False),
        ("%é%", "", None),
        ("%something!%", "", None),
        ("%(a|b)%", "", None),
        ("%a**%", "", None),
        ("%*a%", "", None),
        ("%a{2%", "", None),
        ("%a{3,2}%", "", None),
        ("%a{9999}%", "", None),
        ("%[z-a]%", "", None),
        ("%[a%", "", None),
        ("%a$b%", "", None),
        (r"%\%", "", None),
        (r"%\b%", "", None),
        (r"%\xg1%", "", None),
        ("%%", "", None),
        ("%", "", None),
    ],
)
def test_regular_expressions(pattern: str, message: str, expected: bool | None) -> None:
    """What AWS supports between ``%`` signs; None: not a pattern."""
    if expected is None:
        with pytest.raises(InvalidParameterException):
            compile_pattern(pattern)
    else:
        assert compile_pattern(pattern).matches(message) is expected


def test_a_regular_expression_never_takes_more_than_linear_time() -> None:
    """Engines that backtrack need hours for this; an automaton looks at each character once."""
    pattern = compile_pattern("%x*x*x*x*x*x*y[0-9]z%")
    began = time.process_time()
    assert not pattern.matches("x" * 50_000 + "yz")
    assert time.process_time() - began < 5


def test_the_automaton_forgets_and_still_answers_rightly() -> None:
    """A text with more different characters than steps are remembered."""
    pattern = compile_pattern("%[^a]{3}b%")
    assert pattern.matches("".join(map(chr, range(0x4E00, 0x9F00))) + "b")


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ('{ $.level = "ERROR" }', True),
        ("{ $.level = ERROR }", True),
        ("{$.level=ERROR}", True),
        ('{ $.level = "error" }', False),
        ("{ $.level = ERR* }", True),
        ("{ $.level = *ROR }", True),
        ("{ $.level = *RRO* }", True),
        ("{ $.level = E*R }", False),  # a wildcard counts only at an end
        ('{ $.level = "*" }', True),
        ("{ $.missing = * }", False),
        ('{ $.level != "INFO" }', True),
        ('{ $.level != "ERROR" }', False),
        ("{ $.missing != x }", False),
        ("{ $.address != 123.123.* }", True),
        ("{ $.address = 10.20.* }", True),
        ("{ $.latency > 250 }", True),
        ("{ $.latency > 250.5 }", False),
        ("{ $.latency >= 250.5 }", True),
        ("{ $.latency < 1e3 }", True),
        ("{ $.latency < 10e-3 }", False),
        ("{ $.latency <= +250.50 }", True),
        ("{ $.code = 404 }", True),
        ("{ $.code = 404.0 }", True),
        ("{ $.code != 500 }", True),
        ("{ $.code = 4* }", True),
        ('{ $.code = "404" }', True),
        ("{ $.textual = 404 }", True),
        ("{ $.user.id = 12* }", True),
        ("{ $.user.mail = ada@example.com }", None),
        ('{ $.user.mail = "ada@example.com" }', True),
        ('{ $.note = "say \\"hi\\"" }', True),
        ('{ $.request-id = "r-1" }', True),
        ("{ $.nothing IS NULL }", True),
        ("{ $.level IS NULL }", False),
        ("{ $.missing IS NULL }", False),
        ("{ $.nothing NOT EXISTS }", False),
        ("{ $.missing NOT EXISTS }", True),
        ("{ $.user.missing.deeper NOT EXISTS }", True),
        ("{ $.isOpen IS TRUE }", True),
        ("{ $.isOpen IS FALSE }", False),
        ("{ $.isShut IS FALSE }", True),
        ("{ $.level IS TRUE }", False),
        ('{ $.tags[0] = "red" }', True),
        ('{ $.tags[1] = "red" }', False),
        ("{ $.tags[9] NOT EXISTS }", True),
        ("{ $.level[0] = E }", False),
        ("{ $.tags = red }", False),  # a list is neither equal nor unequal to anything
        ("{ $.tags != red }", False),
        ("{ $.user != red }", False),
        ("{ $.items[1].count = 30 }", True),
        ("{ $.items[1].count = 2 }", False),
        ('{ $.items[*].name = "nut" }', True),
        ("{ $.items[*].count > 30 }", False),
        ("{ $.grid[1][0] = 2 }", True),
        ('{ $.*.mail = "ada*" }', True),
        ("{ $.level = %^ERR% }", True),
        ("{ $.level = %^RR% }", False),
        ("{ $.level != %^RR% }", True),
        ("{ $.level = ERROR && $.code = 404 }", True),
        ("{ $.level = ERROR && $.code = 500 }", False),
        ("{ $.level = INFO || $.code = 404 }", True),
        ("{ $.level = ERROR || $.code = 500 && $.latency > 9999 }", True),  # && binds more tightly
        ("{ ($.level = ERROR || $.code = 500) && $.latency > 9999 }", False),
        ('{ $.level = "ERROR" && ($.latency > 300 || $.user.id = 12*) }', True),
        ("{ (($.code = 404)) }", True),
    ],
)
def test_conditions_on_json(pattern: str, expected: bool | None) -> None:
    """Selectors, comparisons and their combination; None: not a pattern."""
    if expected is None:
        with pytest.raises(InvalidParameterException):
            compile_pattern(pattern)
    else:
        assert compile_pattern(pattern).matches(ORDER) is expected


@pytest.mark.parametrize(
    "message",
    [
        "plain text",
        "",
        '["level", "ERROR"]',
        '{"level": "ERROR"',
        '{"a":' * 100_000,
        '"ERROR"',
        "{} trailing",
    ],
)
def test_a_message_that_is_no_json_object_matches_no_json_pattern(message: str) -> None:
    assert not compile_pattern("{ $.level NOT EXISTS || $.level = ERROR }").matches(message)


@pytest.mark.parametrize(
    ("pattern", "message", "expected"),
    [
        ("[ip, user, name, time, request, status, bytes]", ACCESS, True),
        ("[ip, user, name, time, request, status]", ACCESS, False),
        ("[ip, user, name, time, request, status, bytes, more]", ACCESS, False),
        ("[..., status, bytes]", ACCESS, True),
        ("[ip, ...]", ACCESS, True),
        ("[...]", ACCESS, True),
        ("[ip, user, ..., status = 4*, bytes > 1000]", ACCESS, True),
        ("[ip, user, ..., status = 4*, bytes > 2000]", ACCESS, False),
        ("[ip, user, ..., status = 5*, bytes]", ACCESS, False),
        ("[..., request = *.html*, status = 404, bytes]", ACCESS, True),
        ("[..., request = *.png*, status, bytes]", ACCESS, False),
        ("[..., request=*.html*, status=4*,]", ACCESS, True),
        ("[ip != 10.1.2.3, ...]", ACCESS, False),
        ("[ip = 10.1.*, ...]", ACCESS, True),
        (r"[ip = %10\.1\.2\.[0-9]%, ...]", ACCESS, True),
        ("[..., status = 404 || status = 410, bytes]", ACCESS, True),
        ("[..., status = 4* && status != 404, bytes]", ACCESS, False),
        ("[..., (status = 4* && status != 403), bytes]", ACCESS, True),
        ("[w1=ERROR, w2]", "ERROR message", True),
        ("[w1=ERROR, w2]", "ERROR WARN message", False),
        ("[w1=!ERROR&&w1=!WARN, w2]", "INFO message", True),
        ("[w1=!ERROR&&w1=!WARN, w2]", "WARN message", False),
        (
            '[kind="REPORT", label="RequestId:", id, name="Duration:", value > 20, unit="ms", ...]',
            REPORT,
            True,
        ),
        (
            '[kind="REPORT", label="RequestId:", id, name="Duration:", value > 30, unit="ms", ...]',
            REPORT,
            False,
        ),
        ("[a, b]", "", False),
        ("[...]", "", True),
    ],
)
def test_space_delimited_fields(pattern: str, message: str, expected: bool) -> None:
    assert compile_pattern(pattern).matches(message) is expected


def test_fields_are_extracted_by_name_or_else_by_number() -> None:
    pattern = compile_pattern("[..., request=*.html*, status=4*,]")
    assert pattern.extract(ACCESS) == {
        "$1": "10.1.2.3",
        "$2": "-",
        "$3": "ada",
        "$4": "10/Oct/2000:13:25:15 -0700",
        "$request": "GET /index.html HTTP/1.0",
        "$status": "404",
        "$7": "1534",
    }
    assert compile_pattern("ada").extract(ACCESS) == {}
    assert compile_pattern("{ $.code = 404 }").extract(ORDER) == {}


def test_brackets_and_quotes_hold_a_field_together_only_around_a_whole_field() -> None:
    assert split_fields('a [b c] "d e" f[g h] "i"j [k') == ["a", "b c", "d e", "f[g", "h]", '"i"j', "[k"]


def test_fields_of_a_long_line_are_split_in_linear_time() -> None:
    began = time.process_time()
    assert len(split_fields("[ " * 60_000 + "]x")) == 60_001
    assert time.process_time() - began < 5


@pytest.mark.parametrize(
    "pattern",
    [
        "{}",
        "{ }",
        "{ level = x }",
        "{ $ = x }",
        "{ $[0] = x }",
        "{ $.level }",
        "{ $.level = }",
        "{ $.level > abc }",
        '{ $.level > "3" }',
        "{ $.level IS }",
        "{ $.level IS ODD }",
        "{ $.level NOT }",
        "{ $.level = a && }",
        "{ $.level = a | $.b = c }",
        "{ ($.level = a }",
        "{ $.level = a) }",
        "{ $.level == a }",
        "{ " + "(" * 200 + "$.a = b" + ")" * 200 + " }",
        "{ $.a = %x% || $.b = %y% || $.c = %z% }",
        "{ $.a = %(x)% }",
        "[]",
        "[a, ..., b, ...]",
        "[a = 4* && b > 3]",
        "[a > b]",
        "[(]",
        '"unbalanced',
        "x" * 1_025,
    ],
)
def test_what_is_no_pattern_is_refused(pattern: str) -> None:
    with pytest.raises(InvalidParameterException) as refused:
        compile_pattern(pattern)
    assert refused.value.message == "Invalid filter pattern"


def test_a_term_with_other_characters_must_be_quoted() -> None:
    with pytest.raises(InvalidParameterException) as refused:
        compile_pattern("ERROR request-id")
    assert refused.value.message == "Invalid character(s) in term 'request-id'"


_PIECES = st.sampled_from(
    ['"', "%", "{", "}", "[", "]", "$", ".", "a", "7", "*", "&&", "||", "=", "!", "<", "(", ")", ",", "...", "\\",
     " ", "-", "?", "IS", "NULL", "NOT EXISTS", "$.a", "$.a[0]", "+", "^", "|", "{2,3}", "\\d", "é", "\n", "\0"]
)  # fmt: skip
_TEXTS = st.lists(_PIECES, max_size=25).map("".join) | st.text(max_size=40)


@settings(max_examples=250, deadline=None)
@given(
    body=_TEXTS,
    around=st.sampled_from(
        [("", ""), ("{", "}"), ("[", "]"), ("%", "%"), ("{ $.a = ", " }"), ("[a = ", ", ...]")]
    ),
    message=_TEXTS | st.sampled_from([ORDER, ACCESS, REPORT]),
)
def test_any_text_is_a_pattern_that_answers_or_is_refused(
    body: str, around: tuple[str, str], message: str
) -> None:
    try:
        pattern = compile_pattern(around[0] + body + around[1])
    except InvalidParameterException:
        return
    matched = pattern.matches(message)
    assert isinstance(matched, bool)
    assert matched or pattern.extract(message) == {}
