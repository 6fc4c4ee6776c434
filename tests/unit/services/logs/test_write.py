"""PutLogEvents: what is kept and what is refused. What AWS's reference says of each operation and its errors."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lambent.errors import InvalidParameterException, ResourceNotFoundException
from lambent.services.logs.write import admit
from unit.services.logs.asking import DAY_MS, HOUR_MS, Logs, messages_of, run


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
            assert set((await logs.events.sizes()).values()) <= {0}

        run(story)

    def test_what_is_kept_spans_no_more_than_a_day(self, logs: Logs) -> None:
        async def story() -> None:
            await logs.stream()
            await logs.put((logs.now_ms - DAY_MS, "a"), (logs.now_ms, "b"))
            with pytest.raises(InvalidParameterException) as refused:
                await logs.put((logs.now_ms - DAY_MS - 1, "a"), (logs.now_ms, "b"))
            assert "cannot span more than 24 hours" in refused.value.message

        run(story)

    @settings(max_examples=80, deadline=None)
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
