"""What lies under /var/runtime of a Node.js function: the runtime client, and the AWS SDK for JavaScript.

AWS's Node.js runtimes come with the SDK's clients, version 3. Lambent installs those that functions commonly use
from npm into its cache, once per machine; without npm or a network functions do without, and the log says so.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from lambent.runtimes.nodejs.npm import NpmError, run_npm

_log = logging.getLogger(__name__)
_CLIENT = Path(__file__).parent / "client"
_INSTALL_TIMEOUT_S = 300.0
SDK_DATE = "2025-12-15"
"""The newest releases of this day: the last that run on Node.js 18."""
COMMON_CLIENTS = (
    "api-gateway",
    "apigatewaymanagementapi",
    "bedrock-runtime",
    "cloudwatch",
    "cloudwatch-logs",
    "cognito-identity-provider",
    "dynamodb",
    "eventbridge",
    "firehose",
    "iam",
    "kinesis",
    "kms",
    "lambda",
    "rds-data",
    "s3",
    "scheduler",
    "secrets-manager",
    "ses",
    "sesv2",
    "sfn",
    "sns",
    "sqs",
    "ssm",
    "sts",
)
_COMMON = "common"
_LIBRARIES = {
    "dynamodb": ("lib-dynamodb", "util-dynamodb"),
    "s3": ("lib-storage", "s3-request-presigner"),
    "sts": ("credential-providers",),
}
"""What comes along with a client."""
PACKAGES = "node_modules"
_SDK_NAME = b"@aws-sdk/"
_SUFFIXES = (".js", ".mjs", ".cjs")


class RuntimeLibrary:
    """The directories for /var/runtime and its node_modules."""

    def __init__(self, cache_directory: Path, *, clients: str) -> None:
        """Prepare.

        Args:
            cache_directory: where they are made.
            clients: those of the AWS SDK that functions find: ``common``, or names separated by ``,``.
        """
        self._directory = cache_directory / "nodejs"
        names = COMMON_CLIENTS if clients == _COMMON else clients.replace(" ", "").split(",")
        self._packages = sdk_packages([name for name in names if name])
        self._installing: asyncio.Task[None] | None = None
        self._client: Path | None = None

    @property
    def is_complete(self) -> bool:
        """Whether nothing is being made that `sdk` will return later."""
        return self._installing is None or self._installing.done()

    async def client(self) -> Path:
        """Return the directory for /var/runtime, made on first use."""
        if self._client is None:
            place = self._directory / f"client-{_fingerprint()}"
            if not place.is_dir():
                await asyncio.to_thread(_copy_client, place)
            self._client = place
        return self._client

    def sdk(self) -> Path | None:
        """Return the directory for /var/runtime/node_modules; None while it is not there.

        It begins to be made at the first call, which takes npm a minute.
        """
        if not self._packages:
            return None
        place = self._directory / f"sdk-{SDK_DATE}-{digest(' '.join(self._packages).encode())}"
        if place.is_dir():
            return place / PACKAGES
        if self._installing is None:
            _log.warning("The AWS SDK for Node.js functions is being installed from npm, once.")
            self._installing = asyncio.create_task(_install_sdk(place, self._packages))
        return None

    async def settle(self, directories: Sequence[Path]) -> None:
        """Wait for the SDK if this code needs it and it is being made."""
        installing = self._installing
        if installing is None or installing.done():
            return
        if await asyncio.to_thread(_need_sdk, directories):
            await asyncio.wait([installing])

    async def close(self) -> None:
        """Stop what is being made."""
        if self._installing is not None:
            self._installing.cancel()
            await asyncio.gather(self._installing, return_exceptions=True)


def sdk_packages(clients: Sequence[str]) -> list[str]:
    """Return the packages of the SDK's clients, and of what comes along with them."""
    names = [f"client-{client}" for client in clients]
    names += [library for client in clients for library in _LIBRARIES.get(client, ())]
    return [f"@aws-sdk/{name}@3" for name in names]


async def _install_sdk(place: Path, packages: Sequence[str]) -> None:
    """Install the SDK, or warn that it could not be had."""
    draft = await asyncio.to_thread(_draft_of, place)
    try:
        arguments = ("install", f"--before={SDK_DATE}", *packages)
        await run_npm(*arguments, directory=draft, timeout_s=_INSTALL_TIMEOUT_S)
        await asyncio.to_thread(_keep, draft, place)
    except (OSError, NpmError) as error:
        _log.warning("Node.js functions have no AWS SDK: it could not be installed (%s).", error)
    finally:
        await asyncio.to_thread(shutil.rmtree, draft, ignore_errors=True)


def _draft_of(place: Path) -> Path:
    """Make a directory to fill, beside the one that it will be."""
    place.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f".{place.name}.", dir=place.parent))
    draft.chmod(0o755)
    (draft / "package.json").write_text('{"private": true}\n', encoding="utf-8")
    return draft


def _keep(draft: Path, place: Path) -> None:
    with contextlib.suppress(OSError):  # another server was faster
        draft.rename(place)


def _need_sdk(directories: Sequence[Path]) -> bool:
    """Whether code names a package of the SDK and does not bring it along."""
    if any(place.is_dir() for directory in directories for place in directory.rglob(f"{PACKAGES}/@aws-sdk")):
        return False
    return any(_SDK_NAME in file.read_bytes() for directory in directories for file in _scripts(directory))


def _scripts(directory: Path) -> Iterator[Path]:
    return (path for path in directory.rglob("*") if path.suffix in _SUFFIXES and path.is_file())


def _copy_client(place: Path) -> None:
    draft = _draft_of(place)
    for source in sorted(_CLIENT.glob("*.js")):
        shutil.copyfile(source, draft / source.name)
    # Where the SDK is mounted.
    (draft / PACKAGES).mkdir()
    _keep(draft, place)
    shutil.rmtree(draft, ignore_errors=True)


def _fingerprint() -> str:
    sources = sorted(_CLIENT.glob("*.js"))
    return digest(b"".join(source.name.encode() + source.read_bytes() for source in sources))


def digest(content: bytes) -> str:
    """Return a short name for content."""
    return hashlib.sha256(content).hexdigest()[:12]
