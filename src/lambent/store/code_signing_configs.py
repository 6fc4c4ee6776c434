"""Code signing configurations, kept as documents."""

from __future__ import annotations

import msgspec

from lambent.domain.code_signing import CodeSigningConfig
from lambent.store import Delete, Documents, Put

KIND = "code-signing-config"


class CodeSigningConfigs:
    """Typed access to stored code signing configurations."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents

    async def get(self, account: str, region: str, config_id: str) -> tuple[int, CodeSigningConfig] | None:
        """Return a configuration with the revision that `put` may expect, or None."""
        document = await self._documents.get(KIND, f"{account}/{region}/{config_id}")
        if document is None:
            return None
        return document.revision, msgspec.json.decode(document.body, type=CodeSigningConfig)

    async def put(self, config: CodeSigningConfig, *, expect_revision: int) -> None:
        """Keep a configuration durably.

        Raises:
            RevisionConflict: it is not at this revision (0: it exists already).
        """
        body = msgspec.json.encode(config)
        await self._documents.apply(
            Put(kind=KIND, key=_key(config), body=body, expect_revision=expect_revision)
        )

    async def delete(self, config: CodeSigningConfig) -> None:
        """Forget a configuration."""
        await self._documents.apply(Delete(kind=KIND, key=_key(config)))

    async def list(
        self, account: str, region: str, *, after: str = "", limit: int = 1000
    ) -> list[CodeSigningConfig]:
        """Return configurations of an account and region in the order of ids, after the given one."""
        prefix = f"{account}/{region}/"
        documents = await self._documents.list(
            KIND, prefix=prefix, after=prefix + after if after else "", limit=limit
        )
        return [msgspec.json.decode(document.body, type=CodeSigningConfig) for document in documents]


def _key(config: CodeSigningConfig) -> str:
    return f"{config.account}/{config.region}/{config.id}"
