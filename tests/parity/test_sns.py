"""SNS, asked by boto3 and the AWS CLI: topics, subscriptions, messages, FIFO, confirmations, permissions, errors."""

from __future__ import annotations

import base64
import json
import queue
import re
import subprocess
import sysconfig
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from botocore.exceptions import ClientError
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding

from harness import ACCOUNT, REGION, Server, create

PATIENCE_S = 30
OTHER = "111111111111"


@pytest.fixture(scope="module")
def sns(lambent: Server) -> Any:
    return lambent.client("sns")


@pytest.fixture(scope="module")
def sqs(lambent: Server) -> Any:
    return lambent.client("sqs")


@pytest.fixture
def topic(sns: Any, name: str) -> str:
    """A topic of the test's own."""
    return sns.create_topic(Name=name)["TopicArn"]


def new_queue(sqs: Any, name: str, **attributes: str) -> tuple[str, str]:
    """Make a queue and return its URL and ARN."""
    url = sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]
    return url, f"arn:aws:sqs:{REGION}:{ACCOUNT}:{name}"


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


def texts(sqs: Any, url: str, count: int = 1) -> list[str]:
    return [json.loads(message["Body"])["Message"] for message in take(sqs, url, count)]


def refusal(ask: Callable[..., Any], **parameters: Any) -> tuple[str, str, int]:
    with pytest.raises(ClientError) as caught:
        ask(**parameters)
    response: Any = caught.value.response
    error = response["Error"]
    return error["Code"], error["Message"], response["ResponseMetadata"]["HTTPStatusCode"]


class Endpoint:
    """An address that subscribes: it keeps what it is sent and answers as it is told to."""

    def __init__(self) -> None:
        endpoint = self
        self.requests: queue.Queue[tuple[dict[str, str], bytes]] = queue.Queue()
        self.statuses: list[int] = []

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, format: str, *args: Any) -> None:
                """Be quiet."""

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                endpoint.requests.put(({k.lower(): v for k, v in self.headers.items()}, body))
                self.send_response(endpoint.statuses.pop(0) if endpoint.statuses else 200)
                self.send_header("content-length", "0")
                self.end_headers()

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook?a=b"
        self._thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    def next(self) -> tuple[dict[str, str], bytes]:
        return self.requests.get(timeout=PATIENCE_S)

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self._thread.join()


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    endpoint = Endpoint()
    yield endpoint
    endpoint.close()


# Topics ------------------------------------------------------------------------------------------------------


def test_a_topic_is_made_shown_listed_and_deleted(sns: Any, name: str) -> None:
    arn = sns.create_topic(Name=name, Tags=[{"Key": "team", "Value": "a"}])["TopicArn"]
    assert arn == f"arn:aws:sns:{REGION}:{ACCOUNT}:{name}"
    assert sns.create_topic(Name=name)["TopicArn"] == arn
    shown = sns.get_topic_attributes(TopicArn=arn)["Attributes"]
    policy = json.loads(shown.pop("Policy"))
    assert policy["Statement"][0]["Condition"] == {"StringEquals": {"AWS:SourceOwner": ACCOUNT}}
    effective = json.loads(shown.pop("EffectiveDeliveryPolicy"))
    assert effective["http"]["defaultHealthyRetryPolicy"]["numRetries"] == 3
    assert shown == {
        "TopicArn": arn,
        "Owner": ACCOUNT,
        "DisplayName": "",
        "SubscriptionsConfirmed": "0",
        "SubscriptionsPending": "0",
        "SubscriptionsDeleted": "0",
    }
    pages = sns.get_paginator("list_topics").paginate()
    assert arn in [one["TopicArn"] for page in pages for one in page["Topics"]]
    sns.tag_resource(ResourceArn=arn, Tags=[{"Key": "b", "Value": ""}])
    sns.untag_resource(ResourceArn=arn, TagKeys=["team"])
    assert sns.list_tags_for_resource(ResourceArn=arn)["Tags"] == [{"Key": "b", "Value": ""}]
    for _ in range(2):
        sns.delete_topic(TopicArn=arn)
    assert refusal(sns.get_topic_attributes, TopicArn=arn) == ("NotFound", "Topic does not exist", 404)
    assert refusal(sns.list_tags_for_resource, ResourceArn=arn)[:2] == (
        "ResourceNotFound",
        "Resource does not exist",
    )


def test_attributes_of_a_topic_are_set_and_taken_away(sns: Any, topic: str) -> None:
    for attribute, value in (
        ("DisplayName", "News"),
        ("SignatureVersion", "2"),
        ("TracingConfig", "Active"),
        ("MaximumMessageSize", "1048576"),
        ("KmsMasterKeyId", "alias/aws/sns"),
        ("DeliveryPolicy", '{"http": {"defaultHealthyRetryPolicy": {"numRetries": 5}}}'),
    ):
        sns.set_topic_attributes(TopicArn=topic, AttributeName=attribute, AttributeValue=value)
        assert sns.get_topic_attributes(TopicArn=topic)["Attributes"][attribute] == value
    sns.set_topic_attributes(TopicArn=topic, AttributeName="KmsMasterKeyId", AttributeValue="")
    shown = sns.get_topic_attributes(TopicArn=topic)["Attributes"]
    assert "KmsMasterKeyId" not in shown
    assert (
        json.loads(shown["EffectiveDeliveryPolicy"])["http"]["defaultHealthyRetryPolicy"]["numRetries"] == 5
    )
    sns.put_data_protection_policy(ResourceArn=topic, DataProtectionPolicy='{"Name": "p"}')
    assert sns.get_data_protection_policy(ResourceArn=topic)["DataProtectionPolicy"] == '{"Name": "p"}'


BAD_NAME = (
    "Invalid parameter: Fifo Topic names must end with .fifo and must be made up of only uppercase and lowercase "
    "ASCII letters, numbers, underscores, and hyphens, and must be between 1 and 256 characters long."
)


@pytest.mark.parametrize(
    ("operation", "parameters", "code", "message"),
    [
        ("create_topic", {"Name": "a b"}, "InvalidParameter", "Invalid parameter: Topic Name"),
        ("create_topic", {"Name": "t.fifo"}, "InvalidParameter", "Invalid parameter: Topic Name"),
        ("create_topic", {"Name": "t", "Attributes": {"FifoTopic": "true"}}, "InvalidParameter", BAD_NAME),
        (
            "create_topic",
            {},
            "ValidationError",
            "1 validation error detected: Value null at 'name' failed to satisfy constraint: Member must not be null",
        ),
        (
            "create_topic",
            {"Name": "t", "Tags": [{"Key": "a", "Value": "1"}, {"Key": "a", "Value": "2"}]},
            "InvalidParameter",
            "Invalid parameter: Duplicated keys are not allowed.",
        ),
        (
            "get_topic_attributes",
            {"TopicArn": "nothing"},
            "InvalidParameter",
            "Invalid parameter: TopicArn Reason: An ARN must have at least 6 elements, not 1",
        ),
        (
            "get_topic_attributes",
            {"TopicArn": f"arn:aws:sns:eu-west-1:{ACCOUNT}:t"},
            "InvalidParameter",
            "Invalid parameter: TopicArn",
        ),
        (
            "unsubscribe",
            {},
            "InvalidParameter",
            "Invalid parameter: SubscriptionArn Reason: no value for required parameter",
        ),
        (
            "unsubscribe",
            {"SubscriptionArn": "x:y"},
            "InvalidParameter",
            "Invalid parameter: SubscriptionArn Reason: An ARN must have at least 6 elements, not 2",
        ),
        (
            "get_subscription_attributes",
            {"SubscriptionArn": f"arn:aws:sns:{REGION}:{ACCOUNT}:t:{'0' * 8}-0000-0000-0000-{'0' * 12}"},
            "NotFound",
            "Subscription does not exist",
        ),
        (
            "publish",
            {"Message": "x"},
            "InvalidParameter",
            "Invalid parameter: TopicArn or TargetArn Reason: no value for required parameter",
        ),
        (
            "publish",
            {"TargetArn": "x", "Message": "x"},
            "InvalidParameter",
            "Invalid parameter: TargetArn Reason: An ARN must have at least 6 elements, not 1",
        ),
        (
            "confirm_subscription",
            {"TopicArn": f"arn:aws:sns:{REGION}:{ACCOUNT}:none", "Token": "x"},
            "NotFound",
            "Topic does not exist",
        ),
    ],
)
def test_what_cannot_be_is_refused_in_aws_s_words(
    sns: Any, operation: str, parameters: dict[str, Any], code: str, message: str
) -> None:
    assert refusal(getattr(sns, operation), **parameters)[:2] == (code, message)


@pytest.mark.parametrize(
    ("operation", "parameters"),
    [
        (
            "create_topic",
            {"Name": "t.fifo", "Attributes": {"FifoTopic": "true", "ArchivePolicy": '{"a": 1}'}},
        ),
    ],
)
def test_what_we_do_not_do_is_not_pretended(sns: Any, operation: str, parameters: dict[str, Any]) -> None:
    code, _, status = refusal(getattr(sns, operation), **parameters)
    assert (code, status) == ("NotImplemented", 501)


def test_permissions_open_a_topic_to_another_account(lambent: Server, sns: Any, topic: str) -> None:
    foreign = lambent.client("sns", account=OTHER)
    code, message, status = refusal(foreign.publish, TopicArn=topic, Message="x")
    assert (code, status) == ("AuthorizationError", 403)
    assert message == (
        f"User: arn:aws:iam::{OTHER}:root is not authorized to perform: SNS:Publish on resource: {topic} "
        "because no resource-based policy allows the SNS:Publish action"
    )
    permission = {"TopicArn": topic, "Label": "l", "AWSAccountId": [OTHER], "ActionName": ["Publish"]}
    sns.add_permission(**permission)
    assert foreign.publish(TopicArn=topic, Message="x")["MessageId"]
    assert refusal(sns.add_permission, **permission)[1] == "Invalid parameter: Statement already exists"
    assert refusal(foreign.delete_topic, TopicArn=topic)[0] == "AuthorizationError"
    wrong = refusal(sns.add_permission, **permission | {"Label": "m", "ActionName": ["Nothing"]})
    assert wrong[1] == "Invalid parameter: Policy statement action out of service scope!"
    sns.remove_permission(TopicArn=topic, Label="l")
    assert refusal(foreign.publish, TopicArn=topic, Message="x")[0] == "AuthorizationError"
    bad = refusal(sns.set_topic_attributes, TopicArn=topic, AttributeName="Policy", AttributeValue="{")
    assert bad[1] == "Invalid parameter: Policy Error: null"


# Subscriptions and messages ----------------------------------------------------------------------------------


def test_a_message_reaches_a_queue_in_its_envelope(sns: Any, sqs: Any, topic: str, name: str) -> None:
    url, arn = new_queue(sqs, name)
    subscription = sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)["SubscriptionArn"]
    assert subscription.startswith(f"{topic}:")
    assert sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)["SubscriptionArn"] == subscription
    attributes = {"kind": {"DataType": "String", "StringValue": "ü"}}
    sent = sns.publish(TopicArn=topic, Message='a "b"', Subject="s", MessageAttributes=attributes)
    (message,) = take(sqs, url)
    shown = json.loads(message["Body"])
    assert message["Body"].startswith('{\n  "Type" : "Notification",\n  "MessageId" : ')
    assert (shown["MessageId"], shown["TopicArn"]) == (sent["MessageId"], topic)
    assert (shown["Message"], shown["Subject"]) == ('a "b"', "s")
    assert shown["MessageAttributes"] == {"kind": {"Type": "String", "Value": "ü"}}
    assert shown["UnsubscribeURL"].endswith(f"/?Action=Unsubscribe&SubscriptionArn={subscription}")
    assert_signed(shown)
    listed = sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
    expected = {
        "SubscriptionArn": subscription,
        "Owner": ACCOUNT,
        "Protocol": "sqs",
        "Endpoint": arn,
        "TopicArn": topic,
    }
    assert listed == [expected]
    pages = sns.get_paginator("list_subscriptions").paginate()
    assert expected in [one for page in pages for one in page["Subscriptions"]]
    for _ in range(2):
        sns.unsubscribe(SubscriptionArn=subscription)
    assert sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"] == []
    assert sns.get_topic_attributes(TopicArn=topic)["Attributes"]["SubscriptionsDeleted"] == "1"


def assert_signed(shown: dict[str, Any]) -> None:
    """Verify a message as AWS's page says: by the certificate that it names."""
    with urlopen(shown["SigningCertURL"]) as answer:
        key: Any = x509.load_pem_x509_certificate(answer.read()).public_key()
    names = ["Message", "MessageId", "SubscribeURL", "Subject", "Timestamp", "Token", "TopicArn", "Type"]
    text = "".join(f"{name}\n{shown[name]}\n" for name in names if name in shown)
    algorithm = hashes.SHA256() if shown["SignatureVersion"] == "2" else hashes.SHA1()
    key.verify(base64.b64decode(shown["Signature"]), text.encode(), padding.PKCS1v15(), algorithm)


def test_attributes_of_a_subscription_decide_what_it_gets_and_how(
    sns: Any, sqs: Any, topic: str, name: str
) -> None:
    url, arn = new_queue(sqs, name)
    policy = json.dumps({"order": {"kind": ["big"]}})
    asked = {"TopicArn": topic, "Protocol": "sqs", "Endpoint": arn}
    wanted = {"FilterPolicy": policy, "FilterPolicyScope": "MessageBody", "RawMessageDelivery": "true"}
    subscription = sns.subscribe(**asked, Attributes=wanted)["SubscriptionArn"]
    assert sns.subscribe(**asked, Attributes=wanted)["SubscriptionArn"] == subscription
    assert refusal(sns.subscribe, **asked, Attributes={"RawMessageDelivery": "false"})[1] == (
        "Invalid parameter: Attributes Reason: Subscription already exists with different attributes"
    )
    shown = sns.get_subscription_attributes(SubscriptionArn=subscription)["Attributes"]
    assert shown == {
        "SubscriptionArn": subscription,
        "TopicArn": topic,
        "Protocol": "sqs",
        "Endpoint": arn,
        "Owner": ACCOUNT,
        "PendingConfirmation": "false",
        "ConfirmationWasAuthenticated": "true",
        "SubscriptionPrincipal": f"arn:aws:iam::{ACCOUNT}:root",
        **wanted,
    }
    attributes = {"n": {"DataType": "Number", "StringValue": "7"}}
    for body in ('{"order": {"kind": "small"}}', "text", '{"order": {"kind": "big"}}'):
        sns.publish(TopicArn=topic, Message=body, MessageAttributes=attributes)
    (message,) = take(sqs, url)
    assert message["Body"] == '{"order": {"kind": "big"}}'
    assert message["MessageAttributes"] == attributes

    def set_attribute(**parameters: Any) -> Any:
        return sns.set_subscription_attributes(SubscriptionArn=subscription, **parameters)

    nested = refusal(set_attribute, AttributeName="FilterPolicyScope", AttributeValue="MessageAttributes")
    assert nested[1] == (
        "Invalid parameter: Filter policy scope MessageAttributes does not support nested filter policy"
    )
    set_attribute(AttributeName="FilterPolicy", AttributeValue='{"n": [{"numeric": [">", 8]}]}')
    set_attribute(AttributeName="FilterPolicyScope", AttributeValue="MessageAttributes")
    for number in ("7", "9"):
        attributes["n"]["StringValue"] = number
        sns.publish(TopicArn=topic, Message=number, MessageAttributes=attributes)
    assert [one["Body"] for one in take(sqs, url)] == ["9"]
    assert refusal(set_attribute, AttributeName="Nothing", AttributeValue="")[1] == (
        "Invalid parameter: AttributeName"
    )


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        (
            {"Protocol": "pigeon"},
            "Invalid parameter: Amazon SNS does not support this protocol string: pigeon",
        ),
        ({"Protocol": "sqs", "Endpoint": "queue"}, "Invalid parameter: SQS endpoint ARN"),
        ({"Protocol": "lambda", "Endpoint": "f"}, "Invalid parameter: Lambda endpoint ARN"),
        (
            {"Protocol": "https", "Endpoint": "http://a"},
            "Invalid parameter: Endpoint must match the specified protocol",
        ),
        (
            {"Protocol": "sqs", "Endpoint": f"arn:aws:sqs:{REGION}:{ACCOUNT}:q.fifo"},
            "Invalid parameter: Invalid parameter: Endpoint Reason: FIFO SQS Queues can not be subscribed to standard "
            "SNS topics",
        ),
        (
            {
                "Protocol": "lambda",
                "Endpoint": f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:f",
                "Attributes": {"RawMessageDelivery": "true"},
            },
            "Invalid parameter: Attributes Reason: RawMessageDelivery: Delivery protocol [lambda] does not support raw "
            "message delivery.",
        ),
        (
            {
                "Protocol": "sqs",
                "Endpoint": f"arn:aws:sqs:{REGION}:{ACCOUNT}:q",
                "Attributes": {"RedrivePolicy": '{"deadLetterTargetArn": "x"}'},
            },
            "Invalid parameter: Attributes Reason: RedrivePolicy: deadLetterTargetArn is an invalid arn",
        ),
        (
            {
                "Protocol": "sqs",
                "Endpoint": f"arn:aws:sqs:{REGION}:{ACCOUNT}:q",
                "Attributes": {"RedrivePolicy": '{"maxReceiveCount": 3}'},
            },
            "Invalid parameter: Attributes Reason: RedrivePolicy: invalid JSON. Attribute maxReceiveCount is unknown.",
        ),
        ({"Protocol": "email", "Endpoint": "nobody"}, "Invalid parameter: Email address"),
        ({"Protocol": "sms", "Endpoint": "x-xxx"}, "Invalid SMS endpoint: x-xxx"),
        (
            {
                "Protocol": "sqs",
                "Endpoint": f"arn:aws:sqs:{REGION}:{ACCOUNT}:q",
                "Attributes": {"FilterPolicy": '{"a": 1}'},
            },
            'Invalid parameter: Attributes Reason: FilterPolicy: "a" must be an object or an array',
        ),
    ],
)
def test_who_cannot_subscribe_is_told_why(
    sns: Any, topic: str, parameters: dict[str, Any], message: str
) -> None:
    assert refusal(sns.subscribe, TopicArn=topic, **parameters)[:2] == ("InvalidParameter", message)


def test_mail_is_not_sent_and_the_link_that_confirms_a_mailbox_is_in_the_log(
    lambent: Server, sns: Any, topic: str
) -> None:
    mailbox = f"{topic.rpartition(':')[2]}@example.com"
    asked = {"TopicArn": topic, "Protocol": "email", "Endpoint": mailbox}
    assert sns.subscribe(**asked)["SubscriptionArn"] == "pending confirmation"
    (listed,) = sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
    assert (listed["SubscriptionArn"], listed["Endpoint"]) == ("PendingConfirmation", mailbox)
    line = told(lambent, mailbox)
    assert line.startswith("WARNING") and "Not sent, as Lambent sends no mail" in line
    link = re.search(r"http://\S+&Token=\w+", line)
    assert link is not None
    urlopen(link[0]).close()
    (listed,) = sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
    assert listed["SubscriptionArn"].startswith(f"{topic}:")
    sns.publish(TopicArn=topic, Message="good news")
    assert told(lambent, f"{mailbox}: 'good news'")


def told(lambent: Server, text: str) -> str:
    """Return the line of the server's log that has a text in it, once it is there."""
    deadline_s = time.monotonic() + PATIENCE_S
    while not (lines := [line for line in lambent.error_text().splitlines() if text in line]):
        assert time.monotonic() < deadline_s, text
        time.sleep(0.02)
    return lines[-1]


def test_text_messages_are_taken_and_told_in_the_log(lambent: Server, sns: Any, topic: str) -> None:
    number = "+15555550100"
    arn = sns.subscribe(TopicArn=topic, Protocol="sms", Endpoint=number)["SubscriptionArn"]
    assert (
        sns.get_subscription_attributes(SubscriptionArn=arn)["Attributes"]["PendingConfirmation"] == "false"
    )
    body = topic.rpartition(":")[2]
    assert sns.publish(TopicArn=topic, Message=f"all {body}")["MessageId"]
    sent = sns.publish(PhoneNumber=number, Message=f"one {body}")["MessageId"]
    assert "Lambent sends no text messages" in told(lambent, f"{number}: 'all {body}'")
    assert f"message {sent} to" in told(lambent, f"{number}: 'one {body}'")
    assert refusal(sns.publish, PhoneNumber="12ab", Message="x")[1] == (
        "Invalid parameter: PhoneNumber Reason: 12ab is not valid to publish to"
    )


def test_settings_of_text_messages_are_kept(lambent: Server) -> None:
    sns = lambent.client("sns", account="777777777777")
    assert sns.get_sms_attributes()["attributes"] == {"MonthlySpendLimit": "1"}
    sns.set_sms_attributes(attributes={"DefaultSMSType": "Transactional", "DefaultSenderID": "me"})
    assert sns.get_sms_attributes(attributes=["DefaultSMSType"])["attributes"] == {
        "DefaultSMSType": "Transactional"
    }
    assert refusal(sns.set_sms_attributes, attributes={"Nothing": "x"})[0] == "InvalidParameter"
    assert refusal(sns.set_sms_attributes, attributes={"DefaultSMSType": "x"})[0] == "InvalidParameter"
    number = "+15555550101"
    assert sns.check_if_phone_number_is_opted_out(phoneNumber=number)["isOptedOut"] is False
    assert sns.list_phone_numbers_opted_out()["phoneNumbers"] == []
    sns.opt_in_phone_number(phoneNumber=number)
    assert sns.get_sms_sandbox_account_status()["IsInSandbox"] is False
    assert sns.list_origination_numbers()["PhoneNumbers"] == []


def test_a_number_of_the_sandbox_is_verified_by_the_password_in_the_log(lambent: Server) -> None:
    sns, number = lambent.client("sns", account="777777777777"), "+15555550102"
    sns.create_sms_sandbox_phone_number(PhoneNumber=number)
    (shown,) = sns.list_sms_sandbox_phone_numbers()["PhoneNumbers"]
    assert shown == {"PhoneNumber": number, "Status": "Pending"}
    password = told(lambent, f"{number}: 'Your verification code is")[-7:-1]
    wrong = str((int(password) + 1) % 1_000_000).zfill(6)
    code, *_ = refusal(sns.verify_sms_sandbox_phone_number, PhoneNumber=number, OneTimePassword=wrong)
    assert code == "VerificationException"
    sns.verify_sms_sandbox_phone_number(PhoneNumber=number, OneTimePassword=password)
    assert sns.list_sms_sandbox_phone_numbers()["PhoneNumbers"][0]["Status"] == "Verified"
    sns.delete_sms_sandbox_phone_number(PhoneNumber=number)
    assert sns.list_sms_sandbox_phone_numbers()["PhoneNumbers"] == []
    code, *_ = refusal(sns.delete_sms_sandbox_phone_number, PhoneNumber=number)
    assert code == "ResourceNotFound"


def test_a_mobile_device_is_registered_subscribed_and_published_to(
    lambent: Server, sns: Any, topic: str, name: str
) -> None:
    asked = {"Name": name, "Platform": "GCM", "Attributes": {"PlatformCredential": "key"}}
    application = sns.create_platform_application(**asked)["PlatformApplicationArn"]
    assert application == f"arn:aws:sns:{REGION}:{ACCOUNT}:app/GCM/{name}"
    sns.set_platform_application_attributes(
        PlatformApplicationArn=application, Attributes={"SuccessFeedbackSampleRate": "50"}
    )
    shown = {"Enabled": "true", "SuccessFeedbackSampleRate": "50"}
    of_it: dict[str, Any] = {"PlatformApplicationArn": application}
    assert sns.get_platform_application_attributes(**of_it)["Attributes"] == shown
    pages = sns.get_paginator("list_platform_applications").paginate()
    listed = [one for page in pages for one in page["PlatformApplications"]]
    assert {**of_it, "Attributes": shown} in listed

    device = sns.create_platform_endpoint(**of_it, Token="t", CustomUserData="u")["EndpointArn"]
    assert device.startswith(f"arn:aws:sns:{REGION}:{ACCOUNT}:endpoint/GCM/{name}/")
    assert sns.create_platform_endpoint(**of_it, Token="t")["EndpointArn"] == device
    assert refusal(sns.create_platform_endpoint, **of_it, Token="t", CustomUserData="v")[:2] == (
        "InvalidParameter",
        f"Invalid parameter: Token Reason: Endpoint {device} already exists with the same Token, but different "
        "attributes.",
    )
    attributes = {"Enabled": "true", "Token": "t", "CustomUserData": "u"}
    assert sns.get_endpoint_attributes(EndpointArn=device)["Attributes"] == attributes
    assert sns.list_endpoints_by_platform_application(**of_it)["Endpoints"] == [
        {"EndpointArn": device, "Attributes": attributes}
    ]
    subscribe = {"TopicArn": topic, "Protocol": "application", "Endpoint": device}
    assert sns.subscribe(**subscribe)["SubscriptionArn"].startswith(f"{topic}:")
    sns.publish(TopicArn=topic, Message="to all")
    assert told(lambent, f"{device}: 'to all'")
    both = json.dumps({"default": "d", "GCM": "g"})
    sns.publish(TargetArn=device, Message=both, MessageStructure="json")
    assert told(lambent, f"{device}: 'g'")
    sns.set_endpoint_attributes(EndpointArn=device, Attributes={"Enabled": "false"})
    assert refusal(sns.publish, TargetArn=device, Message="x")[0] == "EndpointDisabled"
    for _ in range(2):
        sns.delete_endpoint(EndpointArn=device)
    assert refusal(sns.get_endpoint_attributes, EndpointArn=device) == (
        "NotFound",
        "Endpoint does not exist",
        404,
    )
    assert refusal(sns.publish, TargetArn=device, Message="x")[1] == (
        "Invalid parameter: TargetArn Reason: No endpoint found for the target arn specified"
    )
    assert refusal(sns.subscribe, **subscribe)[1] == (
        f"Invalid parameter: Endpoint Reason: Endpoint does not exist for endpoint {device}"
    )
    for _ in range(2):
        sns.delete_platform_application(**of_it)
    assert refusal(sns.get_platform_application_attributes, **of_it)[1] == (
        "PlatformApplication does not exist"
    )


def test_a_delivery_stream_subscribes_with_a_role(sns: Any, topic: str) -> None:
    stream = f"arn:aws:firehose:{REGION}:{ACCOUNT}:deliverystream/s"
    role = f"arn:aws:iam::{ACCOUNT}:role/r"
    asked = {"TopicArn": topic, "Protocol": "firehose", "Endpoint": stream}
    assert refusal(sns.subscribe, **asked)[0] == "InvalidParameter"
    wanted = {"SubscriptionRoleArn": role, "RawMessageDelivery": "true"}
    arn = sns.subscribe(**asked, Attributes=wanted)["SubscriptionArn"]
    shown = sns.get_subscription_attributes(SubscriptionArn=arn)["Attributes"]
    assert {name: shown[name] for name in wanted} == wanted


@pytest.mark.parametrize(
    ("parameters", "code", "message"),
    [
        ({"Message": ""}, "InvalidParameter", "Invalid parameter: Empty message"),
        ({"Message": "x", "Subject": "a\nb"}, "InvalidParameter", "Invalid parameter: Subject"),
        ({"Message": "x", "Subject": "s" * 101}, "InvalidParameter", "Invalid parameter: Subject"),
        ({"Message": "x" * 262_145}, "InvalidParameter", "Invalid parameter: Message too long"),
        (
            {"Message": "x", "MessageStructure": "json"},
            "InvalidParameter",
            "Invalid parameter: Message Structure - JSON message body failed to parse",
        ),
        (
            {"Message": '{"sqs": "x", "default": 1}', "MessageStructure": "json"},
            "InvalidParameter",
            "Invalid parameter: Message Structure - No default entry in JSON message body",
        ),
        (
            {"Message": "x", "MessageDeduplicationId": "1"},
            "InvalidParameter",
            "Invalid parameter: MessageDeduplicationId Reason: The request includes MessageDeduplicationId parameter "
            "that is not valid for this topic type",
        ),
        (
            {"Message": "x", "MessageAttributes": {"a": {"DataType": "Text", "StringValue": "x"}}},
            "ParameterValueInvalid",
            "The message attribute 'a' has an invalid message attribute type, the set of supported type prefixes is "
            "Binary, Number, and String.",
        ),
        (
            {"Message": "x", "MessageAttributes": {"a": {"DataType": "String", "StringValue": ""}}},
            "ParameterValueInvalid",
            "The message attribute 'a' must contain non-empty message attribute value for message attribute type "
            "'String'.",
        ),
        (
            {"Message": "x", "MessageAttributes": {"a/b": {"DataType": "String", "StringValue": "x"}}},
            "ParameterValueInvalid",
            "Invalid non-alphanumeric character '#x2F' was found in the message attribute name. Can only include "
            "alphanumeric characters, hyphens, underscores, or dots.",
        ),
    ],
)
def test_what_cannot_be_published_is_refused_in_aws_s_words(
    sns: Any, topic: str, parameters: dict[str, Any], code: str, message: str
) -> None:
    assert refusal(sns.publish, TopicArn=topic, **parameters)[:2] == (code, message)


def test_a_message_may_be_as_large_as_its_topic_takes(sns: Any, sqs: Any, topic: str, name: str) -> None:
    url, arn = new_queue(sqs, name)
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    sns.publish(TopicArn=topic, Message="x" * 262_144)
    assert [len(text) for text in texts(sqs, url)] == [262_144]
    sns.set_topic_attributes(TopicArn=topic, AttributeName="MaximumMessageSize", AttributeValue="300000")
    sns.publish(TopicArn=topic, Message="x" * 300_000)
    assert [len(text) for text in texts(sqs, url)] == [300_000]


def test_protocols_may_have_messages_of_their_own(sns: Any, sqs: Any, topic: str, name: str) -> None:
    url, arn = new_queue(sqs, name)
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    sns.publish(TopicArn=topic, Message="{}", MessageStructure="string")
    assert texts(sqs, url) == ["{}"]
    both = json.dumps({"default": "all", "sqs": "queues", "http": 1})
    sns.publish(TopicArn=topic, Message=both, MessageStructure="json")
    assert texts(sqs, url) == ["queues"]


def test_batches_are_published_whole_or_refused(sns: Any, sqs: Any, topic: str, name: str) -> None:
    url, arn = new_queue(sqs, name)
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)

    def publish(*entries: dict[str, Any]) -> Any:
        return sns.publish_batch(TopicArn=topic, PublishBatchRequestEntries=list(entries))

    answer = publish(*({"Id": str(number), "Message": f"m{number}"} for number in range(10)))
    assert [one["Id"] for one in answer["Successful"]] == [str(number) for number in range(10)]
    assert answer["Failed"] == []
    assert sorted(texts(sqs, url, 10)) == [f"m{number}" for number in range(10)]
    same = {"Id": "a", "Message": "x"}
    for entries, code in (
        ([], "EmptyBatchRequest"),
        ([same, same], "BatchEntryIdsNotDistinct"),
        ([same | {"Id": "a b"}], "InvalidBatchEntryId"),
        ([{"Id": str(number), "Message": "x"} for number in range(11)], "TooManyEntriesInBatchRequest"),
        ([{"Id": n, "Message": "x" * 140_000} for n in "ab"], "BatchRequestTooLong"),
        ([same, {"Id": "b", "Message": ""}], "InvalidParameter"),
    ):
        assert refusal(lambda entries=entries: publish(*entries))[0] == code


def test_a_fifo_topic_keeps_order_and_drops_what_comes_twice(sns: Any, sqs: Any, name: str) -> None:
    topic = sns.create_topic(
        Name=f"{name}.fifo", Attributes={"FifoTopic": "true", "ContentBasedDeduplication": "true"}
    )["TopicArn"]
    url, arn = new_queue(sqs, f"{name}.fifo", FifoQueue="true")
    plain_url, plain_arn = new_queue(sqs, name)
    for endpoint in (arn, plain_arn):
        sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=endpoint)
    assert refusal(sns.publish, TopicArn=topic, Message="x")[1] == (
        "Invalid parameter: The MessageGroupId parameter is required for FIFO topics"
    )
    first = sns.publish(TopicArn=topic, Message="0", MessageGroupId="g")
    again = sns.publish(TopicArn=topic, Message="0", MessageGroupId="g")
    assert (again["MessageId"], again["SequenceNumber"]) == (first["MessageId"], first["SequenceNumber"])
    entries = [{"Id": str(number), "Message": str(number), "MessageGroupId": "g"} for number in range(1, 6)]
    batch = sns.publish_batch(TopicArn=topic, PublishBatchRequestEntries=entries)
    numbers = [first["SequenceNumber"], *(one["SequenceNumber"] for one in batch["Successful"])]
    assert numbers == sorted(numbers, key=int)
    received = take(sqs, url, 6)
    assert [json.loads(one["Body"])["Message"] for one in received] == [str(number) for number in range(6)]
    assert [json.loads(one["Body"])["SequenceNumber"] for one in received] == numbers
    assert {one["Attributes"]["MessageGroupId"] for one in received} == {"g"}
    assert "Signature" not in json.loads(received[0]["Body"])
    assert sorted(texts(sqs, plain_url, 6)) == [str(number) for number in range(6)]


def test_an_address_confirms_gets_messages_leaves_and_comes_back(
    sns: Any, topic: str, endpoint: Endpoint
) -> None:
    asked = {"TopicArn": topic, "Protocol": "http", "Endpoint": endpoint.url}
    assert sns.subscribe(**asked)["SubscriptionArn"] == "pending confirmation"
    headers, body = endpoint.next()
    invitation = json.loads(body)
    assert headers["x-amz-sns-message-type"] == invitation["Type"] == "SubscriptionConfirmation"
    assert headers["x-amz-sns-topic-arn"] == invitation["TopicArn"] == topic
    assert headers["content-type"] == "text/plain; charset=UTF-8"
    assert_signed(invitation)
    arn = sns.subscribe(**asked, ReturnSubscriptionArn=True)["SubscriptionArn"]
    endpoint.next()
    listed = sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
    assert [one["SubscriptionArn"] for one in listed] == ["PendingConfirmation"]
    sns.publish(TopicArn=topic, Message="too early")
    assert refusal(sns.confirm_subscription, TopicArn=topic, Token="no")[1] == "Invalid parameter: Token"
    with urlopen(invitation["SubscribeURL"]) as answer:
        assert arn in answer.read().decode()
    # Confirming twice is no error.
    token = {"TopicArn": topic, "Token": invitation["Token"]}
    assert sns.confirm_subscription(**token)["SubscriptionArn"] == arn
    sns.set_topic_attributes(TopicArn=topic, AttributeName="SignatureVersion", AttributeValue="2")
    sent = sns.publish(TopicArn=topic, Message="hello")
    headers, body = endpoint.next()
    shown = json.loads(body)
    assert (shown["Message"], shown["MessageId"]) == ("hello", sent["MessageId"])
    assert (headers["x-amz-sns-subscription-arn"], headers["x-amz-sns-message-type"]) == (arn, "Notification")
    assert shown["SignatureVersion"] == "2"
    assert_signed(shown)
    with urlopen(shown["UnsubscribeURL"]) as answer:
        assert answer.status == 200
    farewell = json.loads(endpoint.next()[1])
    assert farewell["Type"] == "UnsubscribeConfirmation"
    assert sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"] == []
    with urlopen(farewell["SubscribeURL"]) as answer:
        assert answer.status == 200
    sns.publish(TopicArn=topic, Message="back")
    assert json.loads(endpoint.next()[1])["Message"] == "back"


def test_an_address_that_fails_is_tried_again_and_what_it_refuses_becomes_a_dead_letter(
    sns: Any, sqs: Any, topic: str, name: str, endpoint: Endpoint
) -> None:
    url, arn = new_queue(sqs, name)
    attributes = {
        "RawMessageDelivery": "true",
        "RedrivePolicy": json.dumps({"deadLetterTargetArn": arn}),
        "DeliveryPolicy": json.dumps(
            {
                "healthyRetryPolicy": {"numRetries": 1, "numNoDelayRetries": 1},
                "requestPolicy": {"headerContentType": "application/json"},
            }
        ),
    }
    sns.subscribe(TopicArn=topic, Protocol="http", Endpoint=endpoint.url, Attributes=attributes)
    sns.confirm_subscription(TopicArn=topic, Token=json.loads(endpoint.next()[1])["Token"])
    endpoint.statuses = [500, 200, 503, 503, 404]
    sns.publish(TopicArn=topic, Message="1")
    for _ in range(2):
        headers, body = endpoint.next()
        assert (body, headers["x-amz-sns-rawdelivery"]) == (b"1", "true")
        assert headers["content-type"] == "application/json"
    sns.publish(TopicArn=topic, Message="2")
    assert [endpoint.next()[1] for _ in range(2)] == [b"2", b"2"]
    assert [one["Body"] for one in take(sqs, url)] == ["2"]
    sns.publish(TopicArn=topic, Message="3")
    assert [one["Body"] for one in take(sqs, url)] == ["3"]
    assert (endpoint.next()[1], endpoint.requests.empty()) == (b"3", True)


FORWARD = """
import boto3, json, os
def handler(event, context):
    boto3.client("sqs").send_message(QueueUrl=os.environ["RESULTS"], MessageBody=json.dumps(event))
"""


def test_a_function_is_given_what_its_policy_lets_in_and_the_trace_goes_on(
    lambent: Server, sns: Any, sqs: Any, topic: str, name: str
) -> None:
    results, _ = new_queue(sqs, name)
    dead, dead_arn = new_queue(sqs, f"{name}-dead")
    client = lambent.client("lambda")
    create(client, name, FORWARD, Environment={"Variables": {"RESULTS": results}})
    function = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{name}"
    redrive = {"RedrivePolicy": json.dumps({"deadLetterTargetArn": dead_arn})}
    arn = sns.subscribe(TopicArn=topic, Protocol="lambda", Endpoint=function, Attributes=redrive)[
        "SubscriptionArn"
    ]
    sns.publish(TopicArn=topic, Message="uninvited")
    (letter,) = take(sqs, dead)
    assert json.loads(letter["Body"])["Records"][0]["Sns"]["Message"] == "uninvited"
    client.add_permission(
        FunctionName=name,
        StatementId="sns",
        Action="lambda:InvokeFunction",
        Principal="sns.amazonaws.com",
        SourceArn=topic,
    )
    root = "1-5bdb40ca-556d8b0c50dc66f0511bf520"
    sns.meta.events.register_first("before-sign.sns.Publish", add_trace := trace_adder(root))
    sns.publish(TopicArn=topic, Message="invited")
    sns.meta.events.unregister("before-sign.sns.Publish", add_trace)
    (message,) = take(sqs, results)
    (record,) = json.loads(message["Body"])["Records"]
    assert (record["EventSource"], record["EventVersion"]) == ("aws:sns", "1.0")
    assert record["EventSubscriptionArn"] == arn
    assert (record["Sns"]["Message"], record["Sns"]["Subject"]) == ("invited", None)
    assert record["Sns"]["MessageAttributes"] == {}
    signed = {name.replace("Url", "URL"): value for name, value in record["Sns"].items() if value}
    assert_signed(signed)
    assert root in message["Attributes"]["AWSTraceHeader"]


PUBLISH_ON = """
import boto3, os
def handler(event, context):
    number = int(event["Records"][0]["Sns"]["Message"])
    boto3.client("sns").publish(TopicArn=os.environ["TOPIC"], Message=str(number + 1))
"""


def test_a_function_that_publishes_to_itself_is_stopped(
    lambent: Server, sns: Any, sqs: Any, topic: str, name: str
) -> None:
    url, arn = new_queue(sqs, name)
    client = lambent.client("lambda")
    create(client, name, PUBLISH_ON, Environment={"Variables": {"TOPIC": topic}})
    client.add_permission(
        FunctionName=name,
        StatementId="sns",
        Action="lambda:InvokeFunction",
        Principal="sns.amazonaws.com",
    )
    failure = {"OnFailure": {"Destination": arn}}
    client.put_function_event_invoke_config(FunctionName=name, DestinationConfig=failure)
    function = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{name}"
    sns.subscribe(TopicArn=topic, Protocol="lambda", Endpoint=function)
    sns.publish(TopicArn=topic, Message="1")
    (message,) = take(sqs, url)
    told = json.loads(message["Body"])
    assert told["requestContext"]["condition"] == "RecursiveInvocation"
    assert told["requestPayload"]["Records"][0]["Sns"]["Message"] == "17"


def trace_adder(root: str) -> Callable[..., None]:
    def add(request: Any, **_: Any) -> None:
        request.headers["X-Amzn-Trace-Id"] = f"Root={root};Parent=0123456789abcdef;Sampled=1"

    return add


def test_the_aws_cli_subscribes_and_publishes(lambent: Server, sqs: Any, topic: str, name: str) -> None:
    url, arn = new_queue(sqs, name)

    def aws(*words: str) -> Any:
        program = str(Path(sysconfig.get_path("scripts")) / "aws")
        # Version 1 passes over AWS_ENDPOINT_URL.
        command = [program, "--endpoint-url", lambent.endpoint, "--output", "json", "sns", *words]
        done = subprocess.run(command, env=lambent.environ(), capture_output=True, check=True)
        return json.loads(done.stdout)

    aws("subscribe", "--topic-arn", topic, "--protocol", "sqs", "--notification-endpoint", arn)
    message_id = aws("publish", "--topic-arn", topic, "--message", "from the shell")["MessageId"]
    (message,) = take(sqs, url)
    assert json.loads(message["Body"])["MessageId"] == message_id
