"""A full disk: what is refused is refused in a sentence, what was acknowledged is there, and life goes on."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from harness import ACCOUNT, REGION, ROLE, Server, create, invoke, zip_of

SIZE_MB = 24
PATIENCE_S = 30
NO_SPACE = "There is no space left in the data directory."
ECHO = "def handler(event, context):\n    print('x' * 200)\n    return event\n"


@pytest.fixture
def small(new_server: Callable[..., Server], tmp_path: Path) -> Iterator[tuple[Server, Path]]:
    """A server whose data directory is a small file system in a mount namespace of its own, and the way there."""
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        pytest.skip("mounting a small file system takes root and unshare (util-linux)")
    data = tmp_path / "data"
    data.mkdir(mode=0o700)
    mount = f'mount -t tmpfs -o size={SIZE_MB}m,mode=700 small "$0" && exec "$@"'
    server = new_server(prefix=("unshare", "--mount", "sh", "-c", mount, str(data)))
    yield server, Path(f"/proc/{server.process.pid}/root{data}")


def fill(path: Path) -> None:
    """Write until there is no space."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT)
    try:
        for size in (1_048_576, 4_096):
            while True:
                try:
                    os.write(descriptor, b"\0" * size)
                except OSError:
                    break
    finally:
        os.close(descriptor)


def when_it_is_free(client: Any) -> Any:
    """Invoke the function in the environment that is there: while an event has it, another one would need space."""
    deadline_s = time.monotonic() + PATIENCE_S
    while True:
        try:
            return invoke(client, "f", 1).payload
        except client.exceptions.ServiceException:
            assert time.monotonic() < deadline_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """What a client was told, and how often it was served before."""

    served: int
    code: str
    message: str
    status: int


def until_refused(ask: Callable[[int], Any]) -> Refused:
    """Ask until that is refused.

    A full disk is no certain refusal of the next request: what was acknowledged goes on being worked off, and leaves
    room in the files that there are.
    """
    for number in range(2_000):
        try:
            ask(number)
        except ClientError as failure:
            response: Any = failure.response
            error = response["Error"]
            return Refused(
                served=number,
                code=error["Code"],
                message=error["Message"],
                status=response["ResponseMetadata"]["HTTPStatusCode"],
            )
    raise AssertionError("never full")


def receive_all(sqs: Any, url: str, count: int) -> list[str]:
    bodies: list[str] = []
    deadline_s = time.monotonic() + PATIENCE_S
    while len(bodies) < count:
        assert time.monotonic() < deadline_s, f"{len(bodies)} of {count}"
        answer = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=1)
        bodies += [message["Body"] for message in answer.get("Messages", ())]
    return bodies


def test_a_full_disk_refuses_loses_nothing_and_is_forgotten_once_there_is_space(
    small: tuple[Server, Path], tmp_path: Path
) -> None:
    server, data = small
    client, sqs = server.client("lambda"), server.client("sqs")
    sent, told = (sqs.create_queue(QueueName=name)["QueueUrl"] for name in ("sent", "told"))
    create(client, "f", ECHO)
    arn = f"arn:aws:sqs:{REGION}:{ACCOUNT}:told"
    client.put_function_event_invoke_config(
        FunctionName="f", DestinationConfig={"OnSuccess": {"Destination": arn}}
    )
    padding = "y" * 20_000
    for number in range(20):
        sqs.send_message(QueueUrl=sent, MessageBody=f"{number} {padding}")
    for reserve in ("reserve-1", "reserve-2"):
        (data / reserve).write_bytes(b"\0" * 1_048_576)
    fill(data / "filler")
    # Almost full: of what takes up the last megabyte, some is acknowledged.
    (data / "reserve-1").unlink()
    sending = until_refused(
        lambda number: sqs.send_message(QueueUrl=sent, MessageBody=f"{20 + number} {padding}")
    )
    (data / "reserve-2").unlink()
    payload = [json.dumps(f"{number} {padding}").encode() for number in range(2_000)]
    invoking = until_refused(
        lambda number: client.invoke(FunctionName="f", InvocationType="Event", Payload=payload[number])
    )
    fill(data / "filler-2")
    creating = until_refused(
        lambda number: client.create_function(
            FunctionName=f"g-{number}",
            Runtime="python3.12",
            Handler="app.handler",
            Role=ROLE,
            Code={"ZipFile": zip_of({"app.py": ECHO})},
        )
    )
    messages, events = 20 + sending.served, invoking.served
    assert messages > 20
    assert events
    assert [(one.code, one.message, one.status) for one in (sending, invoking, creating)] == [
        ("InternalFailure", NO_SPACE, 500),
        ("ServiceException", NO_SPACE, 500),
        ("ServiceException", NO_SPACE, 500),
    ]
    assert when_it_is_free(client) == 1

    (data / "filler").unlink()
    (data / "filler-2").unlink()
    numbers = [int(body.split()[0]) for body in receive_all(sqs, sent, messages)]
    assert sorted(set(numbers)) == list(range(messages))
    # What had run and could not be forgotten for want of space runs again, and tells of it again.
    ran: set[str] = set()
    while len(ran) < events:
        ran |= {json.loads(body)["requestPayload"].split()[0] for body in receive_all(sqs, told, 1)}
    assert ran == {str(number) for number in range(events)}
    create(client, "g", ECHO)
    for name in ("g", *(f"g-{number}" for number in range(creating.served))):
        client.get_waiter("function_active_v2").wait(FunctionName=name)
        assert invoke(client, name, 2).payload == 2
    for name in ("control.db", "logs.db", "queues.db"):
        assert integrity(data, name, tmp_path) == ["ok"]
    assert "Traceback" not in server.error_text()


def integrity(data: Path, name: str, place: Path) -> list[str]:
    """What SQLite says of a copy of a database and its log."""
    for suffix in ("", "-wal"):
        shutil.copyfile(data / f"{name}{suffix}", place / f"{name}{suffix}")
    connection = sqlite3.connect(place / name)
    try:
        return [row[0] for row in connection.execute("PRAGMA integrity_check")]
    finally:
        connection.close()
