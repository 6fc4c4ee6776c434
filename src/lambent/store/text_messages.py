"""What accounts have settled about text messages, as documents: one for each account and region."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from lambent.domain.text_message import TextMessageSettings
from lambent.store import Documents, Put, RevisionConflict

KIND = "text-messages"


class TextMessages:
    """Typed access to stored settings of text messages."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents

    async def get(self, account: str, region: str) -> TextMessageSettings:
        """Return what an account has settled; nothing yet is something, too."""
        return (await self._get(account, region))[1]

    async def change(
        self, account: str, region: str, decide: Callable[[TextMessageSettings], TextMessageSettings]
    ) -> None:
        """Replace what an account has settled by what `decide` makes of it, durably."""
        while True:
            revision, before = await self._get(account, region)
            body = msgspec.json.encode(decide(before))
            try:
                await self._documents.apply(
                    Put(kind=KIND, key=before.key, body=body, expect_revision=revision)
                )
            except RevisionConflict:
                continue
            return

    async def _get(self, account: str, region: str) -> tuple[int, TextMessageSettings]:
        document = await self._documents.get(KIND, f"{account}/{region}")
        if document is None:
            return 0, TextMessageSettings(account=account, region=region)
        return document.revision, msgspec.json.decode(document.body, type=TextMessageSettings)
