"""The keys: settings → every room, built in order → a running server.

The only file that names implementations. Lifetimes stack: what is opened later is closed earlier, so a stopping
server ends requests, then environments, then listeners of facts, then the sandbox, then the store.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import gc
import hashlib
import json
import logging
import math
import os
import resource
import secrets
import signal
import sys
import time
import tomllib
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import uvloop

from lambent import own_log
from lambent.busy_poll import BusyPoll
from lambent.clock import Clock, SystemClock, VirtualClock
from lambent.data_directory import DataDirectory, DataDirectoryError, open_data_directory, write_private
from lambent.delivery.asynchronous import Asynchronous
from lambent.delivery.buckets import BucketTarget
from lambent.delivery.signing import open_signing
from lambent.domain.function import FunctionVersion
from lambent.domain.function_facts import EmitFunctionFact
from lambent.domain.limits import EPHEMERAL_STORAGE_DEFAULT_MB
from lambent.domain.pricing.own import PriceListError, own_prices
from lambent.domain.pricing.price_list import AWS, PriceList
from lambent.domain.session import Credentials, Session, seal
from lambent.gateway.accounting import Accounting
from lambent.gateway.admission import Admission, Admit
from lambent.gateway.auth import IamAuthentication, OpenAuthentication, RootKey, is_loopback
from lambent.gateway.authorization import Authorization
from lambent.gateway.budgets import BudgetPaths
from lambent.gateway.dispatch import Authentication, Dispatch
from lambent.gateway.own import OwnPaths
from lambent.gateway.server import HttpServer, bind
from lambent.gateway.urls import FunctionUrls
from lambent.invoke.budget import Evictable, MemoryBudget
from lambent.invoke.debugging import REASON as DEBUG_REASON
from lambent.invoke.debugging import Debugging
from lambent.invoke.invoker import Invoker
from lambent.invoke.starts import PROVISIONED
from lambent.invoke.streamed import Bandwidth
from lambent.node.architecture import Architectures
from lambent.node.local import Endpoint, LocalNode
from lambent.node.memory import memory_mb
from lambent.node.snapshots import IdleSnapshot
from lambent.node.unpack import UnpackedCode
from lambent.runtimes import Runtimes
from lambent.runtimes.nodejs import NodeJs
from lambent.runtimes.nodejs import interpreters as nodejs_interpreters
from lambent.runtimes.nodejs import library as nodejs_library
from lambent.runtimes.provided import Provided
from lambent.runtimes.python import Python
from lambent.runtimes.python.interpreters import find_interpreters
from lambent.runtimes.python.library import RuntimeLibrary
from lambent.sandbox import SandboxError
from lambent.sandbox.probe import choose
from lambent.services.iam import iam_service
from lambent.services.lambda_ import LambdaService, lambda_service
from lambent.services.lambda_.filter_patterns import explain_filter
from lambent.services.logs import expire_logs, logs_service
from lambent.services.sns import sns_service
from lambent.services.sqs import SqsService, sqs_service
from lambent.services.sts import sts_service
from lambent.settings import Settings, SettingsError
from lambent.sources.poller import Pollers
from lambent.sources.sqs import SqsSource
from lambent.start_block import Running, describe, start_block
from lambent.store.budgets import Budgets
from lambent.store.function_urls import find_url_owner
from lambent.store.functions import Functions
from lambent.store.identities import Identities
from lambent.store.message_queues import MessageQueues
from lambent.store.queues import Queues
from lambent.store.sqlite.blobs import FileBlobs
from lambent.store.sqlite.database import Database, StoreError
from lambent.store.sqlite.documents import SqliteDocuments
from lambent.store.sqlite.ledger import SqliteLedger
from lambent.store.sqlite.light_writes import LightDatabase
from lambent.store.sqlite.log_events import SqliteLogEvents
from lambent.store.sqlite.messages import SqliteMessages
from lambent.store.topics import Topics
from lambent.telemetry.billing import BillingListener
from lambent.telemetry.budgets import BudgetWatch, Tell
from lambent.telemetry.ledger_keeping import keep_ledger
from lambent.telemetry.logs import LogListener
from lambent.telemetry.metrics import Metrics
from lambent.telemetry.stream import FactStream
from lambent.telemetry.upkeep import UpkeepMeter
from lambent.wire.model import load_api
from lambent.wire.outgoing import Outgoing
from lambent.wire.s3 import s3_client

_log = logging.getLogger(__name__)
_Database = TypeVar("_Database", bound=Database)

SERVICES = ("lambda", "logs", "iam", "sts", "sqs", "sns")
_CREDENTIALS_VALID_S = 12 * 3600
_SWEEP_S = 3600.0


def serve(settings: Settings) -> int:
    """Run a server until SIGTERM or SIGINT, and return the exit code.

    What keeps it from starting is said in one sentence on standard error.
    """
    started_s = time.monotonic()
    own_log.set_up()
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
    _check_address(settings)
    # What a function measures and is measured by is real time, and so is the date of a signature.
    machine_clock = SystemClock()
    clock = VirtualClock() if settings.server.clock == "virtual" else machine_clock
    async with contextlib.AsyncExitStack() as stack:
        listening = stack.enter_context(contextlib.closing(_bind(settings)))
        port = int(listening.getsockname()[1])
        data = stack.enter_context(open_data_directory(settings.store.data_dir))
        documents, log_events, messages, ledger = _open_stores(data, stack)
        blobs, queues = FileBlobs(data.blobs), Queues(messages, clock, waiting=machine_clock)
        functions, identities = Functions(documents), Identities(documents)

        sandbox = await choose(settings.sandbox, data.run, tmp_bytes=EPHEMERAL_STORAGE_DEFAULT_MB * 2**20)
        stack.push_async_callback(sandbox.close)
        metrics, busy_poll = Metrics(), BusyPoll(span_s=settings.server.busy_poll_us / 1e6)
        stream = await stack.enter_async_context(
            FactStream(
                LogListener(documents=documents, log_events=log_events, clock=clock),
                BillingListener(ledger=ledger, tags_of=functions.tags, price_list=AWS.id),
                metrics,
            )
        )
        upkeep = await stack.enter_async_context(
            UpkeepMeter(ledger=ledger, tags_of=functions.tags, clock=clock, price_list=AWS.id)
        )
        memory = MemoryBudget(
            limit_mb=_memory_limit_mb(settings), clock=clock, wait_s=settings.invoke.memory_wait_s
        )
        runtimes = await _runtimes(settings, stack)
        code = await _unpacked_code(data, blobs)
        node = LocalNode(
            sandbox=sandbox,
            has_own_network=sandbox.kind == "namespaces" and settings.sandbox.network != "host",
            runtimes=runtimes,
            code=code,
            clock=machine_clock,
            emit=stream.emit,
            credentials=_execution_credentials(identities, data.secret, clock),
            freeze_after_s=settings.invoke.freeze_after_ms / 1000,
            snapshots_max=settings.sandbox.snapshots_max,
            hold_memory=memory.hold,
            busy_poll=busy_poll,
            architectures=Architectures(runs_foreign=settings.runtimes.run_foreign),
        )
        stack.push_async_callback(node.close)
        memory.evict_from(lambda: map(_evictable, node.idle_snapshots()))
        invoker = await stack.enter_async_context(_invoker(settings, node, memory, clock, metrics.hear))
        message_queues, topics = MessageQueues(documents), Topics(documents)
        endpoint_url = f"http://{_host_in_url(settings.server.host)}:{port}"
        objects, signing = (
            s3_client(settings.s3, machine_clock),
            open_signing(data.message_key, machine_clock.now_s),
        )
        events = Asynchronous(
            queues=queues,
            message_queues=message_queues,
            functions=functions,
            topics=topics,
            buckets=BucketTarget(put=objects.put if objects else None, region=settings.server.region),
            invoke=invoker.invoke,
            send=Outgoing(reaches_private=settings.server.sns_endpoints == "any").send,
            signing=signing,
            endpoint_url=endpoint_url,
            is_strict=settings.server.auth == "iam",
            clock=clock,
            concurrency=settings.invoke.async_concurrency,
            retry_base_s=settings.invoke.async_retry_base_s,
            drain_timeout_s=settings.server.drain_timeout_s,
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
            has_queue=message_queues.has,
            emit=metrics.hear,
        )
        stack.push_async_callback(lambda_.close)
        sqs = sqs_service(documents=documents, message_queues=message_queues, queues=queues, clock=clock)
        stack.push_async_callback(sqs.close)
        sns = sns_service(topics=topics, notifications=events.notifications, clock=clock)
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
            _authentication(settings, identities, data, machine_clock),
            Authorization(
                identities=identities,
                find_resource={"lambda": lambda_.resources.find, "sns": sns.find_resource},
                is_enforced=settings.server.auth == "iam",
            ),
        )
        accounting = await _accounting(
            stack,
            documents=documents,
            ledger=ledger,
            functions=functions,
            lambda_=lambda_,
            tell=events.send,
            settle=partial(_settle, stream, upkeep),
            admit=Admission(authentication, authorization, clock).admit,
            clock=clock,
            own=_own_prices(settings.ledger.own_prices),
        )
        dispatch = Dispatch(
            apis={
                **{name: load_api(name) for name in SERVICES},
                "sqs, as it was": load_api("sqs", is_former=True),
            },
            services={
                "lambda": lambda_.operations,
                "logs": logs_service(documents=documents, log_events=log_events, clock=clock),
                "iam": iam_service(documents=documents, identities=identities, clock=clock),
                "sts": sts_service(identities=identities, secret=data.secret, clock=clock),
                "sqs": sqs.operations,
                "sns": sns.operations,
            },
            authentication=authentication,
            own_paths=OwnPaths(
                describe=lambda: describe(server, invoker),
                blobs=blobs,
                secret=data.secret,
                clock=clock,
                accounting=accounting,
                metrics=lambda: metrics.text(invoker.concurrency),
                metrics_token=_metrics_token(settings, data),
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
        await _take_up(lambda_, sqs, events, pollers)
        _in_background(
            stack,
            _sweep(
                clock,
                partial(expire_logs, documents=documents, log_events=log_events, clock=clock),
                sns.expire,
            ),
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


async def _accounting(
    stack: contextlib.AsyncExitStack,
    *,
    documents: SqliteDocuments,
    ledger: SqliteLedger,
    functions: Functions,
    lambda_: LambdaService,
    tell: Tell,
    settle: Callable[[], Awaitable[None]],
    admit: Admit,
    clock: Clock,
    own: PriceList | None,
) -> Accounting:
    """Build what answers for the ledger, with the watch over budgets, which ends with the stack."""
    budgets = Budgets(documents)
    watch = await stack.enter_async_context(
        BudgetWatch(
            budgets=budgets,
            ledger=ledger,
            functions=functions,
            change=lambda_.records.change,
            tell=tell,
            prices=AWS,
            clock=clock,
        )
    )
    paths = BudgetPaths(budgets=budgets, watch=watch, functions=functions, admit=admit)
    return Accounting(ledger=ledger, settle=settle, admit=admit, clock=clock, own=own, budgets=paths)


async def _settle(stream: FactStream, upkeep: UpkeepMeter) -> None:
    """Return when what has happened so far is in the ledger."""
    await stream.flush()
    await upkeep.settled()


def _own_prices(path: str) -> PriceList | None:
    if not path:
        return None
    try:
        text = Path(path).expanduser().read_text(encoding="utf-8")
        return own_prices(tomllib.loads(text, parse_float=Decimal))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"The price list {path} (own_prices) cannot be read: {error}.") from error
    except PriceListError as error:
        raise SettingsError(f"{path} (own_prices): {error}") from error


async def _take_up(lambda_: LambdaService, sqs: SqsService, events: Asynchronous, pollers: Pollers) -> None:
    """Begin with what goes on in the background, first what a server before this one left."""
    lambda_.start()
    await sqs.resume()
    await events.start(lambda_.events.prepare)
    pollers.start(await lambda_.mappings.all(), lambda_.events.prepare)


def _check_address(settings: Settings) -> None:
    """Refuse to offer an open door to other machines."""
    host = settings.server.host
    if settings.server.auth == "open" and host != "localhost" and not is_loopback(host):
        raise SettingsError(
            f"host = {host} would let anybody on the network run code here, because auth = open accepts any "
            "credentials: use auth = iam, or a loopback address."
        )


def _host_in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _bind(settings: Settings) -> Any:
    host, port = settings.server.host, settings.server.port
    try:
        return bind(host, port)
    except (OSError, OverflowError) as error:
        if isinstance(error, OverflowError):
            reason = "ports end at 65535"
        else:
            reason = os.strerror(error.errno) if error.errno else str(error)
        raise SettingsError(
            f"Cannot listen on {host}:{port}: {reason}. Another port can be chosen with --port; 0 takes a free one."
        ) from error


def _open_stores(
    data: DataDirectory, stack: contextlib.AsyncExitStack
) -> tuple[SqliteDocuments, SqliteLogEvents, SqliteMessages, SqliteLedger]:
    """Open the databases; they are closed with the stack."""
    _raise_open_files_limit()

    def opened(database: _Database) -> _Database:
        return stack.enter_context(contextlib.closing(database))

    # Log events and rows of the ledger survive the death of the process; only a power cut may take the last of them.
    return (
        SqliteDocuments(opened(Database(data.control_database, migrations="control", full_sync=True))),
        SqliteLogEvents(opened(Database(data.logs_database, migrations="logs", full_sync=False))),
        SqliteMessages(opened(LightDatabase(data.queues_database, migrations="queues", full_sync=True))),
        SqliteLedger(opened(Database(data.ledger_database, migrations="ledger", full_sync=False))),
    )


async def _unpacked_code(data: DataDirectory, blobs: FileBlobs) -> UnpackedCode:
    code = UnpackedCode(data.code, blobs)
    await asyncio.to_thread(code.sweep)
    return code


async def _runtimes(settings: Settings, stack: contextlib.AsyncExitStack) -> Runtimes:
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


def _invoker(
    settings: Settings, node: LocalNode, memory: MemoryBudget, clock: Clock, emit: EmitFunctionFact
) -> Invoker:
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


def _evictable(snapshot: IdleSnapshot) -> Evictable:
    return Evictable(mb=snapshot.mb, idle_since_s=snapshot.idle_since_s, is_ahead=False, evict=snapshot.evict)


def _memory_limit_mb(settings: Settings) -> int | None:
    chosen = settings.invoke.memory_budget_mb
    if chosen == "auto":
        return memory_mb() * 3 // 4
    return int(chosen) or None


def _execution_credentials(
    identities: Identities, secret: bytes, clock: Clock
) -> Callable[[FunctionVersion], Awaitable[Credentials]]:
    async def credentials(version: FunctionVersion) -> Credentials:
        role = await identities.find_role(version.role)
        session = Session(
            account=version.role.split(":")[4] or version.key.account,
            role_arn=version.role,
            role_id=role.id if role else _unknown_role_id(version.role),
            name=version.key.name,
            expires_s=int(clock.now_s()) + _CREDENTIALS_VALID_S,
        )
        return seal(secret, session)

    return credentials


def _unknown_role_id(role_arn: str) -> str:
    """A stable id for a role that open authentication accepted without its existing."""
    return "AROA" + hashlib.sha256(role_arn.encode()).hexdigest()[:17].upper()


def _authentication(
    settings: Settings, identities: Identities, data: DataDirectory, clock: Clock
) -> Authentication:
    account = settings.server.account
    if settings.server.auth == "open":
        return OpenAuthentication(
            keys=identities, secret=data.secret, account=account, region=settings.server.region
        )
    return IamAuthentication(
        keys=identities, secret=data.secret, root=_root_key(data), account=account, clock=clock
    )


def _metrics_token(settings: Settings, data: DataDirectory) -> str | None:
    """Return what has to be shown for the metrics, made at the first start with `auth = iam`."""
    if settings.server.auth == "open":
        return None
    if not data.metrics_token.exists():
        write_private(data.metrics_token, secrets.token_urlsafe(30).encode())
    try:
        if token := data.metrics_token.read_text().strip():
            return token
    except (OSError, ValueError):
        pass
    raise DataDirectoryError(
        f"{data.metrics_token} is damaged: remove it, and a new token is made at the next start."
    )


def _root_key(data: DataDirectory) -> RootKey:
    """Read the root's access key, made at the first start with `auth = iam`."""
    if not data.root_key.exists():
        key = {
            "AccessKeyId": "AKIA" + secrets.token_hex(8).upper(),
            "SecretAccessKey": secrets.token_urlsafe(30),
        }
        write_private(data.root_key, json.dumps(key, indent=2).encode())
    try:
        found = json.loads(data.root_key.read_text())
        return RootKey(access_key_id=found["AccessKeyId"], secret_access_key=found["SecretAccessKey"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataDirectoryError(
            f"{data.root_key} is damaged: remove it, and a new access key of the root is made at the next start."
        ) from error


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


def _tame_garbage_collection() -> None:
    """Leave what was made at start alone, and look for cycles rarely: requests make hardly any.

    With Python's defaults, collections cost every tenth request a millisecond or more (docs/performance.md).
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)


def _raise_open_files_limit() -> None:
    """Every environment needs a handful of descriptors here."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
