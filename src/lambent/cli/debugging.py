"""An invocation under a debugger: asked for, described for whoever attaches, and ended with the command."""

from __future__ import annotations

import contextlib
import json
import threading
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

from lambent.cli.client import Connection
from lambent.cli.terminal import CommandError

PORTS = {"python": 5678, "nodejs": 9229}
"""Where debuggers look first: debugpy's port, and that of Node.js's inspector."""
HEADER = "x-lambent-debug"
_POLL_INTERVAL_S = 0.05
_NEWS_INTERVAL_S = 0.25
"""The server gives up a debugger of whom nobody wants news."""
_ANSWER_TIMEOUT_S = 30.0
_LISTEN_TIMEOUT_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """A function that waits for a debugger, as the server tells of it."""

    host: str
    port: int
    family: str
    task_root: str
    is_attached: bool


class DebuggedInvocation:
    """One invocation under a debugger. It runs in a thread of its own, so that its caller can be told meanwhile."""

    def __init__(self, connection: Connection, port: int, ask: Callable[[Any], Any]) -> None:
        """Begin it.

        Args:
            connection: to Lambent.
            port: where the debugger will attach.
            ask: makes the request with a client, and returns what came back.
        """
        self._request_id = str(uuid.uuid4())
        self._address = f"{str(connection.target.endpoint).rstrip('/')}/_lambent/debug/{self._request_id}"
        # Proxies are for other machines.
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        headers = {HEADER: str(port), "x-amzn-RequestId": self._request_id}
        client = connection.new_client("lambda", None, False, headers=headers)
        self._result: Any = None
        self._failure: Exception | None = None
        # Not asked of the thread: one whose `join` Ctrl-C interrupts counts as ended (Python before 3.13).
        self._is_over = threading.Event()
        threading.Thread(target=self._run, args=(ask, client), daemon=True).start()

    def wait_until_listening(self) -> Waiting | None:
        """Return where the debugger is awaited; None when the invocation is over already.

        Raises:
            CommandError: the server tells nothing.
        """
        deadline_s = time.monotonic() + _LISTEN_TIMEOUT_S
        while not self._is_over.is_set():
            found = self._ask("GET")
            if found is not None:
                return found
            if time.monotonic() > deadline_s:
                raise CommandError(f"{self._address} tells nothing of the invocation.")
            time.sleep(_POLL_INTERVAL_S)
        return None

    def wait_until_attached(self) -> bool:
        """Return when a debugger has attached: True; or when the invocation is over."""
        while not self._is_over.is_set():
            found = self._ask("GET")
            if found is not None and found.is_attached:
                return True
            self._is_over.wait(_NEWS_INTERVAL_S)
        return False

    def result(self) -> Any:
        """Return what the invocation came to, once it is over; raises what its request raised."""
        self._is_over.wait()
        if self._failure is not None:
            raise self._failure
        return self._result

    def end(self) -> None:
        """End the invocation if it still runs. Never raises."""
        if not self._is_over.is_set():
            with contextlib.suppress(OSError, ValueError):
                self._ask("DELETE")

    def _run(self, ask: Callable[[Any], Any], client: Any) -> None:
        try:
            self._result = ask(client)
        except Exception as error:
            self._failure = error
        finally:
            self._is_over.set()

    def _ask(self, method: str) -> Waiting | None:
        request = urllib.request.Request(self._address, method=method)  # noqa: S310 - the endpoint's own scheme
        try:
            with self._opener.open(request, timeout=_ANSWER_TIMEOUT_S) as answer:
                return Waiting(**cast("dict[str, Any]", json.load(answer)))
        except urllib.error.HTTPError as error:
            error.close()
            return None
        except OSError:
            return None  # the server is gone, which the invocation itself says better


def launch_configuration(name: str, waiting: Waiting, local_root: str) -> dict[str, Any]:
    """Return a launch configuration for VS Code that attaches to a function.

    Args:
        name: the function's.
        waiting: where it waits.
        local_root: where its code is, as VS Code shall find it.
    """
    common = {"name": f"Lambent: {name}", "request": "attach"}
    if waiting.family == "python":
        mapping = {"localRoot": local_root, "remoteRoot": waiting.task_root}
        connect = {"host": waiting.host, "port": waiting.port}
        return {**common, "type": "debugpy", "connect": connect, "pathMappings": [mapping]}
    return {
        **common,
        "type": "node",
        "address": waiting.host,
        "port": waiting.port,
        "localRoot": local_root,
        "remoteRoot": waiting.task_root,
        "continueOnAttach": True,
        "skipFiles": ["<node_internals>/**", "/var/runtime/**"],
    }


def instructions(name: str, waiting: Waiting, local_root: str) -> str:
    """Return what a person has to know who wants to attach a debugger."""
    kind = "a Python debugger (debugpy)" if waiting.family == "python" else "a Node.js debugger"
    launch = {"version": "0.2.0", "configurations": [launch_configuration(name, waiting, local_root)]}
    return (
        f"{name} waits for {kind} at {waiting.host}:{waiting.port}; its timeout stands still.\n"
        f"For VS Code, in .vscode/launch.json:\n{json.dumps(launch, indent=2)}"
    )
