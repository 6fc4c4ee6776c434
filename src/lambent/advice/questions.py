"""All questions about one function, in order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from lambent.advice.answer import Answer
from lambent.advice.errors import advise_errors
from lambent.advice.imports import Import, advise_imports
from lambent.advice.memory import advise_memory
from lambent.advice.past import Past
from lambent.advice.patterns import advise_patterns
from lambent.advice.placement import SPOT_SHARE, Machine, advise_placement
from lambent.advice.provisioned import advise_provisioned
from lambent.advice.snapstart import advise_snapstart


@dataclass(frozen=True, slots=True, kw_only=True)
class Function:
    """What the API says of a function."""

    runtime: str = ""
    handler: str = ""
    code_bytes: int = 0
    layer_bytes: int = 0
    ephemeral_storage_mb: int = 512
    has_snapstart: bool = False
    provisioned: int = 0
    """Provisioned concurrency that is asked for, over its versions and aliases."""
    imports: Sequence[Import] | None = None
    """A profile of its init, if there is one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What the user says of the world."""

    spot_share: Decimal = SPOT_SHARE
    own_server: Machine | None = None


def advise(past: Past, function: Function | None, wishes: Wishes) -> list[Answer]:
    """Answer all questions.

    Args:
        past: what it did.
        function: what it is; None: it is gone.
        wishes: what the user says.
    """
    answers = [advise_memory(past), advise_provisioned(past, has=function.provisioned if function else 0)]
    if function is not None:
        answers.append(
            advise_snapstart(
                past,
                runtime=function.runtime,
                is_on=function.has_snapstart,
                ephemeral_storage_mb=function.ephemeral_storage_mb,
            )
        )
        answers.append(
            advise_imports(
                past,
                code_bytes=function.code_bytes,
                layer_bytes=function.layer_bytes,
                handler=function.handler,
                imports=function.imports,
            )
        )
    answers.append(advise_errors(past))
    answers.append(advise_placement(past, spot_share=wishes.spot_share, own=wishes.own_server))
    answers.append(advise_patterns(past))
    return answers
