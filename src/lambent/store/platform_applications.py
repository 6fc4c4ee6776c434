"""SNS's platform applications and their endpoints as documents."""

from __future__ import annotations

from collections.abc import AsyncIterator

import msgspec

from lambent.domain.platform_application import PlatformApplication, PlatformEndpoint
from lambent.store import Delete, Documents, Put

KIND = "platform-application"
ENDPOINT_KIND = "platform-endpoint"
_PAGE = 500


class PlatformApplications:
    """Typed access to stored platform applications and endpoints."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents

    async def get(self, key: str) -> PlatformApplication | None:
        """Return an application, or None."""
        document = await self._documents.get(KIND, key)
        return None if document is None else msgspec.json.decode(document.body, type=PlatformApplication)

    async def put(self, application: PlatformApplication) -> None:
        """Keep an application durably."""
        await self._documents.apply(
            Put(kind=KIND, key=application.key, body=msgspec.json.encode(application))
        )

    async def delete(self, key: str) -> None:
        """Forget an application and its endpoints."""
        ended = [one async for one in self._endpoints(key)]
        await self._documents.apply(
            Delete(kind=KIND, key=key), *(Delete(kind=ENDPOINT_KIND, key=one.key) for one in ended)
        )

    async def list(
        self, account: str, region: str, *, after: str = "", limit: int
    ) -> list[PlatformApplication]:
        """Return applications of an account and region in the order of their keys, those after a key."""
        documents = await self._documents.list(KIND, prefix=f"{account}/{region}/", after=after, limit=limit)
        return [msgspec.json.decode(document.body, type=PlatformApplication) for document in documents]

    async def endpoint(self, key: str) -> PlatformEndpoint | None:
        """Return an endpoint, or None."""
        document = await self._documents.get(ENDPOINT_KIND, key)
        return None if document is None else msgspec.json.decode(document.body, type=PlatformEndpoint)

    async def endpoint_of(self, application_key: str, token: str) -> PlatformEndpoint | None:
        """Return the endpoint of a device, or None."""
        async for one in self._endpoints(application_key):
            if one.token == token:
                return one
        return None

    async def put_endpoint(self, endpoint: PlatformEndpoint) -> None:
        """Keep an endpoint durably."""
        await self._documents.apply(
            Put(kind=ENDPOINT_KIND, key=endpoint.key, body=msgspec.json.encode(endpoint))
        )

    async def delete_endpoint(self, key: str) -> None:
        """Forget an endpoint."""
        await self._documents.apply(Delete(kind=ENDPOINT_KIND, key=key))

    async def endpoints(self, application_key: str, *, after: str = "", limit: int) -> list[PlatformEndpoint]:
        """Return endpoints of an application in the order of their keys, those after a key."""
        documents = await self._documents.list(
            ENDPOINT_KIND, prefix=f"{application_key}/", after=after, limit=limit
        )
        return [msgspec.json.decode(document.body, type=PlatformEndpoint) for document in documents]

    async def _endpoints(self, application_key: str) -> AsyncIterator[PlatformEndpoint]:
        after = ""
        while page := await self.endpoints(application_key, after=after, limit=_PAGE):
            for one in page:
                yield one
            after = page[-1].key
