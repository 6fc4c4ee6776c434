"""Whatever an operation is asked, the answer is AWS's kind of answer, and a refusal leaves everything as it was.

Each example is a short story of requests to a fresh world, through the real front door, with everything kept in
memory: no network, no disk beyond a directory for packages, no waiting.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import pytest
from botocore.exceptions import BotoCoreError
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from lambent.delivery import Delivery
from lambent.delivery.bus_events import BusEvents
from lambent.delivery.notifications import Notifications
from lambent.delivery.schedules import Schedules
from lambent.domain.parcel import Parcel
from lambent.gateway.auth import OpenAuthentication
from lambent.gateway.dispatch import Dispatch
from lambent.gateway.own import OwnPaths
from lambent.services.events import events_service
from lambent.services.iam import iam_service
from lambent.services.logs import logs_service
from lambent.services.sns import sns_service
from lambent.services.sqs import sqs_service
from lambent.services.sts import sts_service
from lambent.store import Document
from lambent.store.event_buses import EventBuses
from lambent.store.functions import Functions
from lambent.store.identities import Identities
from lambent.store.message_queues import MessageQueues
from lambent.store.queues import Queues
from lambent.store.topics import Topics
from lambent.telemetry.log_subscriptions import LogSubscriptions
from lambent.testing import ManualClock, MemoryLogEvents, MemoryMessages, MemoryStore
from lambent.wire.http import HttpRequest
from parity import anything
from parity.anything import ACCOUNT, CODE, GROUP, POLICY_DOCUMENT, QUEUE, REGION, ROLE, TOPIC, TRUST
from unit.services.lambda_.world import SECRET, World
from wire import oracle

REQUESTS_PER_STORY = 6
EXAMPLES = {"lambda": 250, "logs": 60, "iam": 100, "sts": 30, "sqs": 50, "sns": 50, "events": 100}
# Lambent's own id for what AWS leaves to be served later.
NOT_IMPLEMENTED = 501


async def _forget(parcels: Sequence[Parcel]) -> None:
    """Deliver nothing."""


class OpenStore(MemoryStore):
    """A store that shows all it has."""

    def everything(self) -> dict[tuple[str, str], Document]:
        return dict(self._documents)

    def put_back(self, documents: dict[tuple[str, str], Document]) -> None:
        self._documents = dict(documents)

    def blobs(self) -> set[str]:
        return {path.name for path in Path(self._directory.name).iterdir()}


class Hurried(ManualClock):
    """A clock on which every wait is over at once."""

    async def sleep(self, seconds: float) -> None:
        self._now_s += seconds


class Door:
    """The front door and the services behind it."""

    def __init__(self, store: OpenStore) -> None:
        self.store = store
        self.world = World(store)
        clock, identities = self.world.clock, Identities(store)
        log_events = MemoryLogEvents()
        self.services = {
            "lambda": self.world.service.operations,
            "logs": logs_service(
                documents=store,
                log_events=log_events,
                functions=Functions(store),
                subscriptions=LogSubscriptions(_forget),
                clock=clock,
            ),
            "iam": iam_service(documents=store, identities=identities, clock=clock),
            "sts": sts_service(identities=identities, secret=SECRET, clock=clock),
            "sqs": sqs_service(
                documents=store,
                message_queues=MessageQueues(store),
                queues=Queues(MemoryMessages(), clock, waiting=Hurried()),
                clock=Hurried(),
            ).operations,
            "sns": self._sns(clock),
            "events": self._events(clock),
        }
        self._application = Dispatch(
            apis={name: oracle.api(name) for name in oracle.SERVED},
            services=self.services,
            authentication=OpenAuthentication(keys=identities, secret=SECRET, account=ACCOUNT, region=REGION),
            own_paths=OwnPaths(describe=dict[str, Any], blobs=store, secret=SECRET, clock=clock),
            clock=clock,
        )

    def _sns(self, clock: ManualClock) -> Any:
        """SNS over notifications that are kept and go nowhere."""
        nobody = cast("Any", None)
        topics = self.topics = Topics(self.store)
        notifications = Notifications(
            queues=Queues(MemoryMessages(), clock, waiting=clock),
            topics=topics,
            delivery=Delivery({}),
            tell=nobody,
            send=nobody,
            signing=nobody,
            clock=clock,
        )
        return sns_service(
            topics=topics, documents=self.store, notifications=notifications, clock=clock
        ).operations

    def _events(self, clock: ManualClock) -> Any:
        """EventBridge over events that are kept and go nowhere."""
        buses = EventBuses(self.store)
        events = BusEvents(
            queues=Queues(MemoryMessages(), clock, waiting=clock),
            buses=buses,
            delivery=Delivery({}),
            tell=cast("Any", None),
            clock=clock,
        )
        schedules = Schedules(buses=buses, events=events, clock=clock, catches_up=False)
        return events_service(buses=buses, events=events, schedules=schedules, clock=clock).operations

    async def ask(self, request: HttpRequest) -> tuple[int, bytes]:
        """Send a request, and return status and body of the answer once all work has come to rest."""
        answer = await self._application.answer(request)
        await self.settle()
        return answer.status, answer.body

    async def settle(self) -> None:
        """Wait until nothing goes on in the background."""
        await self.world.settled()
        await self.world.service.mapping_states.settled()

    async def close(self) -> None:
        await self.world.service.close()


async def _furnish(store: OpenStore) -> tuple[tuple[str, str], ...]:
    """Fill a world with one thing of each kind, and return ids that were made up meanwhile."""
    door = Door(store)
    await door.world.service.resume()

    async def make(service: str, operation: str, /, **parameters: Any) -> Any:
        status, body = await door.ask(oracle.signed_request(service, operation, parameters))
        assert status < 300, (operation, body)
        return json.loads(body) if body.startswith(b"{") else {}

    await make("sqs", "CreateQueue", QueueName="queue")
    for name in ("topic", "topic.fifo"):
        await make("sns", "CreateTopic", Name=name, Attributes={"FifoTopic": str(name != "topic").lower()})
    await make(
        "sns", "Subscribe", TopicArn=TOPIC, Protocol="http", Endpoint="http://a", ReturnSubscriptionArn=True
    )
    (pending,) = await door.topics.subscriptions(f"{ACCOUNT}/{REGION}/topic")
    await make("events", "CreateEventBus", Name="bus")
    for bus in ("default", "bus"):
        await make("events", "PutRule", Name="rule", EventBusName=bus, EventPattern='{"source": ["a"]}')
        await make("events", "PutTargets", Rule="rule", EventBusName=bus, Targets=[{"Id": "1", "Arn": QUEUE}])
    # Also: an account is remembered from the first time that it is asked about.
    await make("iam", "CreateAccountAlias", AccountAlias="shop")
    await make("iam", "CreateRole", RoleName="role", AssumeRolePolicyDocument=TRUST)
    await make("iam", "CreateUser", UserName="user")
    await make("iam", "CreateGroup", GroupName="group")
    await make("iam", "CreatePolicy", PolicyName="policy", PolicyDocument=POLICY_DOCUMENT)
    await make("logs", "CreateLogGroup", logGroupName=GROUP)
    await make("logs", "CreateLogStream", logGroupName=GROUP, logStreamName="stream")
    layer = {"LayerName": "layer", "Content": {"ZipFile": CODE}}
    await make("lambda", "PublishLayerVersion", **layer)
    for name in ("f", "g"):
        await make(
            "lambda",
            "CreateFunction",
            FunctionName=name,
            Role=ROLE,
            Runtime="python3.12",
            Handler="app.handler",
            Code={"ZipFile": CODE},
        )
    await make("lambda", "PublishVersion", FunctionName="f")
    await make("lambda", "CreateAlias", FunctionName="f", Name="live", FunctionVersion="1")
    await make("lambda", "CreateFunctionUrlConfig", FunctionName="f", AuthType="NONE")
    await make(
        "lambda",
        "CreateCapacityProvider",
        CapacityProviderName="big",
        VpcConfig={"SubnetIds": ["subnet-1"], "SecurityGroupIds": ["sg-1"]},
        PermissionsConfig={"CapacityProviderOperatorRoleArn": ROLE},
    )
    signing = await make(
        "lambda",
        "CreateCodeSigningConfig",
        AllowedPublishers={
            "SigningProfileVersionArns": [f"arn:aws:signer:{REGION}:{ACCOUNT}:/signing-profiles/p/0123456789"]
        },
    )
    mapping = await make("lambda", "CreateEventSourceMapping", FunctionName="g", EventSourceArn=QUEUE)
    await door.close()
    return (
        ("CodeSigningConfigArn", signing["CodeSigningConfig"]["CodeSigningConfigArn"]),
        ("UUID", mapping["UUID"]),
        ("SubscriptionArn", pending.arn),
        ("Token", pending.token),
    )


@pytest.fixture(scope="module")
def furnished() -> Iterator[tuple[OpenStore, tuple[tuple[str, str], ...]]]:
    """A store with something of everything, and the ids in it."""
    store = OpenStore()
    yield store, asyncio.run(_furnish(store))
    store.close()


def _stories(service: str, served: Collection[str]) -> st.SearchStrategy[list[str]]:
    operations = oracle.api(service).operations.values()
    names = sorted(operation.name for operation in operations if operation.method_name in served)
    return st.lists(st.sampled_from(names), min_size=REQUESTS_PER_STORY, max_size=REQUESTS_PER_STORY)


@pytest.mark.parametrize("service", sorted(EXAMPLES))
def test_no_request_is_answered_by_a_bug_and_no_refusal_leaves_a_trace(
    service: str,
    furnished: tuple[OpenStore, tuple[tuple[str, str], ...]],
    caplog: pytest.LogCaptureFixture,
) -> None:
    store, known = furnished
    seed = store.everything()

    bounded = settings(
        max_examples=EXAMPLES[service],
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=[
            HealthCheck.too_slow,
            HealthCheck.data_too_large,
            HealthCheck.large_base_example,
        ],
    )

    @bounded
    @given(data=st.data(), story=_stories(service, Door(store).services[service]))
    def tell(data: st.DataObject, story: list[str]) -> None:
        requests = [
            (operation, data.draw(anything.parameters(service, operation, known))) for operation in story
        ]
        store.put_back(seed)
        asyncio.run(_listen(store, service, requests))

    with caplog.at_level(logging.WARNING):
        tell()
    assert not caplog.records
    store.put_back(seed)


async def _listen(store: OpenStore, service: str, requests: list[tuple[str, dict[str, Any]]]) -> None:
    door = Door(store)
    await door.world.service.resume()
    try:
        for operation, parameters in requests:
            note(f"{operation} {parameters}")
            documents, blobs = store.everything(), store.blobs()
            try:
                request = oracle.signed_request(service, operation, parameters)
                "".join([request.path, request.query, *request.headers.values()]).encode("latin-1")
            except (BotoCoreError, TypeError, ValueError, AttributeError, KeyError):
                continue  # Not even botocore could write this request.
            status, body = await door.ask(request)
            assert status < 500 or status == NOT_IMPLEMENTED, (operation, parameters, status, body)
            if status >= 400:
                assert store.everything() == documents, (operation, parameters, body)
                assert store.blobs() == blobs, (operation, parameters, body)
    finally:
        await door.close()
