"""Figures of what is asynchronous: events that are accepted and run later, SQS's queues, and their pollers.

Beside moto and MiniStack, which keep queues in memory; Lambent has each message and event on disk before it says so.
Every server is asked with the same bytes but for the address, over connections of the same kind.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import statistics
import time
from collections.abc import Awaitable, Callable, Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.bench import emulators, load
from tests.bench.emulators import Emulator, EmulatorsMissing
from tests.bench.goals import LAMBENT, MINISTACK, MOTO, Figure
from tests.bench.load import Caller, LoadFailed, Spent, Target
from tests.bench.measuring import Bench, percentile
from tests.bench.peers import EVENT, MEMORY_MB, RUNTIME, Lambent, request_of
from tests.harness import ACCOUNT, REGION, ROLE, zip_of

from lambent.domain.queue_message import Envelope
from lambent.store.messages import NewMessage
from lambent.store.sqlite.light_writes import LightDatabase
from lambent.store.sqlite.messages import SqliteMessages

_PEERS = (MOTO, MINISTACK)
_SOME = 8
_SEVERAL = 32
_BATCH = 10
_BODY = "x" * 64
_SHALLOW, _DEEP = 1_000, 1_000_000
_POLLED_MESSAGES = 2_000
_POLL_TIMEOUT_S = 60.0
_LOOK_S = 0.02
_TELL = f"""import json, os, time, urllib.request

HEADERS = {{
    "X-Amz-Target": "AmazonSQS.SendMessage",
    "Content-Type": "application/x-amz-json-1.0",
    "Authorization": "AWS4-HMAC-SHA256 Credential={ACCOUNT}/20260101/{REGION}/sqs/aws4_request, "
    "SignedHeaders=host;x-amz-date, Signature={"0" * 64}",
}}


def handler(event, context):
    body = json.dumps([time.time(), event["sent_s"]])
    message = json.dumps({{"QueueUrl": os.environ["QUEUE_URL"], "MessageBody": body}}).encode()
    urllib.request.urlopen(urllib.request.Request(os.environ["ENDPOINT"], message, HEADERS)).read()
"""
_TAKE = "def handler(event, context):\n    return None\n"


def sqs(bench: Bench) -> list[Figure]:
    """SQS: messages sent, received and deleted, each queue holding no more than what is on its way."""
    with _servers(bench, _PEERS) as servers:
        queues = {server.name: _Queue(server) for server in servers}
        one = _in_turns(bench, queues, lambda queue: queue.single, callers=1)
        several = _in_turns(bench, queues, lambda queue: queue.single, callers=_SEVERAL)
        batches = _in_turns(bench, queues, lambda queue: queue.batch, callers=_SOME)
    pair = ("send", "receive")
    note = "Lambent's are on disk; the peers keep them in memory"
    return [
        _rate("SQS send + receive, 1 connection", one, pair, 1, note),
        _rate(f"SQS send + receive, {_SEVERAL} connections", several, pair, _SEVERAL, note),
        *(_rate(f"SQS {what}, 1 connection", one, (what,), 1) for what in (*pair, "delete")),
        *(
            _rate(f"SQS {what}, {_SEVERAL} connections", several, (what,), _SEVERAL)
            for what in (*pair, "delete")
        ),
        _rate(f"SQS send + receive, {_SOME} connections, batches of 10", batches, pair, _SOME * _BATCH),
    ]


def deep_queue(bench: Bench) -> list[Figure]:
    """SQS: receiving from a queue of a million messages beside one of a thousand, in turns."""
    found_s: dict[int, list[float]] = {_SHALLOW: [], _DEEP: []}
    with contextlib.ExitStack() as stack:
        queues = {count: stack.enter_context(_filled(bench, count)) for count in found_s}
        for _ in range(4 * bench.effort.rounds):
            for count, queue in queues.items():
                target = queue.receive_target()
                duration_s = bench.effort.round_s / 8
                found_s[count] += load.one_after_another(target, duration_s=duration_s, warmup=5).latencies_s
    few_s, many_s = (statistics.median(found) for found in found_s.values())
    note = f"{many_s * 1000:.2f} ms to {few_s * 1000:.2f} ms, p50 over one connection, one message each"
    name = f"ReceiveMessage, {_DEEP:,} messages to {_SHALLOW:,}"
    return [Figure(name=name, unit="×", values={LAMBENT: many_s / few_s}, peers=_PEERS, note=note)]


def events(bench: Bench) -> list[Figure]:
    """Events: how many are accepted in a second, and how long one takes from being sent to its handler."""
    accepted: dict[int, dict[str, list[float]]] = {1: {}, _SEVERAL: {}}
    latencies_s: dict[str, list[float]] = {}
    with _servers(bench, (MINISTACK,)) as servers:
        for server in servers:
            queue, client = _Queue(server), server.client("lambda")
            _create(client, "tell", _TELL, {"ENDPOINT": queue.endpoint, "QUEUE_URL": queue.url})
            _create(client, "take", _TAKE, {})
            latencies_s[server.name] = _latencies_s(queue, count=bench.effort.events)
        for callers, found in accepted.items():
            for server in servers * bench.effort.rounds:
                per_s = _accepted_per_s(server, callers, bench.effort.round_s)
                found.setdefault(server.name, []).append(per_s)
    figures = [
        Figure(
            name=f"events accepted, {callers} connection{'s' if callers > 1 else ''}",
            unit="per s",
            values={name: statistics.median(per_s) for name, per_s in found.items()},
            more_is_better=True,
            peers=_PEERS,
            note="while they run; Lambent's are on disk. moto runs functions in Docker alone",
        )
        for callers, found in accepted.items()
    ]
    latency = Figure(
        name="event, sent to handler",
        unit="ms",
        values={name: statistics.median(found) * 1000 for name, found in latencies_s.items()},
        p99={name: percentile(found, 99) * 1000 for name, found in latencies_s.items()},
        peers=_PEERS,
        note="one at a time, in a warm environment, by the handler's clock",
    )
    return [*figures, latency]


def pollers(bench: Bench) -> list[Figure]:
    """Pollers: messages of a full queue that a function has taken in batches of 10, in a second."""
    found: dict[str, list[float]] = {}
    with _servers(bench, (MINISTACK,)) as servers:
        for server in servers:
            _create(server.client("lambda"), "take", _TAKE, {})
        for server in servers * bench.effort.rounds:
            per_s = _polled_per_s(_Queue(server), server.client("lambda"))
            found.setdefault(server.name, []).append(per_s)
    return [
        Figure(
            name="SQS to function, batches of 10",
            unit="per s",
            values={name: statistics.median(per_s) for name, per_s in found.items()},
            more_is_better=True,
            peers=_PEERS,
            note=f"{_POLLED_MESSAGES:,} messages, from making the mapping to the empty queue",
        )
    ]


def _accepted_per_s(server: _Server, callers: int, duration_s: float) -> float:
    request = _event_request("take", EVENT)

    async def send(caller: Caller) -> None:
        await caller.ask("send", request)

    spent, elapsed_s = load.conversations(server.port, send, callers=callers, duration_s=duration_s)
    return spent["send"].count / elapsed_s


class _Queue:
    """A queue of a server, and the conversations that one can have about it."""

    def __init__(self, server: _Server, name: str | None = None) -> None:
        self.port = server.port
        self.client = server.client("sqs")
        self.endpoint = f"http://127.0.0.1:{server.port}"
        self.url: str = self.client.create_queue(QueueName=name or f"bench-{time.time_ns()}")["QueueUrl"]
        attributes = self.client.get_queue_attributes(QueueUrl=self.url, AttributeNames=["QueueArn"])
        self.arn: str = attributes["Attributes"]["QueueArn"]
        entries = [{"Id": str(number), "MessageBody": _BODY} for number in range(_BATCH)]
        self._send = self._request("SendMessage", MessageBody=_BODY)
        self._receive = self._request("ReceiveMessage", MaxNumberOfMessages=1)
        self._send_batch = self._request("SendMessageBatch", Entries=entries)
        self._receive_batch = self._request("ReceiveMessage", MaxNumberOfMessages=_BATCH)

    async def single(self, caller: Caller) -> None:
        """Send a message, receive one, delete that."""
        await caller.ask("send", self._send)
        answer = await caller.ask("receive", self._receive)
        for message in _messages(answer.body):
            handle = message["ReceiptHandle"]
            await caller.ask("delete", self._request("DeleteMessage", ReceiptHandle=handle))

    async def batch(self, caller: Caller) -> None:
        """The same with ten."""
        await caller.ask("send", self._send_batch)
        answer = await caller.ask("receive", self._receive_batch)
        entries = [
            {"Id": str(number), "ReceiptHandle": message["ReceiptHandle"]}
            for number, message in enumerate(_messages(answer.body))
        ]
        if entries:
            await caller.ask("delete", self._request("DeleteMessageBatch", Entries=entries))

    def receive_target(self) -> Target:
        """Return the request for one message that can be received again at once."""
        request = self._request("ReceiveMessage", MaxNumberOfMessages=1, VisibilityTimeout=0)
        return Target(port=self.port, request=request)

    def fill(self, count: int) -> None:
        """Send so many messages."""
        for number in range(0, count, _BATCH):
            entries = [{"Id": str(n), "MessageBody": f"{number + n}"} for n in range(_BATCH)]
            self.client.send_message_batch(QueueUrl=self.url, Entries=entries)

    def holds(self) -> int:
        """Return how many messages there are, those in flight included."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        found = self.client.get_queue_attributes(QueueUrl=self.url, AttributeNames=names)["Attributes"]
        return sum(int(found[name]) for name in names)

    def take_all(self, count: int) -> list[str]:
        """Receive so many messages and return their bodies."""
        bodies: list[str] = []
        deadline_s = time.monotonic() + _POLL_TIMEOUT_S
        while len(bodies) < count:
            if time.monotonic() > deadline_s:
                raise LoadFailed(f"let {count} events be sent, of which {len(bodies)} ran")
            answer = self.client.receive_message(QueueUrl=self.url, MaxNumberOfMessages=10, WaitTimeSeconds=1)
            for message in answer.get("Messages", ()):
                bodies.append(message["Body"])
                self.client.delete_message(QueueUrl=self.url, ReceiptHandle=message["ReceiptHandle"])
        return bodies

    def _request(self, operation: str, **parameters: Any) -> bytes:
        body = json.dumps({"QueueUrl": self.url, **parameters}).encode()
        headers = ("Content-Type: application/x-amz-json-1.0", f"X-Amz-Target: AmazonSQS.{operation}")
        return request_of("POST", "/", body, *headers, service="sqs")


def _messages(body: bytes) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(body).get("Messages", [])
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class _Server:
    """What is measured: Lambent or an emulator."""

    name: str
    port: int
    client: Callable[[str], Any]


@contextlib.contextmanager
def _servers(bench: Bench, names: tuple[str, ...]) -> Generator[list[_Server]]:
    """Run what is measured: a Lambent of its own, and the emulators that can be had."""
    with contextlib.ExitStack() as stack:
        lambent = stack.enter_context(Lambent(bench.new_directory("queues")))
        servers = [_Server(name=LAMBENT, port=lambent.server.port, client=lambent.server.client)]
        with contextlib.suppress(EmulatorsMissing):
            environment = emulators.install(bench.cache)
            for name in names:
                emulator = stack.enter_context(Emulator(name, environment, bench.new_directory("emulator")))
                servers.append(_Server(name=name, port=emulator.port, client=emulator.client))
        yield servers


_Rounds = dict[str, list[dict[str, Spent]]]
"""By server: what was spent in each round."""


@contextlib.contextmanager
def _filled(bench: Bench, count: int) -> Generator[_Queue]:
    """Run a server on a queue of so many messages, written by the code with which the server writes."""
    directory = bench.new_directory(f"with-{count}")
    with Lambent(directory) as lambent:
        _Queue(_Server(name=LAMBENT, port=lambent.server.port, client=lambent.server.client), "deep")
    asyncio.run(_fill(directory / "data" / "queues.db", count))
    with Lambent(directory) as lambent:
        queue = _Queue(_Server(name=LAMBENT, port=lambent.server.port, client=lambent.server.client), "deep")
        if queue.holds() < count:
            raise LoadFailed(f"holds {queue.holds()} messages of {count}")
        yield queue


async def _fill(path: Path, count: int) -> None:
    database = LightDatabase(path, migrations="queues", full_sync=False)
    try:
        messages, now_ms = SqliteMessages(database), int(time.time() * 1000)
        body, attributes = _BODY.encode(), Envelope().encode()
        for first in range(0, count, 1_000):
            new = [
                NewMessage(message_id=f"{first + number:036}", body=body, attributes=attributes)
                for number in range(1_000)
            ]
            await messages.send(f"sqs/{ACCOUNT}/{REGION}/deep", new, now_ms=now_ms)
    finally:
        database.close()


def _in_turns(
    bench: Bench,
    queues: dict[str, _Queue],
    conversation: Callable[[_Queue], Callable[[Caller], Awaitable[None]]],
    *,
    callers: int,
) -> _Rounds:
    found: _Rounds = {name: [] for name in queues}
    for _ in range(bench.effort.rounds):
        for name, queue in queues.items():
            if name not in found:
                continue
            try:
                spent, _ = load.conversations(
                    queue.port,
                    conversation(queue),
                    callers=callers,
                    duration_s=bench.effort.round_s,
                    warmup=2,
                )
            except LoadFailed:
                if name == LAMBENT:
                    raise
                del found[name]  # A peer that does not last has no figure.
            else:
                found[name].append(spent)
    return found


def _rate(name: str, rounds: _Rounds, kinds: tuple[str, ...], times: int, note: str = "") -> Figure:
    """How often all of these requests were answered in a second that was spent on nothing else.

    Args:
        name: of the figure.
        rounds: what was measured.
        kinds: of requests, one of each.
        times: how many callers there were, or what one request is worth.
        note: what has to be said about it.
    """
    values = {
        server: statistics.median(
            times / sum(spent[kind].seconds / spent[kind].count for kind in kinds) for spent in found
        )
        for server, found in rounds.items()
    }
    return Figure(name=name, unit="per s", values=values, more_is_better=True, peers=_PEERS, note=note)


def _create(client: Any, name: str, source: str, variables: dict[str, str]) -> None:
    """Create a function and wait until its environment is warm."""
    client.create_function(
        FunctionName=name,
        Runtime=RUNTIME,
        Handler="app.handler",
        Role=ROLE,
        Code={"ZipFile": zip_of({"app.py": source})},
        MemorySize=MEMORY_MB,
        Timeout=30,
        Environment={"Variables": variables},
    )
    client.get_waiter("function_active_v2").wait(FunctionName=name, WaiterConfig={"Delay": 1})
    client.invoke(FunctionName=name, Payload=b'{"sent_s": 0}')


def _event_request(name: str, event: bytes) -> bytes:
    path = f"/2015-03-31/functions/{name}/invocations"
    return request_of("POST", path, event, "X-Amz-Invocation-Type: Event")


def _latencies_s(queue: _Queue, *, count: int) -> list[float]:
    """Send events one at a time, and let the handler say when it began with each."""
    queue.take_all(1)  # what the invocation left that warmed it up
    found: list[float] = []
    for _ in range(count):

        async def send(caller: Caller) -> None:
            event = json.dumps({"sent_s": time.time()}).encode()
            await caller.ask("send", _event_request("tell", event))

        load.conversations(queue.port, send, callers=1, duration_s=0.0, warmup=1)
        (body,) = queue.take_all(1)
        began_s, sent_s = json.loads(body)
        found.append(began_s - sent_s)
    return found


def _polled_per_s(queue: _Queue, client: Any) -> float:
    """Fill a queue, map it to a function, and wait until it is empty."""
    queue.fill(_POLLED_MESSAGES)
    started_s = time.monotonic()
    mapping = client.create_event_source_mapping(
        FunctionName="take", EventSourceArn=queue.arn, BatchSize=_BATCH
    )
    while queue.holds():
        if time.monotonic() - started_s > _POLL_TIMEOUT_S:
            raise LoadFailed(f"did not empty a queue of {_POLLED_MESSAGES} messages in time")
        time.sleep(_LOOK_S)
    elapsed_s = time.monotonic() - started_s
    client.delete_event_source_mapping(UUID=mapping["UUID"])
    return _POLLED_MESSAGES / elapsed_s


BESIDE_EMULATORS = (sqs, events, pollers)
"""The groups that have them as peers."""
