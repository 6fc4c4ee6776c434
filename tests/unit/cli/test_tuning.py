"""The input of aws-lambda-power-tuning's state machine is understood, and what is wrong with it is said."""

from __future__ import annotations

import json
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lambent.cli.terminal import UsageError
from lambent.cli.tuning import (
    ALL_POWERS,
    DEFAULT_POWERS,
    Payload,
    read_payloads,
    read_powers,
    read_tuning,
    schedule,
    unknown_members,
)

FULL = {
    "lambdaARN": "arn:aws:lambda:us-east-1:000000000000:function:f",
    "powerValues": [512, "128", 256, 128],
    "num": 20,
    "payload": [{"payload": {"a": 1}, "weight": 5}, {"payload": "text", "weight": 15}],
    "parallelInvocation": True,
    "strategy": "balanced",
    "balancedWeight": 0.25,
    "autoOptimize": True,
    "autoOptimizeAlias": "prod",
    "preProcessorARN": "before",
    "postProcessorARN": "after",
    "discardTopBottom": 0.1,
    "onlyColdStarts": True,
    "sleepBetweenRunsMs": 5,
    "includeOutputResults": True,
}


def test_every_member_of_the_state_machines_input_is_understood() -> None:
    tuning = read_tuning(FULL)
    assert tuning.function == FULL["lambdaARN"]
    assert tuning.powers_mb == (128, 256, 512)
    assert tuning.payloads == (Payload(body=b'{"a": 1}', weight=5), Payload(body=b'"text"', weight=15))
    assert (tuning.num, tuning.trim, tuning.balanced_weight, tuning.sleep_between_ms) == (20, 0.1, 0.25, 5)
    assert (tuning.strategy, tuning.alias) == ("balanced", "prod")
    assert (tuning.pre_processor, tuning.post_processor) == ("before", "after")
    assert tuning.is_parallel
    assert tuning.is_applied
    assert tuning.is_cold
    assert tuning.includes_stats
    assert unknown_members(FULL) == []


def test_what_is_not_said_is_as_with_the_state_machine() -> None:
    tuning = read_tuning({"lambdaARN": "f"})
    assert (tuning.strategy, tuning.trim, tuning.balanced_weight) == ("cost", 0.2, 0.5)
    assert tuning.powers_mb == DEFAULT_POWERS
    assert tuning.payloads == (Payload(body=b"{}"),)
    assert not tuning.is_parallel
    assert not tuning.is_applied


def test_cold_starts_are_not_trimmed_unless_asked_for() -> None:
    assert read_tuning({"lambdaARN": "f", "onlyColdStarts": True}).trim == 0.0


def test_a_dry_run_invokes_once() -> None:
    assert read_tuning({"lambdaARN": "f", "num": 50, "dryRun": True}).num == 1


@pytest.mark.parametrize(
    ("member", "value", "words"),
    [
        ("num", 4, "num must be a whole number from 5 to 10000, not 4"),
        ("num", "many", "num must be"),
        ("num", True, "num must be"),
        ("num", 7.5, "num must be"),
        ("strategy", "best", "strategy must be cost, speed or balanced"),
        ("balancedWeight", 1.5, "balancedWeight must be a number from 0.0 to 1.0"),
        ("discardTopBottom", 0.5, "discardTopBottom must be"),
        ("powerValues", [64], "A memory size is from 128 to 10240 MB, not 64"),
        ("powerValues", "128,x", "A memory size is"),
        ("powerValues", [], "Memory sizes are a list"),
        ("powerValues", {"a": 1}, "Memory sizes are a list"),
        ("powerValues", [128.5], "A memory size is"),
        ("parallelInvocation", "yes", "parallelInvocation must be true or false"),
        ("preProcessorARN", 5, "preProcessorARN must be a text"),
        ("payload", [{"payload": 1, "weight": 0}], "The weight of a payload must be a number above 0"),
        ("payload", [{"payload": 1, "weight": "much"}], "The weight of a payload"),
        ("payload", [{"payload": n, "weight": 1} for n in range(60)], "There are 60 payloads"),
    ],
)
def test_what_is_wrong_with_an_input_is_one_sentence(member: str, value: object, words: str) -> None:
    with pytest.raises(UsageError, match=words.replace("(", r"\(")) as caught:
        read_tuning({"lambdaARN": "f", member: value})
    assert "\n" not in str(caught.value)


def test_a_function_must_be_named() -> None:
    with pytest.raises(UsageError, match="Say which function"):
        read_tuning({})


def test_members_that_nobody_knows_are_named() -> None:
    assert unknown_members({"lambdaARN": "f", "powerValue": 1, "Num": 2}) == ["Num", "powerValue"]


def test_sizes_come_in_order_and_once() -> None:
    assert read_powers("1024, 128,256,128") == (128, 256, 1024)
    assert read_powers("ALL") == ALL_POWERS == tuple(range(128, 3009, 64))


@pytest.mark.parametrize(
    ("payload", "body"),
    [
        ({"a": "ä"}, '{"a": "ä"}'.encode()),
        ('{"a":  1}', b'{"a":  1}'),
        ("just a text", b'"just a text"'),
        ([1, 2], b"[1, 2]"),
        ([{"payload": 1}], b'[{"payload": 1}]'),
        (None, b"null"),
        ([], b"[]"),
    ],
)
def test_a_payload_without_weights_is_itself(payload: Any, body: bytes) -> None:
    assert read_payloads(payload) == (Payload(body=body),)
    json.loads(body)


@given(
    weights=st.lists(st.floats(0.001, 1000), min_size=1, max_size=12),
    extra=st.integers(0, 60),
    seed=st.integers(0, 5),
)
@settings(max_examples=80)
def test_every_payload_is_used_and_as_often_as_its_weight_says(
    weights: list[float], extra: int, seed: int
) -> None:
    num = len(weights) + extra
    order = schedule(weights, num, Random(seed))
    counts = [order.count(at) for at in range(len(weights))]
    assert len(order) == num
    assert min(counts) >= 1
    for weight, count in zip(weights, counts, strict=True):
        share = weight / sum(weights) * num
        # Payloads of hardly any weight are used once all the same, which others pay for.
        assert count <= max(1, share + 1) + 1e-6


def test_the_weights_of_the_documentations_example_come_out_exactly() -> None:
    order = schedule([5, 15, 30], 100, Random(1))
    assert [order.count(at) for at in range(3)] == [10, 30, 60]
