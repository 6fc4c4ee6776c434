"""Protocols: the wire formats that services speak, one file each, behind the door in `door`."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from lambent.wire.protocols.door import Protocol, ServiceTraits
from lambent.wire.protocols.json import Json
from lambent.wire.protocols.query import Query
from lambent.wire.protocols.rest_json import RestJson

PROTOCOLS: Mapping[str, Callable[[ServiceTraits], Protocol]] = {
    "json": Json,
    "query": Query,
    "rest-json": RestJson,
}
"""What can be spoken, by the model's word for it. rest-xml, smithy-rpc-v2-cbor and event streams have their
place here.
"""

__all__ = ["PROTOCOLS", "Protocol", "ServiceTraits"]
