"""The `context` argument of a Python handler, with the attributes that AWS gives it.

Source: AWS page "Using the Lambda context object to retrieve Python function information".
"""

import json
import logging
import os
import sys
import time

_VARIABLES = (
    "AWS_LAMBDA_LOG_GROUP_NAME",
    "AWS_LAMBDA_LOG_STREAM_NAME",
    "AWS_LAMBDA_FUNCTION_NAME",
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
    "AWS_LAMBDA_FUNCTION_VERSION",
)
_W3C_FIELDS = ("traceparent", "tracestate", "baggage")


class _Attributes(object):
    """An object whose attributes are the listed keys of a dictionary; missing ones are None."""

    __slots__ = ()

    def __init__(self, values):
        for name in self.__slots__:
            setattr(self, name, values.get(name))

    def __repr__(self):
        return "%s([%s])" % (
            type(self).__name__,
            ",".join("%s=%s" % (name, getattr(self, name)) for name in self.__slots__),
        )


class CognitoIdentity(_Attributes):
    """Who called, when a mobile app did with Amazon Cognito."""

    __slots__ = ("cognito_identity_id", "cognito_identity_pool_id")

    def __init__(self, identity):
        self.cognito_identity_id = identity.get("cognitoIdentityId")
        self.cognito_identity_pool_id = identity.get("cognitoIdentityPoolId")


class Client(_Attributes):
    """The calling mobile app."""

    __slots__ = ("installation_id", "app_title", "app_version_name", "app_version_code", "app_package_name")


class ClientContext(_Attributes):
    """What the caller put into `ClientContext`."""

    __slots__ = ("custom", "env", "client")


_known = None


def _environment():
    """Return what is the same for all invocations here; asked for at the first, because before it this may be
    a zygote or a template, which have no log stream of their own."""
    global _known
    if _known is None:
        _known = tuple(map(os.environ.get, _VARIABLES))
    return _known


class LambdaContext(object):
    """Facts about the invocation, the function and the execution environment."""

    def __init__(self, headers, client_context, identity):
        self.aws_request_id = headers["lambda-runtime-aws-request-id"]
        (
            self.log_group_name,
            self.log_stream_name,
            self.function_name,
            self.memory_limit_in_mb,
            self.function_version,
        ) = _environment()
        self.invoked_function_arn = headers.get("lambda-runtime-invoked-function-arn")
        self.tenant_id = headers.get("lambda-runtime-aws-tenant-id")
        self._w3c = {}
        self.client_context = None
        if client_context is not None:
            w3c = client_context.pop("w3c", None)
            if isinstance(w3c, dict):
                self._w3c = {name: w3c[name] for name in _W3C_FIELDS if isinstance(w3c.get(name), str)}
            self.client_context = ClientContext(client_context)
            if self.client_context.client is not None:
                self.client_context.client = Client(self.client_context.client)
        self.identity = CognitoIdentity(identity)
        self._deadline_ms = int(headers.get("lambda-runtime-deadline-ms", 0))

    def get_remaining_time_in_millis(self):
        """Return the milliseconds left before the invocation times out."""
        return max(0, self._deadline_ms - int(time.time() * 1000))

    def w3c(self):
        """Return the W3C trace context of the invocation."""
        return dict(self._w3c)

    def log(self, message):
        """Write to the function's log: one event, if Lambda's handler is still there."""
        for handler in logging.getLogger().handlers:
            if hasattr(handler, "log_sink"):
                handler.log_sink.log(str(message))
                return
        sys.stdout.write(str(message))

    def __repr__(self):
        names = (
            "aws_request_id",
            "log_group_name",
            "log_stream_name",
            "function_name",
            "memory_limit_in_mb",
            "function_version",
            "invoked_function_arn",
            "client_context",
            "identity",
            "tenant_id",
        )
        return "LambdaContext([%s])" % ",".join("%s=%s" % (name, getattr(self, name)) for name in names)


def from_headers(headers, fault):
    """Make the context from the headers of the `next` response.

    Args:
        headers: by lower-case name.
        fault: exception class to raise, called with an error type and a message.
    """
    client_context = identity = None
    if headers.get("lambda-runtime-client-context"):
        client_context = _json_header(headers, "lambda-runtime-client-context", "Client Context", fault)
    if headers.get("lambda-runtime-cognito-identity"):
        identity = _json_header(headers, "lambda-runtime-cognito-identity", "Cognito Identity", fault)
    return LambdaContext(headers, client_context, identity or {})


def _json_header(headers, name, words, fault):
    text = headers[name]
    try:
        # Headers arrive as latin-1; the platform writes JSON in UTF-8.
        return json.loads(text.encode("latin-1"))
    except Exception as error:
        raise fault(
            "Runtime.LambdaContextUnmarshalError", "Unable to parse %s JSON: %s" % (words, error)
        ) from None
