"""Concurrency through boto3: reserved concurrency that throttles, provisioned concurrency that is really there."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from botocore.exceptions import ClientError

from harness import Server, create, invoke
from parity.test_aliases import answer_of, refused

SOURCE = """
import os, time

KIND = os.environ["AWS_LAMBDA_INITIALIZATION_TYPE"]

def handler(event, context):
    time.sleep((event or {}).get("seconds", 0))
    return [KIND, context.function_version]
"""
WAIT_S = 30


def provisioned(client: Any, name: str, qualifier: str) -> dict[str, Any]:
    """Return the provisioned concurrency once nothing of it is in progress."""
    deadline_s = time.monotonic() + WAIT_S
    while True:
        found = client.get_provisioned_concurrency_config(FunctionName=name, Qualifier=qualifier)
        if found["Status"] != "IN_PROGRESS":
            return {
                key: value for key, value in found.items() if key not in {"ResponseMetadata", "LastModified"}
            }
        assert time.monotonic() < deadline_s, found
        time.sleep(0.02)


def ready(count: int) -> dict[str, Any]:
    """What AWS shows when so much is allocated."""
    return {
        "RequestedProvisionedConcurrentExecutions": count,
        "AvailableProvisionedConcurrentExecutions": count,
        "AllocatedProvisionedConcurrentExecutions": count,
        "Status": "READY",
    }


def test_reserved_concurrency_throttles_with_its_reason(lambent: Server, name: str) -> None:
    client = lambent.client("lambda")
    create(client, name, SOURCE)
    client.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=0)
    with pytest.raises(ClientError) as caught:
        client.invoke(FunctionName=name)
    response = answer_of(caught.value)
    assert response["ResponseMetadata"]["HTTPStatusCode"] == 429
    del response["ResponseMetadata"]
    assert response == {
        "Error": {"Code": "TooManyRequestsException", "Message": "Rate Exceeded."},
        "Reason": "ReservedFunctionConcurrentInvocationLimitExceeded",
        "Type": "User",
        "message": "Rate Exceeded.",
    }
    client.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=2)
    with ThreadPoolExecutor(6) as callers:
        calls = [callers.submit(invoke, client, name, {"seconds": 0.5}) for _ in range(6)]
    failures = [call.exception() for call in calls if call.exception() is not None]
    assert len(failures) == 4
    client.delete_function_concurrency(FunctionName=name)
    assert invoke(client, name).payload == ["on-demand", "$LATEST"]


def test_requests_that_come_too_quickly_are_throttled_with_their_own_reason(
    lambent: Server, name: str
) -> None:
    """One reserved environment serves ten requests a second, however quickly it could."""
    client = lambent.client("lambda")
    create(client, name, SOURCE)
    client.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=1)
    too_quick = "ReservedFunctionInvocationRateLimitExceeded"
    deadline_s = time.monotonic() + WAIT_S

    def until_too_quick() -> Any:
        while time.monotonic() < deadline_s:
            try:
                client.invoke(FunctionName=name)
            except ClientError as error:
                if answer_of(error)["Reason"] == too_quick:
                    return answer_of(error)
        raise AssertionError("never")

    with ThreadPoolExecutor(4) as callers:
        responses = [call.result() for call in [callers.submit(until_too_quick) for _ in range(4)]]
    for response in responses:
        assert response["ResponseMetadata"]["HTTPStatusCode"] == 429
        assert response["ResponseMetadata"]["HTTPHeaders"]["retry-after"] == "1"
        assert response["Error"] == {"Code": "TooManyRequestsException", "Message": "Rate Exceeded."}
        assert (response["Reason"], response["Type"]) == (too_quick, "User")


def test_what_runs_beyond_provisioned_concurrency_says_so_and_is_initialized_on_demand(
    lambent: Server, name: str
) -> None:
    client = lambent.client("lambda")
    create(client, name, SOURCE, Publish=True)
    client.put_provisioned_concurrency_config(
        FunctionName=name, Qualifier="1", ProvisionedConcurrentExecutions=1
    )
    assert provisioned(client, name, "1") == ready(1)
    with ThreadPoolExecutor(2) as callers:
        calls = [callers.submit(invoke, client, name, {"seconds": 0.5}, Qualifier="1") for _ in range(2)]
    answers = {call.result().payload[0]: call.result().headers for call in calls}
    assert answers.keys() == {"provisioned-concurrency", "on-demand"}
    assert "x-lambent-spillover" not in answers["provisioned-concurrency"]
    assert answers["on-demand"]["x-lambent-spillover"] == "true"


def test_what_an_account_has_not_cannot_be_reserved(lambent: Server, name: str) -> None:
    client = lambent.client("lambda", account="777777777777")
    create(client, name, SOURCE, Role="arn:aws:iam::777777777777:role/r")
    with pytest.raises(ClientError) as caught:
        client.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=901)
    text = (
        "Specified ReservedConcurrentExecutions for function decreases account's UnreservedConcurrentExecution "
        "below its minimum value of [100]."
    )
    response = answer_of(caught.value)
    del response["ResponseMetadata"]
    assert response == {"Error": {"Code": "InvalidParameterValueException", "Message": text}, "message": text}
    client.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=900)
    limits = client.get_account_settings()["AccountLimit"]
    assert (limits["ConcurrentExecutions"], limits["UnreservedConcurrentExecutions"]) == (1000, 100)


def test_provisioned_environments_run_the_invocations_of_their_version(lambent: Server, name: str) -> None:
    client = lambent.client("lambda")
    create(client, name, SOURCE, Publish=True)
    put = client.put_provisioned_concurrency_config(
        FunctionName=name, Qualifier="1", ProvisionedConcurrentExecutions=2
    )
    assert put["ResponseMetadata"]["HTTPStatusCode"] == 202
    assert (put["Status"], put["AllocatedProvisionedConcurrentExecutions"]) == ("IN_PROGRESS", 0)
    assert provisioned(client, name, "1") == ready(2)
    answer = invoke(client, name, Qualifier="1")
    assert answer.payload == ["provisioned-concurrency", "1"]
    assert "x-lambent-cold-start-reason" not in answer.headers
    assert "Init Duration" not in answer.log
    # A change of $LATEST is no reason to give up what a published version has.
    client.update_function_configuration(FunctionName=name, Description="changed")
    client.get_waiter("function_updated_v2").wait(FunctionName=name, WaiterConfig={"Delay": 0.05})
    assert provisioned(client, name, "1") == ready(2)
    assert invoke(client, name, Qualifier="1").payload[0] == "provisioned-concurrency"
    client.delete_provisioned_concurrency_config(FunctionName=name, Qualifier="1")
    assert refused(client.get_provisioned_concurrency_config, FunctionName=name, Qualifier="1") == (
        "ProvisionedConcurrencyConfigNotFoundException",
        "No Provisioned Concurrency Config found for this function",
        404,
    )


def test_a_function_that_cannot_be_loaded_is_not_provisioned(lambent: Server, name: str) -> None:
    client = lambent.client("lambda")
    create(client, name, "raise Exception('not today')", Publish=True)
    client.put_provisioned_concurrency_config(
        FunctionName=name, Qualifier="1", ProvisionedConcurrentExecutions=1
    )
    assert provisioned(client, name, "1") == {
        "RequestedProvisionedConcurrentExecutions": 1,
        "AvailableProvisionedConcurrentExecutions": 0,
        "AllocatedProvisionedConcurrentExecutions": 0,
        "Status": "FAILED",
        "StatusReason": "FUNCTION_ERROR_INIT_FAILURE",
    }


def test_provisioned_concurrency_is_allocated_again_where_an_alias_moves_and_after_a_kill(
    new_server: Any, name: str
) -> None:
    server: Server = new_server()
    client = server.client("lambda")
    create(client, name, SOURCE, Publish=True)
    client.create_alias(FunctionName=name, Name="live", FunctionVersion="1")
    client.put_provisioned_concurrency_config(
        FunctionName=name, Qualifier="live", ProvisionedConcurrentExecutions=1
    )
    assert provisioned(client, name, "live") == ready(1)
    client.update_function_configuration(FunctionName=name, Description="changed")
    client.get_waiter("function_updated_v2").wait(FunctionName=name, WaiterConfig={"Delay": 0.05})
    client.publish_version(FunctionName=name)
    client.update_alias(FunctionName=name, Name="live", FunctionVersion="2")
    assert provisioned(client, name, "live") == ready(1)
    assert invoke(client, name, Qualifier="live").payload == ["provisioned-concurrency", "2"]
    server.kill()
    server.start()
    client = server.client("lambda")
    assert provisioned(client, name, "live") == ready(1)
    assert invoke(client, name, Qualifier="live").payload == ["provisioned-concurrency", "2"]
    listed = client.list_provisioned_concurrency_configs(FunctionName=name)["ProvisionedConcurrencyConfigs"]
    assert [config["FunctionArn"].rpartition(":")[2] for config in listed] == ["live"]
