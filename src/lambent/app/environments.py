"""What runs functions, and with how much memory: runtimes, and the invoker over a node."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import os
from typing import Any

from lambent.clock import Clock, SystemClock
from lambent.domain.function import FunctionVersion
from lambent.domain.function_facts import EmitFunctionFact
from lambent.invoke.budget import Evictable, MemoryBudget
from lambent.invoke.debugging import REASON as DEBUG_REASON
from lambent.invoke.debugging import Debugging
from lambent.invoke.invoker import Invoker
from lambent.invoke.starts import PROVISIONED
from lambent.invoke.streamed import Bandwidth
from lambent.node.local import LocalNode
from lambent.node.memory import memory_mb
from lambent.node.snapshots import IdleSnapshot
from lambent.runtimes import Runtimes
from lambent.runtimes.nodejs import NodeJs
from lambent.runtimes.nodejs import interpreters as nodejs_interpreters
from lambent.runtimes.nodejs import library as nodejs_library
from lambent.runtimes.provided import Provided
from lambent.runtimes.python import Python
from lambent.runtimes.python.interpreters import find_interpreters
from lambent.runtimes.python.library import RuntimeLibrary
from lambent.settings import Settings

_log = logging.getLogger(__name__)


async def find_runtimes(settings: Settings, stack: contextlib.AsyncExitStack) -> Runtimes:
    """Find the languages of this machine; what they have to close is closed with the stack."""
    chosen, cache = settings.runtimes, settings.store.cache_dir
    library = stack.enter_context(contextlib.closing(RuntimeLibrary(cache)))
    packages = nodejs_library.RuntimeLibrary(cache, clients=chosen.node_sdk)
    stack.push_async_callback(packages.close)
    pythons, nodes = await asyncio.gather(
        asyncio.to_thread(
            find_interpreters,
            search=chosen.runtime_search,
            environ=os.environ,
            cache_file=cache / "interpreters.json",
        ),
        asyncio.to_thread(
            nodejs_interpreters.find_interpreters,
            search=chosen.runtime_search,
            environ=os.environ,
            cache_directory=cache,
        ),
    )
    python = Python(
        interpreters=pythons,
        library=library,
        exact=chosen.exact_runtime,
        preloaded=tuple(filter(None, map(str.strip, chosen.preload_modules.split(",")))),
    )
    nodejs = NodeJs(
        interpreters=nodes,
        library=packages,
        exact=chosen.exact_runtime,
        cache_directory=cache,
        fetches=chosen.fetch_node,
    )
    return Runtimes([python, nodejs, Provided()])


def build_invoker(
    settings: Settings, node: LocalNode, memory: MemoryBudget, clock: Clock, emit: EmitFunctionFact
) -> Invoker:
    """Return the invoker over a node; it has not begun yet."""

    async def start(version: FunctionVersion, cold_start_reason: str) -> Any:
        if cold_start_reason == PROVISIONED:
            return await node.provision(version)
        return await node.start(version, cold_start_reason=cold_start_reason)

    async def start_debugged(version: FunctionVersion, debugger: Any) -> Any:
        return await node.start(version, cold_start_reason=DEBUG_REASON, debugger=debugger)

    rate = settings.invoke.stream_mb_per_s
    return Invoker(
        start=start,
        clock=clock,
        account_concurrency=settings.invoke.account_concurrency,
        idle_timeout_s=settings.invoke.idle_timeout_s,
        drain_timeout_s=settings.server.drain_timeout_s,
        memory=memory,
        max_life_s=settings.invoke.max_life_s or math.inf,
        snapstart_ahead=settings.invoke.snapstart_ahead,
        bandwidth=Bandwidth(clock=SystemClock(), bytes_per_s=rate * 1024 * 1024) if rate else None,
        emit=emit,
        debugging=Debugging(open_debugger=node.open_debugger, start=start_debugged),
    )


def evictable(snapshot: IdleSnapshot) -> Evictable:
    """Return a snapshot as the memory budget looks at it."""
    return Evictable(mb=snapshot.mb, idle_since_s=snapshot.idle_since_s, is_ahead=False, evict=snapshot.evict)


def memory_limit_mb(settings: Settings) -> int | None:
    """Return what environments may use of the machine's memory together; None: as much as they like."""
    chosen = settings.invoke.memory_budget_mb
    if chosen == "auto":
        return memory_mb() * 3 // 4
    return int(chosen) or None
