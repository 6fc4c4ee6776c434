"""Errors that only STS has, named after its shapes."""

from __future__ import annotations

from lambent.errors import ServiceError


class PackedPolicyTooLargeException(ServiceError):
    """Session policies and tags are too large together."""


class ValidationError(ServiceError):
    """A parameter is not acceptable (query protocol's word)."""
