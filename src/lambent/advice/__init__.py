"""The adviser: rows of the ledger in, answers out, each with its numbers and the command that shows the evidence.

Pure: an answer depends on a function's past and configuration alone. It replays the past on the simulator where a
question is one about what would have been. It knows no server, and changes nothing.
"""

from __future__ import annotations

from lambent.advice.answer import Answer
from lambent.advice.imports import Import, parse_import_times
from lambent.advice.past import Past, Row, decode_row, pasts_of
from lambent.advice.placement import Machine
from lambent.advice.questions import Function, Wishes, advise

__all__ = [
    "Answer",
    "Function",
    "Import",
    "Machine",
    "Past",
    "Row",
    "Wishes",
    "advise",
    "decode_row",
    "parse_import_times",
    "pasts_of",
]
