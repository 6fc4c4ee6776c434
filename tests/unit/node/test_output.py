"""Promises of the log pipe: every line once, whole messages as one event, however the bytes arrive."""

from __future__ import annotations

import asyncio
import os
import time
import tracemalloc
from collections.abc import Iterable
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lambent.domain.facts import LogLine
from lambent.domain.limits import LOG_LINE_MAX_BYTES
from lambent.node.output import LineParser, Output

AT_S = 1_767_323_045.5
FRAME_AT_S = 1_767_323_044.25


def frame(message: bytes, *, kind: int = 0xA55A0003, at_s: float = FRAME_AT_S) -> bytes:
    """A message as AWS's telemetry log format frames it."""
    head = (kind, 4), (len(message), 4), (int(at_s * 1e6), 8)
    return b"".join(number.to_bytes(size, "big") for number, size in head) + message


def parsed(chunks: Iterable[bytes]) -> list[LogLine]:
    """All lines of a stream that arrives in these chunks and then ends."""
    parser = LineParser()
    lines = [line for chunk in chunks for line in parser.feed(chunk, AT_S)]
    return lines + parser.end(AT_S)


def texts(*chunks: bytes) -> list[str]:
    return [line.text for line in parsed(chunks)]


def test_every_line_of_output_is_a_log_line() -> None:
    assert parsed([b"one\ntwo\n"]) == [LogLine(at_s=AT_S, text="one"), LogLine(at_s=AT_S, text="two")]


def test_an_empty_line_is_a_line() -> None:
    assert texts(b"one\n\ntwo\n") == ["one", "", "two"]


def test_a_line_waits_for_its_newline() -> None:
    parser = LineParser()
    assert parser.feed(b"on", AT_S) == []
    assert [line.text for line in parser.feed(b"e\n", AT_S)] == ["one"]


def test_what_stands_without_a_newline_is_a_line_at_the_end_of_an_invocation() -> None:
    parser = LineParser()
    parser.feed(b"no newline", AT_S)
    assert [line.text for line in parser.finish_line(AT_S)] == ["no newline"]
    assert parser.finish_line(AT_S) == []


def test_a_framed_message_is_one_event_with_its_own_time_however_many_lines_it_has() -> None:
    assert parsed([frame(b"Traceback:\n  line one\n  line two")]) == [
        LogLine(at_s=FRAME_AT_S, text="Traceback:\n  line one\n  line two")
    ]


@pytest.mark.parametrize(
    "last_byte", [0x02, 0x03, 0x0A, 0x0B, 0x0E, 0x0F, 0x12, 0x13, 0x16, 0x17, 0x1A, 0x1B]
)
def test_frames_of_every_level_and_format_are_frames(last_byte: int) -> None:
    """0x0a is a newline, in the middle of a head."""
    assert texts(b"before" + frame(b"m", kind=0xA55A0000 | last_byte) + b"after\n") == [
        "before",
        "m",
        "after",
    ]


def test_a_frame_of_ten_bytes_has_a_newline_in_its_head_and_is_a_frame_all_the_same() -> None:
    assert texts(b"x" + frame(b"0123456789")) == ["x", "0123456789"]


def test_an_empty_frame_is_an_empty_event() -> None:
    assert parsed([frame(b"")]) == [LogLine(at_s=FRAME_AT_S, text="")]


def test_text_without_a_newline_ends_where_a_frame_begins() -> None:
    assert texts(b"progress: 10%" + frame(b"[INFO] hello") + b" 20%\n") == [
        "progress: 10%",
        "[INFO] hello",
        " 20%",
    ]


def test_a_frame_may_be_cut_at_every_byte() -> None:
    stream = b"a" + frame("zwei\nZeilen ü".encode()) + b"b\n" + frame(b"") + b"c"
    whole = parsed([stream])
    assert [line.text for line in whole] == ["a", "zwei\nZeilen ü", "b", "", "c"]
    for cut in range(len(stream) + 1):
        assert parsed([stream[:cut], stream[cut:]]) == whole, cut
    assert parsed(stream[at : at + 1] for at in range(len(stream))) == whole


def test_bytes_that_are_no_text_are_replaced_and_nothing_else_is_lost() -> None:
    assert texts(b"a\xff\xfeb\n\xa5\x5a\nok\n") == ["a\ufffd\ufffdb", "\ufffdZ", "ok"]


def test_a_line_of_the_greatest_length_is_one_line_even_if_its_newline_comes_late() -> None:
    longest = b"x" * LOG_LINE_MAX_BYTES
    assert texts(longest + b"\n") == [longest.decode()]
    assert texts(longest, b"\n") == [longest.decode()]


def test_a_longer_line_is_split_at_the_limit() -> None:
    content = b"x" * (2 * LOG_LINE_MAX_BYTES + 5)
    assert [len(text) for text in texts(content + b"\n")] == [LOG_LINE_MAX_BYTES, LOG_LINE_MAX_BYTES, 5]


def test_a_long_frame_is_split_at_the_limit() -> None:
    lines = parsed([frame(b"x" * (LOG_LINE_MAX_BYTES + 1)) + b"next\n"])
    assert [(len(line.text), line.at_s) for line in lines] == [
        (LOG_LINE_MAX_BYTES, FRAME_AT_S),
        (1, FRAME_AT_S),
        (4, AT_S),
    ]


@pytest.mark.parametrize("character", ["ü", "€", "🐑"])
def test_no_character_is_cut_in_two(character: str) -> None:
    text = "x" + character * (LOG_LINE_MAX_BYTES // len(character.encode()) + 3)
    for stream in (text.encode() + b"\n", frame(text.encode())):
        lines = texts(stream)
        assert "".join(lines) == text
        assert all(len(line.encode()) <= LOG_LINE_MAX_BYTES for line in lines)


def test_a_frame_right_behind_a_longest_line_is_seen_wherever_the_read_ends() -> None:
    longest = b"x" * LOG_LINE_MAX_BYTES
    stream = longest + frame(b"framed")
    for cut in range(LOG_LINE_MAX_BYTES - 1, LOG_LINE_MAX_BYTES + 20):
        assert texts(stream[:cut], stream[cut:]) == [longest.decode(), "framed"], cut


def test_a_frame_that_claims_gigabytes_takes_no_memory() -> None:
    """The length is the function's word: believed for where the frame ends, not for what is kept."""
    parser = LineParser()
    chunk = b"y" * 65_536
    tracemalloc.start()
    try:
        parser.feed(b"\xa5\x5a\x00\x03\xff\xff\xff\xff" + bytes(8), AT_S)
        for _ in range(400):
            parser.feed(chunk, AT_S)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak_bytes < 4 * 1024 * 1024


def test_a_frame_that_is_still_being_written_is_not_torn_by_the_end_of_an_invocation() -> None:
    parser = LineParser()
    stream = frame(b"from another thread")
    assert parser.feed(stream[:20], AT_S) == []
    assert parser.finish_line(AT_S) == []
    assert [line.text for line in parser.feed(stream[20:], AT_S)] == ["from another thread"]


def test_a_frame_that_was_never_finished_is_given_as_far_as_it_came() -> None:
    stream = frame(b"killed while it wrote this")
    assert parsed([stream[:22]]) == [LogLine(at_s=FRAME_AT_S, text="killed")]
    assert parsed([stream[:9]]) == []


PIECES = st.one_of(
    st.binary(max_size=40).filter(lambda piece: b"\xa5" not in piece),
    st.text(max_size=20).map(str.encode),
    st.just(b"\n"),
    st.binary(max_size=40).map(frame),
)


@settings(deadline=None)
@given(pieces=st.lists(PIECES, max_size=12), cuts=st.lists(st.integers(0, 400), max_size=12))
def test_any_chunking_gives_the_same_lines(pieces: list[bytes], cuts: list[int]) -> None:
    stream = b"".join(pieces)
    places = sorted({0, len(stream), *(cut % (len(stream) + 1) for cut in cuts)})
    chunks = [stream[start:end] for start, end in pairwise(places)]
    assert parsed(chunks) == parsed([stream])


LONG = st.tuples(st.integers(-4, 4), st.sampled_from([b"", b"\n", "ü".encode(), frame(b"f\n"), b"\xa5"]))


@settings(deadline=None)
@given(parts=st.lists(LONG, min_size=1, max_size=3), cuts=st.lists(st.integers(-5, 5), max_size=4))
def test_any_chunking_gives_the_same_lines_around_the_limit(
    parts: list[tuple[int, bytes]], cuts: list[int]
) -> None:
    stream = b"".join(b"z" * (LOG_LINE_MAX_BYTES + more) + tail for more, tail in parts)
    places = sorted({0, len(stream), *(min(len(stream), LOG_LINE_MAX_BYTES + cut) for cut in cuts)})
    chunks = [stream[start:end] for start, end in pairwise(places)]
    lines = parsed([stream])
    assert parsed(chunks) == lines
    assert all(len(line.text.encode("utf-8", "replace")) <= LOG_LINE_MAX_BYTES + 6 for line in lines)


def test_a_whole_stream_is_never_lost() -> None:
    """Plain text comes out as it went in."""
    stream = os.urandom(3 * LOG_LINE_MAX_BYTES).hex().encode()
    assert (
        "".join(texts(*(stream[at : at + 7_001] for at in range(0, len(stream), 7_001)))) == stream.decode()
    )


class Pipe:
    """An `Output` and the lines that came out of it."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.has_lines = asyncio.Event()
        self.output = Output(now_s=time.time, on_lines=self.take)

    def take(self, lines: tuple[LogLine, ...]) -> None:
        self.lines += [line.text for line in lines]
        self.has_lines.set()

    def write(self, content: bytes) -> None:
        os.write(self.output.write_end, content)


def test_the_pipe_is_read_when_it_has_something() -> None:
    async def story() -> list[str]:
        pipe = Pipe()
        pipe.write(b"hello\n")
        await asyncio.wait_for(pipe.has_lines.wait(), 10)
        pipe.output.close()
        return pipe.lines

    assert asyncio.run(story()) == ["hello"]


def test_the_pipe_is_read_at_once_when_asked() -> None:
    """What a function wrote before it answered belongs to that invocation."""

    async def story() -> list[str]:
        pipe = Pipe()
        pipe.write(b"before the answer\nhalf")
        pipe.output.drain()
        pipe.output.finish_line()
        lines = list(pipe.lines)
        pipe.output.close()
        return lines

    assert asyncio.run(story()) == ["before the answer", "half"]


def test_closing_hands_on_the_rest_and_closes_both_ends() -> None:
    async def story() -> tuple[list[str], int]:
        pipe = Pipe()
        write_end = pipe.output.write_end
        pipe.write(b"last words")
        pipe.output.close()
        pipe.output.close()
        pipe.output.drain()
        return pipe.lines, write_end

    lines, write_end = asyncio.run(story())
    assert lines == ["last words"]
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.write(write_end, b"x")
