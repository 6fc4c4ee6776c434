"""What a target gets of an event: AWS's own examples, and what is left open by them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lambent.domain.bus_event import BusEvent
from lambent.domain.rule import Rule, RuleTarget
from lambent.domain.target_input import InvalidInput, input_of, input_problem

EVENT = BusEvent(
    id="7bf73129",
    source="aws.ec2",
    detail_type="EC2 Instance State-change Notification",
    account="123456789012",
    region="us-east-1",
    time_s=1447277394.9,
    resources=("arn:aws:ec2:us-east-1:123456789012:instance/i-abcd1111",),
    detail='{"instance-id":"i-0123456789","state":"RUNNING","quoted":"a \\"b\\"","big":{"x":[1,2.50]}}',
    received_ms=1447277400123,
)
RULE = Rule(
    account="123456789012", region="us-east-1", bus="default", name="r", created_by="123456789012", since_s=0
)
PATHS = {"instance": "$.detail.instance-id", "state": "$.detail.state"}


def made(**members: Any) -> str:
    return input_of(EVENT, RULE, RuleTarget(members={"Id": "1", "Arn": "a", **members})).decode()


def filled(template: str, **paths: str) -> str:
    return made(InputTransformer={"InputPathsMap": PATHS | paths, "InputTemplate": template})


def test_without_more_a_target_gets_the_envelope_in_aws_s_order() -> None:
    assert made() == (
        '{"version":"0","id":"7bf73129","detail-type":"EC2 Instance State-change Notification",'
        '"source":"aws.ec2","account":"123456789012","time":"2015-11-11T21:29:54Z","region":"us-east-1",'
        '"resources":["arn:aws:ec2:us-east-1:123456789012:instance/i-abcd1111"],'
        f'"detail":{EVENT.detail}}}'
    )


def test_a_text_of_its_own_or_a_part_takes_the_place_of_the_event() -> None:
    assert made(Input='{"a": 1}') == '{"a": 1}'
    assert made(InputPath="$.detail.state") == '"RUNNING"'
    assert json.loads(made(InputPath="$.detail.big")) == {"x": [1, 2.5]}
    assert made(InputPath="$.detail.gone") == "null"


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ('"instance <instance> is in <state>"', '"instance i-0123456789 is in RUNNING"'),
        ('"instance <instance> is in \\"<state>\\""', '"instance i-0123456789 is in \\"RUNNING\\""'),
        (
            '{"instance" : <instance>, "state": "<state>", "static": 1}',
            '{"instance":"i-0123456789","state":"RUNNING","static":1}',
        ),
        ('{"r": <aws.events.rule-name>, "t": "<aws.events.rule-name>!"}', '{"r":"r","t":"r!"}'),
        (
            '{"a": <aws.events.rule-arn>}',
            '{"a":"arn:aws:events:us-east-1:123456789012:rule/r"}',
        ),
        ('{"at": <aws.events.event.ingestion-time>}', '{"at":"2015-11-11T21:30:00Z"}'),
        ('"line <state>"\n"line <instance>"', '"line RUNNING"\n"line i-0123456789"'),
        ("<state>", '"RUNNING"'),
    ],
)
def test_a_template_is_filled_in(template: str, text: str) -> None:
    assert filled(template) == text


def test_values_are_json_outside_of_quotes_and_parts_of_the_text_within() -> None:
    paths = {"big": "$.detail.big", "quoted": "$.detail.quoted"}
    assert json.loads(filled('{"a": <big>, "b": "of <big>", "d": <quoted>}', **paths)) == {
        "a": {"x": [1, 2.5]},
        "b": "of {x:[1,2.5]}",
        "d": 'a "b"',
    }
    # As the page says: nobody escapes what is put into quotes.
    assert filled('"<quoted>"', **paths) == '"a "b""'
    with pytest.raises(InvalidInput):
        filled('{"a": "<quoted>"}', **paths)


def test_the_event_itself_is_a_variable_with_and_without_its_detail() -> None:
    whole = json.loads(filled('{"e": <aws.events.event.json>}'))["e"]
    assert whole == json.loads(EVENT.body)
    heading = json.loads(filled('{"e": <aws.events.event>}'))["e"]
    assert heading["detailType"] == "EC2 Instance State-change Notification"
    assert "detail" not in heading


def test_a_value_that_is_not_there_leaves_nothing_behind() -> None:
    assert filled('"<gone>!"', gone="$.detail.gone") == '"!"'
    with pytest.raises(InvalidInput):
        filled('{"a": <gone>}', gone="$.detail.gone")


@pytest.mark.parametrize(
    ("members", "problem"),
    [
        (
            {"Input": "{}", "InputPath": "$"},
            "Only one of Input, InputPath, or InputTransformer must be provided",
        ),
        ({"Input": "{"}, "Input for target 1 is not a valid JSON text."),
        ({"InputPath": "detail"}, "Invalid InputPath for target 1."),
        (
            {"InputTransformer": {"InputPathsMap": {"a": "x"}, "InputTemplate": "<a>"}},
            "InputPath for target 1 is invalid.",
        ),
        (
            {"InputTransformer": {"InputPathsMap": {"aws.events.x": "$"}, "InputTemplate": "1"}},
            "InputPath for target 1 is invalid.",
        ),
        (
            {"InputTransformer": {"InputTemplate": '"<b>"'}},
            "InputTemplate for target 1 contains invalid placeholder b.",
        ),
        ({"InputTransformer": {"InputTemplate": '"<aws.events.event.json>"'}}, None),
        ({"Input": "1"}, None),
        ({}, None),
    ],
)
def test_what_cannot_be_filled_in_is_told_before(members: Any, problem: str | None) -> None:
    found = input_problem({"Id": "1", "Arn": "a", **members})
    assert (found or "").startswith(problem or "")
    assert (found is None) is (problem is None)
