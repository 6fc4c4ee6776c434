"""Fixtures of the Logs service's tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lambent.testing import MemoryStore
from unit.services.logs.asking import Logs


@pytest.fixture
def logs() -> Iterator[Logs]:
    store = MemoryStore()
    yield Logs(store)
    store.close()
