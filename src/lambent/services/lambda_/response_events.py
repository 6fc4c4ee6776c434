"""The events that InvokeWithResponseStream answers with: the response, chunk by chunk, then how it ended.

API pages InvokeWithResponseStreamResponseEvent and InvokeWithResponseStreamCompleteEvent. AWS does not publish what the
error's members hold; here they hold what Invoke answers for the same failure: its ``FunctionError``, and its payload.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from lambent.domain.invocation import Outcome
from lambent.invoke.streamed import Streamed


class ResponseEvents:
    """The events of one invocation."""

    def __init__(self, streamed: Streamed, *, wants_log_tail: bool) -> None:
        self._streamed = streamed
        self._wants_log_tail = wants_log_tail
        self._is_complete = False

    async def next(self) -> tuple[str, Mapping[str, Any]] | None:
        """Wait for the next event; None after the last."""
        if self._is_complete:
            return None
        if chunk := await self._streamed.read():
            return "PayloadChunk", {"Payload": chunk}
        self._is_complete = True
        if self._streamed.is_abandoned:
            return None
        return "InvokeComplete", completion(await self._streamed.outcome(), self._wants_log_tail)

    def abandon(self) -> None:
        """Give no more; the function runs on."""
        self._streamed.abandon()


def completion(outcome: Outcome, wants_log_tail: bool) -> Mapping[str, Any]:
    """Return the members of the last event."""
    members: dict[str, Any] = {}
    if outcome.function_error is not None:
        members["ErrorCode"] = outcome.function_error
        members["ErrorDetails"] = outcome.payload.decode("utf-8", "replace")
    if wants_log_tail:
        members["LogResult"] = base64.b64encode(outcome.log_tail).decode()
    return members
