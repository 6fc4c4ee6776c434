"""APIs compiled from botocore's service models: what there is at load, how it is read and written at its first use.

`load_api` is the only reader of models. What comes out, `Api` and `Operation`, is all that the rest of the
house ever sees of them: names, statuses, and compiled functions. Depends on botocore for the model files and
for the names of methods.
"""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any, cast

import botocore
import msgspec

from lambent.wire.constraints import Check, Constraints
from lambent.wire.deviations import DEVIATIONS, Deviations
from lambent.wire.former import query_model
from lambent.wire.heads import KnownHeads, are_for
from lambent.wire.protocols import PROTOCOLS, Protocol, ServiceTraits
from lambent.wire.protocols.door import ErrorShape, OperationTraits, ParseRequest, SerializeResult
from lambent.wire.shapes import Shape, Traits, resolve


class UnsupportedModelError(Exception):
    """The service speaks a protocol that is not there, or has no model. The message is one sentence for the
    user.
    """


@dataclass(frozen=True, kw_only=True, eq=False)
class Operation:
    """One operation, compiled part by part when each is needed first: of hundreds, a server is asked for a few.

    Attributes:
        api: the API that it belongs to.
        name: AWS's name, ``CreateFunction``.
        method_name: the method of the service that serves it, ``create_function``.
        traits: what the model says of it.
        is_streaming: whether its result is a stream of events, which of the protocols rest-json alone writes.
        constraints: compiles what its input must be like.
    """

    api: Api
    name: str
    method_name: str
    traits: OperationTraits
    is_streaming: bool
    constraints: Constraints = field(repr=False)

    @cached_property
    def parse(self) -> ParseRequest:
        """(request, path parameters) → parameters. Used by `wire.parse`."""
        return self.api.speaker.parser(self.traits)

    @cached_property
    def serialize(self) -> SerializeResult:
        """(result, request id) → response. Used by `wire.serialize`."""
        if self.is_streaming and self.api.protocol != "rest-json":
            return _refuse_stream(self.name)
        return self.api.speaker.serializer(self.traits)

    @cached_property
    def check(self) -> Check | None:
        """The constraints of its input; None when there are none. Used by `wire.validate`."""
        return self.constraints.check(self.traits.input) if self.traits.input is not None else None

    @cached_property
    def heads(self) -> KnownHeads | None:
        """What heads of its requests say, if that and a body are all they say. Used by `wire.parse`."""
        shape = self.traits.input
        if self.api.protocol != "rest-json" or shape is None or not are_for(shape):
            return None
        return KnownHeads(shape)

    def __repr__(self) -> str:
        return f"<Operation {self.api.service}.{self.name}>"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Api:
    """One service's API, compiled.

    Attributes:
        service: botocore's name of the service, ``lambda``.
        signing_name: its name in credential scopes.
        protocol: ``rest-json``, ``json`` or ``query``.
        api_version: ``2015-03-31``.
        target_prefix: what stands before the dot in ``X-Amz-Target`` (json protocol), else empty.
        json_version: ``1.0`` or ``1.1`` (json protocol), else empty.
        operations: by AWS's name.
        errors: the error shapes, by shape name.
        speaker: the protocol, compiled for this service; for `wire.serialize`.
    """

    service: str
    signing_name: str
    protocol: str
    api_version: str
    target_prefix: str
    json_version: str
    operations: Mapping[str, Operation] = field(repr=False)
    errors: Mapping[str, ErrorShape] = field(repr=False)
    speaker: Protocol = field(repr=False)


def load_api(service: str, *, is_former: bool = False) -> Api:
    """Load and compile the API of a service, by botocore's name for it.

    Args:
        service: the service.
        is_former: in the query protocol that it once spoke and still understands (SQS).

    Raises:
        UnsupportedModelError: botocore has no such service, or none of its protocols is spoken here.
    """
    model = _load_model(service)
    if is_former:
        model = query_model(service, model)
    metadata: Traits = model["metadata"]
    protocol = _choose_protocol(service, metadata)
    service_traits = _service_traits(service, metadata)
    speaker = PROTOCOLS[protocol](service_traits)
    constraints = Constraints(DEVIATIONS.get(service, Deviations()))
    operations: dict[str, Operation] = {}
    api = Api(
        service=service,
        signing_name=metadata.get("signingName", metadata["endpointPrefix"]),
        protocol=protocol,
        api_version=service_traits.api_version,
        target_prefix=service_traits.target_prefix,
        json_version=service_traits.json_version,
        operations=MappingProxyType(operations),
        errors=_error_shapes(model["shapes"]),
        speaker=speaker,
    )
    for name, operation in model["operations"].items():
        traits = _operation_traits(model["shapes"], name, operation)
        operations[name] = _operation(api, traits, constraints)
    return api


def _load_model(service: str) -> dict[str, Any]:
    directory = Path(botocore.__file__).parent / "data" / service
    *_, file = [None, *sorted(directory.glob("*/service-2.json*"))]
    if file is None:
        raise UnsupportedModelError(f"There is no service model named {service!r}.")
    if next(file.parent.glob("service-2.*extras.json"), None) is not None:
        return _load_with_extras(service)
    content = file.read_bytes()
    return msgspec.json.decode(gzip.decompress(content) if file.suffix == ".gz" else content)


def _load_with_extras(service: str) -> dict[str, Any]:
    # botocore knows how, but importing its loader and asking it takes longer than everything else here.
    from botocore.loaders import Loader

    return cast("Any", Loader)().load_service_model(service, "service-2")


def _choose_protocol(service: str, metadata: Traits) -> str:
    offered: list[str] = [*metadata.get("protocols", ()), metadata["protocol"]]
    for protocol in offered:
        if protocol in PROTOCOLS:
            return protocol
    spoken = ", ".join(sorted(PROTOCOLS))
    raise UnsupportedModelError(
        f"{service} speaks {offered[-1]}, which is not spoken here yet (spoken: {spoken})."
    )


def _service_traits(service: str, metadata: Traits) -> ServiceTraits:
    return ServiceTraits(
        service=service,
        api_version=metadata["apiVersion"],
        target_prefix=metadata.get("targetPrefix", ""),
        json_version=metadata.get("jsonVersion", ""),
        xml_namespace=_namespace(metadata.get("xmlNamespace", "")),
        is_query_compatible="awsQueryCompatible" in metadata and metadata["protocol"] != "query",
    )


def _namespace(trait: Any) -> str:
    """Models write it as a text or as an object with a uri."""
    return trait if isinstance(trait, str) else trait["uri"]


def _operation_traits(table: Mapping[str, Traits], name: str, operation: Traits) -> OperationTraits:
    http: Traits = operation.get("http", {})
    output: Traits | None = operation.get("output")
    return OperationTraits(
        name=name,
        method=http.get("method", "POST"),
        uri=http.get("requestUri", "/"),
        status=http.get("responseCode", 200),
        input=resolve(table, operation["input"]) if "input" in operation else None,
        output=resolve(table, output) if output else None,
        result_wrapper=output.get("resultWrapper") if output else None,
    )


def _operation(api: Api, traits: OperationTraits, constraints: Constraints) -> Operation:
    is_streaming = traits.output is not None and any(
        m.is_event_stream for m in traits.output.members.values()
    )
    return Operation(
        api=api,
        name=traits.name,
        method_name=_method_name(traits.name),
        traits=traits,
        is_streaming=is_streaming,
        constraints=constraints,
    )


def _method_name(name: str) -> str:
    return cast("Any", botocore).xform_name(name)


def _refuse_stream(name: str) -> SerializeResult:
    def serialize(result: Mapping[str, Any], request_id: str) -> Any:
        raise TypeError(f"{name} answers with a stream of events, which cannot be serialized yet")

    return serialize


def _error_shapes(table: Mapping[str, Traits]) -> Mapping[str, ErrorShape]:
    return MappingProxyType(
        {
            name: _error_shape(resolve(table, {"shape": name}))
            for name, shape in table.items()
            if shape.get("exception")
        }
    )


def _error_shape(shape: Shape) -> ErrorShape:
    trait: Traits = shape.traits.get("error", {})
    members: Traits = shape.traits.get("members", {})
    is_fault = bool(shape.traits.get("fault")) or trait.get("httpStatusCode", 400) >= 500
    return ErrorShape(
        name=shape.name,
        code=trait.get("code", shape.name),
        status=trait.get("httpStatusCode"),
        is_fault=is_fault,
        message_name=next((name for name in members if name.lower() == "message"), "message"),
        has_type="Type" in members,
        shape=shape,
    )
