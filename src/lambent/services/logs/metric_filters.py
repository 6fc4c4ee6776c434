"""Metric filters: kept and shown, and patterns can be tried. There is no CloudWatch here that metrics could go to."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from lambent.clock import Clock
from lambent.domain.call import Call
from lambent.domain.log_pattern import FieldsPattern, JsonPattern, Pattern, compile_pattern
from lambent.errors import (
    InvalidParameterException,
    LimitExceededException,
    NotImplemented_,
    ResourceNotFoundException,
)
from lambent.services import Members
from lambent.services.logs.lookup import Lookup, group_key
from lambent.services.logs.tokens import place_of, token_of
from lambent.store.log_groups import LogGroup, MetricFilter

FILTERS_MAX = 100
DIMENSIONS_MAX = 3
_DESCRIBE_LIMIT = 50
_SCAN_PAGE = 1_000
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)


class MetricFilters:
    """Operations on metric filters."""

    def __init__(self, lookup: Lookup, clock: Clock) -> None:
        self._lookup = lookup
        self._clock = clock

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

    async def put_metric_filter(self, call: Call, parameters: Members) -> Members:
        """PutMetricFilter: make one, or replace that of the same name.

        Raises:
            ResourceNotFoundException: there is no such group.
            InvalidParameterException: the pattern or the metric's value is invalid.
            LimitExceededException: the group has 100.
        """
        refuse_system_fields(parameters, "emitSystemFieldDimensions")
        pattern = compile_pattern(parameters["filterPattern"])
        (transformation,) = parameters["metricTransformations"]
        _check_transformation(transformation, pattern)
        made = MetricFilter(
            name=parameters["filterName"],
            pattern=parameters["filterPattern"],
            created_ms=int(self._clock.now_s() * 1000),
            transformation=dict(transformation),
            apply_on_transformed_logs=parameters.get("applyOnTransformedLogs", False),
        )

        def with_it(group: LogGroup) -> LogGroup:
            others = [known for known in group.metric_filters if known.name != made.name]
            if len(others) == FILTERS_MAX:
                raise LimitExceededException("Resource limit exceeded.")
            ordered = sorted([*others, made], key=lambda known: known.name)
            return replace(group, metric_filters=tuple(ordered))

        await self._lookup.change_standard(group_key(call, parameters), with_it)
        return {}

    async def delete_metric_filter(self, call: Call, parameters: Members) -> Members:
        """DeleteMetricFilter.

        Raises:
            ResourceNotFoundException: there is no such group or filter.
        """
        name: str = parameters["filterName"]

        def without_it(group: LogGroup) -> LogGroup:
            kept = tuple(known for known in group.metric_filters if known.name != name)
            if len(kept) == len(group.metric_filters):
                raise ResourceNotFoundException("The specified metric filter does not exist.")
            return replace(group, metric_filters=kept)

        await self._lookup.change_standard(group_key(call, parameters), without_it)
        return {}

    async def describe_metric_filters(self, call: Call, parameters: Members) -> Members:
        """DescribeMetricFilters: of a group, or of all; by prefix, or by the metric that they make.

        Raises:
            ResourceNotFoundException: there is no such group.
            InvalidParameterException: only one of metric and namespace is given, or the token is not ours.
        """
        metric = (parameters.get("metricName"), parameters.get("metricNamespace"))
        if (metric[0] is None) != (metric[1] is None):
            raise InvalidParameterException("metricName and metricNamespace must be specified together.")
        prefix: str = parameters.get("filterNamePrefix", "")
        groups = await self._groups(call, parameters)
        after = place_of(parameters["nextToken"], tuple[str, str]) if "nextToken" in parameters else ("", "")
        limit: int = parameters.get("limit", _DESCRIBE_LIMIT)
        found = [
            (group, known)
            for group in groups
            for known in group.metric_filters
            if known.name.startswith(prefix)
            and (metric[0] is None or metric == _metric_of(known))
            and (group.key.name, known.name) > after
        ]
        result: dict[str, Any] = {
            "metricFilters": [_described(group, known) for group, known in found[:limit]]
        }
        if len(found) > limit:
            group, last = found[limit - 1]
            result["nextToken"] = token_of((group.key.name, last.name))
        return result

    async def _groups(self, call: Call, parameters: Members) -> list[LogGroup]:
        if "logGroupName" in parameters:
            return [await self._lookup.standard(call, parameters)]
        groups: list[LogGroup] = []
        while True:
            after = groups[-1].key.name if groups else ""
            page = await self._lookup.groups.list(call.account, call.region, after=after, limit=_SCAN_PAGE)
            groups += page
            if len(page) < _SCAN_PAGE:
                return groups


def refuse_system_fields(parameters: Members, member: str) -> None:
    """Refuse what only centralised logs of several accounts need.

    Raises:
        NotImplemented_: fields of the system are asked for.
    """
    for name in ("fieldSelectionCriteria", member):
        if parameters.get(name):
            raise NotImplemented_(f"{name} is not served yet.")


def _check_transformation(transformation: Members, pattern: Pattern) -> None:
    value: str = transformation["metricValue"]
    if not value.startswith("$") and not _NUMBER.fullmatch(value):
        raise InvalidParameterException(
            f"Invalid metric transformation: metricValue '{value}' is not a number."
        )
    dimensions = transformation.get("dimensions", {})
    if dimensions and "defaultValue" in transformation:
        raise InvalidParameterException(
            "Invalid metric transformation: dimensions and default value are mutually exclusive properties."
        )
    if dimensions and not isinstance(pattern, JsonPattern | FieldsPattern):
        raise InvalidParameterException("The specified filter pattern does not support dimensions")
    if len(dimensions) > DIMENSIONS_MAX:
        raise InvalidParameterException(
            f"Invalid metric transformation: a metric can have at most {DIMENSIONS_MAX} dimensions."
        )


def _metric_of(known: MetricFilter) -> tuple[str, str]:
    return known.transformation["metricName"], known.transformation["metricNamespace"]


def _described(group: LogGroup, known: MetricFilter) -> dict[str, Any]:
    return {
        "filterName": known.name,
        "filterPattern": known.pattern,
        "metricTransformations": [dict(known.transformation)],
        "creationTime": known.created_ms,
        "logGroupName": group.key.name,
        "applyOnTransformedLogs": known.apply_on_transformed_logs,
    }
