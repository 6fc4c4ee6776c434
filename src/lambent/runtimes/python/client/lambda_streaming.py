"""Handlers that are generators: what they yield is the response, sent as it comes.

An extension: AWS's Python runtimes do not stream. The response travels as the Runtime API wants streams to travel, in
chunks; an error after the first of them follows in the trailers. While nobody takes the chunks, the handler is held
where it yields. What is yielded is bytes, or a text, or anything that becomes JSON. A dictionary with `statusCode` that
comes first is the metadata of an HTTP response (statusCode, headers, cookies), as `HttpResponseStream.from` has it in
Node.js.
"""

import base64
import types

_STREAM_TYPE = "application/octet-stream"
_METADATA_TYPE = "application/vnd.awslambda.http-integration-response"
_METADATA_END = bytes(8)
_ERROR_TYPE = "Lambda-Runtime-Function-Error-Type"
_ERROR_BODY = "Lambda-Runtime-Function-Error-Body"
_END = b"0\r\n"

_loop = None


def stream(send, path, generator, marshal, report):
    """Send what a generator yields; return the bytes that end the response.

    Args:
        send: sends bytes, and waits while they are not taken.
        path: of the response in the Runtime API.
        generator: the handler's.
        marshal: turns what is neither bytes nor text into bytes.
        report: logs an exception and returns (error type, payload) of it.

    Raises:
        Exception: the generator's own, if it fails before anything was sent.
    """
    items = generator if isinstance(generator, types.GeneratorType) else _items_of(generator)
    try:
        content_type, first = _beginning(items, marshal)
        send(_head(path, content_type) + _chunk(first))
        try:
            for item in items:
                send(_chunk(_bytes_of(item, marshal)))
        except Exception as error:
            return _end_with(*report(_without_our_frames(error, generator)))
        return _END + b"\r\n"
    except Exception as error:
        _without_our_frames(error, generator)
        raise
    finally:
        items.close()


def _beginning(items, marshal):
    """Return the type of the response and what it begins with."""
    for item in items:
        if isinstance(item, dict) and "statusCode" in item:
            return _METADATA_TYPE, marshal(item) + _METADATA_END
        return _STREAM_TYPE, _bytes_of(item, marshal)
    return _STREAM_TYPE, b""


def _bytes_of(item, marshal):
    if isinstance(item, (bytes, bytearray, memoryview)):
        return bytes(item)
    return item.encode("utf-8") if isinstance(item, str) else marshal(item)


def _head(path, content_type):
    head = (
        "POST %s HTTP/1.1\r\nHost: runtime\r\nContent-Type: %s\r\nLambda-Runtime-Function-Response-Mode: streaming\r\n"
        "Transfer-Encoding: chunked\r\nTrailer: %s, %s\r\n\r\n"
        % (path, content_type, _ERROR_TYPE, _ERROR_BODY)
    )
    return head.encode("latin-1")


def _chunk(content):
    # One of length 0 would be the end.
    return b"%x\r\n%b\r\n" % (len(content), content) if content else b""


def _end_with(error_type, payload):
    """The trailers of a response that fails."""
    name = error_type.replace("\r", " ").replace("\n", " ").encode("latin-1", "replace")
    trailers = ((_ERROR_TYPE, name), (_ERROR_BODY, base64.b64encode(payload)))
    lines = [b"%b: %b\r\n" % (key.encode(), value) for key, value in trailers]
    return _END + b"".join(lines) + b"\r\n"


def _items_of(generator):
    """What an asynchronous generator yields; its event loop stands still while nobody asks for more.

    The loop is the same for all invocations: clients that functions keep from one to the next belong to it.
    """
    import asyncio

    global _loop
    if _loop is None:
        _loop = asyncio.new_event_loop()
        asyncio.set_event_loop(_loop)
    try:
        while True:
            try:
                yield _loop.run_until_complete(generator.__anext__())
            except StopAsyncIteration:
                return
    finally:
        _loop.run_until_complete(generator.aclose())


def _without_our_frames(error, generator):
    """The exception as if nobody had called the generator; one that is not the generator's as it is."""
    code = generator.gi_code if isinstance(generator, types.GeneratorType) else generator.ag_code
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_code is not code:
        trace = trace.tb_next
    return error if trace is None else error.with_traceback(trace)
