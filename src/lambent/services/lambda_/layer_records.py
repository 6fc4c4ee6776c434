"""Stored layers, changed one step at a time, and the layer versions that functions ask for."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Sequence

from lambent.arn import parse_arn
from lambent.domain.call import Call
from lambent.domain.function import AttachedLayer
from lambent.domain.layer import Layer, LayerKey, LayerVersion
from lambent.errors import AccessDeniedException, InvalidParameterValueException, ResourceConflictException
from lambent.services.lambda_.code_storage import CodeStorage
from lambent.services.lambda_.resource_policies import refusal_of
from lambent.store import RevisionConflict
from lambent.store.layers import Layers

GET_LAYER_VERSION = "lambda:GetLayerVersion"
_ATTEMPTS_MAX = 8
_VERSION = re.compile(r"layer:([a-zA-Z0-9-_]+):(\d+)")


class LayerRecords:
    """Reads and changes stored layers."""

    def __init__(self, layers: Layers, code_storage: CodeStorage) -> None:
        self._layers = layers
        self._code_storage = code_storage
        # Calls of this process queue here; revisions guard against other processes.
        self._writing = asyncio.Lock()

    async def get(self, key: LayerKey) -> Layer | None:
        """Return the layer, or None."""
        return await self._layers.get(key)

    async def change(self, key: LayerKey, decide: Callable[[Layer], Layer]) -> Layer:
        """Replace a layer by what `decide` makes of it, and return that.

        Args:
            key: the layer; one that does not exist is an empty one.
            decide: pure; may raise a ServiceError. Returning the layer itself means that nothing is to be
                changed.

        Raises:
            ResourceConflictException: others changed it again and again meanwhile.
        """
        async with self._writing:
            for _ in range(_ATTEMPTS_MAX):
                revision, before = await self._layers.get_with_revision(key) or (0, Layer(key=key))
                after = decide(before)
                if after is before:
                    return before
                try:
                    await self._layers.put(after, expect_revision=revision)
                except RevisionConflict:
                    continue
                self._code_storage.settle(before, after)
                return after
        raise ResourceConflictException(
            f"The operation cannot be performed at this time. An update is in progress for resource: {key.arn}"
        )

    async def list(self, account: str, region: str) -> list[Layer]:
        """Return the layers of an account and region that have versions, in the order of their names."""
        return [layer for layer in await self._layers.list(account, region) if layer.versions]

    async def all(self) -> list[Layer]:
        """Return every layer of every account; for start-up work."""
        return await self._layers.all()

    async def find(self, arn: str) -> tuple[Layer, LayerVersion] | None:
        """Return the layer version with this ARN, or None."""
        named = version_named(arn)
        layer = await self._layers.get(named[0]) if named else None
        version = layer.versions.get(named[1]) if layer and named else None
        return (layer, version) if layer and version else None

    async def attach(self, call: Call, arns: Sequence[str]) -> tuple[AttachedLayer, ...]:
        """Return the layers that a function names; their form and region have been checked.

        Raises:
            InvalidParameterValueException: one does not exist.
            AccessDeniedException: one is another account's, and its policy does not let the caller have it.
        """
        return tuple([await self._attached(call, arn) for arn in arns])

    async def _attached(self, call: Call, arn: str) -> AttachedLayer:
        found = await self.find(arn)
        named = version_named(arn)
        if named is not None and named[0].account != call.account:
            policy = found[1].policy if found else None
            if text := refusal_of(call, GET_LAYER_VERSION, arn, policy):
                raise AccessDeniedException(text)
        if found is None:
            raise InvalidParameterValueException(f"Layer version {arn} does not exist.")
        return AttachedLayer(arn=arn, code=found[1].code)


def version_named(arn: str) -> tuple[LayerKey, int] | None:
    """Return layer and version number of a layer version's ARN; None when it is none of a layer here."""
    parsed = parse_arn(arn)
    match = _VERSION.fullmatch(parsed.resource) if parsed else None
    if parsed is None or match is None:
        return None
    return LayerKey(account=parsed.account, region=parsed.region, name=match[1]), int(match[2])
