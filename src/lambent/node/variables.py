"""The environment variables that a function finds (aws-facts §5.3; AWS page "Using environment variables")."""

from __future__ import annotations

import secrets
from collections.abc import Mapping

from lambent.domain.function import FunctionVersion
from lambent.domain.session import Credentials
from lambent.node.command import EXEC_WRAPPER
from lambent.node.debugger import PORT_VARIABLE

LOCALE = {"LANG": "en_US.UTF-8", "LC_CTYPE": "C.UTF-8", "TZ": ":UTC"}
"""Language and time zone, unless the user has others."""
_CREDENTIALS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
# Reserved, and not among those that `variables` sets in any case: the service refuses them already.
_NEVER_THE_USERS = frozenset(
    {
        "AWS_ACCESS_KEY",
        "AWS_EXECUTION_ENV",
        "AWS_LAMBDA_RUNTIME_API",
        "LAMBDA_RUNTIME_DIR",
        "_LAMBDA_TELEMETRY_LOG_FD",
        "_LAMBENT_DEBUGGER",
        PORT_VARIABLE,
        "_LAMBENT_RUNTIME_FD",
        "_LAMBENT_WAITS_FD",
        "_X_AMZN_TRACE_ID",
    }
)


def variables(
    version: FunctionVersion,
    *,
    runtime_environment: Mapping[str, str],
    credentials: Credentials,
    log_stream: str,
    initialization_type: str,
    task_root: str,
) -> dict[str, str]:
    """Return the variables that do not depend on where the environment's sockets are.

    The runtime's own defaults come first, then the user's, then those that AWS reserves.
    """
    found = {
        **LOCALE,
        "SHLVL": "0",
        "AWS_XRAY_CONTEXT_MISSING": "LOG_ERROR",
        "AWS_XRAY_DAEMON_ADDRESS": "169.254.100.1:2000",
        "_AWS_XRAY_DAEMON_ADDRESS": "169.254.100.1",
        "_AWS_XRAY_DAEMON_PORT": "2000",
    }
    found |= runtime_environment
    users = version.environment or {}
    found |= {name: value for name, value in users.items() if name not in _NEVER_THE_USERS}
    if not version.runtime.startswith("provided"):
        found["AWS_EXECUTION_ENV"] = f"AWS_Lambda_{version.runtime}"
    if version.logging.format == "JSON":
        found["AWS_LAMBDA_LOG_FORMAT"] = "JSON"
        found["AWS_LAMBDA_LOG_LEVEL"] = version.logging.application_level or "INFO"
    region = version.key.region
    return found | {
        "AWS_LAMBDA_FUNCTION_NAME": version.key.name,
        "AWS_LAMBDA_FUNCTION_VERSION": version.version,
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(version.memory_mb),
        "AWS_LAMBDA_LOG_GROUP_NAME": version.logging.group,
        "AWS_LAMBDA_LOG_STREAM_NAME": log_stream,
        "AWS_LAMBDA_INITIALIZATION_TYPE": initialization_type,
        "AWS_REGION": region,
        "AWS_DEFAULT_REGION": region,
        "AWS_ACCESS_KEY_ID": credentials.access_key_id,
        "AWS_SECRET_ACCESS_KEY": credentials.secret_access_key,
        "AWS_SESSION_TOKEN": credentials.session_token,
        "LAMBDA_TASK_ROOT": task_root,
        "PWD": task_root,
        "_HANDLER": version.handler,
    }


def container_credentials(environment: Mapping[str, str], address: str) -> dict[str, str]:
    """Return the variables with which SDKs ask the Runtime API for credentials, in place of credentials themselves.

    So AWS does with SnapStart: whoever has them from before the snapshot can renew them after it.
    """
    kept = {name: value for name, value in environment.items() if name not in _CREDENTIALS}
    return kept | {
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"http://{address}/2021-04-23/credentials",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN": secrets.token_urlsafe(24),
    }


def needs_own_interpreter(environment: Mapping[str, str]) -> bool:
    """Whether a function asks for a start of its runtime that no prepared one can stand in for.

    A wrapper script is executed in the runtime's place (AWS page "Modifying the runtime environment").
    """
    return EXEC_WRAPPER in environment
