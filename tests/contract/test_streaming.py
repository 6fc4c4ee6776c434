"""What streaming promises, whatever the function is written in: Python, Node.js, or a runtime of its own."""

from __future__ import annotations

import json
import uuid
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from http.client import HTTPConnection, HTTPResponse, IncompleteRead
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from harness import ROLE, Server
from runtimes import package_of
from streams import PIECE, Queue, Raw, Streamed, streaming_languages

WAIT = {"Delay": 0.05, "MaxAttempts": 600}


class Function:
    """The streaming function in one language, with a URL that streams."""

    def __init__(self, server: Server, runtime: str, files: dict[str, str], error_type: str) -> None:
        self.server = server
        self.client = server.client("lambda")
        self.error_type = error_type
        self.name = f"streams-{uuid.uuid4().hex[:8]}"
        self.client.create_function(
            FunctionName=self.name,
            Runtime=runtime,
            Handler="app.handler",
            Role=ROLE,
            Timeout=20,
            MemorySize=512,
            Code={"ZipFile": package_of(files)},
        )
        self.client.get_waiter("function_active_v2").wait(FunctionName=self.name, WaiterConfig=WAIT)
        self.url = self.client.create_function_url_config(
            FunctionName=self.name, AuthType="NONE", InvokeMode="RESPONSE_STREAM"
        )["FunctionUrl"]
        self.client.add_permission(
            FunctionName=self.name,
            StatementId="public",
            Action="lambda:InvokeFunctionUrl",
            Principal="*",
            FunctionUrlAuthType="NONE",
        )
        self.queue = Queue(server, self.name)

    def stream(self, do: str, **members: Any) -> Streamed:
        event = {"do": do, "queue": self.queue.name, **members}
        return Streamed(self.client, self.name, event)

    @contextmanager
    def visit(self, do: str, **members: Any) -> Generator[HTTPResponse]:
        """Ask its URL and give the answer, of which the head has come."""
        body = json.dumps({"do": do, "queue": self.queue.name, **members})
        headers = {"Host": urlsplit(self.url).netloc, "Content-Type": "application/json"}
        with closing(HTTPConnection("127.0.0.1", self.server.port, timeout=60)) as connection:
            connection.request("POST", "/", body, headers)
            yield connection.getresponse()


@pytest.fixture(scope="module", params=streaming_languages(), ids=lambda found: found[0].runtime)
def function(request: pytest.FixtureRequest, lambent: Server) -> Iterator[Function]:
    language, files = request.param
    if language.missing:
        pytest.skip(language.missing)
    made = Function(lambent, language.runtime, files, language.error_type)
    yield made
    made.client.delete_function(FunctionName=made.name)


def test_bytes_arrive_while_the_function_runs(function: Function) -> None:
    streamed = function.stream("gate")
    assert streamed.chunk() == b"one"
    # It waits for this, so it had not ended.
    function.queue.tell()
    assert (streamed.rest(), streamed.end) == (b"two", {})


def test_bytes_of_a_url_arrive_while_the_function_runs(function: Function) -> None:
    with function.visit("gate") as answer:
        assert (answer.status, answer.headers["content-type"]) == (200, "application/octet-stream")
        assert answer.read(3) == b"one"
        function.queue.tell()
        assert answer.read() == b"two"


def test_metadata_are_the_head_of_a_urls_answer_and_bytes_like_others_elsewhere(function: Function) -> None:
    with function.visit("prelude") as answer:
        assert (answer.status, answer.headers["content-type"], answer.headers["x-a"]) == (
            201,
            "text/plain",
            "1",
        )
        assert answer.headers.get_all("set-cookie") == ["a=1", "b=2"]
        assert answer.read(3) == b"one"
        function.queue.tell()
        assert answer.read() == b"two"

    streamed = function.stream("prelude")
    function.queue.tell()
    metadata, _, body = streamed.rest().partition(bytes(8))
    assert json.loads(metadata)["statusCode"] == 201
    assert body == b"onetwo"


def test_megabytes_arrive_whole_and_in_order(function: Function) -> None:
    pieces = 320
    assert function.stream("pieces", pieces=pieces).rest() == b"one" + PIECE * pieces + b"two"


def test_a_response_of_nothing_is_a_response(function: Function) -> None:
    streamed = function.stream("nothing")
    assert (streamed.rest(), streamed.end) == (b"", {})
    with function.visit("nothing") as answer:
        assert (answer.status, answer.read()) == (200, b"")


def test_an_error_before_the_first_byte_is_the_end_and_for_a_url_a_502(function: Function) -> None:
    streamed = function.stream("fail first")
    assert streamed.rest() == b""
    assert (streamed.error["errorType"], streamed.error["errorMessage"]) == (function.error_type, "no ü")
    with function.visit("fail first") as answer:
        assert (answer.status, answer.read()) == (502, b"Internal Server Error")


def test_an_error_after_the_first_byte_is_the_end_and_for_a_url_a_body_without_one(
    function: Function,
) -> None:
    streamed = function.stream("fail")
    assert streamed.rest() == b"one"
    assert (streamed.error["errorType"], streamed.error["errorMessage"]) == (function.error_type, "no ü")
    with function.visit("fail") as answer:
        assert answer.status == 200
        with pytest.raises(IncompleteRead) as broken:
            answer.read()
        assert broken.value.partial == b"one"
    # Its environment goes on.
    assert function.stream("pieces").rest() == b"onetwo"


def test_a_runtime_that_ends_in_the_middle_is_an_error(function: Function) -> None:
    streamed = function.stream("exit")
    assert streamed.chunk() == b"one"
    function.queue.tell()
    assert streamed.rest() == b""
    assert streamed.error == {
        "errorType": "Runtime.ExitError",
        "errorMessage": f"RequestId: {streamed.request_id} Error: Runtime exited with error: exit status 3",
    }


def test_plain_invoke_answers_a_stream_as_a_whole(function: Function) -> None:
    answer = function.client.invoke(FunctionName=function.name, Payload='{"do": "pieces", "pieces": 2}')
    assert answer["Payload"].read() == b"one" + PIECE * 2 + b"two"


def test_a_client_that_goes_does_not_stop_the_function(function: Function) -> None:
    client = Raw(function.server, function.url, {"do": "flood", "queue": function.queue.name, "pieces": 500})
    client.until(b"one")
    client.close()
    assert function.queue.heard() == ["done"]


def test_a_client_that_does_not_read_holds_the_function_and_fills_no_memory(function: Function) -> None:
    before_kb = _peak_kb(function.server)
    client = Raw(function.server, function.url, {"do": "flood", "queue": function.queue.name, "pieces": 1600})
    client.until(b"one")
    # 100 MB are to come, and what lies between the function and here holds less.
    assert function.queue.heard(wait_s=1) == []
    assert _peak_kb(function.server) - before_kb < 20_000
    client.close()
    assert function.queue.heard() == ["done"]


def _peak_kb(server: Server) -> int:
    """The most memory that the server itself has used so far."""
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0])
