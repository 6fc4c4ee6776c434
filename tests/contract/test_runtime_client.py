"""What every Python runtime client promises to functions: AWS's own over TCP, ours over an inherited socket.

AWS's `awslambdaric` is the measure: it speaks to our Runtime API as it speaks to AWS's, and what it answers,
ours must answer too.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
import textwrap
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness import CACHE_DIRECTORY
from lambent.domain.facts import LogLine
from lambent.domain.limits import SYNC_RESPONSE_MAX_BYTES
from lambent.node.environment import next_response
from lambent.node.output import Output
from lambent.node.runtime_api import Answer, RuntimeApi
from lambent.node.runtime_connection import Connection
from lambent.response_stream import ResponseStream
from lambent.runtimes.python import library
from lambent.runtimes.python.interpreters import Interpreter, find_interpreters
from samples import VERSION, invocation

CLIENT = Path(library.__file__).parent / "client"
ID = "5c3a0b1e-7a4e-4e0c-9d0a-2f6a1a3f6f00"
PATIENCE_S = 30.0
DEADLINE_S = 4_000_000_000.0
HERE = Interpreter(executable=sys.executable, version=sys.version_info[:3], prefix=sys.prefix)
INTERPRETERS = [
    one
    for one in find_interpreters(
        search="", environ=os.environ, cache_file=CACHE_DIRECTORY / "interpreters.json"
    )
    if one.version < (3, 14, 0)
]
VARIABLES = {
    "AWS_LAMBDA_FUNCTION_NAME": "f",
    "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "128",
    "AWS_LAMBDA_LOG_GROUP_NAME": "/aws/lambda/f",
    "AWS_LAMBDA_LOG_STREAM_NAME": "2026/01/02/[$LATEST]abc",
    "AWS_EXECUTION_ENV": "AWS_Lambda_python3.11",
    "PATH": "/usr/bin:/bin",
    "LANG": "en_US.UTF-8",
    "LC_CTYPE": "C.UTF-8",
}


class Conversation:
    """A runtime process with a function, and the Runtime API that it talks to."""

    def __init__(self, directory: Path, handler: str) -> None:
        self._directory = directory
        self._handler = handler
        self._lines: list[LogLine] = []
        self._pipe = Output(now_s=lambda: 0.0, on_lines=self._lines.extend)
        self._api = RuntimeApi(response_max_bytes=SYNC_RESPONSE_MAX_BYTES, on_answer=self._pipe.drain)
        self._process: subprocess.Popen[bytes] | None = None
        self._server: asyncio.Server | None = None

    async def start_ours(self, interpreter: Interpreter, **variables: str) -> None:
        """Start our client under an interpreter, with its end of a socket pair."""
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.create_unix_connection(lambda: Connection(self._api), sock=ours)
        with theirs:
            self._start(
                [interpreter.executable, "-u", str(CLIENT / "bootstrap.py")],
                inherited=theirs.fileno(),
                PYTHONPATH=str(CLIENT),
                _LAMBENT_RUNTIME_FD=str(theirs.fileno()),
                **variables,
            )

    async def start_awss(self, **variables: str) -> None:
        """Start AWS's client, with the address of a TCP server."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: Connection(self._api), "127.0.0.1", 0)
        host, port = self._server.sockets[0].getsockname()
        self._start(
            [sys.executable, "-u", "-m", "awslambdaric", self._handler],
            AWS_LAMBDA_RUNTIME_API=f"{host}:{port}",
            **variables,
        )

    def _start(self, command: list[str], *, inherited: int | None = None, **variables: str) -> None:
        log = self._pipe.write_end
        specific = {
            "LAMBDA_TASK_ROOT": str(self._directory),
            "LAMBENT_LAYER_ROOT": "/nowhere",
            "_HANDLER": self._handler,
            "_LAMBDA_TELEMETRY_LOG_FD": str(log),
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        self._process = subprocess.Popen(
            command,
            cwd=self._directory,
            env=VARIABLES | specific | variables,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=[log] if inherited is None else [log, inherited],
        )

    async def init(self) -> Answer | None:
        """Wait for the end of init: None, or the error."""
        return await asyncio.wait_for(asyncio.shield(self._api.ready), PATIENCE_S)

    async def send(self, payload: bytes, **members: Any) -> Answer:
        """Let the function handle an event."""
        found = invocation(request_id=ID, version=replace(VERSION, timeout_s=900), payload=payload, **members)
        answered = self._api.exchange(
            request_id=ID, next_response=next_response(found, deadline_s=DEADLINE_S)
        )
        return await asyncio.wait_for(asyncio.shield(answered), PATIENCE_S)

    async def stream(self, payload: bytes, *, until: bytes) -> tuple[bytes, Answer]:
        """Let the function stream, read until this has come before it may end, and return all of it and the end."""
        into = ResponseStream(max_bytes=10_000_000, takes_everything=False)
        found = invocation(request_id=ID, version=replace(VERSION, timeout_s=900), payload=payload)
        answered = self._api.exchange(
            request_id=ID, next_response=next_response(found, deadline_s=DEADLINE_S), into=into
        )
        read = b""
        async with asyncio.timeout(PATIENCE_S):
            while until not in read:
                read += await into.read()
            answer = await asyncio.shield(answered)
            into.finish()
            read += await into.read()
        return read, answer

    async def ask(self, event: Any, **members: Any) -> Any:
        """The decoded result of a function that does not fail."""
        answer = await self.send(json.dumps(event).encode(), **members)
        assert not answer.is_error, answer.body
        return json.loads(answer.body)

    def log(self) -> list[str]:
        """Everything logged so far."""
        self._pipe.drain()
        return [line.text for line in self._lines]

    async def exit_code(self) -> int:
        assert self._process is not None
        return await asyncio.to_thread(self._process.wait, PATIENCE_S)

    async def close(self) -> None:
        if self._process is not None:
            self._process.kill()
            await asyncio.to_thread(self._process.wait)
        self._api.close()
        if self._server is not None:
            self._server.close()
        self._pipe.close()


Story = Callable[[Conversation], Awaitable[None]]
Tell = Callable[..., None]


def tell_with(
    tmp_path: Path,
    start: Callable[..., Awaitable[None]],
    story: Story,
    source: str,
    handler: str,
    **options: str,
) -> None:
    (tmp_path / "app.py").write_text(textwrap.dedent(source))

    async def run() -> None:
        conversation = Conversation(tmp_path, handler)
        try:
            await start(conversation, **options)
            await story(conversation)
        finally:
            await conversation.close()

    asyncio.run(run())


@pytest.fixture(params=["awslambdaric", "ours"])
def tell(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Tell]:
    """Runs a story with a function under either client, both with this Python."""

    async def start(conversation: Conversation, **variables: str) -> None:
        if request.param == "ours":
            await conversation.start_ours(HERE, **variables)
        else:
            await conversation.start_awss(**variables)

    def run(source: str, story: Story, handler: str = "app.handler", **variables: str) -> None:
        tell_with(tmp_path, start, story, source, handler, **variables)

    yield run


ECHO = "def handler(event, context): return event"


@pytest.mark.parametrize(
    "event", [{}, None, [], 0, -1.5, "", "text", "ü€🐑\u2028", {"ü": ["€", {"deep": [True]}]}, 10**30]
)
def test_an_event_comes_back_as_it_was(tell: Tell, event: Any) -> None:
    async def story(conversation: Conversation) -> None:
        assert await conversation.ask(event) == event

    tell(ECHO, story)


def test_many_events_one_after_the_other_meet_the_same_process(tell: Tell) -> None:
    async def story(conversation: Conversation) -> None:
        assert [await conversation.ask(None) for _ in range(20)] == list(range(1, 21))

    tell("count = 0\ndef handler(e, c):\n    global count\n    count += 1\n    return count", story)


def test_text_is_escaped_for_older_runtimes_and_not_for_newer_ones(tell: Tell) -> None:
    """AWS changed this with python3.12."""

    async def escaped(conversation: Conversation) -> None:
        assert (await conversation.send('"ü"'.encode())).body == b'"\\u00fc"'

    async def plain(conversation: Conversation) -> None:
        assert (await conversation.send('"ü"'.encode())).body == '"ü"'.encode()

    tell(ECHO, escaped, AWS_EXECUTION_ENV="AWS_Lambda_python3.11")
    tell(ECHO, plain, AWS_EXECUTION_ENV="AWS_Lambda_python3.12")


def test_bytes_are_answered_as_they_are(tell: Tell) -> None:
    async def story(conversation: Conversation) -> None:
        assert (await conversation.send(b"{}")).body == b"\x00\xff no json"

    tell('def handler(e, c): return b"\\x00\\xff no json"', story)


def test_results_that_json_does_not_know_by_itself(tell: Tell) -> None:
    async def story(conversation: Conversation) -> None:
        assert await conversation.ask(None) == {"1": 1.5, "tuple": [1, 2], "none": None, "true": True}

    tell(
        """
        from decimal import Decimal
        def handler(e, c):
            return {1: Decimal("1.5"), "tuple": (1, 2), "none": None, "true": True}
        """,
        story,
    )


def test_what_is_like_an_object_or_a_text_is_one(tell: Tell) -> None:
    async def story(conversation: Conversation) -> None:
        assert await conversation.ask(None) == {
            "point": {"x": 1, "y": {"x": [2], "y": "b"}},
            "bytes": "text",
            "key": [],
            "other": {"z": 1.1},
        }

    tell(
        """
        from collections import namedtuple
        from decimal import Decimal
        Point = namedtuple("Point", "x y")
        class Other:
            def _asdict(self):
                return {"z": Decimal("1.1")}
        def handler(e, c):
            return {"point": Point(1, Point((2,), "b")), "bytes": b"text", b"key": [], "other": Other()}
        """,
        story,
    )


def test_what_cannot_be_encoded_is_a_marshal_error(tell: Tell) -> None:
    async def story(conversation: Conversation) -> None:
        for number, words in enumerate(
            (
                "Object of type set is not JSON serializable",
                "Circular reference detected",
                "keys must be str, int, float, bool or None, not tuple",
                "Object of type bytearray is not JSON serializable",
            )
        ):
            payload = json.loads((await conversation.send(str(number).encode())).body)
            assert payload["errorType"] == "Runtime.MarshalError"
            assert payload["errorMessage"] == f"Unable to marshal response: {words}"

    tell(
        """
        cycle = []
        cycle.append(cycle)
        def handler(e, c):
            return [{1}, cycle, {(1, 2): 3}, [bytearray(b"x")]][e]
        """,
        story,
    )


def test_what_could_not_be_encoded_once_is_encoded_when_it_can_be(tell: Tell) -> None:
    async def story(conversation: Conversation) -> None:
        assert json.loads((await conversation.send(b"true")).body)["errorType"] == "Runtime.MarshalError"
        assert await conversation.ask(False) == {"inner": [[1.5, None, "ü"]]}
        assert json.loads((await conversation.send(b"true")).body)["errorType"] == "Runtime.MarshalError"

    tell(
        """
        leaf = [1.5, None, "ü"]
        value = {"inner": [leaf]}
        def handler(e, c):
            leaf[3:] = [{1}] if e else []
            return value
        """,
        story,
    )


def test_six_megabytes_go_both_ways(tell: Tell) -> None:
    async def story(conversation: Conversation) -> None:
        text = "x" * 6_000_000
        assert await conversation.ask(text) == text

    tell(ECHO, story)


def test_an_exception_is_an_error_with_its_traceback(tell: Tell, tmp_path: Path) -> None:
    async def story(conversation: Conversation) -> None:
        answer = await conversation.send(b"{}")
        assert (answer.is_error, answer.error_type) == (True, "ValueError")
        assert json.loads(answer.body) == {
            "errorMessage": "no ü",
            "errorType": "ValueError",
            "requestId": ID,
            "stackTrace": [
                f'  File "{tmp_path}/app.py", line 2, in handler\n    inner()\n',
                f'  File "{tmp_path}/app.py", line 4, in inner\n    raise ValueError("no ü")\n',
            ],
        }
        assert conversation.log() == [
            "[ERROR] ValueError: no ü\nTraceback (most recent call last):\n"
            f'\u00a0\u00a0File "{tmp_path}/app.py", line 2, in handler\n\u00a0\u00a0\u00a0\u00a0inner()\n'
            f'\u00a0\u00a0File "{tmp_path}/app.py", line 4, in inner\n'
            '\u00a0\u00a0\u00a0\u00a0raise ValueError("no ü")'
        ]

    tell('def handler(e, c):\n    inner()\ndef inner():\n    raise ValueError("no ü")\n', story)


def test_the_environment_goes_on_after_an_error(tell: Tell) -> None:
    async def story(conversation: Conversation) -> None:
        assert (await conversation.send(b"0")).error_type == "ZeroDivisionError"
        assert await conversation.ask(4) == 0.25

    tell("def handler(e, c): return 1 / e", story)


@pytest.mark.parametrize(
    ("source", "handler", "error_type", "message"),
    [
        ("", "app.handler", "Runtime.HandlerNotFound", "Handler 'handler' missing on module 'app'"),
        (
            "",
            "missing.handler",
            "Runtime.ImportModuleError",
            "Unable to import module 'missing': No module named 'missing'",
        ),
        (
            "import nothing_of_this_name",
            "app.handler",
            "Runtime.ImportModuleError",
            "Unable to import module 'app': No module named 'nothing_of_this_name'",
        ),
        (
            "",
            "app",
            "Runtime.MalformedHandlerName",
            "Bad handler 'app': not enough values to unpack (expected 2, got 1)",
        ),
        (
            "",
            "sys.exit",
            "Runtime.BuiltInModuleConflict",
            "Cannot use built-in module sys as a handler module",
        ),
        (
            "def handler(:",
            "app.handler",
            "Runtime.UserCodeSyntaxError",
            "Syntax error in module 'app': invalid syntax (app.py, line 1)",
        ),
        ("raise KeyError('at import')", "app.handler", "KeyError", "'at import'"),
    ],
)
def test_a_function_that_cannot_be_loaded_is_an_init_error(
    tell: Tell, source: str, handler: str, error_type: str, message: str
) -> None:
    async def story(conversation: Conversation) -> None:
        answer = await conversation.init()
        assert answer is not None
        assert (answer.is_error, answer.error_type) == (True, error_type)
        payload = json.loads(answer.body)
        assert (payload["errorType"], payload["errorMessage"]) == (error_type, message)
        assert payload["requestId"] == ""
        assert isinstance(payload["stackTrace"], list)
        assert await conversation.exit_code() == 1
        warning, error = conversation.log()
        assert warning.startswith("[WARNING]\t")
        assert "LAMBDA_WARNING: Unhandled exception." in warning
        assert error.startswith(f"[ERROR] {error_type}: {message}")

    tell(source, story, handler)


@pytest.mark.parametrize(
    ("source", "payload", "error_type", "message"),
    [
        (
            "def handler(e, c): return {1, 2}",
            b"{}",
            "Runtime.MarshalError",
            "Unable to marshal response: Object of type set is not JSON serializable",
        ),
        (
            "def handler(e, c): return e",
            b"{no json",
            "Runtime.UnmarshalError",
            "Unable to unmarshal input: Expecting property name enclosed in double quotes",
        ),
    ],
)
def test_what_is_no_json_is_an_error_of_its_own(
    tell: Tell, source: str, payload: bytes, error_type: str, message: str
) -> None:
    async def story(conversation: Conversation) -> None:
        answer = await conversation.send(payload)
        found = json.loads(answer.body)
        assert (answer.error_type, found["errorType"]) == (error_type, error_type)
        # AWS's client reads JSON with a library of its own, whose words go on differently.
        assert found["errorMessage"].startswith(message)
        assert found["requestId"] == ID

    tell(source, story)


def test_the_context_says_everything(tell: Tell) -> None:
    async def story(conversation: Conversation) -> None:
        client_context = json.dumps({"custom": {"ü": 1}, "env": {"a": "b"}, "client": {"app_title": "t"}})
        found = await conversation.ask(None, client_context=client_context, trace_id="Root=1-a;Sampled=0")
        left_ms = found.pop("left_ms")
        assert 0 < left_ms < DEADLINE_S * 1000
        assert found == {
            "aws_request_id": ID,
            "function_name": "f",
            "function_version": "$LATEST",
            "invoked_function_arn": "arn:aws:lambda:us-east-1:000000000000:function:f",
            "log_group_name": "/aws/lambda/f",
            "log_stream_name": "2026/01/02/[$LATEST]abc",
            "memory_limit_in_mb": "128",
            "tenant_id": None,
            "identity": [None, None],
            "client": [{"ü": 1}, {"a": "b"}, "t"],
            "trace": "Root=1-a;Sampled=0",
        }

    tell(
        """
        import os
        NAMES = ("aws_request_id", "function_name", "function_version", "invoked_function_arn",
                 "log_group_name", "log_stream_name", "memory_limit_in_mb", "tenant_id")
        def handler(event, context):
            found = {name: getattr(context, name) for name in NAMES}
            identity, client = context.identity, context.client_context
            found["identity"] = [identity.cognito_identity_id, identity.cognito_identity_pool_id]
            found["client"] = [client.custom, client.env, client.client.app_title]
            found["left_ms"] = context.get_remaining_time_in_millis()
            found["trace"] = os.environ.get("_X_AMZN_TRACE_ID")
            return found
        """,
        story,
    )


def test_without_a_client_context_there_is_none(tell: Tell) -> None:
    async def story(conversation: Conversation) -> None:
        assert await conversation.ask(None) is True

    tell("def handler(e, context): return context.client_context is None", story)


LOGGING = """
import logging
logging.getLogger().setLevel(logging.INFO)
def handler(event, context):
    print("printed")
    logging.info("one\\ntwo %s", "ü")
    return None
"""


def test_logging_is_one_event_a_message_and_printing_one_a_line(tell: Tell) -> None:
    async def story(conversation: Conversation) -> None:
        await conversation.ask(None)
        printed, logged = conversation.log()
        assert printed == "printed"
        level, at, request_id, message = logged.split("\t")
        assert (level, request_id, message) == ("[INFO]", ID, "one\ntwo ü")
        assert at.endswith("Z")

    tell(LOGGING, story)


def test_the_contexts_log_is_one_event(tell: Tell) -> None:
    async def story(conversation: Conversation) -> None:
        await conversation.ask(None)
        assert conversation.log() == ["one\ntwo ü", "5"]

    tell('def handler(e, c):\n    c.log("one\\ntwo ü")\n    c.log(5)', story)


@pytest.mark.parametrize(
    ("level", "number"), [("TRACE", 10), ("fatal", 50), ("WARN", 30), ("NOTSET", 0), ("nothing", 30)]
)
def test_a_log_level_is_the_root_loggers(tell: Tell, level: str, number: int) -> None:
    async def story(conversation: Conversation) -> None:
        assert await conversation.ask(None) == number

    source = "import logging\ndef handler(e, c):\n    return logging.getLogger().level"
    tell(source, story, AWS_LAMBDA_LOG_LEVEL=level)


def test_a_preview_says_that_it_is_one(tell: Tell) -> None:
    async def story(conversation: Conversation) -> None:
        await conversation.ask(None)
        (line,) = conversation.log()
        level, _, request_id, text = line.split("\t")
        assert (level, request_id) == ("[WARNING]", "")
        assert text.startswith("LAMBDA_WARNING: This is a preview runtime version and should not be used for")
        assert text.rstrip().endswith("https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtimes.html")

    tell("def handler(e, c): pass", story, AWS_EXECUTION_ENV="AWS_Lambda_python3.15")


def test_json_logging_has_the_same_members(tell: Tell) -> None:
    async def story(conversation: Conversation) -> None:
        await conversation.ask(None)
        line = json.loads(conversation.log()[-1])
        assert line.pop("timestamp").endswith("Z")
        assert line == {"level": "ERROR", "message": "no", "logger": "mine", "requestId": ID, "extra": 1}

    source = """
    import logging
    def handler(event, context):
        logging.getLogger("mine").info("too quiet")
        logging.getLogger("mine").error("no", extra={"extra": 1})
    """
    tell(source, story, AWS_LAMBDA_LOG_FORMAT="JSON", AWS_LAMBDA_LOG_LEVEL="WARN")


@pytest.mark.parametrize("interpreter", INTERPRETERS, ids=lambda one: one.version_text)
def test_our_client_runs_under_every_python(tmp_path: Path, interpreter: Interpreter) -> None:
    """The oldest ones too: echo, an error and a log line, with the bytes that AWS's runtimes give."""
    minor = interpreter.version[1]
    source = LOGGING + "    # never reached\nhandler_of_logging = handler\n"
    source += (
        "def handler(event, context):\n    handler_of_logging(event, context)\n    return 1 / event['x']\n"
    )

    async def start(conversation: Conversation) -> None:
        await conversation.start_ours(interpreter, AWS_EXECUTION_ENV=f"AWS_Lambda_python3.{minor}")

    async def story(conversation: Conversation) -> None:
        assert await conversation.ask({"x": 4}) == 0.25
        answer = await conversation.send(b'{"x": 0}')
        assert answer.error_type == "ZeroDivisionError"
        payload = json.loads(answer.body)
        assert (payload["errorMessage"], payload["requestId"]) == ("division by zero", ID)
        (frame,) = payload["stackTrace"]
        assert frame.startswith(f'  File "{tmp_path}/app.py", line ')
        assert frame.endswith(", in handler\n    return 1 / event['x']\n")
        printed, logged, *_, error = conversation.log()
        assert printed == "printed"
        assert logged.endswith(f"\t{ID}\tone\ntwo ü")
        assert error.startswith("[ERROR] ZeroDivisionError: division by zero\nTraceback")

    tell_with(tmp_path, start, story, source, "app.handler")


@pytest.mark.parametrize("interpreter", INTERPRETERS, ids=lambda one: one.version_text)
def test_our_client_streams_under_every_python(tmp_path: Path, interpreter: Interpreter) -> None:
    """Generators of both kinds, to their end and to an error, in an environment that goes on."""

    async def start(conversation: Conversation) -> None:
        await conversation.start_ours(interpreter)

    async def story(conversation: Conversation) -> None:
        for kind in ("plain", "asynchronous", "plain"):
            whole, answer = await conversation.stream(json.dumps([kind, 4]).encode(), until=b"0.25")
            assert (whole, answer.is_error) == (b'ein \xc3\xbc \x00{"a": 1}0.25', False)
            begun, answer = await conversation.stream(json.dumps([kind, 0]).encode(), until=b"}")
            assert (begun, answer.error_type) == (b'ein \xc3\xbc \x00{"a": 1}', "ZeroDivisionError")
            payload = json.loads(answer.body)
            assert payload["errorMessage"] == "division by zero"
            (frame,) = payload["stackTrace"]
            assert frame.endswith(f", in {kind}\n    yield 1 / x\n")
            assert "ZeroDivisionError" in conversation.log()[-1]
        assert await conversation.ask(["list", 4]) == [4]

    source = """
    import asyncio
    def plain(x):
        yield "ein ü "
        yield bytes(1)
        yield {"a": 1}
        yield 1 / x
    async def asynchronous(x):
        yield "ein ü "
        await asyncio.sleep(0)
        yield bytes(1)
        yield {"a": 1}
        yield 1 / x
    def handler(event, context):
        kind, x = event
        return [x] if kind == "list" else globals()[kind](x)
    """
    tell_with(tmp_path, start, story, source, "app.handler")
