"""Subscription filters of log groups: which events go where, and in which form. Pure.

The form is AWS's (CloudWatch Logs User Guide, "Log group-level subscription filters"): a function gets
``{"awslogs": {"data": …}}``, whose data is JSON of one stream's events, gzipped, in base64. An event carries the id
that FilterLogEvents shows, and the fields that a space-delimited pattern extracts.
"""

from __future__ import annotations

import base64
import functools
import gzip
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from lambent.domain.limits import ASYNC_PAYLOAD_MAX_BYTES
from lambent.domain.log_pattern import Pattern, compile_pattern
from lambent.domain.parcel import Parcel, Sender

SERVICE = "logs.amazonaws.com"
_PATTERNS_REMEMBERED_MAX = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriptionFilter:
    """What a subscriber gets of a log group."""

    name: str
    pattern: str
    destination_arn: str
    created_ms: int
    role_arn: str | None = None
    distribution: str | None = None
    """None: by log stream."""
    apply_on_transformed_logs: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class LogSource:
    """The stream that events were written to."""

    account: str
    region: str
    group: str
    group_arn: str
    """Without ``:*``."""
    stream: str


def sender_for(*, account: str, region: str, group_arn: str) -> Sender:
    """Return who delivers the events of a group: CloudWatch Logs, under its global or its region's name.

    The source ARN is the group's with ``:*``: functions' policies have to name it so, at AWS, too.
    """
    return Sender(
        service=SERVICE,
        regional_service=f"logs.{region}.amazonaws.com",
        source_arn=f"{group_arn}:*",
        source_account=account,
    )


def parcels_of(
    filters: Iterable[SubscriptionFilter], source: LogSource, events: Sequence[tuple[str, int, str]]
) -> list[Parcel]:
    """Return what subscribers are sent of events: as many parcels as their size asks for.

    Args:
        filters: the group's.
        source: where the events were written.
        events: id, timestamp in milliseconds, and message of each, in order of time.
    """
    parcels: list[Parcel] = []
    for subscription in filters:
        pattern = _compiled(subscription.pattern)
        chosen = [_event(pattern, event) for event in events if pattern.matches(event[2])]
        if chosen:
            parcels += _parcels(subscription, source, chosen)
    return parcels


def _parcels(
    subscription: SubscriptionFilter, source: LogSource, events: Sequence[dict[str, Any]]
) -> list[Parcel]:
    body = _body(subscription, source, events)
    if len(body) > ASYNC_PAYLOAD_MAX_BYTES and len(events) > 1:
        half = len(events) // 2
        return [
            *_parcels(subscription, source, events[:half]),
            *_parcels(subscription, source, events[half:]),
        ]
    parcel = Parcel(
        arn=subscription.destination_arn,
        body=body,
        about=f"events of the log group {source.group} for the subscription filter {subscription.name}",
        sender=sender_for(account=source.account, region=source.region, group_arn=source.group_arn),
    )
    return [parcel]


def _body(subscription: SubscriptionFilter, source: LogSource, events: Sequence[dict[str, Any]]) -> bytes:
    message = {
        "messageType": "DATA_MESSAGE",
        "owner": source.account,
        "logGroup": source.group,
        "logStream": source.stream,
        "subscriptionFilters": [subscription.name],
        "logEvents": events,
    }
    data = base64.b64encode(gzip.compress(msgspec.json.encode(message), mtime=0))
    return b'{"awslogs":{"data":"' + data + b'"}}'


def _event(pattern: Pattern, event: tuple[str, int, str]) -> dict[str, Any]:
    identifier, timestamp_ms, message = event
    if not message.isascii():
        # As the store keeps it: a lone surrogate has no UTF-8.
        message = message.encode(errors="replace").decode()
    members: dict[str, Any] = {"id": identifier, "timestamp": timestamp_ms, "message": message}
    if fields := pattern.extract(message):
        members["extractedFields"] = {name.removeprefix("$"): value for name, value in fields.items()}
    return members


@functools.lru_cache(_PATTERNS_REMEMBERED_MAX)
def _compiled(pattern: str) -> Pattern:
    return compile_pattern(pattern)
