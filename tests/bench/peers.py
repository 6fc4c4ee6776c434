"""Who is measured: Lambent, AWS's Runtime Interface Emulator (RIE), and the floor below both.

Each is a process of its own on a free port of this machine and a context manager that leaves nothing behind. They
are handed the same handlers and the same request bytes but for the path. Nothing is measured here.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import socket
import stat
import subprocess
import sys
import time
import types
import zipfile
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any, Self
from urllib.request import urlopen

from tests.bench import processes
from tests.bench.goals import FLOOR, LAMBENT, OFFLINE, RIE
from tests.bench.load import Target
from tests.builds import RUNTIME_CLIENT
from tests.harness import REGION, REPOSITORY, Server, clean_environ, create

HELLO = "def handler(event, context):\n    return event\n"
HELLO_BOTO3 = "import boto3\n\n\n" + HELLO
HOLD = """import time


def handler(event, context):
    started_s = time.time()
    time.sleep(event["hold_s"])
    return [context.log_stream_name, started_s]
"""
EVENT = b'{"message": "hello", "number": 1}'
"""As Python's json writes it, so that the right answer is the same bytes."""
RUNTIME = f"python3.{sys.version_info.minor}"
"""The bench's own Python version: RIE has no other, so Lambent takes the same."""
MEMORY_MB = 1769
"""One whole vCPU at Lambda: the CPU share does not throttle what is measured."""

_START_TIMEOUT_S = 20.0
_POLL_INTERVAL_S = 0.002
_ARCHITECTURES = {"x86_64": "x86_64", "aarch64": "arm64"}


OFFLINE_PACKAGES = ("serverless@3.40.0", "serverless-offline@13.10.1")
"""The last open-source framework, and the last plugin for it."""
_NPM_TIMEOUT_S = 300


class RieMissing(Exception):
    """The emulator cannot be had here. The message is one sentence."""


class OfflineMissing(Exception):
    """serverless-offline cannot be had here. The message is one sentence."""


class Lambent:
    """`lambent up` with data of its own."""

    name = LAMBENT

    def __init__(
        self, directory: Path, *flags: str, environ: Mapping[str, str] = types.MappingProxyType({})
    ) -> None:
        """Start it; returns when it answers its health path.

        Args:
            directory: of its data directory.
            flags: settings that it must know.
            environ: settings that it may know: a variable of a setting that there is not yet changes nothing.
        """
        started_s = time.perf_counter()
        # Else AWS's rate of requests would be measured: ten a second for each unit of concurrency.
        flags = ("--account-concurrency", "100000", *flags)
        self.server = Server(directory / "data", *flags, environ=environ)
        try:
            self.health()
            self.started_in_s = time.perf_counter() - started_s
            self.client = self.server.client("lambda")
        except BaseException:
            self.__exit__()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.server.stop()

    def health(self) -> None:
        """Return when it answers its health path."""
        with socket.create_connection(("127.0.0.1", self.server.port), _START_TIMEOUT_S) as connection:
            connection.sendall(b"GET /_lambent/health HTTP/1.1\r\nHost: localhost\r\n\r\n")
            answer = connection.recv(65536)
        if not answer.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(f"Lambent is not healthy: {answer!r}")

    def create(
        self,
        name: str,
        source: str,
        *,
        memory_mb: int = MEMORY_MB,
        timeout_s: int = 30,
        runtime: str = RUNTIME,
        package: bytes | None = None,
        **settings: Any,
    ) -> None:
        """Create a function from its source, or from a deployment package."""
        settings |= {"Runtime": runtime, "MemorySize": memory_mb, "Timeout": timeout_s}
        create(self.client, name, source if package is None else package, **settings)

    def environments(self) -> int:
        """Return how many execution environments there are, by its health path."""
        with urlopen(f"{self.server.endpoint}/_lambent/health", timeout=_START_TIMEOUT_S) as answer:
            return int(json.load(answer)["environments"])

    def reconfigure(self, name: str, turn: int) -> None:
        """Change a function's environment variables, so that its next invocation is a cold start."""
        variables = {"TURN": str(turn)}
        answer = self.client.update_function_configuration(
            FunctionName=name, Environment={"Variables": variables}
        )
        while answer["LastUpdateStatus"] == "InProgress":
            time.sleep(_POLL_INTERVAL_S)
            answer = self.client.get_function_configuration(FunctionName=name)

    def invoke_target(
        self,
        name: str,
        *,
        event: bytes = EVENT,
        answer: bytes | None = EVENT,
        qualifier: str = "",
        wants_log_tail: bool = False,
    ) -> Target:
        """Return the invocation of a function."""
        path = f"/2015-03-31/functions/{name}/invocations"
        path += f"?Qualifier={qualifier}" if qualifier else ""
        headers = ("X-Amz-Log-Type: Tail",) if wants_log_tail else ()
        return Target(port=self.server.port, request=request_of("POST", path, event, *headers), answer=answer)

    def get_target(self, path: str) -> Target:
        """Return a reading request."""
        return Target(port=self.server.port, request=request_of("GET", path, b""))

    def pss_bytes(self) -> int:
        """Return the memory of the server and everything below it."""
        return processes.pss_bytes([self.server.process.pid]) + self.below_pss_bytes()

    def below_pss_bytes(self) -> int:
        """Return the memory of every process that the server started, environments among them."""
        return processes.pss_bytes(processes.descendants(self.server.process.pid))


class Process:
    """A program that listens on a port of its own."""

    start_timeout_s = _START_TIMEOUT_S

    def __init__(self, command: list[str], *, port: int, environ: Mapping[str, str], directory: Path) -> None:
        self.port = port
        self.output = directory / f"output-{port}.txt"
        started_s = time.perf_counter()
        with self.output.open("wb") as output:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=clean_environ() | dict(environ),
                cwd=directory,
                # A Ctrl-C reaches the bench, which stops this in order.
                start_new_session=True,
            )
        try:
            self._wait_until_listening()
        except BaseException:
            self.__exit__()
            raise
        self.started_in_s = time.perf_counter() - started_s

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        processes.stop(self._process)

    def pss_bytes(self) -> int:
        """Return the memory of it and everything below it."""
        return processes.pss_bytes([self._process.pid, *processes.descendants(self._process.pid)])

    def _wait_until_listening(self) -> None:
        deadline_s = time.monotonic() + self.start_timeout_s
        while self._process.poll() is None and time.monotonic() < deadline_s:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1.0).close()
            except OSError:
                time.sleep(_POLL_INTERVAL_S)
            else:
                return
        raise RuntimeError(f"{self._process.args} does not listen: {self.output.read_text()[-500:]}")


class Rie(Process):
    """AWS's Runtime Interface Emulator with one of AWS's runtime clients: one function, one environment, no walls."""

    name = RIE

    def __init__(
        self,
        program: Path,
        directory: Path,
        source: str = HELLO,
        *,
        file: str = "app.py",
        client: Sequence[str] = (sys.executable, "-m", "awslambdaric"),
    ) -> None:
        """Start it; returns when it listens. The runtime inside starts with the first invocation.

        Args:
            program: the emulator.
            directory: for the function.
            source: the function's.
            file: where that goes.
            client: command that serves the handler named after it.
        """
        directory.mkdir(parents=True, exist_ok=True)
        (directory / file).write_text(source)
        port, api_port = free_port(), free_port()
        command = [str(program), "--log-level", "error"]
        command += ["--runtime-interface-emulator-address", f"127.0.0.1:{port}"]
        command += ["--runtime-api-address", f"127.0.0.1:{api_port}"]
        command += [*client, "app.handler"]
        environ = {
            "AWS_LAMBDA_FUNCTION_NAME": "hello",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(MEMORY_MB),
            "AWS_REGION": REGION,
            "LAMBDA_TASK_ROOT": str(directory),
        }
        super().__init__(command, port=port, environ=environ, directory=directory)

    def invoke_target(self, event: bytes = EVENT) -> Target:
        """Return the invocation of its function."""
        path = "/2015-03-31/functions/function/invocations"
        return Target(port=self.port, request=request_of("POST", path, event), answer=event)

    def last_words(self) -> str:
        """Return the line in which it said why it ended, if it did."""
        lines = self.output.read_text(errors="replace").splitlines()
        return next((line for line in lines if line.startswith("panic:")), "")


class Offline(Process):
    """serverless-offline: a server of JavaScript that runs functions in threads of its own, without walls."""

    name = OFFLINE
    start_timeout_s = 90.0

    def __init__(self, modules: Path, directory: Path, source: str, runtime: str) -> None:
        """Start it; returns when it listens.

        Args:
            modules: a ``node_modules`` with serverless and its plugin.
            directory: for the function.
            source: the function's, in JavaScript.
            runtime: its identifier.
        """
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "app.js").write_text(source)
        (directory / "node_modules").symlink_to(modules)
        port = free_port()
        ports = {"lambdaPort": port, "httpPort": free_port()}
        ports |= {"albPort": free_port(), "websocketPort": free_port()}
        service = {
            "service": "bench",
            "frameworkVersion": "3",
            "provider": {"name": "aws", "runtime": runtime, "stage": "dev", "memorySize": MEMORY_MB},
            "functions": {"hello": {"handler": "app.handler"}},
            "plugins": ["serverless-offline"],
            "custom": {"serverless-offline": {"host": "127.0.0.1", **ports}},
        }
        (directory / "serverless.json").write_text(json.dumps(service))
        environ = {"SLS_TELEMETRY_DISABLED": "1", "SLS_NOTIFICATIONS_MODE": "off", "CI": "1"}
        command = ["node", str(modules / "serverless/bin/serverless.js"), "offline", "start", "--noTimeout"]
        super().__init__(command, port=port, environ=environ, directory=directory)

    def invoke_target(self, event: bytes = EVENT) -> Target:
        """Return the invocation of its function."""
        path = "/2015-03-31/functions/bench-dev-hello/invocations"
        return Target(port=self.port, request=request_of("POST", path, event), answer=event)


class Floor(Process):
    """Uvicorn (uvloop and httptools) with an application of a few lines."""

    name = FLOOR

    def __init__(self, directory: Path) -> None:
        """Start it; returns when it listens."""
        directory.mkdir(parents=True, exist_ok=True)
        port = free_port()
        command = [sys.executable, "-m", "uvicorn", "tests.bench.floor:application", "--port", str(port)]
        command += ["--loop", "uvloop", "--http", "httptools", "--ws", "none", "--lifespan", "off"]
        command += ["--app-dir", str(REPOSITORY), "--no-access-log", "--no-server-header"]
        super().__init__(command, port=port, environ={}, directory=directory)

    def invoke_target(self) -> Target:
        """Return the request that it hands back."""
        path = "/2015-03-31/functions/hello/invocations"
        return Target(port=self.port, request=request_of("POST", path, EVENT), answer=EVENT)


def fetch_rie(directory: Path) -> Path:
    """Return the emulator's program, taken from the wheel of aws-sam-cli, downloading that if need be.

    Raises:
        RieMissing: this machine is offline, or another kind than AWS built it for.
    """
    architecture = _ARCHITECTURES.get(platform.machine())
    if architecture is None:
        raise RieMissing(f"AWS builds no Runtime Interface Emulator for {platform.machine()}.")
    program = directory / f"aws-lambda-rie-{architecture}"
    if not program.exists():
        with zipfile.ZipFile(_download_sam_cli(directory)) as wheel:
            try:
                content = wheel.read(f"samcli/local/rapid/{program.name}")
            except KeyError:
                raise RieMissing(f"{wheel.filename} holds no {program.name}.") from None
        partial = program.with_suffix(".part")
        partial.write_bytes(content)
        partial.chmod(partial.stat().st_mode | stat.S_IXUSR)
        partial.rename(program)
    return program


def fetch_offline(directory: Path) -> Path:
    """Return a ``node_modules`` with serverless-offline, by npm into the bench's cache.

    Raises:
        OfflineMissing: this machine has no Node.js, no npm or is offline.
    """
    place = directory / "-".join(OFFLINE_PACKAGES)
    modules = place / "node_modules"
    if not modules.is_dir():
        draft = place.with_suffix(".part")
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(parents=True)
        command = ["npm", "install", "--prefix", ".", "--ignore-scripts", "--no-audit", "--no-fund"]
        try:
            subprocess.run(
                [*command, *OFFLINE_PACKAGES],
                cwd=draft,
                check=True,
                capture_output=True,
                timeout=_NPM_TIMEOUT_S,
            )
        except (OSError, subprocess.SubprocessError) as error:
            raise OfflineMissing(f"{' and '.join(OFFLINE_PACKAGES)} cannot be installed: {error}.") from None
        draft.rename(place)
    return modules


def versions(directory: Path) -> str:
    """Say who the peers are, with their versions."""
    wheels = sorted(directory.glob("aws_sam_cli-*.whl"))
    sam_cli = wheels[-1].name.split("-")[1] if wheels else "?"
    return (
        f"RIE of aws-sam-cli {sam_cli} with awslambdaric {metadata.version('awslambdaric')} or {RUNTIME_CLIENT}; "
        f"{' and '.join(OFFLINE_PACKAGES)}; "
        f"uvicorn {metadata.version('uvicorn')} with uvloop {metadata.version('uvloop')} "
        f"and httptools {metadata.version('httptools')}"
    )


def _download_sam_cli(directory: Path) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command += ["--only-binary", ":all:", "--dest", str(directory), "aws-sam-cli"]
    # Constraints pin what Lambent depends on; this is none of it.
    environ = {name: value for name, value in os.environ.items() if name != "PIP_CONSTRAINT"}
    try:
        done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60, check=False)
    except subprocess.TimeoutExpired:
        raise RieMissing("aws-sam-cli could not be downloaded within a minute.") from None
    wheels = sorted(directory.glob("aws_sam_cli-*.whl"))
    if done.returncode or not wheels:
        reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise RieMissing(f"aws-sam-cli could not be downloaded: {reason}")
    return wheels[-1]


def request_of(method: str, path: str, body: bytes, *headers: str, service: str = "lambda") -> bytes:
    """Return a request as an AWS SDK sends it. The signature has the right form and is nobody's."""
    head = [
        f"{method} {path} HTTP/1.1",
        "Host: 127.0.0.1",
        "Accept-Encoding: identity",
        "User-Agent: lambent-bench",
        "X-Amz-Date: 20260101T000000Z",
        "Authorization: AWS4-HMAC-SHA256 "
        f"Credential=000000000000/20260101/{REGION}/{service}/aws4_request, "
        f"SignedHeaders=host;x-amz-date, Signature={'0' * 64}",
        *headers,
        f"Content-Length: {len(body)}",
    ]
    return "\r\n".join([*head, "", ""]).encode() + body


def free_port() -> int:
    """Return a port of the loopback that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
