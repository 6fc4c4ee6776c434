"""Recorded scenarios about functions from container images."""

from __future__ import annotations

from typing import Any

from harness import REGION
from parity.recorded.replay import ACCOUNT, ZIP, Replay, scenario

REGISTRY = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com"
IMAGE: dict[str, Any] = {
    "PackageType": "Image",
    "Runtime": None,
    "Handler": None,
    "Timeout": None,
    "Environment": {"Variables": {"CUSTOM_ENV": "test"}},
}


def _look(to: Replay, name: str, code: str, configuration: str) -> None:
    to.settle(name)
    to.step(code, "get_function", FunctionName=name)
    to.step(configuration, "get_function_configuration", FunctionName=name)


@scenario("TestLambdaImages/test_lambda_image_crud")
def image_lifecycle(to: Replay) -> None:
    name = to.name()
    to.create("create-image-response", name, Code={"ImageUri": f"{REGISTRY}/first:latest"}, **IMAGE)
    _look(to, name, "get-function-code-response", "get-function-config-response")
    to.step("image-to-zipfile-error", "update_function_code", FunctionName=name, ZipFile=ZIP)
    to.step(
        "update-function-code-response",
        "update_function_code",
        FunctionName=name,
        ImageUri=f"{REGISTRY}/second:latest",
    )
    _look(to, name, "get-function-code-response-after-update", "get-function-config-response-after-update")


@scenario("TestLambdaImages/test_lambda_image_and_image_config_crud")
def image_configuration(to: Replay) -> None:
    name = to.name()
    config = {"EntryPoint": ["sh"], "Command": ["-c", "echo test"], "WorkingDirectory": "/app1"}
    code = {"ImageUri": f"{REGISTRY}/app:latest"}
    to.create("create-image-with-config-response", name, Code=code, ImageConfig=config, **IMAGE)
    _look(to, name, "get-function-code-with-config-response", "get-function-config-with-config-response")
    update = "update_function_configuration"
    changed = {"Command": ["-c", "echo test1"], "WorkingDirectory": "/app1"}
    to.step("update-function-code-response", update, FunctionName=name, ImageConfig=changed)
    _look(to, name, "get-function-code-response-after-update", "get-function-config-response-after-update")
    to.step("update-function-code-delete-imageconfig-response", update, FunctionName=name, ImageConfig={})
    _look(
        to,
        name,
        "get-function-code-response-after-delete-imageconfig",
        "get-function-config-response-after-delete-imageconfig",
    )
