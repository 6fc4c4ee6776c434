"""GetLogEvents and FilterLogEvents: pages, tokens and choices, as AWS's reference has them."""

from __future__ import annotations

from typing import Any

import pytest

from lambent.errors import InvalidParameterException, ResourceNotFoundException
from lambent.store import LogEvent
from unit.services.logs.asking import DAY_MS, Logs, messages_of, run


class TestGetLogEvents:
    def test_the_latest_events_come_in_order_of_time_unless_asked_from_the_head(self, logs: Logs) -> None:
        async def story() -> None:
            await logs.stream()
            lines = await logs.fill(10)
            asked = {"logGroupName": "g", "logStreamName": "s", "limit": 3}
            assert messages_of(await logs("get_log_events", **asked)) == lines[-3:]
            assert messages_of(await logs("get_log_events", startFromHead=True, **asked)) == lines[:3]

        run(story)

    def test_start_is_inclusive_and_end_exclusive(self, logs: Logs) -> None:
        async def story() -> None:
            await logs.stream()
            lines = await logs.fill(5)
            result = await logs(
                "get_log_events",
                logGroupName="g",
                logStreamName="s",
                startTime=logs.now_ms - 3000,
                endTime=logs.now_ms - 1000,
            )
            assert messages_of(result) == lines[1:3]

        run(story)

    def test_forward_tokens_lead_to_the_end_where_the_same_token_comes_back(self, logs: Logs) -> None:
        async def story() -> None:
            await logs.stream()
            lines = await logs.fill(7)
            asked: dict[str, Any] = {
                "logGroupName": "g",
                "logStreamName": "s",
                "limit": 3,
                "startFromHead": True,
            }
            seen: list[str] = []
            while True:
                page = await logs("get_log_events", **asked)
                seen += messages_of(page)
                if page["nextForwardToken"] == asked.get("nextToken"):
                    break
                asked["nextToken"] = page["nextForwardToken"]
            assert seen == lines
            await logs.put((logs.now_ms, "late"))
            assert messages_of(await logs("get_log_events", **asked)) == ["late"]

        run(story)

    def test_backward_tokens_lead_to_the_beginning_where_the_same_token_comes_back(self, logs: Logs) -> None:
        async def story() -> None:
            await logs.stream()
            lines = await logs.fill(7)
            asked: dict[str, Any] = {"logGroupName": "g", "logStreamName": "s", "limit": 3}
            seen: list[str] = []
            while True:
                page = await logs("get_log_events", **asked)
                seen = messages_of(page) + seen
                if page["nextBackwardToken"] == asked.get("nextToken"):
                    break
                asked["nextToken"] = page["nextBackwardToken"]
            assert seen == lines

        run(story)

    def test_one_may_turn_round_anywhere(self, logs: Logs) -> None:
        """Also at the ends, where the page is empty: the way back begins with the event that was last seen."""

        async def story() -> None:
            await logs.stream()
            lines = await logs.fill(6)
            asked: dict[str, Any] = {"logGroupName": "g", "logStreamName": "s", "limit": 2}
            latest = await logs("get_log_events", **asked)
            middle = await logs("get_log_events", nextToken=latest["nextBackwardToken"], **asked)
            assert messages_of(middle) == lines[2:4]
            after = await logs("get_log_events", nextToken=middle["nextForwardToken"], **asked)
            assert messages_of(after) == lines[4:]
            end = await logs("get_log_events", nextToken=after["nextForwardToken"], **asked)
            assert messages_of(end) == []
            back = await logs("get_log_events", nextToken=end["nextBackwardToken"], **asked)
            assert messages_of(back) == lines[4:]
            first = await logs("get_log_events", startFromHead=True, **asked)
            beginning = await logs("get_log_events", nextToken=first["nextBackwardToken"], **asked)
            assert messages_of(beginning) == []
            again = await logs("get_log_events", nextToken=beginning["nextForwardToken"], **asked)
            assert messages_of(again) == lines[:2]

        run(story)

    @pytest.mark.parametrize("from_head", [True, False])
    def test_a_token_of_an_empty_stream_leads_to_what_comes_later(self, logs: Logs, from_head: bool) -> None:
        async def story() -> None:
            await logs.stream()
            asked: dict[str, Any] = {"logGroupName": "g", "logStreamName": "s"}
            page = await logs("get_log_events", startFromHead=from_head, startTime=logs.now_ms, **asked)
            assert page["events"] == []
            await logs.put((logs.now_ms, "first"))
            page = await logs("get_log_events", nextToken=page["nextForwardToken"], **asked)
            assert messages_of(page) == ["first"]

        run(story)

    def test_a_page_is_no_more_than_a_mebibyte(self, logs: Logs) -> None:
        async def story() -> None:
            await logs.stream()
            for _ in range(3):
                await logs.put((logs.now_ms, "x" * 600_000))
            asked = {"logGroupName": "g", "logStreamName": "s", "startFromHead": True}
            assert len((await logs("get_log_events", **asked))["events"]) == 1

        run(story)


class TestFilterLogEvents:
    async def _two_streams(self, logs: Logs) -> None:
        await logs.stream(stream="api")
        await logs("create_log_stream", logGroupName="g", logStreamName="job")
        now = logs.now_ms
        await logs.put((now - 30, "ERROR one"), (now - 10, "INFO three"), stream="api")
        await logs.put((now - 20, "ERROR two"), (now, "INFO four"), stream="job")

    def test_events_of_all_streams_are_interleaved(self, logs: Logs) -> None:
        async def story() -> None:
            await self._two_streams(logs)
            result = await logs("filter_log_events", logGroupName="g")
            assert messages_of(result) == ["ERROR one", "ERROR two", "INFO three", "INFO four"]
            assert [event["logStreamName"] for event in result["events"]] == ["api", "job", "api", "job"]
            assert result["searchedLogStreams"] == []
            assert "nextToken" not in result
            identifiers = [event["eventId"] for event in result["events"]]
            assert identifiers == sorted(set(identifiers))

        run(story)

    def test_a_pattern_streams_and_times_choose(self, logs: Logs) -> None:
        async def story() -> None:
            await self._two_streams(logs)

            async def found(**asked: Any) -> list[str]:
                return messages_of(await logs("filter_log_events", logGroupName="g", **asked))

            assert await found(filterPattern="ERROR") == ["ERROR one", "ERROR two"]
            assert await found(filterPattern="ERROR -two") == ["ERROR one"]
            assert await found(logStreamNames=["job"]) == ["ERROR two", "INFO four"]
            assert await found(logStreamNamePrefix="ap") == ["ERROR one", "INFO three"]
            assert await found(startTime=logs.now_ms - 20, endTime=logs.now_ms - 10) == [
                "ERROR two",
                "INFO three",
            ]

        run(story)

    def test_what_cannot_be_searched_is_refused(self, logs: Logs) -> None:
        async def story() -> None:
            await self._two_streams(logs)
            asked = {"logGroupName": "g"}
            await logs.refused(ResourceNotFoundException, "filter_log_events", logGroupName="gone")
            message = await logs.refused(
                ResourceNotFoundException, "filter_log_events", logStreamNames=["job", "gone"], **asked
            )
            assert message == "The specified log stream does not exist."
            await logs.refused(
                InvalidParameterException,
                "filter_log_events",
                logStreamNames=["job"],
                logStreamNamePrefix="j",
                **asked,
            )
            message = await logs.refused(
                InvalidParameterException, "filter_log_events", filterPattern="{ $.a = }", **asked
            )
            assert message == "Invalid filter pattern"

        run(story)

    @pytest.mark.parametrize("from_head", [True, False])
    def test_pages_follow_each_other_in_either_direction(self, logs: Logs, from_head: bool) -> None:
        async def story() -> None:
            await logs.stream()
            lines = await logs.fill(11)
            asked: dict[str, Any] = {
                "startFromHead": from_head,
                "startTime": logs.now_ms - DAY_MS,
                "limit": 4,
            }
            seen: list[str] = []
            while True:
                page = await logs("filter_log_events", logGroupName="g", filterPattern="line", **asked)
                seen += messages_of(page)
                if "nextToken" not in page:
                    break
                asked["nextToken"] = page["nextToken"]
            assert seen == (lines if from_head else lines[::-1])

        run(story)

    def test_backwards_is_for_recent_years_only(self, logs: Logs) -> None:
        async def story() -> None:
            await logs.stream()
            await logs.refused(
                InvalidParameterException, "filter_log_events", logGroupName="g", startFromHead=False
            )

        run(story)

    def test_a_long_search_is_cut_into_pages_that_may_be_empty(self, logs: Logs) -> None:
        async def story() -> None:
            await logs.stream()
            key = (await logs.events.streams(next(iter(await logs.events.sizes()))))[0].key
            batch = [LogEvent(logs.now_ms, "hay")] * 100_000 + [LogEvent(logs.now_ms, "needle")]
            await logs.events.append([(key, batch)], ingestion_ms=logs.now_ms)
            page = await logs("filter_log_events", logGroupName="g", filterPattern="needle")
            assert page["events"] == []
            page = await logs(
                "filter_log_events", logGroupName="g", filterPattern="needle", nextToken=page["nextToken"]
            )
            assert messages_of(page) == ["needle"]
            assert "nextToken" not in page

        run(story)
