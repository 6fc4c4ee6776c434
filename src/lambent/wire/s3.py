"""Objects of an S3 API, fetched and put with signed requests: S3 itself, or any server that speaks its GetObject
and PutObject.

Buckets are addressed in the path, which every such server understands. Answers are bounded in size and in time;
redirects are not followed. Fetching is done in a thread.
"""

from __future__ import annotations

import asyncio
import hashlib
import html
import http.client
import re
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

from lambent.clock import Clock
from lambent.domain.s3_object import S3Error, S3Object, S3ObjectTooLarge
from lambent.settings import S3Settings
from lambent.wire.http import HttpRequest
from lambent.wire.outgoing import Answer, NoAnswer, Outgoing
from lambent.wire.sigv4 import Signer, amz_date

SILENCE_MAX_S = 15.0
"""For a connection, and between two pieces of an answer."""
DOWNLOAD_MAX_S = 300.0
UPLOAD_MAX_S = 20.0
_CHUNK_BYTES = 1 << 18
_ERROR_MAX_BYTES = 65_536
_NO_CONTENT = hashlib.sha256(b"").hexdigest()
_CODE = re.compile(r"<Code>([^<]{1,200})</Code>")
_MESSAGE = re.compile(r"<Message>([^<]{1,2000})</Message>")
# For servers that answer with a status alone.
_WORDS = {
    301: ("PermanentRedirect", ""),
    403: ("AccessDenied", "Access Denied"),
    404: ("NoSuchKey", "The specified key does not exist."),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class S3Client:
    """Fetches and puts objects.

    Attributes:
        endpoint_url: where the S3 API is, ``http://…`` or ``https://…``, with a path before the bucket if need be.
        region: in which requests are signed; empty: in that where the object is asked for.
        access_key_id: empty: requests are not signed, so only public objects can be had.
        secret_access_key: its secret.
        clock: the time of signatures.
        outgoing: sends requests that put objects.
    """

    endpoint_url: str
    region: str
    access_key_id: str
    secret_access_key: str
    clock: Clock
    outgoing: Outgoing

    async def get(self, source: S3Object, *, max_bytes: int) -> bytes:
        """Return the content of an object.

        Raises:
            S3Error: S3 answered otherwise, or not at all.
            S3ObjectTooLarge: it has more bytes than that.
        """
        request = self._request("GET", source, _NO_CONTENT, {})
        try:
            return await asyncio.to_thread(self._fetch, request, max_bytes)
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "strerror", None) or type(error).__name__
            raise S3Error(
                status=0, code="Unreachable", message=f"{self.endpoint_url} gave no answer: {reason}."
            ) from error

    async def put(self, place: S3Object, content: bytes, *, content_type: str) -> None:
        """Keep an object.

        Raises:
            S3Error: S3 did not take it, or gave no answer.
        """
        digest = hashlib.sha256(content).hexdigest()
        request = self._request("PUT", place, digest, {"content-type": content_type}, content)
        origin = urlsplit(self.endpoint_url)
        url = f"{origin.scheme}://{origin.netloc.rpartition('@')[2]}{request.path}"
        try:
            answer = await self.outgoing.send("PUT", url, request.headers, content, timeout_s=UPLOAD_MAX_S)
        except NoAnswer as error:
            raise S3Error(
                status=0, code="Unreachable", message=f"{self.endpoint_url} gave no answer: {error}."
            ) from error
        if not 200 <= answer.status < 300:
            raise _refusal(answer)

    def _request(
        self, method: str, place: S3Object, digest: str, given: Mapping[str, str], body: bytes = b""
    ) -> HttpRequest:
        """Return a signed request about an object; `digest` is the SHA-256 of its body."""
        origin = urlsplit(self.endpoint_url)
        path = f"{origin.path.rstrip('/')}/{place.bucket}/{quote(place.key, safe='/-_.~')}"
        query = f"versionId={quote(place.version, safe='-_.~')}" if place.version else ""
        headers = {"host": origin.netloc.rpartition("@")[2], "x-amz-content-sha256": digest, **given}
        if self.access_key_id:
            headers["x-amz-date"] = amz_date(self.clock.now_s())
        request = HttpRequest(method=method, path=path, query=query, headers=headers, body=body)
        if not self.access_key_id:
            return request
        signer = Signer(
            access_key_id=self.access_key_id,
            secret_access_key=self.secret_access_key,
            region=self.region or place.region,
            service="s3",
        )
        signed = {**headers, "authorization": signer.authorization(request)}
        return HttpRequest(method=method, path=path, query=query, headers=signed, body=body)

    def _fetch(self, request: HttpRequest, max_bytes: int) -> bytes:
        connection = self._connection()
        try:
            target = f"{request.path}?{request.query}" if request.query else request.path
            # The host is among the headers, as it was signed.
            connection.putrequest("GET", target, skip_host=True, skip_accept_encoding=True)
            for name, value in request.headers.items():
                connection.putheader(name, value)
            connection.endheaders()
            response = connection.getresponse()
            if response.status != http.HTTPStatus.OK:
                raise _error(response, response.read(_ERROR_MAX_BYTES))
            return _read(response, max_bytes)
        finally:
            connection.close()

    def _connection(self) -> http.client.HTTPConnection:
        place = urlsplit(self.endpoint_url)
        host = place.hostname or ""
        if place.scheme == "https":
            context = ssl.create_default_context()
            return http.client.HTTPSConnection(host, place.port, timeout=SILENCE_MAX_S, context=context)
        return http.client.HTTPConnection(host, place.port, timeout=SILENCE_MAX_S)


def s3_client(settings: S3Settings, clock: Clock, outgoing: Outgoing | None = None) -> S3Client | None:
    """Return the client that settings ask for; None when they name no S3."""
    if not settings.s3_endpoint_url:
        return None
    return S3Client(
        endpoint_url=settings.s3_endpoint_url,
        region=settings.s3_region,
        access_key_id=settings.s3_access_key_id,
        secret_access_key=settings.s3_secret_access_key,
        clock=clock,
        outgoing=outgoing or Outgoing(),
    )


def _read(response: http.client.HTTPResponse, max_bytes: int) -> bytes:
    if (response.length or 0) > max_bytes:
        raise S3ObjectTooLarge
    content = bytearray()
    deadline_s = time.monotonic() + DOWNLOAD_MAX_S
    while chunk := response.read(_CHUNK_BYTES):
        content += chunk
        if len(content) > max_bytes:
            raise S3ObjectTooLarge
        if time.monotonic() > deadline_s:
            raise TimeoutError(f"no end after {DOWNLOAD_MAX_S:g} s")
    if response.length:
        raise http.client.IncompleteRead(b"", response.length)
    return bytes(content)


def _error(response: http.client.HTTPResponse, body: bytes) -> S3Error:
    return _refused(response.status, response.reason, body, response.headers.get("x-amz-bucket-region"))


def _refusal(answer: Answer) -> S3Error:
    return _refused(answer.status, "", answer.body, answer.headers.get("x-amz-bucket-region"))


def _refused(status: int, reason: str, body: bytes, region: str | None) -> S3Error:
    text = body.decode("utf-8", "replace")
    code, message = _CODE.search(text), _MESSAGE.search(text)
    usual = _WORDS.get(status, (f"Status{status}", reason))
    return S3Error(
        status=status,
        code=html.unescape(code[1]) if code else usual[0],
        message=html.unescape(message[1]) if message else usual[1],
        bucket_region=region,
    )
