"""Whatever comes in: one clear answer, nothing changed, nothing left behind, and the server goes on."""

from __future__ import annotations

import io
import json
import socket
import sqlite3
import struct
import subprocess
import sys
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from botocore.exceptions import ClientError

from harness import CACHE_DIRECTORY, ROLE, Server, clean_environ, create, invoke, zip_of

PATIENCE_S = 30
HANDLER = "def handler(event, context):\n    return event\n"
SETTINGS = {"Runtime": "python3.12", "Handler": "app.handler", "Role": ROLE}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of this file's own, because what lies in its data directory is counted."""
    server = Server(tmp_path_factory.mktemp("bad-input") / "data")
    create(server.client("lambda"), "good", HANDLER)
    yield server
    assert server.stop() == 0
    assert "Traceback" not in Path(server.errors.name).read_text()


# HTTP that is broken -----------------------------------------------------------------------------------------


def exchange(server: Server, content: bytes, *, then_close: bool = False) -> bytes:
    """Send bytes and return everything that comes back until the server closes."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE_S) as connection:
        answer = b""
        try:
            connection.sendall(content)
            if then_close:
                connection.shutdown(socket.SHUT_WR)
            while chunk := connection.recv(65_536):
                answer += chunk
        except (ConnectionResetError, BrokenPipeError):
            pass
        return answer


def is_well(server: Server) -> bool:
    with urlopen(f"{server.endpoint}/_lambent/health", timeout=PATIENCE_S) as answer:
        return json.load(answer)["status"] == "running"


HEAD = b"POST /2015-03-31/functions/good/invocations HTTP/1.1\r\nHost: x\r\n"


@pytest.mark.parametrize(
    "content",
    [
        b"garbage\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(100),
        b"GET / HTTP/9.9\r\nHost: x\r\n\r\n",
        b"GET /" + b"x" * 200_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        HEAD + b"Content-Length: -5\r\n\r\n",
        HEAD + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n",
        HEAD + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
        HEAD + b"Bad Header\r\n\r\n",
        HEAD + b"X: a\x00b\r\n\r\n",
    ],
    ids=range(10),
)
def test_broken_http_is_a_400_and_the_connection_is_closed(server: Server, content: bytes) -> None:
    assert exchange(server, content).startswith(b"HTTP/1.1 400 ")
    assert is_well(server)


def test_headers_without_end_are_refused(server: Server) -> None:
    """Nobody can fill the server's memory before saying who they are."""
    answer = exchange(server, HEAD + b"X: " + b"x" * 8_000_000)
    assert not answer or answer.startswith(b"HTTP/1.1 400 ")
    many = b"".join(b"X-%d: x\r\n" % number for number in range(200_000))
    answer = exchange(server, HEAD + many)
    assert not answer or answer.startswith(b"HTTP/1.1 400 ")
    assert is_well(server)


def test_a_request_that_ends_in_the_middle_is_not_acted_on(server: Server) -> None:
    head = b"DELETE /2015-03-31/functions/good HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n"
    assert exchange(server, head + b"12345", then_close=True) == b""
    assert server.client("lambda").get_function(FunctionName="good")


@pytest.mark.parametrize(
    "content",
    [
        b"GET /2015-03-31/functions/good?Qualifier=%ff%00 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        b"GET /2015-03-31/functions/%2e%2e%2f%2e%2e HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        b"GET /2015-03-31/functions/../../etc/passwd HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        b"GET /\xff\xfe HTTP/1.1\r\nHost: \xff\r\nConnection: close\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nAuthorization: " + b"\xff" * 100 + b"\r\nConnection: close\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nX-Amz-Target: \xff.\xff\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
    ],
    ids=range(6),
)
def test_http_that_makes_no_sense_is_the_clients_fault(server: Server, content: bytes) -> None:
    answer = exchange(server, content)
    assert answer[:12] in (b"HTTP/1.1 400", b"HTTP/1.1 404"), answer[:200]
    assert b"Traceback" not in answer
    assert is_well(server)


def test_a_web_socket_is_not_spoken_here(server: Server) -> None:
    head = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, close\r\nUpgrade: websocket\r\n"
    keys = b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    assert exchange(server, head + keys, then_close=True).startswith(b"HTTP/1.1 404 ")
    assert is_well(server)


def test_a_web_page_of_another_site_cannot_use_the_open_door(server: Server) -> None:
    head = b"GET /2015-03-31/functions HTTP/1.1\r\nHost: x\r\nOrigin: https://evil.example\r\nConnection: close\r\n"
    answer = exchange(server, head + b"\r\n")
    assert answer.startswith(b"HTTP/1.1 403 ")
    assert b"good" not in answer


# Requests that AWS's clients would not send ------------------------------------------------------------------


def refusal(call: Any, **parameters: Any) -> tuple[int, str, str]:
    """The status, code and message with which a call is refused."""
    with pytest.raises(ClientError) as caught:
        call(**parameters)
    error = caught.value.response
    assert "Traceback" not in str(error)
    return (
        error["ResponseMetadata"]["HTTPStatusCode"],
        error["Error"]["Code"],
        error["Error"].get("Message", ""),
    )


def test_an_operation_that_aws_has_and_lambent_has_not_says_so(server: Server) -> None:
    status, code, message = refusal(server.client("logs").describe_deliveries)
    assert (status, code) == (501, "NotImplemented")
    assert message == "Lambent does not serve logs:DescribeDeliveries yet."


def test_a_service_that_is_not_served_says_which_are(server: Server) -> None:
    status, code, message = refusal(server.client("dynamodb").list_tables)
    assert (status, code) == (400, "UnknownOperationException")
    assert "'dynamodb', which is not served here" in message


def test_an_unknown_path_is_an_unknown_operation(server: Server) -> None:
    answer = exchange(server, b"GET /2015-03-31/nothing HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 404 ")
    assert b"UnknownOperationException" in answer


@pytest.mark.parametrize("name", ["x" * 65, "a b", "a/b", "ü", "arn:aws:lambda:us-east-1:000000000000:f:x"])
def test_a_name_that_cannot_be_is_refused(server: Server, name: str) -> None:
    status, code, message = refusal(
        server.client("lambda").create_function,
        FunctionName=name,
        Code={"ZipFile": zip_of({"app.py": HANDLER})},
        **SETTINGS,
    )
    assert (status, code in ("ValidationException", "InvalidParameterValueException")) == (400, True)
    assert "functionName" in message
    assert functions(server) == ["good"]


def test_a_handler_without_a_dot_fails_as_at_aws(server: Server, name: str) -> None:
    client = server.client("lambda")
    create(client, name, HANDLER, Handler="app")
    answer = invoke(client, name)
    assert answer.payload["errorType"] == "Runtime.MalformedHandlerName"
    assert (
        answer.payload["errorMessage"] == "Bad handler 'app': not enough values to unpack (expected 2, got 1)"
    )
    client.delete_function(FunctionName=name)


def test_a_payload_over_six_megabytes_is_refused(server: Server) -> None:
    payload = b'"' + b"x" * 7_000_000 + b'"'
    status, code, message = refusal(server.client("lambda").invoke, FunctionName="good", Payload=payload)
    assert (status, code) == (413, "RequestTooLargeException")
    assert message == (
        "7000002 byte payload is too large for the RequestResponse invocation type (limit 6291456 bytes)"
    )


@pytest.mark.parametrize("payload", [b"{no json", b"{", b"\xff", b"'x'", b"NaN", b"1 2", b"[" * 5_000, b"\0"])
def test_a_payload_that_is_no_json_is_refused(server: Server, payload: bytes) -> None:
    status, code, message = refusal(server.client("lambda").invoke, FunctionName="good", Payload=payload)
    assert (status, code) == (400, "InvalidRequestContentException")
    assert message.startswith("Could not parse request body into json: Could not parse payload into json: ")


# Packages ----------------------------------------------------------------------------------------------------


def functions(server: Server) -> list[str]:
    pages = server.client("lambda").get_paginator("list_functions").paginate()
    return [function["FunctionName"] for page in pages for function in page["Functions"]]


def kept(server: Server) -> set[Path]:
    """Everything in the data directory that is not a database."""
    return {path for path in server.data_directory.rglob("*") if path.is_file() and ".db" not in path.name}


def zip_entry(name: str, content: bytes = b"evil", mode: int = 0o644) -> bytes:
    package = io.BytesIO()
    with zipfile.ZipFile(package, "w", zipfile.ZIP_DEFLATED) as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        archive.writestr("app.py", HANDLER)
        entry = zipfile.ZipInfo(name)
        entry.external_attr = mode << 16
        archive.writestr(entry, content)
    return package.getvalue()


def bomb() -> bytes:
    """A quarter of a megabyte that unpacks to a little over 250 MB."""
    package = io.BytesIO()
    with zipfile.ZipFile(package, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        with archive.open("zeros", "w", force_zip64=False) as entry:
            for _ in range(250):
                entry.write(bytes(1_048_576))
        archive.writestr("app.py", HANDLER)
    return package.getvalue()


def lying() -> bytes:
    """A zip whose directory says that a file of a megabyte has ten bytes."""
    package = bytearray(zip_entry("big", bytes(1_048_576)))
    size = struct.pack("<L", 1_048_576)
    while (at := package.find(size)) >= 0:
        package[at : at + 4] = struct.pack("<L", 10)
    return bytes(package)


GOOD_ZIP = zip_of({"app.py": HANDLER})
UNZIP = (400, "InvalidParameterValueException", "Could not unzip uploaded file. Please check your file")
EMPTY = (400, "InvalidParameterValueException", "Uploaded file must be a non-empty zip")
REQUEST = (413, "RequestEntityTooLargeException", "Request must be smaller than 70167211 bytes for the ")
UNZIPPED = (400, "InvalidParameterValueException", "Unzipped size must be smaller than 262144000 bytes")
BAD_PACKAGES = {
    "no zip": (lambda: b"this is no zip", UNZIP),
    "nothing": (lambda: b"", EMPTY),
    "no files": (lambda: zip_of({}), EMPTY),
    "only a directory": (lambda: zip_of({"empty/": b""}), EMPTY),
    "truncated": (lambda: GOOD_ZIP[:-30], UNZIP),
    "damaged": (lambda: GOOD_ZIP[:40] + b"\xff\xff\xff" + GOOD_ZIP[43:], UNZIP),
    "sizes that are not true": (lying, UNZIP),
    "leads outside": (lambda: zip_entry("../../../../tmp/evil"), UNZIP),
    "absolute": (lambda: zip_entry("/tmp/evil"), UNZIP),
    "a link to the host": (lambda: zip_entry("link", b"/etc/passwd", 0o120777), UNZIP),
    "a link that leads outside": (lambda: zip_entry("link", b"../../etc/passwd", 0o120777), UNZIP),
    "a file twice": (lambda: zip_entry("app.py"), UNZIP),
    "a file under a file": (lambda: zip_entry("app.py/evil"), UNZIP),
    "a device": (lambda: zip_entry("null", b"", 0o020666), UNZIP),
    "a bomb": (bomb, UNZIPPED),
    "51 MB": (lambda: bytes(51 * 1_048_576), REQUEST),
}


@pytest.mark.parametrize("case", BAD_PACKAGES)
def test_a_bad_package_is_refused_and_leaves_nothing(server: Server, case: str) -> None:
    make, (status, code, words) = BAD_PACKAGES[case]
    content = make()
    before = kept(server)
    client = server.client("lambda")
    answers = [refusal(client.create_function, FunctionName="bad", Code={"ZipFile": content}, **SETTINGS)]
    if len(content) < 1_000_000:
        answers.append(refusal(client.update_function_code, FunctionName="good", ZipFile=content))
    for answer in answers:
        assert answer[:2] == (status, code)
        assert answer[2].startswith(words)
    assert functions(server) == ["good"]
    assert kept(server) == before
    assert not list(Path("/tmp").glob("evil"))


def test_after_all_of_it_the_good_function_still_runs(server: Server) -> None:
    assert invoke(server.client("lambda"), "good", {"a": 1}).payload == {"a": 1}


# Starts that cannot be ---------------------------------------------------------------------------------------


def start(directory: Path, *flags: str, **environ: str) -> tuple[int, str]:
    """Try to start a server; return its exit code and the sentence that it says."""
    ended = subprocess.run(
        [sys.executable, "-m", "lambent", "up", *flags],
        capture_output=True,
        text=True,
        cwd=directory,
        env=clean_environ() | {"LAMBENT_CACHE_DIR": str(CACHE_DIRECTORY)} | environ,
        timeout=PATIENCE_S,
        check=False,
    )
    assert ended.stdout == ""
    assert ended.stderr.count("\n") == 1, ended.stderr
    assert ended.stderr.startswith("lambent: ")
    return ended.returncode, ended.stderr.removeprefix("lambent: ").strip()


def test_a_port_in_use_is_said_with_what_can_be_done(server: Server, tmp_path: Path) -> None:
    code, sentence = start(tmp_path, "--port", str(server.port), "--data-dir", "data")
    assert code == 1
    assert sentence == (
        f"Cannot listen on 127.0.0.1:{server.port}: Address already in use. Another port can be chosen with "
        "--port; 0 takes a free one."
    )


def test_a_data_directory_in_use_is_said(server: Server, tmp_path: Path) -> None:
    code, sentence = start(tmp_path, "--port", "0", "--data-dir", str(server.data_directory))
    assert (code, sentence) == (1, f"Another Lambent is using the data directory {server.data_directory}.")


def test_a_data_directory_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    for place in ("/proc/lambent/data", str(tmp_path / "file")):
        (tmp_path / "file").write_text("")
        code, sentence = start(tmp_path, "--port", "0", "--data-dir", place)
        assert code == 1
        assert sentence.startswith(f"The data directory {place} cannot be used: ")


def test_data_of_a_newer_version_is_said_and_not_touched(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "secret").write_bytes(bytes(32))
    with closing(sqlite3.connect(data / "control.db")) as connection:
        connection.execute("PRAGMA user_version = 1000")
    code, sentence = start(tmp_path, "--port", "0", "--data-dir", str(data))
    assert code == 1
    assert sentence.startswith(f"The data in {data} was written by a newer version of Lambent (schema 1000")


def test_a_damaged_root_key_is_said_with_what_can_be_done(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "secret").write_bytes(bytes(32))
    (data / "root-access-key.json").write_text('{"AccessKeyId": ')
    code, sentence = start(tmp_path, "--port", "0", "--data-dir", str(data), "--auth", "iam")
    assert code == 1
    assert sentence.startswith(f"{data}/root-access-key.json is damaged: remove it")


def test_a_project_is_not_mistaken_for_a_data_directory(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "mine.txt").write_text("mine")
    code, sentence = start(tmp_path, "--port", "0", "--data-dir", ".")
    assert code == 1
    assert "is not a data directory of Lambent" in sentence
    assert (tmp_path / "run" / "mine.txt").read_text() == "mine"


@pytest.mark.parametrize(
    ("flags", "environ", "words"),
    [
        (("--port", "abc"), {}, "--port must be a whole number, not 'abc'."),
        (("--port", "99999"), {}, "Cannot listen on 127.0.0.1:99999: ports end at 65535."),
        ((), {"LAMBENT_AUTH": "none"}, "LAMBENT_AUTH must be one of open, iam, not 'none'."),
        (("--host", "0.0.0.0"), {}, "host = 0.0.0.0 would let anybody on the network run code here"),
        (("--config", "missing.toml"), {}, "--config names missing.toml, which is not a file."),
    ],
)
def test_bad_settings_are_said(
    tmp_path: Path, flags: tuple[str, ...], environ: dict[str, str], words: str
) -> None:
    code, sentence = start(tmp_path, "--data-dir", "data", *flags, **environ)
    assert code in (1, 2)
    assert sentence.startswith(words)
    assert list(tmp_path.iterdir()) == []
