"""STS: who is calling, and temporary credentials, which are sealed into their own session tokens."""

from __future__ import annotations

from lambent.clock import Clock
from lambent.services import OperationMethod, operations_of
from lambent.services.sts.callers import Callers
from lambent.services.sts.federation import Federation
from lambent.services.sts.sessions import Sessions
from lambent.services.sts.web_identities import WebIdentities
from lambent.store.identities import Identities


def sts_service(
    *, identities: Identities, secret: bytes, clock: Clock, believes_tokens: bool = True
) -> dict[str, OperationMethod]:
    """Return the operations of STS.

    Args:
        identities: where roles and access keys are looked up.
        secret: seals session tokens; whoever authenticates requests has the same.
        clock: dates expiry.
        believes_tokens: whether tokens of identity providers are taken at their word, as callers are where requests
            need no signature.
    """
    return operations_of(
        Sessions(identities, secret, clock),
        Federation(secret, clock),
        WebIdentities(identities, secret, clock, believes_tokens=believes_tokens),
        Callers(identities),
    )
