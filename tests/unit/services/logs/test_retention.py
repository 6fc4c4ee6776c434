"""Retention, and filters that can be tried but not put. What AWS's reference says of each operation and its errors."""

from __future__ import annotations

from lambent.errors import InvalidParameterException, ResourceNotFoundException
from lambent.services.logs import expire_logs
from lambent.store import LogEvent, LogQuery, StreamKey
from lambent.store.log_groups import LogGroupKey, LogGroups
from unit.services.logs.asking import Logs, messages_of, run


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
