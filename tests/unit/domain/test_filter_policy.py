"""Filter policies: which messages a subscription gets."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lambent.domain.filter_policy import is_meant
from lambent.domain.queue_message import MessageAttribute

ATTRIBUTES = {
    "store": MessageAttribute(data_type="String", text="example_corp"),
    "price": MessageAttribute(data_type="Number", text="210.75"),
    "count": MessageAttribute(data_type="Number.int", text="100"),
    "interests": MessageAttribute(data_type="String.Array", text='["soccer", "rugby", 5, true, null]'),
    "broken": MessageAttribute(data_type="String.Array", text="[soccer"),
    "source": MessageAttribute(data_type="String", text="10.0.0.7"),
    "picture": MessageAttribute(data_type="Binary", binary=b"\x00"),
}


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ({}, True),
        ({"store": ["example_corp"]}, True),
        ({"store": ["Example_Corp"]}, False),
        ({"store": ["other", "example_corp"], "price": [{"numeric": [">", 200]}]}, True),
        ({"store": ["example_corp"], "missing": ["x"]}, False),
        ({"store": [{"prefix": "example"}]}, True),
        ({"store": [{"suffix": "_corp"}]}, True),
        ({"store": [{"equals-ignore-case": "EXAMPLE_corp"}]}, True),
        ({"store": [{"anything-but": ["a", "b"]}]}, True),
        ({"store": [{"anything-but": {"prefix": "example"}}]}, False),
        ({"price": [{"numeric": ["=", 210.75]}]}, True),
        ({"price": [{"numeric": [">", 0, "<=", 150]}]}, False),
        ({"count": [100]}, True),
        ({"count": ["100"]}, False),
        ({"interests": ["rugby"]}, True),
        ({"interests": [5]}, True),
        ({"interests": [True]}, True),
        ({"interests": ["tennis"]}, False),
        # Of several values it is enough that one is none of these.
        ({"interests": [{"anything-but": ["rugby"]}]}, True),
        ({"broken": ["[soccer"]}, True),
        ({"source": [{"cidr": "10.0.0.0/24"}]}, True),
        ({"source": [{"cidr": "10.0.1.0/24"}]}, False),
        ({"missing": [{"exists": False}]}, True),
        ({"store": [{"exists": False}]}, False),
        ({"picture": [{"exists": True}]}, False),
        ({"$or": [{"store": ["none"]}, {"price": [{"numeric": [">", 1]}]}]}, True),
        ({"$or": [{"store": ["none"]}, {"missing": ["x"]}], "count": [100]}, False),
    ],
)
def test_attributes_are_compared_as_aws_does(policy: dict[str, Any], expected: bool) -> None:
    text = json.dumps(policy)
    assert is_meant(text, "MessageAttributes", text="{}", attributes=ATTRIBUTES) is expected


BODY = {"order": {"kind": "book", "items": [{"sku": "a", "n": 1}, {"sku": "b", "n": 2}]}, "total": 12.5}


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ({"order": {"kind": ["book", "film"]}}, True),
        ({"order": {"items": {"sku": ["b"]}}}, True),
        ({"order": {"items": {"sku": ["c"]}}}, False),
        ({"total": [{"numeric": ["<", 20]}], "order": {"kind": [{"prefix": "bo"}]}}, True),
        ({"nothing": [{"exists": False}]}, True),
    ],
)
def test_bodies_are_compared_however_deep(policy: dict[str, Any], expected: bool) -> None:
    text = json.dumps(policy)
    assert is_meant(text, "MessageBody", text=json.dumps(BODY), attributes={}) is expected


@pytest.mark.parametrize("body", ["plain", "[1]", "null", "1", "[" * 100_000])
def test_a_body_that_is_no_json_object_is_meant_by_no_policy(body: str) -> None:
    assert not is_meant('{"a": [{"exists": false}]}', "MessageBody", text=body, attributes={})


@pytest.mark.parametrize("policy", ["", "{}"])
def test_without_a_policy_everything_is_meant(policy: str) -> None:
    assert is_meant(policy, "MessageBody", text="plain", attributes={})


def test_a_message_without_attributes_is_meant_by_no_policy_about_attributes() -> None:
    policy = '{"missing": [{"exists": false}]}'
    assert is_meant("", "MessageAttributes", text="x", attributes={})
    assert not is_meant(policy, "MessageAttributes", text="x", attributes={})
