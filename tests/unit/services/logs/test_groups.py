"""Log groups: names, identifiers, listings and tags. What AWS's reference says of each operation and its errors."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from lambent.errors import (
    InvalidParameterException,
    ResourceAlreadyExistsException,
    ResourceNotFoundException,
    ValidationException,
)
from lambent.services.logs.errors import TooManyTagsException
from unit.services.logs.asking import Logs, messages_of, run


class TestGroups:
    def test_a_group_is_described_as_it_was_made(self, logs: Logs) -> None:
        async def story() -> None:
            key_arn = "arn:aws:kms:us-east-1:000000000000:key/k"
            await logs("create_log_group", logGroupName="/app/web", kmsKeyId=key_arn, tags={"team": "red"})
            (group,) = (await logs("describe_log_groups"))["logGroups"]
            assert group == {
                "logGroupName": "/app/web",
                "creationTime": logs.now_ms,
                "metricFilterCount": 0,
                "arn": "arn:aws:logs:us-east-1:000000000000:log-group:/app/web:*",
                "logGroupArn": "arn:aws:logs:us-east-1:000000000000:log-group:/app/web",
                "storedBytes": 0,
                "logGroupClass": "STANDARD",
                "deletionProtectionEnabled": False,
                "kmsKeyId": key_arn,
            }

        run(story)

    def test_a_name_is_given_once_in_an_account_and_region(self, logs: Logs) -> None:
        async def story() -> None:
            await logs("create_log_group", logGroupName="g")
            message = await logs.refused(ResourceAlreadyExistsException, "create_log_group", logGroupName="g")
            assert message == "The specified log group already exists"
            logs.region = "eu-west-1"
            await logs("create_log_group", logGroupName="g")
            logs.account = "111122223333"
            await logs("create_log_group", logGroupName="g")
            assert len((await logs("describe_log_groups"))["logGroups"]) == 1

        run(story)

    def test_names_that_begin_with_aws_are_reserved(self, logs: Logs) -> None:
        async def story() -> None:
            message = await logs.refused(InvalidParameterException, "create_log_group", logGroupName="AWS/x")
            assert message == "Log groups starting with AWS/ are reserved for AWS."
            await logs("create_log_group", logGroupName="/aws/x")

        run(story)

    def test_a_deleted_group_is_gone_and_a_new_one_of_its_name_is_empty(self, logs: Logs) -> None:
        async def story() -> None:
            await logs.stream()
            await logs.fill(3)
            await logs("delete_log_group", logGroupName="g")
            message = await logs.refused(ResourceNotFoundException, "delete_log_group", logGroupName="g")
            assert message == "The specified log group does not exist."
            assert await logs.events.sizes() == {}
            await logs("create_log_group", logGroupName="g")
            assert messages_of(await logs("filter_log_events", logGroupName="g")) == []
            assert (await logs("describe_log_streams", logGroupName="g"))["logStreams"] == []

        run(story)

    def test_a_protected_group_is_not_deleted(self, logs: Logs) -> None:
        async def story() -> None:
            await logs("create_log_group", logGroupName="g", deletionProtectionEnabled=True)
            await logs.refused(ValidationException, "delete_log_group", logGroupName="g")
            await logs(
                "put_log_group_deletion_protection", logGroupIdentifier="g", deletionProtectionEnabled=False
            )
            await logs("delete_log_group", logGroupName="g")

        run(story)

    def test_groups_are_listed_in_pages_in_name_order(self, logs: Logs) -> None:
        async def story() -> None:
            names = [f"group-{number:03d}" for number in range(120)]
            for name in reversed(names):
                await logs("create_log_group", logGroupName=name)
            seen: list[str] = []
            parameters: dict[str, Any] = {}
            sizes: list[int] = []
            while True:
                page = await logs("describe_log_groups", **parameters)
                seen += [group["logGroupName"] for group in page["logGroups"]]
                sizes.append(len(page["logGroups"]))
                if "nextToken" not in page:
                    break
                parameters["nextToken"] = page["nextToken"]
            assert (seen, sizes) == (names, [50, 50, 20])
            page = await logs("describe_log_groups", logGroupNamePrefix="group-00", limit=10)
            assert [group["logGroupName"] for group in page["logGroups"]] == names[:10]
            assert "nextToken" not in page

        run(story)

    def test_a_search_by_pattern_is_a_case_sensitive_search_for_a_part(self, logs: Logs) -> None:
        async def story() -> None:
            for name in ("DataLogs", "aws-of/DataLogs", "datalogs"):
                await logs("create_log_group", logGroupName=name)
            page = await logs("describe_log_groups", logGroupNamePattern="DataLogs")
            assert [sorted(group) for group in page["logGroups"]] == [
                ["arn", "creationTime", "logGroupName"]
            ] * 2
            await logs.refused(
                InvalidParameterException,
                "describe_log_groups",
                logGroupNamePattern="x",
                logGroupNamePrefix="y",
            )

        run(story)

    def test_groups_are_chosen_by_identifier_or_class(self, logs: Logs) -> None:
        async def story() -> None:
            await logs("create_log_group", logGroupName="a")
            await logs("create_log_group", logGroupName="b", logGroupClass="INFREQUENT_ACCESS")
            page = await logs("describe_log_groups", logGroupIdentifiers=["b", "gone"])
            assert [group["logGroupName"] for group in page["logGroups"]] == ["b"]
            page = await logs("describe_log_groups", logGroupClass="STANDARD")
            assert [group["logGroupName"] for group in page["logGroups"]] == ["a"]

        run(story)

    def test_a_list_of_groups_takes_several_patterns(self, logs: Logs) -> None:
        async def story() -> None:
            for name in ("/aws/lambda/a", "x/aws/lambda/b", "my.discovery", "mydiscovery", "other"):
                await logs("create_log_group", logGroupName=name)
            page = await logs("list_log_groups", logGroupNamePattern="^/aws/lambda|y.dis")
            assert [group["logGroupName"] for group in page["logGroups"]] == ["/aws/lambda/a", "my.discovery"]
            assert set(page["logGroups"][0]) == {"logGroupName", "logGroupArn", "logGroupClass"}

        run(story)

    def test_a_token_of_another_listing_is_refused(self, logs: Logs) -> None:
        async def story() -> None:
            await logs.stream()
            for token in ("nonsense", "%%%", "é", "AAAA", ""):
                await logs.refused(InvalidParameterException, "describe_log_groups", nextToken=token)
                await logs.refused(
                    InvalidParameterException, "describe_log_streams", logGroupName="g", nextToken=token
                )
                for operation in ("get_log_events", "filter_log_events"):
                    message = await logs.refused(
                        InvalidParameterException,
                        operation,
                        logGroupName="g",
                        logStreamName="s",
                        nextToken=token,
                    )
                    assert message == "The specified nextToken is invalid."

        run(story)

    def test_concurrent_changes_all_count(self, logs: Logs) -> None:
        async def story() -> None:
            await logs("create_log_group", logGroupName="g")
            async with asyncio.TaskGroup() as tasks:
                for number in range(10):
                    tasks.create_task(logs("tag_log_group", logGroupName="g", tags={f"t{number}": "x"}))
                tasks.create_task(logs("put_retention_policy", logGroupName="g", retentionInDays=7))
            tags = (await logs("list_tags_log_group", logGroupName="g"))["tags"]
            assert len(tags) == 10
            (group,) = (await logs("describe_log_groups"))["logGroups"]
            assert group["retentionInDays"] == 7

        run(story)


class TestIdentifiers:
    def test_a_group_is_found_by_name_or_arn(self, logs: Logs) -> None:
        async def story() -> None:
            await logs.stream()
            await logs.fill(1)
            arn = "arn:aws:logs:us-east-1:000000000000:log-group:g"
            for identifier in ("g", arn, arn + ":*"):
                result = await logs("filter_log_events", logGroupIdentifier=identifier)
                assert messages_of(result) == ["line 0"]

        run(story)

    def test_either_name_or_identifier_is_given(self, logs: Logs) -> None:
        async def story() -> None:
            await logs.refused(InvalidParameterException, "filter_log_events")
            await logs.refused(
                InvalidParameterException, "filter_log_events", logGroupName="g", logGroupIdentifier="g"
            )

        run(story)

    @pytest.mark.parametrize(
        "arn", ["arn:aws:s3:::bucket", "arn:aws:logs:us-east-1:000000000000:destination:d"]
    )
    def test_an_arn_of_something_else_is_refused(self, logs: Logs, arn: str) -> None:
        async def story() -> None:
            await logs.refused(InvalidParameterException, "list_tags_for_resource", resourceArn=arn)

        run(story)

    def test_groups_of_other_accounts_are_not_to_be_seen(self, logs: Logs) -> None:
        async def story() -> None:
            await logs("create_log_group", logGroupName="g")
            logs.account = "111122223333"
            arn = "arn:aws:logs:us-east-1:000000000000:log-group:g"
            await logs.refused(ResourceNotFoundException, "list_tags_for_resource", resourceArn=arn)

        run(story)


class TestTags:
    def test_tags_are_added_replaced_and_removed_by_name_and_by_arn(self, logs: Logs) -> None:
        async def story() -> None:
            arn = "arn:aws:logs:us-east-1:000000000000:log-group:g"
            await logs("create_log_group", logGroupName="g", tags={"a": "1"})
            await logs("tag_log_group", logGroupName="g", tags={"b": "2"})
            await logs("tag_resource", resourceArn=arn, tags={"a": "3", "c": "4"})
            assert await logs("list_tags_log_group", logGroupName="g") == {
                "tags": {"a": "3", "b": "2", "c": "4"}
            }
            await logs("untag_log_group", logGroupName="g", tags=["b", "unknown"])
            await logs("untag_resource", resourceArn=arn, tagKeys=["c"])
            assert await logs("list_tags_for_resource", resourceArn=arn) == {"tags": {"a": "3"}}

        run(story)

    def test_a_group_has_at_most_fifty_tags_and_none_of_awss(self, logs: Logs) -> None:
        async def story() -> None:
            arn = "arn:aws:logs:us-east-1:000000000000:log-group:g"
            await logs("create_log_group", logGroupName="g", tags={f"t{n}": "" for n in range(50)})
            await logs.refused(TooManyTagsException, "tag_resource", resourceArn=arn, tags={"one more": ""})
            await logs("tag_resource", resourceArn=arn, tags={"t0": "replaced"})
            await logs.refused(InvalidParameterException, "tag_resource", resourceArn=arn, tags={"aws:x": ""})

        run(story)
