"""The node of this machine: from a function version to a running environment."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import secrets
import socket
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from lambent.busy_poll import BusyPoll
from lambent.clock import Clock
from lambent.domain.concurrency import INIT_FAILURE, INITIALIZATION_TYPE, SNAP_START, ProvisioningError
from lambent.domain.facts import Fact, Origin
from lambent.domain.function import ActivationError, FunctionKey, FunctionVersion, runtime_version_arn
from lambent.domain.limits import MB_PER_VCPU, OPEN_FILES_MAX, PROCESSES_MAX
from lambent.domain.session import Credentials, credentials_document
from lambent.node.ahead import zygote_of
from lambent.node.architecture import Architectures, ForeignArchitecture
from lambent.node.command import LAYER_ROOT, TASK_ROOT, Roots, command_of, environment_of
from lambent.node.crowd import Crowd
from lambent.node.debugger import Debugger, free_port, open_debugger
from lambent.node.environment import Environment, State
from lambent.node.plan import Held, Listening, Plan, Snapshot, Surroundings, with_debugger
from lambent.node.snapshots import (
    IdleSnapshot,
    SnapshotForgotten,
    SnapshotInitError,
    Snapshots,
    TemplateRuntime,
)
from lambent.node.unpack import UnpackedCode, UnpackError
from lambent.node.variables import container_credentials, needs_own_interpreter, variables
from lambent.runtimes import Launch, Runtimes, RuntimeUnavailable
from lambent.sandbox import Mount, Sandbox, SandboxSpec, Tmp, ZygoteSpec

_MB = 1024 * 1024
RUNTIME_API_ADDRESS = ("169.254.100.1", 9001)
"""AWS's own address for it."""
_RUNTIME_API_ON_LOOPBACK = ("127.0.0.1", RUNTIME_API_ADDRESS[1])
"""SDKs ask for container credentials at few addresses only; this is one of them."""
_HOSTNAME = "169.254.100.6"


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Lambent's own API as functions reach it."""

    port: int
    serve: Callable[[socket.socket], Awaitable[Listening]]
    """Answers it on a socket that listens inside an environment."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Places:
    """Where on the host a function's files are."""

    code: Path
    layers: Path | None
    """None: the function has no layers."""

    @property
    def mounts(self) -> tuple[Mount, ...]:
        """What is shown of them inside the walls."""
        code = Mount(str(self.code), TASK_ROOT)
        return (code,) if self.layers is None else (code, Mount(str(self.layers), LAYER_ROOT))

    @property
    def layer_variables(self) -> dict[str, str]:
        """Variables with which layers are found without walls, where they are not under ``/opt``."""
        if self.layers is None:
            return {}
        return {
            "LAMBENT_LAYER_ROOT": str(self.layers),
            "PATH": f"{os.defpath}:{self.layers}/bin",
            "LD_LIBRARY_PATH": f"{self.layers}/lib",
        }


class LocalNode:
    """Starts execution environments on this machine."""

    def __init__(
        self,
        *,
        sandbox: Sandbox,
        has_own_network: bool,
        runtimes: Runtimes,
        code: UnpackedCode,
        clock: Clock,
        emit: Callable[[Fact], None],
        credentials: Callable[[FunctionVersion], Awaitable[Credentials]],
        freeze_after_s: float,
        snapshots_max: int,
        hold_memory: Callable[[int], Held],
        busy_poll: BusyPoll,
        architectures: Architectures,
    ) -> None:
        """Make the node.

        Args:
            sandbox: the walls; opened and closed by the caller.
            has_own_network: whether environments have a network of their own, where Lambent listens for them.
            runtimes: the languages of this machine.
            code: unpacked deployment packages.
            clock: the time.
            emit: takes the facts.
            credentials: makes those of a function's execution role.
            freeze_after_s: how long an environment idles before it is frozen; 0: it never is.
            snapshots_max: how many SnapStart versions to keep a snapshot of.
            hold_memory: counts MB that a snapshot takes, until they are released.
            busy_poll: looks for an answer for a moment.
            architectures: those whose code runs here.
        """
        self._sandbox = sandbox
        self._has_own_network = has_own_network
        self._runtimes = runtimes
        self._code = code
        self._clock = clock
        self._emit = emit
        self._credentials = credentials
        self._hold_memory = hold_memory
        self._busy_poll = busy_poll
        self._crowd = Crowd(processors=len(os.sched_getaffinity(0)), monotonic_s=clock.monotonic_s)
        self._architectures = architectures
        self._freeze_after_s = freeze_after_s
        self._endpoint: Endpoint | None = None
        self._snapshots = Snapshots(self._begin_snapshot, snapshots_max=snapshots_max, clock=clock)

    def open_endpoint(self, endpoint: Endpoint) -> None:
        """Say where Lambent's own API is, once it is served."""
        self._endpoint = endpoint

    async def prepare(self, version: FunctionVersion) -> bool:
        """Do what need not wait for the first invocation: unpack the code, prepare the runtime, take a snapshot.

        The interpreter from which environments are forked starts in the background.

        Returns:
            Whether environments will start from a snapshot.

        Raises:
            ActivationError: this machine cannot run it, the package is damaged, or the init before the snapshot failed.
        """
        try:
            self._architectures.check(version.architecture, version.key.name)
            launch = await self._runtimes.launch(version.runtime)
            zygote = self._zygote(launch, version.memory_mb)
            if zygote is not None:
                self._sandbox.prepare(zygote)
            code = await self._code.directory(version.code)
            layers = await self._code.layers_directory([layer.code for layer in version.layers])
            await self._runtimes.settle(version.runtime, [code] if layers is None else [code, layers])
            return version.is_snap_start and await self._snapshots.of(version) is not None
        except SnapshotInitError as error:
            raise ActivationError(*_init_failure(error)) from error
        except SnapshotForgotten as error:
            # Nobody will read this: what was to be activated is gone.
            raise ActivationError("The version was deleted.") from error
        except (ForeignArchitecture, RuntimeUnavailable) as error:
            raise ActivationError(str(error), "InvalidRuntime") from error
        except UnpackError as error:
            raise ActivationError(
                f"The code cannot be unpacked: {error}.", "InvalidZipFileException"
            ) from error

    async def provision(self, version: FunctionVersion) -> Environment:
        """Start an environment ahead of invocations.

        Raises:
            ProvisioningError: the function could not be initialized.
            RuntimeUnavailable, UnpackError, SandboxError: it cannot be started; nothing is left behind.
        """
        environment = await self.start(
            version, cold_start_reason=None, initialization_type=INITIALIZATION_TYPE
        )
        if environment.state is not State.READY:
            await environment.stop("failed")
            raise ProvisioningError(INIT_FAILURE)
        return environment

    async def open_debugger(self, version: FunctionVersion, port: int) -> Debugger:
        """Return the way to the debugger of an environment that will be started with it.

        Args:
            version: what it runs.
            port: of this machine's loopback; 0 picks a free one.

        Raises:
            RuntimeUnavailable: there is no debugger for its runtime.
            OSError: nobody can listen on that port.
        """
        await self._runtimes.debugger(version.runtime)
        launch = await self._runtimes.launch(version.runtime)
        code = await self._code.directory(version.code)
        task_root = TASK_ROOT if self._sandbox.task_paths_are_virtual else str(code)
        debugger = await open_debugger(port, family=launch.family, task_root=task_root)
        taken = (_RUNTIME_API_ON_LOOPBACK[1],)
        is_free = self._has_own_network and debugger.address[1] not in taken
        # Node.js tells its log where it listens: the same port inside, where that can be.
        debugger.inner_port = debugger.address[1] if is_free else free_port()
        return debugger

    async def start(
        self,
        version: FunctionVersion,
        *,
        cold_start_reason: str | None,
        initialization_type: str = "on-demand",
        debugger: Debugger | None = None,
    ) -> Environment:
        """Start an environment and return it after its init or restore phase.

        Args:
            version: what it runs.
            cold_start_reason: ``first``, ``scale-out``, ``new-version`` or ``retired``; for its first report.
            initialization_type: what it finds in ``AWS_LAMBDA_INITIALIZATION_TYPE``, without SnapStart.
            debugger: waits for it; it waits in its init phase until one is attached.

        Raises:
            RuntimeUnavailable, UnpackError, SandboxError: it cannot be started; nothing is left behind.
            SnapStartException, SnapStartTimeoutException: it could not be restored; likewise.
        """
        snapshot = None if debugger else await self._snapshot_of(version)
        plan = await self._plan_of(version, cold_start_reason, initialization_type, snapshot)
        if debugger is not None:
            found = await self._runtimes.debugger(version.runtime)
            virtual = self._sandbox.task_paths_are_virtual
            plan = with_debugger(plan, debugger, found, paths_are_virtual=virtual)
        environment = Environment(plan, self._surroundings())
        try:
            await environment.start()
        except BaseException:
            await asyncio.shield(environment.stop("failed"))
            raise
        return environment

    def idle_snapshots(self) -> Iterator[IdleSnapshot]:
        """Yield the snapshots that may go to make room."""
        return self._snapshots.idle()

    def forget_snapshots(self, key: FunctionKey, version: str | None = None) -> None:
        """Let the snapshots of a deleted function, or of one deleted version of it, go."""
        self._snapshots.forget(key, version)

    async def close(self) -> None:
        """Let all snapshots go; environments are to be stopped before."""
        await self._snapshots.close()

    async def _snapshot_of(self, version: FunctionVersion) -> Snapshot | None:
        """Return what environments of a version start from; None: from an init of their own."""
        if not version.has_snapshot:
            return None
        try:
            return await self._snapshots.of(version)
        except SnapshotInitError:
            return None  # the environment's own init will fail as this one did, and say so to the caller

    async def _begin_snapshot(self, version: FunctionVersion) -> TemplateRuntime:
        return TemplateRuntime(await self._plan_of(version, None, SNAP_START), self._surroundings())

    def _surroundings(self) -> Surroundings:
        assert self._endpoint is not None, "open_endpoint comes first"
        return Surroundings(
            sandbox=self._sandbox,
            clock=self._clock,
            emit=self._emit,
            busy_poll=self._busy_poll,
            crowd=self._crowd,
            hold_memory=self._hold_memory,
            freeze_after_s=self._freeze_after_s,
            serve_endpoint=self._endpoint.serve,
        )

    async def _plan_of(
        self,
        version: FunctionVersion,
        cold_start_reason: str | None,
        initialization_type: str,
        snapshot: Snapshot | None = None,
    ) -> Plan:
        launch = await self._runtimes.launch(version.runtime)
        places = _Places(
            code=await self._code.directory(version.code),
            layers=await self._code.layers_directory([layer.code for layer in version.layers]),
        )
        credentials = await self._credentials(version)
        if version.is_snap_start:
            initialization_type = SNAP_START
        origin = self._origin(version, launch, initialization_type)
        copy_of = None if snapshot is None else snapshot.tmp
        tmp = await self._sandbox.make_tmp(version.ephemeral_storage_mb * _MB, copy_of=copy_of)
        plan = self._plan(
            version, launch, places, credentials, tmp=tmp, origin=origin, cold_start_reason=cold_start_reason
        )
        return dataclasses.replace(plan, snapshot=snapshot)

    def _plan(
        self,
        version: FunctionVersion,
        launch: Launch,
        places: _Places,
        credentials: Credentials,
        *,
        tmp: Tmp,
        origin: Origin,
        cold_start_reason: str | None,
    ) -> Plan:
        virtual = self._sandbox.task_paths_are_virtual
        task_root = TASK_ROOT if virtual else str(places.code)
        roots = Roots(code=places.code, layers=places.layers, are_virtual=virtual)
        environment = variables(
            version,
            runtime_environment=({} if virtual else places.layer_variables) | environment_of(launch, roots),
            credentials=credentials,
            log_stream=origin.log_stream,
            initialization_type=origin.initialization_type,
            task_root=task_root,
        )
        container = None
        if version.is_snap_start and self._has_own_network:
            # What is in a variable would be as old as the snapshot.
            environment = container_credentials(environment, "{}:{}".format(*_RUNTIME_API_ON_LOOPBACK))
            container = credentials_document(credentials)
        zygote = self._zygote(launch, version.memory_mb)
        if zygote is not None and zygote.interpreter and needs_own_interpreter(environment):
            zygote = None
        command = command_of(launch, roots, memory_mb=version.memory_mb, environment=environment)
        spec = SandboxSpec(
            name=origin.environment_id,
            command=command.line,
            # AWS_ENDPOINT_URL is not reserved: a user who sets it means another service than this one.
            environment=self._endpoint_address() | environment | self._runtime_api_address(),
            working_directory=task_root,
            tmp_directory=tmp.path,
            memory_bytes=version.memory_mb * _MB,
            mounts=(*(Mount(*mount) for mount in launch.mounts), *places.mounts),
            hidden=launch.hidden,
            max_processes=PROCESSES_MAX,
            max_open_files=OPEN_FILES_MAX,
            max_file_bytes=tmp.max_file_bytes,
            hostname=_HOSTNAME,
            listen=self._listen(),
            zygote=zygote,
        )
        return Plan(
            version=version,
            origin=origin,
            spec=spec,
            tmp=tmp,
            speaks_over_socket=launch.speaks_over_socket,
            serves_on_loopback=not self._has_own_network,
            entrypoint_fault=command.fault,
            cpu_share=version.memory_mb / MB_PER_VCPU,
            cold_start_reason=cold_start_reason,
            credentials=container,
        )

    def _zygote(self, launch: Launch, memory_mb: int) -> ZygoteSpec | None:
        """Return what the environments of a runtime have in common, those of one memory size for the most part."""
        if self._endpoint is None:
            return None
        return zygote_of(launch, memory_mb=memory_mb, hostname=_HOSTNAME, listen=self._listen())

    def _origin(self, version: FunctionVersion, launch: Launch, initialization_type: str) -> Origin:
        environment_id = secrets.token_hex(16)
        today = datetime.fromtimestamp(self._clock.now_s(), UTC).strftime("%Y/%m/%d")
        is_own_group = version.logging.group != f"/aws/lambda/{version.key.name}"
        name = version.key.name if is_own_group else ""
        return Origin(
            environment_id=environment_id,
            function=version.key,
            version=version.version,
            memory_mb=version.memory_mb,
            architecture=version.architecture,
            log_group=version.logging.group,
            log_stream=f"{today}/{name}[{version.version}]{environment_id}",
            log_format=version.logging.format,
            application_log_level=version.logging.application_level,
            system_log_level=version.logging.system_level,
            runtime_version=f"{launch.family}:{launch.version}",
            runtime_version_arn=runtime_version_arn(version.key.region, version.runtime),
            initialization_type=initialization_type,
            runtime=version.runtime,
            ephemeral_storage_mb=version.ephemeral_storage_mb,
        )

    def _listen(self) -> tuple[tuple[str, int], ...]:
        assert self._endpoint is not None
        if not self._has_own_network:
            return ()
        return RUNTIME_API_ADDRESS, _RUNTIME_API_ON_LOOPBACK, ("127.0.0.1", self._endpoint.port)

    def _endpoint_address(self) -> dict[str, str]:
        assert self._endpoint is not None
        return {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{self._endpoint.port}"}

    def _runtime_api_address(self) -> dict[str, str]:
        if not self._has_own_network:
            return {}
        return {"AWS_LAMBDA_RUNTIME_API": "{}:{}".format(*RUNTIME_API_ADDRESS)}


def _init_failure(error: SnapshotInitError) -> tuple[str, str]:
    """Return the reason and its code of a version whose init before the snapshot failed."""
    if error.status == "timeout":
        return "The function's initialization timed out before its snapshot.", "FunctionError.InitTimeout"
    return (
        f"The function's initialization failed before its snapshot: {error.error_type}. Its log says more.",
        "FunctionError.RuntimeInitError",
    )
