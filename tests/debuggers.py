"""Small debuggers, as editors have large ones: over the Debug Adapter Protocol, and over Chrome's protocol."""

from __future__ import annotations

import abc
import base64
import json
import os
import socket
import struct
import urllib.request
from collections.abc import Callable
from typing import Any, BinaryIO

_PATIENCE_S = 60.0


class _Client(abc.ABC):
    """A connection on which messages come that were asked for, and others in between."""

    _socket: socket.socket
    _file: BinaryIO
    _events: list[dict[str, Any]]
    """What came in between."""

    def close(self) -> None:
        """Hang up."""
        self._file.close()
        self._socket.close()

    def _wait(self, is_wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        for one in self._events:
            if is_wanted(one):
                self._events.remove(one)
                return one
        while True:
            message = self._read()
            if is_wanted(message):
                return message
            self._events.append(message)

    @abc.abstractmethod
    def _read(self) -> dict[str, Any]:
        """Return the next message."""


class DapClient(_Client):
    """Speaks to debugpy (https://microsoft.github.io/debug-adapter-protocol/specification)."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=_PATIENCE_S)
        self._file = self._socket.makefile("rb")
        self._count = 0
        self._events: list[dict[str, Any]] = []

    def send(self, command: str, **arguments: Any) -> int:
        """Ask for something, and return the request's number."""
        self._count += 1
        message = {"seq": self._count, "type": "request", "command": command, "arguments": arguments}
        body = json.dumps(message).encode()
        self._socket.sendall(b"Content-Length: %d\r\n\r\n" % len(body) + body)
        return self._count

    def ask(self, command: str, **arguments: Any) -> dict[str, Any]:
        """Ask for something, and return the answer's body."""
        return self.answer_to(self.send(command, **arguments))

    def answer_to(self, number: int) -> dict[str, Any]:
        """Return the body of the answer to a request."""
        answer = self._wait(lambda one: one["type"] == "response" and one["request_seq"] == number)
        assert answer["success"], answer
        return answer.get("body") or {}

    def event(self, name: str) -> dict[str, Any]:
        """Wait for an event, and return its body."""
        return self._wait(lambda one: one["type"] == "event" and one["event"] == name).get("body") or {}

    def _read(self) -> dict[str, Any]:
        length = 0
        while (line := self._file.readline()) != b"\r\n":
            assert line, f"the debugger has hung up; before: {self._events}"
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        return json.loads(self._file.read(length))


class InspectorClient(_Client):
    """Speaks to Node.js's inspector by a WebSocket (https://chromedevtools.github.io/devtools-protocol/, RFC 6455)."""

    def __init__(self, port: int) -> None:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/json/list", timeout=_PATIENCE_S) as answer:
            (target,) = json.load(answer)
        path = "/" + target["webSocketDebuggerUrl"].split("/", 3)[3]
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=_PATIENCE_S)
        self._file = self._socket.makefile("rb")
        key = base64.b64encode(os.urandom(16)).decode()
        self._socket.sendall(
            f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        assert b" 101 " in self._file.readline()
        while self._file.readline() != b"\r\n":
            pass
        self._count = 0
        self._events: list[dict[str, Any]] = []

    def ask(self, method: str, **params: Any) -> dict[str, Any]:
        """Ask for something, and return its result."""
        self._count += 1
        self._write(json.dumps({"id": self._count, "method": method, "params": params}).encode())
        answer = self._wait(lambda one: one.get("id") == self._count)
        assert "error" not in answer, answer
        return answer["result"]

    def event(self, method: str) -> dict[str, Any]:
        """Wait for an event, and return its parameters."""
        return self._wait(lambda one: one.get("method") == method)["params"]

    def _write(self, body: bytes) -> None:
        assert len(body) < 65536
        head = struct.pack(">BBH", 0x81, 0xFE, len(body))
        mask = os.urandom(4)
        self._socket.sendall(head + mask + bytes(one ^ mask[at % 4] for at, one in enumerate(body)))

    def _read(self) -> dict[str, Any]:
        head = self._file.read(2)
        assert len(head) == 2, f"the inspector has hung up; before: {self._events}"
        length = head[1] & 0x7F
        if length == 126:
            (length,) = struct.unpack(">H", self._file.read(2))
        elif length == 127:
            (length,) = struct.unpack(">Q", self._file.read(8))
        return json.loads(self._file.read(length))
