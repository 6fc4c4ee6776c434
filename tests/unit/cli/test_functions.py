"""`list` shows what there is, for people and for machines; `delete` asks before it deletes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from unit.cli.stand_in import Run, StandIn

FUNCTIONS: list[dict[str, Any]] = [
    {
        "FunctionName": name,
        "Runtime": "python3.12",
        "MemorySize": 128,
        "Timeout": 3,
        "CodeSize": 1234,
        "LastModified": "2026-01-02T03:04:05.678+0000",
    }
    for name in ("one", "two-" + "x" * 60)
]


@pytest.fixture
def functions(aws: StandIn) -> StandIn:
    aws.on("GET", "/2015-03-31/functions/?", {"Functions": FUNCTIONS[:1], "NextMarker": "m"})
    aws.on("GET", r"/2015-03-31/functions/?\?Marker=m", {"Functions": FUNCTIONS[1:]})
    aws.on("GET", "/2015-03-31/functions/one/configuration", {**FUNCTIONS[0], "State": "Active"})
    aws.on("GET", "/2015-03-31/functions/two-.*/configuration", {**FUNCTIONS[1], "State": "Failed"})
    aws.on("DELETE", "/2015-03-31/functions/one", {})
    return aws


def test_every_page_is_listed_with_the_state_of_each_function(ask: Run, functions: StandIn) -> None:
    lines = ask("list").out.decode().splitlines()
    assert lines[0].split() == ["NAME", "RUNTIME", "MEMORY", "TIMEOUT", "STATE", "CODE", "LAST", "MODIFIED"]
    assert lines[1].split() == [
        "one",
        "python3.12",
        "128",
        "MB",
        "3",
        "s",
        "Active",
        "1.2",
        "kB",
        "2026-01-02",
        "03:04:05",
    ]
    assert FUNCTIONS[1]["FunctionName"] in lines[2]  # unbroken, however narrow a terminal would be
    assert "Failed" in lines[2]


def test_machines_get_the_configurations_as_json(ask: Run, functions: StandIn) -> None:
    assert json.loads(ask("list", "--json").out) == FUNCTIONS


def test_no_functions_is_no_error(ask: Run, aws: StandIn) -> None:
    aws.on("GET", "/2015-03-31/functions/?", {"Functions": []})
    ran = ask("list")
    assert (ran.code, ran.out) == (0, b"")
    assert "lambent deploy PATH" in ran.err
    assert ask("list", "--json").out == b"[]\n"


def test_yes_deletes_without_asking(ask: Run, functions: StandIn) -> None:
    ran = ask("delete", "one", "--yes")
    assert ran.code == 0
    assert ran.err == "Deleted one.\n"
    assert len(functions.of("DELETE")) == 1


def test_where_nobody_can_be_asked_nothing_is_deleted(ask: Run, functions: StandIn) -> None:
    ran = ask("delete", "one")
    assert ran.code == 2
    assert "--yes" in ran.err
    assert functions.of("DELETE") == []


def test_a_function_that_is_not_there_cannot_be_deleted(ask: Run, aws: StandIn) -> None:
    aws.missing("DELETE", ".*")
    ran = ask("delete", "gone", "--yes")
    assert ran.code == 1
    assert "ResourceNotFoundException" in ran.err


URL = "/2021-10-31/functions/one/url"
ADDRESS = "http://abc.lambda-url.us-east-1.localhost:4566/"


def test_the_address_of_a_function_is_printed(ask: Run, aws: StandIn) -> None:
    aws.on("GET", URL, {"FunctionUrl": ADDRESS})
    assert ask("url", "one").out.decode() == f"{ADDRESS}\n"
