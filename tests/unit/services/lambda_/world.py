"""Asks the families of Lambda directly, over a store in memory, with a path that the test controls."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import inspect
import io
import os
import zipfile
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from lambent.domain.call import Call, root_principal
from lambent.domain.concurrency import Provisioned
from lambent.domain.function import Function, FunctionKey, FunctionVersion
from lambent.domain.invocation import Invocation, Outcome
from lambent.domain.queued_event import QueuedEvent
from lambent.domain.s3_object import S3Object
from lambent.invoke.streamed import Streamed, begun
from lambent.response_stream import ResponseStream
from lambent.services.lambda_ import LambdaService, lambda_service
from lambent.services.lambda_.code_sources import Objects
from lambent.store import Delete, Document, Put
from lambent.store.functions import Functions
from lambent.store.identities import Identities
from lambent.testing import ManualClock, MemoryStore
from samples import report

ACCOUNT = "111111111111"
REGION = "us-east-1"
NAME = "echo"
KEY = FunctionKey(account=ACCOUNT, region=REGION, name=NAME)
ARN = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{NAME}"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/worker"
SECRET = b"secret"


def zip_of(files: Mapping[str, str | bytes]) -> bytes:
    """Return a zip with these files."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as package:
        for name, text in files.items():
            package.writestr(name, text)
    return content.getvalue()


ZIP = zip_of({"app.py": "def handler(event, context): return event"})
OTHER_ZIP = zip_of({"app.py": "def handler(event, context): return 2"})


def no_space() -> OSError:
    """Return what a full disk says."""
    return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


class PausingStore(MemoryStore):
    """Lets others run before and after each access, as a store on disk does, and may be full as that may."""

    is_full = False

    async def get(self, kind: str, key: str) -> Document | None:
        await asyncio.sleep(0)
        found = await super().get(kind, key)
        await asyncio.sleep(0)
        return found

    async def apply(self, *changes: Put | Delete) -> tuple[int, ...]:
        await asyncio.sleep(0)
        if self.is_full:
            raise no_space()
        revisions = await super().apply(*changes)
        await asyncio.sleep(0)
        return revisions


class Echo:
    """A path that answers with the payload and remembers what came by."""

    def __init__(self) -> None:
        self.invocations: list[Invocation] = []
        self.reserved: list[int | None] = []
        self.limits: list[tuple[int, int | None]] = []
        self.kept: dict[str, int] = {}
        self.provisions: list[tuple[str, int]] = []
        self.provision_gate = asyncio.Event()
        self.provision_gate.set()
        self.provision_error: Exception | None = None
        self.outcome: Callable[[Invocation], Outcome] = lambda invocation: Outcome(
            payload=invocation.payload, report=report(invocation), log_tail=b"the log"
        )

    async def invoke(
        self,
        invocation: Invocation,
        *,
        reserved_concurrency: int | None = None,
        provisioned_concurrency: int = 0,
        unreserved_concurrency: int | None = None,
    ) -> Outcome:
        self.invocations.append(invocation)
        self.reserved.append(reserved_concurrency)
        self.limits.append((provisioned_concurrency, unreserved_concurrency))
        return self.outcome(invocation)

    async def stream(
        self,
        invocation: Invocation,
        *,
        takes_everything: bool,
        reserved_concurrency: int | None = None,
        provisioned_concurrency: int = 0,
        unreserved_concurrency: int | None = None,
    ) -> Streamed:
        into = ResponseStream(max_bytes=1_000_000, takes_everything=takes_everything)

        async def run() -> Outcome:
            try:
                outcome = await self.invoke(
                    invocation,
                    reserved_concurrency=reserved_concurrency,
                    provisioned_concurrency=provisioned_concurrency,
                    unreserved_concurrency=unreserved_concurrency,
                )
                if outcome.function_error is None:
                    into.begin("application/json", Unheld())
                    into.write(outcome.payload)
                return outcome
            finally:
                into.finish()

        return await begun(into, asyncio.create_task(run()))

    async def provision(self, version: FunctionVersion, count: int) -> None:
        self.provisions.append((version.version, count))
        await self.provision_gate.wait()
        if self.provision_error is not None and count:
            self.kept[version.configuration_id] = 0
            raise self.provision_error
        self.kept[version.configuration_id] = count

    def provisioned(self, version: FunctionVersion) -> Provisioned:
        kept = self.kept.get(version.configuration_id, 0)
        return Provisioned(allocated=kept, available=kept)


class Unheld:
    """A writer that nobody has to hold."""

    def pause_reading(self) -> None:
        raise AssertionError("so much was not written")

    def resume_reading(self) -> None:
        raise AssertionError("it was never held")


class _Later:
    """S3 as the test set it up after the world was made."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def get(self, source: S3Object, *, max_bytes: int) -> bytes:
        assert self._world.objects is not None
        return await self._world.objects.get(source, max_bytes=max_bytes)


class World:
    """The service with everything around it."""

    def __init__(self, store: MemoryStore | None = None, *, strict_roles: bool = False) -> None:
        self.store = store or PausingStore()
        self.clock = ManualClock()
        self.echo = Echo()
        self.drawn = 0.0
        self.identities = Identities(self.store)
        self.prepared: list[FunctionVersion] = []
        self.retired: list[FunctionKey] = []
        self.accepted: list[tuple[QueuedEvent, bytes]] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.prepare_error: Exception | None = None
        self.is_copyable = True
        self.forgotten: list[tuple[FunctionKey, str | None]] = []
        self.objects: Objects | None = None
        """What S3 has; None: there is none."""
        self.service = self._service(strict_roles=strict_roles)

    def _service(self, *, strict_roles: bool) -> LambdaService:
        return lambda_service(
            documents=self.store,
            functions=Functions(self.store),
            blobs=self.store,
            identities=self.identities,
            invoker=self.echo,
            accept=self._accept,
            clock=self.clock,
            secret=SECRET,
            prepare=self._prepare,
            forget=lambda key, version: self.forgotten.append((key, version)),
            retire=self.retired.append,
            account_concurrency=1000,
            strict_roles=strict_roles,
            objects=_Later(self),
            draw=lambda: self.drawn,
        )

    async def _accept(self, event: QueuedEvent, payload: bytes) -> None:
        self.accepted.append((event, payload))

    async def _prepare(self, version: FunctionVersion) -> bool:
        await self.gate.wait()
        self.prepared.append(version)
        if self.prepare_error is not None:
            raise self.prepare_error
        return version.is_snap_start and self.is_copyable

    async def ask(self, operation: str, call: Call | None = None, /, **parameters: Any) -> dict[str, Any]:
        """Call an operation by its method name."""
        return dict(await self.service.operations[operation](call or a_call(), parameters))

    async def create(self, name: str = NAME, **parameters: Any) -> dict[str, Any]:
        """Create a function with sensible parameters."""
        return await self.ask("create_function", **creation(name, **parameters))

    async def create_active(self, name: str = NAME, **parameters: Any) -> dict[str, Any]:
        """Create a function and wait until it is active."""
        created = await self.create(name, **parameters)
        await self.settled()
        return created

    async def settled(self) -> None:
        """Wait until no activation and no allocation is under way."""
        await self.service.activations.settled()
        await self.service.provisioning.settled()

    async def stored(self, name: str = NAME) -> Function | None:
        """What the store has of a function."""
        return await self.service.records.get(FunctionKey(account=ACCOUNT, region=REGION, name=name))

    def has_blob(self, content: bytes) -> bool:
        """Whether a package is in the store."""
        try:
            self.store.path(hashlib.sha256(content).hexdigest())
        except KeyError:
            return False
        return True

    async def pass_time(self, seconds: float) -> None:
        """Let everything that waits begin to wait, then move the clock on."""
        await asyncio.sleep(0)
        await self.clock.advance(seconds)

    async def restart(self) -> None:
        """End the service and start another one on the same store."""
        await self.service.close()
        self.echo.kept.clear()  # Environments do not outlive the server.
        self.service = self._service(strict_roles=False)
        await self.service.resume()
        self.service.start()


def a_call(**changes: Any) -> Call:
    """A request by the account's root."""
    values: dict[str, Any] = {
        "account": ACCOUNT,
        "region": REGION,
        "request_id": "6f4f0d2e-6b5a-4f5e-9d58-3c9d4f1f0a11",
        "access_key_id": "AKIA",
        "principal": root_principal(ACCOUNT),
        "endpoint_url": "http://127.0.0.1:4566",
        "at_s": 1_767_323_045.678,
    }
    return Call(**values | changes)


def creation(name: str = NAME, **parameters: Any) -> dict[str, Any]:
    """Parameters of CreateFunction."""
    return {
        "FunctionName": name,
        "Role": ROLE,
        "Runtime": "python3.12",
        "Handler": "app.handler",
        "Code": {"ZipFile": ZIP},
    } | parameters


def story(test: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    """Run an asynchronous test with a world of its own, in the order start, test, end."""

    def run(**fixtures: Any) -> None:
        async def tell() -> None:
            world = World()
            try:
                await world.service.resume()
                await test(world, **fixtures)
            finally:
                await world.service.close()
                world.store.close()

        asyncio.run(tell())

    run.__name__ = test.__name__
    run.__doc__ = test.__doc__
    run.__module__ = test.__module__
    signature = inspect.signature(test)
    run.__signature__ = signature.replace(parameters=list(signature.parameters.values())[1:])  # type: ignore[attr-defined]
    return run
