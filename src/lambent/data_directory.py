"""The data directory: made, locked and laid out. One server at a time uses it."""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import shutil
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

_SECRET_BYTES = 32


class DataDirectoryError(Exception):
    """The directory cannot be used. The message is one sentence for the user."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DataDirectory:
    """Where things lie."""

    root: Path
    secret: bytes
    """Signs links and session tokens; made once, kept in a file that only the owner reads."""

    @property
    def control_database(self) -> Path:
        """Functions, roles and everything else that is configured."""
        return self.root / "control.db"

    @property
    def logs_database(self) -> Path:
        """Log events."""
        return self.root / "logs.db"

    @property
    def queues_database(self) -> Path:
        """Messages: events that wait to be run, those of SQS, and those of SNS on their way."""
        return self.root / "queues.db"

    @property
    def ledger_database(self) -> Path:
        """The ledger: what ran, and what it costs."""
        return self.root / "ledger.db"

    @property
    def blobs(self) -> Path:
        """Deployment packages."""
        return self.root / "blobs"

    @property
    def code(self) -> Path:
        """Deployment packages, unpacked; can be made again."""
        return self.root / "code"

    @property
    def run(self) -> Path:
        """What dies with the server: directories of execution environments."""
        return self.root / "run"

    @property
    def message_key(self) -> Path:
        """The key that signs messages of topics, and its certificate."""
        return self.root / "message-key.pem"

    @property
    def root_key(self) -> Path:
        """The access key of the account's root, for `auth = iam`."""
        return self.root / "root-access-key.json"

    @property
    def metrics_token(self) -> Path:
        """What has to be shown for the metrics, with `auth = iam`."""
        return self.root / "metrics-token"


@contextlib.contextmanager
def open_data_directory(root: Path) -> Generator[DataDirectory]:
    """Make the directory if need be and hold it until the context ends.

    Raises:
        DataDirectoryError: it cannot be written, is damaged or somebody else's, or another server uses it.
    """
    try:
        root.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = os.open(root / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise DataDirectoryError(f"The data directory {root} cannot be used: {error.strerror}.") from error
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise DataDirectoryError(f"Another Lambent is using the data directory {root}.") from error
        _refuse_foreign(root)
        try:
            directory = DataDirectory(root=root, secret=_secret(root / "secret"))
            # What an earlier server left when it was killed is nobody's any more.
            shutil.rmtree(directory.run, ignore_errors=True)
            directory.run.mkdir(mode=0o700)
        except OSError as error:
            raise DataDirectoryError(f"The data directory {root} cannot be used: {error}.") from error
        yield directory
    finally:
        os.close(lock)


def _refuse_foreign(root: Path) -> None:
    """Refuse a directory that holds somebody else's things: starting removes ``run``, whoever made it.

    The secret is written before anything else, so a directory of ours has one unless nothing else is there.
    """
    if (root / "secret").exists():
        return
    foreign = sorted({entry.name for entry in root.iterdir()} - {"lock", "secret.part"})
    if foreign:
        raise DataDirectoryError(
            f"{root} is not a data directory of Lambent and not empty (it holds {foreign[0]}): use another one."
        )


def _secret(path: Path) -> bytes:
    try:
        secret = path.read_bytes()
    except FileNotFoundError:
        secret = secrets.token_bytes(_SECRET_BYTES)
        write_private(path, secret)
    if len(secret) != _SECRET_BYTES:
        raise DataDirectoryError(
            f"{path} is damaged: remove it, and links and session tokens made so far become invalid."
        )
    return secret


def write_private(path: Path, content: bytes) -> None:
    """Write a file that only its owner can read, whole or not at all, and for good."""
    draft = path.with_name(path.name + ".part")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        os.write(descriptor, content)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    draft.replace(path)
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
