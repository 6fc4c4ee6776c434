"""The ledger of a real server: every invocation has its row, and one row alone, whatever happens to the server."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from harness import Server, create, invoke
from lambent.cli.client import Connection, Target

MAY_BE_LOST_S = 2.0
PATIENCE_S = 60.0
"""Before a kill: the tenth of a second for which facts are gathered, and their writing on a busy machine."""
HANDLER = """
def handler(event, context):
    if event["n"] % 10 == 0:
        raise ValueError("the tenth")
    return event["n"]
"""


def own(server: Server, path: str, **query: str) -> Any:
    target = Target(
        endpoint=server.endpoint,
        region="us-east-1",
        access_key_id="000000000000",
        secret_access_key="test",
    )
    return Connection(target).own("GET", path, query)


def rows(server: Server, **query: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    after = "0"
    while after:
        answer = own(server, "/_lambent/ledger", after=after, limit="500", **query)
        found += [json.loads(line) for line in answer.body.splitlines()]
        after = answer.headers.get("x-lambent-next", "")
    return found


class Load:
    """Threads that invoke a function until its server is gone, and what they were answered."""

    def __init__(self, server: Server, name: str) -> None:
        self.answered: dict[str, tuple[float, str | None]] = {}
        """By request id: when, and the function's error."""
        self._clients = [server.client("lambda") for _ in range(3)]
        self._threads = [
            threading.Thread(target=self._run, args=(client, name, number))
            for number, client in enumerate(self._clients)
        ]
        for thread in self._threads:
            thread.start()

    def _run(self, client: Any, name: str, number: int) -> None:
        for n in range(number, 1_000_000, 3):
            try:
                answer = invoke(client, name, {"n": n})
            except (BotoCoreError, ClientError):
                return
            self.answered[answer.headers["x-amzn-requestid"]] = (time.monotonic(), answer.error)

    def wait_until_answered(self, count: int) -> None:
        deadline_s = time.monotonic() + PATIENCE_S
        while len(self.answered) < count:
            assert time.monotonic() < deadline_s
            time.sleep(0.01)

    def join(self) -> None:
        for thread in self._threads:
            thread.join()


def test_a_killed_server_has_a_row_for_every_invocation_that_it_answered(new_server: Any) -> None:
    """But for those of the last moment before it was killed. None is there twice, and the bill agrees with them."""
    server: Server = new_server()
    create(server.client("lambda"), "f", HANDLER)
    load = Load(server, "f")
    load.wait_until_answered(10)
    time.sleep(MAY_BE_LOST_S + 0.1)
    server.kill()
    killed_s = time.monotonic()
    load.join()
    server.start()
    written = {row["request_id"]: row for row in rows(server, kind="invocation")}
    counts = Counter(row["request_id"] for row in rows(server, kind="invocation"))
    assert set(counts.values()) == {1}
    settled = {i: error for i, (at_s, error) in load.answered.items() if at_s < killed_s - MAY_BE_LOST_S}
    assert len(settled) >= 10
    assert settled.keys() <= written.keys()
    for request_id, (_, error) in load.answered.items():
        if request_id in written:
            row = written[request_id]
            assert (row["status"], row["error_type"]) == (
                ("success", None) if error is None else ("error", "ValueError")
            )
    # A row without an answer was on its way to its caller, of whom each thread was one.
    assert len(written.keys() - load.answered.keys()) <= 3
    check = own(server, "/_lambent/bill/check").json()
    assert check["agrees"] is True
    assert check["rows"] == len(rows(server))


def test_what_an_invocation_says_that_it_costs_is_in_its_row_and_on_the_bill(
    lambent: Server, name: str
) -> None:
    client = lambent.client("lambda")
    create(client, name, HANDLER, MemorySize=256, EphemeralStorage={"Size": 1024}, Tags={"team": name})
    said = [invoke(client, name, {"n": n}).headers["x-lambent-price-usd"] for n in (1, 2, 3)]
    mine = rows(lambent, function=name, kind="invocation")
    assert [Decimal(row["price_usd"]) for row in mine] == [Decimal(price) for price in said]
    assert [row["cold_start_reason"] for row in mine] == ["first", None, None]
    assert all(row["request_bytes"] == 8 and row["response_bytes"] == 1 for row in mine)
    assert mine[0]["tags"] == {"team": name}
    bill = own(lambent, "/_lambent/bill", by="tag:team", function=name).json()
    assert bill["groups"][0]["requests"] == 3
    assert Decimal(bill["groups"][0]["amount"]) == sum(map(Decimal, said))


def test_where_an_invocation_came_from_is_in_its_row(lambent: Server, name: str) -> None:
    client = lambent.client("lambda")
    create(client, name, HANDLER)
    client.publish_version(FunctionName=name)
    client.create_alias(FunctionName=name, Name="live", FunctionVersion="1")
    invoke(client, name, {"n": 1})
    invoke(client, name, {"n": 1}, Qualifier="live")
    client.invoke(FunctionName=name, InvocationType="Event", Payload=b'{"n": 10}', Qualifier="live")
    found = until_rows(lambent, name, 3)
    assert Counter((row["source"], row["alias"], row["version"], row["attempt"]) for row in found) == {
        ("invoke", None, "$LATEST", 1): 1,
        ("invoke", "live", "1", 1): 1,
        ("event", "live", "1", 1): 1,
    }


def until_rows(server: Server, name: str, count: int) -> list[dict[str, Any]]:
    deadline_s = time.monotonic() + 30
    while len(found := rows(server, function=name, kind="invocation")) < count:
        assert time.monotonic() < deadline_s, found
        time.sleep(0.02)
    return found


def commands(server: Server, *lines: str) -> Iterator[str]:
    for line in lines:
        command = [sys.executable, "-m", "lambent", *line.split()]
        ran = subprocess.run(command, env=server.environ(), capture_output=True, text=True, check=True)
        yield ran.stdout


def test_the_commands_show_it(lambent: Server, name: str) -> None:
    client = lambent.client("lambda")
    create(client, name, HANDLER)
    invoke(client, name, {"n": 10})
    ledger, bill = commands(lambent, f"ledger {name}", f"bill --function {name}")
    assert "ValueError" in ledger
    assert "Requests" in bill
