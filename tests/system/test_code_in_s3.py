"""Code that lies in an S3: a server is told where, and functions and layers are made from what is there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from harness import ROLE, Server, invoke, zip_of
from unit.wire.test_s3 import KEY_ID, OBJECTS, SECRET, served

FUNCTION = zip_of({"app.py": "import shared\ndef handler(event, context): return [event, shared.answer]"})
LAYER = zip_of({"python/shared.py": "answer = 42"})


def test_a_function_and_its_layer_come_from_s3_and_run(
    new_server: Callable[..., Server], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(OBJECTS, ("code", "function.zip", None), FUNCTION)
    monkeypatch.setitem(OBJECTS, ("code", "layer.zip", "v2"), LAYER)
    with served() as endpoint:
        client = new_server(
            environ={
                "LAMBENT_S3_ENDPOINT_URL": endpoint,
                "LAMBENT_S3_ACCESS_KEY_ID": KEY_ID,
                "LAMBENT_S3_SECRET_ACCESS_KEY": SECRET,
            }
        ).client("lambda")
        layer = client.publish_layer_version(
            LayerName=name,
            Content={"S3Bucket": "code", "S3Key": "layer.zip", "S3ObjectVersion": "v2"},
        )
        settings: dict[str, Any] = {"Runtime": "python3.12", "Handler": "app.handler", "Role": ROLE}
        with pytest.raises(ClientError) as caught:
            client.create_function(
                FunctionName=name, Code={"S3Bucket": "code", "S3Key": "missing.zip"}, **settings
            )
        assert caught.value.response["Error"] == {
            "Code": "InvalidParameterValueException",
            "Message": "Error occurred while GetObject. S3 Error Code: NoSuchKey. S3 Error Message: "
            "The specified key does not exist.",
        }
        client.create_function(
            FunctionName=name,
            Code={"S3Bucket": "code", "S3Key": "function.zip"},
            Layers=[layer["LayerVersionArn"]],
            **settings,
        )
    # What was fetched is kept: the S3 may go.
    client.get_waiter("function_active_v2").wait(FunctionName=name, WaiterConfig={"Delay": 0.05})
    assert invoke(client, name, "event").payload == ["event", 42]
