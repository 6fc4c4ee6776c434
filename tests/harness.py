"""A real Lambent for tests: started as users start it, asked with clients that we did not write."""

from __future__ import annotations

import base64
import functools
import io
import json
import os
import re
import signal
import subprocess
import sys
import threading
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

REPOSITORY = Path(__file__).parent.parent
CACHE_DIRECTORY = REPOSITORY / ".lambent" / "cache"
"""Prepared runtimes are the same for every test run: shared, and kept between runs."""
DEFAULTS = {
    "LAMBENT_CACHE_DIR": str(CACHE_DIRECTORY),
    # NAT has tests of its own, in networks of their own: no other test has business with the host's network.
    "LAMBENT_NETWORK": "none",
    # What needs npm has tests of its own.
    "LAMBENT_FETCH_NODE": "false",
    "LAMBENT_NODE_SDK": "",
}
ROLE = "arn:aws:iam::000000000000:role/lambent-tests"
ACCOUNT = "000000000000"
REGION = "us-east-1"
_START_TIMEOUT_S = 60
_STOP_TIMEOUT_S = 60
_making_clients = threading.Lock()
"""Sessions are not made for threads; clients are."""


class Server:
    """`lambent up` as a process."""

    def __init__(
        self,
        data_directory: Path,
        *flags: str,
        environ: Mapping[str, str] | None = None,
        user: int | None = None,
        prefix: Sequence[str] = (),
    ) -> None:
        """Start it on a free port, as this user (None: ours), and wait until it says that it runs.

        What is in `prefix` is a command that becomes ours in the end.
        """
        self._prefix = prefix
        self.data_directory = data_directory
        self._flags = flags
        self._user = user
        self._environ = environ or {}
        self.start()

    def start(self) -> None:
        """Start it (again) on the same data."""
        command = [sys.executable, "-m", "lambent", "up", "--data-dir", str(self.data_directory)]
        if "--port" not in self._flags:
            command += ["--port", "0"]
        self.errors = (self.data_directory.parent / f"{self.data_directory.name}.stderr").open("ab")
        self.process = subprocess.Popen(
            [*self._prefix, *command, *self._flags],
            stdout=subprocess.PIPE,
            stderr=self.errors,
            env=clean_environ() | DEFAULTS | dict(self._environ),
            cwd=self.data_directory.parent,
            user=self._user,
            group=self._user,
            extra_groups=None if self._user is None else [],
        )
        self.start_block = self._read_start_block()
        found = re.search(r"endpoint\s+(http://\S+)", self.start_block)
        assert found, f"no start block but: {self.start_block!r} {self.error_text()}"
        self.endpoint = found[1]
        self.port = int(self.endpoint.rpartition(":")[2])

    def _read_start_block(self) -> str:
        assert self.process.stdout is not None
        timer = threading.Timer(_START_TIMEOUT_S, self.process.kill)
        timer.start()
        lines: list[str] = []
        try:
            # The block ends with an empty line after its table.
            while line := self.process.stdout.readline().decode():
                lines.append(line)
                if line == "\n" and len(lines) > 2:
                    break
        finally:
            timer.cancel()
        return "".join(lines)

    def error_text(self) -> str:
        """What it has written to standard error so far."""
        self.errors.flush()
        return Path(self.errors.name).read_text()

    def stop(self) -> int:
        """End it as a user does, and return its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.wait()

    def kill(self) -> None:
        """End it as a power cut does."""
        self.process.kill()
        self.wait()

    def wait(self) -> int:
        """Wait for its end."""
        assert self.process.stdout is not None
        try:
            code = self.process.wait(_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
        finally:
            self.process.stdout.close()
            self.errors.close()
        return code

    def client(
        self, service: str, *, account: str = ACCOUNT, region: str = REGION, **credentials: str | None
    ) -> Any:
        """Return a boto3 client of it; the account is chosen by the access key id."""
        config = Config(
            retries={"max_attempts": 0},
            read_timeout=120,
            parameter_validation=False,
            max_pool_connections=100,
        )
        with _making_clients:
            return _session().client(
                service,
                endpoint_url=self.endpoint,
                region_name=region,
                aws_access_key_id=credentials.get("access_key_id") or account,
                aws_secret_access_key=credentials.get("secret_access_key") or "test",
                aws_session_token=credentials.get("session_token"),
                config=config,
            )

    def environ(self) -> dict[str, str]:
        """Variables with which any AWS tool reaches it."""
        return clean_environ() | {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": ACCOUNT,
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": REGION,
            "AWS_PAGER": "",
        }


@functools.cache
def _session() -> Any:
    """Return the session that all clients are made from: reading AWS's models takes a tenth of a second each time."""
    return boto3.session.Session()


INTERRUPTED = (130, -signal.SIGINT)
"""How a command ends after Ctrl-C; a shell calls both 130. Python picks the second one when the interrupt came while
text was being executed (as where a dataclass is defined), whatever becomes of the exception."""


def clean_environ() -> dict[str, str]:
    """The environment without what would make AWS's or Lambent's clients behave differently here and there."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "LAMBENT_"))}


@dataclass(frozen=True, kw_only=True)
class Invoked:
    """The answer to an invocation."""

    payload: Any
    error: str | None
    log: str
    status: int
    headers: Mapping[str, str]
    version: str


def invoke(client: Any, name: str, event: Any = None, **options: Any) -> Invoked:
    """Invoke a function and return the decoded answer."""
    response = client.invoke(FunctionName=name, Payload=json.dumps(event), LogType="Tail", **options)
    body = response["Payload"].read()
    return Invoked(
        payload=json.loads(body) if body else None,
        error=response.get("FunctionError"),
        log=base64.b64decode(response.get("LogResult", "")).decode(),
        status=response["StatusCode"],
        headers=response["ResponseMetadata"]["HTTPHeaders"],
        version=response.get("ExecutedVersion", ""),
    )


def zip_of(files: Mapping[str, str | bytes]) -> bytes:
    """Return a deployment package with these files."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as package:
        for name, text in files.items():
            package.writestr(name, text)
    return content.getvalue()


def create(client: Any, name: str, source: str | bytes | Mapping[str, str | bytes], **options: Any) -> Any:
    """Create a Python function from source text, files or a zip, and wait until it can be invoked."""
    if not isinstance(source, bytes):
        source = zip_of({"app.py": source} if isinstance(source, str) else source)
    settings: dict[str, Any] = {
        "Runtime": "python3.12",
        "Handler": "app.handler",
        "Role": ROLE,
        "Timeout": 10,
        "MemorySize": 512,
    } | options
    answer = client.create_function(FunctionName=name, Code={"ZipFile": source}, **settings)
    waiter = client.get_waiter("function_active_v2")
    waiter.wait(FunctionName=name, WaiterConfig={"Delay": 0.05, "MaxAttempts": 600})
    return answer
