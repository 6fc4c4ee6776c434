"""Tags of buses and rules, by ARN."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from lambent.arn import parse_arn
from lambent.domain.call import Call
from lambent.domain.event_bus import bus_key
from lambent.domain.limits import TAGS_MAX
from lambent.domain.rule import rule_key
from lambent.errors import ResourceNotFoundException, ValidationException
from lambent.services import Members
from lambent.services.events.errors import bad_arn, no_bus, no_rule, too_many
from lambent.services.events.lookup import Lookup, name_in

_Change = Callable[[Mapping[str, str]], Mapping[str, str]]


def checked_tags(before: Mapping[str, str], given: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """Return tags with those that are added.

    Args:
        before: those that there are.
        given: as AWS has them.

    Raises:
        ValidationException: a key is there twice, or is AWS's own.
        LimitExceededException: there would be more than 50.
    """
    added = {tag["Key"]: tag["Value"] for tag in given}
    if len(added) < len(given):
        raise ValidationException("Duplicate keys are not allowed.")
    if any(key.lower().startswith("aws:") for key in added):
        raise ValidationException("aws: prefixed tag key names are not allowed for external use.")
    tags = {**before, **added}
    if len(tags) > TAGS_MAX:
        raise too_many()
    return tags


class TagOperations:
    """The operations on tags."""

    def __init__(self, *, lookup: Lookup) -> None:
        self._lookup = lookup

    async def tag_resource(self, call: Call, parameters: Members) -> Members:
        """Add tags (API page TagResource).

        Raises:
            ResourceNotFoundException: there is no such bus or rule.
            ValidationException: it is no ARN of one, or a tag cannot be.
            LimitExceededException: there would be more than 50.
        """
        await self._change(call, parameters, lambda tags: checked_tags(tags, parameters["Tags"]))
        return {}

    async def untag_resource(self, call: Call, parameters: Members) -> Members:
        """Remove tags (API page UntagResource).

        Raises:
            ResourceNotFoundException: there is no such bus or rule.
            ValidationException: it is no ARN of one.
        """
        removed: list[str] = parameters["TagKeys"]
        await self._change(
            call, parameters, lambda tags: {key: value for key, value in tags.items() if key not in removed}
        )
        return {}

    async def list_tags_for_resource(self, call: Call, parameters: Members) -> Members:
        """Return the tags (API page ListTagsForResource).

        Raises:
            ResourceNotFoundException: there is no such bus or rule.
            ValidationException: it is no ARN of one.
        """
        arn: str = parameters["ResourceARN"]
        _check_arn(call, arn)
        if (key := rule_key(arn)) is not None:
            found = await self._lookup.buses.rule(key)
        else:
            found = await self._lookup.buses.get(bus_key(arn) or "")
        if found is None:
            raise _not_found(arn)
        return {"Tags": [{"Key": key, "Value": value} for key, value in found.tags.items()]}

    async def _change(self, call: Call, parameters: Members, change: _Change) -> None:
        arn: str = parameters["ResourceARN"]
        _check_arn(call, arn)
        if (key := rule_key(arn)) is not None:
            if await self._lookup.buses.rule(key) is None:
                raise _not_found(arn)
            await self._lookup.change_existing_rule(key, lambda now: replace(now, tags=change(now.tags)))
        else:
            await self._lookup.change_bus(bus_key(arn) or "", lambda now: replace(now, tags=change(now.tags)))


def _check_arn(call: Call, arn: str) -> None:
    parsed = parse_arn(arn)
    if parsed is None or parsed.service != "events":
        raise bad_arn(arn)
    if (parsed.account, parsed.region) not in (
        (call.account, call.region),
        (call.admitted_account, call.region),
    ):
        raise ResourceNotFoundException(f"{arn} does not exist.")
    if bus_key(arn) is None and rule_key(arn) is None:
        raise ResourceNotFoundException(f"{arn} does not exist.")


def _not_found(arn: str) -> ResourceNotFoundException:
    key = rule_key(arn)
    return no_bus(name_in(arn)) if key is None else no_rule(key.split("/")[2], name_in(key))
