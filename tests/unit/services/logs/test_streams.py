"""Log streams: made, deleted and described. What AWS's reference says of each operation and its errors."""

from __future__ import annotations

from typing import Any

import pytest

from lambent.errors import (
    InvalidParameterException,
    ResourceAlreadyExistsException,
    ResourceNotFoundException,
)
from unit.services.logs.asking import Logs, run


class TestStreams:
    def test_a_stream_is_made_once_in_a_group_that_exists(self, logs: Logs) -> None:
        async def story() -> None:
            asked = {"logGroupName": "g", "logStreamName": "s"}
            message = await logs.refused(ResourceNotFoundException, "create_log_stream", **asked)
            assert message == "The specified log group does not exist."
            await logs.stream()
            message = await logs.refused(ResourceAlreadyExistsException, "create_log_stream", **asked)
            assert message == "The specified log stream already exists"

        run(story)

    def test_a_deleted_stream_is_gone(self, logs: Logs) -> None:
        async def story() -> None:
            asked = {"logGroupName": "g", "logStreamName": "s"}
            await logs.stream(stream="s-longer")
            message = await logs.refused(ResourceNotFoundException, "delete_log_stream", **asked)
            assert message == "The specified log stream does not exist."
            await logs("create_log_stream", **asked)
            await logs("delete_log_stream", **asked)
            await logs.refused(ResourceNotFoundException, "get_log_events", **asked)

        run(story)

    def test_a_stream_is_described_with_the_times_of_its_events(self, logs: Logs) -> None:
        async def story() -> None:
            await logs.stream()
            made_ms = logs.now_ms
            (stream,) = (await logs("describe_log_streams", logGroupName="g"))["logStreams"]
            assert "firstEventTimestamp" not in stream
            await logs.clock.advance(60)
            await logs.fill(3)
            (stream,) = (await logs("describe_log_streams", logGroupName="g"))["logStreams"]
            assert stream.pop("uploadSequenceToken")
            assert stream == {
                "logStreamName": "s",
                "creationTime": made_ms,
                "arn": "arn:aws:logs:us-east-1:000000000000:log-group:g:log-stream:s",
                "storedBytes": 0,
                "firstEventTimestamp": logs.now_ms - 2000,
                "lastEventTimestamp": logs.now_ms,
                "lastIngestionTime": logs.now_ms,
            }

        run(story)

    @pytest.mark.parametrize("order", ["LogStreamName", "LastEventTime"])
    @pytest.mark.parametrize("descending", [False, True])
    def test_streams_come_in_pages_in_either_order(self, logs: Logs, order: str, descending: bool) -> None:
        async def story() -> None:
            await logs("create_log_group", logGroupName="g")
            names = [f"s{number:02d}" for number in range(7)]
            for rank, name in enumerate([*names[3:], *names[:3]]):
                await logs("create_log_stream", logGroupName="g", logStreamName=name)
                await logs.put((logs.now_ms - 1000 + rank, "x"), stream=name)
            seen: list[str] = []
            parameters: dict[str, Any] = {"limit": 3, "orderBy": order, "descending": descending}
            while True:
                page = await logs("describe_log_streams", logGroupName="g", **parameters)
                seen += [stream["logStreamName"] for stream in page["logStreams"]]
                if "nextToken" not in page:
                    break
                parameters["nextToken"] = page["nextToken"]
            expected = names if order == "LogStreamName" else [*names[3:], *names[:3]]
            assert seen == (expected[::-1] if descending else expected)

        run(story)

    def test_a_prefix_goes_with_the_order_of_names_only(self, logs: Logs) -> None:
        async def story() -> None:
            await logs.stream(stream="api-1")
            await logs("create_log_stream", logGroupName="g", logStreamName="job-1")
            asked = {"logGroupName": "g", "logStreamNamePrefix": "api"}
            (stream,) = (await logs("describe_log_streams", **asked))["logStreams"]
            assert stream["logStreamName"] == "api-1"
            message = await logs.refused(
                InvalidParameterException, "describe_log_streams", orderBy="LastEventTime", **asked
            )
            assert message == "Cannot order by LastEventTime with a logStreamNamePrefix."

        run(story)
