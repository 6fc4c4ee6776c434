"""Recorded scenarios about event source mappings and tags."""

from __future__ import annotations

import time
from typing import Any

from harness import REGION
from parity.recorded.replay import ACCOUNT, Replay, scenario

QUEUE = f"arn:aws:sqs:{REGION}:{ACCOUNT}"
TABLE = f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table"
MAPPING = f"arn:aws:lambda:{REGION}:{ACCOUNT}:event-source-mapping"


def _enabled(to: Replay, uuid: str) -> None:
    deadline_s = time.monotonic() + 20
    while to.ask("get_event_source_mapping", UUID=uuid)["State"] != "Enabled":
        assert time.monotonic() < deadline_s


def _stream_mapping(to: Replay, name: str) -> str:
    created = to.step(
        "create_response",
        "create_event_source_mapping",
        FunctionName=name,
        EventSourceArn=f"{TABLE}/{to.name('table')}/stream/2025-11-24T10:00:00.000",
        BatchSize=1,
        StartingPosition="TRIM_HORIZON",
        MaximumBatchingWindowInSeconds=1,
        MaximumRetryAttempts=1,
        DestinationConfig={"OnFailure": {"Destination": f"{QUEUE}:{to.name('failures')}"}},
    )
    _enabled(to, created["UUID"])
    to.step("get_response", "get_event_source_mapping", UUID=created["UUID"])
    return created["UUID"]


@scenario("TestLambdaEventSourceMappings/test_event_source_mapping_lifecycle")
def mapping_lifecycle(to: Replay) -> None:
    to.leave_out("update_table_response")  # An answer of DynamoDB.
    to.create_active(None, to.name())
    uuid = _stream_mapping(to, to.name())
    to.step("delete_response", "delete_event_source_mapping", UUID=uuid)


@scenario("TestLambdaEventSourceMappings/test_event_source_mapping_lifecycle_delete_function")
def mapping_outlives_its_function(to: Replay) -> None:
    to.leave_out("update_table_response")
    to.create_active(None, to.name())
    uuid = _stream_mapping(to, to.name())
    # The model of today says 200 where 204 was recorded; the body is the same.
    deleted = to.ask("delete_function", FunctionName=to.name())
    deleted["ResponseMetadata"]["HTTPStatusCode"] = 204
    to.note("delete_function_response", deleted)
    to.step("get_response_post_delete", "get_event_source_mapping", UUID=uuid)
    to.step("delete_response", "delete_event_source_mapping", UUID=uuid)


@scenario("TestLambdaEventSourceMappings/test_function_name_variations")
def function_name_variations(to: Replay) -> None:
    name = to.name()
    to.create_active(None, name)
    to.ask("publish_version", FunctionName=name)
    to.ask("create_alias", FunctionName=name, Name="myalias", FunctionVersion="1")
    for step, form in (
        ("name_only", name),
        ("partial_arn_latest", f"{name}:$LATEST"),
        ("partial_arn_version", f"{name}:1"),
        ("partial_arn_alias", f"{name}:myalias"),
        ("full_arn_latest", to.arn(name)),
        ("full_arn_version", to.arn(f"{name}:1")),
        ("full_arn_alias", to.arn(f"{name}:myalias")),
    ):
        created = to.step(
            f"{step}_create_esm",
            "create_event_source_mapping",
            FunctionName=form,
            EventSourceArn=to.queue(),
        )
        _gone(to, created["UUID"])


def _gone(to: Replay, uuid: str) -> None:
    """Delete a mapping and wait until it is gone, so that the same can be created again."""
    deadline_s = time.monotonic() + 20
    while "Error" not in (answer := to.ask("get_event_source_mapping", UUID=uuid)):
        assert time.monotonic() < deadline_s
        if answer["State"] in ("Enabled", "Disabled"):
            to.ask("delete_event_source_mapping", UUID=uuid)


@scenario("TestLambdaTag/test_create_tag_on_esm_create")
def mapping_created_with_tags(to: Replay) -> None:
    to.create_active(None, to.name())
    created = to.ask(
        "create_event_source_mapping",
        FunctionName=to.name(),
        EventSourceArn=to.queue(),
        Tags={"testtag": to.name("tag")},
    )
    _enabled(to, created["UUID"])
    found = to.ask("get_event_source_mapping", UUID=created["UUID"])
    same = {"UUID", "EventSourceArn", "FunctionArn", "EventSourceMappingArn"}
    to.note(
        "get_event_source_mapping_with_tag",
        {member: created[member] for member in same} == {member: found[member] for member in same},
    )
    to.step("list_tags_result", "list_tags", Resource=created["EventSourceMappingArn"])


@scenario(
    "TestLambdaTag/test_tag_exceptions[capacity_provider]",
    "TestLambdaTag/test_tag_exceptions[event_source_mapping]",
    "TestLambdaTag/test_tag_exceptions[lambda_function]",
)
def tag_exceptions(to: Replay, kind: str) -> None:
    name = {
        "capacity_provider": "capacity-provider:name",
        "event_source_mapping": "event-source-mapping:0b0a0908-0706-0504-0302-0100aabbccdd",
        "lambda_function": "function:name",
    }[kind]
    prefix = f"arn:aws:lambda:{REGION}:{ACCOUNT}"
    resource = f"{prefix}:{name}"
    _not_found_three_times(to, resource)
    foobar = f"{prefix}:foobar:{name.partition(':')[2]}"
    to.step("invalid_arn_exception", "tag_resource", Resource=foobar, Tags={"key": "value"})
    to.step("aliased_arn_exception", "tag_resource", Resource=f"{resource}:alias", Tags={"key": "value"})


def _not_found_three_times(to: Replay, resource: str) -> None:
    to.step("not_found_exception_tag", "tag_resource", Resource=resource, Tags={"key": "value"})
    to.step("not_found_exception_untag", "untag_resource", Resource=resource, TagKeys=["key"])
    to.step("not_found_exception_list", "list_tags", Resource=resource)


@scenario("TestLambdaTag/test_tag_nonexisting_resource")
def tags_of_a_deleted_function(to: Replay) -> None:
    to.create_active(None, to.name())
    found = to.step("pre_delete_get_function", "get_function", FunctionName=to.name())
    to.ask("delete_function", FunctionName=to.name())
    _not_found_three_times(to, found["Configuration"]["FunctionArn"])


@scenario("TestLambdaTags/test_tag_exceptions")
def tag_requests_that_are_refused(to: Replay) -> None:
    arn: str = to.create_active(None, to.name())["FunctionArn"]
    tags = {"Tags": {"key": "value"}}
    to.step("tag_lambda_invalidarn", "tag_resource", Resource="arn:aws:something", **tags)
    to.step("tag_lambda_doesnotexist", "tag_resource", Resource=to.arn("doesnotexist"), **tags)
    to.step("tag_lambda_qualifier_doesnotexist", "tag_resource", Resource=f"{arn}:v1", **tags)
    to.step("tag_empty_tags", "tag_resource", Resource=arn, Tags={})
    to.step("list_tag_lambda_empty", "list_tags", Resource=arn)
    to.step("untag_nomatch", "untag_resource", Resource=arn, TagKeys=["no-match"])
    to.step("untag_empty_keys", "untag_resource", Resource=arn, TagKeys=[])


@scenario("TestLambdaTags/test_tag_lifecycle")
def tag_lifecycle(to: Replay) -> None:
    name = to.name()
    arn: str = to.create_active(None, name, Tags={"key_a": "value_a"})["FunctionArn"]

    def look(when: str) -> None:
        to.step(f"list_tags_response_{when}", "list_tags", Resource=arn)
        to.step(f"get_fn_response_{when}", "get_function", FunctionName=name)

    look("postfncreate")
    more = {f"key_{letter}": f"value_{letter}" for letter in "bcde"}
    to.step("tag_resource_response", "tag_resource", Resource=arn, Tags=more)
    look("postaddtags")
    to.step("tag_resource_overwrite", "tag_resource", Resource=arn, Tags={"key_c": "value_x"})
    look("overwrite")
    to.ask("untag_resource", Resource=arn, TagKeys=["key_c", "key_d"])
    look("postuntag")
    to.ask("untag_resource", Resource=arn, TagKeys=["key_a", "key_b", "key_e"])
    look("postuntagall")
    to.ask("delete_function", FunctionName=name)
    to.step("list_tags_postdelete", "list_tags", Resource=arn)


@scenario("TestLambdaTags/test_tag_limits")
def tag_limits(to: Replay) -> None:
    name = to.name()
    arn: str = to.create_active(None, name)["FunctionArn"]
    fifty = {f"{number}_key": f"{number}_value" for number in range(50)}
    too_many: dict[str, Any] = {**fifty, "50_key": "50_value"}
    to.step("tag_lambda_too_many_tags", "tag_resource", Resource=arn, Tags=too_many)
    to.step("tag_response", "tag_resource", Resource=arn, Tags=fifty)
    to.step("list_tags_response", "list_tags", Resource=arn)
    to.step("get_fn_response", "get_function", FunctionName=name)
    to.step("tag_lambda_too_many_tags_additional", "tag_resource", Resource=arn, Tags={"one": "more"})
    to.create("create_function_invalid_tags", to.name("other"), Tags=too_many)


@scenario("TestLambdaTags/test_tag_versions")
def tag_versions(to: Replay) -> None:
    arn: str = to.create_active(None, to.name())["FunctionArn"]
    to.ask("publish_version", FunctionName=to.name())
    to.step("tag_resource_exception", "tag_resource", Resource=f"{arn}:1", Tags={"key": "value"})
    to.step("tag_resource_latest_exception", "tag_resource", Resource=f"{arn}:$LATEST", Tags={"key": "value"})
