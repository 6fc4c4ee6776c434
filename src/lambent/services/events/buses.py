"""Event buses: made, shown, listed, changed, deleted; and who else may put events on them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from lambent.clock import Clock
from lambent.delivery.bus_events import BusEvents
from lambent.domain.call import Call
from lambent.domain.event_bus import DEFAULT, EventBus
from lambent.domain.page_token import token_after
from lambent.domain.policy_document import (
    check_resource_policy,
    has_statement,
    statements,
    with_statement,
    without_statement,
    written,
)
from lambent.errors import (
    MalformedPolicyDocumentException,
    ResourceAlreadyExistsException,
    ResourceNotFoundException,
    ValidationException,
)
from lambent.services import Members
from lambent.services.events.errors import PolicyLengthExceededException, no_partners, too_many
from lambent.services.events.lookup import PAGE_MAX, Lookup, bus_key_of, key_after
from lambent.services.events.tags import checked_tags
from lambent.store.event_buses import BusHasRules

_BUSES_MAX = 100
"""Besides the default one (AWS page "Amazon EventBridge quotas")."""
_POLICY_MAX = 10_240
_SETTINGS = ("Description", "KmsKeyIdentifier", "DeadLetterConfig", "LogConfig")


class BusOperations:
    """The operations on buses."""

    def __init__(self, *, lookup: Lookup, events: BusEvents, clock: Clock) -> None:
        self._lookup = lookup
        self._events = events
        self._clock = clock

    async def create_event_bus(self, call: Call, parameters: Members) -> Members:
        """Make a bus (API page CreateEventBus).

        Raises:
            ResourceAlreadyExistsException: there is one of that name.
            LimitExceededException: there are 100 already.
            ValidationException: the name cannot be, or a tag.
            NotImplemented_: it would be a partner's.
        """
        name: str = parameters["Name"]
        if parameters.get("EventSourceName"):
            raise no_partners()
        if "/" in name:
            raise ValidationException("Event bus name must not contain '/'.")
        now_s = self._clock.now_s()
        bus = EventBus(
            account=call.account,
            region=call.region,
            name=name,
            settings=_settings(parameters),
            tags=checked_tags({}, parameters.get("Tags") or ()),
            created_s=now_s,
            modified_s=now_s,
        )
        try:
            is_new = await self._lookup.buses.put_new(bus, others_max=_BUSES_MAX - 1)
        except OverflowError as error:
            raise too_many() from error
        if not is_new:
            raise ResourceAlreadyExistsException(f"Event bus {name} already exists.")
        return {"EventBusArn": bus.arn, **bus.settings}

    async def delete_event_bus(self, call: Call, parameters: Members) -> Members:
        """Delete a bus; one that is not there is no error (API page DeleteEventBus).

        Raises:
            ValidationException: it is the default one, or has rules.
        """
        name: str = parameters["Name"]
        if name == DEFAULT:
            raise ValidationException("Cannot delete event bus default.")
        try:
            bus = await self._lookup.buses.delete(bus_key_of(call, name))
        except BusHasRules as error:
            raise ValidationException("EventBus can't be deleted since it has rules.") from error
        if bus is not None:
            await self._events.forget(bus)
        return {}

    async def describe_event_bus(self, call: Call, parameters: Members) -> Members:
        """Return a bus (API page DescribeEventBus).

        Raises:
            ResourceNotFoundException: there is none.
        """
        bus = await self._lookup.bus(call, parameters.get("Name"))
        return {**_shown(bus), **bus.settings}

    async def list_event_buses(self, call: Call, parameters: Members) -> Members:
        """Return the buses of account and region by name (API page ListEventBuses).

        Raises:
            ValidationException: the token is none of ours.
        """
        size: int = parameters.get("Limit") or PAGE_MAX
        found = await self._lookup.buses.list(
            call.account,
            call.region,
            prefix=parameters.get("NamePrefix") or "",
            after=key_after(parameters),
            limit=size + 1,
        )
        more = {"NextToken": token_after(found[size - 1].name)} if len(found) > size else {}
        shown = [{**_shown(bus), **_described(bus)} for bus in found[:size]]
        return {"EventBuses": shown, **more}

    async def update_event_bus(self, call: Call, parameters: Members) -> Members:
        """Change the settings of a bus; those that are not given stay (API page UpdateEventBus).

        Raises:
            ResourceNotFoundException: there is none.
        """
        given, now_s = _settings(parameters), self._clock.now_s()
        bus = await self._lookup.change_bus(
            bus_key_of(call, parameters.get("Name")),
            lambda now: replace(now, settings={**now.settings, **given}, modified_s=now_s),
        )
        return {"Arn": bus.arn, "Name": bus.name, **bus.settings}


class PermissionOperations:
    """The operations on a bus's policy."""

    def __init__(self, *, lookup: Lookup, clock: Clock) -> None:
        self._lookup = lookup
        self._clock = clock

    async def put_permission(self, call: Call, parameters: Members) -> Members:
        """Give a bus a policy, or its policy a statement, in place of one with its id (API page PutPermission).

        Raises:
            ResourceNotFoundException: there is no such bus.
            ValidationException: it is no policy, or no statement of one.
            PolicyLengthExceededException: the policy would be too long.
        """
        bus = await self._lookup.bus(call, parameters.get("EventBusName"))
        whole: str | None = parameters.get("Policy")
        if whole is not None:
            _check_policy(whole)
            await self._put(bus, lambda now: whole)
            return {}
        statement = _statement(bus, parameters)
        await self._put(
            bus,
            lambda now: written(with_statement(without_statement(_policy(now), statement["Sid"]), statement)),
        )
        return {}

    async def remove_permission(self, call: Call, parameters: Members) -> Members:
        """Take a statement, or all, from a bus's policy (API page RemovePermission).

        Raises:
            ResourceNotFoundException: there is no such bus, or no such statement.
            ValidationException: no statement is named.
        """
        bus = await self._lookup.bus(call, parameters.get("EventBusName"))
        sid: str | None = parameters.get("StatementId")
        if parameters.get("RemoveAllPermissions"):
            await self._put(bus, lambda now: "")
            return {}
        if sid is None:
            raise ValidationException("Parameter StatementId must be specified.")
        await self._put(bus, lambda now: _policy_without(now, sid))
        return {}

    async def _put(self, bus: EventBus, decide: Callable[[EventBus], str]) -> None:
        now_s = self._clock.now_s()

        def changed(now: EventBus) -> EventBus:
            text = decide(now)
            if len(text) > _POLICY_MAX:
                raise PolicyLengthExceededException(
                    "The length of the event bus policy exceeds the maximum number of characters allowed."
                )
            return replace(now, policy=text, modified_s=now_s)

        await self._lookup.change_bus(bus.key, changed)


def _settings(parameters: Members) -> dict[str, Any]:
    return {name: parameters[name] for name in _SETTINGS if parameters.get(name) is not None}


def _described(bus: EventBus) -> dict[str, Any]:
    return {"Description": bus.settings["Description"]} if "Description" in bus.settings else {}


def _shown(bus: EventBus) -> dict[str, Any]:
    shown: dict[str, Any] = {"Name": bus.name, "Arn": bus.arn}
    if bus.policy:
        shown["Policy"] = bus.policy
    if bus.created_s:
        shown["CreationTime"] = datetime.fromtimestamp(bus.created_s, UTC)
    if bus.modified_s:
        shown["LastModifiedTime"] = datetime.fromtimestamp(bus.modified_s, UTC)
    return shown


def _check_policy(text: str) -> None:
    try:
        check_resource_policy(text)
    except (MalformedPolicyDocumentException, RecursionError) as error:
        why = (
            error.message if isinstance(error, MalformedPolicyDocumentException) else "It is nested too deep"
        )
        raise ValidationException(f"Parameter Policy is not valid. Reason: {why}.") from error


def _policy(bus: EventBus) -> Mapping[str, Any]:
    return json.loads(bus.policy) if bus.policy else {"Version": "2012-10-17", "Statement": []}


def _policy_without(bus: EventBus, sid: str) -> str:
    policy = _policy(bus)
    if not bus.policy:
        raise ResourceNotFoundException("EventBus does not have a policy.")
    if not has_statement(policy, sid):
        raise ResourceNotFoundException("Statement with the provided id does not exist.")
    left = without_statement(policy, sid)
    return written(left) if statements(left) else ""


def _statement(bus: EventBus, parameters: Members) -> dict[str, Any]:
    missing = [name for name in ("Action", "Principal", "StatementId") if parameters.get(name) is None]
    if missing:
        raise ValidationException(f"Parameter(s) {', '.join(missing)} must be specified.")
    if parameters["Action"] != "events:PutEvents":
        raise ValidationException("Provided value in parameter 'action' is not supported.")
    principal: str = parameters["Principal"]
    statement: dict[str, Any] = {
        "Sid": parameters["StatementId"],
        "Effect": "Allow",
        "Principal": "*" if principal == "*" else {"AWS": f"arn:aws:iam::{principal}:root"},
        "Action": "events:PutEvents",
        "Resource": bus.arn,
    }
    condition: Mapping[str, str] | None = parameters.get("Condition")
    if condition is None:
        return statement
    if (condition["Type"], condition["Key"]) != ("StringEquals", "aws:PrincipalOrgID") or principal != "*":
        raise ValidationException("Provided value in parameter 'condition' is not supported.")
    return {**statement, "Condition": {"StringEquals": {"aws:PrincipalOrgID": condition["Value"]}}}
