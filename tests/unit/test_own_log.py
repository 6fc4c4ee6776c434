"""What the server writes to standard error: a line for a full disk, a traceback for a bug."""

from __future__ import annotations

import errno
import io
import logging

import pytest

from lambent.own_log import handler_to


def written(error: Exception) -> str:
    """What is written of an error that was caught."""
    stream = io.StringIO()
    log = logging.Logger("lambent.somewhere")
    log.addHandler(handler_to(stream))
    try:
        raise error
    except type(error):
        log.exception("Events of %s could not be taken.", "f")
    return stream.getvalue()


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_one_line(number: int) -> None:
    assert written(OSError(number, "full")) == (
        "ERROR lambent.somewhere: Events of f could not be taken: there is no space left on the disk.\n"
    )


@pytest.mark.parametrize("error", [ValueError("a bug"), OSError(errno.EIO, "a bug")])
def test_a_bug_is_shown_where_it_is(error: Exception) -> None:
    text = written(error)
    assert text.startswith("ERROR lambent.somewhere: Events of f could not be taken.\nTraceback")
    assert "a bug" in text
