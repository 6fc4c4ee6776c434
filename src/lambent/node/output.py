"""The log pipe of an execution environment: bytes to log lines.

Standard output, standard error and the framed log descriptor are one pipe, so that the order of a function's
output is kept. A frame starts with bytes that cannot occur in UTF-8 text (``a5 5a 00``), which is how the two
are told apart. Frames are AWS's telemetry log format: type, length, time in microseconds, message (big-endian).
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable

from lambent.domain.facts import LogLine
from lambent.domain.limits import LOG_LINE_MAX_BYTES

_FRAME_MARK = b"\xa5\x5a\x00"
_FRAME_HEAD_BYTES = 16
_READ_BYTES = 65_536
_READS_MAX = 256
"""Reads in one go (16 MB), so that a function that prints without end does not hold up everything else."""


class LineParser:
    """Turns a stream of bytes into log lines."""

    def __init__(self) -> None:
        self._rest = b""

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
            if buffer.startswith(_FRAME_MARK, start):
                end = self._frame(buffer, start, lines)
            else:
                end = self._line(buffer, start, at_s, lines)
            if end < 0:
                break
            start = end
        self._rest = buffer[start:]
        return lines

    def finish(self, at_s: float) -> list[LogLine]:
        """Return what is left as a last line."""
        rest, self._rest = self._rest, b""
        return [_log_line(rest, at_s)] if rest and not rest.startswith(_FRAME_MARK) else []

    def _frame(self, buffer: bytes, start: int, lines: list[LogLine]) -> int:
        if len(buffer) < start + _FRAME_HEAD_BYTES:
            return -1
        length = int.from_bytes(buffer[start + 4 : start + 8], "big")
        body, end = start + _FRAME_HEAD_BYTES, start + _FRAME_HEAD_BYTES + length
        if len(buffer) < end:
            return -1
        at_s = int.from_bytes(buffer[start + 8 : start + 16], "big") / 1e6
        for part in range(body, max(end, body + 1), LOG_LINE_MAX_BYTES):
            lines.append(_log_line(buffer[part : min(end, part + LOG_LINE_MAX_BYTES)], at_s))
        return end

    def _line(self, buffer: bytes, start: int, at_s: float, lines: list[LogLine]) -> int:
        newline = buffer.find(b"\n", start)
        mark = buffer.find(_FRAME_MARK, start, newline if newline >= 0 else len(buffer))
        if mark >= 0:
            # Text without a newline, then a frame: the text is a line of its own.
            end, resume = mark, mark
        elif newline >= 0:
            end, resume = newline, newline + 1
        elif len(buffer) - start >= LOG_LINE_MAX_BYTES:
            end = resume = start + LOG_LINE_MAX_BYTES
        else:
            return -1
        for part in range(start, max(end, start + 1), LOG_LINE_MAX_BYTES):
            lines.append(_log_line(buffer[part : min(end, part + LOG_LINE_MAX_BYTES)], at_s))
        return resume


def _log_line(content: bytes, at_s: float) -> LogLine:
    return LogLine(at_s=at_s, text=content.decode("utf-8", "replace").rstrip("\n"))


class Output:
    """Reads the pipe when it has something, and at once when asked."""

    def __init__(
        self, *, now_s: Callable[[], float], on_lines: Callable[[tuple[LogLine, ...]], None]
    ) -> None:
        self._read_end, self.write_end = os.pipe2(os.O_CLOEXEC)
        os.set_blocking(self._read_end, False)
        self._parser = LineParser()
        self._now_s = now_s
        self._on_lines = on_lines
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._read_end, self.drain)
        self._is_open = True

    def drain(self) -> None:
        """Read what is there now and hand on the complete lines."""
        if not self._is_open:
            return
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
        if rest := self._parser.finish(self._now_s()):
            self._on_lines(tuple(rest))

    def close(self) -> None:
        """Hand on the rest and close both ends."""
        if not self._is_open:
            return
        self.drain()
        self.finish_line()
        self._is_open = False
        self._loop.remove_reader(self._read_end)
        os.close(self._read_end)
        os.close(self.write_end)
