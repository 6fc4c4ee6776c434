"""CloudWatch Logs as boto3 and the AWS CLI see it. Expectations are from AWS's API reference."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from harness import Server, create, invoke


@pytest.fixture
def logs(lambent: Server) -> Any:
    return lambent.client("logs")


@pytest.fixture
def group(logs: Any, name: str) -> str:
    """A log group with the stream ``s``."""
    logs.create_log_group(logGroupName=name)
    logs.create_log_stream(logGroupName=name, logStreamName="s")
    return name


def put(logs: Any, group: str, *messages: str, stream: str = "s") -> int:
    """Write messages with a millisecond between them, the last one now; return that moment."""
    now_ms = time.time_ns() // 1_000_000
    events = [
        {"timestamp": now_ms - len(messages) + 1 + number, "message": message}
        for number, message in enumerate(messages)
    ]
    response = logs.put_log_events(logGroupName=group, logStreamName=stream, logEvents=events)
    assert "rejectedLogEventsInfo" not in response
    return now_ms


def refused(error: pytest.ExceptionInfo[Any]) -> tuple[str, str, int]:
    response: Any = error.value.response
    return (
        response["Error"]["Code"],
        response["Error"]["Message"],
        response["ResponseMetadata"]["HTTPStatusCode"],
    )


def test_a_group_lives_from_create_to_delete(logs: Any, name: str) -> None:
    logs.create_log_group(logGroupName=name, tags={"team": "red"})
    (group,) = logs.describe_log_groups(logGroupNamePrefix=name)["logGroups"]
    assert group["arn"] == f"arn:aws:logs:us-east-1:000000000000:log-group:{name}:*"
    assert abs(group["creationTime"] - time.time() * 1000) < 60_000
    assert logs.list_tags_for_resource(resourceArn=group["logGroupArn"])["tags"] == {"team": "red"}
    logs.put_retention_policy(logGroupName=name, retentionInDays=14)
    (group,) = logs.describe_log_groups(logGroupNamePrefix=name)["logGroups"]
    assert group["retentionInDays"] == 14
    logs.delete_log_group(logGroupName=name)
    assert logs.describe_log_groups(logGroupNamePrefix=name)["logGroups"] == []


def test_errors_are_awss(logs: Any, group: str) -> None:
    with pytest.raises(ClientError) as error:
        logs.create_log_group(logGroupName=group)
    assert refused(error) == ("ResourceAlreadyExistsException", "The specified log group already exists", 400)
    with pytest.raises(logs.exceptions.ResourceNotFoundException) as error:
        logs.describe_log_streams(logGroupName=f"{group}-gone")
    assert refused(error) == ("ResourceNotFoundException", "The specified log group does not exist.", 400)
    with pytest.raises(logs.exceptions.ResourceNotFoundException) as error:
        logs.get_log_events(logGroupName=group, logStreamName="gone")
    assert refused(error) == ("ResourceNotFoundException", "The specified log stream does not exist.", 400)
    with pytest.raises(logs.exceptions.InvalidParameterException) as error:
        logs.filter_log_events(logGroupName=group, filterPattern="{ $.a = ")
    assert refused(error)[0] == "InvalidParameterException"
    with pytest.raises(ClientError) as error:
        logs.put_log_events(logGroupName=group, logStreamName="s", logEvents=[])
    assert refused(error)[0] == "InvalidParameterException"


def test_events_are_read_back_in_pages(logs: Any, group: str) -> None:
    messages = [f"line {number} ü\n" for number in range(25)]
    put(logs, group, *messages)
    paginator = logs.get_paginator("filter_log_events")
    pages = paginator.paginate(logGroupName=group, PaginationConfig={"PageSize": 10})
    found = [event for page in pages for event in page["events"]]
    assert [event["message"] for event in found] == messages
    assert all(event["logStreamName"] == "s" for event in found)
    seen: list[str] = []
    asked: dict[str, Any] = {"startFromHead": True, "limit": 10}
    while True:
        page = logs.get_log_events(logGroupName=group, logStreamName="s", **asked)
        seen += [event["message"] for event in page["events"]]
        if page["nextForwardToken"] == asked.get("nextToken"):
            break
        asked["nextToken"] = page["nextForwardToken"]
    assert seen == messages


def test_json_patterns_search_structured_logs(logs: Any, group: str) -> None:
    put(logs, group, '{"level":"ERROR","latency":120}', '{"level":"ERROR","latency":80}', '{"level":"INFO"}')
    found = logs.filter_log_events(
        logGroupName=group, filterPattern='{ $.level = "ERROR" && $.latency > 100 }'
    )
    assert [event["message"] for event in found["events"]] == ['{"level":"ERROR","latency":120}']


def test_streams_are_found_by_their_last_event(logs: Any, group: str) -> None:
    logs.create_log_stream(logGroupName=group, logStreamName="2026/01/02/[$LATEST]abc")
    moment_ms = put(logs, group, "x", stream="2026/01/02/[$LATEST]abc")
    streams = logs.describe_log_streams(logGroupName=group, orderBy="LastEventTime", descending=True)[
        "logStreams"
    ]
    assert [stream["logStreamName"] for stream in streams] == ["2026/01/02/[$LATEST]abc", "s"]
    assert streams[0]["lastEventTimestamp"] == moment_ms
    assert "lastEventTimestamp" not in streams[1]


def test_a_metric_filter_can_be_tried(logs: Any) -> None:
    result = logs.test_metric_filter(
        filterPattern="[kind = ERROR, code]", logEventMessages=["ERROR 7", "INFO 8"]
    )
    assert result["matches"] == [
        {"eventNumber": 1, "eventMessage": "ERROR 7", "extractedValues": {"$kind": "ERROR", "$code": "7"}}
    ]


def test_events_survive_the_death_of_the_server(new_server: Any, name: str) -> None:
    server = new_server()
    logs = server.client("logs")
    logs.create_log_group(logGroupName=name)
    logs.create_log_stream(logGroupName=name, logStreamName="s")
    put(logs, name, "durable")
    server.kill()
    server.start()
    logs = server.client("logs")
    (event,) = logs.filter_log_events(logGroupName=name)["events"]
    assert event["message"] == "durable"


def test_the_aws_cli_filters_a_group(lambent: Server, logs: Any, group: str) -> None:
    put(logs, group, "ERROR first", "INFO second", "ERROR third")
    aws = Path(sys.executable).parent / "aws"
    answer = subprocess.run(
        [str(aws), "logs", "filter-log-events", "--log-group-name", group, "--filter-pattern", "ERROR"],
        env=lambent.environ(),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert [event["message"] for event in json.loads(answer.stdout)["events"]] == [
        "ERROR first",
        "ERROR third",
    ]


def test_a_group_can_be_followed(logs: Any, group: str) -> None:
    """As `aws logs tail --follow` does it: ask again from the last timestamp on, and skip the event ids of it."""
    shown: list[str] = []
    asked: dict[str, Any] = {}
    latest: set[str] = set()

    def follow() -> None:
        for page in logs.get_paginator("filter_log_events").paginate(logGroupName=group, **asked):
            for event in page["events"]:
                if event["eventId"] in latest:
                    continue
                if event["timestamp"] != asked.get("startTime"):
                    latest.clear()
                asked["startTime"] = event["timestamp"]
                latest.add(event["eventId"])
                shown.append(event["message"])

    follow()
    moment_ms = put(logs, group, "one", "two")
    follow()
    follow()
    # Another line of the same millisecond: only its id tells it from the one that was shown.
    events = [{"timestamp": moment_ms, "message": "three"}, {"timestamp": moment_ms + 1, "message": "four"}]
    logs.put_log_events(logGroupName=group, logStreamName="s", logEvents=events)
    follow()
    assert shown == ["one", "two", "three", "four"]


SUBSCRIBER = """
import base64, gzip, json
def handler(event, context):
    data = json.loads(gzip.decompress(base64.b64decode(event["awslogs"]["data"])))
    print("GOT", data["logGroup"], data["logStream"], [one["message"] for one in data["logEvents"]])
"""


def test_a_function_that_subscribes_to_another_ones_log_is_sent_what_it_prints(
    lambent: Server, logs: Any, name: str
) -> None:
    lambda_ = lambent.client("lambda")
    source = "def handler(event, context): print('ALARM', event)"
    create(lambda_, name, source)
    subscriber = create(lambda_, f"{name}-watcher", SUBSCRIBER)
    group = f"/aws/lambda/{name}"
    logs.create_log_group(logGroupName=group)
    wanted = {
        "logGroupName": group,
        "filterName": "alarms",
        "filterPattern": "ALARM",
        "destinationArn": subscriber["FunctionArn"],
    }
    with pytest.raises(logs.exceptions.InvalidParameterException) as error:
        logs.put_subscription_filter(**wanted)
    assert "Make sure you have given CloudWatch Logs permission" in refused(error)[1]
    lambda_.add_permission(
        FunctionName=f"{name}-watcher",
        StatementId="logs",
        Action="lambda:InvokeFunction",
        Principal="logs.amazonaws.com",
        SourceArn=f"arn:aws:logs:us-east-1:000000000000:log-group:{group}:*",
    )
    logs.put_subscription_filter(**wanted)
    invoke(lambda_, name, 7)
    told = "GOT"
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            found = logs.filter_log_events(logGroupName=f"/aws/lambda/{name}-watcher", filterPattern=told)
        except logs.exceptions.ResourceNotFoundException:
            found = {"events": []}
        if found["events"]:
            break
        time.sleep(0.05)
    (event,) = found["events"]
    (stream,) = logs.describe_log_streams(logGroupName=group)["logStreams"]
    assert event["message"] == f"GOT {group} {stream['logStreamName']} ['ALARM 7\\n']\n"
