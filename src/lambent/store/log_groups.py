"""Log groups, kept as documents.

The one place that knows how a log group is written down; the Logs service and the log listener share it. A
group that is deleted and made again is another group: its events live under a key of their own
(`LogGroup.events_key`), so that whatever a late writer appends to the old one never shows up in the new one.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from lambent.domain.log_subscription import SubscriptionFilter
from lambent.store import Delete, Documents, Put, RevisionConflict

KIND = "log-group"
DAY_MS = 86_400_000
_RACES_MAX = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class LogGroupKey:
    """Which log group: names are unique in an account and region."""

    account: str
    region: str
    name: str

    @property
    def path(self) -> str:
        """``account/region/name``, the key under which the store keeps it."""
        return f"{self.account}/{self.region}/{self.name}"

    @property
    def arn(self) -> str:
        """The ARN without the ``:*`` that some operations add."""
        return f"arn:aws:logs:{self.region}:{self.account}:log-group:{self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricFilter:
    """Which events would make which metric: kept, and not counted."""

    name: str
    pattern: str
    created_ms: int
    transformation: Mapping[str, Any]
    """AWS's ``metricTransformations[0]``."""
    apply_on_transformed_logs: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class LogGroup:
    """A log group without its streams."""

    key: LogGroupKey
    created_ms: int
    incarnation: str
    """Tells this group from earlier ones of the same name."""
    retention_days: int | None = None
    """None: events never expire."""
    kms_key_id: str | None = None
    log_group_class: str = "STANDARD"
    deletion_protection: bool = False
    tags: Mapping[str, str] = field(default_factory=dict[str, str])
    subscription_filters: tuple[SubscriptionFilter, ...] = ()
    """By name."""
    metric_filters: tuple[MetricFilter, ...] = ()
    """By name."""

    @property
    def events_key(self) -> str:
        """The name of this group towards `lambent.store.LogEvents`."""
        return f"{self.key.path}#{self.incarnation}"

    def expired_before_ms(self, now_ms: int) -> int:
        """Events with a timestamp below this have expired; 0 when none ever do."""
        return 0 if self.retention_days is None else max(0, now_ms - self.retention_days * DAY_MS)


def new_log_group(key: LogGroupKey, *, created_ms: int) -> LogGroup:
    """Return a group that has not been kept yet."""
    return LogGroup(key=key, created_ms=created_ms, incarnation=uuid.uuid4().hex)


class LogGroups:
    """Typed access to stored log groups."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents

    async def get(self, key: LogGroupKey) -> LogGroup | None:
        """Return the group, or None."""
        found = await self.get_with_revision(key)
        return found[1] if found else None

    async def get_with_revision(self, key: LogGroupKey) -> tuple[int, LogGroup] | None:
        """Return the group with the revision that `put` and `delete` may expect, or None."""
        document = await self._documents.get(KIND, key.path)
        return None if document is None else (document.revision, _decode(document.body))

    async def put(self, group: LogGroup, *, expect_revision: int) -> None:
        """Keep the group durably.

        Raises:
            RevisionConflict: it is not at the expected revision (0: it exists already).
        """
        body = msgspec.json.encode(group)
        await self._documents.apply(
            Put(kind=KIND, key=group.key.path, body=body, expect_revision=expect_revision)
        )

    async def delete(
        self, key: LogGroupKey, *, expect_revision: int, also: Sequence[Put | Delete] = ()
    ) -> None:
        """Forget the group, together with documents that belong to it; its events are the caller's to forget.

        Raises:
            RevisionConflict: it is not at the expected revision.
        """
        await self._documents.apply(Delete(kind=KIND, key=key.path, expect_revision=expect_revision), *also)

    async def ensure(self, key: LogGroupKey, *, now_ms: int) -> LogGroup:
        """Return the group, making it when there is none."""
        for _ in range(_RACES_MAX):
            group = await self.get(key)
            if group is not None:
                return group
            group = new_log_group(key, created_ms=now_ms)
            try:
                await self.put(group, expect_revision=0)
            except RevisionConflict:
                continue
            return group
        raise RuntimeError(f"The log group {key.path} was made and deleted {_RACES_MAX} times in a row.")

    async def list(
        self, account: str, region: str, *, prefix: str = "", after: str = "", limit: int = 1000
    ) -> list[LogGroup]:
        """Return groups of an account and region in name order, after the given name."""
        root = f"{account}/{region}/"
        documents = await self._documents.list(
            KIND, prefix=root + prefix, after=root + after if after else "", limit=limit
        )
        return [_decode(document.body) for document in documents]

    async def page_of_all(self, *, after: str = "", limit: int = 1000) -> list[LogGroup]:
        """Return groups of every account and region in the order of their paths, after the given path."""
        documents = await self._documents.list(KIND, after=after, limit=limit)
        return [_decode(document.body) for document in documents]


def _decode(body: bytes) -> LogGroup:
    return msgspec.json.decode(body, type=LogGroup)
