"""Twenty callers who change one function at once, over HTTP: one is first, and the others are told so."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from botocore.exceptions import ClientError

from harness import Server, create, zip_of

SOURCE = "def handler(event, context): return 1"
CALLERS = 20


@pytest.fixture
def client(lambent: Server) -> Any:
    return lambent.client("lambda")


def outcomes(change: Callable[[int], Any]) -> tuple[list[Any], Counter[str]]:
    """Let all callers change at once; return what the winners were answered, and the others' errors."""

    def attempt(number: int) -> Any:
        try:
            return change(number)
        except ClientError as error:
            return error.response["Error"]["Code"]

    with ThreadPoolExecutor(CALLERS) as callers:
        answers = list(callers.map(attempt, range(CALLERS)))
    return [a for a in answers if isinstance(a, dict)], Counter(a for a in answers if isinstance(a, str))


def test_of_twenty_updates_with_one_revision_id_exactly_one_wins(client: Any, name: str) -> None:
    create(client, name, SOURCE)
    revision = client.get_function_configuration(FunctionName=name)["RevisionId"]
    winners, losers = outcomes(
        lambda number: client.update_function_configuration(
            FunctionName=name, Description=f"of {number}", RevisionId=revision
        )
    )
    assert len(winners) == 1
    assert losers.keys() <= {"ResourceConflictException", "PreconditionFailedException"}
    assert losers.total() == CALLERS - 1
    assert client.get_function_configuration(FunctionName=name)["Description"] == winners[0]["Description"]


def test_of_twenty_codes_with_one_revision_id_exactly_one_wins(client: Any, name: str) -> None:
    create(client, name, SOURCE)
    revision = client.get_function_configuration(FunctionName=name)["RevisionId"]
    packages = [zip_of({"app.py": f"def handler(event, context): return {n}"}) for n in range(CALLERS)]
    winners, losers = outcomes(
        lambda number: client.update_function_code(
            FunctionName=name, ZipFile=packages[number], RevisionId=revision, Publish=True
        )
    )
    assert len(winners) == 1
    assert losers.keys() <= {"ResourceConflictException", "PreconditionFailedException"}
    assert client.get_function_configuration(FunctionName=name)["CodeSha256"] == winners[0]["CodeSha256"]
    assert [v["Version"] for v in client.list_versions_by_function(FunctionName=name)["Versions"]] == [
        "$LATEST",
        "1",
    ]


def test_of_twenty_alias_updates_with_one_revision_id_exactly_one_wins(client: Any, name: str) -> None:
    create(client, name, SOURCE)
    client.publish_version(FunctionName=name)
    alias = client.create_alias(FunctionName=name, Name="live", FunctionVersion="1")
    winners, losers = outcomes(
        lambda number: client.update_alias(
            FunctionName=name, Name="live", Description=f"of {number}", RevisionId=alias["RevisionId"]
        )
    )
    assert len(winners) == 1
    assert losers == {"PreconditionFailedException": CALLERS - 1}
    assert client.get_alias(FunctionName=name, Name="live")["Description"] == winners[0]["Description"]


def test_of_twenty_creations_of_one_name_exactly_one_wins(client: Any, name: str) -> None:
    settings = {
        "Runtime": "python3.12",
        "Handler": "app.handler",
        "Code": {"ZipFile": zip_of({"app.py": SOURCE})},
    }
    role = "arn:aws:iam::000000000000:role/worker"
    winners, losers = outcomes(
        lambda number: client.create_function(
            FunctionName=name, Description=f"of {number}", Role=role, **settings
        )
    )
    assert len(winners) == 1
    assert losers == {"ResourceConflictException": CALLERS - 1}
    assert client.get_function_configuration(FunctionName=name)["Description"] == winners[0]["Description"]


def test_twenty_publications_at_once_make_one_version(client: Any, name: str) -> None:
    create(client, name, SOURCE)
    winners, losers = outcomes(lambda _: client.publish_version(FunctionName=name))
    assert not losers
    assert {winner["Version"] for winner in winners} == {"1"}
