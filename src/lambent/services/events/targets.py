"""Targets of rules: put, listed, removed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from lambent.delivery.bus_events import BusEvents
from lambent.domain.call import Call
from lambent.domain.rule import Rule, RuleTarget
from lambent.services import Members
from lambent.services.events.errors import too_many
from lambent.services.events.lookup import Lookup, paged
from lambent.services.events.rule_rules import check_target

_TARGETS_MAX = 5
"""Of a rule (AWS page "Amazon EventBridge quotas")."""


class TargetOperations:
    """The operations on targets."""

    def __init__(self, *, lookup: Lookup, events: BusEvents) -> None:
        self._lookup = lookup
        self._events = events

    async def put_targets(self, call: Call, parameters: Members) -> Members:
        """Add targets to a rule, in place of those with their ids (API page PutTargets).

        Raises:
            ResourceNotFoundException: there is no such bus or rule.
            ValidationException: one cannot be a target.
            LimitExceededException: there would be more than five.
        """
        rule = await self._lookup.rule(call, parameters.get("EventBusName"), parameters["Rule"])
        given: Sequence[Members] = parameters["Targets"]
        for target in given:
            check_target(target)
        put = {target["Id"]: RuleTarget(members=dict(target)) for target in given}

        def changed(now: Rule) -> Rule:
            targets = {target.id: target for target in now.targets} | put
            if len(targets) > _TARGETS_MAX:
                raise too_many()
            return replace(now, targets=tuple(targets.values()))

        await self._lookup.change_existing_rule(rule.key, changed)
        return {"FailedEntryCount": 0, "FailedEntries": []}

    async def remove_targets(self, call: Call, parameters: Members) -> Members:
        """Remove targets from a rule; what is on its way to them is dropped (API page RemoveTargets).

        Raises:
            ResourceNotFoundException: there is no such bus or rule.
        """
        rule = await self._lookup.rule(call, parameters.get("EventBusName"), parameters["Rule"])
        ids: list[str] = parameters["Ids"]
        removed: list[RuleTarget] = []

        def changed(now: Rule) -> Rule:
            removed[:] = [target for target in now.targets if target.id in ids]
            return replace(now, targets=tuple(target for target in now.targets if target.id not in ids))

        await self._lookup.change_existing_rule(rule.key, changed)
        await self._events.forget_targets(rule, removed)
        known = {target.id for target in removed}
        failed = [_failed(rule, target_id) for target_id in ids if target_id not in known]
        return {"FailedEntryCount": len(failed), "FailedEntries": failed}

    async def list_targets_by_rule(self, call: Call, parameters: Members) -> Members:
        """Return the targets of a rule by id (API page ListTargetsByRule).

        Raises:
            ResourceNotFoundException: there is no such bus or rule.
            ValidationException: the token is none of ours.
        """
        rule = await self._lookup.rule(call, parameters.get("EventBusName"), parameters["Rule"])
        targets = sorted(rule.targets, key=lambda target: target.id)
        shown, more = paged(targets, parameters, key=lambda target: target.id)
        return {"Targets": [dict(target.members) for target in shown], **more}


def _failed(rule: Rule, target_id: str) -> dict[str, Any]:
    return {
        "TargetId": target_id,
        "ErrorCode": "ResourceNotFoundException",
        "ErrorMessage": f"Rule {rule.name} does not have a target with the Id {target_id}.",
    }
