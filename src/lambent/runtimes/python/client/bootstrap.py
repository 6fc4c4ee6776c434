"""Lambda's Python runtime: loads the handler and speaks the Runtime API, inside the execution environment.

It runs under the function's own interpreter, Python 3.8 or newer, before and beside user code, so it imports
only the standard library and as little of it as it can. What it answers (error payloads, log lines, exit codes)
follows AWS's Python runtime interface client; how it speaks differs: the Runtime API travels over an inherited
socket, and the response of one invocation leaves in the same write as the request for the next.
"""

import json
import os
import re
import select
import sys
import traceback
import types

import lambda_context
import lambda_log
from lambda_json import encode as to_json

VERSION_PATH = "/2018-06-01/runtime"
_READ_BYTES = 16384
_ACCEPTED = (
    b'HTTP/1.1 202 Accepted\r\nContent-Type: application/json\r\nContent-Length: 16\r\n\r\n{"status":"OK"}\n'
)
"""What Lambent answers to a report; an answer that differs in anything is parsed as any other."""
_EVENT = re.compile(
    rb"HTTP/1\.1 200 OK\r\nContent-Type: application/json\r\n"
    rb"Lambda-Runtime-Aws-Request-Id: ([!-~]+)\r\nLambda-Runtime-Deadline-Ms: ([0-9]+)\r\n"
    rb"Lambda-Runtime-Invoked-Function-Arn: ([!-~]+)\r\nLambda-Runtime-Trace-Id: ([!-~]+)\r\n"
    rb"Content-Length: ([0-9]+)\r\n\r\n"
)
"""The head of nearly every event, as Lambent writes it, with the values of these headers:"""
_EVENT_HEADERS = (
    "lambda-runtime-aws-request-id",
    "lambda-runtime-deadline-ms",
    "lambda-runtime-invoked-function-arn",
    "lambda-runtime-trace-id",
    "content-length",
)
_RESPONSE = (
    "POST " + VERSION_PATH + "/invocation/%s/response HTTP/1.1\r\nHost: runtime\r\n"
    "Content-Length: %d\r\nContent-Type: %s\r\n\r\n"
)
"""What `request` makes of a response, in one step."""
INIT_ERROR_EXIT_STATUS = 1
BEFORE_SNAPSHOT_ERROR_EXIT_STATUS = 64
AFTER_RESTORE_ERROR_EXIT_STATUS = 65
SNAP_START = "snap-start"
_GENERATORS = (types.GeneratorType, types.AsyncGeneratorType)


class Fault(Exception):
    """A failure that the runtime itself describes, with AWS's `Runtime.*` error type."""

    def __init__(self, error_type, message, stack_trace=None):
        super().__init__(message)
        self.error_type = error_type
        self.message = message
        self.stack_trace = stack_trace or []


def request(method, path, headers, body):
    """Return the bytes of a request to the Runtime API."""
    head = "%s %s%s HTTP/1.1\r\nHost: runtime\r\n" % (method, VERSION_PATH, path)
    if method != "GET":
        head += "Content-Length: %d\r\n" % len(body)
    for item in headers:
        head += "%s: %s\r\n" % item
    return (head + "\r\n").encode("latin-1", "replace") + body


class Channel:
    """HTTP/1.1 over the inherited socket: the few forms of it that the Runtime API uses."""

    def __init__(self, descriptor):
        self._descriptor = descriptor
        self._buffer = b""
        self._readable = select.poll()
        self._readable.register(descriptor, select.POLLIN)

    def send(self, *requests):
        """Send requests, made by `request`, in one write where the kernel allows it."""
        content = b"".join(requests)
        written = os.write(self._descriptor, content)
        while written < len(content):
            written += os.write(self._descriptor, memoryview(content)[written:])

    def receive(self):
        """Return (status, headers by lower-case name, body) of the next response."""
        buffer = self._buffer or self._fill(_READ_BYTES)
        event = _EVENT.match(buffer)
        if event is not None:
            values = b" ".join(event.groups()).decode("latin-1").split(" ")
            status, start, headers = 200, event.end(), dict(zip(_EVENT_HEADERS, values))  # noqa: B905 - Python 3.8 has no `strict`
        else:
            status, start, headers = self._head()
            buffer = self._buffer
        end = start + int(headers.get("content-length", 0))
        while len(buffer) < end:
            buffer = self._fill(end - len(buffer))
        self._buffer = buffer[end:]
        return status, headers, buffer[start:end]

    def _head(self):
        """Return (status, where the body begins, headers by lower-case name) of any response."""
        end = self._buffer.find(b"\r\n\r\n")
        while end < 0:
            end = self._fill(_READ_BYTES).find(b"\r\n\r\n")
        lines = self._buffer[:end].decode("latin-1").split("\r\n")
        headers = {}
        for line in lines[1:]:
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        return int(lines[0].split(" ", 2)[1]), end + 4, headers

    def receive_accepted(self):
        """Take the answer to a report, whatever it says."""
        buffer = self._buffer
        while len(buffer) < len(_ACCEPTED):
            # Shorter answers are none: a response has a status line and at least its length.
            buffer = self._fill(_READ_BYTES)
        if buffer.startswith(_ACCEPTED):
            self._buffer = buffer[len(_ACCEPTED) :]
        else:
            self.receive()

    def renewed(self):
        """Return a channel over the same descriptor, behind which there is another socket now."""
        return Channel(self._descriptor)

    def _fill(self, wanted):
        # Who waits in `read` is also woken, for nothing, when the other end has read what was written here.
        self._readable.poll()
        chunk = os.read(self._descriptor, max(wanted, _READ_BYTES))
        if not chunk:
            # The platform has gone: there is nobody to report to.
            os._exit(0)
        self._buffer += chunk
        return self._buffer


_decode = json.JSONDecoder().raw_decode


def parse(body):
    """Return the value of an event: of JSON from its first character to its last without any detour."""
    try:
        text = body.decode("utf-8")
        value, end = _decode(text)
        if end == len(text):
            return value
    except ValueError:
        pass
    return json.loads(body)


def load_handler(handler):
    """Import the handler's module and return the function, as AWS's runtime does.

    Raises:
        Fault: the name is malformed, the import failed, or the function is missing.
    """
    import importlib

    try:
        module_name, function_name = handler.rsplit(".", 1)
    except ValueError as error:
        raise Fault("Runtime.MalformedHandlerName", "Bad handler '%s': %s" % (handler, error)) from None
    try:
        if module_name.split(".")[0] in sys.builtin_module_names:
            raise Fault(
                "Runtime.BuiltInModuleConflict",
                "Cannot use built-in module %s as a handler module" % module_name,
            )
        module = importlib.import_module(module_name.replace("/", "."))
    except ImportError as error:
        raise Fault(
            "Runtime.ImportModuleError", "Unable to import module '%s': %s" % (module_name, error)
        ) from None
    except SyntaxError as error:
        trace = ['  File "%s" Line %s\n    %s' % (error.filename, error.lineno, error.text)]
        raise Fault(
            "Runtime.UserCodeSyntaxError", "Syntax error in module '%s': %s" % (module_name, error), trace
        ) from None
    try:
        return getattr(module, function_name)
    except AttributeError:
        raise Fault(
            "Runtime.HandlerNotFound", "Handler '%s' missing on module '%s'" % (function_name, module_name)
        ) from None


def marshal(result):
    """Return (body, content type) of a handler's result.

    Raises:
        Fault: the result is not JSON serialisable.
    """
    if isinstance(result, bytes):
        return result, "application/unknown"
    try:
        return to_json(result).encode("utf-8"), "application/json"
    except Exception as error:
        raise Fault("Runtime.MarshalError", "Unable to marshal response: %s" % error) from None


def _stack_of(error):
    """The traceback in AWS's form: without the runtime's own frames and without column marks."""
    frames = [(f.filename, f.lineno, f.name, f.line) for f in traceback.extract_tb(error.__traceback__)]
    for index, frame in enumerate(frames):
        if "/bootstrap.py" not in frame[0] and "/lambda_streaming.py" not in frame[0]:
            return frames[index:]
    return frames


def describe(error, request_id):
    """Return AWS's error payload for an exception."""
    if isinstance(error, Fault):
        message, error_type, stack = error.message, error.error_type, error.stack_trace
    else:
        message, error_type = str(error), type(error).__name__
        stack = traceback.format_list(
            [traceback.FrameSummary(f, n, m, line=c) for f, n, m, c in _stack_of(error)]
        )
    return {"errorMessage": message, "errorType": error_type, "requestId": request_id, "stackTrace": stack}


def _xray_cause(error):
    """The X-Ray form of an exception, which AWS's runtime sends in a header."""
    frames = [] if isinstance(error, Fault) else _stack_of(error)
    name = "LambdaValidationError" if isinstance(error, Fault) else type(error).__name__
    stack = [{"label": m, "path": f, "line": n} for f, n, m, _ in frames]
    exceptions = [{"message": str(error), "type": name, "stack": stack}]
    return {
        "working_directory": os.getcwd(),
        "exceptions": exceptions,
        "paths": sorted({f[0] for f in frames}),
    }


def _error_headers(payload, error):
    cause = json.dumps(_xray_cause(error))
    headers = [
        ("Content-Type", "application/json"),
        ("Lambda-Runtime-Function-Error-Type", payload["errorType"].replace("\n", " ").replace("\r", " ")),
    ]
    if len(cause) < 16384:
        headers.append(("Lambda-Runtime-Function-XRay-Error-Cause", cause))
    return headers


def fail_init(channel, error):
    """Report that the function could not be loaded, and exit as AWS's runtime does."""
    payload = describe(error, "")
    lambda_log.warn_of_failed_init()
    lambda_log.write_error(payload, to_json)
    channel.send(
        request("POST", "/init/error", _error_headers(payload, error), to_json(payload).encode("utf-8"))
    )
    channel.receive()
    sys.exit(INIT_ERROR_EXIT_STATUS)


def fail_hook(channel, error, path, error_type, exit_status):
    """Report that a hook around the snapshot has failed, and exit as AWS's runtime does."""
    payload = describe(error, "")
    lambda_log.write_error(payload, to_json)
    headers = _error_headers(dict(payload, errorType=error_type), error)
    channel.send(request("POST", path, headers, to_json(payload).encode("utf-8")))
    channel.receive()
    sys.exit(exit_status)


def _hooks(name):
    # Whoever has registered a hook has imported the module.
    module = sys.modules.get("snapshot_restore_py")
    return [] if module is None else getattr(module, name)()


def pass_snapshot(channel):
    """Run the hooks around the snapshot; return the channel that the restored runtime has.

    A template of Lambent's finds `copy_this_process`, which returns in its copies: everything behind that call
    happens once per execution environment. Without it the same process goes on at once.
    """
    try:
        hooks = _hooks("get_before_snapshot")
        while hooks:
            # The last one that was registered comes first.
            function, arguments, named = hooks.pop()
            function(*arguments, **named)
    except BaseException as error:
        fail_hook(
            channel, error, "/init/error", "Runtime.BeforeSnapshotError", BEFORE_SNAPSHOT_ERROR_EXIT_STATUS
        )
    channel.send(request("GET", "/restore/next", (), b""))
    copy = globals().get("copy_this_process")
    if copy is None:
        channel.receive()
    else:
        copy()
        channel = channel.renewed()
    _renew_random_numbers()
    try:
        for function, arguments, named in _hooks("get_after_restore"):
            function(*arguments, **named)
    except BaseException as error:
        fail_hook(
            channel, error, "/restore/error", "Runtime.AfterRestoreError", AFTER_RESTORE_ERROR_EXIT_STATUS
        )
    return channel


def _renew_random_numbers():
    """Give this environment random numbers of its own; `random` itself does so after a fork."""
    numpy_random = sys.modules.get("numpy.random")
    if numpy_random is not None:
        numpy_random.seed()


def run_one(channel, handler, headers, body):
    """Run the handler for one event and return the request that answers it, or what is left to send of it."""
    request_id = headers["lambda-runtime-aws-request-id"]
    lambda_log.current.request_id = request_id
    lambda_log.current.tenant_id = headers.get("lambda-runtime-aws-tenant-id")
    trace_id = headers.get("lambda-runtime-trace-id")
    if trace_id:
        os.environ["_X_AMZN_TRACE_ID"] = trace_id
    else:
        os.environ.pop("_X_AMZN_TRACE_ID", None)
    try:
        context = lambda_context.from_headers(headers, Fault)
        try:
            event = parse(body)
        except Exception as error:
            raise Fault("Runtime.UnmarshalError", "Unable to unmarshal input: %s" % error) from None
        result = handler(event, context)
        if isinstance(result, _GENERATORS):
            return _stream(channel, request_id, result)
        result, content_type = marshal(result)
    except Exception as error:
        payload = describe(error, request_id)
        lambda_log.write_error(payload, to_json)
        path = "/invocation/%s/error" % request_id
        return request("POST", path, _error_headers(payload, error), to_json(payload).encode("utf-8"))
    head = _RESPONSE % (request_id, len(result), content_type)
    return head.encode("latin-1", "replace") + result


def _stream(channel, request_id, generator):
    """Answer with what a generator yields, while it does."""
    import lambda_streaming

    def report(error):
        payload = describe(error, request_id)
        lambda_log.write_error(payload, to_json)
        return payload["errorType"], to_json(payload).encode("utf-8")

    path = "%s/invocation/%s/response" % (VERSION_PATH, request_id)
    return lambda_streaming.stream(channel.send, path, generator, lambda value: marshal(value)[0], report)


def serve(channel, handler):
    """Answer invocations until the platform closes the socket."""
    next_request = request("GET", "/invocation/next", (), b"")
    channel.send(next_request)
    while True:
        _, headers, body = channel.receive()
        answer = run_one(channel, handler, headers, body)
        channel.send(answer, next_request)
        channel.receive_accepted()


def _search_paths():
    """`sys.path` in AWS's order: the function's code, layers, then the runtime's own."""
    task_root = os.environ.get("LAMBDA_TASK_ROOT", "/var/task")
    layers = os.environ.get("LAMBENT_LAYER_ROOT", "/opt")
    site = "python%d.%d/site-packages" % sys.version_info[:2]
    return [task_root, "%s/python/lib/%s" % (layers, site), "%s/python" % layers]


def main():
    """Load the function and serve it."""
    descriptor = int(os.environ.pop("_LAMBENT_RUNTIME_FD"))
    os.set_inheritable(descriptor, False)
    channel = Channel(descriptor)
    debug_port = os.environ.pop("_LAMBENT_DEBUG_PORT", None)
    if debug_port is not None:
        from lambda_debug import wait_for_debugger

        wait_for_debugger(int(debug_port), os.environ.pop("_LAMBENT_DEBUGGER"))
    sys.path[:0] = _search_paths()
    lambda_log.install()
    lambda_log.warn_of_preview()
    try:
        handler = load_handler(os.environ["_HANDLER"])
    except Exception as error:
        fail_init(channel, error)
    if os.environ.get("AWS_LAMBDA_INITIALIZATION_TYPE") == SNAP_START:
        channel = pass_snapshot(channel)
    serve(channel, handler)


if __name__ == "__main__":
    main()
