"""Tags of log groups, by name (the old operations) and by ARN."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from lambent.domain.call import Call
from lambent.errors import InvalidParameterException
from lambent.services import Members
from lambent.services.logs.errors import TooManyTagsException
from lambent.services.logs.lookup import Lookup, group_key, key_of_identifier
from lambent.store.log_groups import LogGroup

TAGS_MAX = 50


def checked_tags(tags: Mapping[str, str]) -> dict[str, str]:
    """Return all tags of a resource if they are within AWS's limits.

    Raises:
        InvalidParameterException: a key is reserved.
        TooManyTagsException: there are more than 50.
    """
    if any(key.lower().startswith("aws:") for key in tags):
        raise InvalidParameterException("Tag keys starting with 'aws:' are reserved for system use.")
    if len(tags) > TAGS_MAX:
        raise TooManyTagsException(f"The resource can have no more than {TAGS_MAX} tags.")
    return dict(tags)


class Tags:
    """Operations on tags."""

    def __init__(self, lookup: Lookup) -> None:
        self._lookup = lookup

    async def tag_log_group(self, call: Call, parameters: Members) -> Members:
        """TagLogGroup. Raises: ResourceNotFoundException, InvalidParameterException."""
        await self._lookup.change(group_key(call, parameters), _with(parameters["tags"]))
        return {}

    async def untag_log_group(self, call: Call, parameters: Members) -> Members:
        """UntagLogGroup. Raises: ResourceNotFoundException."""
        await self._lookup.change(group_key(call, parameters), _without(parameters["tags"]))
        return {}

    async def list_tags_log_group(self, call: Call, parameters: Members) -> Members:
        """ListTagsLogGroup. Raises: ResourceNotFoundException."""
        return {"tags": dict((await self._lookup.group(call, parameters)).tags)}

    async def tag_resource(self, call: Call, parameters: Members) -> Members:
        """TagResource. Raises: ResourceNotFoundException, InvalidParameterException, TooManyTagsException."""
        await self._lookup.change(
            key_of_identifier(call, parameters["resourceArn"]), _with(parameters["tags"])
        )
        return {}

    async def untag_resource(self, call: Call, parameters: Members) -> Members:
        """UntagResource. Raises: ResourceNotFoundException, InvalidParameterException."""
        await self._lookup.change(
            key_of_identifier(call, parameters["resourceArn"]), _without(parameters["tagKeys"])
        )
        return {}

    async def list_tags_for_resource(self, call: Call, parameters: Members) -> Members:
        """ListTagsForResource. Raises: ResourceNotFoundException, InvalidParameterException."""
        group = await self._lookup.stored(key_of_identifier(call, parameters["resourceArn"]))
        return {"tags": dict(group.tags)}


def _with(tags: Mapping[str, str]) -> Callable[[LogGroup], LogGroup]:
    return lambda group: replace(group, tags=checked_tags({**group.tags, **tags}))


def _without(keys: Sequence[str]) -> Callable[[LogGroup], LogGroup]:
    return lambda group: replace(
        group, tags={key: value for key, value in group.tags.items() if key not in keys}
    )
