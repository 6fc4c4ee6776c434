"""Log groups: create, delete, describe."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from lambent.arn import parse_arn
from lambent.clock import Clock
from lambent.domain.call import Call
from lambent.errors import (
    InvalidParameterException,
    OperationAbortedException,
    ResourceAlreadyExistsException,
    ValidationException,
)
from lambent.services import Members
from lambent.services.logs.lookup import Lookup, group_key, key_of_identifier, no_group
from lambent.services.logs.resource_policies import forgotten_with
from lambent.services.logs.tags import checked_tags
from lambent.services.logs.tokens import place_of, token_of
from lambent.store import LogEvents, RevisionConflict
from lambent.store.log_groups import LogGroup, LogGroupKey, new_log_group

_DESCRIBE_LIMIT = 50
_SCAN_PAGE = 1_000
_DELETIONS_MAX = 20


class Groups:
    """Operations on log groups themselves."""

    def __init__(self, lookup: Lookup, log_events: LogEvents, clock: Clock) -> None:
        self._lookup = lookup
        self._log_events = log_events
        self._clock = clock

    async def create_log_group(self, call: Call, parameters: Members) -> Members:
        """CreateLogGroup.

        Raises:
            ResourceAlreadyExistsException: there is one of this name.
            InvalidParameterException: the name is reserved.
            TooManyTagsException: more than 50 tags.
        """
        name: str = parameters["logGroupName"]
        if name.lower().startswith("aws/"):
            raise InvalidParameterException("Log groups starting with AWS/ are reserved for AWS.")
        key = LogGroupKey(account=call.account, region=call.region, name=name)
        group = replace(
            new_log_group(key, created_ms=int(self._clock.now_s() * 1000)),
            kms_key_id=parameters.get("kmsKeyId"),
            log_group_class=parameters.get("logGroupClass", "STANDARD"),
            deletion_protection=parameters.get("deletionProtectionEnabled", False),
            tags=checked_tags(parameters.get("tags", {})),
        )
        try:
            await self._lookup.groups.put(group, expect_revision=0)
        except RevisionConflict as error:
            raise ResourceAlreadyExistsException("The specified log group already exists") from error
        return {}

    async def delete_log_group(self, call: Call, parameters: Members) -> Members:
        """DeleteLogGroup: the group with all its streams and events.

        Raises:
            ResourceNotFoundException: there is no such group.
            ValidationException: it is protected.
        """
        group = await self._forget(group_key(call, parameters))
        await self._log_events.delete(group.events_key)
        return {}

    async def _forget(self, key: LogGroupKey) -> LogGroup:
        for _ in range(_DELETIONS_MAX):
            found = await self._lookup.groups.get_with_revision(key)
            if found is None:
                raise no_group()
            revision, group = found
            if group.deletion_protection:
                raise ValidationException(
                    "The log group can't be deleted because deletion protection is enabled."
                )
            try:
                await self._lookup.groups.delete(key, expect_revision=revision, also=[forgotten_with(key)])
            except RevisionConflict:
                continue
            return group
        raise OperationAbortedException(
            "A conflicting operation is currently in progress against this resource."
        )

    async def put_log_group_deletion_protection(self, call: Call, parameters: Members) -> Members:
        """PutLogGroupDeletionProtection.

        Raises:
            ResourceNotFoundException: there is no such group.
        """
        is_on: bool = parameters["deletionProtectionEnabled"]
        await self._lookup.change(
            key_of_identifier(call, parameters["logGroupIdentifier"]),
            lambda group: replace(group, deletion_protection=is_on),
        )
        return {}

    async def associate_kms_key(self, call: Call, parameters: Members) -> Members:
        """AssociateKmsKey: the key is kept and shown; what is on disk is not encrypted by it.

        Raises:
            ResourceNotFoundException: there is no such group.
            InvalidParameterException: no key's ARN, or no group is named.
        """
        key_arn: str = parameters["kmsKeyId"]
        arn = parse_arn(key_arn)
        if arn is None or arn.service != "kms":
            raise InvalidParameterException("The specified KMS key identifier is invalid.")
        await self._lookup.change(
            _encrypted(call, parameters), lambda group: replace(group, kms_key_id=key_arn)
        )
        return {}

    async def disassociate_kms_key(self, call: Call, parameters: Members) -> Members:
        """DisassociateKmsKey.

        Raises:
            ResourceNotFoundException: there is no such group.
        """
        await self._lookup.change(_encrypted(call, parameters), lambda group: replace(group, kms_key_id=None))
        return {}

    async def describe_log_groups(self, call: Call, parameters: Members) -> Members:
        """DescribeLogGroups, in name order, at most 50 at once.

        Raises:
            InvalidParameterException: prefix and pattern are both given, or the token is not ours.
        """
        prefix: str = parameters.get("logGroupNamePrefix", "")
        pattern: str | None = parameters.get("logGroupNamePattern")
        if prefix and pattern is not None:
            raise InvalidParameterException(
                "LogGroup name prefix and LogGroup name pattern are mutually exclusive parameters."
            )
        chosen = {
            key_of_identifier(call, identifier).name
            for identifier in parameters.get("logGroupIdentifiers", ())
        }
        of_class = parameters.get("logGroupClass")

        def is_wanted(group: LogGroup) -> bool:
            return (
                (not chosen or group.key.name in chosen)
                and (pattern is None or pattern in group.key.name)
                and (of_class is None or group.log_group_class == of_class)
            )

        found, token = await self._page(call, parameters, is_wanted, prefix=prefix)
        if pattern:
            described = [_brief(group) for group in found]
        else:
            sizes = await self._log_events.sizes([group.events_key for group in found])
            described = [_described(group, sizes.get(group.events_key, 0)) for group in found]
        return {"logGroups": described} | token

    async def list_log_groups(self, call: Call, parameters: Members) -> Members:
        """ListLogGroups: names, ARNs and classes, optionally those that match a pattern.

        Raises:
            InvalidParameterException: the token is not ours.
        """
        pattern, of_class = parameters.get("logGroupNamePattern"), parameters.get("logGroupClass")
        # The model lets only name characters, ^ and | through, so that as a regular expression it is
        # harmless.
        names = re.compile(pattern.replace(".", r"\.")) if pattern else None
        wanted_tags: list[Members] = parameters.get("logGroupTags", [])

        def is_wanted(group: LogGroup) -> bool:
            return (
                (names is None or names.search(group.key.name) is not None)
                and (of_class is None or group.log_group_class == of_class)
                and all(_has_tag(group, tag) for tag in wanted_tags)
            )

        found, token = await self._page(call, parameters, is_wanted)
        described = [
            {
                "logGroupName": group.key.name,
                "logGroupArn": group.key.arn,
                "logGroupClass": group.log_group_class,
            }
            for group in found
        ]
        return {"logGroups": described} | token

    async def _page(
        self, call: Call, parameters: Members, is_wanted: Callable[[LogGroup], bool], *, prefix: str = ""
    ) -> tuple[list[LogGroup], dict[str, str]]:
        """Return groups from the place that ``nextToken`` names, and the token of the next page if there is one."""
        limit: int = parameters.get("limit", _DESCRIBE_LIMIT)
        after = place_of(parameters["nextToken"], str) if "nextToken" in parameters else ""
        found: list[LogGroup] = []
        while True:
            page = await self._lookup.groups.list(
                call.account, call.region, prefix=prefix, after=after, limit=_SCAN_PAGE
            )
            for group in page:
                if is_wanted(group):
                    if len(found) == limit:
                        return found, {"nextToken": token_of(found[-1].key.name)}
                    found.append(group)
            if len(page) < _SCAN_PAGE:
                return found, {}
            after = page[-1].key.name


def _encrypted(call: Call, parameters: Members) -> LogGroupKey:
    """Return which group a key is for; results of queries, which have none here, could have one, too."""
    identifier = parameters.get("resourceIdentifier")
    if identifier is None:
        return group_key(call, parameters)
    if "logGroupName" in parameters:
        raise InvalidParameterException(
            "Either logGroupName or resourceIdentifier must be specified, not both."
        )
    return key_of_identifier(call, identifier)


def _has_tag(group: LogGroup, wanted: Members) -> bool:
    value = group.tags.get(wanted["key"])
    return value is not None and (not wanted.get("values") or value in wanted["values"])


def _brief(group: LogGroup) -> dict[str, Any]:
    """Return the members that AWS gives for a search by pattern."""
    return {"logGroupName": group.key.name, "creationTime": group.created_ms, "arn": f"{group.key.arn}:*"}


def _described(group: LogGroup, stored_bytes: int) -> dict[str, Any]:
    described = _brief(group) | {
        "metricFilterCount": len(group.metric_filters),
        "storedBytes": stored_bytes,
        "logGroupClass": group.log_group_class,
        "logGroupArn": group.key.arn,
        "deletionProtectionEnabled": group.deletion_protection,
    }
    if group.retention_days is not None:
        described["retentionInDays"] = group.retention_days
    if group.kms_key_id is not None:
        described["kmsKeyId"] = group.kms_key_id
    return described
