"""A filter pattern is explained by the server; the command reads what it is given and says the answer."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from unit.cli.stand_in import Asked, Reply, Run, StandIn

PATTERN = {"body": {"kind": ["order"]}}


@pytest.fixture
def server(aws: StandIn) -> StandIn:
    """Says that what has a body of kind order matches."""

    def answer(asked: Asked) -> Reply:
        is_meant = asked.json["event"].get("body") == {"kind": "order"}
        content = {"matches": is_meant, "reason": None if is_meant else "body is absent."}
        return Reply(body=json.dumps(content).encode())

    aws.on("POST", "/_lambent/pattern/explain", answer)
    return aws


def test_what_matches_is_said_with_exit_code_0_and_what_does_not_with_its_reason(
    ask: Run, server: StandIn, tmp_path: Path
) -> None:
    (tmp_path / "pattern.json").write_text(json.dumps(PATTERN))
    event = {"body": {"kind": "order"}}
    ran = ask("pattern", "explain", "-p", tmp_path / "pattern.json", "-e", json.dumps(event))
    assert (ran.code, ran.out) == (0, b"The event matches.\n")
    assert server.asked[0].json == {"pattern": PATTERN, "event": event}
    ran = ask("pattern", "explain", "-p", json.dumps(PATTERN), "-e", "-", stdin=b"{}")
    assert (ran.code, ran.out) == (1, b"body is absent.\n")


def test_a_body_that_is_the_text_of_an_object_is_seen_as_a_mapping_sees_it(ask: Run, server: StandIn) -> None:
    record = {"messageId": "1", "body": json.dumps({"kind": "order"})}
    ran = ask("pattern", "explain", "-p", json.dumps(PATTERN), "-e", json.dumps(record))
    assert ran.code == 0
    for body in ("plain", "[1]", "5"):
        ask("pattern", "explain", "-p", json.dumps(PATTERN), "-e", json.dumps({"body": body}))
        assert server.asked[-1].json["event"] == {"body": body}


def test_what_cannot_be_read_or_answered_is_one_sentence(ask: Run, aws: StandIn) -> None:
    ran = ask("pattern", "explain", "-p", "{", "-e", "{}")
    assert ran.code == 2
    assert ran.err.startswith("lambent: --pattern must be JSON or a file with it: ")
    ran = ask("pattern", "explain", "-p", "{}", "-e", "nowhere.json")
    assert (ran.code, ran.err) == (1, "lambent: nowhere.json: No such file or directory.\n")
    aws.on("POST", "/_lambent/pattern/explain", {"message": "Invalid filter pattern definition."}, status=400)
    ran = ask("pattern", "explain", "-p", "[]", "-e", "{}")
    assert (ran.code, ran.err) == (1, "lambent: Invalid filter pattern definition.\n")


def test_nobody_there_is_said_as_everywhere(run: Run) -> None:
    ran = run("pattern", "explain", "-p", "{}", "-e", "{}", "--endpoint", "http://127.0.0.1:9")
    assert (ran.code, ran.err) == (
        1,
        "lambent: Nothing answers at http://127.0.0.1:9: start it with `lambent up`.\n",
    )
    ran = run("pattern", "explain", "-p", "{}", "-e", "{}", "--aws")
    assert (ran.code, ran.err) == (
        2,
        "lambent: This is Lambent's own, and AWS has no such thing: leave out --aws.\n",
    )
