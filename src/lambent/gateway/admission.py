"""Who may use those of Lambent's own paths that tell or change something of an account.

They are no operations of AWS's models, so the caller is authenticated as for an operation, and may do what is allowed
by the action that AWS has for the like.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol

from lambent.clock import Clock
from lambent.domain.call import Call
from lambent.gateway.auth import Caller
from lambent.gateway.authorization import Asked, Authorization
from lambent.gateway.requirements import Requirement
from lambent.wire.http import HttpRequest

Admit = Callable[[HttpRequest, str], Awaitable[Caller]]
"""Return who sent a request, if they may do an action; else a ServiceError is raised."""


class Authentication(Protocol):
    """Finds out who asks."""

    async def authenticate(self, request: HttpRequest) -> Caller:
        """Return the caller, or raise a ServiceError."""
        ...


class Admission:
    """Lets requests to own paths pass."""

    def __init__(self, authentication: Authentication, authorization: Authorization, clock: Clock) -> None:
        self._authentication = authentication
        self._authorization = authorization
        self._clock = clock

    async def admit(self, request: HttpRequest, action: str) -> Caller:
        """Return the caller.

        Args:
            request: what was sent.
            action: as policies name it, for instance ``ce:GetCostAndUsage``.

        Raises:
            ServiceError: the caller is not who they say, or may not.
        """
        caller = await self._authentication.authenticate(request)
        service, _, operation = action.partition(":")
        call = Call(
            account=caller.account,
            region=caller.region,
            request_id="",
            access_key_id=caller.access_key_id,
            principal=caller.principal,
            endpoint_url=request.base_url,
            at_s=self._clock.now_s(),
            headers=request.headers,
        )
        asked = Asked(
            service=service,
            operation=operation,
            call=call,
            parameters={},
            session=caller.session,
            source_ip=request.client_address,
        )
        await self._authorization.require(
            asked, Requirement(action=action, resource="*", account=caller.account)
        )
        return caller
