"""Which function a function URL belongs to: one small document per URL, under the URL's id.

The function's own document is the truth; these documents are written and deleted in the same `apply` with it,
so that a request to a URL finds its function without looking at all functions.
"""

from __future__ import annotations

import msgspec

from lambent.domain.function import LATEST, Function
from lambent.domain.function_url import UrlOwner
from lambent.store import Delete, Documents, Put

KIND = "function-url"


def url_changes(before: Function | None, after: Function | None) -> list[Put | Delete]:
    """Return what changes of these documents when a stored function changes from one value to the other."""
    gone, come = _owners(before), _owners(after)
    if gone == come:
        return []
    deleted: list[Put | Delete] = [Delete(kind=KIND, key=url_id) for url_id in gone.keys() - come.keys()]
    return deleted + [
        # An id is made at random and must be new.
        Put(kind=KIND, key=url_id, body=msgspec.json.encode(owner), expect_revision=0)
        for url_id, owner in come.items()
        if url_id not in gone
    ]


async def find_url_owner(documents: Documents, url_id: str) -> UrlOwner | None:
    """Return what the function URL of this id belongs to, or None when there is no such URL."""
    document = await documents.get(KIND, url_id)
    return None if document is None else msgspec.json.decode(document.body, type=UrlOwner)


def _owners(function: Function | None) -> dict[str, UrlOwner]:
    if function is None:
        return {}
    key = function.key
    return {
        url.id: UrlOwner(
            account=key.account,
            region=key.region,
            name=key.name,
            qualifier=None if qualifier == LATEST else qualifier,
        )
        for qualifier, url in function.urls.items()
    }
