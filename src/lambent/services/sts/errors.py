"""Errors that only STS has, named after its shapes."""

from __future__ import annotations

from lambent.errors import ServiceError


class InvalidAuthorizationMessageException(ServiceError):
    """The encoded message is none that a service has made."""


class InvalidParameterValue(ServiceError):
    """A parameter has an unacceptable value (no shape of its own)."""


class InvalidIdentityTokenException(ServiceError):
    """The token of an identity provider cannot be accepted."""


class PackedPolicyTooLargeException(ServiceError):
    """Session policies and tags are too large together."""


class ValidationError(ServiceError):
    """A parameter is not acceptable (query protocol's word)."""
