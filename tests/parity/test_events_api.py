"""EventBridge, asked by boto3 and the AWS CLI: buses, rules, targets, events, permissions, tags, errors."""

from __future__ import annotations

import json
import re
import subprocess
import sysconfig
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from harness import ACCOUNT, REGION, Server, create

PATIENCE_S = 30
OTHER = "111111111111"
PLACE = f"arn:aws:events:{REGION}:{ACCOUNT}"
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@pytest.fixture(scope="module")
def events(lambent: Server) -> Any:
    return lambent.client("events")


@pytest.fixture(scope="module")
def sqs(lambent: Server) -> Any:
    return lambent.client("sqs")


@pytest.fixture
def bus(events: Any, name: str) -> str:
    """The name of a bus of the test's own."""
    events.create_event_bus(Name=name)
    return name


@pytest.fixture
def queue(sqs: Any, name: str) -> tuple[str, str]:
    """The URL and ARN of a queue of the test's own."""
    return sqs.create_queue(QueueName=name)["QueueUrl"], f"arn:aws:sqs:{REGION}:{ACCOUNT}:{name}"


def take(sqs: Any, url: str, count: int = 1) -> list[Any]:
    """Receive so many messages and delete them."""
    found: list[Any] = []
    deadline_s = time.monotonic() + PATIENCE_S
    while len(found) < count:
        assert time.monotonic() < deadline_s, found
        answer = sqs.receive_message(
            QueueUrl=url,
            MaxNumberOfMessages=10,
            WaitTimeSeconds=5,
            MessageAttributeNames=["All"],
            MessageSystemAttributeNames=["All"],
        )
        for message in answer.get("Messages", ()):
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
            found.append(message)
    return found


def bodies(sqs: Any, url: str, count: int = 1) -> list[Any]:
    return [json.loads(message["Body"]) for message in take(sqs, url, count)]


def refusal(ask: Callable[..., Any], **parameters: Any) -> tuple[str, str, int]:
    with pytest.raises(ClientError) as caught:
        ask(**parameters)
    response: Any = caught.value.response
    error = response["Error"]
    return error["Code"], error["Message"], response["ResponseMetadata"]["HTTPStatusCode"]


def on(bus: str, source: Any = "shop") -> dict[str, Any]:
    """The parameters of a rule that means the events of a source."""
    return {"Name": "r", "EventBusName": bus, "EventPattern": json.dumps({"source": [source]})}


def entry(bus: str, detail: Any = None, **members: Any) -> dict[str, Any]:
    return {
        "Source": "shop",
        "DetailType": "Order",
        "Detail": json.dumps({} if detail is None else detail),
        "EventBusName": bus,
        **members,
    }


# Buses -------------------------------------------------------------------------------------------------------


def test_the_default_bus_is_there_always(events: Any) -> None:
    shown = events.describe_event_bus()
    assert (shown["Name"], shown["Arn"]) == ("default", f"{PLACE}:event-bus/default")
    (listed,) = events.list_event_buses(NamePrefix="default")["EventBuses"]
    assert listed["Name"] == "default"
    code, message, status = refusal(events.create_event_bus, Name="default")
    assert (code, status) == ("ResourceAlreadyExistsException", 400)
    assert message == "Event bus default already exists."
    assert refusal(events.delete_event_bus, Name="default")[:2] == (
        "ValidationException",
        "Cannot delete event bus default.",
    )


def test_a_bus_is_made_shown_changed_and_deleted(events: Any, name: str) -> None:
    made = events.create_event_bus(
        Name=name,
        Description="d",
        DeadLetterConfig={"Arn": f"arn:aws:sqs:{REGION}:{ACCOUNT}:q"},
        Tags=[{"Key": "k", "Value": "v"}],
    )
    arn = f"{PLACE}:event-bus/{name}"
    assert (made["EventBusArn"], made["Description"]) == (arn, "d")
    assert refusal(events.create_event_bus, Name=name)[1] == f"Event bus {name} already exists."
    updated = events.update_event_bus(Name=name, Description="e")
    assert (updated["Arn"], updated["Name"], updated["Description"]) == (arn, name, "e")
    for asked in (name, arn):
        shown = events.describe_event_bus(Name=asked)
        assert (shown["Name"], shown["Arn"], shown["Description"]) == (name, arn, "e")
        assert shown["DeadLetterConfig"]["Arn"].endswith(":q")
        assert abs((shown["CreationTime"] - datetime.now(UTC)).total_seconds()) < 60
    (listed,) = events.list_event_buses(NamePrefix=name)["EventBuses"]
    assert listed["Description"] == "e"
    events.delete_event_bus(Name=name)
    events.delete_event_bus(Name=name)
    assert refusal(events.describe_event_bus, Name=name) == (
        "ResourceNotFoundException",
        f"Event bus {name} does not exist.",
        400,
    )


def test_a_bus_with_rules_stays(events: Any, bus: str) -> None:
    events.put_rule(**on(bus))
    assert refusal(events.delete_event_bus, Name=bus)[:2] == (
        "ValidationException",
        "EventBus can't be deleted since it has rules.",
    )
    events.delete_rule(Name="r", EventBusName=bus)
    events.delete_event_bus(Name=bus)


def test_names_are_aws_s(events: Any) -> None:
    assert refusal(events.create_event_bus, Name="a/b")[:2] == (
        "ValidationException",
        "Event bus name must not contain '/'.",
    )
    code, message, _ = refusal(events.create_event_bus, Name="a b")
    assert code == "ValidationException"
    assert message.startswith(
        "1 validation error detected: Value 'a b' at 'name' failed to satisfy constraint"
    )


def test_buses_come_in_pages(lambent: Server) -> None:
    events = lambent.client("events", account="222222222222")
    for letter in "edcba":
        events.create_event_bus(Name=letter)
    names: list[str] = []
    token: dict[str, Any] = {}
    while True:
        page = events.list_event_buses(Limit=2, **token)
        names += [one["Name"] for one in page["EventBuses"]]
        if "NextToken" not in page:
            break
        token = {"NextToken": page["NextToken"]}
    assert names == ["a", "b", "c", "d", "default", "e"]
    assert refusal(events.list_event_buses, NextToken="x")[0] == "ValidationException"


def test_an_account_has_a_hundred_buses_besides_the_default_one(lambent: Server) -> None:
    events = lambent.client("events", account="333333333333")
    events.update_event_bus(Description="the default one counts not")
    for number in range(100):
        events.create_event_bus(Name=f"b{number}")
    assert refusal(events.create_event_bus, Name="more")[:2] == (
        "LimitExceededException",
        "The requested resource exceeds the maximum number allowed.",
    )


# Rules -------------------------------------------------------------------------------------------------------


def test_a_rule_is_put_shown_switched_replaced_and_deleted(events: Any, bus: str) -> None:
    arn = f"{PLACE}:rule/{bus}/r"
    put = events.put_rule(**on(bus), Description="d", Tags=[{"Key": "k", "Value": "v"}])
    assert put["RuleArn"] == arn
    shown = events.describe_rule(Name="r", EventBusName=bus)
    shown.pop("ResponseMetadata")
    assert shown == {
        "Name": "r",
        "Arn": arn,
        "EventPattern": '{"source": ["shop"]}',
        "State": "ENABLED",
        "Description": "d",
        "EventBusName": bus,
        "CreatedBy": ACCOUNT,
    }
    events.disable_rule(Name="r", EventBusName=f"{PLACE}:event-bus/{bus}")
    assert events.list_rules(EventBusName=bus)["Rules"][0]["State"] == "DISABLED"
    events.enable_rule(Name="r", EventBusName=bus)
    events.put_rule(**on(bus, "bank"))
    shown = events.describe_rule(Name="r", EventBusName=bus)
    assert (shown["EventPattern"], shown.get("Description")) == ('{"source": ["bank"]}', None)
    assert events.list_tags_for_resource(ResourceARN=arn)["Tags"] == [{"Key": "k", "Value": "v"}]
    events.delete_rule(Name="r", EventBusName=bus)
    events.delete_rule(Name="r", EventBusName=bus)
    assert refusal(events.describe_rule, Name="r", EventBusName=bus) == (
        "ResourceNotFoundException",
        f"Rule r does not exist on EventBus {bus}.",
        400,
    )


def test_a_rule_on_the_default_bus_does_not_name_it(events: Any, name: str) -> None:
    put = events.put_rule(Name=name, EventPattern='{"source": ["x"]}')
    assert put["RuleArn"] == f"{PLACE}:rule/{name}"
    events.delete_rule(Name=name)


def test_a_rule_needs_a_pattern_or_a_schedule(events: Any, bus: str) -> None:
    def refused(**members: Any) -> tuple[str, str]:
        return refusal(events.put_rule, **{"Name": "r", **members})[:2]

    assert refused() == (
        "ValidationException",
        "Parameter(s) EventPattern or ScheduleExpression must be specified.",
    )
    assert refused(ScheduleExpression="rate(1 minutes)") == (
        "ValidationException",
        "Parameter ScheduleExpression is not valid.",
    )
    assert refused(ScheduleExpression="rate(1 minute)", EventBusName=bus) == (
        "ValidationException",
        "ScheduleExpression is supported only on the default event bus.",
    )
    assert refused(EventPattern="{}", EventBusName=f"{bus}-not") == (
        "ResourceNotFoundException",
        f"Event bus {bus}-not does not exist.",
    )
    code, message = refused(EventPattern='{"source": ["aws.health"], "detail": {}}')
    assert code == "InvalidEventPatternException"
    assert message == (
        "Event pattern is not valid. Reason: Empty objects are not allowed at [Source: "
        '(String)"{"source": ["aws.health"], "detail": {}}"; line: 1, column: 40]'
    )
    assert refused(EventPattern='{"a": [1')[0] == "InvalidEventPatternException"


def test_rules_come_in_pages_and_are_found_by_their_targets(events: Any, bus: str) -> None:
    arn = f"arn:aws:sqs:{REGION}:{ACCOUNT}:q"
    for name in ("b", "a", "c", "other"):
        events.put_rule(**on(bus) | {"Name": name})
        if name != "other":
            target = {"Id": "1", "Arn": arn}
            assert events.put_targets(Rule=name, EventBusName=bus, Targets=[target])["FailedEntryCount"] == 0
    first = events.list_rules(EventBusName=bus, Limit=3)
    assert [rule["Name"] for rule in first["Rules"]] == ["a", "b", "c"]
    second = events.list_rules(EventBusName=bus, Limit=3, NextToken=first["NextToken"])
    assert [rule["Name"] for rule in second["Rules"]] == ["other"]
    assert "NextToken" not in second
    assert [rule["Name"] for rule in events.list_rules(EventBusName=bus, NamePrefix="o")["Rules"]] == [
        "other"
    ]
    found = events.list_rule_names_by_target(EventBusName=bus, TargetArn=arn, Limit=2)
    assert found["RuleNames"] == ["a", "b"]


def test_a_pattern_is_tried_out(events: Any) -> None:
    event = {
        "id": "1",
        "account": "1",
        "source": "shop",
        "time": "2026-01-01T00:00:00Z",
        "region": "r",
        "resources": [],
        "detail-type": "Order",
        "detail": {"n": 5},
    }

    def result(pattern: Any) -> bool:
        return events.test_event_pattern(EventPattern=json.dumps(pattern), Event=json.dumps(event))["Result"]

    assert result({"detail": {"n": [{"numeric": [">", 3]}]}})
    assert not result({"detail": {"n": [{"anything-but": 5}]}})
    assert refusal(events.test_event_pattern, EventPattern='{"a": 1}', Event=json.dumps(event))[0] == (
        "InvalidEventPatternException"
    )
    for text in ("{", "[]", '{"id": "1"}'):
        code, _, _ = refusal(events.test_event_pattern, EventPattern='{"a": [1]}', Event=text)
        assert code == "ValidationException"


# Targets -----------------------------------------------------------------------------------------------------


def test_targets_are_put_listed_and_removed_and_keep_their_rule(events: Any, bus: str) -> None:
    events.put_rule(**on(bus))
    there = {"Rule": "r", "EventBusName": bus}
    given = {
        "Id": "2",
        "Arn": f"arn:aws:sqs:{REGION}:{ACCOUNT}:q",
        "RetryPolicy": {"MaximumRetryAttempts": 3},
    }
    answer = events.put_targets(
        **there, Targets=[given, {"Id": "1", "Arn": f"arn:aws:sns:{REGION}:{ACCOUNT}:t"}]
    )
    assert (answer["FailedEntryCount"], answer["FailedEntries"]) == (0, [])
    first = events.list_targets_by_rule(**there, Limit=1)
    assert [target["Id"] for target in first["Targets"]] == ["1"]
    second = events.list_targets_by_rule(**there, NextToken=first["NextToken"])
    assert second["Targets"] == [given]
    assert refusal(events.delete_rule, Name="r", EventBusName=bus)[:2] == (
        "ValidationException",
        "Rule can't be deleted since it has targets.",
    )
    answer = events.remove_targets(**there, Ids=["1", "2", "3"])
    assert answer["FailedEntryCount"] == 1
    assert (answer["FailedEntries"][0]["TargetId"], answer["FailedEntries"][0]["ErrorCode"]) == (
        "3",
        "ResourceNotFoundException",
    )
    assert events.list_targets_by_rule(**there)["Targets"] == []


def test_what_cannot_be_a_target_is_refused_as_a_whole(events: Any, bus: str) -> None:
    events.put_rule(**on(bus))
    good = {"Id": "good", "Arn": f"arn:aws:sqs:{REGION}:{ACCOUNT}:q"}

    def refused(**members: Any) -> str:
        code, message, status = refusal(
            events.put_targets, Rule="r", EventBusName=bus, Targets=[good, {"Id": "1", **members}]
        )
        assert (code, status) == ("ValidationException", 400)
        return message

    for arn in ("q", f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/t"):
        assert refused(Arn=arn) == (
            f"Parameter {arn} is not valid. Reason: Provided Arn is not in correct format."
        )
    fifo = f"{good['Arn']}.fifo"
    assert refused(Arn=fifo) == "Parameter(s) SqsParameters must be specified for target: 1."
    stream = f"arn:aws:kinesis:{REGION}:{ACCOUNT}:stream/s"
    assert refused(Arn=stream) == f"RoleArn is required for target {stream}."
    assert refused(Arn=good["Arn"], Input="{") == "Input for target 1 is not a valid JSON text."
    assert refused(Arn=good["Arn"], InputTransformer={"InputPathsMap": {}, "InputTemplate": '"<x>"'}) == (
        "InputTemplate for target 1 contains invalid placeholder x."
    )
    assert refused(Arn=good["Arn"], DeadLetterConfig={"Arn": fifo}).startswith(
        f"Parameter {fifo} is not valid"
    )
    assert "not supported" in refused(Arn=f"{PLACE}:event-bus/x", Input="{}")
    assert refused(Arn=good["Arn"], RetryPolicy={"MaximumRetryAttempts": 186}).startswith(
        "1 validation error detected: Value '186' at 'targets.2.member.retryPolicy.maximumRetryAttempts'"
    )
    many = [{**good, "Id": str(number)} for number in range(6)]
    assert (
        refusal(events.put_targets, Rule="r", EventBusName=bus, Targets=many)[0] == "LimitExceededException"
    )
    assert events.list_targets_by_rule(Rule="r", EventBusName=bus)["Targets"] == []
    assert refusal(events.put_targets, Rule="none", EventBusName=bus, Targets=[good])[0] == (
        "ResourceNotFoundException"
    )


# Events ------------------------------------------------------------------------------------------------------


def test_an_event_reaches_a_queue_in_aws_s_envelope(events: Any, sqs: Any, bus: str, queue: Any) -> None:
    url, arn = queue
    events.put_rule(**on(bus))
    events.put_targets(Rule="r", EventBusName=bus, Targets=[{"Id": "1", "Arn": arn}])
    trace = "Root=1-5bdb40ca-556d8b0c50dc66f0511bf520;Parent=0123456789abcdef;Sampled=1"
    put = events.put_events(
        Entries=[
            entry(
                bus,
                {"b": [1, 2.50, "ü"], "a": None},
                Time=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
                Resources=["one", "two"],
                TraceHeader=trace,
            )
        ]
    )
    assert put["FailedEntryCount"] == 0
    (event_id,) = [one["EventId"] for one in put["Entries"]]
    assert UUID.fullmatch(event_id)
    (message,) = take(sqs, url)
    assert message["Body"] == (
        f'{{"version":"0","id":"{event_id}","detail-type":"Order","source":"shop","account":"{ACCOUNT}",'
        f'"time":"2026-01-02T03:04:05Z","region":"{REGION}","resources":["one","two"],'
        '"detail":{"b":[1,2.5,"\\u00fc"],"a":null}}'
    )
    assert message["Attributes"]["AWSTraceHeader"] == trace


def test_each_entry_has_its_own_answer(events: Any, sqs: Any, bus: str, queue: Any) -> None:
    url, arn = queue
    events.put_rule(**on(bus))
    events.put_targets(Rule="r", EventBusName=bus, Targets=[{"Id": "1", "Arn": arn}])
    put = events.put_events(
        Entries=[
            entry(bus, "x") | {"Detail": "{"},
            entry(bus) | {"Detail": "[1]"},
            entry(bus, Source=""),
            {"Source": "shop", "DetailType": "Order"},
            entry(bus, Source="aws.ec2"),
            entry(f"{bus}-not"),
            entry(bus, {"n": 1}),
        ]
    )
    assert put["FailedEntryCount"] == 5
    failures = [(one.get("ErrorCode"), one.get("ErrorMessage")) for one in put["Entries"]]
    assert failures == [
        ("MalformedDetail", "Detail is malformed."),
        ("MalformedDetail", "Detail is malformed."),
        ("InvalidArgument", "Parameter Source is not valid. Reason: Source is a required argument."),
        ("InvalidArgument", "Parameter Detail is not valid. Reason: Detail is a required argument."),
        ("NotAuthorizedForSourceException", "Not authorized for the source."),
        (None, None),
        (None, None),
    ]
    assert [body["detail"] for body in bodies(sqs, url)] == [{"n": 1}]


def test_there_are_limits_to_a_request(events: Any, bus: str) -> None:
    code, message, _ = refusal(events.put_events, Entries=[entry(bus)] * 11)
    assert code == "ValidationException"
    assert message.endswith("Member must have length less than or equal to 10")
    large = [entry(bus, {"a": "x" * 600_000})]
    assert events.put_events(Entries=large)["FailedEntryCount"] == 0
    assert refusal(events.put_events, Entries=large * 2)[:2] == (
        "ValidationException",
        "Total size of the entries in the request is over the limit.",
    )


def test_targets_get_what_was_made_of_the_event(events: Any, sqs: Any, bus: str, queue: Any) -> None:
    url, arn = queue
    events.put_rule(**on(bus))
    template = '{"id": <id>, "text": "<id> of <aws.events.rule-name>", "all": <aws.events.event.json>}'
    transformer = {"InputPathsMap": {"id": "$.detail.id"}, "InputTemplate": template}
    events.put_targets(
        Rule="r",
        EventBusName=bus,
        Targets=[
            {"Id": "text", "Arn": arn, "Input": '{"own": 1}'},
            {"Id": "part", "Arn": arn, "InputPath": "$.detail"},
            {"Id": "made", "Arn": arn, "InputTransformer": transformer},
        ],
    )
    events.put_events(Entries=[entry(bus, {"id": "o-1"})])
    made, part, text = sorted(bodies(sqs, url, 3), key=lambda body: -len(str(body)))
    assert (text, part) == ({"own": 1}, {"id": "o-1"})
    assert (made["id"], made["text"]) == ("o-1", "o-1 of r")
    assert made["all"]["detail"] == {"id": "o-1"}


def test_fifo_queues_get_events_in_a_group(events: Any, sqs: Any, bus: str) -> None:
    fifo = {"FifoQueue": "true", "ContentBasedDeduplication": "true"}
    url = sqs.create_queue(QueueName=f"{bus}.fifo", Attributes=fifo)["QueueUrl"]
    arn = f"arn:aws:sqs:{REGION}:{ACCOUNT}:{bus}.fifo"
    events.put_rule(**on(bus))
    target = {"Id": "1", "Arn": arn, "SqsParameters": {"MessageGroupId": "g"}}
    events.put_targets(Rule="r", EventBusName=bus, Targets=[target])
    events.put_events(Entries=[entry(bus)])
    (message,) = take(sqs, url)
    assert message["Attributes"]["MessageGroupId"] == "g"


def test_topics_and_other_buses_pass_events_on(
    lambent: Server, events: Any, sqs: Any, bus: str, queue: Any
) -> None:
    url, arn = queue
    sns = lambent.client("sns")
    topic = sns.create_topic(Name=bus)["TopicArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn, Attributes={"RawMessageDelivery": "true"})
    second = events.create_event_bus(Name=f"{bus}-2")["EventBusArn"]
    events.put_rule(**on(bus))
    events.put_targets(Rule="r", EventBusName=bus, Targets=[{"Id": "1", "Arn": second}])
    events.put_rule(**on(f"{bus}-2"))
    events.put_targets(Rule="r", EventBusName=f"{bus}-2", Targets=[{"Id": "1", "Arn": topic}])
    (put,) = events.put_events(Entries=[entry(bus, {"n": 1})])["Entries"]
    (body,) = bodies(sqs, url)
    assert (body["id"], body["source"], body["detail"]) == (put["EventId"], "shop", {"n": 1})


def test_a_log_group_gets_events_as_lines(lambent: Server, events: Any, bus: str) -> None:
    logs = lambent.client("logs")
    group = f"/aws/events/{bus}"
    logs.create_log_group(logGroupName=group)
    arn = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{group}"
    events.put_rule(**on(bus))
    line = '{"timestamp": <at>, "message": "order <id>"}'
    paths = {"at": "$.detail.at", "id": "$.detail.id"}
    transformer = {"InputPathsMap": paths, "InputTemplate": line}
    targets = [{"Id": "1", "Arn": arn}, {"Id": "2", "Arn": f"{arn}:*", "InputTransformer": transformer}]
    events.put_targets(Rule="r", EventBusName=bus, Targets=targets)
    events.put_events(Entries=[entry(bus, {"id": 7, "at": 1_767_225_600_000})])
    found: list[Any] = []
    deadline_s = time.monotonic() + PATIENCE_S
    while len(found) < 2:
        assert time.monotonic() < deadline_s, found
        found = logs.filter_log_events(logGroupName=group)["events"]
    made, whole = found
    assert (made["timestamp"], made["message"]) == (1_767_225_600_000, "order 7")
    assert json.loads(whole["message"])["detail"]["id"] == 7


def test_a_function_gets_events_once_its_policy_lets_its_rule_in(
    lambent: Server, events: Any, sqs: Any, bus: str, queue: Any, name: str
) -> None:
    url, arn = queue
    client = lambent.client("lambda")
    function = create(client, name, "def handler(event, context): return event")["FunctionArn"]
    destination = {"OnSuccess": {"Destination": arn}}
    client.put_function_event_invoke_config(FunctionName=name, DestinationConfig=destination)
    rule = events.put_rule(**on(bus))["RuleArn"]
    dead = sqs.create_queue(QueueName=f"{name}-dead")["QueueUrl"]
    letters = {"DeadLetterConfig": {"Arn": f"{arn}-dead"}}
    events.put_targets(Rule="r", EventBusName=bus, Targets=[{"Id": "1", "Arn": function, **letters}])
    events.put_events(Entries=[entry(bus, {"n": 1})])
    (letter,) = take(sqs, dead)
    assert {key: value["StringValue"] for key, value in letter["MessageAttributes"].items()} == {
        "RULE_ARN": rule,
        "TARGET_ARN": function,
        "ERROR_CODE": "NO_PERMISSIONS",
        "ERROR_MESSAGE": "the function's policy does not allow lambda:InvokeFunction to events.amazonaws.com for "
        f"{rule} (see lambda add-permission)",
        "RETRY_ATTEMPTS": "0",
    }
    assert json.loads(letter["Body"])["detail"] == {"n": 1}
    client.add_permission(
        FunctionName=name,
        StatementId="events",
        Action="lambda:InvokeFunction",
        Principal="events.amazonaws.com",
        SourceArn=rule,
    )
    events.put_events(Entries=[entry(bus, {"n": 2})])
    (record,) = bodies(sqs, url)
    assert record["requestPayload"]["detail"] == {"n": 2}


def test_what_is_not_there_gets_nothing_and_its_dead_letters_say_so(
    events: Any, sqs: Any, bus: str, queue: Any
) -> None:
    url, arn = queue
    events.put_rule(**on(bus))
    target = {"Id": "1", "Arn": f"{arn}-not", "DeadLetterConfig": {"Arn": arn}}
    events.put_targets(Rule="r", EventBusName=bus, Targets=[target])
    events.put_events(Entries=[entry(bus)])
    (letter,) = take(sqs, url)
    assert letter["MessageAttributes"]["ERROR_CODE"]["StringValue"] == "NO_RESOURCE"


# Permissions and tags ----------------------------------------------------------------------------------------


def test_permissions_open_a_bus_to_another_account(
    lambent: Server, events: Any, sqs: Any, bus: str, queue: Any
) -> None:
    url, arn = queue
    foreign = lambent.client("events", account=OTHER)
    bus_arn = f"{PLACE}:event-bus/{bus}"
    events.put_rule(**on(bus))
    events.put_targets(Rule="r", EventBusName=bus, Targets=[{"Id": "1", "Arn": arn}])
    foreign.create_event_bus(Name=bus)
    foreign.put_rule(**on(bus))
    foreign.put_targets(Rule="r", EventBusName=bus, Targets=[{"Id": "1", "Arn": bus_arn}])
    code, message, status = refusal(foreign.put_events, Entries=[entry(bus), entry(bus_arn)])
    assert (code, status) == ("AccessDeniedException", 400)
    assert message == (
        f"User: arn:aws:iam::{OTHER}:root is not authorized to perform: events:PutEvents on resource: {bus_arn} "
        "because no resource-based policy allows the events:PutEvents action"
    )
    permission = {"Action": "events:PutEvents", "Principal": OTHER, "StatementId": "s"}
    events.put_permission(EventBusName=bus, **permission)
    events.put_permission(EventBusName=bus, **permission)
    (statement,) = json.loads(events.describe_event_bus(Name=bus)["Policy"])["Statement"]
    assert statement == {
        "Sid": "s",
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{OTHER}:root"},
        "Action": "events:PutEvents",
        "Resource": bus_arn,
    }
    assert foreign.put_events(Entries=[entry(bus_arn, {"n": 1})])["FailedEntryCount"] == 0
    assert foreign.put_events(Entries=[entry(bus, {"n": 2})])["FailedEntryCount"] == 0
    found = bodies(sqs, url, 2)
    assert {(body["account"], body["detail"]["n"]) for body in found} == {(OTHER, 1), (OTHER, 2)}
    assert refusal(foreign.describe_event_bus, Name=bus_arn)[0] == "AccessDeniedException"
    assert refusal(events.remove_permission, EventBusName=bus, StatementId="t")[:2] == (
        "ResourceNotFoundException",
        "Statement with the provided id does not exist.",
    )
    events.remove_permission(EventBusName=bus, StatementId="s")
    assert "Policy" not in events.describe_event_bus(Name=bus)
    assert refusal(events.remove_permission, EventBusName=bus, StatementId="s")[:2] == (
        "ResourceNotFoundException",
        "EventBus does not have a policy.",
    )


def test_a_policy_of_one_s_own_may_open_rules_too(lambent: Server, events: Any, bus: str) -> None:
    foreign = lambent.client("events", account=OTHER)
    bus_arn = f"{PLACE}:event-bus/{bus}"
    statement = {
        "Effect": "Allow",
        "Principal": {"AWS": OTHER},
        "Action": ["events:PutRule", "events:DescribeRule"],
        "Resource": f"{PLACE}:rule/{bus}/*",
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    assert refusal(foreign.put_rule, **on(bus_arn))[0] == "AccessDeniedException"
    events.put_permission(EventBusName=bus, Policy=policy)
    assert foreign.put_rule(**on(bus_arn))["RuleArn"] == f"{PLACE}:rule/{bus}/r"
    assert events.describe_rule(Name="r", EventBusName=bus)["CreatedBy"] == OTHER
    events.remove_permission(EventBusName=bus, RemoveAllPermissions=True)
    assert refusal(foreign.describe_rule, Name="r", EventBusName=bus_arn)[0] == "AccessDeniedException"


def test_a_permission_that_cannot_be_is_refused(events: Any, bus: str) -> None:
    permission = {"Action": "events:PutEvents", "Principal": OTHER, "StatementId": "s", "EventBusName": bus}

    def refused(**members: Any) -> tuple[str, str]:
        return refusal(events.put_permission, **permission | members)[:2]

    assert refused(Action="events:PutRule")[1] == "Provided value in parameter 'action' is not supported."
    assert refused(Principal="x")[0] == "ValidationException"
    assert refused(EventBusName=f"{bus}-not")[0] == "ResourceNotFoundException"
    assert refused(Policy="{")[0] == "ValidationException"
    statement = {"Effect": "Allow", "Principal": "*", "Action": "events:*", "Resource": ["x" * 11_000]}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    assert refused(Policy=policy)[0] in ("PolicyLengthExceededException", "ValidationException")
    del permission["Principal"]
    assert refused()[1] == "Parameter(s) Principal must be specified."


def test_buses_and_rules_have_tags(events: Any, bus: str) -> None:
    events.put_rule(**on(bus))
    for arn in (f"{PLACE}:event-bus/{bus}", f"{PLACE}:rule/{bus}/r"):
        events.tag_resource(ResourceARN=arn, Tags=[{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}])
        events.tag_resource(ResourceARN=arn, Tags=[{"Key": "a", "Value": "3"}])
        events.untag_resource(ResourceARN=arn, TagKeys=["b", "c"])
        assert events.list_tags_for_resource(ResourceARN=arn)["Tags"] == [{"Key": "a", "Value": "3"}]
        many = [{"Key": str(number), "Value": ""} for number in range(50)]
        assert refusal(events.tag_resource, ResourceARN=arn, Tags=many)[0] == "LimitExceededException"
        own = [{"Key": "aws:x", "Value": ""}]
        assert refusal(events.tag_resource, ResourceARN=arn, Tags=own)[0] == "ValidationException"
        gone = {"ResourceARN": f"{arn}-not"}
        assert refusal(events.list_tags_for_resource, **gone)[0] == "ResourceNotFoundException"
        assert refusal(events.untag_resource, **gone, TagKeys=["a"])[0] == "ResourceNotFoundException"
    assert refusal(events.list_tags_for_resource, ResourceARN="x")[0] == "ValidationException"


def test_what_is_not_served_says_so(events: Any) -> None:
    for ask, parameters in (
        (events.list_archives, {}),
        (events.list_connections, {}),
        (events.create_event_bus, {"Name": "x", "EventSourceName": "aws.partner/a/b"}),
    ):
        code, _, status = refusal(ask, **parameters)
        assert (code, status) == ("NotImplemented", 501)


# The AWS CLI -------------------------------------------------------------------------------------------------


def test_the_aws_cli_tells_the_whole_story(lambent: Server, sqs: Any, queue: Any, name: str) -> None:
    url, arn = queue

    def aws(*words: str) -> Any:
        program = str(Path(sysconfig.get_path("scripts")) / "aws")
        command = [program, "--endpoint-url", lambent.endpoint, "--output", "json", "events", *words]
        done = subprocess.run(command, env=lambent.environ(), capture_output=True, check=True)
        return json.loads(done.stdout) if done.stdout.strip() else None

    aws("put-rule", "--name", name, "--event-pattern", json.dumps({"source": [name]}))
    aws("put-targets", "--rule", name, "--targets", f"Id=1,Arn={arn}")
    entries = json.dumps([{"Source": name, "DetailType": "t", "Detail": '{"from": "the shell"}'}])
    assert aws("put-events", "--entries", entries)["FailedEntryCount"] == 0
    assert [body["detail"] for body in bodies(sqs, url)] == [{"from": "the shell"}]
    aws("remove-targets", "--rule", name, "--ids", "1")
    aws("delete-rule", "--name", name)
