"""What functions see of their `/tmp`: as large as they asked for, kept through a reset, and nobody else's."""

from __future__ import annotations

import pytest

from harness import Server, create, invoke

LOOK = """
import os, time
def handler(event, context):
    if event == "hang":
        with open("/tmp/kept", "w") as file:
            file.write("before")
        time.sleep(60)
    found = os.statvfs("/tmp")
    return [found.f_bavail * found.f_frsize // 2**20, sorted(os.listdir("/tmp"))]
"""


def require_limit(server: Server) -> None:
    if "yes size of /tmp" not in server.start_block:
        pytest.skip("the size of /tmp is not limited here")


@pytest.mark.parametrize("size_mb", [512, 10_240])
def test_tmp_is_as_large_as_the_function_asked_for(lambent: Server, name: str, size_mb: int) -> None:
    require_limit(lambent)
    client = lambent.client("lambda")
    create(client, name, LOOK, EphemeralStorage={"Size": size_mb})
    free_mb, files = invoke(client, name).payload
    assert size_mb <= free_mb < size_mb * 1.01
    assert files == []


def test_tmp_stays_through_a_timeout_and_a_new_environment_has_its_own(lambent: Server, name: str) -> None:
    client = lambent.client("lambda")
    create(client, name, LOOK, Timeout=1)
    assert "Task timed out" in invoke(client, name, "hang").payload["errorMessage"]
    if "sandbox   namespaces" in lambent.start_block:
        assert invoke(client, name).payload[1] == ["kept"]
        client.update_function_configuration(FunctionName=name, Timeout=2)
        client.get_waiter("function_updated_v2").wait(FunctionName=name, WaiterConfig={"Delay": 0.05})
        assert invoke(client, name).payload[1] == []


def test_a_snapshots_tmp_is_where_every_environment_begins(lambent: Server, name: str) -> None:
    if "sandbox   namespaces" not in lambent.start_block:
        pytest.skip("there are no snapshots without walls")
    source = "open('/tmp/from-init', 'w').close()\n" + LOOK
    client = lambent.client("lambda")
    create(client, name, source, SnapStart={"ApplyOn": "PublishedVersions"})
    client.publish_version(FunctionName=name)
    client.get_waiter("published_version_active").wait(
        FunctionName=name, Qualifier="1", WaiterConfig={"Delay": 0.05, "MaxAttempts": 600}
    )
    answer = invoke(client, name, Qualifier="1")
    assert "Restore Duration" in answer.log
    assert answer.payload[1] == ["from-init"]
