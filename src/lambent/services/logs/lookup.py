"""Which group, which stream: names and ARNs in parameters to what is stored, or AWS's error."""

from __future__ import annotations

from collections.abc import Callable

from lambent.arn import parse_arn
from lambent.domain.call import Call
from lambent.errors import (
    InvalidParameterException,
    OperationAbortedException,
    ResourceNotFoundException,
    ValidationException,
)
from lambent.services import Members
from lambent.store import Documents, LogEvents, RevisionConflict, StreamKey
from lambent.store.log_groups import LogGroup, LogGroupKey, LogGroups

_CHANGES_MAX = 20
_RESOURCE_PREFIX = "log-group:"


class Lookup:
    """Finds and changes log groups; every family shares one."""

    def __init__(self, documents: Documents, log_events: LogEvents) -> None:
        self.groups = LogGroups(documents)
        self._log_events = log_events

    async def group(self, call: Call, parameters: Members) -> LogGroup:
        """Return the group that ``logGroupName`` or ``logGroupIdentifier`` names.

        Raises:
            InvalidParameterException: neither or both are given.
            ResourceNotFoundException: there is no such group.
        """
        return await self.stored(group_key(call, parameters))

    async def standard(self, call: Call, parameters: Members) -> LogGroup:
        """Return the same, where only groups of the class ``STANDARD`` will do.

        Raises:
            ValidationException: it is of another class.
        """
        return _checked_standard(await self.group(call, parameters))

    async def change_standard(self, key: LogGroupKey, change: Callable[[LogGroup], LogGroup]) -> None:
        """Do as `change` does to a group that has to be of the class ``STANDARD``.

        Raises:
            ValidationException: it is of another class.
        """
        await self.change(key, lambda group: change(_checked_standard(group)))

    async def stored(self, key: LogGroupKey) -> LogGroup:
        """Return a group.

        Raises:
            ResourceNotFoundException: there is none.
        """
        group = await self.groups.get(key)
        if group is None:
            raise no_group()
        return group

    async def change(self, key: LogGroupKey, change: Callable[[LogGroup], LogGroup]) -> None:
        """Replace a group by what `change` makes of it, so that concurrent changes all count.

        Raises:
            ResourceNotFoundException: there is no such group.
            OperationAbortedException: others changed it again and again meanwhile.
        """
        for _ in range(_CHANGES_MAX):
            found = await self.groups.get_with_revision(key)
            if found is None:
                raise no_group()
            revision, group = found
            try:
                return await self.groups.put(change(group), expect_revision=revision)
            except RevisionConflict:
                continue
        raise OperationAbortedException(
            "A conflicting operation is currently in progress against this resource. Please try again."
        )

    async def stream(self, group: LogGroup, name: str) -> StreamKey:
        """Return the key of a stream that exists.

        Raises:
            ResourceNotFoundException: it does not.
        """
        found = await self._log_events.streams(group.events_key, prefix=name, limit=1)
        if not found or found[0].key.stream != name:
            raise ResourceNotFoundException("The specified log stream does not exist.")
        return found[0].key


def _checked_standard(group: LogGroup) -> LogGroup:
    if group.log_group_class != "STANDARD":
        raise ValidationException("This operation is only supported on the Standard log class.")
    return group


def no_group() -> ResourceNotFoundException:
    """Return the error that AWS gives for a group that does not exist."""
    return ResourceNotFoundException("The specified log group does not exist.")


def group_key(call: Call, parameters: Members) -> LogGroupKey:
    """Return which group ``logGroupName`` or ``logGroupIdentifier`` (a name or an ARN) names."""
    name, identifier = parameters.get("logGroupName"), parameters.get("logGroupIdentifier")
    if (name is None) == (identifier is None):
        raise InvalidParameterException(
            "You must include either logGroupIdentifier or logGroupName, but not both."
        )
    return key_of_identifier(call, name or identifier or "")


def key_of_identifier(call: Call, identifier: str) -> LogGroupKey:
    """Return which group a name or an ARN names; other accounts' and regions' groups are not to be seen."""
    if not identifier.startswith("arn:"):
        return LogGroupKey(account=call.account, region=call.region, name=identifier)
    arn = parse_arn(identifier)
    if arn is None or arn.service != "logs" or not arn.resource.startswith(_RESOURCE_PREFIX):
        raise InvalidParameterException(f"Invalid ARN: {identifier}")
    if (arn.account, arn.region) != (call.account, call.region):
        raise no_group()
    name = arn.resource.removeprefix(_RESOURCE_PREFIX).removesuffix(":*")
    return LogGroupKey(account=arn.account, region=arn.region, name=name)
