"""Envelopes, letter by letter, and what of them is signed."""

from __future__ import annotations

import json

from lambent.domain.publication import (
    Notification,
    Publication,
    Signature,
    envelope,
    event,
    members_of,
    string_to_sign,
)
from lambent.domain.queue_message import MessageAttribute
from lambent.domain.subscription import Subscription

TOPIC = "arn:aws:sns:us-east-1:000000000000:t"
SIGNATURE = Signature(version="1", value="c2ln", certificate_url="http://h/c.pem")
SUBSCRIPTION = Subscription(
    topic_arn=TOPIC, id="i", protocol="sqs", endpoint="e", owner="000000000000", principal="p"
)


def publication(**members: object) -> Publication:
    usual = {
        "message_id": "m",
        "topic_arn": TOPIC,
        "text": 'say "hö"\n',
        "published_ms": 1_767_323_045_678,
        "endpoint_url": "http://h",
    }
    return Publication(**(usual | members))  # type: ignore[arg-type]


def test_a_notification_is_written_as_aws_writes_it() -> None:
    attributes = {
        "a": MessageAttribute(data_type="String", text="x"),
        "b": MessageAttribute(data_type="Binary", binary=b"\xff"),
    }
    sent = Notification(publication=publication(subject="S", attributes=attributes))
    assert envelope(sent, SUBSCRIPTION, SIGNATURE).decode() == (
        "{\n"
        '  "Type" : "Notification",\n'
        '  "MessageId" : "m",\n'
        '  "TopicArn" : "arn:aws:sns:us-east-1:000000000000:t",\n'
        '  "Subject" : "S",\n'
        '  "Message" : "say \\"hö\\"\\n",\n'
        '  "Timestamp" : "2026-01-02T03:04:05.678Z",\n'
        '  "SignatureVersion" : "1",\n'
        '  "Signature" : "c2ln",\n'
        '  "SigningCertURL" : "http://h/c.pem",\n'
        '  "UnsubscribeURL" : "http://h/?Action=Unsubscribe&SubscriptionArn='
        'arn:aws:sns:us-east-1:000000000000:t:i",\n'
        '  "MessageAttributes" : {\n'
        '    "a" : {"Type":"String","Value":"x"},\n'
        '    "b" : {"Type":"Binary","Value":"/w=="}\n'
        "  }\n"
        "}"
    )
    assert string_to_sign(members_of(sent, SUBSCRIPTION)) == (
        'Message\nsay "hö"\n\nMessageId\nm\nSubject\nS\nTimestamp\n2026-01-02T03:04:05.678Z\n'
        "TopicArn\narn:aws:sns:us-east-1:000000000000:t\nType\nNotification\n"
    )


def test_a_confirmation_has_a_token_and_where_to_go_with_it() -> None:
    sent = Notification(kind="SubscriptionConfirmation", publication=publication(), token="abc")
    shown = json.loads(envelope(sent, SUBSCRIPTION, SIGNATURE))
    assert list(shown) == [
        "Type",
        "MessageId",
        "Token",
        "TopicArn",
        "Message",
        "SubscribeURL",
        "Timestamp",
        "SignatureVersion",
        "Signature",
        "SigningCertURL",
    ]
    assert shown["SubscribeURL"] == f"http://h/?Action=ConfirmSubscription&TopicArn={TOPIC}&Token=abc"
    signed = string_to_sign(members_of(sent, SUBSCRIPTION)).split("\n")
    assert [name for name in signed if name in shown] == [
        "Message",
        "MessageId",
        "SubscribeURL",
        "Timestamp",
        "Token",
        "TopicArn",
        "Type",
    ]


def test_messages_of_fifo_topics_have_a_number_and_no_signature() -> None:
    sent = Notification(publication=publication(), sequence_number="10000000000000000001")
    shown = json.loads(envelope(sent, SUBSCRIPTION, None))
    assert shown["SequenceNumber"] == "10000000000000000001"
    assert "Signature" not in shown


def test_a_function_is_given_one_record_with_every_member() -> None:
    (record,) = json.loads(event(Notification(publication=publication()), SUBSCRIPTION, SIGNATURE))["Records"]
    assert record.pop("Sns") == {
        "Type": "Notification",
        "MessageId": "m",
        "TopicArn": TOPIC,
        "Subject": None,
        "Message": 'say "hö"\n',
        "Timestamp": "2026-01-02T03:04:05.678Z",
        "SignatureVersion": "1",
        "Signature": "c2ln",
        "SigningCertUrl": "http://h/c.pem",
        "UnsubscribeUrl": f"http://h/?Action=Unsubscribe&SubscriptionArn={TOPIC}:i",
        "MessageAttributes": {},
    }
    assert record == {
        "EventSource": "aws:sns",
        "EventVersion": "1.0",
        "EventSubscriptionArn": f"{TOPIC}:i",
    }


def test_each_protocol_may_have_a_message_of_its_own() -> None:
    sent = publication(text="all", by_protocol={"default": "all", "sqs": "queues"})
    assert (sent.text_for("sqs"), sent.text_for("http")) == ("queues", "all")
