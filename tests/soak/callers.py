"""Callers: threads that invoke functions over HTTP, each on a connection of its own, and note what came of it."""

from __future__ import annotations

import http.client
import json
import random
import socket
import threading
import time
import uuid
from typing import Any

from tests.harness import REGION
from tests.soak.functions import CHARACTERS, Answer, Character
from tests.soak.ledger import Entry

_ANSWER_TIMEOUT_S = 90.0
_PAUSE_S = 0.02
_HEADERS = {
    "Content-Type": "application/json",
    "X-Amz-Date": "20260101T000000Z",
    "Authorization": f"AWS4-HMAC-SHA256 Credential=000000000000/20260101/{REGION}/lambda/aws4_request, "
    f"SignedHeaders=host;x-amz-date, Signature={'0' * 64}",
}


class Callers:
    """All of them, and the ledger they write."""

    def __init__(self, *, count: int, seed: int, think_s: float) -> None:
        """Make them, paused.

        Args:
            count: how many call at once.
            seed: of what they call.
            think_s: how long each waits between two calls, on average.
        """
        self.entries: list[Entry] = []
        self.port = 0
        self.life = 0
        self._think_s = think_s
        self._may_call = threading.Event()
        self._is_over = False
        self._calling = 0
        self._lock = threading.Lock()
        self._threads = [
            threading.Thread(target=self._run, args=(random.Random(f"{seed}-{number}"),), daemon=True)
            for number in range(count)
        ]

    def start(self) -> None:
        """Begin, once there is a port."""
        for thread in self._threads:
            thread.start()

    def go_on(self, *, port: int, life: int) -> None:
        """Call this server."""
        self.port, self.life = port, life
        self._may_call.set()

    def pause(self, patience_s: float = _ANSWER_TIMEOUT_S) -> bool:
        """Stop calling; return whether all calls ended."""
        self._may_call.clear()
        deadline_s = time.monotonic() + patience_s
        while self._calling and time.monotonic() < deadline_s:
            time.sleep(_PAUSE_S)
        return not self._calling

    def end(self) -> bool:
        """Stop for good; return whether everybody came home."""
        self._is_over = True
        self._may_call.set()
        for thread in self._threads:
            thread.join(_ANSWER_TIMEOUT_S)
        return not any(thread.is_alive() for thread in self._threads)

    def answered(self, life: int) -> int:
        """How many invocations of a life were answered."""
        return sum(entry.outcome == "answered" and entry.life == life for entry in self.entries)

    def _run(self, chance: random.Random) -> None:
        connection: http.client.HTTPConnection | None = None
        number = 0
        while not self._is_over:
            if not self._may_call.is_set():
                if connection is not None:
                    connection.close()
                    connection = None
                self._may_call.wait()
                continue
            with self._lock:
                self._calling += 1
            try:
                connection = self._connected(connection)
                if connection is None:
                    time.sleep(_PAUSE_S)
                    continue
                number += 1
                character = chance.choices(CHARACTERS, [character.weight for character in CHARACTERS])[0]
                if not self._call(connection, character, character.event(chance, number)):
                    connection = None
            finally:
                with self._lock:
                    self._calling -= 1
            time.sleep(chance.expovariate(1 / self._think_s))

    def _connected(self, connection: http.client.HTTPConnection | None) -> http.client.HTTPConnection | None:
        """A connection that is open, or None while there is no server."""
        if connection is not None and connection.sock is not None and connection.port == self.port:
            return connection
        fresh = http.client.HTTPConnection("127.0.0.1", self.port, timeout=_ANSWER_TIMEOUT_S)
        try:
            fresh.connect()
            fresh.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError:
            return None
        return fresh

    def _call(self, connection: http.client.HTTPConnection, character: Character, event: Any) -> bool:
        """Invoke, write it down, and return whether the connection can be used again."""
        entry = Entry(
            request_id=str(uuid.uuid4()), character=character.name, sent_s=time.monotonic(), life=self.life
        )
        self.entries.append(entry)
        path = f"/2015-03-31/functions/{character.name}/invocations"
        if character.qualifier:
            path += f"?Qualifier={character.qualifier}"
        try:
            connection.request(
                "POST", path, json.dumps(event), {**_HEADERS, "X-Amzn-RequestId": entry.request_id}
            )
            response = connection.getresponse()
            payload = response.read()
        except TimeoutError:
            entry.complaint = f"was not answered within {_ANSWER_TIMEOUT_S:g} s"
            connection.close()
            return False
        except (OSError, http.client.HTTPException):
            entry.ended_s, entry.outcome = time.monotonic(), "cut"
            connection.close()
            return False
        entry.ended_s = time.monotonic()
        answer = Answer(
            status=response.status,
            error_code="" if response.status == 200 else _error_code(response),
            function_error=response.headers.get("x-amz-function-error", ""),
            payload=payload,
        )
        entry.answered_id = response.headers.get("x-amzn-requestid", "")
        entry.complaint = character.complaint(event, answer)
        entry.outcome = "refused" if answer.error_code else "answered"
        return not response.will_close


def _error_code(response: http.client.HTTPResponse) -> str:
    return response.headers.get("x-amzn-errortype", "").partition(":")[0] or f"HTTP {response.status}"
