"""`Blobs` as files: ``blobs/ab/abcdef…``, written beside, synced and renamed into place."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import secrets
from collections.abc import Set
from pathlib import Path


class FileBlobs:
    """See `lambent.store.Blobs` for the contract."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)

    async def put(self, content: bytes) -> str:
        return await asyncio.to_thread(self._put, content)

    def path(self, name: str) -> Path:
        path = self._place(name)
        if not path.is_file():
            raise KeyError(name)
        return path

    async def delete(self, name: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            await asyncio.to_thread(self._place(name).unlink)

    async def keep_only(self, names: Set[str]) -> None:
        await asyncio.to_thread(self._keep_only, names)

    def _keep_only(self, names: Set[str]) -> None:
        for file in self._directory.glob("??/*"):
            if file.name not in names:
                file.unlink(missing_ok=True)

    def _place(self, name: str) -> Path:
        return self._directory / name[:2] / name

    def _put(self, content: bytes) -> str:
        name = hashlib.sha256(content).hexdigest()
        place = self._place(name)
        if place.is_file():
            return name
        place.parent.mkdir(exist_ok=True, mode=0o700)
        draft = place.parent / f"{name}.{secrets.token_hex(4)}.part"
        try:
            with draft.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(place)
            _sync_directory(place.parent)
        finally:
            draft.unlink(missing_ok=True)
        return name


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
