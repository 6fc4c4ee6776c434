"""Event source mappings: the control side, with the texts that AWS was seen to answer."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from lambent.errors import (
    InvalidParameterValueException,
    ResourceConflictException,
    ResourceInUseException,
    ResourceNotFoundException,
    ServiceError,
)
from lambent.services.lambda_ import background
from lambent.store import Put
from unit.services.lambda_.world import ACCOUNT, ARN, NAME, REGION, PausingStore, World, story

QUEUE = f"arn:aws:sqs:{REGION}:{ACCOUNT}:orders"
STREAM = f"arn:aws:kinesis:{REGION}:{ACCOUNT}:stream/clicks"
TABLE = f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/t/stream/2026-01-01T00:00:00.000"
CLUSTER = f"arn:aws:kafka:{REGION}:{ACCOUNT}:cluster/c/0b0a0908-0706-0504-0302-010000000000-1"
BROKER = f"arn:aws:mq:{REGION}:{ACCOUNT}:broker:b:b-0b0a0908"
DATABASE = f"arn:aws:rds:{REGION}:{ACCOUNT}:cluster:docs"
FAILURES = f"arn:aws:sqs:{REGION}:{ACCOUNT}:failures"
ACCESS = [{"Type": "BASIC_AUTH", "URI": "arn:aws:secretsmanager:us-east-1:111111111111:secret:s"}]
NOT_FOUND = "The resource you requested does not exist."
EARLIER = datetime(2025, 1, 1, tzinfo=UTC)

SQS: dict[str, Any] = {"EventSourceArn": QUEUE}
KINESIS: dict[str, Any] = {"EventSourceArn": STREAM, "StartingPosition": "LATEST"}
DYNAMODB: dict[str, Any] = {"EventSourceArn": TABLE, "StartingPosition": "TRIM_HORIZON"}
KAFKA: dict[str, Any] = {"EventSourceArn": CLUSTER, "StartingPosition": "LATEST", "Topics": ["t1"]}
OWN_KAFKA: dict[str, Any] = {
    "SelfManagedEventSource": {"Endpoints": {"KAFKA_BOOTSTRAP_SERVERS": ["a:9092", "b:9092"]}},
    "SourceAccessConfigurations": ACCESS,
    "StartingPosition": "TRIM_HORIZON",
    "Topics": ["t1"],
}
MQ: dict[str, Any] = {"EventSourceArn": BROKER, "Queues": ["q"], "SourceAccessConfigurations": ACCESS}
DOCDB: dict[str, Any] = {
    "EventSourceArn": DATABASE,
    "StartingPosition": "LATEST",
    "DocumentDBEventSourceConfig": {"DatabaseName": "shop"},
    "SourceAccessConfigurations": ACCESS,
}
EVERY_SOURCE = [SQS, KINESIS, DYNAMODB, KAFKA, OWN_KAFKA, MQ, DOCDB]


async def create(world: World, source: dict[str, Any] = SQS, **parameters: Any) -> dict[str, Any]:
    return await world.ask("create_event_source_mapping", **{"FunctionName": NAME} | source | parameters)


async def create_settled(world: World, source: dict[str, Any] = SQS, **parameters: Any) -> str:
    created = await create(world, source, **parameters)
    await world.service.mapping_states.settled()
    return created["UUID"]


async def refused(world: World, error: type[ServiceError], operation: str, **parameters: Any) -> str:
    with pytest.raises(error) as caught:
        await world.ask(operation, **parameters)
    return caught.value.message


async def not_created(world: World, source: dict[str, Any], **parameters: Any) -> str:
    """Return the text of the refusal, and make sure that nothing was left behind."""
    message = await refused(
        world,
        InvalidParameterValueException,
        "create_event_source_mapping",
        **{"FunctionName": NAME} | source | parameters,
    )
    assert await world.ask("list_event_source_mappings") == {"EventSourceMappings": []}
    return message


async def state(world: World, uuid: str) -> str:
    return (await world.ask("get_event_source_mapping", UUID=uuid))["State"]


@story
async def test_a_queues_mapping_has_the_members_that_were_recorded(world: World) -> None:
    await world.create_active()
    created = await create(world)
    uuid = created["UUID"]
    assert created == {
        "BatchSize": 10,
        "EventSourceArn": QUEUE,
        "EventSourceMappingArn": f"arn:aws:lambda:{REGION}:{ACCOUNT}:event-source-mapping:{uuid}",
        "FunctionArn": ARN,
        "FunctionResponseTypes": [],
        "LastModified": datetime.fromtimestamp(world.clock.now_s(), UTC),
        "MaximumBatchingWindowInSeconds": 0,
        "State": "Creating",
        "StateTransitionReason": "USER_INITIATED",
        "UUID": uuid,
    }
    await world.service.mapping_states.settled()
    assert await world.ask("get_event_source_mapping", UUID=uuid) == created | {"State": "Enabled"}


@pytest.mark.parametrize("source", [KINESIS, DYNAMODB])
@story
async def test_a_streams_mapping_has_the_members_that_were_recorded(
    world: World, source: dict[str, Any]
) -> None:
    await world.create_active()
    created = await create(world, source, MaximumRetryAttempts=1, MaximumBatchingWindowInSeconds=1)
    expected: dict[str, Any] = {
        "BatchSize": 100,
        "BisectBatchOnFunctionError": False,
        "DestinationConfig": {"OnFailure": {}},
        "FunctionResponseTypes": [],
        "LastProcessingResult": "No records processed",
        "MaximumBatchingWindowInSeconds": 1,
        "MaximumRecordAgeInSeconds": -1,
        "MaximumRetryAttempts": 1,
        "ParallelizationFactor": 1,
        "StartingPosition": source["StartingPosition"],
        "StateTransitionReason": "User action",
        "TumblingWindowInSeconds": 0,
    }
    assert {name: created[name] for name in expected} == expected
    assert set(created) - set(expected) == {
        "EventSourceArn",
        "EventSourceMappingArn",
        "FunctionArn",
        "LastModified",
        "State",
        "UUID",
    }


@pytest.mark.parametrize("source", EVERY_SOURCE)
@story
async def test_every_kind_of_source_can_be_mapped_and_unmapped(world: World, source: dict[str, Any]) -> None:
    await world.create_active()
    uuid = await create_settled(world, source)
    assert await state(world, uuid) == "Enabled"
    deleted = await world.ask("delete_event_source_mapping", UUID=uuid)
    assert deleted["State"] == "Deleting"
    await world.service.mapping_states.settled()
    message = await refused(world, ResourceNotFoundException, "get_event_source_mapping", UUID=uuid)
    assert message == NOT_FOUND
    assert await create_settled(world, source) != uuid


@story
async def test_a_consumer_group_is_named_after_the_mapping_unless_the_caller_names_it(world: World) -> None:
    await world.create_active()
    unnamed = await create(world, KAFKA)
    assert unnamed["AmazonManagedKafkaEventSourceConfig"] == {"ConsumerGroupId": unnamed["UUID"]}
    named = await create(world, OWN_KAFKA, SelfManagedKafkaEventSourceConfig={"ConsumerGroupId": "readers"})
    assert named["SelfManagedKafkaEventSourceConfig"] == {"ConsumerGroupId": "readers"}


@story
async def test_states_move_as_on_aws(world: World) -> None:
    await world.create_active()
    uuid = await create_settled(world, Enabled=False)
    assert await state(world, uuid) == "Disabled"
    for parameters, passing, end in (
        ({"Enabled": True}, "Enabling", "Enabled"),
        ({"BatchSize": 5}, "Updating", "Enabled"),
        ({"Enabled": False}, "Disabling", "Disabled"),
        ({"BatchSize": 6}, "Updating", "Disabled"),
    ):
        updated = await world.ask("update_event_source_mapping", UUID=uuid, **parameters)
        assert updated["State"] == passing
        await world.service.mapping_states.settled()
        assert await state(world, uuid) == end


@pytest.mark.parametrize("word", ["update", "delete"])
@story
async def test_a_mapping_is_in_use_while_a_change_is_under_way(world: World, word: str) -> None:
    await world.create_active()
    uuid = (await create(world))["UUID"]
    message = await refused(world, ResourceInUseException, f"{word}_event_source_mapping", UUID=uuid)
    assert message == f"Cannot {word} the event source mapping because it is in use."


@story
async def test_a_change_that_was_under_way_when_the_server_ended_is_completed(world: World) -> None:
    await world.create_active()
    made, doomed = await create_settled(world), await create_settled(world, KINESIS)
    await world.ask("update_event_source_mapping", UUID=made, Enabled=False)
    await world.ask("delete_event_source_mapping", UUID=doomed)
    await world.restart()
    await world.service.mapping_states.settled()
    assert await state(world, made) == "Disabled"
    await refused(world, ResourceNotFoundException, "get_event_source_mapping", UUID=doomed)


@story
async def test_all_four_forms_of_a_function_name_keep_their_qualifier(world: World) -> None:
    await world.create_active(Publish=True)
    await world.ask("create_alias", FunctionName=NAME, Name="live", FunctionVersion="1")
    for form, suffix in (
        (NAME, ""),
        (f"{NAME}:1", ":1"),
        (f"{ACCOUNT}:function:{NAME}:$LATEST", ":$LATEST"),
        (f"{ARN}:live", ":live"),
    ):
        assert (await create(world, FunctionName=form))["FunctionArn"] == ARN + suffix


@pytest.mark.parametrize("name", ["gone", f"{NAME}:7", f"{NAME}:no-alias"])
@story
async def test_a_function_that_does_not_exist_cannot_be_mapped(world: World, name: str) -> None:
    await world.create_active()
    assert await not_created(world, SQS, FunctionName=name) == "Function does not exist"
    uuid = await create_settled(world)
    message = await refused(
        world,
        InvalidParameterValueException,
        "update_event_source_mapping",
        UUID=uuid,
        FunctionName=name,
    )
    assert message == "Function does not exist"


@pytest.mark.parametrize(
    ("source", "text"),
    [
        (
            SQS,
            f'An event source mapping with SQS arn (" {QUEUE} ") and function (" {NAME} ") already exists. ',
        ),
        (
            KINESIS,
            f'The event source arn (" {STREAM} ") and function (" {NAME} ") provided mapping already exists. ',
        ),
        (
            OWN_KAFKA,
            f'An event source mapping with event source ("a:9092,b:9092"), function ("{ARN}"), topics ("t1") '
            "already exists. ",
        ),
    ],
)
@story
async def test_a_source_is_mapped_to_a_function_once(world: World, source: dict[str, Any], text: str) -> None:
    await world.create_active()
    uuid = (await create(world, source))["UUID"]
    message = await refused(
        world, ResourceConflictException, "create_event_source_mapping", FunctionName=NAME, **source
    )
    assert message == f"{text}Please update or delete the existing mapping with UUID {uuid}"
    assert len((await world.ask("list_event_source_mappings"))["EventSourceMappings"]) == 1


@story
async def test_of_many_who_map_the_same_at_once_one_succeeds(world: World) -> None:
    await world.create_active()
    outcomes = await asyncio.gather(*(create(world) for _ in range(10)), return_exceptions=True)
    assert sum(isinstance(outcome, dict) for outcome in outcomes) == 1
    assert all(isinstance(outcome, dict | ResourceConflictException) for outcome in outcomes)


@story
async def test_of_many_who_change_a_mapping_at_once_one_succeeds(world: World) -> None:
    await world.create_active()
    uuid = await create_settled(world)
    outcomes = await asyncio.gather(
        *(world.ask("update_event_source_mapping", UUID=uuid, BatchSize=size) for size in range(1, 6)),
        return_exceptions=True,
    )
    done = [outcome for outcome in outcomes if isinstance(outcome, dict)]
    assert all(isinstance(outcome, dict | ResourceInUseException) for outcome in outcomes)
    await world.service.mapping_states.settled()
    kept = await world.ask("get_event_source_mapping", UUID=uuid)
    assert kept["BatchSize"] == done[-1]["BatchSize"]


@story
async def test_a_mapping_moves_to_another_function_unless_that_one_has_the_source(world: World) -> None:
    await world.create_active()
    await world.create_active("other")
    first = await create_settled(world)
    second = await create_settled(world, FunctionName="other")
    message = await refused(
        world,
        ResourceConflictException,
        "update_event_source_mapping",
        UUID=first,
        FunctionName="other",
    )
    assert message.endswith(second)
    await world.ask("delete_event_source_mapping", UUID=second)
    await world.service.mapping_states.settled()
    moved = await world.ask("update_event_source_mapping", UUID=first, FunctionName="other")
    assert moved["FunctionArn"] == ARN.replace(NAME, "other")
    await world.service.mapping_states.settled()
    await create(world)


@pytest.mark.parametrize(
    ("source", "parameters", "text"),
    [
        ({}, {}, "Unrecognized event source."),
        ({"EventSourceArn": "arn:aws:s3:::bucket"}, {}, "Unrecognized event source."),
        # A table is no stream, and neither is the name of one.
        (DYNAMODB | {"EventSourceArn": TABLE.partition("/stream/")[0]}, {}, "Unrecognized event source."),
        (KINESIS | {"EventSourceArn": STREAM.replace("stream/", "")}, {}, "Unrecognized event source."),
        (
            {"EventSourceArn": STREAM},
            {},
            "1 validation error detected: Value null at 'startingPosition' failed to satisfy constraint: "
            "Member must not be null.",
        ),
        (
            DYNAMODB,
            {"StartingPosition": "AT_TIMESTAMP"},
            f"Unsupported starting position for arn type: {TABLE}",
        ),
        (KINESIS, {"StartingPosition": "AT_TIMESTAMP"}, "Need to specify a timestamp."),
        (SQS, {"StartingPosition": "LATEST"}, "StartingPosition is not valid for SQS event sources."),
        (
            SQS,
            {"BatchSize": 11},
            "Maximum batch window in seconds must be greater than 0 if maximum batch size is greater than 10",
        ),
        (
            {"EventSourceArn": f"{QUEUE}.fifo"},
            {"MaximumBatchingWindowInSeconds": 1},
            "Batching window is not supported for FIFO queues",
        ),
        (
            SQS,
            {"MaximumRetryAttempts": 1},
            "Unsupported MaximumRetryAttempts parameter for given event source mapping type.",
        ),
        (
            KINESIS,
            {"DestinationConfig": {"OnSuccess": {"Destination": FAILURES}}},
            "Unsupported DestinationConfig parameter for given event source mapping type.",
        ),
        (
            KINESIS,
            {"DestinationConfig": {"OnFailure": {"Destination": ARN}}},
            "The provided destination config DestinationConfig(onSuccess=null, "
            f"onFailure=OnFailure(destination={ARN})) is invalid.",
        ),
        (
            DYNAMODB,
            {"DestinationConfig": {"OnFailure": {"Destination": "kafka://topic"}}},
            "The provided destination config DestinationConfig(onSuccess=null, "
            "onFailure=OnFailure(destination=kafka://topic)) is invalid.",
        ),
        (
            OWN_KAFKA,
            {"SourceAccessConfigurations": None},
            "Required 'sourceAccessConfigurations' parameter is missing.",
        ),
        (
            DOCDB,
            {"SourceAccessConfigurations": None},
            "Required 'sourceAccessConfigurations' parameter is missing.",
        ),
        (
            SQS,
            {"FilterCriteria": {"Filters": [{"Pattern": '{"a": "bare"}'}]}},
            "Invalid filter pattern definition.",
        ),
        (
            SQS,
            {"ScalingConfig": {"MaximumConcurrency": 2}, "ProvisionedPollerConfig": {"MinimumPollers": 2}},
            "Provisioned mode for SQS ESM does not support maximum concurrency feature. Use MaximumPollers as "
            "the control mechanism and remove maximum concurrency.",
        ),
    ],
)
@story
async def test_what_a_source_does_not_take_is_refused_with_awss_text(
    world: World, source: dict[str, Any], parameters: dict[str, Any], text: str
) -> None:
    await world.create_active()
    given = {name: value for name, value in (source | parameters).items() if value is not None}
    assert await not_created(world, given) == text


@pytest.mark.parametrize(
    ("source", "parameters"),
    [
        (SQS, {"FilterCriteria": {"Filters": [{"Pattern": "{}"}] * 6}}),
        (SQS, {"ProvisionedPollerConfig": {"MinimumPollers": 1}}),
        (KAFKA, {"ProvisionedPollerConfig": {"MinimumPollers": 9, "MaximumPollers": 3}}),
        (KINESIS, {"MaximumRecordAgeInSeconds": 59}),
        (KINESIS, {"TumblingWindowInSeconds": 1, "ParallelizationFactor": 2}),
        (
            KINESIS,
            {
                "StartingPosition": "AT_TIMESTAMP",
                "StartingPositionTimestamp": datetime(2100, 1, 1, tzinfo=UTC),
            },
        ),
        (KINESIS, {"StartingPositionTimestamp": EARLIER}),
        (KAFKA, {"Topics": None}),
        (MQ, {"Queues": None}),
        (DOCDB, {"DocumentDBEventSourceConfig": None}),
        (OWN_KAFKA, {"EventSourceArn": CLUSTER}),
        (SQS, {"Tags": {f"key-{n}": "" for n in range(51)}}),
        ({"EventSourceArn": f"{QUEUE}.fifo"}, {"BatchSize": 11}),
    ],
)
@story
async def test_what_contradicts_itself_is_refused_and_leaves_nothing_behind(
    world: World, source: dict[str, Any], parameters: dict[str, Any]
) -> None:
    await world.create_active()
    given = {name: value for name, value in (source | parameters).items() if value is not None}
    assert await not_created(world, given)


@pytest.mark.parametrize(
    ("source", "destination"),
    [
        (KINESIS, FAILURES),
        (KINESIS | {"EventSourceArn": f"{STREAM}/consumer/c:1700000000"}, "arn:aws:s3:::failures"),
        (DYNAMODB, f"arn:aws:sns:{REGION}:{ACCOUNT}:failures"),
        (KAFKA, "kafka://failures"),
    ],
)
@story
async def test_what_a_stream_could_not_get_rid_of_goes_where_aws_sends_it(
    world: World, source: dict[str, Any], destination: str
) -> None:
    await world.create_active()
    created = await create(world, source, DestinationConfig={"OnFailure": {"Destination": destination}})
    assert created["DestinationConfig"] == {"OnFailure": {"Destination": destination}}


@story
async def test_a_start_in_time_is_shown_as_it_was_given(world: World) -> None:
    await world.create_active()
    uuid = await create_settled(
        world, KINESIS, StartingPosition="AT_TIMESTAMP", StartingPositionTimestamp=EARLIER
    )
    found = await world.ask("get_event_source_mapping", UUID=uuid)
    assert found["StartingPositionTimestamp"] == EARLIER


@story
async def test_an_update_changes_what_is_given_and_an_empty_value_takes_away(world: World) -> None:
    await world.create_active()
    filters = {"Filters": [{"Pattern": '{"body": {"a": [1]}}'}]}
    uuid = await create_settled(
        world, FilterCriteria=filters, ScalingConfig={"MaximumConcurrency": 5}, BatchSize=3
    )
    await world.clock.advance(timedelta(minutes=1).total_seconds())
    updated = await world.ask(
        "update_event_source_mapping", UUID=uuid, ScalingConfig={}, FilterCriteria={"Filters": []}
    )
    assert "ScalingConfig" not in updated
    assert "FilterCriteria" not in updated
    assert updated["BatchSize"] == 3
    await world.service.mapping_states.settled()
    message = await refused(
        world,
        InvalidParameterValueException,
        "update_event_source_mapping",
        UUID=uuid,
        ParallelizationFactor=2,
    )
    assert message == "Unsupported ParallelizationFactor parameter for given event source mapping type."


@story
async def test_mappings_are_listed_by_function_and_source_in_pages_that_leave_none_out(world: World) -> None:
    await world.create_active(Publish=True)
    for number in range(205):
        await create(world, EventSourceArn=f"{QUEUE}-{number}", FunctionName=f"{NAME}:1")
    await create(world)
    await create(world, KINESIS)
    seen: list[str] = []
    page = await world.ask("list_event_source_mappings", MaxItems=10_000)
    while True:
        assert len(page["EventSourceMappings"]) <= 100
        seen += [mapping["UUID"] for mapping in page["EventSourceMappings"]]
        if "NextMarker" not in page:
            break
        page = await world.ask("list_event_source_mappings", Marker=page["NextMarker"])
    assert len(seen) == len(set(seen)) == 207
    by_function = await world.ask("list_event_source_mappings", FunctionName=NAME)
    assert len(by_function["EventSourceMappings"]) == 2
    by_both = await world.ask("list_event_source_mappings", FunctionName=ARN, EventSourceArn=STREAM)
    assert len(by_both["EventSourceMappings"]) == 1
    await refused(world, InvalidParameterValueException, "list_event_source_mappings", Marker="nonsense")


@story
async def test_a_mapping_outlives_its_function(world: World) -> None:
    """As recorded: it stays enabled and can still be deleted."""
    await world.create_active()
    uuid = await create_settled(world)
    await world.ask("delete_function", FunctionName=NAME)
    assert await state(world, uuid) == "Enabled"
    await world.ask("delete_event_source_mapping", UUID=uuid)


@story
async def test_a_mapping_is_tagged_by_its_arn(world: World) -> None:
    await world.create_active()
    created = await create(world, Tags={"a": "1"})
    arn = created["EventSourceMappingArn"]
    assert "Tags" not in created
    await world.ask("tag_resource", Resource=arn, Tags={"b": "2"})
    assert (await world.ask("list_tags", Resource=arn))["Tags"] == {"a": "1", "b": "2"}
    await world.ask("untag_resource", Resource=arn, TagKeys=["a", "never"])
    assert (await world.ask("list_tags", Resource=arn))["Tags"] == {"b": "2"}


class RudeStore(PausingStore):
    """Fails the first writes of changed mappings."""

    failures = 0

    async def apply(self, *changes: Any) -> tuple[int, ...]:
        if self.failures and any(isinstance(c, Put) and c.kind == "event-source-mapping" for c in changes):
            self.failures -= 1
            raise OSError("the disk is full")
        return await super().apply(*changes)


def test_a_mapping_whose_settling_failed_is_settled_a_little_later(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(background, "AGAIN_S", 0)

    async def tell() -> None:
        store = RudeStore()
        world = World(store)
        await world.service.resume()
        await world.create_active()
        created = await create(world)
        store.failures = 2
        await world.service.mapping_states.settled()
        assert await state(world, created["UUID"]) == "Enabled"
        await world.service.close()
        store.close()

    asyncio.run(tell())
    assert caplog.text.count("has to wait") == 1
