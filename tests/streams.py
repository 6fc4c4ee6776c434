"""One streaming function in every language, and clients of it that go by what they read, not by the clock.

What a function does is told by its event. It waits where the test wants it to: for a message in a queue of the test's.
"""

from __future__ import annotations

import json
import socket
from typing import Any
from urllib.parse import urlsplit

from harness import Server
from runtimes import Language, languages

_ASK = """
import json, os, urllib.parse, urllib.request
def ask(action, queue, **parameters):
    url = "%s/000000000000/%s" % (os.environ["AWS_ENDPOINT_URL"], queue)
    body = {"Action": action, "Version": "2012-11-05", "QueueUrl": url, **parameters}
    return urllib.request.urlopen(url, urllib.parse.urlencode(body).encode()).read()
def wait(queue):
    ask("ReceiveMessage", queue, WaitTimeSeconds=20)
def tell(queue, text):
    ask("SendMessage", queue, MessageBody=text)
"""
PYTHON = (
    _ASK
    + """
PIECE = bytes(range(256)) * 256
def handler(event, context):
    return stream(event)
def stream(event):
    if "body" in event:
        event = json.loads(event["body"])
    do = event["do"]
    if do == "fail first":
        raise ValueError("no ü")
    if do == "prelude":
        yield {"statusCode": 201, "headers": {"content-type": "text/plain", "x-a": "1"}, "cookies": ["a=1", "b=2"]}
    if do == "nothing":
        return
    yield "one"
    if do == "fail":
        raise ValueError("no ü")
    if do in ("gate", "prelude", "exit"):
        wait(event["queue"])
    if do == "exit":
        os._exit(3)
    for _ in range(event.get("pieces", 0)):
        yield PIECE
    if do == "flood":
        tell(event["queue"], "done")
    yield b"two"
"""
)
NODEJS = """
const PIECE = Buffer.alloc(65536, Buffer.from([...Array(256).keys()]));
async function ask(action, queue, parameters) {
  const url = `${process.env.AWS_ENDPOINT_URL}/000000000000/${queue}`;
  const body = { Action: action, Version: '2012-11-05', QueueUrl: url, ...parameters };
  return (await fetch(url, { method: 'POST', body: new URLSearchParams(body) })).text();
}
exports.handler = awslambda.streamifyResponse(async (event, stream) => {
  if (event.body !== undefined) event = JSON.parse(event.body);
  if (event.do === 'fail first') throw new RangeError('no ü');
  if (event.do === 'prelude') {
    const headers = { 'content-type': 'text/plain', 'x-a': '1' };
    stream = awslambda.HttpResponseStream.from(stream, { statusCode: 201, headers, cookies: ['a=1', 'b=2'] });
  }
  if (event.do === 'nothing') { stream.end(); return; }
  stream.write('one');
  if (event.do === 'fail') throw new RangeError('no ü');
  if (['gate', 'prelude', 'exit'].includes(event.do)) await ask('ReceiveMessage', event.queue, { WaitTimeSeconds: 20 });
  if (event.do === 'exit') process.exit(3);
  for (let n = 0; n < (event.pieces || 0); n++) {
    if (!stream.write(PIECE)) await new Promise((resolve) => stream.once('drain', resolve));
  }
  if (event.do === 'flood') await ask('SendMessage', event.queue, { MessageBody: 'done' });
  stream.end('two');
});
"""
PROVIDED = """#!/usr/bin/python3 -u
import base64, json, os, socket, sys
sys.path.insert(0, "/var/task")
import app
HOST, PORT = os.environ["AWS_LAMBDA_RUNTIME_API"].split(":")
api = socket.create_connection((HOST, int(PORT)))
reader = api.makefile("rb")
def receive():
    reader.readline()
    headers = {}
    while (line := reader.readline().strip()):
        name, _, value = line.decode().partition(":")
        headers[name.lower()] = value.strip()
    return headers, reader.read(int(headers.get("content-length", 0)))
def post(path, head, body=b""):
    line = "POST /2018-06-01/runtime%s HTTP/1.1\\r\\nHost: %s\\r\\n" % (path, HOST)
    api.sendall((line + head + "\\r\\n").encode() + body)
def chunk(piece):
    api.sendall(b"%x\\r\\n%b\\r\\n" % (len(piece), piece))
while True:
    api.sendall(b"GET /2018-06-01/runtime/invocation/next HTTP/1.1\\r\\nHost: h\\r\\n\\r\\n")
    headers, event = receive()
    path = "/invocation/" + headers["lambda-runtime-aws-request-id"]
    pieces = app.stream(json.loads(event))
    has_begun = False
    def begin(kind="application/octet-stream"):
        post(path + "/response", "Content-Type: %s\\r\\nLambda-Runtime-Function-Response-Mode: streaming\\r\\n"
             "Transfer-Encoding: chunked\\r\\nTrailer: Lambda-Runtime-Function-Error-Type, "
             "Lambda-Runtime-Function-Error-Body\\r\\n" % kind)
    end = b"0\\r\\n\\r\\n"
    try:
        for piece in pieces:
            if isinstance(piece, dict):
                begin("application/vnd.awslambda.http-integration-response")
                piece, has_begun = json.dumps(piece).encode() + bytes(8), True
            elif not has_begun:
                begin()
                has_begun = True
            chunk(piece.encode() if isinstance(piece, str) else piece)
        if not has_begun:
            begin()
    except ValueError as error:
        payload = json.dumps({"errorMessage": str(error), "errorType": "ValueError", "stackTrace": []}).encode()
        if has_begun:
            end = (b"0\\r\\nLambda-Runtime-Function-Error-Type: ValueError\\r\\n"
                   b"Lambda-Runtime-Function-Error-Body: %b\\r\\n\\r\\n" % base64.b64encode(payload))
        else:
            post(path + "/error", "Content-Length: %d\\r\\n" % len(payload), payload)
            end = b""
    api.sendall(end)
    receive()
"""
PIECE = bytes(range(256)) * 256
_FILES = {
    "python3.12": {"app.py": PYTHON},
    "nodejs22.x": {"app.js": NODEJS},
    "provided.al2023": {"app.py": PYTHON, "bootstrap": PROVIDED},
}


def streaming_languages() -> list[tuple[Language, dict[str, str]]]:
    """Every language, and the files of the function in it."""
    return [(language, _FILES[language.runtime]) for language in languages()]


class Streamed:
    """The answer of InvokeWithResponseStream, as boto3 reads it."""

    def __init__(self, client: Any, name: str, event: Any, **options: Any) -> None:
        self.response = client.invoke_with_response_stream(
            FunctionName=name, Payload=json.dumps(event), **options
        )
        self.request_id = self.response["ResponseMetadata"]["HTTPHeaders"]["x-amzn-requestid"]
        self._events = iter(self.response["EventStream"])
        self.end: dict[str, Any] | None = None
        """The last event, once it has come."""

    def chunk(self) -> bytes:
        """The next bytes; none at the end."""
        event = next(self._events)
        if "PayloadChunk" in event:
            return event["PayloadChunk"]["Payload"]
        self.end = event["InvokeComplete"]
        assert next(self._events, None) is None
        return b""

    def rest(self) -> bytes:
        """Everything that still comes."""
        found: list[bytes] = []
        while piece := self.chunk():
            found.append(piece)
        return b"".join(found)

    @property
    def error(self) -> Any:
        """What the function failed with, after the end."""
        assert self.end is not None
        assert self.end["ErrorCode"] == "Unhandled"
        return json.loads(self.end["ErrorDetails"])


class Queue:
    """A queue between a test and its function."""

    def __init__(self, server: Server, name: str) -> None:
        self._client = server.client("sqs")
        self.name = name
        self._url = self._client.create_queue(QueueName=name)["QueueUrl"]

    def tell(self) -> None:
        """Let the function go on."""
        self._client.send_message(QueueUrl=self._url, MessageBody="go")

    def heard(self, wait_s: int = 20) -> list[str]:
        """Wait for what the function says; nothing if it says nothing for so long."""
        found = self._client.receive_message(QueueUrl=self._url, WaitTimeSeconds=wait_s)
        messages = found.get("Messages", [])
        for message in messages:
            self._client.delete_message(QueueUrl=self._url, ReceiptHandle=message["ReceiptHandle"])
        return [message["Body"] for message in messages]


class Raw:
    """A client of one request over a socket of its own, which it reads when it wants to."""

    def __init__(self, server: Server, url: str, event: Any) -> None:
        self._socket = socket.create_connection(("127.0.0.1", server.port), timeout=60)
        body = json.dumps(event).encode()
        head = f"POST / HTTP/1.1\r\nHost: {urlsplit(url).netloc}\r\nContent-Type: application/json\r\n"
        self._socket.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)

    def until(self, text: bytes) -> bytes:
        """Read until this has come, and return all of it."""
        found = b""
        while text not in found:
            piece = self._socket.recv(65_536)
            assert piece, found
            found += piece
        return found

    def close(self) -> None:
        """Go."""
        self._socket.close()
