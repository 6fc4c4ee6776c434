"""The wiring: every room built in order, served, and closed in turn.

Lifetimes stack: what is opened later is closed earlier, so a stopping server first stops listening and last closes
its databases.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import dataclasses
import gc
import logging
import signal
import sys
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
from functools import partial
from typing import Any

import uvloop

from lambent import own_log
from lambent.app.accounting import build_accounting, read_own_prices, settle
from lambent.app.address import bound, check_address, host_in_url
from lambent.app.credentials import build_authentication, execution_credentials, find_metrics_token
from lambent.app.environments import build_invoker, evictable, find_runtimes, memory_limit_mb
from lambent.app.neighbours import NEIGHBOURS, Neighbours, build_neighbours
from lambent.app.stores import open_code, open_stores
from lambent.busy_poll import BusyPoll
from lambent.clock import Clock, SystemClock, VirtualClock
from lambent.data_directory import DataDirectoryError, open_data_directory
from lambent.delivery.asynchronous import Asynchronous
from lambent.delivery.buckets import BucketTarget
from lambent.delivery.log_groups import LogGroupTarget
from lambent.delivery.signing import open_signing
from lambent.domain.limits import EPHEMERAL_STORAGE_DEFAULT_MB
from lambent.domain.pricing.price_list import AWS
from lambent.gateway.admission import Admission
from lambent.gateway.authorization import Authorization
from lambent.gateway.dispatch import Dispatch
from lambent.gateway.own import OwnPaths
from lambent.gateway.server import HttpServer
from lambent.gateway.urls import FunctionUrls
from lambent.invoke.budget import MemoryBudget
from lambent.invoke.invoker import Invoker
from lambent.node.architecture import Architectures
from lambent.node.local import Endpoint, LocalNode
from lambent.sandbox import SandboxError
from lambent.sandbox.probe import choose
from lambent.services.lambda_ import LambdaService, lambda_service
from lambent.services.lambda_.filter_patterns import explain_filter
from lambent.settings import Settings, SettingsError
from lambent.sources.poller import Pollers
from lambent.sources.sqs import SqsSource
from lambent.start_block import Running, describe, start_block
from lambent.store.event_buses import EventBuses
from lambent.store.function_urls import find_url_owner
from lambent.store.functions import Functions
from lambent.store.identities import Identities
from lambent.store.message_queues import MessageQueues
from lambent.store.queues import Queues
from lambent.store.sqlite.blobs import FileBlobs
from lambent.store.sqlite.database import StoreError
from lambent.store.topics import Topics
from lambent.telemetry.billing import BillingListener
from lambent.telemetry.ledger_keeping import keep_ledger
from lambent.telemetry.log_subscriptions import LogSubscriptions
from lambent.telemetry.logs import LogListener
from lambent.telemetry.metrics import Metrics
from lambent.telemetry.stream import FactStream
from lambent.telemetry.upkeep import UpkeepMeter
from lambent.wire.model import load_api
from lambent.wire.outgoing import Outgoing
from lambent.wire.s3 import s3_client

_log = logging.getLogger(__name__)

SERVICES = ("lambda", *NEIGHBOURS)
_SWEEP_S = 3600.0


def serve(settings: Settings) -> int:
    """Run a server until SIGTERM or SIGINT, and return the exit code.

    What keeps it from starting is said in one sentence on standard error.
    """
    started_s = time.monotonic()
    own_log.set_up()
    _return_large_memory()
    try:
        uvloop.run(_serve(settings, started_s))
    except (SettingsError, DataDirectoryError, StoreError, SandboxError) as error:
        print(f"lambent: {error}", file=sys.stderr)  # noqa: T201 - this is the command's answer
        return 1
    return 0


async def _serve(settings: Settings, started_s: float) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with running(settings, started_s=started_s) as server:
        print(start_block(server), flush=True)  # noqa: T201 - likewise
        await stop.wait()
        print("Stopping: running invocations may end first.", file=sys.stderr, flush=True)  # noqa: T201


@contextlib.asynccontextmanager
async def running(settings: Settings, *, started_s: float | None = None) -> AsyncGenerator[Running]:
    """Build every room, serve while the context lasts, and close everything in turn.

    Raises:
        SettingsError, DataDirectoryError, StoreError, SandboxError: with one sentence for the user.
    """
    started_s = time.monotonic() if started_s is None else started_s
    check_address(settings)
    # What a function measures and is measured by is real time, and so is the date of a signature.
    machine_clock = SystemClock()
    clock = VirtualClock() if settings.server.clock == "virtual" else machine_clock
    async with contextlib.AsyncExitStack() as stack:
        listening = stack.enter_context(contextlib.closing(bound(settings)))
        port = int(listening.getsockname()[1])
        data = stack.enter_context(open_data_directory(settings.store.data_dir))
        documents, log_events, messages, ledger = open_stores(data, stack)
        blobs, queues = FileBlobs(data.blobs), Queues(messages, clock, waiting=machine_clock)
        functions, identities = Functions(documents), Identities(documents)

        sandbox = await choose(settings.sandbox, data.run, tmp_bytes=EPHEMERAL_STORAGE_DEFAULT_MB * 2**20)
        stack.push_async_callback(sandbox.close)
        # Who delivers comes later; before it does, nobody writes.
        subscriptions = LogSubscriptions(lambda parcels: events.send(parcels))  # noqa: PLW0108
        metrics, busy_poll = Metrics(), BusyPoll(span_s=settings.server.busy_poll_us / 1e6)
        stream = await stack.enter_async_context(
            FactStream(
                LogListener(
                    documents=documents, log_events=log_events, clock=clock, subscriptions=subscriptions
                ),
                BillingListener(ledger=ledger, tags_of=functions.tags, price_list=AWS.id),
                metrics,
            )
        )
        upkeep = await stack.enter_async_context(
            UpkeepMeter(ledger=ledger, tags_of=functions.tags, clock=clock, price_list=AWS.id)
        )
        memory = MemoryBudget(
            limit_mb=memory_limit_mb(settings), clock=clock, wait_s=settings.invoke.memory_wait_s
        )
        runtimes = await find_runtimes(settings, stack)
        code = await open_code(data, blobs)
        node = LocalNode(
            sandbox=sandbox,
            has_own_network=sandbox.kind == "namespaces" and settings.sandbox.network != "host",
            runtimes=runtimes,
            code=code,
            clock=machine_clock,
            emit=stream.emit,
            credentials=execution_credentials(identities, data.secret, clock),
            freeze_after_s=settings.invoke.freeze_after_ms / 1000,
            snapshots_max=settings.sandbox.snapshots_max,
            hold_memory=memory.hold,
            busy_poll=busy_poll,
            architectures=Architectures(runs_foreign=settings.runtimes.run_foreign),
        )
        stack.push_async_callback(node.close)
        memory.evict_from(lambda: map(evictable, node.idle_snapshots()))
        invoker = await stack.enter_async_context(build_invoker(settings, node, memory, clock, metrics.hear))
        message_queues, topics, buses = MessageQueues(documents), Topics(documents), EventBuses(documents)
        endpoint_url = f"http://{host_in_url(settings.server.host)}:{port}"
        objects, signing = (
            s3_client(settings.s3, machine_clock),
            open_signing(data.message_key, machine_clock.now_s),
        )
        events = Asynchronous(
            queues=queues,
            message_queues=message_queues,
            functions=functions,
            topics=topics,
            buses=buses,
            buckets=BucketTarget(put=objects.put if objects else None, region=settings.server.region),
            log_groups=LogGroupTarget(documents=documents, log_events=log_events, clock=clock),
            invoke=invoker.invoke,
            send=Outgoing(reaches_private=settings.server.sns_endpoints == "any").send,
            signing=signing,
            endpoint_url=endpoint_url,
            is_strict=settings.server.auth == "iam",
            clock=clock,
            concurrency=settings.invoke.async_concurrency,
            retry_base_s=settings.invoke.async_retry_base_s,
            drain_timeout_s=settings.server.drain_timeout_s,
            catches_up=settings.server.clock == "virtual",
            emit=metrics.hear,
        )
        stack.push_async_callback(events.close)
        pollers = Pollers(
            openers={
                "sqs": lambda mapping: SqsSource(
                    mapping.event_source_arn or "", message_queues=message_queues, queues=queues
                )
            },
            invoke=invoker.invoke,
            clock=clock,
            most_at_once=settings.invoke.poller_concurrency,
            emit=metrics.hear,
        )
        stack.push_async_callback(pollers.close)
        lambda_ = lambda_service(
            documents=documents,
            functions=functions,
            blobs=blobs,
            identities=identities,
            invoker=invoker,
            accept=events.accept,
            clock=clock,
            secret=data.secret,
            prepare=upkeep.watching(node.prepare),
            retire=invoker.retire,
            forget=upkeep.forgetting(node.forget_snapshots),
            keeps=upkeep.provisioned,
            account_concurrency=settings.invoke.account_concurrency,
            strict_roles=settings.server.auth == "iam",
            objects=objects,
            mapping_changed=pollers.changed,
            problem_of=pollers.problem_of,
            visibility_of=message_queues.visibility_s,
            emit=metrics.hear,
        )
        stack.push_async_callback(lambda_.close)
        neighbours = build_neighbours(
            stack,
            settings=settings,
            secret=data.secret,
            documents=documents,
            log_events=log_events,
            functions=functions,
            identities=identities,
            message_queues=message_queues,
            queues=queues,
            topics=topics,
            buses=buses,
            events=events,
            subscriptions=subscriptions,
            clock=clock,
        )
        server = Running(
            endpoint_url=endpoint_url,
            settings=settings,
            services=SERVICES,
            sandbox=sandbox,
            runtimes=runtimes,
            started_in_s=0.0,
            root_key_path=str(data.root_key) if settings.server.auth == "iam" else None,
        )
        authentication, authorization = (
            build_authentication(settings, identities, data, machine_clock),
            Authorization(
                identities=identities,
                find_resource={"lambda": lambda_.resources.find, **neighbours.find_resource},
                is_enforced=settings.server.auth == "iam",
            ),
        )
        accounting = await build_accounting(
            stack,
            documents=documents,
            ledger=ledger,
            functions=functions,
            lambda_=lambda_,
            tell=events.send,
            settle=partial(settle, stream, upkeep),
            admit=Admission(authentication, authorization, clock).admit,
            clock=clock,
            own=read_own_prices(settings.ledger.own_prices),
        )
        dispatch = Dispatch(
            apis={
                **{name: load_api(name) for name in SERVICES},
                "sqs, as it was": load_api("sqs", is_former=True),
            },
            services={"lambda": lambda_.operations, **neighbours.operations},
            authentication=authentication,
            own_paths=OwnPaths(
                describe=lambda: describe(server, invoker),
                blobs=blobs,
                secret=data.secret,
                clock=clock,
                accounting=accounting,
                metrics=lambda: metrics.text(invoker.concurrency),
                metrics_token=find_metrics_token(settings, data),
                explain_filter=explain_filter,
                find_certificate=signing.certificate,
                debugging=invoker.debugging,
            ),
            clock=clock,
            authorization=authorization,
            function_urls=FunctionUrls(
                find_owner=partial(find_url_owner, documents),
                get_function=functions.get,
                prepare=lambda_.events.prepare,
                invoke=invoker.invoke,
                stream=invoker.stream,
                authenticate=authentication.authenticate,
                authorization=authorization,
                clock=clock,
                domain=settings.server.domain,
            ),
        )
        http = HttpServer(
            dispatch, listening, drain_timeout_s=settings.server.drain_timeout_s, busy_poll=busy_poll
        )
        # Before the first request: environments know the way back, and what is pending since the last stop is
        # completed in the background.
        node.open_endpoint(Endpoint(port=port, serve=http.serve_also))
        await lambda_.resume()
        await stack.enter_async_context(http)
        _end_waiting_first(stack, invoker, queues, pollers)
        await _take_up(lambda_, neighbours, events, pollers)
        _in_background(
            stack,
            _sweep(clock, *neighbours.expirations),
            keep_ledger(
                ledger,
                retention_days=settings.ledger.ledger_retention_days,
                every_s=settings.ledger.ledger_compact_s,
                clock=clock,
            ),
        )
        _tame_garbage_collection()
        yield dataclasses.replace(server, started_in_s=time.monotonic() - started_s)


def _end_waiting_first(
    stack: contextlib.AsyncExitStack, invoker: Invoker, queues: Queues, pollers: Pollers
) -> None:
    """Let a stopping server end first what would keep it from that."""
    # Who waits for messages is told that there are none.
    stack.callback(queues.close)
    # Before that: who polls queues that are closed is told at once that they are empty, for ever.
    stack.push_async_callback(pollers.close)
    # Who looks at a breakpoint may do so for hours.
    stack.push_async_callback(invoker.debugging.close)


async def _take_up(
    lambda_: LambdaService, neighbours: Neighbours, events: Asynchronous, pollers: Pollers
) -> None:
    """Begin with what goes on in the background, first what a server before this one left."""
    lambda_.start()
    await neighbours.resume()
    await events.start(lambda_.events.prepare)
    pollers.start(await lambda_.mappings.all(), lambda_.events.prepare)


def _in_background(stack: contextlib.AsyncExitStack, *works: Coroutine[Any, Any, None]) -> None:
    """Do these until the server stops."""
    for work in works:
        stack.callback(asyncio.create_task(work).cancel)


async def _sweep(clock: Clock, *expirations: Callable[[], Awaitable[None]]) -> None:
    """Let go what has expired, log events and unconfirmed subscriptions, for ever."""
    while True:
        for expire in expirations:
            try:
                await expire()
            except Exception:
                _log.exception("What has expired could not be removed.")
        await clock.sleep(_SWEEP_S)


def _return_large_memory() -> None:
    """Give what large requests and batches took back to the system, as soon as it is free.

    By itself glibc lets the size from which memory is mapped apart grow with what is freed, up to 32 MB; large pieces
    then lie between small ones that stay, and a server under a mixed load grows by half in some minutes. To name a size
    keeps it there (mallopt(3)); 128 KB is what it begins with.
    """
    map_threshold = -3  # M_MMAP_THRESHOLD in malloc.h
    with contextlib.suppress(AttributeError, OSError):  # another C library has its own ways
        ctypes.CDLL(None).mallopt(map_threshold, 128 * 1024)


def _tame_garbage_collection() -> None:
    """Leave what was made at start alone, and look for cycles rarely: requests make hardly any.

    With Python's defaults, collections cost every tenth request a millisecond or more (docs/performance.md).
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
