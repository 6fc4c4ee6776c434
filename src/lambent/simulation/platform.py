"""What the simulated platform is like: its limits and how it keeps environments. Pure values."""

from __future__ import annotations

import math
from dataclasses import dataclass

from lambent.domain.limits import TIMEOUT_MAX_S


@dataclass(frozen=True, slots=True, kw_only=True)
class Platform:
    """An account in which every function of a load has these settings."""

    memory_mb: int = 128
    architecture: str = "x86_64"
    """``x86_64`` or ``arm64``."""
    timeout_s: float = TIMEOUT_MAX_S
    """What takes longer is ended and billed until then."""
    account_concurrency: int = 1_000
    reserved: int | None = None
    """Concurrency reserved for each function; None: they share the account's."""
    provisioned: int = 0
    """Environments of each function that are kept ready."""
    keep_alive_s: float = 600.0
    """How long an environment may idle."""
    max_life_s: float = math.inf
    """How old one may become, unless it is provisioned."""
    start_overhead_s: float = 0.0
    """What a cold start takes beyond its init phase, and nobody is billed for."""
    is_rate_limited: bool = True
    """Whether each unit of concurrency serves ten requests a second and no more, as for synchronous invocations."""

    def unreserved(self, functions: int) -> int:
        """Return the concurrency that is left to share when so many functions have what is theirs."""
        own = self.provisioned if self.reserved is None else self.reserved
        return max(0, self.account_concurrency - own * functions)
