"""What decisions about access have to know of functions and layer versions: their policies and tags."""

from __future__ import annotations

from lambent.arn import parse_arn
from lambent.domain.function import LATEST, FunctionKey
from lambent.domain.resource_policy import GuardedResource
from lambent.services.lambda_.layer_records import LayerRecords
from lambent.services.lambda_.records import Records


class ResourceLookup:
    """Finds resources of Lambda by ARN."""

    def __init__(self, *, records: Records, layers: LayerRecords) -> None:
        self._records = records
        self._layers = layers

    async def find(self, arn: str) -> GuardedResource | None:
        """Return policy and tags of a function (with the policy of its qualifier) or layer version, or None."""
        parsed = parse_arn(arn)
        if parsed is None:
            return None
        kind, _, rest = parsed.resource.partition(":")
        if kind == "layer":
            found = await self._layers.find(arn)
            policy = found[1].policy if found else None
            return GuardedResource(policy=policy.text) if policy else None
        if kind != "function":
            return None
        name, _, qualifier = rest.partition(":")
        function = await self._records.get(
            FunctionKey(account=parsed.account, region=parsed.region, name=name)
        )
        if function is None:
            return None
        policy = function.policies.get(qualifier or LATEST)
        return GuardedResource(policy=policy.text if policy else None, tags=function.tags)
