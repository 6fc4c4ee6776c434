"""What deploying tools keep beside log groups: resource policies, saved queries and keys."""

from __future__ import annotations

import json
from typing import Any

from lambent.errors import (
    InvalidParameterException,
    LimitExceededException,
    OperationAbortedException,
    ResourceNotFoundException,
)
from unit.services.logs.asking import Logs, run

ARN = "arn:aws:logs:us-east-1:000000000000:log-group:g"
KEY_ARN = "arn:aws:kms:us-east-1:000000000000:key/k"


def document(service: str = "es.amazonaws.com") -> str:
    statement: dict[str, Any] = {
        "Effect": "Allow",
        "Principal": {"Service": service},
        "Action": "logs:PutLogEvents",
        "Resource": "*",
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


class TestResourcePolicies:
    def test_an_accounts_policy_lives_from_put_to_delete(self, logs: Logs) -> None:
        async def story() -> None:
            put = await logs("put_resource_policy", policyName="p", policyDocument=document())
            expected = {
                "policyName": "p",
                "policyDocument": document(),
                "lastUpdatedTime": logs.now_ms,
                "policyScope": "ACCOUNT",
            }
            assert put == {"resourcePolicy": expected}
            await logs(
                "put_resource_policy", policyName="p", policyDocument=document("delivery.logs.amazonaws.com")
            )
            (policy,) = (await logs("describe_resource_policies"))["resourcePolicies"]
            assert "delivery" in policy["policyDocument"]
            await logs("delete_resource_policy", policyName="p")
            assert (await logs("describe_resource_policies"))["resourcePolicies"] == []
            gone = await logs.refused(ResourceNotFoundException, "delete_resource_policy", policyName="p")
            assert gone == "Policy with name [p] does not exist."

        run(story)

    def test_an_account_has_ten_and_they_come_in_pages(self, logs: Logs) -> None:
        async def story() -> None:
            for number in range(10):
                await logs("put_resource_policy", policyName=f"p{number}", policyDocument=document())
            message = await logs.refused(
                LimitExceededException, "put_resource_policy", policyName="p", policyDocument=document()
            )
            assert message == "Resource limit exceeded."
            page = await logs("describe_resource_policies", limit=9)
            rest = await logs("describe_resource_policies", nextToken=page["nextToken"])
            assert [one["policyName"] for one in rest["resourcePolicies"]] == ["p9"]

        run(story)

    def test_what_is_no_policy_is_refused(self, logs: Logs) -> None:
        async def story() -> None:
            for bad in ("{", "{}", '{"Version": "2012-10-17", "Statement": [{}]}'):
                await logs.refused(
                    InvalidParameterException, "put_resource_policy", policyName="p", policyDocument=bad
                )
            await logs.refused(InvalidParameterException, "put_resource_policy", policyName="p")
            await logs.refused(InvalidParameterException, "delete_resource_policy")

        run(story)

    def test_a_groups_policy_has_revisions_and_goes_with_the_group(self, logs: Logs) -> None:
        async def story() -> None:
            await logs("create_log_group", logGroupName="g")
            put = await logs("put_resource_policy", resourceArn=ARN, policyDocument=document())
            assert put["resourcePolicy"]["policyScope"] == "RESOURCE"
            assert put["resourcePolicy"]["resourceArn"] == ARN
            await logs.refused(
                OperationAbortedException,
                "put_resource_policy",
                resourceArn=ARN,
                policyDocument=document(),
                expectedRevisionId="other",
            )
            again = await logs(
                "put_resource_policy",
                resourceArn=ARN,
                policyDocument=document(),
                expectedRevisionId=put["revisionId"],
            )
            assert again["revisionId"] != put["revisionId"]
            for asked in ({"resourceArn": ARN}, {"policyScope": "RESOURCE"}):
                (found,) = (await logs("describe_resource_policies", **asked))["resourcePolicies"]
                assert found["revisionId"] == again["revisionId"]
            assert (await logs("describe_resource_policies"))["resourcePolicies"] == []
            await logs("delete_log_group", logGroupName="g")
            await logs("create_log_group", logGroupName="g")
            assert (await logs("describe_resource_policies", resourceArn=ARN))["resourcePolicies"] == []
            assert (await logs("describe_resource_policies", policyScope="RESOURCE"))[
                "resourcePolicies"
            ] == []

        run(story)


class TestQueryDefinitions:
    def test_a_saved_query_lives_from_put_to_delete(self, logs: Logs) -> None:
        async def story() -> None:
            query = {"name": "errors", "queryString": "fields @message", "logGroupNames": ["g"]}
            identifier = (await logs("put_query_definition", **query))["queryDefinitionId"]
            (saved,) = (await logs("describe_query_definitions"))["queryDefinitions"]
            assert saved == query | {
                "queryDefinitionId": identifier,
                "queryLanguage": "CWLI",
                "lastModified": logs.now_ms,
            }
            await logs(
                "put_query_definition", queryDefinitionId=identifier, name="b", queryString="stats count(*)"
            )
            await logs("put_query_definition", name="a", queryString="fields @message")
            page = await logs("describe_query_definitions", maxResults=1)
            assert [one["name"] for one in page["queryDefinitions"]] == ["a"]
            rest = await logs("describe_query_definitions", nextToken=page["nextToken"])
            assert [(one["name"], one["logGroupNames"]) for one in rest["queryDefinitions"]] == [("b", [])]
            assert await logs("delete_query_definition", queryDefinitionId=identifier) == {"success": True}
            for operation in ("delete_query_definition", "put_query_definition"):
                await logs.refused(
                    ResourceNotFoundException,
                    operation,
                    queryDefinitionId=identifier,
                    name="b",
                    queryString="fields @message",
                )

        run(story)


class TestKeys:
    def test_a_key_comes_and_goes(self, logs: Logs) -> None:
        async def story() -> None:
            await logs("create_log_group", logGroupName="g")
            await logs("associate_kms_key", logGroupName="g", kmsKeyId=KEY_ARN)
            (group,) = (await logs("describe_log_groups"))["logGroups"]
            assert group["kmsKeyId"] == KEY_ARN
            await logs("disassociate_kms_key", resourceIdentifier=ARN)
            (group,) = (await logs("describe_log_groups"))["logGroups"]
            assert "kmsKeyId" not in group
            await logs.refused(InvalidParameterException, "associate_kms_key", logGroupName="g", kmsKeyId="k")
            await logs.refused(
                ResourceNotFoundException, "associate_kms_key", logGroupName="gone", kmsKeyId=KEY_ARN
            )

        run(story)
