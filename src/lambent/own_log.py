"""What the server says on standard error: one line for each thing that is wrong, a traceback for a bug alone."""

from __future__ import annotations

import errno
import logging
import sys
from typing import TextIO

_FORMAT = "%(levelname)s %(name)s: %(message)s"


def set_up() -> None:
    """Write warnings and errors to standard error."""
    logging.basicConfig(level=logging.WARNING, handlers=[handler_to(sys.stderr)])


def handler_to(stream: TextIO) -> logging.Handler:
    """Return what writes records to a stream."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logging.Formatter(_FORMAT))
    handler.addFilter(_in_a_word)
    return handler


def is_disk_full(error: BaseException | None) -> bool:
    """Whether there was no space, or no more of it for this user."""
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)


def _in_a_word(record: logging.LogRecord) -> bool:
    """Let a record pass, without the traceback of a full disk: where that was found says nothing."""
    error = record.exc_info[1] if record.exc_info else None
    if is_disk_full(error):
        record.msg, record.args = (
            f"{record.getMessage().rstrip('.')}: there is no space left on the disk.",
            (),
        )
        record.exc_info, record.exc_text = None, None
    return True
