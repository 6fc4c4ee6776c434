"""A size is applied to the code that was measured, and to no other."""

from __future__ import annotations

import pytest

from lambent.cli import tune_apply
from lambent.cli.blueprint import Blueprint
from lambent.cli.client import Connection, Target
from lambent.cli.terminal import CommandError
from unit.cli.stand_in import StandIn

BLUEPRINT = Blueprint(parameters={}, label="f:prod", package_bytes=1, function="f", code_sha256="measured")


def connection(aws: StandIn) -> Connection:
    return Connection(
        Target(endpoint=aws.endpoint, region="us-east-1", access_key_id="0" * 12, secret_access_key="x")
    )


def configured(code_sha256: str) -> dict[str, object]:
    return {
        "FunctionName": "f",
        "MemorySize": 128,
        "RevisionId": "r1",
        "CodeSha256": code_sha256,
        "State": "Active",
        "LastUpdateStatus": "Successful",
        "Version": "1",
    }


def test_other_code_than_was_measured_is_left_alone(aws: StandIn) -> None:
    aws.on("GET", "/2015-03-31/functions/f/configuration", configured("other"))
    with pytest.raises(CommandError, match="Nothing was applied"):
        tune_apply.apply(connection(aws), BLUEPRINT, 512, None)
    assert {asked.method for asked in aws.asked} == {"GET"}


def test_only_the_size_is_changed_and_only_of_what_was_seen(aws: StandIn) -> None:
    """The revision guards what somebody else changes meanwhile."""
    aws.on("GET", "/2015-03-31/functions/f", {"Configuration": configured("measured")})
    aws.on("GET", "/2015-03-31/functions/f/configuration", configured("measured"))
    aws.on("PUT", "/2015-03-31/functions/f/configuration", configured("measured"))
    tune_apply.apply(connection(aws), BLUEPRINT, 512, None)
    (put,) = aws.of("PUT")
    assert put.json == {"MemorySize": 512, "RevisionId": "r1"}


def test_a_size_that_is_there_already_is_not_set_again(aws: StandIn) -> None:
    aws.on("GET", "/2015-03-31/functions/f/configuration", configured("measured"))
    tune_apply.apply(connection(aws), BLUEPRINT, 128, None)
    assert aws.of("PUT") == []
