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
from collections.abc import AsyncGenerator, Awaitable, Callable
from functools import partial
from typing import Any

import uvloop

from lambent.busy_poll import BusyPoll
from lambent.clock import Clock, SystemClock, VirtualClock
from lambent.data_directory import DataDirectory, DataDirectoryError, open_data_directory, write_private
from lambent.delivery.asynchronous import Asynchronous
from lambent.domain.function import FunctionVersion
from lambent.domain.limits import EPHEMERAL_STORAGE_DEFAULT_MB
from lambent.domain.session import Credentials, Session, seal
from lambent.gateway.auth import IamAuthentication, OpenAuthentication, RootKey, is_loopback
from lambent.gateway.authorization import Authorization
from lambent.gateway.dispatch import Authentication, Dispatch
from lambent.gateway.own import OwnPaths
from lambent.gateway.server import HttpServer, bind
from lambent.gateway.urls import FunctionUrls
from lambent.invoke.budget import MemoryBudget
from lambent.invoke.debugging import REASON as DEBUG_REASON
from lambent.invoke.debugging import Debugging
from lambent.invoke.invoker import Invoker
from lambent.invoke.starts import PROVISIONED
from lambent.node.architecture import Architectures
from lambent.node.local import Endpoint, LocalNode
from lambent.node.memory import memory_mb
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
from lambent.services.logs import expire_logs, logs_service
from lambent.services.sqs import SqsService, sqs_service
from lambent.services.sts import sts_service
from lambent.settings import Settings, SettingsError
from lambent.sources.poller import Pollers
from lambent.sources.sqs import SqsSource
from lambent.start_block import Running, describe, start_block
from lambent.store.function_urls import find_url_owner
from lambent.store.functions import Functions
from lambent.store.identities import Identities
from lambent.store.message_queues import MessageQueues
from lambent.store.queues import Queues
from lambent.store.sqlite.blobs import FileBlobs
from lambent.store.sqlite.database import Database, StoreError
from lambent.store.sqlite.documents import SqliteDocuments
from lambent.store.sqlite.log_events import SqliteLogEvents
from lambent.store.sqlite.messages import SqliteMessages
from lambent.telemetry.logs import LogListener
from lambent.telemetry.stream import FactStream
from lambent.wire.model import load_api
from lambent.wire.s3 import s3_client

_log = logging.getLogger(__name__)

SERVICES = ("lambda", "logs", "iam", "sts", "sqs")
_CREDENTIALS_VALID_S = 12 * 3600
_RETENTION_SWEEP_S = 3600.0


def serve(settings: Settings) -> int:
    """Run a server until SIGTERM or SIGINT, and return the exit code.

    What keeps it from starting is said in one sentence on standard error.
    """
    started_s = time.monotonic()
    logging.basicConfig(
        level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s", stream=sys.stderr
    )
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
    _raise_open_files_limit()
    machine_clock = SystemClock()
    # What a function measures and is measured by is real time, and so is the date of a signature.
    clock = VirtualClock() if settings.server.clock == "virtual" else machine_clock
    async with contextlib.AsyncExitStack() as stack:
        listening = stack.enter_context(contextlib.closing(_bind(settings)))
        port = int(listening.getsockname()[1])
        data = stack.enter_context(open_data_directory(settings.store.data_dir))
        documents, log_events, messages = _open_stores(data, stack)
        blobs, queues = FileBlobs(data.blobs), Queues(messages, clock, waiting=machine_clock)
        functions, identities = Functions(documents), Identities(documents)

        sandbox = await choose(settings.sandbox, data.run, tmp_bytes=EPHEMERAL_STORAGE_DEFAULT_MB * 2**20)
        stack.push_async_callback(sandbox.close)
        stream = await stack.enter_async_context(
            FactStream(LogListener(documents=documents, log_events=log_events, clock=clock))
        )
        memory = MemoryBudget(
            limit_mb=_memory_limit_mb(settings), clock=clock, wait_s=settings.invoke.memory_wait_s
        )
        runtimes = await _runtimes(settings, stack)
        code = UnpackedCode(data.code, blobs)
        await asyncio.to_thread(code.sweep)
        busy_poll = BusyPoll(span_s=settings.server.busy_poll_us / 1e6)
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
        invoker = await stack.enter_async_context(_invoker(settings, node, memory, clock))
        message_queues = MessageQueues(documents)
        events = Asynchronous(
            queues=queues,
            message_queues=message_queues,
            functions=functions,
            invoke=invoker.invoke,
            clock=clock,
            concurrency=settings.invoke.async_concurrency,
            retry_base_s=settings.invoke.async_retry_base_s,
            drain_timeout_s=settings.server.drain_timeout_s,
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
            prepare=node.prepare,
            retire=invoker.retire,
            forget=node.forget_snapshots,
            account_concurrency=settings.invoke.account_concurrency,
            strict_roles=settings.server.auth == "iam",
            objects=s3_client(settings.s3, machine_clock),
            mapping_changed=pollers.changed,
        )
        stack.push_async_callback(lambda_.close)
        sqs = sqs_service(documents=documents, message_queues=message_queues, queues=queues, clock=clock)
        stack.push_async_callback(sqs.close)
        server = Running(
            endpoint_url=f"http://{_host_in_url(settings.server.host)}:{port}",
            settings=settings,
            services=SERVICES,
            sandbox=sandbox,
            runtimes=runtimes,
            started_in_s=0.0,
            root_key_path=str(data.root_key) if settings.server.auth == "iam" else None,
        )
        authentication = _authentication(settings, identities, data, machine_clock)
        authorization = Authorization(
            identities=identities,
            find_resource=lambda_.resources.find,
            is_enforced=settings.server.auth == "iam",
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
            },
            authentication=authentication,
            own_paths=OwnPaths(
                describe=lambda: describe(server, invoker),
                blobs=blobs,
                secret=data.secret,
                clock=clock,
                debugging=invoker.debugging,
            ),
            clock=clock,
            authorization=authorization,
            function_urls=FunctionUrls(
                find_owner=partial(find_url_owner, documents),
                get_function=functions.get,
                prepare=lambda_.events.prepare,
                invoke=invoker.invoke,
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
        lambda_.start()
        # A stopping server does not wait for whoever looks at a breakpoint, or waits for messages.
        stack.push_async_callback(invoker.debugging.close)
        stack.callback(queues.close)
        # Before that: who polls queues that are closed is told at once that they are empty, for ever.
        stack.push_async_callback(pollers.close)
        await _take_up(lambda_, sqs, events, pollers)
        sweeping = asyncio.create_task(_sweep_logs(documents, log_events, clock))
        stack.callback(sweeping.cancel)
        _tame_garbage_collection()
        yield dataclasses.replace(server, started_in_s=time.monotonic() - started_s)


async def _take_up(lambda_: LambdaService, sqs: SqsService, events: Asynchronous, pollers: Pollers) -> None:
    """Begin with what lies in queues, first what a server before this one left."""
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
) -> tuple[SqliteDocuments, SqliteLogEvents, SqliteMessages]:
    """Open the databases; they are closed with the stack."""
    control, logs, queues = (
        stack.enter_context(contextlib.closing(_open(data, name))) for name in ("control", "logs", "queues")
    )
    return SqliteDocuments(control), SqliteLogEvents(logs), SqliteMessages(queues)


def _open(data: DataDirectory, name: str) -> Database:
    # Log events survive the death of the process; only a power cut may take the last of them.
    paths = {
        "control": data.control_database,
        "logs": data.logs_database,
        "queues": data.queues_database,
    }
    return Database(paths[name], migrations=name, full_sync=name != "logs")


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


def _invoker(settings: Settings, node: LocalNode, memory: MemoryBudget, clock: Clock) -> Invoker:
    async def start(version: FunctionVersion, cold_start_reason: str) -> Any:
        if cold_start_reason == PROVISIONED:
            return await node.provision(version)
        return await node.start(version, cold_start_reason=cold_start_reason)

    async def start_debugged(version: FunctionVersion, debugger: Any) -> Any:
        return await node.start(version, cold_start_reason=DEBUG_REASON, debugger=debugger)

    return Invoker(
        start=start,
        clock=clock,
        account_concurrency=settings.invoke.account_concurrency,
        idle_timeout_s=settings.invoke.idle_timeout_s,
        drain_timeout_s=settings.server.drain_timeout_s,
        memory=memory,
        max_life_s=settings.invoke.max_life_s or math.inf,
        snapstart_ahead=settings.invoke.snapstart_ahead,
        debugging=Debugging(open_debugger=node.open_debugger, start=start_debugged),
    )


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


async def _sweep_logs(documents: SqliteDocuments, log_events: SqliteLogEvents, clock: Clock) -> None:
    """Let log events go when their group's retention says so, for ever."""
    while True:
        try:
            await expire_logs(documents=documents, log_events=log_events, clock=clock)
        except Exception:
            _log.exception("Expired log events could not be removed.")
        await clock.sleep(_RETENTION_SWEEP_S)


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
