"""rest-json: resources in paths, parameters in path, query, headers and a JSON body. Lambda speaks it.

See https://smithy.io/2.0/aws/protocols/aws-restjson1-protocol.html. An operation whose body is one member of
bytes (Invoke) never has its body parsed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, cast

from lambent.errors import SerializationException, ServiceError
from lambent.wire import eventstream, timestamps
from lambent.wire.http import HttpRequest, HttpResponse
from lambent.wire.protocols import text_values
from lambent.wire.protocols.door import (
    ErrorShape,
    OperationTraits,
    ParseRequest,
    SerializeResult,
    ServiceTraits,
)
from lambent.wire.protocols.json_errors import JsonErrors
from lambent.wire.protocols.json_values import Convert, JsonDecoders, JsonEncoders, decode_body, encode_body
from lambent.wire.shapes import Shape

Place = Callable[[HttpRequest, Mapping[str, str], dict[str, Any]], None]
"""Put the parameters of one place of the request into the dictionary."""

HeaderPlan = Mapping[str, tuple[str, Convert]]
"""Member name → (header name or prefix, writer); the writer of a header map returns a dictionary."""

_JSON = ("Content-Type", "application/json")
_BYTES = ("blob", "string")


class RestJson:
    """The rest-json protocol for one service."""

    def __init__(self, service: ServiceTraits) -> None:
        self._decoders = JsonDecoders()
        self._encoders = JsonEncoders()
        self._errors = JsonErrors(self._encoders)
        self._header_plans: dict[str, HeaderPlan] = {}

    def parser(self, operation: OperationTraits) -> ParseRequest:
        if operation.input is None:
            return lambda request, path_params: {}
        places = list(self._places(operation.input, operation.uri))

        def parse(request: HttpRequest, path_params: Mapping[str, str]) -> dict[str, Any]:
            parameters: dict[str, Any] = {}
            for place in places:
                place(request, path_params, parameters)
            return parameters

        return parse

    def serializer(self, operation: OperationTraits) -> SerializeResult:
        status = operation.status
        if operation.output is None:
            return lambda result, request_id: _empty(status, request_id)
        results = _Results(operation, operation.output, self._encoders)
        return results.serialize_bytes if results.are_bytes else results.serialize

    def serialize_error(self, error: ServiceError, shape: ErrorShape | None, request_id: str) -> HttpResponse:
        code = shape.code if shape else error.error_code
        status = error.status if shape is None or shape.status is None else shape.status
        return HttpResponse(
            status=status,
            headers=[
                _JSON,
                ("x-amzn-RequestId", request_id),
                ("x-amzn-ErrorType", code),
                *(_headers(self._error_headers(shape), error.members) if shape else ()),
            ],
            body=encode_body(self._errors.body(error, shape)),
        )

    def _error_headers(self, shape: ErrorShape) -> HeaderPlan:
        if shape.name not in self._header_plans:
            members = {n: m for n, m in shape.shape.members.items() if m.location in ("header", "headers")}
            self._header_plans[shape.name] = _header_plan(members)
        return self._header_plans[shape.name]

    def _places(self, shape: Shape, uri: str) -> Iterable[Place]:
        members = shape.members
        yield from _label_places(members)
        query = {name: member for name, member in members.items() if member.location == "querystring"}
        if query:
            literals = {name for name, _ in text_values.query_pairs(uri.partition("?")[2])}
            yield _query_place(query, literals)
        if headers := {name: member for name, member in members.items() if member.location == "header"}:
            yield _header_place(headers)
        for name, member in members.items():
            if member.location == "headers":
                yield _header_map_place(name, member)
        if shape.payload is not None:
            yield self._payload_place(shape.payload, members[shape.payload])
        elif any(member.location is None for member in members.values()):
            yield _body_place(self._decoders.decoder(shape))

    def _payload_place(self, name: str, member: Shape) -> Place:
        if member.is_event_stream:
            return _skip
        if member.type in _BYTES:
            return partial(_bytes_payload, name, member.type == "string")
        return partial(_json_payload, name, self._decoders.decoder(member))


def _skip(request: HttpRequest, path_params: Mapping[str, str], into: dict[str, Any]) -> None:
    """A stream of events is read by whoever serves it."""


def _label_places(members: Mapping[str, Shape]) -> Iterable[Place]:
    for name, member in members.items():
        if member.location == "uri":
            yield _label_place(name, member)


def _label_place(name: str, member: Shape) -> Place:
    label, read = member.location_name or name, text_values.reader(member)

    def place(request: HttpRequest, path_params: Mapping[str, str], into: dict[str, Any]) -> None:
        into[name] = read(path_params[label])

    return place


def _query_place(members: Mapping[str, Shape], literals: set[str]) -> Place:
    plan = {
        member.location_name or name: (name, member.type == "list", _query_reader(member))
        for name, member in members.items()
        if member.type != "map"
    }
    rest = next(
        ((name, member.value.type == "list") for name, member in members.items() if member.type == "map"),
        None,
    )

    def place(request: HttpRequest, path_params: Mapping[str, str], into: dict[str, Any]) -> None:
        if not request.query:
            return
        for key, text in text_values.query_pairs(request.query):
            if (known := plan.get(key)) is None:
                if rest is not None and key not in literals:
                    _add_query_entry(into.setdefault(rest[0], {}), key, text, is_list=rest[1])
                continue
            name, is_list, read = known
            if is_list:
                into.setdefault(name, []).append(read(text))
            else:
                into[name] = read(text)

    return place


def _add_query_entry(entries: dict[str, Any], key: str, text: str, *, is_list: bool) -> None:
    if is_list:
        entries.setdefault(key, []).append(text)
    else:
        entries[key] = text


def _query_reader(member: Shape) -> text_values.ReadText:
    return text_values.reader(member.element if member.type == "list" else member)


def _header_place(members: Mapping[str, Shape]) -> Place:
    plan = [
        ((member.location_name or name).lower(), name, _header_reader(member))
        for name, member in members.items()
    ]

    def place(request: HttpRequest, path_params: Mapping[str, str], into: dict[str, Any]) -> None:
        headers = request.headers
        for header, name, read in plan:
            if header in headers:
                into[name] = read(headers[header])

    return place


def _header_reader(member: Shape) -> Callable[[str], Any]:
    return _header_list_reader(member.element) if member.type == "list" else text_values.reader(member)


def _header_list_reader(element: Shape) -> Callable[[str], list[Any]]:
    read = text_values.reader(element)
    return lambda text: [read(part) for part in _split(element, text)]


def _split(element: Shape, text: str) -> list[str]:
    if element.type != "timestamp":
        return text_values.split_header(text)
    # A date such as "Fri, 02 Jan 2026 03:04:05 GMT" has a comma of its own.
    parts = text.split(",")
    return [",".join(pair).strip() for pair in zip(parts[::2], parts[1::2], strict=False)]


def _header_map_place(name: str, member: Shape) -> Place:
    prefix = (member.location_name or "").lower()

    def place(request: HttpRequest, path_params: Mapping[str, str], into: dict[str, Any]) -> None:
        found = {key[len(prefix) :]: text for key, text in request.headers.items() if key.startswith(prefix)}
        if found:
            into[name] = found

    return place


def _body_place(decode: Convert) -> Place:
    def place(request: HttpRequest, path_params: Mapping[str, str], into: dict[str, Any]) -> None:
        if request.body:
            into.update(decode(decode_body(request.body)))

    return place


def _bytes_payload(
    name: str, is_text: bool, request: HttpRequest, path_params: Mapping[str, str], into: dict[str, Any]
) -> None:
    if not request.body:
        return
    try:
        into[name] = request.body.decode() if is_text else request.body
    except UnicodeDecodeError as error:
        raise SerializationException(f"The body is not text: {error}") from error


def _json_payload(
    name: str, decode: Convert, request: HttpRequest, path_params: Mapping[str, str], into: dict[str, Any]
) -> None:
    if request.body and (value := decode_body(request.body)) is not None:
        into[name] = decode(value)


def _empty(status: int, request_id: str) -> HttpResponse:
    return HttpResponse(status=status, headers=[("x-amzn-RequestId", request_id)], body=b"")


def _header_plan(members: Mapping[str, Shape]) -> dict[str, tuple[str, Convert]]:
    return {name: (member.location_name or name, _header_writer(member)) for name, member in members.items()}


def _header_writer(member: Shape) -> Convert:
    if member.location == "headers":
        return dict
    if member.type != "list":
        return text_values.writer(member, timestamps.RFC822)
    write = text_values.writer(member.element, timestamps.RFC822)
    return lambda value: ", ".join(_quoted(write(item)) for item in value)


def _quoted(text: str) -> str:
    if "," not in text and '"' not in text:
        return text
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _headers(plan: HeaderPlan, members: Mapping[str, Any]) -> list[tuple[str, str]]:
    headers: list[tuple[str, str]] = []
    for name, (header, write) in plan.items():
        value = members.get(name)
        if value is None:
            continue
        _add_header(headers, header, write(value))
    return headers


def _add_header(headers: list[tuple[str, str]], header: str, written: Any) -> None:
    """Add a header, or the headers of a map, whose names begin with this."""
    if isinstance(written, dict):
        headers += [(header + key, str(item)) for key, item in cast("dict[str, Any]", written).items()]
    else:
        headers.append((header, written))


class _Results:
    """The compiled writer of one operation's results."""

    def __init__(self, operation: OperationTraits, output: Shape, encoders: JsonEncoders) -> None:
        members = output.members
        self._owner = output.name
        self._status = operation.status
        self._status_member = next((name for name, m in members.items() if m.location == "statusCode"), None)
        self._headers = _header_plan(
            {n: m for n, m in members.items() if m.location in ("header", "headers")}
        )
        self._content_type_member = next(
            (name for name, (header, _) in self._headers.items() if header.lower() == "content-type"), None
        )
        self._payload = output.payload
        payload = members[output.payload] if output.payload else None
        self.are_bytes = payload is not None and payload.type in _BYTES
        """Whether the body is a member as it is: `serialize_bytes` is for those, `serialize` for the others."""
        body = {name: m for name, m in members.items() if m.location is None and m is not payload}
        self._has_members_in_body = bool(body) or not members
        self._encode_event = (
            eventstream.encoder(payload, encoders) if payload and payload.is_event_stream else None
        )
        self._encode = (
            encoders.encoder(payload)
            if payload and not self.are_bytes and not payload.is_event_stream
            else encoders.members(output.name, body)
        )
        self._elsewhere = frozenset({*self._headers, self._status_member, self._payload} - {None})

    def serialize(self, result: Mapping[str, Any], request_id: str) -> HttpResponse:
        status = self._status
        if self._status_member is not None:
            status = result.get(self._status_member) or status
        headers = [("x-amzn-RequestId", request_id)]
        if self._headers:
            headers += _headers(self._headers, result)
        if self._encode_event is not None and status != 204:
            return self._streamed(status, headers, result, self._encode_event)
        body = self._body(result)
        if status == 204:
            return HttpResponse(status=status, headers=headers, body=b"")
        if body and not self._has_content_type(result):
            headers.append(_JSON)
        return HttpResponse(status=status, headers=headers, body=body)

    def serialize_bytes(self, result: Mapping[str, Any], request_id: str) -> HttpResponse:
        status, body = self._status, b""
        headers, plan = [("x-amzn-RequestId", request_id)], self._headers
        is_json = True
        for name, value in result.items():
            if value is None:
                if name not in self._elsewhere:
                    self._refuse_unknown(result)
            elif name == self._payload:
                body = value.encode() if isinstance(value, str) else bytes(value)
            elif (member := plan.get(name)) is not None:
                header, write = member
                _add_header(headers, header, write(value))
                is_json = is_json and name != self._content_type_member
            elif name == self._status_member:
                status = value or status
            else:
                self._refuse_unknown(result)
        if status == 204:
            body = b""
        elif body and is_json:
            headers.append(_JSON)
        return HttpResponse(status=status, headers=headers, body=body)

    def _streamed(
        self,
        status: int,
        headers: list[tuple[str, str]],
        result: Mapping[str, Any],
        encode: eventstream.Encode,
    ) -> HttpResponse:
        self._refuse_unknown(result)
        if not self._has_content_type(result):
            headers.append(("Content-Type", eventstream.CONTENT_TYPE))
        body = eventstream.EventStreamBody(result[self._payload or ""], encode)
        return HttpResponse(status=status, headers=headers, body=b"", stream=body)

    def _has_content_type(self, result: Mapping[str, Any]) -> bool:
        return self._content_type_member is not None and result.get(self._content_type_member) is not None

    def _body(self, result: Mapping[str, Any]) -> bytes:
        if self._payload is None:
            if self._elsewhere:
                result = {name: item for name, item in result.items() if name not in self._elsewhere}
            value = self._encode(result)
            return encode_body(value) if self._has_members_in_body else b""
        self._refuse_unknown(result)
        payload = result.get(self._payload)
        if payload is None:
            return b""
        return encode_body(self._encode(payload))

    def _refuse_unknown(self, result: Mapping[str, Any]) -> None:
        for name in result:
            if name not in self._elsewhere:
                raise TypeError(f"{self._owner} has no member {name!r}")
