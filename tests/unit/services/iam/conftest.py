"""Stores are closed after each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from unit.services.iam.asking import close_all


@pytest.fixture(autouse=True)
def _stores_are_closed() -> Iterator[None]:  # pyright: ignore[reportUnusedFunction]
    yield
    close_all()
