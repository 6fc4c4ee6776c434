"""Subscription filters: who may be one, how they are described, and what they are sent."""

from __future__ import annotations

import base64
import gzip
import json
import random
from typing import Any

from lambent.domain.function import Function, ResourcePolicy
from lambent.domain.limits import ASYNC_PAYLOAD_MAX_BYTES
from lambent.domain.parcel import Parcel
from lambent.errors import (
    InvalidParameterException,
    LimitExceededException,
    NotImplemented_,
    ResourceNotFoundException,
    ValidationException,
)
from samples import KEY, VERSION
from unit.services.logs.asking import Logs, run

FUNCTION_ARN = KEY.arn
STREAM_ARN = "arn:aws:kinesis:us-east-1:000000000000:stream/s"
REFUSED = (
    "Could not execute the lambda function. Make sure you have given CloudWatch Logs permission to execute your "
    "function."
)


async def with_function(logs: Logs, *, principal: str = "logs.amazonaws.com", source: str = "g:*") -> None:
    """Make a function that CloudWatch Logs may invoke for a group."""
    statement = {
        "Sid": "logs",
        "Effect": "Allow",
        "Principal": {"Service": principal},
        "Action": "lambda:InvokeFunction",
        "Resource": FUNCTION_ARN,
        "Condition": {
            "ArnLike": {"AWS:SourceArn": f"arn:aws:logs:us-east-1:000000000000:log-group:{source}"}
        },
    }
    policy = ResourcePolicy(
        text=json.dumps({"Version": "2012-10-17", "Id": "default", "Statement": [statement]}), revision_id="1"
    )
    await logs.functions.put(Function(key=KEY, latest=VERSION, policies={"$LATEST": policy}))


async def subscribe(logs: Logs, name: str = "f", pattern: str = "", **parameters: Any) -> None:
    wanted = {"destinationArn": FUNCTION_ARN} | parameters
    await logs("put_subscription_filter", logGroupName="g", filterName=name, filterPattern=pattern, **wanted)


async def refused(logs: Logs, error: Any, **parameters: Any) -> str:
    wanted = {
        "logGroupName": "g",
        "filterName": "f",
        "filterPattern": "",
        "destinationArn": FUNCTION_ARN,
    } | parameters
    return await logs.refused(error, "put_subscription_filter", **wanted)


def message_of(parcel: Parcel) -> dict[str, Any]:
    event = json.loads(parcel.body)
    assert list(event) == ["awslogs"]
    assert list(event["awslogs"]) == ["data"]
    return json.loads(gzip.decompress(base64.b64decode(event["awslogs"]["data"])))


def test_a_filter_is_described_as_it_was_put(logs: Logs) -> None:
    async def story() -> None:
        await logs.stream()
        await with_function(logs)
        await subscribe(logs, "two", "ERROR")
        await subscribe(logs, "one", distribution="Random")
        described = (await logs("describe_subscription_filters", logGroupName="g"))["subscriptionFilters"]
        assert [one["filterName"] for one in described] == ["one", "two"]
        assert described[1] == {
            "filterName": "two",
            "logGroupName": "g",
            "filterPattern": "ERROR",
            "destinationArn": FUNCTION_ARN,
            "distribution": "ByLogStream",
            "applyOnTransformedLogs": False,
            "creationTime": logs.now_ms,
        }
        assert described[0]["distribution"] == "Random"
        page = await logs("describe_subscription_filters", logGroupName="g", limit=1)
        rest = await logs("describe_subscription_filters", logGroupName="g", nextToken=page["nextToken"])
        assert [one["filterName"] for one in rest["subscriptionFilters"]] == ["two"]
        named = await logs("describe_subscription_filters", logGroupName="g", filterNamePrefix="tw")
        assert [one["filterName"] for one in named["subscriptionFilters"]] == ["two"]

    run(story)


def test_a_group_has_two_filters_and_one_of_the_same_name_is_replaced(logs: Logs) -> None:
    async def story() -> None:
        await logs.stream()
        await with_function(logs)
        await subscribe(logs, "a")
        await subscribe(logs, "b")
        assert await refused(logs, LimitExceededException, filterName="c") == "Resource limit exceeded."
        await subscribe(logs, "b", "other")
        await logs("delete_subscription_filter", logGroupName="g", filterName="a")
        (left,) = (await logs("describe_subscription_filters", logGroupName="g"))["subscriptionFilters"]
        assert (left["filterName"], left["filterPattern"]) == ("b", "other")
        gone = await logs.refused(
            ResourceNotFoundException, "delete_subscription_filter", logGroupName="g", filterName="a"
        )
        assert gone == "The specified subscription filter does not exist."

    run(story)


def test_a_function_has_to_be_there_and_to_let_cloudwatch_logs_in(logs: Logs) -> None:
    async def story() -> None:
        await logs.stream()
        assert await refused(logs, InvalidParameterException) == REFUSED
        await with_function(logs, principal="events.amazonaws.com")
        assert await refused(logs, InvalidParameterException) == REFUSED
        # AWS's source is the group's ARN with ":*".
        await with_function(logs, source="g")
        assert await refused(logs, InvalidParameterException) == REFUSED
        await with_function(logs, principal="logs.us-east-1.amazonaws.com")
        await subscribe(logs)
        assert (
            await refused(logs, InvalidParameterException, destinationArn=f"{FUNCTION_ARN}:live") == REFUSED
        )

    run(story)


def test_destinations_are_refused_in_awss_words(logs: Logs) -> None:
    async def story() -> None:
        await logs.stream()
        await with_function(logs)
        role = {"roleArn": "arn:aws:iam::000000000000:role/r"}

        async def why(arn: str, **more: Any) -> str:
            return await refused(logs, InvalidParameterException, destinationArn=arn, **more)

        assert (
            await why(FUNCTION_ARN, **role) == "destinationArn for vendor lambda cannot be used with roleArn"
        )
        assert await why(STREAM_ARN) == "destinationArn for vendor kinesis cannot be used without roleArn"
        assert "Could not deliver test message to specified Kinesis stream." in await why(STREAM_ARN, **role)
        queue = "arn:aws:sqs:us-east-1:000000000000:q"
        assert (
            await why(queue)
            == "PutSubscriptionFilter operation cannot work with destinationArn for vendor sqs"
        )
        assert await why("q") == "Invalid destinationArn."
        destination = "arn:aws:logs:us-east-1:000000000000:destination:d"
        assert (
            await refused(logs, ResourceNotFoundException, destinationArn=destination)
            == "The specified destination does not exist."
        )
        await refused(logs, InvalidParameterException, filterPattern="{ $.a = ")
        await refused(logs, NotImplemented_, emitSystemFields=["@aws.account"])
        await refused(logs, ResourceNotFoundException, logGroupName="gone")

    run(story)


def test_only_standard_groups_have_filters(logs: Logs) -> None:
    async def story() -> None:
        await logs("create_log_group", logGroupName="g", logGroupClass="INFREQUENT_ACCESS")
        only = "This operation is only supported on the Standard log class."
        assert await refused(logs, ValidationException) == only
        assert (
            await logs.refused(ValidationException, "describe_subscription_filters", logGroupName="g") == only
        )

    run(story)


def test_a_subscriber_gets_the_events_that_match_with_their_ids(logs: Logs) -> None:
    async def story() -> None:
        await logs.stream()
        await with_function(logs)
        await subscribe(logs, "errors", "ERROR")
        now_ms = logs.now_ms
        await logs.put((now_ms - 2, "ERROR ü \ud800"), (now_ms - 1, "fine"), (now_ms, "ERROR two"))
        (parcel,) = logs.parcels
        assert parcel.arn == FUNCTION_ARN
        assert parcel.sender is not None
        assert parcel.sender.source_arn == "arn:aws:logs:us-east-1:000000000000:log-group:g:*"
        found = await logs("filter_log_events", logGroupName="g", filterPattern="ERROR")
        assert message_of(parcel) == {
            "messageType": "DATA_MESSAGE",
            "owner": "000000000000",
            "logGroup": "g",
            "logStream": "s",
            "subscriptionFilters": ["errors"],
            "logEvents": [
                {"id": event["eventId"], "timestamp": event["timestamp"], "message": event["message"]}
                for event in found["events"]
            ],
        }
        await logs.put((now_ms, "fine"))
        assert len(logs.parcels) == 1

    run(story)


def test_fields_of_a_space_delimited_pattern_are_extracted(logs: Logs) -> None:
    async def story() -> None:
        await logs.stream()
        await with_function(logs)
        await subscribe(logs, pattern="[level, code=5*, rest]")
        await logs.put((logs.now_ms, "ERROR 503 down"), (logs.now_ms, "ERROR 404 nothing"))
        (event,) = message_of(logs.parcels[0])["logEvents"]
        assert event["extractedFields"] == {"level": "ERROR", "code": "503", "rest": "down"}

    run(story)


def test_each_of_two_filters_is_served_and_a_deleted_one_is_not(logs: Logs) -> None:
    async def story() -> None:
        await logs.stream()
        await with_function(logs)
        await subscribe(logs, "a")
        await subscribe(logs, "b", "two")
        await logs.put((logs.now_ms, "one"), (logs.now_ms, "two"))
        await logs("delete_subscription_filter", logGroupName="g", filterName="a")
        await logs.put((logs.now_ms, "three"))
        told = [message_of(parcel) for parcel in logs.parcels]
        assert [(one["subscriptionFilters"], len(one["logEvents"])) for one in told] == [
            (["a"], 2),
            (["b"], 1),
        ]

    run(story)


def test_what_is_too_large_for_one_event_comes_in_several(logs: Logs) -> None:
    async def story() -> None:
        await logs.stream()
        await with_function(logs)
        await subscribe(logs)
        dice = random.Random(1)
        signs = [chr(code) for code in range(33, 127)]
        texts = ["".join(dice.choices(signs, k=262_000)) for _ in range(4)]
        await logs.put(*((logs.now_ms, text) for text in texts))
        assert len(logs.parcels) > 1
        assert all(len(parcel.body) <= ASYNC_PAYLOAD_MAX_BYTES for parcel in logs.parcels)
        events = [event for parcel in logs.parcels for event in message_of(parcel)["logEvents"]]
        assert [event["message"] for event in events] == texts

    run(story)
