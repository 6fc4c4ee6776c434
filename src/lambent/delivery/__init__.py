"""WHERE AN ARN CAN BE SENT TO: one table for destinations, dead letters, and whatever delivers next.

`Delivery` looks up in the ARN which service it belongs to and hands the parcel to that service's target, a
file
each. `outbox` keeps parcels until they are delivered, `notifications` what was published to topics until
every subscriber has it, `bus_events` what was put on event buses until every target has it; `schedules` fires
rules by the clock. Knows no operation; why parcels are sent is not known here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from lambent.arn import parse_arn
from lambent.domain.parcel import Parcel


class Undeliverable(Exception):
    """A parcel cannot be delivered. The message is one sentence for whoever reads the log.

    Args:
        message: why.
        is_final: whether trying again is of no use.
        is_missing: whether there is nothing of that name; somebody may be about to make it.
        is_forbidden: whether a policy keeps it out, which is final.
    """

    def __init__(
        self, message: str, *, is_final: bool = False, is_missing: bool = False, is_forbidden: bool = False
    ) -> None:
        super().__init__(message)
        self.is_final = is_final or is_forbidden
        self.is_missing = is_missing
        self.is_forbidden = is_forbidden


class Target(Protocol):
    """One kind of resource that takes parcels."""

    async def deliver(self, parcel: Parcel) -> None:
        """Hand a parcel over; it is kept durably there when this returns.

        Raises:
            Undeliverable: it is not.
        """
        ...


class Delivery:
    """The table of targets, by the service in an ARN."""

    def __init__(self, targets: Mapping[str, Target]) -> None:
        self._targets = targets

    async def deliver(self, parcel: Parcel) -> None:
        """Hand a parcel to the target that its ARN names.

        Raises:
            Undeliverable: it could not be handed over.
        """
        arn = parse_arn(parcel.arn)
        service = "" if arn is None else arn.service
        target = self._targets.get(service)
        if target is None:
            served = ", ".join(sorted(self._targets))
            raise Undeliverable(
                f"nothing is delivered to {service or 'what is no ARN'} yet (only to: {served})",
                is_final=True,
            )
        await target.deliver(parcel)
