"""Subscription filters: who is sent what is written to a group. `lambent.telemetry.log_subscriptions` sends it."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from lambent.arn import parse_arn
from lambent.clock import Clock
from lambent.domain.call import Call
from lambent.domain.function import LATEST, FunctionKey
from lambent.domain.log_pattern import compile_pattern
from lambent.domain.log_subscription import SubscriptionFilter, sender_for
from lambent.domain.policy import decide_for_sender
from lambent.errors import InvalidParameterException, LimitExceededException, ResourceNotFoundException
from lambent.services import Members
from lambent.services.logs.lookup import Lookup, group_key
from lambent.services.logs.metric_filters import refuse_system_fields
from lambent.services.logs.tokens import place_of, token_of
from lambent.store.functions import Functions
from lambent.store.log_groups import LogGroup

FILTERS_MAX = 2
_DESCRIBE_LIMIT = 50
_FUNCTION = re.compile(r"function:(?P<name>[^:]+)(:(?P<qualifier>[^:]+))?")
_UNREACHABLE = {
    # Neither service is here, so that no stream exists: AWS's words for that.
    "kinesis": "Could not deliver test message to specified Kinesis stream. "
    "Check if the given kinesis stream is in ACTIVE state.",
    "firehose": "Could not deliver test message to specified Firehose stream. "
    "Check if the given Firehose stream is in ACTIVE state.",
}


class SubscriptionFilters:
    """Operations on subscription filters."""

    def __init__(self, lookup: Lookup, functions: Functions, clock: Clock) -> None:
        self._lookup = lookup
        self._functions = functions
        self._clock = clock

    async def put_subscription_filter(self, call: Call, parameters: Members) -> Members:
        """PutSubscriptionFilter: make one, or replace that of the same name.

        Raises:
            ResourceNotFoundException: there is no such group.
            InvalidParameterException: the pattern is invalid, or nothing can be delivered to the destination.
            LimitExceededException: the group has two.
        """
        refuse_system_fields(parameters, "emitSystemFields")
        compile_pattern(parameters["filterPattern"])
        group = await self._lookup.standard(call, parameters)
        await self._check_destination(group, parameters)
        made = SubscriptionFilter(
            name=parameters["filterName"],
            pattern=parameters["filterPattern"],
            destination_arn=parameters["destinationArn"],
            role_arn=parameters.get("roleArn"),
            distribution=parameters.get("distribution"),
            created_ms=int(self._clock.now_s() * 1000),
            apply_on_transformed_logs=parameters.get("applyOnTransformedLogs", False),
        )

        def with_it(group: LogGroup) -> LogGroup:
            others = [known for known in group.subscription_filters if known.name != made.name]
            if len(others) == FILTERS_MAX:
                raise LimitExceededException("Resource limit exceeded.")
            ordered = sorted([*others, made], key=lambda known: known.name)
            return replace(group, subscription_filters=tuple(ordered))

        await self._lookup.change_standard(group.key, with_it)
        return {}

    async def delete_subscription_filter(self, call: Call, parameters: Members) -> Members:
        """DeleteSubscriptionFilter.

        Raises:
            ResourceNotFoundException: there is no such group or filter.
        """
        name: str = parameters["filterName"]

        def without_it(group: LogGroup) -> LogGroup:
            kept = tuple(known for known in group.subscription_filters if known.name != name)
            if len(kept) == len(group.subscription_filters):
                raise ResourceNotFoundException("The specified subscription filter does not exist.")
            return replace(group, subscription_filters=kept)

        await self._lookup.change_standard(group_key(call, parameters), without_it)
        return {}

    async def describe_subscription_filters(self, call: Call, parameters: Members) -> Members:
        """DescribeSubscriptionFilters, in name order.

        Raises:
            ResourceNotFoundException: there is no such group.
            InvalidParameterException: the token is not ours.
        """
        group = await self._lookup.standard(call, parameters)
        prefix: str = parameters.get("filterNamePrefix", "")
        after = place_of(parameters["nextToken"], str) if "nextToken" in parameters else ""
        limit: int = parameters.get("limit", _DESCRIBE_LIMIT)
        found = [
            known
            for known in group.subscription_filters
            if known.name.startswith(prefix) and known.name > after
        ]
        result: dict[str, Any] = {
            "subscriptionFilters": [_described(group, known) for known in found[:limit]]
        }
        if len(found) > limit:
            result["nextToken"] = token_of(found[limit - 1].name)
        return result

    async def _check_destination(self, group: LogGroup, parameters: Members) -> None:
        arn = parse_arn(parameters["destinationArn"])
        if arn is None:
            raise InvalidParameterException("Invalid destinationArn.")
        vendor, has_role = arn.service, "roleArn" in parameters
        if vendor == "lambda":
            if has_role:
                raise InvalidParameterException(
                    "destinationArn for vendor lambda cannot be used with roleArn"
                )
            if not await self._may_invoke(group, parameters["destinationArn"]):
                raise InvalidParameterException(
                    "Could not execute the lambda function. Make sure you have given CloudWatch Logs permission "
                    "to execute your function."
                )
        elif vendor in _UNREACHABLE:
            if not has_role:
                raise InvalidParameterException(
                    f"destinationArn for vendor {vendor} cannot be used without roleArn"
                )
            raise InvalidParameterException(_UNREACHABLE[vendor])
        elif vendor == "logs" and arn.resource.startswith("destination:"):
            raise ResourceNotFoundException("The specified destination does not exist.")
        else:
            raise InvalidParameterException(
                f"PutSubscriptionFilter operation cannot work with destinationArn for vendor {vendor}"
            )

    async def _may_invoke(self, group: LogGroup, destination_arn: str) -> bool:
        """Return whether there is such a function beside the group, whose policy lets CloudWatch Logs in."""
        arn = parse_arn(destination_arn)
        match = None if arn is None else _FUNCTION.fullmatch(arn.resource)
        if arn is None or match is None or (arn.account, arn.region) != (group.key.account, group.key.region):
            return False
        key = FunctionKey(account=arn.account, region=arn.region, name=match["name"])
        function = await self._functions.get(key)
        if function is None:
            return False
        policy = function.policies.get(match["qualifier"] or LATEST)
        sender = sender_for(account=arn.account, region=arn.region, group_arn=group.key.arn)
        return decide_for_sender(
            policy.text if policy else None,
            sender,
            action="lambda:InvokeFunction",
            resource=destination_arn,
        ).is_allowed


def _described(group: LogGroup, known: SubscriptionFilter) -> dict[str, Any]:
    described: dict[str, Any] = {
        "filterName": known.name,
        "logGroupName": group.key.name,
        "filterPattern": known.pattern,
        "destinationArn": known.destination_arn,
        "distribution": known.distribution or "ByLogStream",
        "applyOnTransformedLogs": known.apply_on_transformed_logs,
        "creationTime": known.created_ms,
    }
    if known.role_arn is not None:
        described["roleArn"] = known.role_arn
    return described
