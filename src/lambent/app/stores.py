"""What lies in the data directory: opened first, closed last."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import resource
from typing import TypeVar

from lambent.data_directory import DataDirectory
from lambent.node.unpack import UnpackedCode
from lambent.store.sqlite.blobs import FileBlobs
from lambent.store.sqlite.database import Database
from lambent.store.sqlite.documents import SqliteDocuments
from lambent.store.sqlite.ledger import SqliteLedger
from lambent.store.sqlite.light_writes import LightDatabase
from lambent.store.sqlite.log_events import SqliteLogEvents
from lambent.store.sqlite.messages import SqliteMessages

_log = logging.getLogger(__name__)
_Database = TypeVar("_Database", bound=Database)


def open_stores(
    data: DataDirectory, stack: contextlib.AsyncExitStack
) -> tuple[SqliteDocuments, SqliteLogEvents, SqliteMessages, SqliteLedger]:
    """Open the databases; they are closed with the stack."""
    _raise_open_files_limit()

    def opened(database: _Database) -> _Database:
        return stack.enter_context(contextlib.closing(database))

    # Log events and rows of the ledger survive the death of the process; only a power cut may take the last of them.
    return (
        SqliteDocuments(opened(Database(data.control_database, migrations="control", full_sync=True))),
        SqliteLogEvents(opened(LightDatabase(data.logs_database, migrations="logs", full_sync=False))),
        SqliteMessages(opened(LightDatabase(data.queues_database, migrations="queues", full_sync=True))),
        SqliteLedger(opened(LightDatabase(data.ledger_database, migrations="ledger", full_sync=False))),
    )


async def open_code(data: DataDirectory, blobs: FileBlobs) -> UnpackedCode:
    """Return where code is unpacked, without what nothing refers to any more."""
    code = UnpackedCode(data.code, blobs)
    await asyncio.to_thread(code.sweep)
    return code


def _raise_open_files_limit() -> None:
    """Every environment needs a handful of descriptors here."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
