"""Metric and subscription filters: patterns can be tried; none can be put, so there are none to describe."""

from __future__ import annotations

from lambent.domain.call import Call
from lambent.domain.log_pattern import compile_pattern
from lambent.services import Members
from lambent.services.logs.lookup import Lookup


class Filters:
    """Operations on filters."""

    def __init__(self, lookup: Lookup) -> None:
        self._lookup = lookup

    async def test_metric_filter(self, call: Call, parameters: Members) -> Members:
        """TestMetricFilter: which messages match a pattern, and the fields that a space-delimited one extracts.

        Raises:
            InvalidParameterException: the pattern is invalid.
        """
        pattern = compile_pattern(parameters["filterPattern"])
        matches = [
            {
                "eventNumber": number,
                "eventMessage": message,
                "extractedValues": dict(pattern.extract(message)),
            }
            for number, message in enumerate(parameters["logEventMessages"], 1)
            if pattern.matches(message)
        ]
        return {"matches": matches}

    async def describe_metric_filters(self, call: Call, parameters: Members) -> Members:
        """DescribeMetricFilters: PutMetricFilter is not served, so there are none.

        Raises:
            ResourceNotFoundException: there is no such group.
        """
        if "logGroupName" in parameters:
            await self._lookup.group(call, parameters)
        return {"metricFilters": []}

    async def describe_subscription_filters(self, call: Call, parameters: Members) -> Members:
        """DescribeSubscriptionFilters: PutSubscriptionFilter is not served, so there are none.

        Raises:
            ResourceNotFoundException: there is no such group.
        """
        await self._lookup.group(call, parameters)
        return {"subscriptionFilters": []}
