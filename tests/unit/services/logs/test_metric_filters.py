"""Metric filters are kept and shown; what could not be one is refused."""

from __future__ import annotations

from typing import Any

from lambent.errors import InvalidParameterException, LimitExceededException, ResourceNotFoundException
from lambent.services.logs.metric_filters import FILTERS_MAX
from unit.services.logs.asking import Logs, run

METRIC = {"metricName": "Errors", "metricNamespace": "App", "metricValue": "1"}


async def put(logs: Logs, name: str = "m", group: str = "g", pattern: str = "ERROR", **metric: Any) -> None:
    await logs(
        "put_metric_filter",
        logGroupName=group,
        filterName=name,
        filterPattern=pattern,
        metricTransformations=[METRIC | metric],
    )


async def why_not(logs: Logs, pattern: str = "ERROR", **metric: Any) -> str:
    return await logs.refused(
        InvalidParameterException,
        "put_metric_filter",
        logGroupName="g",
        filterName="m",
        filterPattern=pattern,
        metricTransformations=[METRIC | metric],
    )


def names_of(result: Any) -> list[tuple[str, str]]:
    return [(one["logGroupName"], one["filterName"]) for one in result["metricFilters"]]


def test_a_filter_is_described_as_it_was_put_and_counted(logs: Logs) -> None:
    async def story() -> None:
        await logs.stream()
        await put(logs, defaultValue=0.0, unit="Count")
        (described,) = (await logs("describe_metric_filters", logGroupName="g"))["metricFilters"]
        assert described == {
            "filterName": "m",
            "filterPattern": "ERROR",
            "metricTransformations": [METRIC | {"defaultValue": 0.0, "unit": "Count"}],
            "creationTime": logs.now_ms,
            "logGroupName": "g",
            "applyOnTransformedLogs": False,
        }
        (group,) = (await logs("describe_log_groups"))["logGroups"]
        assert group["metricFilterCount"] == 1
        await put(logs, pattern="WARN")
        await logs("delete_metric_filter", logGroupName="g", filterName="m")
        assert (await logs("describe_metric_filters"))["metricFilters"] == []
        gone = await logs.refused(
            ResourceNotFoundException, "delete_metric_filter", logGroupName="g", filterName="m"
        )
        assert gone == "The specified metric filter does not exist."

    run(story)


def test_filters_are_found_by_group_prefix_and_metric_in_pages(logs: Logs) -> None:
    async def story() -> None:
        for group in ("g", "h"):
            await logs("create_log_group", logGroupName=group)
            await put(logs, "a", group)
            await put(logs, "b", group, metricName="Other")
        page = await logs("describe_metric_filters", limit=3)
        assert names_of(page) == [("g", "a"), ("g", "b"), ("h", "a")]
        assert names_of(await logs("describe_metric_filters", nextToken=page["nextToken"])) == [("h", "b")]
        assert names_of(await logs("describe_metric_filters", logGroupName="h", filterNamePrefix="b")) == [
            ("h", "b")
        ]
        by_metric = await logs("describe_metric_filters", metricName="Other", metricNamespace="App")
        assert names_of(by_metric) == [("g", "b"), ("h", "b")]
        await logs.refused(InvalidParameterException, "describe_metric_filters", metricName="Other")

    run(story)


def test_what_could_not_be_a_metric_is_refused(logs: Logs) -> None:
    async def story() -> None:
        await logs.stream()
        await why_not(logs, metricValue="many")
        await why_not(logs, pattern="{ $.a = ")
        unstructured = await why_not(logs, dimensions={"a": "$.a"})
        assert unstructured == "The specified filter pattern does not support dimensions"
        both = await why_not(logs, pattern="{ $.a = 1 }", dimensions={"a": "$.a"}, defaultValue=0.0)
        assert both == (
            "Invalid metric transformation: dimensions and default value are mutually exclusive properties."
        )
        await put(logs, pattern="{ $.a = 1 }", dimensions={"a": "$.a"}, metricValue="$.n")

    run(story)


def test_a_group_has_a_hundred_filters(logs: Logs) -> None:
    async def story() -> None:
        await logs.stream()
        for number in range(FILTERS_MAX):
            await put(logs, f"m{number}")
        await put(logs, "m5", pattern="again")
        message = await logs.refused(
            LimitExceededException,
            "put_metric_filter",
            logGroupName="g",
            filterName="more",
            filterPattern="",
            metricTransformations=[METRIC],
        )
        assert message == "Resource limit exceeded."

    run(story)
