"""Functions as targets: a parcel becomes an event that is run later."""

from __future__ import annotations

import re
import uuid
from collections.abc import Awaitable, Callable

from lambent.arn import parse_arn
from lambent.clock import Clock
from lambent.delivery import Undeliverable
from lambent.domain.function import LATEST, Function, FunctionKey
from lambent.domain.limits import ASYNC_PAYLOAD_MAX_BYTES
from lambent.domain.parcel import Parcel
from lambent.domain.policy import decide_for_sender
from lambent.domain.queued_event import QueuedEvent
from lambent.store.functions import Functions

_RESOURCE = re.compile(r"function:(?P<name>[^:]+)(:(?P<qualifier>[^:]+))?")


class FunctionTarget:
    """See `lambent.delivery.Target`.

    Args:
        functions: says whether there is such a function.
        accept: keeps an event durably.
        clock: the time.
    """

    def __init__(
        self,
        *,
        functions: Functions,
        accept: Callable[[QueuedEvent, bytes], Awaitable[None]],
        clock: Clock,
    ) -> None:
        self._functions = functions
        self._accept = accept
        self._clock = clock

    async def deliver(self, parcel: Parcel) -> None:
        arn = parse_arn(parcel.arn)
        match = _RESOURCE.fullmatch(arn.resource) if arn is not None else None
        if arn is None or match is None:
            raise Undeliverable("it is no function's ARN", is_final=True)
        key = FunctionKey(account=arn.account, region=arn.region, name=match["name"])
        function = await self._functions.get(key)
        if function is None:
            raise Undeliverable("there is no such function", is_missing=True)
        _check_policy(function, match["qualifier"], parcel)
        if len(parcel.body) > ASYNC_PAYLOAD_MAX_BYTES:
            raise Undeliverable(f"{len(parcel.body)} bytes are too large for an event", is_final=True)
        event = QueuedEvent(
            request_id=str(uuid.uuid4()),
            key=key,
            qualifier=match["qualifier"],
            trace_header=parcel.trace_header,
            accepted_s=self._clock.now_s(),
        )
        await self._accept(event, parcel.body)


def _check_policy(function: Function, qualifier: str | None, parcel: Parcel) -> None:
    """A service may invoke a function only if the function's resource-based policy lets it."""
    sender = parcel.sender
    if sender is None:
        return
    policy = function.policies.get(qualifier or LATEST)
    decision = decide_for_sender(
        policy.text if policy else None, sender, action="lambda:InvokeFunction", resource=parcel.arn
    )
    if not decision.is_allowed:
        raise Undeliverable(
            f"the function's policy does not allow lambda:InvokeFunction to {sender.service} for "
            f"{sender.source_arn} (see lambda add-permission)",
            is_final=True,
        )
