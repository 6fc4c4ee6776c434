"""SQS, asked by boto3: queues, messages, batches, FIFO, dead letters, moves, tags, permissions, errors."""

from __future__ import annotations

import hashlib
import json
import threading
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode
from urllib.request import Request, urlopen

import pytest
from botocore.exceptions import ClientError

from harness import ACCOUNT, REGION, Server


@pytest.fixture
def sqs(lambent: Server) -> Any:
    return lambent.client("sqs")


@pytest.fixture
def make(sqs: Any, name: str) -> Callable[..., str]:
    """Makes queues of the test's own and returns their URLs."""

    def create(suffix: str = "", **attributes: str) -> str:
        return sqs.create_queue(QueueName=name + suffix, Attributes=attributes)["QueueUrl"]

    return create


def arn(url: str) -> str:
    return f"arn:aws:sqs:{REGION}:{ACCOUNT}:{url.rpartition('/')[2]}"


def send(sqs: Any, url: str, *bodies: str, **options: Any) -> list[Any]:
    return [sqs.send_message(QueueUrl=url, MessageBody=body, **options) for body in bodies]


def receive(sqs: Any, url: str, **options: Any) -> list[Any]:
    given = {"MaxNumberOfMessages": 10, "MessageSystemAttributeNames": ["All"], **options}
    return sqs.receive_message(QueueUrl=url, **given).get("Messages", [])


def bodies(sqs: Any, url: str, **options: Any) -> list[str]:
    return [message["Body"] for message in receive(sqs, url, **options)]


def refusal(ask: Callable[..., Any], **parameters: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as caught:
        ask(**parameters)
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


# Queues ------------------------------------------------------------------------------------------------------


def test_a_queue_is_made_found_listed_and_deleted(sqs: Any, lambent: Server, name: str) -> None:
    url = sqs.create_queue(QueueName=name)["QueueUrl"]
    assert url == f"{lambent.endpoint}/{ACCOUNT}/{name}"
    assert sqs.create_queue(QueueName=name)["QueueUrl"] == url
    assert sqs.get_queue_url(QueueName=name)["QueueUrl"] == url
    other = sqs.create_queue(QueueName=name + "-b")["QueueUrl"]
    assert sqs.list_queues(QueueNamePrefix=name)["QueueUrls"] == [url, other]
    page = sqs.list_queues(QueueNamePrefix=name, MaxResults=1)
    assert page["QueueUrls"] == [url]
    rest = sqs.list_queues(QueueNamePrefix=name, MaxResults=1, NextToken=page["NextToken"])
    assert (rest["QueueUrls"], "NextToken" in rest) == ([other], False)
    send(sqs, url, "gone")
    sqs.delete_queue(QueueUrl=url)
    assert refusal(sqs.get_queue_url, QueueName=name) == (
        "AWS.SimpleQueueService.NonExistentQueue",
        "The specified queue does not exist.",
    )
    assert sqs.create_queue(QueueName=name)["QueueUrl"] == url
    assert receive(sqs, url) == []


def test_attributes_have_defaults_and_can_be_changed(sqs: Any, make: Callable[..., str]) -> None:
    url = make(VisibilityTimeout="7")
    found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    assert found.pop("CreatedTimestamp") <= found.pop("LastModifiedTimestamp")
    assert found == {
        "ApproximateNumberOfMessages": "0",
        "ApproximateNumberOfMessagesDelayed": "0",
        "ApproximateNumberOfMessagesNotVisible": "0",
        "DelaySeconds": "0",
        "MaximumMessageSize": "1048576",
        "MessageRetentionPeriod": "345600",
        "QueueArn": arn(url),
        "ReceiveMessageWaitTimeSeconds": "0",
        "SqsManagedSseEnabled": "true",
        "VisibilityTimeout": "7",
    }
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"DelaySeconds": "900", "Policy": '{"Statement": []}'})
    chosen = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["DelaySeconds", "Policy"])["Attributes"]
    assert chosen == {"DelaySeconds": "900", "Policy": '{"Statement": []}'}
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": ""})
    assert "Attributes" not in sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["Policy"])


def test_a_key_and_encryption_by_sqs_take_turns(sqs: Any, make: Callable[..., str]) -> None:
    url = make(KmsMasterKeyId="alias/mine")
    names = ["KmsMasterKeyId", "KmsDataKeyReusePeriodSeconds", "SqsManagedSseEnabled"]

    def shown() -> dict[str, str]:
        return sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]

    assert list(map(shown().get, names)) == ["alias/mine", "300", "false"]
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"SqsManagedSseEnabled": "true"})
    assert shown() == {"SqsManagedSseEnabled": "true"}
    both = {"KmsMasterKeyId": "alias/mine", "SqsManagedSseEnabled": "true"}
    code, message = refusal(sqs.set_queue_attributes, QueueUrl=url, Attributes=both)
    assert code == "InvalidAttributeValue"
    assert message.startswith("You can use one type of server-side encryption (SSE) at one time.")


def test_redrive_policies_are_shown_as_aws_writes_them(sqs: Any, make: Callable[..., str]) -> None:
    dead = make("-dead", RedriveAllowPolicy='{ "redrivePermission" : "allowAll" }')
    url = make(RedrivePolicy=json.dumps({"maxReceiveCount": "3", "deadLetterTargetArn": arn(dead)}, indent=1))
    shown = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["RedrivePolicy"])["Attributes"]
    assert shown["RedrivePolicy"] == f'{{"deadLetterTargetArn":"{arn(dead)}","maxReceiveCount":3}}'
    shown = sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=["RedriveAllowPolicy"])["Attributes"]
    assert shown["RedriveAllowPolicy"] == '{"redrivePermission":"allowAll"}'


@pytest.mark.parametrize(
    ("queue_name", "attributes", "code", "message"),
    [
        (
            "a b",
            {},
            "InvalidParameterValue",
            "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length",
        ),
        (
            "a",
            {"VisibilityTimeout": "43201"},
            "InvalidAttributeValue",
            "Invalid value for the parameter VisibilityTimeout.",
        ),
        ("a", {"Nonsense": "1"}, "InvalidAttributeName", "Unknown Attribute Nonsense."),
        (
            "a",
            {"ContentBasedDeduplication": "true"},
            "InvalidAttributeName",
            "Unknown Attribute ContentBasedDeduplication.",
        ),
        ("a", {"Policy": "no json"}, "InvalidAttributeValue", "Invalid value for the parameter Policy."),
        (
            "a",
            {"Policy": '{"Statement": [{"Effect": "Perhaps"}]}'},
            "InvalidAttributeValue",
            "Invalid value for the parameter Policy.",
        ),
        (
            "a",
            {"FifoQueue": "true"},
            "InvalidParameterValue",
            "The name of a FIFO queue can only include alphanumeric characters, hyphens, or underscores, must end "
            "with .fifo suffix and be 1 to 80 in length",
        ),
        (
            "a",
            {"RedrivePolicy": '{"maxReceiveCount": 3}'},
            "InvalidParameterValue",
            'Value {"maxReceiveCount": 3} for parameter RedrivePolicy is invalid. Reason: Redrive policy does not '
            "contain mandatory attribute: deadLetterTargetArn.",
        ),
        (
            "a",
            {"RedrivePolicy": "{}"},
            "InvalidParameterValue",
            "Value {} for parameter RedrivePolicy is invalid. Reason: Redrive policy does not contain mandatory "
            "attribute: maxReceiveCount.",
        ),
        (
            "a",
            {"RedrivePolicy": '{"maxReceiveCount":1,"deadLetterTargetArn":"x","a":1}'},
            "InvalidParameterValue",
            'Value {"maxReceiveCount":1,"deadLetterTargetArn":"x","a":1} for parameter RedrivePolicy is invalid. '
            "Reason: Only following attributes are supported: [deadLetterTargetArn, maxReceiveCount].",
        ),
        (
            "a",
            {"RedriveAllowPolicy": "no json"},
            "InvalidParameterValue",
            "Value no json for parameter RedriveAllowPolicy is invalid. Reason: Amazon SQS can't create the redrive "
            "allow policy, as it’s in an unsupported format.",
        ),
        (
            "a",
            {"RedriveAllowPolicy": '{"redrivePermission":"some"}'},
            "InvalidParameterValue",
            'Value {"redrivePermission":"some"} for parameter RedriveAllowPolicy is invalid. Reason: Amazon SQS can\'t '
            "create the redrive allow policy. Choose one of following permissions: allowAll, byQueue, denyAll.",
        ),
        (
            "a.fifo",
            {"FifoQueue": "true", "FifoThroughputLimit": "perMessageGroupId"},
            "InvalidAttributeValue",
            "Invalid value for the parameter FifoThroughputLimit.",
        ),
    ],
)  # fmt: skip
def test_a_queue_that_cannot_be_is_refused_in_awss_words(
    sqs: Any, queue_name: str, attributes: dict[str, str], code: str, message: str
) -> None:
    assert refusal(sqs.create_queue, QueueName=queue_name, Attributes=attributes) == (code, message)


def test_a_name_with_other_attributes_is_taken(sqs: Any, make: Callable[..., str], name: str) -> None:
    make(VisibilityTimeout="7")
    code, message = refusal(sqs.create_queue, QueueName=name, Attributes={"VisibilityTimeout": "8"})
    assert code == "QueueAlreadyExists"
    assert message == (
        "A queue already exists with the same name and a different value for attribute VisibilityTimeout"
    )


def test_another_accounts_queue_is_out_of_reach_until_its_policy_opens_it(
    lambent: Server, sqs: Any, make: Callable[..., str], name: str
) -> None:
    url, other = make(), "999999999999"
    stranger = lambent.client("sqs", account=other)

    def refused(ask: Callable[..., Any], **parameters: Any) -> tuple[str, str]:
        with pytest.raises(ClientError) as caught:
            ask(**parameters)
        error = caught.value.response["Error"]
        return error["Code"], error["Message"]

    assert refused(stranger.send_message, QueueUrl=url, MessageBody="x") == (
        "AccessDenied",
        f"User: arn:aws:iam::{other}:root is not authorized to perform: sqs:sendmessage on resource: {arn(url)} "
        "because no resource-based policy allows the sqs:sendmessage action",
    )
    lookup = {"QueueName": name, "QueueOwnerAWSAccountId": ACCOUNT}
    assert refused(stranger.get_queue_url, **lookup) == (
        "AWS.SimpleQueueService.NonExistentQueue",
        "The specified queue does not exist or you do not have access to it.",
    )
    sqs.add_permission(QueueUrl=url, Label="l", AWSAccountIds=[other], Actions=["*"])
    assert stranger.get_queue_url(**lookup)["QueueUrl"] == url
    stranger.send_message(QueueUrl=url, MessageBody="x")
    assert bodies(stranger, url) == ["x"]
    for ask in (stranger.delete_queue, stranger.list_queue_tags):
        assert refused(ask, QueueUrl=url)[0] == "AccessDenied"
    sqs.remove_permission(QueueUrl=url, Label="l")
    assert refused(stranger.receive_message, QueueUrl=url)[0] == "AccessDenied"


# Messages ----------------------------------------------------------------------------------------------------


def test_a_message_goes_through_with_digests_and_attributes(sqs: Any, make: Callable[..., str]) -> None:
    url = make()
    attributes = {
        "text": {"DataType": "String", "StringValue": "é"},
        "number": {"DataType": "Number.int", "StringValue": "5"},
        "bytes": {"DataType": "Binary", "BinaryValue": b"\0\xff"},
    }
    (sent,) = send(sqs, url, "hello é", MessageAttributes=attributes)
    assert sent["MD5OfMessageBody"] == hashlib.md5("hello é".encode()).hexdigest()
    (message,) = receive(sqs, url, MessageAttributeNames=["All"])
    assert (message["MessageId"], message["Body"]) == (sent["MessageId"], "hello é")
    assert message["MessageAttributes"] == attributes
    assert message["MD5OfMessageAttributes"] == sent["MD5OfMessageAttributes"]
    system = message["Attributes"]
    assert (system["ApproximateReceiveCount"], system["SenderId"]) == ("1", ACCOUNT)
    assert abs(int(system["SentTimestamp"]) - time.time() * 1000) < 60_000
    sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    assert counts(sqs, url) == (0, 0, 0)


def counts(sqs: Any, url: str) -> tuple[int, int, int]:
    names = [f"ApproximateNumberOfMessages{suffix}" for suffix in ("", "NotVisible", "Delayed")]
    found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
    visible, in_flight, delayed = (int(found[name]) for name in names)
    return visible, in_flight, delayed


def test_characters_that_xml_cannot_hold_are_replaced(sqs: Any, make: Callable[..., str]) -> None:
    url = make()
    (sent,) = send(sqs, url, "a\x00b")
    assert sent["MD5OfMessageBody"] == hashlib.md5(b"a\x00b").hexdigest()
    (message,) = receive(sqs, url)
    assert message["Body"] == "a\ufffdb"
    assert message["MD5OfBody"] == hashlib.md5("a\ufffdb".encode()).hexdigest()


def test_only_the_attributes_asked_for_are_shown_by_name_and_by_prefix(
    sqs: Any, make: Callable[..., str]
) -> None:
    url = make()
    attributes = {n: {"DataType": "String", "StringValue": n} for n in ("a.x", "a.y", "b")}
    send(sqs, url, "m", MessageAttributes=attributes)
    (message,) = receive(sqs, url, MessageAttributeNames=["a.*"], MessageSystemAttributeNames=["SentTimestamp"],
                         VisibilityTimeout=0)  # fmt: skip
    assert set(message["MessageAttributes"]) == {"a.x", "a.y"}
    assert set(message["Attributes"]) == {"SentTimestamp"}
    (message,) = receive(sqs, url, MessageSystemAttributeNames=[])
    assert "MessageAttributes" not in message and "Attributes" not in message


def test_a_trace_travels_with_the_message(sqs: Any, make: Callable[..., str]) -> None:
    url = make()
    trace = "Root=1-5bdb40ca-556d8b0c50dc66f0511bf520;Parent=0123456789abcdef;Sampled=0"
    attribute = {"DataType": "String", "StringValue": trace}
    (sent,) = send(sqs, url, "m", MessageSystemAttributes={"AWSTraceHeader": attribute})
    assert sent["MD5OfMessageSystemAttributes"] == digest("AWSTraceHeader", "String", trace)
    assert receive(sqs, url)[0]["Attributes"]["AWSTraceHeader"] == trace


def digest(name: str, data_type: str, value: str) -> str:
    """The digest of one attribute, as AWS's page about message metadata has it."""
    parts = [len(part).to_bytes(4, "big") + part.encode() for part in (name, data_type, value)]
    return hashlib.md5(parts[0] + parts[1] + b"\1" + parts[2]).hexdigest()


def test_visibility_is_changed_and_delay_is_kept(sqs: Any, make: Callable[..., str]) -> None:
    url = make()
    send(sqs, url, "now")
    send(sqs, url, "later", DelaySeconds=900)
    (message,) = receive(sqs, url)
    assert counts(sqs, url) == (0, 1, 1)
    handle = message["ReceiptHandle"]
    sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=handle, VisibilityTimeout=0)
    assert bodies(sqs, url) == ["now"]


def test_a_handle_that_has_expired_changes_nothing_and_one_whose_message_is_gone_is_refused(
    sqs: Any, make: Callable[..., str]
) -> None:
    url = make()
    send(sqs, url, "m")
    (message,) = receive(sqs, url, VisibilityTimeout=0)
    change = {"QueueUrl": url, "ReceiptHandle": message["ReceiptHandle"], "VisibilityTimeout": 5}
    sqs.change_message_visibility(**change)
    (message,) = receive(sqs, url)
    for _ in range(2):
        sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    code, text = refusal(sqs.change_message_visibility, **change)
    assert code == "InvalidParameterValue"
    reason = "Message does not exist or is not available for visibility timeout change"
    assert (
        text == f"Value {change['ReceiptHandle']} for parameter ReceiptHandle is invalid. Reason: {reason}."
    )
    entry = {"Id": "a", "ReceiptHandle": message["ReceiptHandle"], "VisibilityTimeout": 5}
    (failed,) = sqs.change_message_visibility_batch(QueueUrl=url, Entries=[entry])["Failed"]
    assert (failed["Code"], failed["Message"]) == ("InvalidParameterValue", reason)


def test_no_message_is_in_flight_for_more_than_twelve_hours(new_server: Callable[..., Server]) -> None:
    server = new_server("--clock", "virtual")
    sqs = server.client("sqs")
    url = sqs.create_queue(QueueName="q")["QueueUrl"]
    send(sqs, url, "m")
    (message,) = receive(sqs, url, VisibilityTimeout=120)
    change = {"QueueUrl": url, "ReceiptHandle": message["ReceiptHandle"]}
    sqs.change_message_visibility(**change, VisibilityTimeout=43_200)
    urlopen(Request(f"{server.endpoint}/_lambent/clock", b'{"advance_s": 60}', method="POST")).close()
    assert refusal(sqs.change_message_visibility, **change, VisibilityTimeout=43_200) == (
        "InvalidParameterValue",
        "Value 43200 for parameter VisibilityTimeout is invalid. Reason: Total VisibilityTimeout for the message is "
        "beyond the limit [43200 seconds]",
    )
    sqs.change_message_visibility(**change, VisibilityTimeout=43_000)


def test_an_expired_handle_deletes_from_a_standard_queue_and_not_from_a_fifo_queue(
    sqs: Any, make: Callable[..., str]
) -> None:
    url, fifo = make(), make(".fifo", FifoQueue="true", ContentBasedDeduplication="true")
    send(sqs, url, "m")
    (message,) = receive(sqs, url, VisibilityTimeout=0)
    sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    assert counts(sqs, url) == (0, 0, 0)
    send(sqs, fifo, "m", MessageGroupId="g")
    (message,) = receive(sqs, fifo, VisibilityTimeout=0)
    handle = message["ReceiptHandle"]
    code, text = refusal(sqs.delete_message, QueueUrl=fifo, ReceiptHandle=handle)
    assert code == "InvalidParameterValue"
    assert (
        text
        == f"Value {handle} for parameter ReceiptHandle is invalid. Reason: The receipt handle has expired."
    )
    entries = [{"Id": "a", "ReceiptHandle": handle}]
    (failed,) = sqs.delete_message_batch(QueueUrl=fifo, Entries=entries)["Failed"]
    assert (failed["Code"], failed["Message"]) == ("ReceiptHandleIsInvalid", "The receipt handle has expired")
    assert counts(sqs, fifo) == (1, 0, 0)


def test_a_long_poll_returns_as_soon_as_there_is_a_message(sqs: Any, make: Callable[..., str]) -> None:
    url = make()
    threading.Timer(0.2, send, (sqs, url, "come")).start()
    started_s = time.monotonic()
    assert bodies(sqs, url, WaitTimeSeconds=20) == ["come"]
    assert time.monotonic() - started_s < 15
    assert bodies(sqs, url, WaitTimeSeconds=1) == []


@pytest.mark.parametrize(
    ("parameters", "code", "message"),
    [
        ({"MessageBody": ""}, "MissingParameter", "The request must contain the parameter MessageBody."),
        ({}, "MissingParameter", "The request must contain the parameter MessageBody."),
        ({"MessageBody": "\x00"}, "InvalidMessageContents", "Invalid characters found."),
        (
            {"MessageBody": "x", "DelaySeconds": 901},
            "InvalidParameterValue",
            "Value 901 for parameter DelaySeconds is invalid. Reason: DelaySeconds must be >= 0 and <= 900.",
        ),
        (
            {"MessageBody": "x" * 1_048_577},
            "InvalidParameterValue",
            "One or more parameters are invalid. Reason: Message must be shorter than 1048576 bytes.",
        ),
        (
            {"MessageBody": "x", "MessageDeduplicationId": "d"},
            "InvalidParameterValue",
            "Value d for parameter MessageDeduplicationId is invalid. Reason: The request includes a parameter that "
            "is not valid for this queue type.",
        ),
        (
            {"MessageBody": "x", "MessageAttributes": {"n": {"DataType": "Number", "StringValue": "no"}}},
            "InvalidParameterValue",
            "Can't cast the value of message (user) attribute 'n' to a number.",
        ),
        (
            {"MessageBody": "x", "MessageAttributes": {"n": {"DataType": "String", "StringValue": ""}}},
            "InvalidParameterValue",
            "Message (user) attribute 'n' must contain a non-empty value of type 'String'.",
        ),
        (
            {"MessageBody": "x", "MessageAttributes": {"n": {"DataType": "Text", "StringValue": "x"}}},
            "InvalidParameterValue",
            "The type of message (user) attribute 'n' is invalid. You must use only the following supported type "
            "prefixes: Binary, Number, String.",
        ),
        (
            {"MessageBody": "x", "MessageAttributes": {"n": {"StringValue": "x"}}},
            "InvalidParameterValue",
            "The message (user) attribute 'n' must contain a non-empty attribute type.",
        ),
        (
            {"MessageBody": "x", "MessageAttributes": {"n": {"DataType": "String", "StringValue": "\x01"}}},
            "InvalidMessageContents",
            "Invalid characters found.",
        ),
        (
            {
                "MessageBody": "x",
                "MessageSystemAttributes": {"AWSTraceHeader": {"DataType": "Number", "StringValue": "1"}},
            },
            "InvalidParameterValue",
            "The type of message (system) attribute 'AWSTraceHeader' is invalid.",
        ),
    ],
)  # fmt: skip
def test_a_message_that_cannot_be_is_refused(
    sqs: Any, make: Callable[..., str], parameters: dict[str, Any], code: str, message: str
) -> None:
    url = make()
    found = refusal(sqs.send_message, QueueUrl=url, **parameters)
    assert (found[0], found[1].startswith(message)) == (code, True), found
    assert counts(sqs, url) == (0, 0, 0)


def test_numbers_out_of_range_are_refused(sqs: Any, make: Callable[..., str]) -> None:
    url = make()
    for parameters, reason in (
        ({"MaxNumberOfMessages": 11}, "Must be between 1 and 10, if provided."),
        ({"WaitTimeSeconds": 21}, "Must be >= 0 and <= 20, if provided."),
        ({"VisibilityTimeout": 43_201}, "Must be between 0 and 43200, if provided."),
    ):
        code, message = refusal(sqs.receive_message, QueueUrl=url, **parameters)
        assert (code, message.partition("Reason: ")[2]) == ("InvalidParameterValue", reason)
    code, message = refusal(sqs.delete_message, QueueUrl=url, ReceiptHandle="garbage")
    assert code == "ReceiptHandleIsInvalid"
    assert message == 'The input receipt handle "garbage" is not a valid receipt handle.'
    assert refusal(sqs.receive_message, QueueUrl="x")[0] == "InvalidAddress"
    assert refusal(sqs.receive_message, QueueUrl=url + "-not")[0] == "AWS.SimpleQueueService.NonExistentQueue"


# Batches -----------------------------------------------------------------------------------------------------


def test_of_a_batch_each_entry_succeeds_or_fails_by_itself(sqs: Any, make: Callable[..., str]) -> None:
    url = make()
    entries = [
        {"Id": "1", "MessageBody": "a"},
        {"Id": "2", "MessageBody": ""},
        {"Id": "3", "MessageBody": "c"},
        {"Id": "4", "MessageBody": "d", "DelaySeconds": 901},
    ]
    answer = sqs.send_message_batch(QueueUrl=url, Entries=entries)
    assert [entry["Id"] for entry in answer["Successful"]] == ["1", "3"]
    assert answer["Failed"] == [
        {
            "Id": "2",
            "SenderFault": True,
            "Code": "MissingParameter",
            "Message": "The request must contain the parameter MessageBody.",
        },
        {
            "Id": "4",
            "SenderFault": True,
            "Code": "InvalidParameterValue",
            "Message": "DelaySeconds must be >= 0 and <= 900",
        },
    ]
    messages = receive(sqs, url)
    handles = {message["Body"]: message["ReceiptHandle"] for message in messages}
    answer = sqs.change_message_visibility_batch(
        QueueUrl=url, Entries=[{"Id": "a", "ReceiptHandle": handles["a"], "VisibilityTimeout": 0}]
    )
    assert [entry["Id"] for entry in answer["Successful"]] == ["a"]
    answer = sqs.delete_message_batch(
        QueueUrl=url,
        Entries=[{"Id": "c", "ReceiptHandle": handles["c"]}, {"Id": "x", "ReceiptHandle": "garbage"}],
    )
    assert [entry["Id"] for entry in answer["Successful"]] == ["c"]
    assert [entry["Code"] for entry in answer["Failed"]] == ["ReceiptHandleIsInvalid"]
    assert bodies(sqs, url) == ["a"]


def test_a_malformed_batch_is_refused_as_a_whole(sqs: Any, make: Callable[..., str]) -> None:
    url = make()
    prefix = "AWS.SimpleQueueService."

    def entries(*ids: str) -> list[dict[str, str]]:
        return [{"Id": entry_id, "MessageBody": "x"} for entry_id in ids]

    for given, code in (
        ([], "EmptyBatchRequest"),
        (entries(*"abcdefghijk"), "TooManyEntriesInBatchRequest"),
        (entries("a", "a"), "BatchEntryIdsNotDistinct"),
        (entries("a b"), "InvalidBatchEntryId"),
        ([{"Id": str(n), "MessageBody": "x" * 600_000} for n in range(2)], "BatchRequestTooLong"),
    ):
        assert refusal(sqs.send_message_batch, QueueUrl=url, Entries=given)[0] == prefix + code
    assert refusal(sqs.send_message_batch, QueueUrl=url, Entries=[{"Id": "a", "MessageBody": "x"}, {}]) == (
        "MissingParameter",
        "The request must contain the parameter SendMessageBatchRequestEntry.2.Id.",
    )
    assert counts(sqs, url) == (0, 0, 0)


# FIFO --------------------------------------------------------------------------------------------------------


def test_a_fifo_queue_keeps_the_order_of_each_group_and_sends_no_duplicate(
    sqs: Any, make: Callable[..., str]
) -> None:
    url = make(".fifo", FifoQueue="true", ContentBasedDeduplication="true")
    first, again, second = send(sqs, url, "a1", "a1", "a2", MessageGroupId="a")
    assert (again["MessageId"], again["SequenceNumber"]) == (first["MessageId"], first["SequenceNumber"])
    assert len(first["SequenceNumber"]) == 20 and first["SequenceNumber"] < second["SequenceNumber"]
    send(sqs, url, "b1", MessageGroupId="b")
    (message,) = receive(sqs, url, MaxNumberOfMessages=1)
    system = message["Attributes"]
    assert (message["Body"], system["MessageGroupId"]) == ("a1", "a")
    assert system["MessageDeduplicationId"] == hashlib.sha256(b"a1").hexdigest()
    assert system["SequenceNumber"] == first["SequenceNumber"]
    assert bodies(sqs, url) == ["b1"]
    sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    assert bodies(sqs, url) == ["a2"]


def test_a_fifo_queue_needs_group_and_deduplication_id(sqs: Any, make: Callable[..., str]) -> None:
    url = make(".fifo", FifoQueue="true")
    code, message = refusal(sqs.send_message, QueueUrl=url, MessageBody="x", MessageDeduplicationId="d")
    assert (code, message) == ("MissingParameter", "The request must contain the parameter MessageGroupId.")
    code, message = refusal(sqs.send_message, QueueUrl=url, MessageBody="x", MessageGroupId="g")
    assert code == "InvalidParameterValue"
    assert message.startswith("The queue should either have ContentBasedDeduplication enabled or")
    found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["FifoQueue", "DeduplicationScope"])
    assert found["Attributes"] == {"FifoQueue": "true", "DeduplicationScope": "queue"}


# Dead letters ------------------------------------------------------------------------------------------------


def redrive(target: str, count: int = 1) -> str:
    return json.dumps({"deadLetterTargetArn": target, "maxReceiveCount": count})


def test_dead_letters_go_to_their_queue_and_a_task_moves_them_back(
    sqs: Any, make: Callable[..., str], name: str
) -> None:
    dead = make("-dead")
    url = make(RedrivePolicy=redrive(arn(dead)))
    assert sqs.list_dead_letter_source_queues(QueueUrl=dead)["queueUrls"] == [url]
    send(sqs, url, "poison")
    assert bodies(sqs, url, VisibilityTimeout=0) == ["poison"]
    assert bodies(sqs, url) == []
    (letter,) = receive(sqs, dead, VisibilityTimeout=0)
    assert letter["Attributes"]["DeadLetterQueueSourceArn"] == arn(url)

    handle = sqs.start_message_move_task(SourceArn=arn(dead))["TaskHandle"]
    assert bodies(sqs, url, WaitTimeSeconds=10) == ["poison"]
    (task,) = until(lambda: sqs.list_message_move_tasks(SourceArn=arn(dead))["Results"],
                    lambda tasks: tasks[0]["Status"] == "COMPLETED")  # fmt: skip
    assert (task["ApproximateNumberOfMessagesMoved"], task["SourceArn"]) == (1, arn(dead))
    code, _ = refusal(sqs.cancel_message_move_task, TaskHandle=handle)
    assert code == "ResourceNotFoundException"


def until(ask: Callable[[], Any], holds: Callable[[Any], bool]) -> Any:
    """Ask until the answer is as it must become."""
    deadline_s = time.monotonic() + 20
    while not holds(answer := ask()):
        assert time.monotonic() < deadline_s, answer
        time.sleep(0.02)
    return answer


def test_a_slow_move_can_be_cancelled_and_only_one_runs_at_a_time(sqs: Any, make: Callable[..., str]) -> None:
    dead, other = make("-dead"), make("-other")
    make(RedrivePolicy=redrive(arn(dead)))
    send(sqs, dead, "1", "2", "3")
    options = {"SourceArn": arn(dead), "DestinationArn": arn(other), "MaxNumberOfMessagesPerSecond": 1}
    handle = sqs.start_message_move_task(**options)["TaskHandle"]
    code, message = refusal(sqs.start_message_move_task, **options)
    assert message.startswith("There is already a task running. Only one active task is allowed")
    assert code == "InvalidParameterValue"
    assert bodies(sqs, other, WaitTimeSeconds=10) == ["1"]
    # The message is there a moment before the task says so.
    until(lambda: sqs.list_message_move_tasks(SourceArn=arn(dead))["Results"],
          lambda tasks: tasks[0].get("ApproximateNumberOfMessagesMoved", 0) >= 1)  # fmt: skip
    assert sqs.cancel_message_move_task(TaskHandle=handle)["ApproximateNumberOfMessagesMoved"] >= 1
    (task,) = sqs.list_message_move_tasks(SourceArn=arn(dead))["Results"]
    assert task["Status"] == "CANCELLED"


def test_dead_letters_stay_when_the_queue_that_they_came_from_is_gone(
    sqs: Any, make: Callable[..., str]
) -> None:
    dead = make("-dead")
    gone, other = (make(suffix, RedrivePolicy=redrive(arn(dead))) for suffix in ("-gone", "-other"))
    for url in (gone, other):
        send(sqs, url, url)
        assert bodies(sqs, url, VisibilityTimeout=0) == [url]
        assert bodies(sqs, url) == []
    sqs.delete_queue(QueueUrl=gone)
    sqs.start_message_move_task(SourceArn=arn(dead))
    (task,) = until(lambda: sqs.list_message_move_tasks(SourceArn=arn(dead))["Results"],
                    lambda tasks: tasks[0]["Status"] != "RUNNING")  # fmt: skip
    assert (task["Status"], task["FailureReason"]) == ("FAILED", "AWS.SimpleQueueService.NonExistentQueue")
    assert sorted(bodies(sqs, dead)) == sorted([gone, other])


def test_a_redrive_policy_needs_a_queue_that_is_there_of_the_same_type_and_willing(
    sqs: Any, make: Callable[..., str]
) -> None:
    url, fifo = make(), make(".fifo", FifoQueue="true")
    unwilling = make("-no", RedriveAllowPolicy='{"redrivePermission":"denyAll"}')
    for target, reason in (
        (arn(url) + "-not", "Dead letter target does not exist."),
        (arn(fifo), "Dead-letter queue must be same type of queue as the source."),
        (arn(unwilling), "Dead-letter queue does not allow this source queue."),
    ):
        policy = {"RedrivePolicy": redrive(target)}
        code, message = refusal(sqs.set_queue_attributes, QueueUrl=url, Attributes=policy)
        assert (code, message.partition("Reason: ")[2]) == ("InvalidParameterValue", reason)
    code, message = refusal(sqs.start_message_move_task, SourceArn=arn(url))
    assert message == "Source queue must be configured as a Dead Letter Queue."
    code, message = refusal(sqs.list_message_move_tasks, SourceArn="queue")
    assert message == (
        "You must use this format to specify the SourceArn: "
        "arn:<partition>:<service>:<region>:<account-id>:<resource-id>"
    )
    code, message = refusal(sqs.list_queues, MaxResults=0)
    assert (code, message.partition("Reason: ")[2]) == (
        "InvalidParameterValue",
        "Must be between 1 and 1000, if provided.",
    )


# The rest ----------------------------------------------------------------------------------------------------


def test_a_purged_queue_is_empty(sqs: Any, make: Callable[..., str]) -> None:
    url = make()
    send(sqs, url, "1", "2")
    sqs.purge_queue(QueueUrl=url)
    assert (receive(sqs, url), counts(sqs, url)) == ([], (0, 0, 0))


def test_a_minute_passes_between_purges_and_before_a_name_can_be_had_again_where_that_is_asked_for(
    new_server: Callable[..., Server],
) -> None:
    server = new_server("--sqs-cooldown-s", "60", "--clock", "virtual")
    sqs = server.client("sqs")
    url = sqs.create_queue(QueueName="q")["QueueUrl"]
    sqs.purge_queue(QueueUrl=url)
    assert refusal(sqs.purge_queue, QueueUrl=url) == (
        "AWS.SimpleQueueService.PurgeQueueInProgress",
        "Only one PurgeQueue operation on q is allowed every 60 seconds.",
    )
    sqs.delete_queue(QueueUrl=url)
    assert refusal(sqs.create_queue, QueueName="q") == (
        "AWS.SimpleQueueService.QueueDeletedRecently",
        "You must wait 60 seconds after deleting a queue before you can create another with the same name.",
    )
    advance = Request(f"{server.endpoint}/_lambent/clock", b'{"advance_s": 61}', method="POST")
    urlopen(advance).close()
    assert sqs.create_queue(QueueName="q")["QueueUrl"] == url
    sqs.purge_queue(QueueUrl=url)


def test_tags_and_permissions(sqs: Any, name: str) -> None:
    url = sqs.create_queue(QueueName=name, tags={"a": "1"})["QueueUrl"]
    sqs.tag_queue(QueueUrl=url, Tags={"b": "2"})
    sqs.untag_queue(QueueUrl=url, TagKeys=["a"])
    assert sqs.list_queue_tags(QueueUrl=url)["Tags"] == {"b": "2"}
    sqs.add_permission(QueueUrl=url, Label="l", AWSAccountIds=["111111111111"], Actions=["SendMessage"])
    policy = json.loads(
        sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["Policy"])["Attributes"]["Policy"]
    )
    assert policy["Statement"] == [
        {
            "Sid": "l",
            "Effect": "Allow",
            "Principal": {"AWS": "arn:aws:iam::111111111111:root"},
            "Action": "SQS:SendMessage",
            "Resource": arn(url),
        }
    ]
    permission = {"QueueUrl": url, "Label": "m", "AWSAccountIds": ["111111111111"]}
    assert refusal(sqs.add_permission, **permission, Actions=["SetQueueAttributes"]) == (
        "InvalidParameterValue",
        "Value SQS:SetQueueAttributes for parameter ActionName is invalid. Reason: Only the queue owner is allowed to "
        "invoke this action.",
    )
    sqs.remove_permission(QueueUrl=url, Label="l")
    assert refusal(sqs.untag_queue, QueueUrl=url, TagKeys=[]) == (
        "InvalidParameterValue",
        "Tag keys must be between 1 and 128 characters in length.",
    )
    assert "Attributes" not in sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["Policy"])


def test_the_former_protocol_is_still_understood(lambent: Server, sqs: Any, make: Callable[..., str]) -> None:
    """As SDKs before 2023 ask: forms, and XML back."""
    url = make()

    def ask(action: str, **form: str) -> ElementTree.Element:
        body = urlencode({"Action": action, "Version": "2012-11-05", "QueueUrl": url, **form}).encode()
        scope = f"Credential={ACCOUNT}/20260101/{REGION}/sqs/aws4_request"
        headers = {"Authorization": f"AWS4-HMAC-SHA256 {scope}, SignedHeaders=host, Signature=0"}
        with urlopen(Request(lambent.endpoint + "/", body, headers)) as answer:
            return ElementTree.fromstring(answer.read())

    space = "{http://queue.amazonaws.com/doc/2012-11-05/}"
    attribute = {"MessageAttribute.1.Name": "n", "MessageAttribute.1.Value.DataType": "String",
                 "MessageAttribute.1.Value.StringValue": "v"}  # fmt: skip
    sent = ask("SendMessage", MessageBody="<old>", **attribute)
    assert sent.tag == f"{space}SendMessageResponse"
    received = ask("ReceiveMessage", **{"AttributeName.1": "All", "MessageAttributeName.1": "All"})
    message = received.find(f"{space}ReceiveMessageResult/{space}Message")
    assert message is not None
    assert message.findtext(f"{space}Body") == "<old>"
    assert message.findtext(f"{space}MessageAttribute/{space}Name") == "n"
    names = {element.findtext(f"{space}Name") for element in message.findall(f"{space}Attribute")}
    assert {"SentTimestamp", "ApproximateReceiveCount"} <= names
    entry, handle = "DeleteMessageBatchRequestEntry.1", message.findtext(f"{space}ReceiptHandle") or ""
    deleted = ask("DeleteMessageBatch", **{f"{entry}.Id": "x", f"{entry}.ReceiptHandle": handle})
    path = f"{space}DeleteMessageBatchResult/{space}DeleteMessageBatchResultEntry/{space}Id"
    assert deleted.findtext(path) == "x"
    assert counts(sqs, url) == (0, 0, 0)
    listed = ask("ListQueues", QueueNamePrefix=url.rpartition("/")[2])
    assert listed.findtext(f"{space}ListQueuesResult/{space}QueueUrl") == url
