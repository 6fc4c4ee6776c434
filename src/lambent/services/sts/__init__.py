"""STS: who is calling, and temporary credentials, which are sealed into their own session tokens."""

from __future__ import annotations

from lambent.clock import Clock
from lambent.services import OperationMethod, operations_of
from lambent.services.sts.callers import Callers
from lambent.services.sts.sessions import Sessions
from lambent.store.identities import Identities


def sts_service(*, identities: Identities, secret: bytes, clock: Clock) -> dict[str, OperationMethod]:
    """Return the operations of STS.

    Args:
        identities: where roles and access keys are looked up.
        secret: seals session tokens; whoever authenticates requests has the same.
        clock: dates expiry.
    """
    return operations_of(Sessions(identities, secret, clock), Callers(identities))
