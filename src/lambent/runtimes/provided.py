"""Custom runtimes, `provided.al2023` and `provided.al2`: an executable `bootstrap` of the function's own.

What it is written in does not matter here. It speaks the Runtime API at `AWS_LAMBDA_RUNTIME_API`, and it sees
this machine's `/usr` where AWS has Amazon Linux's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from lambent.runtimes import DebuggerLaunch, Launch, RuntimeUnavailable

IDENTIFIERS = ("provided.al2", "provided.al2023")
_BOOTSTRAP = "bootstrap"
_ENVIRONMENT = {
    "PATH": "/usr/local/bin:/usr/bin/:/bin:/opt/bin",
    "LD_LIBRARY_PATH": "/lib64:/usr/lib64:/var/runtime:/var/runtime/lib:/var/task:/var/task/lib:/opt/lib",
    "LAMBDA_RUNTIME_DIR": "/var/runtime",
}


class Provided:
    """The languages that functions bring along. See `lambent.runtimes.Language`."""

    def identifiers(self) -> list[str]:
        return list(IDENTIFIERS)

    def stand_ins(self) -> Mapping[str, str]:
        return {}

    def fetched(self) -> list[str]:
        return []

    def serves(self, identifier: str) -> bool:
        return identifier in IDENTIFIERS

    async def settle(self, identifier: str, directories: Sequence[Path]) -> None:
        """Have nothing that comes later."""

    async def debugger(self, identifier: str) -> DebuggerLaunch:
        raise RuntimeUnavailable(
            f"Functions on {identifier} bring their own runtime: there is no debugger for it."
        )

    async def launch(self, identifier: str) -> Launch:
        return Launch(
            command=(),
            host_command=(),
            entrypoint=_BOOTSTRAP,
            environment=_ENVIRONMENT,
            speaks_over_socket=False,
            takes_wrapper=False,
            family="provided",
            version=identifier.partition(".")[2],
        )
