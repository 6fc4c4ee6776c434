"""The log pipe of an execution environment: bytes to log lines.

Standard output, standard error and the framed log descriptor are one pipe, so that the order of a function's
output is kept. A frame starts with bytes that cannot occur in UTF-8 text (``a5 5a 00``), which is how the two
are told apart. Frames are AWS's telemetry log format: type, length, time in microseconds, message (big-endian).
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import termios
from collections.abc import Callable

from lambent.domain.facts import LogLine
from lambent.domain.limits import LOG_LINE_MAX_BYTES

_FRAME_MARK = b"\xa5\x5a\x00"
_FRAME_HEAD_BYTES = 16
_CHARACTER_MAX_BYTES = 4
"""Of a character in UTF-8."""
_READ_BYTES = 65_536
_COUNT_BYTES = 4
"""An int, in which the kernel says how much there is to read."""
_READS_MAX = 256
"""Reads in one go (16 MB), so that a function that prints without end does not hold up everything else."""


class LineParser:
    """Turns a stream of bytes into log lines.

    However the stream is cut into reads, the lines are the same. It never holds much more than the longest line
    that it gives: a longer frame is handed on in parts as they come.
    """

    def __init__(self) -> None:
        self._rest = b""
        self.has_rest = False
        """Whether something stands there that is no line yet."""
        self._frame_at_s = 0.0
        self._frame_left = 0
        """Bytes of the current frame that have not been handed on; 0 outside of frames."""

    def feed(self, content: bytes, at_s: float) -> list[LogLine]:
        """Return the lines that are complete now.

        Args:
            content: the bytes that were read.
            at_s: the time of lines that carry none.
        """
        buffer = self._rest + content if self._rest else content
        lines: list[LogLine] = []
        start = 0
        while start < len(buffer):
            if self._frame_left:
                end = self._frame_part(buffer, start, lines)
            elif buffer.startswith(_FRAME_MARK, start):
                end = self._frame_head(buffer, start, lines)
            else:
                end = self._line(buffer, start, at_s, lines)
            if end < 0:
                break
            start = end
        self._rest = buffer[start:]
        self.has_rest = bool(self._rest) or self._frame_left > 0
        return lines

    def finish_line(self, at_s: float) -> list[LogLine]:
        """Return text that stands without a newline as a line; what is left of a frame is still to come."""
        if self._frame_left or self._rest.startswith(_FRAME_MARK):
            return []
        return self.end(at_s)

    def end(self, at_s: float) -> list[LogLine]:
        """Return what is left, be it the beginning of a frame: nothing will follow."""
        rest, self._rest, self.has_rest = self._rest, b"", False
        if self._frame_left:
            at_s, self._frame_left = self._frame_at_s, 0
        elif rest.startswith(_FRAME_MARK):
            return []  # A head without a body says nothing.
        lines: list[LogLine] = []
        _append_parts(rest, 0, len(rest), at_s, lines)
        return lines

    def _frame_head(self, buffer: bytes, start: int, lines: list[LogLine]) -> int:
        body = start + _FRAME_HEAD_BYTES
        if len(buffer) < body:
            return -1
        length = int.from_bytes(buffer[start + 4 : start + 8], "big")
        self._frame_at_s = int.from_bytes(buffer[start + 8 : body], "big") / 1e6
        self._frame_left = length
        if not length:
            lines.append(LogLine(at_s=self._frame_at_s, text=""))
        return body

    def _frame_part(self, buffer: bytes, start: int, lines: list[LogLine]) -> int:
        left = self._frame_left
        end = start + left
        if left > LOG_LINE_MAX_BYTES:
            # One byte more than a part tells whether the cut would go through a character.
            if len(buffer) - start <= LOG_LINE_MAX_BYTES:
                return -1
            end = _cut(buffer, start, end)
        elif len(buffer) < end:
            return -1
        lines.append(_log_line(buffer[start:end], self._frame_at_s))
        self._frame_left -= end - start
        return end

    def _line(self, buffer: bytes, start: int, at_s: float, lines: list[LogLine]) -> int:
        newline = buffer.find(b"\n", start)
        mark = buffer.find(_FRAME_MARK, start, newline if newline >= 0 else len(buffer))
        if mark >= 0:
            # Text without a newline, then a frame: the text is a line of its own.
            end, resume = mark, mark
        elif newline >= 0:
            end, resume = newline, newline + 1
        elif len(buffer) - start >= LOG_LINE_MAX_BYTES + len(_FRAME_MARK):
            # A mark that begins before or right behind the cut would have been found: it is all there.
            end = resume = _cut(buffer, start, len(buffer))
        else:
            return -1
        _append_parts(buffer, start, end, at_s, lines, even_if_empty=True)
        return resume


def _append_parts(
    buffer: bytes, start: int, end: int, at_s: float, lines: list[LogLine], *, even_if_empty: bool = False
) -> None:
    """Append a stretch of text as one line, or as several when it is too long for one."""
    if even_if_empty and start == end:
        lines.append(_log_line(b"", at_s))
    while start < end:
        cut = _cut(buffer, start, end)
        lines.append(_log_line(buffer[start:cut], at_s))
        start = cut


def _cut(buffer: bytes, start: int, end: int) -> int:
    """Return where the line that begins at `start` has to end at the latest, not inside a character."""
    latest = start + LOG_LINE_MAX_BYTES
    if latest >= end:
        return end
    for cut in range(latest, latest - _CHARACTER_MAX_BYTES, -1):
        if buffer[cut] & 0b1100_0000 != 0b1000_0000:
            return cut
    return latest  # Not UTF-8 at all.


def _log_line(content: bytes, at_s: float) -> LogLine:
    return LogLine(at_s=at_s, text=content.decode("utf-8", "replace").rstrip("\n"))


class Output:
    """Reads the pipe when it has something, and at once when asked."""

    def __init__(
        self, *, now_s: Callable[[], float], on_lines: Callable[[tuple[LogLine, ...]], None]
    ) -> None:
        self._read_end, self.write_end = os.pipe2(os.O_CLOEXEC)
        self._parser = LineParser()
        self._now_s = now_s
        self._on_lines = on_lines
        self._loop = asyncio.get_running_loop()
        self._waiting_bytes = bytearray(_COUNT_BYTES)
        self._is_open = True
        self._watch()

    def adopt(self, read_end: int) -> None:
        """Read another pipe instead, whose writing end the runtime has; close this one."""
        self._close_ends()
        self._read_end, self.write_end = read_end, -1
        self._watch()

    def _watch(self) -> None:
        os.set_blocking(self._read_end, False)
        self._loop.add_reader(self._read_end, self._read)

    def drain(self) -> None:
        """Hand on the complete lines that are there now; at the end of every invocation, and mostly there are none."""
        if not self._is_open:
            return
        # To ask is a fifth of the cost of reading in vain, which is an exception.
        fcntl.ioctl(self._read_end, termios.FIONREAD, self._waiting_bytes)
        if any(self._waiting_bytes):
            self._read()

    def _read(self) -> None:
        lines: list[LogLine] = []
        for _ in range(_READS_MAX):
            try:
                content = os.read(self._read_end, _READ_BYTES)
            except BlockingIOError:
                break
            except OSError:
                content = b""
            if not content:
                self._loop.remove_reader(self._read_end)
                break
            lines += self._parser.feed(content, self._now_s())
            if len(content) < _READ_BYTES:
                break
        if lines:
            self._on_lines(tuple(lines))

    def finish_line(self) -> None:
        """Hand on what stands without a newline; between invocations, so that it keeps its request id."""
        if self._parser.has_rest and (rest := self._parser.finish_line(self._now_s())):
            self._on_lines(tuple(rest))

    def close(self) -> None:
        """Hand on the rest and close both ends."""
        if not self._is_open:
            return
        self.drain()
        if rest := self._parser.end(self._now_s()):
            self._on_lines(tuple(rest))
        self._is_open = False
        self._close_ends()

    def _close_ends(self) -> None:
        self._loop.remove_reader(self._read_end)
        os.close(self._read_end)
        if self.write_end >= 0:
            os.close(self.write_end)
