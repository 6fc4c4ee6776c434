"""Functions on capacity providers through boto3: what is published is what runs."""

from __future__ import annotations

from typing import Any

import pytest

from harness import ACCOUNT, REGION, ROLE, Server, invoke, zip_of

SOURCE = "def handler(event, context): return context.function_version"
WAIT = {"Delay": 0.05, "MaxAttempts": 600}


def test_what_is_published_runs_and_latest_does_not(lambent: Server, name: str) -> None:
    client: Any = lambent.client("lambda")
    client.create_capacity_provider(
        CapacityProviderName=name,
        VpcConfig={"SubnetIds": ["subnet-1"], "SecurityGroupIds": ["sg-1"]},
        PermissionsConfig={"CapacityProviderOperatorRoleArn": ROLE},
    )
    arn = f"arn:aws:lambda:{REGION}:{ACCOUNT}:capacity-provider:{name}"
    client.create_function(
        FunctionName=name,
        Runtime="python3.13",
        Handler="app.handler",
        Role=ROLE,
        Code={"ZipFile": zip_of({"app.py": SOURCE})},
        CapacityProviderConfig={"LambdaManagedInstancesCapacityProviderConfig": {"CapacityProviderArn": arn}},
        Publish=True,
        PublishTo="LATEST_PUBLISHED",
    )
    published = {"FunctionName": name, "Qualifier": "$LATEST.PUBLISHED", "WaiterConfig": WAIT}
    client.get_waiter("published_version_active").wait(**published)
    assert invoke(client, name).payload == "$LATEST.PUBLISHED"
    with pytest.raises(client.exceptions.ResourceConflictException, match="ActiveNonInvocable"):
        client.invoke(FunctionName=name, Qualifier="$LATEST")
    found = client.list_function_versions_by_capacity_provider(CapacityProviderName=arn)["FunctionVersions"]
    assert [version["State"] for version in found] == ["ActiveNonInvocable", "Active"]
