"""Errors that only IAM has, named after its shapes; the model knows their codes (``NoSuchEntity``, …)."""

from __future__ import annotations

from lambent.errors import ServiceError


class ConcurrentModificationException(ServiceError):
    """Several requests changed the same entity at the same time."""

    status = 409


class CredentialReportExpiredException(ServiceError):
    """The last credential report is older than four hours."""

    status = 410


class CredentialReportNotPresentException(ServiceError):
    """No credential report has been made."""

    status = 410


class DeleteConflictException(ServiceError):
    """The entity still has or is something that must go first."""

    status = 409


class EntityAlreadyExistsException(ServiceError):
    """The name is taken."""

    status = 409


class InvalidInputException(ServiceError):
    """A parameter has an unacceptable value."""


class InvalidUserTypeException(ServiceError):
    """Only a user can do this, with the user's own credentials."""


class NoSuchEntityException(ServiceError):
    """There is no such entity."""

    status = 404


class PasswordPolicyViolationException(ServiceError):
    """The password is not as the account's password policy wants it."""


class PolicyNotAttachableException(ServiceError):
    """The policy belongs to a service-linked role and to nobody else."""


class UnmodifiableEntityException(ServiceError):
    """Only the linked service may change its role."""


class ValidationError(ServiceError):
    """A parameter is malformed (query protocol's word)."""
