"""Cold starts from prepared interpreters: fast, and the function cannot tell, nor its author's settings be lost."""

from __future__ import annotations

import os
import time
from typing import Any

import pytest

from harness import Server, create, invoke

TELL = """
import os, sys
def handler(event, context):
    # A forked interpreter still shows the command line of the one that it was forked from.
    was_forked = b"lambent.sandbox.zygote" in open("/proc/self/cmdline", "rb").read()
    return [was_forked, sys.flags.hash_randomization, os.environ.get("PYTHONHASHSEED")]
"""
_PATIENCE_S = 60.0


def forked(client: Any, name: str, **environment: str) -> Any:
    """The answer of the function's first environment that was forked; each try makes a new one."""
    answer = None
    deadline_s = time.monotonic() + _PATIENCE_S
    while time.monotonic() < deadline_s:
        client.update_function_configuration(FunctionName=name, Environment={"Variables": environment})
        waiter = client.get_waiter("function_updated_v2")
        waiter.wait(FunctionName=name, WaiterConfig={"Delay": 0.05, "MaxAttempts": 600})
        answer = invoke(client, name)
        if answer.payload[0]:
            return answer
    return answer


def require_stems(server: Server) -> None:
    if "sandbox   namespaces" not in server.start_block:
        pytest.skip("without walls every environment starts an interpreter of its own")


def test_cold_starts_are_forked_once_the_runtime_is_prepared(lambent: Server, name: str) -> None:
    require_stems(lambent)
    client = lambent.client("lambda")
    create(client, name, TELL)
    answer = forked(client, name)
    assert answer.payload[0]
    assert "Init Duration" in answer.log


def test_what_only_a_new_interpreter_can_obey_gets_a_new_interpreter(lambent: Server, name: str) -> None:
    require_stems(lambent)
    client = lambent.client("lambda")
    create(client, name, TELL)
    assert forked(client, name).payload[0]
    client.update_function_configuration(
        FunctionName=name, Environment={"Variables": {"PYTHONHASHSEED": "0"}}
    )
    waiter = client.get_waiter("function_updated_v2")
    waiter.wait(FunctionName=name, WaiterConfig={"Delay": 0.05, "MaxAttempts": 600})
    assert invoke(client, name).payload == [False, 0, "0"]


def test_a_boto3_in_the_package_wins_over_the_prepared_one(lambent: Server, name: str) -> None:
    require_stems(lambent)
    client = lambent.client("lambda")
    source = TELL.replace("import os, sys", "import boto3, os, sys").replace(
        "return [", "assert boto3.OWN\n    return ["
    )
    create(client, name, {"app.py": source, "boto3.py": "OWN = True"})
    assert forked(client, name).payload[0]


@pytest.mark.skipif(os.geteuid() != 0, reason="looks at processes of other users")
def test_stems_can_be_switched_off(new_server: Any, name: str) -> None:
    server = new_server(environ={"LAMBENT_STEMS": "0"})
    client = server.client("lambda")
    create(client, name, TELL)
    assert [invoke(client, name).payload[0] for _ in range(2)] == [False, False]
