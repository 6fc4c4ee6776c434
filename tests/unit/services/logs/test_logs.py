"""CloudWatch Logs, asked directly: what AWS's reference says of each operation and its errors."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lambent.domain.call import Call, root_principal
from lambent.errors import (
    InvalidParameterException,
    ResourceAlreadyExistsException,
    ResourceNotFoundException,
    ServiceError,
    ValidationException,
)
from lambent.services import Members
from lambent.services.logs import expire_logs, logs_service
from lambent.services.logs.errors import TooManyTagsException
from lambent.services.logs.write import admit
from lambent.store import LogEvent, LogEvents, LogQuery, StreamKey
from lambent.store.log_groups import LogGroupKey, LogGroups
from lambent.testing import ManualClock, MemoryLogEvents, MemoryStore

DAY_MS = 86_400_000
HOUR_MS = 3_600_000


class Logs:
    """The service with its stores; operations are called by name and AWS member names."""

    def __init__(self, documents: MemoryStore) -> None:
        self.documents = documents
        self.events: LogEvents = MemoryLogEvents()
        self.clock = ManualClock()
        self._operations = logs_service(documents=documents, log_events=self.events, clock=self.clock)
        self.account, self.region = "000000000000", "us-east-1"

    @property
    def now_ms(self) -> int:
        return int(self.clock.now_s() * 1000)

    async def __call__(self, operation: str, **parameters: Any) -> Members:
        call = Call(
            account=self.account,
            region=self.region,
            request_id="r",
            access_key_id="k",
            principal=root_principal(self.account),
            endpoint_url="http://127.0.0.1:4566",
            at_s=self.clock.now_s(),
        )
        return await self._operations[operation](call, parameters)

    async def stream(self, group: str = "g", stream: str = "s") -> None:
        """Make a group with a stream."""
        await self("create_log_group", logGroupName=group)
        await self("create_log_stream", logGroupName=group, logStreamName=stream)

    async def put(self, *events: tuple[int, str], group: str = "g", stream: str = "s") -> Members:
        return await self(
            "put_log_events",
            logGroupName=group,
            logStreamName=stream,
            logEvents=[{"timestamp": moment, "message": message} for moment, message in events],
        )

    async def fill(self, count: int, *, group: str = "g", stream: str = "s") -> list[str]:
        """Write messages, a second apart, the last one now."""
        messages = [f"line {number}" for number in range(count)]
        moments = [self.now_ms - (count - 1 - number) * 1000 for number in range(count)]
        await self.put(*zip(moments, messages, strict=True), group=group, stream=stream)
        return messages

    async def refused(self, error: type[ServiceError], operation: str, **parameters: Any) -> str:
        with pytest.raises(error) as refused:
            await self(operation, **parameters)
        return refused.value.message


@pytest.fixture
def logs() -> Iterator[Logs]:
    store = MemoryStore()
    yield Logs(store)
    store.close()


def run(story: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(story())


def messages_of(result: Members) -> list[str]:
    return [event["message"] for event in result["events"]]


class TestGroups:
    def test_a_group_is_described_as_it_was_made(self, logs: Logs) -> None:
        async def story() -> None:
            key_arn = "arn:aws:kms:us-east-1:000000000000:key/k"
            await logs("create_log_group", logGroupName="/app/web", kmsKeyId=key_arn, tags={"team": "red"})
            (group,) = (await logs("describe_log_groups"))["logGroups"]
            assert group == {
                "logGroupName": "/app/web",
                "creationTime": logs.now_ms,
                "metricFilterCount": 0,
                "arn": "arn:aws:logs:us-east-1:000000000000:log-group:/app/web:*",
                "logGroupArn": "arn:aws:logs:us-east-1:000000000000:log-group:/app/web",
                "storedBytes": 0,
                "logGroupClass": "STANDARD",
                "deletionProtectionEnabled": False,
                "kmsKeyId": key_arn,
            }

        run(story)

    def test_a_name_is_given_once_in_an_account_and_region(self, logs: Logs) -> None:
        async def story() -> None:
            await logs("create_log_group", logGroupName="g")
            message = await logs.refused(ResourceAlreadyExistsException, "create_log_group", logGroupName="g")
            assert message == "The specified log group already exists"
            logs.region = "eu-west-1"
            await logs("create_log_group", logGroupName="g")
            logs.account = "111122223333"
            await logs("create_log_group", logGroupName="g")
            assert len((await logs("describe_log_groups"))["logGroups"]) == 1

        run(story)

    def test_names_that_begin_with_aws_are_reserved(self, logs: Logs) -> None:
        async def story() -> None:
            message = await logs.refused(InvalidParameterException, "create_log_group", logGroupName="AWS/x")
            assert message == "Log groups starting with AWS/ are reserved for AWS."
            await logs("create_log_group", logGroupName="/aws/x")

        run(story)

    def test_a_deleted_group_is_gone_and_a_new_one_of_its_name_is_empty(self, logs: Logs) -> None:
        async def story() -> None:
            await logs.stream()
            await logs.fill(3)
            await logs("delete_log_group", logGroupName="g")
            message = await logs.refused(ResourceNotFoundException, "delete_log_group", logGroupName="g")
            assert message == "The specified log group does not exist."
            assert await logs.events.sizes() == {}
            await logs("create_log_group", logGroupName="g")
            assert messages_of(await logs("filter_log_events", logGroupName="g")) == []
            assert (await logs("describe_log_streams", logGroupName="g"))["logStreams"] == []

        run(story)

    def test_a_protected_group_is_not_deleted(self, logs: Logs) -> None:
        async def story() -> None:
            await logs("create_log_group", logGroupName="g", deletionProtectionEnabled=True)
            await logs.refused(ValidationException, "delete_log_group", logGroupName="g")
            await logs(
                "put_log_group_deletion_protection", logGroupIdentifier="g", deletionProtectionEnabled=False
            )
            await logs("delete_log_group", logGroupName="g")

        run(story)

    def test_groups_are_listed_in_pages_in_name_order(self, logs: Logs) -> None:
        async def story() -> None:
            names = [f"group-{number:03d}" for number in range(120)]
            for name in reversed(names):
                await logs("create_log_group", logGroupName=name)
            seen: list[str] = []
            parameters: dict[str, Any] = {}
            sizes: list[int] = []
            while True:
                page = await logs("describe_log_groups", **parameters)
                seen += [group["logGroupName"] for group in page["logGroups"]]
                sizes.append(len(page["logGroups"]))
                if "nextToken" not in page:
                    break
                parameters["nextToken"] = page["nextToken"]
            assert (seen, sizes) == (names, [50, 50, 20])
            page = await logs("describe_log_groups", logGroupNamePrefix="group-00", limit=10)
            assert [group["logGroupName"] for group in page["logGroups"]] == names[:10]
            assert "nextToken" not in page

        run(story)

    def test_a_search_by_pattern_is_a_case_sensitive_search_for_a_part(self, logs: Logs) -> None:
        async def story() -> None:
            for name in ("DataLogs", "aws-of/DataLogs", "datalogs"):
                await logs("create_log_group", logGroupName=name)
            page = await logs("describe_log_groups", logGroupNamePattern="DataLogs")
            assert [sorted(group) for group in page["logGroups"]] == [
                ["arn", "creationTime", "logGroupName"]
            ] * 2
            await logs.refused(
                InvalidParameterException,
                "describe_log_groups",
                logGroupNamePattern="x",
                logGroupNamePrefix="y",
            )

        run(story)

    def test_groups_are_chosen_by_identifier_or_class(self, logs: Logs) -> None:
        async def story() -> None:
            await logs("create_log_group", logGroupName="a")
            await logs("create_log_group", logGroupName="b", logGroupClass="INFREQUENT_ACCESS")
            page = await logs("describe_log_groups", logGroupIdentifiers=["b", "gone"])
            assert [group["logGroupName"] for group in page["logGroups"]] == ["b"]
            page = await logs("describe_log_groups", logGroupClass="STANDARD")
            assert [group["logGroupName"] for group in page["logGroups"]] == ["a"]

        run(story)

    def test_a_list_of_groups_takes_several_patterns(self, logs: Logs) -> None:
        async def story() -> None:
            for name in ("/aws/lambda/a", "x/aws/lambda/b", "my.discovery", "mydiscovery", "other"):
                await logs("create_log_group", logGroupName=name)
            page = await logs("list_log_groups", logGroupNamePattern="^/aws/lambda|y.dis")
            assert [group["logGroupName"] for group in page["logGroups"]] == ["/aws/lambda/a", "my.discovery"]
            assert set(page["logGroups"][0]) == {"logGroupName", "logGroupArn", "logGroupClass"}

        run(story)

    def test_a_token_of_another_listing_is_refused(self, logs: Logs) -> None:
        async def story() -> None:
            await logs.stream()
            for token in ("nonsense", "%%%", "é", "AAAA", ""):
                await logs.refused(InvalidParameterException, "describe_log_groups", nextToken=token)
                await logs.refused(
                    InvalidParameterException, "describe_log_streams", logGroupName="g", nextToken=token
                )
                for operation in ("get_log_events", "filter_log_events"):
                    message = await logs.refused(
                        InvalidParameterException,
                        operation,
                        logGroupName="g",
                        logStreamName="s",
                        nextToken=token,
                    )
                    assert message == "The specified nextToken is invalid."

        run(story)

    def test_concurrent_changes_all_count(self, logs: Logs) -> None:
        async def story() -> None:
            await logs("create_log_group", logGroupName="g")
            async with asyncio.TaskGroup() as tasks:
                for number in range(10):
                    tasks.create_task(logs("tag_log_group", logGroupName="g", tags={f"t{number}": "x"}))
                tasks.create_task(logs("put_retention_policy", logGroupName="g", retentionInDays=7))
            tags = (await logs("list_tags_log_group", logGroupName="g"))["tags"]
            assert len(tags) == 10
            (group,) = (await logs("describe_log_groups"))["logGroups"]
            assert group["retentionInDays"] == 7

        run(story)


class TestIdentifiers:
    def test_a_group_is_found_by_name_or_arn(self, logs: Logs) -> None:
        async def story() -> None:
            await logs.stream()
            await logs.fill(1)
            arn = "arn:aws:logs:us-east-1:000000000000:log-group:g"
            for identifier in ("g", arn, arn + ":*"):
                result = await logs("filter_log_events", logGroupIdentifier=identifier)
                assert messages_of(result) == ["line 0"]

        run(story)

    def test_either_name_or_identifier_is_given(self, logs: Logs) -> None:
        async def story() -> None:
            await logs.refused(InvalidParameterException, "filter_log_events")
            await logs.refused(
                InvalidParameterException, "filter_log_events", logGroupName="g", logGroupIdentifier="g"
            )

        run(story)

    @pytest.mark.parametrize(
        "arn", ["arn:aws:s3:::bucket", "arn:aws:logs:us-east-1:000000000000:destination:d"]
    )
    def test_an_arn_of_something_else_is_refused(self, logs: Logs, arn: str) -> None:
        async def story() -> None:
            await logs.refused(InvalidParameterException, "list_tags_for_resource", resourceArn=arn)

        run(story)

    def test_groups_of_other_accounts_are_not_to_be_seen(self, logs: Logs) -> None:
        async def story() -> None:
            await logs("create_log_group", logGroupName="g")
            logs.account = "111122223333"
            arn = "arn:aws:logs:us-east-1:000000000000:log-group:g"
            await logs.refused(ResourceNotFoundException, "list_tags_for_resource", resourceArn=arn)

        run(story)


class TestTags:
    def test_tags_are_added_replaced_and_removed_by_name_and_by_arn(self, logs: Logs) -> None:
        async def story() -> None:
            arn = "arn:aws:logs:us-east-1:000000000000:log-group:g"
            await logs("create_log_group", logGroupName="g", tags={"a": "1"})
            await logs("tag_log_group", logGroupName="g", tags={"b": "2"})
            await logs("tag_resource", resourceArn=arn, tags={"a": "3", "c": "4"})
            assert await logs("list_tags_log_group", logGroupName="g") == {
                "tags": {"a": "3", "b": "2", "c": "4"}
            }
            await logs("untag_log_group", logGroupName="g", tags=["b", "unknown"])
            await logs("untag_resource", resourceArn=arn, tagKeys=["c"])
            assert await logs("list_tags_for_resource", resourceArn=arn) == {"tags": {"a": "3"}}

        run(story)

    def test_a_group_has_at_most_fifty_tags_and_none_of_awss(self, logs: Logs) -> None:
        async def story() -> None:
            arn = "arn:aws:logs:us-east-1:000000000000:log-group:g"
            await logs("create_log_group", logGroupName="g", tags={f"t{n}": "" for n in range(50)})
            await logs.refused(TooManyTagsException, "tag_resource", resourceArn=arn, tags={"one more": ""})
            await logs("tag_resource", resourceArn=arn, tags={"t0": "replaced"})
            await logs.refused(InvalidParameterException, "tag_resource", resourceArn=arn, tags={"aws:x": ""})

        run(story)


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


class TestPutLogEvents:
    def test_events_are_kept_with_the_time_of_their_arrival(self, logs: Logs) -> None:
        async def story() -> None:
            await logs.stream()
            result = await logs.put((logs.now_ms - 5, "hello"))
            assert set(result) == {"nextSequenceToken"}
            (event,) = (await logs("get_log_events", logGroupName="g", logStreamName="s"))["events"]
            assert event == {"timestamp": logs.now_ms - 5, "message": "hello", "ingestionTime": logs.now_ms}

        run(story)

    def test_group_and_stream_must_exist(self, logs: Logs) -> None:
        async def story() -> None:
            asked = {"logEvents": [{"timestamp": logs.now_ms, "message": "x"}]}
            message = await logs.refused(
                ResourceNotFoundException, "put_log_events", logGroupName="g", logStreamName="s", **asked
            )
            assert message == "The specified log group does not exist."
            await logs("create_log_group", logGroupName="g")
            message = await logs.refused(
                ResourceNotFoundException, "put_log_events", logGroupName="g", logStreamName="s", **asked
            )
            assert message == "The specified log stream does not exist."

        run(story)

    def test_events_must_be_in_order_of_time(self, logs: Logs) -> None:
        async def story() -> None:
            await logs.stream()
            with pytest.raises(InvalidParameterException) as refused:
                await logs.put((logs.now_ms, "later"), (logs.now_ms - 1, "earlier"))
            assert refused.value.message == (
                "Log events in a single PutLogEvents request must be in chronological order."
            )
            await logs.put((logs.now_ms, "same"), (logs.now_ms, "time"))

        run(story)

    def test_a_batch_is_one_mebibyte_with_26_bytes_for_each_event(self, logs: Logs) -> None:
        async def story() -> None:
            await logs.stream()
            half = "x" * (524_288 - 26)
            await logs.put((logs.now_ms, half), (logs.now_ms, half))
            with pytest.raises(InvalidParameterException) as refused:
                await logs.put((logs.now_ms, half), (logs.now_ms, half + "é"))
            assert refused.value.message == "Upload too large: 1048578 bytes exceeds limit of 1048576"
            with pytest.raises(InvalidParameterException) as refused:
                await logs.put((logs.now_ms, "x" * (1_048_576 - 25)))
            assert refused.value.message == "Log event too large: 1048577 bytes exceeds limit of 1048576"

        run(story)

    def test_events_that_are_too_old_or_too_new_are_left_out_and_named(self, logs: Logs) -> None:
        async def story() -> None:
            await logs.stream()
            result = await logs.put(
                (logs.now_ms - 14 * DAY_MS - 1, "too old"),
                (logs.now_ms - 1000, "good"),
                (logs.now_ms + 2 * HOUR_MS, "just good"),
                (logs.now_ms + 2 * HOUR_MS + 1, "too new"),
            )
            assert result["rejectedLogEventsInfo"] == {
                "tooOldLogEventEndIndex": 1,
                "tooNewLogEventStartIndex": 3,
            }
            assert messages_of(await logs("filter_log_events", logGroupName="g")) == ["good", "just good"]

        run(story)

    def test_events_beyond_the_groups_retention_have_expired_before_they_came(self, logs: Logs) -> None:
        async def story() -> None:
            await logs.stream()
            await logs("put_retention_policy", logGroupName="g", retentionInDays=1)
            result = await logs.put((logs.now_ms - DAY_MS - 1, "expired"), (logs.now_ms - DAY_MS, "kept"))
            assert result["rejectedLogEventsInfo"] == {"expiredLogEventEndIndex": 1}
            assert messages_of(await logs("filter_log_events", logGroupName="g")) == ["kept"]

        run(story)

    def test_a_batch_with_nothing_to_keep_is_accepted_and_kept_nowhere(self, logs: Logs) -> None:
        async def story() -> None:
            await logs.stream()
            result = await logs.put((logs.now_ms + 9 * HOUR_MS, "from the future"))
            assert result["rejectedLogEventsInfo"] == {"tooNewLogEventStartIndex": 0}
            assert await logs.events.sizes() in ({}, {key: 0 for key in await logs.events.sizes()})

        run(story)

    def test_what_is_kept_spans_no_more_than_a_day(self, logs: Logs) -> None:
        async def story() -> None:
            await logs.stream()
            await logs.put((logs.now_ms - DAY_MS, "a"), (logs.now_ms, "b"))
            with pytest.raises(InvalidParameterException) as refused:
                await logs.put((logs.now_ms - DAY_MS - 1, "a"), (logs.now_ms, "b"))
            assert "cannot span more than 24 hours" in refused.value.message

        run(story)

    @settings(max_examples=200, deadline=None)
    @given(
        moments=st.lists(st.integers(0, 40 * DAY_MS), min_size=1, max_size=20).map(sorted),
        expired_before_ms=st.integers(0, 30 * DAY_MS),
    )
    def test_every_event_is_either_kept_or_named_as_rejected(
        self, moments: Sequence[int], expired_before_ms: int
    ) -> None:
        now_ms = 30 * DAY_MS
        try:
            admission = admit(moments, now_ms=now_ms, expired_before_ms=expired_before_ms)
        except InvalidParameterException:
            return
        begin = max(
            admission.rejected.get("tooOldLogEventEndIndex", 0),
            admission.rejected.get("expiredLogEventEndIndex", 0),
        )
        end = admission.rejected.get("tooNewLogEventStartIndex", len(moments))
        assert range(admission.begin, admission.end) == range(min(begin, end), end)
        oldest_ms = max(now_ms - 14 * DAY_MS, expired_before_ms)
        kept = moments[admission.begin : admission.end]
        assert kept == [moment for moment in moments if oldest_ms <= moment <= now_ms + 2 * HOUR_MS]


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
            middle = await logs("get_log_events", nextToken=(await logs("get_log_events", **asked))["nextBackwardToken"],
                                **asked)  # fmt: skip
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


class TestRetention:
    def test_only_awss_numbers_of_days_can_be_chosen(self, logs: Logs) -> None:
        async def story() -> None:
            await logs("create_log_group", logGroupName="g")
            message = await logs.refused(
                InvalidParameterException, "put_retention_policy", logGroupName="g", retentionInDays=2
            )
            assert "'retentionInDays'" in message
            await logs("put_retention_policy", logGroupName="g", retentionInDays=3653)
            await logs.refused(
                ResourceNotFoundException, "put_retention_policy", logGroupName="gone", retentionInDays=1
            )

        run(story)

    def test_a_policy_can_be_taken_back(self, logs: Logs) -> None:
        async def story() -> None:
            await logs("create_log_group", logGroupName="g")
            await logs("put_retention_policy", logGroupName="g", retentionInDays=5)
            (group,) = (await logs("describe_log_groups"))["logGroups"]
            assert group["retentionInDays"] == 5
            await logs("delete_retention_policy", logGroupName="g")
            (group,) = (await logs("describe_log_groups"))["logGroups"]
            assert "retentionInDays" not in group

        run(story)

    def test_events_expire_at_their_time_and_are_really_removed(self, logs: Logs) -> None:
        async def story() -> None:
            await logs.stream()
            await logs("put_retention_policy", logGroupName="g", retentionInDays=1)
            await logs.put((logs.now_ms, "old"))
            await logs.clock.advance(86_400 - 60)
            await logs.put((logs.now_ms, "young"))
            assert messages_of(await logs("filter_log_events", logGroupName="g")) == ["old", "young"]
            await logs.clock.advance(61)
            assert messages_of(await logs("filter_log_events", logGroupName="g")) == ["young"]
            await expire_logs(documents=logs.documents, log_events=logs.events, clock=logs.clock)
            assert list((await logs.events.sizes()).values()) == [len("young")]
            assert messages_of(await logs("get_log_events", logGroupName="g", logStreamName="s")) == ["young"]

        run(story)

    def test_groups_without_a_policy_keep_their_events_for_ever(self, logs: Logs) -> None:
        async def story() -> None:
            await logs.stream()
            await logs.put((logs.now_ms, "kept"))
            await logs.clock.advance(20 * 365 * 86_400)
            await expire_logs(documents=logs.documents, log_events=logs.events, clock=logs.clock)
            assert messages_of(await logs("filter_log_events", logGroupName="g")) == ["kept"]

        run(story)

    def test_what_was_written_into_a_deleted_group_is_swept_away(self, logs: Logs) -> None:
        async def story() -> None:
            await logs.stream("kept")
            await logs.fill(2, group="kept")
            await logs.stream("g")
            group = await LogGroups(logs.documents).get(
                LogGroupKey(account="000000000000", region="us-east-1", name="g")
            )
            assert group is not None
            await logs("delete_log_group", logGroupName="g")
            late = StreamKey(group=group.events_key, stream="s")
            await logs.events.append([(late, [LogEvent(1, "too late")])], ingestion_ms=2)
            await expire_logs(documents=logs.documents, log_events=logs.events, clock=logs.clock)
            assert (await logs.events.read(LogQuery(group=group.events_key))).events == []
            assert messages_of(await logs("filter_log_events", logGroupName="kept")) == ["line 0", "line 1"]

        run(story)


class TestFilters:
    def test_a_metric_filter_can_be_tried(self, logs: Logs) -> None:
        async def story() -> None:
            lines = ["127.0.0.1 - ada 404 12", "127.0.0.1 - ada 200 12", "nothing of the kind"]
            result = await logs(
                "test_metric_filter", filterPattern="[ip, ..., status=4*, bytes]", logEventMessages=lines
            )
            assert result["matches"] == [
                {
                    "eventNumber": 1,
                    "eventMessage": lines[0],
                    "extractedValues": {
                        "$ip": "127.0.0.1",
                        "$2": "-",
                        "$3": "ada",
                        "$status": "404",
                        "$bytes": "12",
                    },
                }
            ]
            result = await logs("test_metric_filter", filterPattern="-ada", logEventMessages=lines)
            assert [match["eventNumber"] for match in result["matches"]] == [3]
            await logs.refused(
                InvalidParameterException, "test_metric_filter", filterPattern="{", logEventMessages=lines
            )

        run(story)

    def test_there_are_no_filters_to_describe(self, logs: Logs) -> None:
        async def story() -> None:
            await logs.stream()
            assert await logs("describe_metric_filters") == {"metricFilters": []}
            assert await logs("describe_subscription_filters", logGroupName="g") == {
                "subscriptionFilters": []
            }
            await logs.refused(
                ResourceNotFoundException, "describe_subscription_filters", logGroupName="gone"
            )
            await logs.refused(ResourceNotFoundException, "describe_metric_filters", logGroupName="gone")

        run(story)
