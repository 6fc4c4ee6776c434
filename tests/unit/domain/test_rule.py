"""Rules: their names, and how long a target is tried."""

from __future__ import annotations

from typing import Any

import pytest

from lambent.domain.event_bus import bus_key
from lambent.domain.rule import RuleTarget, retry_delay_s, rule_arn, rule_key

PLACE = "arn:aws:events:us-east-1:000000000000"


def test_a_rule_s_arn_names_its_bus_unless_that_is_the_default_one() -> None:
    assert rule_arn("000000000000", "us-east-1", "default", "r") == f"{PLACE}:rule/r"
    assert rule_arn("000000000000", "us-east-1", "b", "r") == f"{PLACE}:rule/b/r"
    assert rule_key(f"{PLACE}:rule/r") == "000000000000/us-east-1/default/r"
    assert rule_key(f"{PLACE}:rule/b/r") == "000000000000/us-east-1/b/r"
    assert bus_key(f"{PLACE}:event-bus/b") == "000000000000/us-east-1/b"


@pytest.mark.parametrize(
    "arn", ["x", f"{PLACE}:rule/", f"{PLACE}:archive/a", "arn:aws:sqs:us-east-1:0:rule/r"]
)
def test_other_arns_are_no_rule_s_and_no_bus_s(arn: str) -> None:
    assert rule_key(arn) is None
    assert bus_key(arn) is None


def target(**policy: Any) -> RuleTarget:
    return RuleTarget(members={"Id": "1", "Arn": "a", "RetryPolicy": policy})


def test_waits_double_up_to_eight_minutes() -> None:
    delays = [retry_delay_s(target(), attempts, age_s=0) for attempts in (1, 2, 3, 9, 10, 185)]
    assert delays == [1, 2, 4, 256, 480, 480]


def test_a_target_is_tried_for_a_day_and_no_more_than_185_times_again() -> None:
    assert retry_delay_s(target(), 186, age_s=0) == "MaximumRetryAttempts"
    assert retry_delay_s(target(), 20, age_s=86_000) == "MaximumEventAgeInSeconds"


def test_a_retry_policy_says_less() -> None:
    assert retry_delay_s(target(MaximumRetryAttempts=0), 1, age_s=0) == "MaximumRetryAttempts"
    assert retry_delay_s(target(MaximumRetryAttempts=1), 1, age_s=0) == 1
    assert retry_delay_s(target(MaximumEventAgeInSeconds=60), 7, age_s=59) == "MaximumEventAgeInSeconds"
