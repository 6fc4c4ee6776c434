"""Rules: put, shown, listed, switched on and off, deleted; and patterns tried out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, cast

import msgspec

from lambent.clock import Clock
from lambent.delivery.schedules import Schedules
from lambent.domain.call import Call
from lambent.domain.event_bus import DEFAULT
from lambent.domain.pattern import matches
from lambent.domain.rule import Rule
from lambent.errors import ValidationException
from lambent.services import Members
from lambent.services.events.errors import too_many
from lambent.services.events.lookup import Lookup, bus_key_of, paged
from lambent.services.events.rule_rules import check_event_pattern, check_schedule
from lambent.services.events.tags import checked_tags

_RULES_MAX = 300
"""Of a bus (AWS page "Amazon EventBridge quotas")."""
_EVENT_MEMBERS = ("id", "account", "source", "time", "region", "resources", "detail-type")
"""What an event has to have to be tried (API page TestEventPattern)."""


class RuleOperations:
    """The operations on rules."""

    def __init__(self, *, lookup: Lookup, schedules: Schedules, clock: Clock) -> None:
        self._lookup = lookup
        self._schedules = schedules
        self._clock = clock

    async def put_rule(self, call: Call, parameters: Members) -> Members:
        """Make a rule, or another of it, whose targets and tags it keeps (API page PutRule).

        Raises:
            ResourceNotFoundException: there is no such bus.
            InvalidEventPatternException: its pattern is none.
            ValidationException: it has neither pattern nor schedule, or no schedule that it can have.
            LimitExceededException: there are 300 rules on the bus already.
        """
        pattern: str = parameters.get("EventPattern") or ""
        schedule: str = parameters.get("ScheduleExpression") or ""
        bus = await self._lookup.bus(call, parameters.get("EventBusName"))
        if not pattern and not schedule:
            raise ValidationException("Parameter(s) EventPattern or ScheduleExpression must be specified.")
        if pattern:
            check_event_pattern(pattern)
        if schedule:
            check_schedule(schedule)
            if bus.name != DEFAULT:
                raise ValidationException("ScheduleExpression is supported only on the default event bus.")
        made = Rule(
            account=bus.account,
            region=bus.region,
            bus=bus.name,
            name=parameters["Name"],
            pattern=pattern,
            schedule=schedule,
            state=parameters.get("State") or "ENABLED",
            description=parameters.get("Description") or "",
            role_arn=parameters.get("RoleArn") or "",
            created_by=call.account,
            tags=checked_tags({}, parameters.get("Tags") or ()),
            since_s=self._clock.now_s(),
        )
        count = len(await self._lookup.buses.rules(bus.key))

        def decided(before: Rule | None) -> Rule:
            if before is None and count >= _RULES_MAX:
                raise too_many()
            return made if before is None else _continued(before, made)

        rule = await self._lookup.change_rule(made.key, decided)
        assert rule is not None
        self._schedules.changed(rule)
        return {"RuleArn": rule.arn}

    async def describe_rule(self, call: Call, parameters: Members) -> Members:
        """Return a rule (API page DescribeRule).

        Raises:
            ResourceNotFoundException: there is no such bus or rule.
        """
        rule = await self._lookup.rule(call, parameters.get("EventBusName"), parameters["Name"])
        return {**_shown(rule), "CreatedBy": rule.created_by}

    async def delete_rule(self, call: Call, parameters: Members) -> Members:
        """Delete a rule; one that is not there is no error (API page DeleteRule).

        Raises:
            ResourceNotFoundException: there is no such bus.
            ValidationException: it has targets.
        """
        bus = await self._lookup.bus(call, parameters.get("EventBusName"))
        key = f"{bus.key}/{parameters['Name']}"
        rule = await self._lookup.buses.rule(key)
        if rule is None:
            return {}
        await self._lookup.change_rule(key, _deleted)
        self._schedules.forget(rule)
        return {}

    async def list_rules(self, call: Call, parameters: Members) -> Members:
        """Return the rules of a bus by name (API page ListRules).

        Raises:
            ResourceNotFoundException: there is no such bus.
            ValidationException: the token is none of ours.
        """
        bus = await self._lookup.bus(call, parameters.get("EventBusName"))
        prefix: str = parameters.get("NamePrefix") or ""
        rules = [rule for rule in await self._lookup.buses.rules(bus.key) if rule.name.startswith(prefix)]
        shown, more = paged(rules, parameters, key=lambda rule: rule.name)
        return {"Rules": [_shown(rule) for rule in shown], **more}

    async def list_rule_names_by_target(self, call: Call, parameters: Members) -> Members:
        """Return the names of the rules of a bus that have a target (API page ListRuleNamesByTarget).

        Raises:
            ResourceNotFoundException: there is no such bus.
            ValidationException: the token is none of ours.
        """
        bus = await self._lookup.bus(call, parameters.get("EventBusName"))
        wanted: str = parameters["TargetArn"]
        rules = await self._lookup.buses.rules(bus.key)
        names = [rule.name for rule in rules if any(target.arn == wanted for target in rule.targets)]
        shown, more = paged(names, parameters, key=str)
        return {"RuleNames": list(shown), **more}

    async def enable_rule(self, call: Call, parameters: Members) -> Members:
        """Switch a rule on (API page EnableRule).

        Raises:
            ResourceNotFoundException: there is no such bus or rule.
        """
        return await self._switch(call, parameters, "ENABLED")

    async def disable_rule(self, call: Call, parameters: Members) -> Members:
        """Switch a rule off (API page DisableRule).

        Raises:
            ResourceNotFoundException: there is no such bus or rule.
        """
        return await self._switch(call, parameters, "DISABLED")

    async def test_event_pattern(self, call: Call, parameters: Members) -> Members:
        """Return whether an event is meant by a pattern (API page TestEventPattern).

        Raises:
            InvalidEventPatternException: the pattern is none.
            ValidationException: the event is none.
        """
        text: str = parameters["EventPattern"]
        check_event_pattern(text)
        event = _event(parameters["Event"])
        return {"Result": matches(msgspec.json.decode(text), event)}

    async def _switch(self, call: Call, parameters: Members, state: str) -> Members:
        key = f"{bus_key_of(call, parameters.get('EventBusName'))}/{parameters['Name']}"
        now_s = self._clock.now_s()
        rule = await self._lookup.change_existing_rule(
            key, lambda now: now if now.state == state else replace(now, state=state, since_s=now_s)
        )
        self._schedules.changed(rule)
        return {}


def _continued(before: Rule, made: Rule) -> Rule:
    """Return what a rule becomes: the tags that are given with it are passed over, as AWS has it."""
    after = replace(made, targets=before.targets, tags=before.tags, created_by=before.created_by)
    is_same = (before.pattern, before.schedule, before.state) == (made.pattern, made.schedule, made.state)
    return replace(after, since_s=before.since_s) if is_same else after


def _deleted(rule: Rule | None) -> None:
    if rule is not None and rule.targets:
        raise ValidationException("Rule can't be deleted since it has targets.")


def _shown(rule: Rule) -> dict[str, Any]:
    shown = {
        "Name": rule.name,
        "Arn": rule.arn,
        "EventPattern": rule.pattern,
        "State": rule.state,
        "Description": rule.description,
        "ScheduleExpression": rule.schedule,
        "RoleArn": rule.role_arn,
        "EventBusName": rule.bus,
    }
    return {name: value for name, value in shown.items() if value}


def _event(text: str) -> Mapping[str, Any]:
    try:
        event = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise ValidationException("Parameter Event is not valid. Reason: It is no JSON.") from error
    members = cast("dict[str, Any]", event) if isinstance(event, dict) else {}
    missing = [name for name in _EVENT_MEMBERS if name not in members]
    if missing:
        raise ValidationException(f"Parameter Event is not valid. Reason: Missing {', '.join(missing)}.")
    return members
