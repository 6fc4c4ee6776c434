"""A clone runs as the function does, and disturbs nobody."""

from __future__ import annotations

from typing import Any

import pytest

from lambent.cli.blueprint import error_type, is_snapshot, parameters_of
from lambent.cli.terminal import CommandError

CONFIGURATION: dict[str, Any] = {
    "FunctionName": "f",
    "FunctionArn": "arn:aws:lambda:us-east-1:000000000000:function:f",
    "Runtime": "python3.12",
    "Handler": "app.handler",
    "Role": "arn:aws:iam::000000000000:role/r",
    "CodeSize": 5,
    "Description": "",
    "Timeout": 7,
    "MemorySize": 256,
    "Environment": {"Variables": {"A": "1"}},
    "EphemeralStorage": {"Size": 1024},
    "Layers": [{"Arn": "arn:aws:lambda:us-east-1:000000000000:layer:l:1", "CodeSize": 9}],
    "VpcConfig": {"SubnetIds": ["s"], "SecurityGroupIds": ["g"], "VpcId": "v"},
    "TracingConfig": {"Mode": "PassThrough"},
    "DeadLetterConfig": {"TargetArn": "arn:aws:sqs:us-east-1:000000000000:q"},
    "Architectures": ["arm64"],
    "PackageType": "Zip",
    "SnapStart": {"ApplyOn": "None", "OptimizationStatus": "Off"},
    "LoggingConfig": {"LogFormat": "Text", "LogGroup": "/shared/group"},
    "State": "Active",
    "Version": "$LATEST",
}


def test_what_decides_how_a_function_runs_is_taken_over() -> None:
    parameters = parameters_of(CONFIGURATION)
    for name in ("Runtime", "Handler", "Role", "Timeout", "Environment", "EphemeralStorage", "Architectures"):
        assert parameters[name] == CONFIGURATION[name]
    assert parameters["Layers"] == ["arn:aws:lambda:us-east-1:000000000000:layer:l:1"]
    assert parameters["VpcConfig"] == {"SubnetIds": ["s"], "SecurityGroupIds": ["g"]}
    assert parameters["SnapStart"] == {"ApplyOn": "None"}


def test_the_log_of_a_clone_goes_nowhere_where_others_read() -> None:
    assert "LoggingConfig" not in parameters_of(CONFIGURATION)


def test_a_log_in_json_keeps_its_form_and_has_its_reports() -> None:
    logging = {
        "LogFormat": "JSON",
        "SystemLogLevel": "WARN",
        "ApplicationLogLevel": "ERROR",
        "LogGroup": "/g",
    }
    parameters = parameters_of({**CONFIGURATION, "LoggingConfig": logging})
    assert parameters["LoggingConfig"] == {
        "LogFormat": "JSON",
        "SystemLogLevel": "INFO",
        "ApplicationLogLevel": "ERROR",
    }


def test_only_what_create_function_takes_is_taken_over() -> None:
    """As the SDK's own model knows it."""
    from botocore.session import Session

    model = Session().get_service_model("lambda").operation_model("CreateFunction")
    assert set(parameters_of(CONFIGURATION)) <= set(model.input_shape.members)


def test_variables_that_cannot_be_read_are_not_left_out_silently() -> None:
    """Without them, something else would be measured."""
    with pytest.raises(CommandError, match="cannot be read: denied"):
        parameters_of({**CONFIGURATION, "Environment": {"Error": {"ErrorCode": "x", "Message": "denied"}}})


def test_only_a_published_version_starts_from_a_snapshot() -> None:
    snap_start = {"SnapStart": {"ApplyOn": "PublishedVersions"}}
    assert is_snapshot({**CONFIGURATION, **snap_start, "Version": "3"})
    assert not is_snapshot({**CONFIGURATION, **snap_start})
    assert not is_snapshot({**CONFIGURATION, "Version": "3"})


@pytest.mark.parametrize(
    ("payload", "told"),
    [
        (b'{"errorType": "KeyError", "errorMessage": "x"}', ("KeyError", "x")),
        (
            b'{"errorType": "Runtime.OutOfMemory", "errorMessage": "RequestId: 1-2 Error: killed"}',
            ("Runtime.OutOfMemory", "killed"),
        ),
        (b"not JSON", ("Unhandled", "not JSON")),
        (b"[1]", ("Unhandled", "[1]")),
        (b"{}", ("Unhandled", "")),
    ],
)
def test_a_failure_is_named(payload: bytes, told: tuple[str, str]) -> None:
    assert error_type(payload) == told
