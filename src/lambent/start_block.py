"""What a server says of itself: the block that it prints at its start, and its part of the health answer."""

from __future__ import annotations

import dataclasses
import os
from dataclasses import dataclass
from typing import Any, Protocol

from lambent import __version__
from lambent.invoke.budget import MemoryBudget
from lambent.runtimes import Runtimes
from lambent.sandbox import Sandbox
from lambent.settings import Settings


class Load(Protocol):
    """What the health answer asks of whoever runs the environments."""

    @property
    def memory(self) -> MemoryBudget:
        """What environments claim of the machine's memory."""
        ...

    def environments(self) -> int:
        """Return how many environments live."""
        ...

    def running(self) -> int:
        """Return how many invocations run."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A server that serves."""

    endpoint_url: str
    settings: Settings
    services: tuple[str, ...]
    sandbox: Sandbox
    runtimes: Runtimes
    started_in_s: float
    root_key_path: str | None
    """Where the root's access key lies, with `auth = iam`."""


def describe(server: Running, load: Load) -> dict[str, Any]:
    """Return what the health answer says besides its status."""
    return {
        "version": __version__,
        "endpoint": server.endpoint_url,
        "region": server.settings.server.region,
        "account": server.settings.server.account,
        "auth": server.settings.server.auth,
        "services": list(server.services),
        "runtimes": server.runtimes.identifiers(),
        "sandbox": {
            "kind": server.sandbox.kind,
            "enforcement": [dataclasses.asdict(promise) for promise in server.sandbox.enforcement],
        },
        # How many vCPUs a function can really have here, whatever its memory size buys.
        "cpus": len(os.sched_getaffinity(0)),
        "environments": load.environments(),
        "running_invocations": load.running(),
        "memory": {"budget_mb": load.memory.limit_mb, "claimed_mb": load.memory.claimed_mb},
    }


def start_block(server: Running) -> str:
    """Return what a starting server prints."""
    settings = server.settings
    lines = [
        f"Lambent {__version__} is running (started in {server.started_in_s:.2f} s).",
        "",
        f"  endpoint  {server.endpoint_url}",
        f"  auth      {_auth_words(server)}",
        f"  region    {settings.server.region}, account {settings.server.account}",
        f"  data      {settings.store.data_dir}",
        f"  runtimes  {', '.join(server.runtimes.identifiers()) or 'none found: install a Python interpreter'}",
    ]
    if stand_ins := server.runtimes.stand_ins():
        words = ", ".join(f"{name} (runs on {version})" for name, version in stand_ins.items())
        lines.append(f"            not installed: {words}")
    if fetched := server.runtimes.fetched():
        lines.append(f"            fetched when needed: {', '.join(fetched)}")
    lines.append(f"  sandbox   {server.sandbox.kind}{_sandbox_warning(server)}")
    width = max(len(promise.promise) for promise in server.sandbox.enforcement)
    for promise in server.sandbox.enforcement:
        mark = "yes" if promise.enforced else "NO "
        lines.append(f"            {mark} {promise.promise:<{width}}  {promise.how}")
    return "\n".join(lines) + "\n"


def _auth_words(server: Running) -> str:
    if server.root_key_path is None:
        return "open: any credentials are accepted"
    return f"iam: signatures are verified; the root's access key is in {server.root_key_path}"


def _sandbox_warning(server: Running) -> str:
    return (
        ""
        if server.sandbox.kind == "namespaces"
        else ": NO WALLS. Functions can do whatever this user can do."
    )
