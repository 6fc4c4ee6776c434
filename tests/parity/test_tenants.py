"""Tenant isolation through boto3: each tenant's invocations run in environments of their own."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from botocore.exceptions import ClientError

from harness import Server, create, invoke

PATIENCE_S = 20
ISOLATED: dict[str, Any] = {"TenancyConfig": {"TenantIsolationMode": "PER_TENANT"}}
REMEMBERS = """
import pathlib
seen = []
def handler(event, context):
    seen.append(context.tenant_id)
    with pathlib.Path("/tmp/seen").open("a") as file:
        file.write(f"{context.tenant_id} ")
    return [seen, pathlib.Path("/tmp/seen").read_text().split()]
"""


@pytest.fixture
def client(lambent: Server) -> Any:
    """A boto3 client of Lambda."""
    return lambent.client("lambda")


def test_no_tenant_sees_what_another_has_left(client: Any, name: str) -> None:
    create(client, name, REMEMBERS, **ISOLATED)
    for tenant, count in (("blue", 1), ("green", 1), ("blue", 2), ("a b/é".encode().hex(), 1), ("green", 2)):
        assert invoke(client, name, TenantId=tenant).payload == [[tenant] * count] * 2


def test_a_tenant_has_the_characters_of_a_name_and_is_asked_for(client: Any, name: str) -> None:
    create(client, name, REMEMBERS, **ISOLATED)
    tenant = "org:1/user=x.y_z@example.com - +"
    assert invoke(client, name, TenantId=tenant).payload[0] == [tenant]
    with pytest.raises(ClientError, match="Add a valid tenant ID in your request and try again"):
        client.invoke(FunctionName=name)
    for bad in ("", "ö", "a" * 257):
        with pytest.raises(ClientError) as caught:
            client.invoke(FunctionName=name, TenantId=bad)
        assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400, bad


def test_an_event_runs_for_its_tenant_and_the_log_says_for_whom(
    lambent: Server, client: Any, name: str
) -> None:
    create(client, name, REMEMBERS, LoggingConfig={"LogFormat": "JSON"}, **ISOLATED)
    client.invoke(FunctionName=name, TenantId="later", InvocationType="Event")
    logs = lambent.client("logs")
    deadline_s = time.monotonic() + PATIENCE_S
    records: dict[str, Any] = {}
    while "platform.report" not in records:
        assert time.monotonic() < deadline_s
        try:
            found = logs.filter_log_events(logGroupName=f"/aws/lambda/{name}")["events"]
        except logs.exceptions.ResourceNotFoundException:
            continue
        lines = [json.loads(event["message"]) for event in found]
        records = {line["type"]: line["record"] for line in lines if "type" in line}
    assert records["platform.start"]["tenantId"] == records["platform.report"]["tenantId"] == "later"
    assert invoke(client, name, TenantId="later").payload[0] == ["later", "later"]


def test_a_function_that_changes_forgets_the_environments_of_every_tenant(client: Any, name: str) -> None:
    create(client, name, REMEMBERS, **ISOLATED)
    for tenant in ("blue", "green"):
        invoke(client, name, TenantId=tenant)
    client.update_function_configuration(FunctionName=name, Description="changed")
    client.get_waiter("function_updated_v2").wait(FunctionName=name, WaiterConfig={"Delay": 0.05})
    for tenant in ("blue", "green"):
        assert invoke(client, name, TenantId=tenant).payload[0] == [tenant]
