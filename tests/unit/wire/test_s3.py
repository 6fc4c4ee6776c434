"""Code in S3: fetched from a real HTTP server, which checks the signature with AWS's own signer."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from lambent.domain.s3_object import S3Error, S3Object, S3ObjectTooLarge
from lambent.settings import S3Settings
from lambent.testing import ManualClock
from lambent.wire.s3 import S3Client, s3_client

KEY_ID, SECRET = "AKIAS3", "s3cr3t"
KEPT: dict[str, tuple[bytes, str]] = {}
CONTENT = b"PK the content" * 1000
OBJECTS = {("code", "team/app ä+~v1.zip", None): CONTENT, ("code", "app.zip", "v/1="): b"older"}


class S3(BaseHTTPRequestHandler):
    """GetObject, as S3 answers it."""

    protocol_version = "HTTP/1.1"
    asked: list[str]

    def log_message(self, format: str, *args: Any) -> None:
        """Be quiet."""

    def do_GET(self) -> None:
        place = urlsplit(self.path)
        _, bucket, key = unquote(place.path).split("/", 2)
        version = parse_qs(place.query).get("versionId", [None])[0]
        if "authorization" in self.headers and not self._is_signed_well():
            self._error(403, "SignatureDoesNotMatch", "The signature does not match.")
        elif "authorization" not in self.headers and bucket != "public":
            self._error(403, "AccessDenied", "Access Denied")
        elif bucket == "elsewhere":
            self._answer(301, b"", {"x-amz-bucket-region": "eu-central-1"})
        elif bucket == "broken":
            self._answer(503, b"busy", {})
        elif bucket == "short":
            self._answer(200, b"half", {"content-length": "100"})
        elif bucket == "endless":
            self._endless()
        elif bucket == "public":
            self._answer(200, b"open", {})
        elif bucket != "code":
            self._error(404, "NoSuchBucket", "The specified bucket does not exist")
        elif (bucket, key, version) not in OBJECTS:
            self._error(404, "NoSuchKey", "The specified key does not exist.")
        else:
            self._answer(200, OBJECTS[bucket, key, version], {})

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        _, bucket, key = unquote(urlsplit(self.path).path).split("/", 2)
        if not self._is_signed_well("PUT"):
            self._error(403, "SignatureDoesNotMatch", "The signature does not match.")
        elif bucket != "code":
            self._error(404, "NoSuchBucket", "The specified bucket does not exist")
        else:
            KEPT[key] = body, self.headers["content-type"]
            self._answer(200, b"", {})

    def _is_signed_well(self, method: str = "GET") -> bool:
        given = self.headers["authorization"]
        names = given.split("SignedHeaders=")[1].split(",")[0].split(";")
        scope = given.split("Credential=")[1].split(",")[0].split("/")
        request = AWSRequest(
            method=method,
            url=f"http://{self.headers['host']}{self.path}",
            headers={name: self.headers[name] for name in names if name != "host"},
        )
        request.context["timestamp"] = self.headers["x-amz-date"]
        signer = S3SigV4Auth(Credentials(KEY_ID, SECRET), "s3", scope[2])
        canonical = signer.canonical_request(request)
        signature = signer.signature(signer.string_to_sign(request, canonical), request)
        return scope[0] == KEY_ID and given.endswith(f"Signature={signature}")

    def _error(self, status: int, code: str, message: str) -> None:
        body = f"<Error><Code>{code}</Code><Message>{message}</Message></Error>"
        self._answer(status, body.encode(), {"content-type": "application/xml"})

    def _answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in ({"content-length": str(len(body))} | headers).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
        self.close_connection = True

    def _endless(self) -> None:
        self.send_response(200)
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        try:
            while True:
                self.wfile.write(b"10000\r\n" + b"0" * 0x10000 + b"\r\n")
        except OSError:
            self.close_connection = True


@contextmanager
def served() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), S3)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    with served() as url:
        yield url


def client(url: str, **settings: Any) -> S3Client:
    keys = {"s3_access_key_id": KEY_ID, "s3_secret_access_key": SECRET} | settings
    made = s3_client(S3Settings(s3_endpoint_url=url, **keys), ManualClock())
    assert made is not None
    return made


def fetch(
    of: S3Client, bucket: str, key: str, version: str | None = None, *, max_bytes: int = 1 << 20
) -> bytes:
    source = S3Object(region="eu-west-1", bucket=bucket, key=key, version=version)
    return asyncio.run(of.get(source, max_bytes=max_bytes))


def test_no_s3_is_configured_by_default() -> None:
    assert s3_client(S3Settings(), ManualClock()) is None


def test_an_object_is_fetched_with_a_signature_as_aws_makes_it(endpoint: str) -> None:
    assert fetch(client(endpoint), "code", "team/app ä+~v1.zip") == CONTENT
    assert fetch(client(endpoint, s3_region="us-west-2"), "code", "app.zip", "v/1=") == b"older"


def test_a_wrong_secret_is_denied(endpoint: str) -> None:
    with pytest.raises(S3Error) as caught:
        fetch(client(endpoint, s3_secret_access_key="wrong"), "code", "app.zip")
    assert (caught.value.status, caught.value.code) == (403, "SignatureDoesNotMatch")


def test_without_a_key_only_public_objects_can_be_had(endpoint: str) -> None:
    anonymous = client(endpoint, s3_access_key_id="")
    assert fetch(anonymous, "public", "app.zip") == b"open"
    with pytest.raises(S3Error) as caught:
        fetch(anonymous, "code", "app.zip")
    assert (caught.value.status, caught.value.message) == (403, "Access Denied")


@pytest.mark.parametrize(
    ("bucket", "status", "code"),
    [
        ("code", 404, "NoSuchKey"),
        ("nowhere", 404, "NoSuchBucket"),
        ("elsewhere", 301, "PermanentRedirect"),
        ("broken", 503, "Status503"),
        ("short", 0, "Unreachable"),
    ],
)
def test_every_other_answer_is_an_error_with_its_code(
    endpoint: str, bucket: str, status: int, code: str
) -> None:
    with pytest.raises(S3Error) as caught:
        fetch(client(endpoint), bucket, "missing.zip")
    assert (caught.value.status, caught.value.code) == (status, code)
    assert caught.value.bucket_region == ("eu-central-1" if bucket == "elsewhere" else None)


def test_an_object_may_be_as_large_as_was_said_and_no_larger(endpoint: str) -> None:
    name = "team/app ä+~v1.zip"
    assert len(fetch(client(endpoint), "code", name, max_bytes=len(CONTENT))) == len(CONTENT)
    with pytest.raises(S3ObjectTooLarge):
        fetch(client(endpoint), "code", name, max_bytes=len(CONTENT) - 1)
    with pytest.raises(S3ObjectTooLarge):
        fetch(client(endpoint), "endless", "zeros")


def test_a_server_that_is_not_there_is_named(endpoint: str) -> None:
    with served() as url:
        pass
    with pytest.raises(S3Error) as caught:
        fetch(client(url), "code", "app.zip")
    assert caught.value.status == 0
    assert caught.value.message == f"{url} gave no answer: Connection refused."


def put(of: S3Client, bucket: str, key: str) -> None:
    place = S3Object(region="eu-west-1", bucket=bucket, key=key)
    asyncio.run(of.put(place, b"{}", content_type="application/json"))


def test_an_object_is_put_with_a_signature_as_aws_makes_it(endpoint: str) -> None:
    put(client(endpoint), "code", "aws/lambda/async/f/2026/01/02/ä+~x")
    assert KEPT["aws/lambda/async/f/2026/01/02/ä+~x"] == (b"{}", "application/json")


@pytest.mark.parametrize(
    ("bucket", "secret", "status", "code"),
    [("code", "wrong", 403, "SignatureDoesNotMatch"), ("nowhere", SECRET, 404, "NoSuchBucket")],
)
def test_what_is_not_taken_is_an_error_with_its_code(
    endpoint: str, bucket: str, secret: str, status: int, code: str
) -> None:
    with pytest.raises(S3Error) as caught:
        put(client(endpoint, s3_secret_access_key=secret), bucket, "x")
    assert (caught.value.status, caught.value.code) == (status, code)


def test_a_server_that_is_not_there_takes_nothing(endpoint: str) -> None:
    with served() as url:
        pass
    with pytest.raises(S3Error, match="gave no answer") as caught:
        put(client(url), "code", "x")
    assert caught.value.status == 0
