"""The environment variables that a function finds, and who has the last word about each."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from lambent.domain.function import LoggingConfig
from lambent.domain.session import Credentials
from lambent.node.variables import variables
from samples import VERSION

# AWS page "Using Lambda environment variables": reserved, a function's configuration cannot set them.
RESERVED = (
    "_HANDLER",
    "_X_AMZN_TRACE_ID",
    "AWS_DEFAULT_REGION",
    "AWS_REGION",
    "AWS_EXECUTION_ENV",
    "AWS_LAMBDA_FUNCTION_NAME",
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
    "AWS_LAMBDA_FUNCTION_VERSION",
    "AWS_LAMBDA_INITIALIZATION_TYPE",
    "AWS_LAMBDA_LOG_GROUP_NAME",
    "AWS_LAMBDA_LOG_STREAM_NAME",
    "AWS_ACCESS_KEY",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_LAMBDA_RUNTIME_API",
    "LAMBDA_TASK_ROOT",
    "LAMBDA_RUNTIME_DIR",
)
# The same page: unreserved.
UNRESERVED = (
    "LANG",
    "PATH",
    "LD_LIBRARY_PATH",
    "PYTHONPATH",
    "TZ",
    "AWS_XRAY_CONTEXT_MISSING",
    "AWS_XRAY_DAEMON_ADDRESS",
)
RUNTIME = {"PATH": "/var/lang/bin", "PYTHONPATH": "/var/runtime", "LAMBDA_RUNTIME_DIR": "/var/runtime"}
CREDENTIALS = Credentials(access_key_id="ASIAEXAMPLE", secret_access_key="secret", session_token="token")


def found(**changes: Any) -> dict[str, str]:
    return variables(
        replace(VERSION, **changes),
        runtime_environment=RUNTIME,
        credentials=CREDENTIALS,
        log_stream="2026/01/02/[$LATEST]abc",
        initialization_type="on-demand",
        task_root="/var/task",
    )


def test_a_function_finds_aws_variables() -> None:
    assert found() == {
        "AWS_ACCESS_KEY_ID": "ASIAEXAMPLE",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EXECUTION_ENV": "AWS_Lambda_python3.12",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "128",
        "AWS_LAMBDA_FUNCTION_NAME": "f",
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_LAMBDA_LOG_GROUP_NAME": "/aws/lambda/f",
        "AWS_LAMBDA_LOG_STREAM_NAME": "2026/01/02/[$LATEST]abc",
        "AWS_REGION": "us-east-1",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_SESSION_TOKEN": "token",
        "AWS_XRAY_CONTEXT_MISSING": "LOG_ERROR",
        "AWS_XRAY_DAEMON_ADDRESS": "169.254.100.1:2000",
        "LAMBDA_RUNTIME_DIR": "/var/runtime",
        "LAMBDA_TASK_ROOT": "/var/task",
        "LANG": "en_US.UTF-8",
        "LC_CTYPE": "C.UTF-8",
        "PATH": "/var/lang/bin",
        "PWD": "/var/task",
        "PYTHONPATH": "/var/runtime",
        "SHLVL": "0",
        "TZ": ":UTC",
        "_AWS_XRAY_DAEMON_ADDRESS": "169.254.100.1",
        "_AWS_XRAY_DAEMON_PORT": "2000",
        "_HANDLER": "app.handler",
    }


def test_the_users_variables_are_there() -> None:
    assert (
        found(environment={"TABLE": "users", "EMPTY": ""}).items() >= {"TABLE": "users", "EMPTY": ""}.items()
    )


@pytest.mark.parametrize("name", RESERVED)
def test_a_reserved_variable_is_never_the_users(name: str) -> None:
    """Refused by the API; and if one got into the store in any way, it has no effect."""
    for runtime in ("python3.12", "provided.al2023"):
        with_it = found(runtime=runtime, environment={name: "the user's"})
        assert with_it == found(runtime=runtime)


@pytest.mark.parametrize("name", UNRESERVED)
def test_an_unreserved_variable_is_the_users_if_set(name: str) -> None:
    assert found(environment={name: "the user's"})[name] == "the user's"


def test_a_custom_runtime_has_no_execution_env() -> None:
    assert "AWS_EXECUTION_ENV" not in found(runtime="provided.al2023")


def test_json_logging_tells_the_runtime_so() -> None:
    group = "/aws/lambda/f"
    plain = found(logging=LoggingConfig(group=group, format="JSON"))
    assert (plain["AWS_LAMBDA_LOG_FORMAT"], plain["AWS_LAMBDA_LOG_LEVEL"]) == ("JSON", "INFO")
    debug = found(logging=LoggingConfig(group=group, format="JSON", application_level="DEBUG"))
    assert debug["AWS_LAMBDA_LOG_LEVEL"] == "DEBUG"
    assert "AWS_LAMBDA_LOG_FORMAT" not in found()


def test_the_variables_name_the_group_and_the_version() -> None:
    there = found(version="7", logging=LoggingConfig(group="mine"), memory_mb=3008)
    assert there["AWS_LAMBDA_LOG_GROUP_NAME"] == "mine"
    assert there["AWS_LAMBDA_FUNCTION_VERSION"] == "7"
    assert there["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"] == "3008"
