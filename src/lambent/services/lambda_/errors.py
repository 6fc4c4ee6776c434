"""Errors that only Lambda answers, named after its shapes."""

from __future__ import annotations

from lambent.errors import ServiceError


class AliasLimitExceededException(ServiceError):
    """The function has as many aliases as it may have."""


class CapacityProviderLimitExceededException(ServiceError):
    """The account has as many capacity providers as it may."""


class CodeSigningConfigNotFoundException(ServiceError):
    """The code signing configuration does not exist."""

    status = 404


class InvalidCodeSignatureException(ServiceError):
    """The code is not what was signed."""


class NoPublishedVersionException(ServiceError):
    """The function is on a capacity provider, and nothing of it is published."""


class PolicyLengthExceededException(ServiceError):
    """The resource-based policy would be over 20 KB."""


class ProvisionedConcurrencyConfigNotFoundException(ServiceError):
    """The version or alias has no provisioned concurrency."""

    status = 404


class CodeVerificationFailedException(ServiceError):
    """The code is not signed by a publisher that the function's code signing configuration trusts."""
