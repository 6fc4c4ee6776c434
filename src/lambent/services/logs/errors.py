"""Errors that only CloudWatch Logs has."""

from __future__ import annotations

from lambent.errors import ServiceError


class TooManyTagsException(ServiceError):
    """A resource may have 50 tags."""
