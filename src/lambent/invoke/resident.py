"""An environment as its pool keeps it: since when it lives and idles, and what memory it claims."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from lambent.domain.invocation import Invocation, Outcome
from lambent.invoke.budget import Claim
from lambent.response_stream import ResponseStream


class Environment(Protocol):
    """What a pool needs of an execution environment. See `lambent.node.environment`."""

    @property
    def is_usable(self) -> bool:
        """Whether an invocation may be handed to it."""
        ...

    async def invoke(self, invocation: Invocation, into: ResponseStream | None = None) -> Outcome:
        """Run one invocation; `into` is handed its response while that comes."""
        ...

    async def stop(self, reason: str) -> None:
        """End it."""
        ...


@dataclass(slots=True, eq=False)
class Resident:
    """One environment of a pool, which alone changes this."""

    environment: Environment
    claim: Claim
    born_s: float
    is_ahead: bool = False
    """It was started before anybody needed it, and nobody has yet."""
    idle_since_s: float = 0.0
    used_mb: int | None = None
    """What its last report said; None before the first."""

    async def end(self, reason: str) -> None:
        """Stop it, and give back what it claims."""
        try:
            await self.environment.stop(reason)
        finally:
            self.claim.release()
