"""Where a Python function's log lines go: frames on the log descriptor, one per message.

A frame (AWS's telemetry log format) keeps a message of several lines together as one log event, with its level
and time. `print` goes to standard output as it is. See `install` for what the function finds in `logging`.
"""

import json
import logging
import os
import sys
import time
import traceback

_TEXT_LINE = "[%(levelname)s]\t%(asctime)s.%(msecs)03dZ\t%(aws_request_id)s\t%(message)s\n"
_TEXT_TIME = "%Y-%m-%dT%H:%M:%S"
_JSON_TIME = "%Y-%m-%dT%H:%M:%SZ"
_NO_BREAK_SPACE = "\u00a0"
_FAILED_INIT = (
    "LAMBDA_WARNING: Unhandled exception. The most likely cause is an issue in the function code. However, in "
    "rare cases, a Lambda runtime update can cause unexpected function behavior. For functions using managed "
    "runtimes, runtime updates can be triggered by a function change, or can be applied automatically. To "
    "determine if the runtime has been updated, check the runtime version in the INIT_START log entry. If this "
    "error correlates with a change in the runtime version, you may be able to mitigate this error by "
    "temporarily rolling back to the previous runtime version. For more information, see "
    "https://docs.aws.amazon.com/lambda/latest/dg/runtimes-update.html\r"
)
_PREVIEWS = ("AWS_Lambda_python3.15",)
_PREVIEW = (
    "LAMBDA_WARNING: This is a preview runtime version and should not be used for production workloads. For further "
    "information and to provide feedback, see https://docs.%s/lambda/latest/dg/lambda-runtimes.html\r"
)
_TEXT, _JSON = 0xA55A0003, 0xA55A0002
# The level sits in the last byte of the frame type; levels not listed carry none.
_LEVEL_BITS = {10: 0x08, 20: 0x0C, 30: 0x10, 40: 0x14, 50: 0x18}

# A task's name is not among them: AWS's runtime writes it.
_RECORD_FIELDS = frozenset(logging.LogRecord("", 0, "", 0, "", (), None).__dict__) - {"taskName"} | {
    "aws_request_id",
    "tenant_id",
}


class Current(object):
    """The invocation that is running, for log lines."""

    request_id = ""
    tenant_id = None


current = Current()
_descriptor = None
_is_json = False
_has_levels = False
"""Whether frames say how severe they are: with JSON, or with a level that was asked for."""


def frame(text, level=None, is_json=False):
    """Write one message as a frame, or plainly when there is no log descriptor."""
    if _descriptor is None:
        sys.stdout.write(text if text.endswith("\n") else text + "\n")
        return
    message = text.encode("utf-8", "replace")
    kind = (_JSON if is_json else _TEXT) | _LEVEL_BITS.get(level, 0)
    head = (
        kind.to_bytes(4, "big")
        + len(message).to_bytes(4, "big")
        + (time.time_ns() // 1000).to_bytes(8, "big")
    )
    rest = memoryview(head + message)
    while rest:
        rest = rest[os.write(_descriptor, rest) :]


def _level_of(record):
    return min(50, max(0, record.levelno)) // 10 * 10


class LogSink(object):
    """Where AWS's handler writes to, and libraries that look for it."""

    def log(self, text, frame_type=None):
        frame(text)


class LambdaLoggerHandler(logging.Handler):
    """The root handler that functions find installed."""

    log_sink = LogSink()

    def emit(self, record):
        record.aws_request_id = current.request_id
        record.tenant_id = current.tenant_id
        try:
            frame(self.format(record), _level_of(record) if _has_levels else None, _is_json)
        except Exception:
            self.handleError(record)


class JsonFormatter(logging.Formatter):
    """Log records as AWS's JSON log format writes them."""

    def __init__(self):
        super().__init__(datefmt=_JSON_TIME)

    def format(self, record):
        level = _level_of(record)
        error_class, error, trace = record.exc_info or (None, None, None)
        plain = isinstance(record.msg, dict) and not record.args
        line = {
            "timestamp": self.formatTime(record, self.datefmt),
            "level": logging.getLevelName(level),
            "message": record.msg if plain else record.getMessage(),
            "logger": record.name,
            "stackTrace": traceback.format_tb(trace) if trace else None,
            "errorType": error_class.__name__ if error_class else None,
            "errorMessage": str(error) if error_class else None,
            "requestId": record.aws_request_id,
            "location": "%s:%s:%s" % (record.pathname, record.funcName, record.lineno)
            if record.exc_info
            else None,
            "tenantId": record.tenant_id,
        }
        for name, value in record.__dict__.items():
            if name not in _RECORD_FIELDS:
                line.setdefault(name, value)
        present = {name: value for name, value in line.items() if value is not None}
        return json.dumps(present, ensure_ascii=False, default=str) + "\n"


def install():
    """Prepare `logging` as AWS does: a handler on the root logger, UTC times, and the configured level."""
    global _descriptor, _is_json, _has_levels
    descriptor = os.environ.pop("_LAMBDA_TELEMETRY_LOG_FD", None)
    if descriptor is not None:
        _descriptor = int(descriptor)
        if _descriptor > 2:
            os.set_inheritable(_descriptor, False)
    _is_json = os.environ.get("AWS_LAMBDA_LOG_FORMAT", "").upper() == "JSON"
    level = os.environ.get("AWS_LAMBDA_LOG_LEVEL", "")
    level = {"TRACE": "DEBUG"}.get(level, level).upper()
    _has_levels = _is_json or bool(level)
    logging.Formatter.converter = time.gmtime
    handler = LambdaLoggerHandler()
    handler.setFormatter(JsonFormatter() if _is_json else logging.Formatter(_TEXT_LINE, _TEXT_TIME))
    root = logging.getLogger()
    if isinstance(logging.getLevelName(level), int):
        root.setLevel(level)
    root.addHandler(handler)


def warn_of_preview():
    """Log what AWS's runtime logs under a Python that it only previews."""
    if os.environ.get("AWS_EXECUTION_ENV") in _PREVIEWS and not os.environ.get("LAMBDA_DISABLE_PREVIEW_WARN"):
        is_china = os.environ.get("AWS_REGION", "").startswith("cn-")
        logging.warning(_PREVIEW % ("amazonaws.cn" if is_china else "aws.amazon.com"))


def warn_of_failed_init():
    """Log what AWS's runtime logs before the error of a function that could not be loaded."""
    logging.warning(_FAILED_INIT)


def write_error(payload, to_json):
    """Log an unhandled error as one event, in AWS's form."""
    if _is_json:
        line = {"timestamp": time.strftime(_JSON_TIME, time.gmtime()), "level": "ERROR"}
        line.update(payload)
        frame(to_json(line), logging.ERROR, True)
        return
    lines = ["[ERROR] %s: %s" % (payload["errorType"], payload["errorMessage"])]
    if not payload["errorMessage"]:
        lines = ["[ERROR] %s" % payload["errorType"]]
    lines.append("Traceback (most recent call last):")
    for entry in payload["stackTrace"]:
        for line in entry.splitlines():
            body = line.lstrip(" ")
            lines.append(_NO_BREAK_SPACE * (len(line) - len(body)) + body)
    frame("\n".join(lines), logging.ERROR)
