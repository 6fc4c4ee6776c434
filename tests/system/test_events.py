"""Asynchronous events on a real server: what was acknowledged runs, whatever happens to the server.

How often the server is killed is ``LAMBENT_KILLS`` (`make kills` takes a hundred).
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import queue as queue_module
import random
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from http.client import HTTPConnection, HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlencode
from urllib.request import Request, urlopen

from harness import ACCOUNT, REGION, Server, create

KILLS = int(os.environ.get("LAMBENT_KILLS", "4"))
CALLERS = 4
PATIENCE_S = 60
ECHO = "def handler(event, context):\n    return event\n"
FAIL = "def handler(event, context):\n    raise ValueError('no')\n"
CALL_ITSELF = """
import boto3, json
client = boto3.client("lambda")
def handler(event, context):
    client.invoke(FunctionName=context.function_name, InvocationType="Event", Payload=json.dumps({"n": event["n"] + 1}))
    return event
"""
FORWARD = """
import boto3, json, os
client = boto3.client("sqs")
def handler(event, context):
    for record in event["Records"]:
        client.send_message(QueueUrl=os.environ["RESULTS"], MessageBody=json.dumps(record))
"""

FORWARD_BUT_POISON = """
import boto3, json, os
client = boto3.client("sqs")
def handler(event, context):
    failed = []
    for record in event["Records"]:
        if record["body"] == "poison":
            failed.append({"itemIdentifier": record["messageId"]})
        else:
            client.send_message(QueueUrl=os.environ["RESULTS"], MessageBody=json.dumps(record))
    return {"batchItemFailures": failed}
"""


def queue(server: Server, name: str) -> tuple[str, str]:
    """Make a queue and return its URL and ARN."""
    url = server.client("sqs").create_queue(QueueName=name)["QueueUrl"]
    return url, f"arn:aws:sqs:{REGION}:{ACCOUNT}:{name}"


def take(sqs: Any, url: str, *, wait_s: int = 5) -> list[Any]:
    """Receive messages and delete them."""
    url = f"{sqs.meta.endpoint_url}/{ACCOUNT}/{url.rpartition('/')[2]}"
    messages = sqs.receive_message(
        QueueUrl=url,
        MaxNumberOfMessages=10,
        WaitTimeSeconds=wait_s,
        MessageAttributeNames=["All"],
        MessageSystemAttributeNames=["All"],
    ).get("Messages", [])
    if messages:
        entries = [
            {"Id": str(number), "ReceiptHandle": message["ReceiptHandle"]}
            for number, message in enumerate(messages)
        ]
        sqs.delete_message_batch(QueueUrl=url, Entries=entries)
    return messages


def records(sqs: Any, url: str, holds: Callable[[list[Any]], bool]) -> list[Any]:
    """Collect records of outcomes until they are as they must become."""
    found: list[Any] = []
    deadline_s = time.monotonic() + PATIENCE_S
    while not holds(found):
        assert time.monotonic() < deadline_s, found[-3:]
        found += [json.loads(message["Body"]) for message in take(sqs, url)]
    return found


def advance(server: Server, seconds: float) -> None:
    body = json.dumps({"advance_s": seconds}).encode()
    with urlopen(Request(f"{server.endpoint}/_lambent/clock", body, method="POST")) as answer:
        assert answer.status == 200


def test_every_acknowledged_event_runs_however_often_the_server_is_killed(
    new_server: Callable[..., Server],
) -> None:
    """The record of an outcome proves that an event ran; it is kept before the event is let go."""
    server = new_server()
    url, arn = queue(server, "ran")
    client = server.client("lambda")
    create(client, "f", ECHO)
    client.put_function_event_invoke_config(
        FunctionName="f", DestinationConfig={"OnSuccess": {"Destination": arn}}
    )
    acknowledged: list[str] = []
    chance = random.Random(20261127)
    for number in range(KILLS):
        with ThreadPoolExecutor(CALLERS) as pool:
            before = len(acknowledged)
            callers = [
                pool.submit(send_until_killed, server, f"{number}-{n}", acknowledged) for n in range(CALLERS)
            ]
            until(lambda before=before: len(acknowledged) > before)
            time.sleep(chance.uniform(0.0, 0.15))
            server.kill()
            for caller in callers:
                caller.result(PATIENCE_S)
        server.start()
    sqs = server.client("sqs")
    seen: Counter[str] = Counter()
    deadline_s = time.monotonic() + PATIENCE_S
    while missing := set(acknowledged) - set(seen):
        assert time.monotonic() < deadline_s, f"{len(missing)} of {len(acknowledged)} events never ran"
        seen.update(json.loads(message["Body"])["requestPayload"] for message in take(sqs, url))


def send_until_killed(server: Server, prefix: str, acknowledged: list[str]) -> None:
    """Send events over one connection, without a client's retries, until the server is gone."""
    headers = {"X-Amz-Invocation-Type": "Event"}
    with contextlib.closing(HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE_S)) as connection:
        for number in itertools.count():
            name = f"{prefix}-{number}"
            try:
                connection.request("POST", "/2015-03-31/functions/f/invocations", json.dumps(name), headers)
                answer = connection.getresponse()
                answer.read()
            except (OSError, HTTPException):
                return
            assert answer.status == 202
            acknowledged.append(name)


def test_every_acknowledged_message_reaches_its_subscriber_however_often_the_server_is_killed(
    new_server: Callable[..., Server],
) -> None:
    """Of an ordered topic each message arrives once, and those of a group in their order."""
    server = new_server()
    sns, sqs = server.client("sns"), server.client("sqs")
    urls: dict[str, str] = {}
    topics: dict[str, str] = {}
    for name in ("plain", "ordered.fifo"):
        fifo = {"FifoTopic": "true", "ContentBasedDeduplication": "true"} if "." in name else {}
        topics[name] = sns.create_topic(Name=name, Attributes=fifo)["TopicArn"]
        fifo = {"FifoQueue": "true"} if "." in name else {}
        urls[name] = sqs.create_queue(QueueName=name, Attributes=fifo)["QueueUrl"]
        sns.subscribe(
            TopicArn=topics[name], Protocol="sqs", Endpoint=f"arn:aws:sqs:{REGION}:{ACCOUNT}:{name}"
        )
    acknowledged: dict[str, list[str]] = {name: [] for name in topics}
    chance = random.Random(20261128)
    for number in range(max(1, KILLS // 2)):
        with ThreadPoolExecutor(CALLERS) as pool:
            before = sum(map(len, acknowledged.values()))
            callers = [
                pool.submit(publish_until_killed, server, topics[name], f"{number}-{n}", acknowledged[name])
                for name in topics
                for n in range(CALLERS // 2)
            ]
            until(lambda before=before: sum(map(len, acknowledged.values())) > before + 20)
            time.sleep(chance.uniform(0.0, 0.15))
            server.kill()
            for caller in callers:
                caller.result(PATIENCE_S)
        server.start()
    sqs = server.client("sqs")
    for name, url in urls.items():
        arrived: list[str] = []
        deadline_s = time.monotonic() + PATIENCE_S
        while missing := set(acknowledged[name]) - set(arrived):
            assert time.monotonic() < deadline_s, f"{len(missing)} of {len(acknowledged[name])} never arrived"
            arrived += [json.loads(message["Body"])["Message"] for message in take(sqs, url, wait_s=1)]
        if name == "ordered.fifo":
            assert len(arrived) == len(set(arrived))
            for group in {text.rpartition("-")[0] for text in arrived}:
                numbers = [int(text.rpartition("-")[2]) for text in arrived if text.startswith(f"{group}-")]
                assert numbers == sorted(numbers)


def publish_until_killed(server: Server, topic: str, prefix: str, acknowledged: list[str]) -> None:
    """Publish over one connection, without a client's retries, until the server is gone."""
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    with contextlib.closing(HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE_S)) as connection:
        for number in itertools.count():
            text = f"{prefix}-{number}"
            form = {"Action": "Publish", "Version": "2010-03-31", "TopicArn": topic, "Message": text}
            if topic.endswith(".fifo"):
                form["MessageGroupId"] = prefix
            try:
                connection.request("POST", "/", urlencode(form), headers)
                answer = connection.getresponse()
                answer.read()
            except (OSError, HTTPException):
                return
            assert answer.status == 200
            acknowledged.append(text)


def until(holds: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline_s
        time.sleep(0.005)


def test_a_failing_event_is_retried_as_time_is_advanced_and_told_of(
    new_server: Callable[..., Server],
) -> None:
    server = new_server("--clock", "virtual")
    failed, failed_arn = queue(server, "failed")
    dead, dead_arn = queue(server, "dead")
    client, sqs = server.client("lambda"), server.client("sqs")
    create(client, "f", FAIL, DeadLetterConfig={"TargetArn": dead_arn})
    destination = {"OnFailure": {"Destination": failed_arn}}
    client.put_function_event_invoke_config(FunctionName="f", DestinationConfig=destination)
    server.client("logs").create_log_group(logGroupName="/aws/lambda/f")
    answer = client.invoke(FunctionName="f", InvocationType="Event", Payload=b'{"a": 1}')
    request_id = answer["ResponseMetadata"]["RequestId"]
    ends = 0
    deadline_s = time.monotonic() + PATIENCE_S
    while ends < 3:
        assert time.monotonic() < deadline_s
        log = server.client("logs").filter_log_events(logGroupName="/aws/lambda/f")["events"]
        if (now := sum(f"END RequestId: {request_id}" in event["message"] for event in log)) > ends:
            ends = now
            # The retry is put back a moment after the function ended.
            time.sleep(0.2)
            advance(server, 60.0 * ends + 1)
        time.sleep(0.05)
    (record,) = records(sqs, failed, bool)
    assert record["requestContext"] == {
        "requestId": request_id,
        "functionArn": f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:f:$LATEST",
        "condition": "RetriesExhausted",
        "approximateInvokeCount": 3,
    }
    assert record["requestPayload"] == {"a": 1}
    assert record["responseContext"] == {
        "statusCode": 200,
        "executedVersion": "$LATEST",
        "functionError": "Unhandled",
    }
    assert record["responsePayload"]["errorMessage"] == "no"
    (letter,) = take(sqs, dead, wait_s=20)
    assert json.loads(letter["Body"]) == {"a": 1}
    assert letter["MessageAttributes"] == {
        "RequestID": {"DataType": "String", "StringValue": request_id},
        "ErrorCode": {"DataType": "Number", "StringValue": "200"},
        "ErrorMessage": {"DataType": "String", "StringValue": "no"},
    }
    assert letter["Attributes"]["AWSTraceHeader"].startswith("Root=1-")


def test_outcomes_go_to_a_function_and_a_function_that_calls_itself_is_stopped(
    lambent: Server, name: str
) -> None:
    client, sqs = lambent.client("lambda"), lambent.client("sqs")
    url, arn = queue(lambent, name)
    for suffix, source in (("-loop", CALL_ITSELF), ("-after", ECHO)):
        create(client, name + suffix, source)
    after = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{name}-after"
    loop = {"OnFailure": {"Destination": after}}
    client.put_function_event_invoke_config(FunctionName=f"{name}-loop", DestinationConfig=loop)
    told = {"OnSuccess": {"Destination": arn}}
    client.put_function_event_invoke_config(FunctionName=f"{name}-after", DestinationConfig=told)
    client.invoke(FunctionName=f"{name}-loop", InvocationType="Event", Payload=b'{"n": 1}')
    (record,) = records(sqs, url, bool)
    assert record["requestPayload"]["requestContext"]["condition"] == "RecursiveInvocation"
    assert record["requestPayload"]["requestPayload"] == {"n": 17}


def test_outcomes_go_to_topics_and_buckets(
    new_server: Callable[..., Server],
) -> None:
    bucket: queue_module.Queue[tuple[str, bytes]] = queue_module.Queue()
    with keeping(bucket) as endpoint:
        server = new_server(environ={"LAMBENT_S3_ENDPOINT_URL": endpoint})
        client, sqs, sns = (server.client(service) for service in ("lambda", "sqs", "sns"))
        url, arn = queue(server, "told")
        topic = sns.create_topic(Name="outcomes")["TopicArn"]
        raw = {"RawMessageDelivery": "true"}
        sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn, Attributes=raw)
        create(client, "good", ECHO)
        create(client, "bad", FAIL, DeadLetterConfig={"TargetArn": topic})
        for name, retries, destination in (
            ("good", 0, {"OnSuccess": {"Destination": topic}}),
            ("bad", 0, {"OnFailure": {"Destination": "arn:aws:s3:::failed"}}),
        ):
            client.put_function_event_invoke_config(
                FunctionName=name, MaximumRetryAttempts=retries, DestinationConfig=destination
            )
            client.invoke(FunctionName=name, InvocationType="Event", Payload=json.dumps(name))
        key, body = bucket.get(timeout=PATIENCE_S)
        assert re.fullmatch(
            r"/failed/aws/lambda/async/bad/\d{4}/\d\d/\d\d/\d{4}-\d\d-\d\dT\d\d\.\d\d\.\d\d-[0-9a-f-]{36}",
            key,
        )
        assert json.loads(body)["requestContext"]["condition"] == "RetriesExhausted"
        found: dict[str, Any] = {}
        deadline_s = time.monotonic() + PATIENCE_S
        while len(found) < 2:
            assert time.monotonic() < deadline_s, found
            for message in take(sqs, url):
                body = json.loads(message["Body"])
                found["letter" if body == "bad" else "record"] = message
        assert json.loads(found["record"]["Body"])["responsePayload"] == "good"
        attributes = found["letter"]["MessageAttributes"]
        assert attributes["ErrorMessage"] == {"StringValue": "no", "DataType": "String"}
        assert attributes["ErrorCode"] == {"StringValue": "200", "DataType": "Number"}


def test_outcomes_go_to_a_bus_and_from_there_to_queues_and_functions(lambent: Server, name: str) -> None:
    client, events, sqs = (lambent.client(service) for service in ("lambda", "events", "sqs"))
    url, arn = queue(lambent, name)
    bus = events.create_event_bus(Name=name)["EventBusArn"]
    create(client, f"{name}-good", ECHO)
    create(client, f"{name}-bad", FAIL)
    after = create(client, f"{name}-after", ECHO)["FunctionArn"]
    sides = {"OnSuccess": {"Destination": bus}, "OnFailure": {"Destination": bus}}
    rules: dict[str, str] = {}
    for rule, outcome, target in (("kept", "Success", arn), ("failed", "Failure", after)):
        detail_type = f"Lambda Function Invocation Result - {outcome}"
        pattern = json.dumps({"source": ["lambda"], "detail-type": [detail_type]})
        rules[rule] = events.put_rule(Name=rule, EventBusName=name, EventPattern=pattern)["RuleArn"]
        events.put_targets(Rule=rule, EventBusName=name, Targets=[{"Id": "1", "Arn": target}])
    client.add_permission(
        FunctionName=f"{name}-after",
        StatementId="s",
        Action="lambda:InvokeFunction",
        Principal="events.amazonaws.com",
        SourceArn=rules["failed"],
    )
    told = {"OnSuccess": {"Destination": arn}}
    client.put_function_event_invoke_config(FunctionName=f"{name}-after", DestinationConfig=told)
    for kind in ("good", "bad"):
        function = f"{name}-{kind}"
        client.put_function_event_invoke_config(
            FunctionName=function, MaximumRetryAttempts=0, DestinationConfig=sides
        )
        client.invoke(FunctionName=function, InvocationType="Event", Payload=json.dumps(kind))
    found = records(sqs, url, lambda found: len(found) == 2)
    (event,) = [one for one in found if "detail-type" in one]
    assert (event["source"], event["account"], event["region"]) == ("lambda", ACCOUNT, REGION)
    assert event["detail-type"] == "Lambda Function Invocation Result - Success"
    function = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{name}-good:$LATEST"
    assert event["resources"] == [bus, function]
    assert event["detail"]["requestContext"]["functionArn"] == function
    assert event["detail"]["responsePayload"] == "good"
    (record,) = [one for one in found if "requestPayload" in one]
    passed_on = record["requestPayload"]
    assert passed_on["detail-type"] == "Lambda Function Invocation Result - Failure"
    assert passed_on["detail"]["requestContext"]["condition"] == "RetriesExhausted"
    assert passed_on["detail"]["requestPayload"] == "bad"


def test_every_acknowledged_event_on_a_bus_reaches_its_target_however_often_the_server_is_killed(
    new_server: Callable[..., Server],
) -> None:
    server = new_server()
    url, arn = queue(server, "q")
    events = server.client("events")
    events.put_rule(Name="r", EventPattern='{"source": ["shop"]}')
    events.put_targets(Rule="r", Targets=[{"Id": "1", "Arn": arn, "InputPath": "$.detail"}])
    acknowledged: list[str] = []
    chance = random.Random(20261129)
    for number in range(max(1, KILLS // 2)):
        with ThreadPoolExecutor(CALLERS) as pool:
            before = len(acknowledged)
            callers = [
                pool.submit(put_until_killed, server, f"{number}-{n}", acknowledged) for n in range(CALLERS)
            ]
            until(lambda before=before: len(acknowledged) > before + 20)
            time.sleep(chance.uniform(0.0, 0.15))
            server.kill()
            for caller in callers:
                caller.result(PATIENCE_S)
        server.start()
    sqs = server.client("sqs")
    seen: set[str] = set()
    deadline_s = time.monotonic() + PATIENCE_S
    while missing := set(acknowledged) - seen:
        assert time.monotonic() < deadline_s, f"{len(missing)} of {len(acknowledged)} events never arrived"
        seen.update(json.loads(message["Body"])["is"] for message in take(sqs, url))


def put_until_killed(server: Server, prefix: str, acknowledged: list[str]) -> None:
    """Put events over one connection, without a client's retries, until the server is gone."""
    headers = {"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": "AWSEvents.PutEvents"}
    with contextlib.closing(HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE_S)) as connection:
        for number in itertools.count():
            names = [f"{prefix}-{number}-{n}" for n in range(2)]
            entries = [
                {"Source": "shop", "DetailType": "t", "Detail": json.dumps({"is": name})} for name in names
            ]
            try:
                connection.request("POST", "/", json.dumps({"Entries": entries}), headers)
                answer = connection.getresponse()
                body = answer.read()
            except (OSError, HTTPException):
                return
            assert answer.status == 200, body
            acknowledged += names


def test_a_scheduled_rule_fires_as_time_is_advanced(
    new_server: Callable[..., Server],
) -> None:
    server = new_server("--clock", "virtual")
    url, arn = queue(server, "q")
    events, sqs = server.client("events"), server.client("sqs")
    rule = events.put_rule(Name="hourly", ScheduleExpression="rate(1 hour)")["RuleArn"]
    events.put_targets(Rule="hourly", Targets=[{"Id": "1", "Arn": arn}])
    advance(server, 3 * 3600 + 60)
    found = records(sqs, url, lambda found: len(found) == 3)
    assert {(one["source"], one["detail-type"]) for one in found} == {("aws.events", "Scheduled Event")}
    assert found[0]["resources"] == [rule]
    times = sorted(datetime.fromisoformat(one["time"]).timestamp() for one in found)
    assert [after - before for before, after in itertools.pairwise(times)] == [3600, 3600]


@contextlib.contextmanager
def keeping(bucket: queue_module.Queue[tuple[str, bytes]]) -> Iterator[str]:
    """An S3 that keeps what is put into it."""

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: Any) -> None:
            """Be quiet."""

        def do_PUT(self) -> None:
            bucket.put((self.path, self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_a_poison_message_goes_to_its_queues_dead_letters_and_holds_up_no_other(
    lambent: Server, name: str
) -> None:
    client, sqs = lambent.client("lambda"), lambent.client("sqs")
    dead, dead_arn = queue(lambent, f"{name}-dead")
    results, _ = queue(lambent, f"{name}-results")
    redrive = json.dumps({"deadLetterTargetArn": dead_arn, "maxReceiveCount": 1})
    source = sqs.create_queue(
        QueueName=name, Attributes={"RedrivePolicy": redrive, "VisibilityTimeout": "3"}
    )["QueueUrl"]
    # A function may take no longer than its queue hides a message.
    create(client, name, FORWARD_BUT_POISON, Environment={"Variables": {"RESULTS": results}}, Timeout=3)
    # Warm, so that no batch is in flight for longer than the queue allows.
    client.invoke(FunctionName=name, Payload=b'{"Records": []}')
    mapping = client.create_event_source_mapping(
        FunctionName=name,
        EventSourceArn=f"arn:aws:sqs:{REGION}:{ACCOUNT}:{name}",
        FunctionResponseTypes=["ReportBatchItemFailures"],
    )
    bodies = ["poison", *(f"good-{number}" for number in range(25))]
    for first in range(0, len(bodies), 10):
        entries = [{"Id": body, "MessageBody": body} for body in bodies[first : first + 10]]
        sqs.send_message_batch(QueueUrl=source, Entries=entries)
    records(sqs, results, lambda found: {record["body"] for record in found} == set(bodies[1:]))
    (letter,) = take(sqs, dead, wait_s=20)
    assert letter["Body"] == "poison"
    assert letter["Attributes"]["ApproximateReceiveCount"] == "2"
    assert letter["Attributes"]["DeadLetterQueueSourceArn"].endswith(f":{name}")
    client.delete_event_source_mapping(UUID=mapping["UUID"])


def test_messages_of_a_queue_reach_a_function_through_a_mapping(lambent: Server, name: str) -> None:
    client, sqs = lambent.client("lambda"), lambent.client("sqs")
    source, arn = queue(lambent, name)
    results, _ = queue(lambent, f"{name}-results")
    create(client, name, FORWARD, Environment={"Variables": {"RESULTS": results}})
    pattern = json.dumps({"body": {"kind": ["order"]}})
    mapping = client.create_event_source_mapping(
        FunctionName=name,
        EventSourceArn=arn,
        FilterCriteria={"Filters": [{"Pattern": pattern}]},
        FunctionResponseTypes=["ReportBatchItemFailures"],
    )
    for body in ('{"kind": "order", "n": 1}', '{"kind": "other"}', '{"kind": "order", "n": 2}'):
        sqs.send_message(QueueUrl=source, MessageBody=body)
    found = records(sqs, results, lambda found: len(found) >= 2)
    assert sorted(json.loads(record["body"])["n"] for record in found) == [1, 2]
    assert {record["eventSource"] for record in found} == {"aws:sqs"}
    client.delete_event_source_mapping(UUID=mapping["UUID"])
