"""A deploy asks for what changes, and for nothing else."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from lambent.cli.plan import Wish, plan

WISH = Wish(
    name="f",
    runtime="python3.12",
    handler="app.handler",
    architecture="x86_64",
    archive=b"zip",
    code_sha256="sha",
)
CURRENT: dict[str, Any] = {
    "FunctionName": "f",
    "Runtime": "python3.12",
    "Handler": "app.handler",
    "Role": "arn:aws:iam::000000000000:role/r",
    "MemorySize": 128,
    "Timeout": 3,
    "Description": "",
    "Architectures": ["x86_64"],
    "CodeSha256": "sha",
    "Environment": {"Variables": {"A": "1"}},
    "Layers": [{"Arn": "arn:layer:1", "CodeSize": 1}],
}


def test_a_new_function_is_created_with_what_was_said() -> None:
    (request,) = plan(replace(WISH, role="arn:role", memory_mb=512, variables={"A": "1"}), None)
    assert request.operation == "create_function"
    assert request.parameters == {
        "FunctionName": "f",
        "PackageType": "Zip",
        "Architectures": ["x86_64"],
        "Code": {"ZipFile": b"zip"},
        "Runtime": "python3.12",
        "Handler": "app.handler",
        "Role": "arn:role",
        "MemorySize": 512,
        "Environment": {"Variables": {"A": "1"}},
    }


def test_what_is_as_wished_is_left_alone() -> None:
    assert plan(WISH, CURRENT) == ()
    same = replace(
        WISH,
        memory_mb=128,
        timeout_s=3,
        description="",
        variables={"A": "1"},
        layers=("arn:layer:1",),
        role=CURRENT["Role"],
    )
    assert plan(same, CURRENT) == ()


@pytest.mark.parametrize("change", [{"code_sha256": "other"}, {"architecture": "arm64"}])
def test_new_code_or_another_processor_updates_the_code(change: dict[str, str]) -> None:
    (request,) = plan(replace(WISH, **change), CURRENT)
    assert request.operation == "update_function_code"
    assert request.parameters["ZipFile"] == b"zip"


@pytest.mark.parametrize(
    ("change", "parameters"),
    [
        ({"memory_mb": 256}, {"MemorySize": 256}),
        ({"timeout_s": 9}, {"Timeout": 9}),
        ({"handler": "app.main"}, {"Handler": "app.main"}),
        ({"variables": {"B": "2"}}, {"Environment": {"Variables": {"B": "2"}}}),
        ({"layers": ()}, {"Layers": []}),
        ({"description": "d"}, {"Description": "d"}),
    ],
)
def test_only_what_differs_is_configured(change: dict[str, Any], parameters: dict[str, Any]) -> None:
    (request,) = plan(replace(WISH, **change), CURRENT)
    assert request.operation == "update_function_configuration"
    assert request.parameters == {"FunctionName": "f", **parameters}


def test_code_comes_before_configuration() -> None:
    requests = plan(replace(WISH, code_sha256="other", memory_mb=256), CURRENT)
    assert [request.operation for request in requests] == [
        "update_function_code",
        "update_function_configuration",
    ]
