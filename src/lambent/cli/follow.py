"""The logs of several functions at once, as they come, each line with its function's name."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from lambent.cli.logs import Reader, message_text, style_of

POLL_INTERVAL_S = 0.15
AFTER_FAILURE_S = 2.0
COLOURS = ("cyan", "magenta", "green", "blue", "yellow", "bright_cyan", "bright_magenta", "bright_green")

Show = Callable[[str, str, str], None]
"""Takes a function's name, a text and its style."""


class Follower:
    """Reads the log groups of functions in a thread of its own, until it is closed."""

    def __init__(self, client: Any, show: Show, on_failure: Callable[[Exception], None]) -> None:
        """Prepare.

        Args:
            client: of CloudWatch Logs.
            show: takes each log event.
            on_failure: told once when the server stops answering, and again only after it has answered.
        """
        self._client = client
        self._show = show
        self._on_failure = on_failure
        self._readers: dict[str, Reader] = {}
        self._is_closed = threading.Event()
        self._has_failed = False
        self._thread = threading.Thread(target=self._run, daemon=True)

    def follow(self, groups: Mapping[str, str]) -> None:
        """Show the logs of these functions from now on: name → log group."""
        now_ms = int(time.time() * 1000)
        old = self._readers
        self._readers = {
            name: old[name]
            if name in old and old[name].group == group
            else Reader(client=self._client, group=group, pattern=None, start_ms=now_ms)
            for name, group in groups.items()
        }
        if not self._thread.is_alive() and not self._is_closed.is_set():
            self._thread.start()

    def close(self) -> None:
        """Show what has come, and stop."""
        self._is_closed.set()
        if self._thread.is_alive():
            self._thread.join(timeout=1)

    def _run(self) -> None:
        while not self._is_closed.wait(AFTER_FAILURE_S if self._has_failed else POLL_INTERVAL_S):
            self._read()
        if not self._has_failed:
            self._read()

    def _read(self) -> None:
        try:
            for name, reader in self._readers.items():
                for event in reader.read():
                    text = message_text(event["message"])
                    self._show(name, text, style_of(text))
            self._has_failed = False
        except Exception as error:
            if not self._has_failed and not self._is_closed.is_set():
                self._on_failure(error)
            self._has_failed = True


def colour_of(index: int) -> str:
    """Return the colour of the function with this place in its project."""
    return COLOURS[index % len(COLOURS)]
