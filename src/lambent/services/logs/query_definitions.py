"""Saved queries of Logs Insights: kept and shown, for the tools that deploy them. Running a query is not served."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from lambent.clock import Clock
from lambent.domain.call import Call
from lambent.errors import LimitExceededException, ResourceNotFoundException
from lambent.services import Members
from lambent.services.logs.tokens import place_of, token_of
from lambent.store import Delete, Documents, Put

KIND = "log-query-definition"
DEFINITIONS_MAX = 1_000
"""Of an account in a region."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryDefinition:
    """A saved query."""

    id: str
    """A UUID."""
    name: str
    query: str
    language: str
    modified_ms: int
    groups: tuple[str, ...] = ()
    parameters: tuple[Mapping[str, str], ...] = ()


class QueryDefinitions:
    """Operations on saved queries."""

    def __init__(self, documents: Documents, clock: Clock) -> None:
        self._documents = documents
        self._clock = clock

    async def put_query_definition(self, call: Call, parameters: Members) -> Members:
        """PutQueryDefinition: make one, or with an id replace that one. What is not given becomes empty.

        Raises:
            ResourceNotFoundException: there is none of this id.
            LimitExceededException: there are 1,000.
        """
        identifier: str | None = parameters.get("queryDefinitionId")
        if identifier is not None:
            await self._require(call, identifier)
        elif len(await self._all(call)) >= DEFINITIONS_MAX:
            raise LimitExceededException("Resource limit exceeded.")
        definition = QueryDefinition(
            id=identifier or str(uuid.uuid4()),
            name=parameters["name"],
            query=parameters["queryString"],
            language=parameters.get("queryLanguage", "CWLI"),
            modified_ms=int(self._clock.now_s() * 1000),
            groups=tuple(parameters.get("logGroupNames", ())),
            parameters=tuple(dict(one) for one in parameters.get("parameters", ())),
        )
        body = msgspec.json.encode(definition)
        await self._documents.apply(Put(kind=KIND, key=_key(call, definition.id), body=body))
        return {"queryDefinitionId": definition.id}

    async def delete_query_definition(self, call: Call, parameters: Members) -> Members:
        """DeleteQueryDefinition.

        Raises:
            ResourceNotFoundException: there is none of this id.
        """
        identifier: str = parameters["queryDefinitionId"]
        await self._require(call, identifier)
        await self._documents.apply(Delete(kind=KIND, key=_key(call, identifier)))
        return {"success": True}

    async def describe_query_definitions(self, call: Call, parameters: Members) -> Members:
        """DescribeQueryDefinitions, in the order of their names, by prefix.

        Raises:
            InvalidParameterException: the token is not ours.
        """
        prefix: str = parameters.get("queryDefinitionNamePrefix", "")
        language = parameters.get("queryLanguage")
        after = place_of(parameters["nextToken"], tuple[str, str]) if "nextToken" in parameters else ("", "")
        limit: int = parameters.get("maxResults", DEFINITIONS_MAX)
        found = sorted(
            (
                one
                for one in await self._all(call)
                if one.name.startswith(prefix)
                and language in (None, one.language)
                and (one.name, one.id) > after
            ),
            key=lambda one: (one.name, one.id),
        )
        result: dict[str, Any] = {"queryDefinitions": [_described(one) for one in found[:limit]]}
        if len(found) > limit:
            result["nextToken"] = token_of((found[limit - 1].name, found[limit - 1].id))
        return result

    async def _all(self, call: Call) -> list[QueryDefinition]:
        documents = await self._documents.list(KIND, prefix=_key(call, ""), limit=DEFINITIONS_MAX)
        return [msgspec.json.decode(document.body, type=QueryDefinition) for document in documents]

    async def _require(self, call: Call, identifier: str) -> None:
        if await self._documents.get(KIND, _key(call, identifier)) is None:
            raise ResourceNotFoundException("The specified query definition does not exist.")


def _key(call: Call, identifier: str) -> str:
    return f"{call.account}/{call.region}/{identifier}"


def _described(definition: QueryDefinition) -> dict[str, Any]:
    described: dict[str, Any] = {
        "queryLanguage": definition.language,
        "queryDefinitionId": definition.id,
        "name": definition.name,
        "queryString": definition.query,
        "lastModified": definition.modified_ms,
        "logGroupNames": list(definition.groups),
    }
    if definition.parameters:
        described["parameters"] = [dict(one) for one in definition.parameters]
    return described
