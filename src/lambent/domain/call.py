"""A call: one API request as a service sees it. Who asks, where, when, and under which request id."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

import msgspec


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """The identity behind a call, as `sts.GetCallerIdentity` reports it."""

    arn: str
    """For instance ``arn:aws:iam::000000000000:root`` or an ``assumed-role`` ARN of STS."""
    user_id: str
    """The account id for root, ``AIDA…`` for a user, ``AROA…:session`` for an assumed role."""


class Call(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One authenticated API request, without its parameters."""

    account: str
    region: str
    request_id: str
    access_key_id: str
    """Empty when an unsigned request was accepted."""
    principal: Principal
    endpoint_url: str
    """How the caller reached this server, for links in answers; no trailing slash."""
    at_s: float
    """When the request arrived, in seconds since the epoch."""
    headers: Mapping[str, str] = msgspec.field(default_factory=dict[str, str])
    """The request's headers by lower-case name, for what AWS reads there outside an operation's model."""
    admitted_account: str | None = None
    """Another account than the caller's, of which a resource's policy opens a resource to this call."""
    gone: Callable[[], Awaitable[None]] | None = None
    """Returns what is done once nobody waits for the answer any more; None: nobody knows."""

    def __repr__(self) -> str:
        # Without the headers: signatures and tokens are among them.
        return f"<Call {self.request_id} of {self.principal.arn} in {self.account} {self.region}>"


def root_principal(account: str) -> Principal:
    """Return the account's root identity, which open authentication assumes."""
    return Principal(arn=f"arn:aws:iam::{account}:root", user_id=account)
