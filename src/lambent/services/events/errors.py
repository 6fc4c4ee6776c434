"""Errors that only EventBridge has, named after its shapes, with AWS's sentences."""

from __future__ import annotations

from lambent.errors import (
    LimitExceededException,
    NotImplemented_,
    ResourceNotFoundException,
    ServiceError,
    ValidationException,
)


class InvalidEventPatternException(ServiceError):
    """An event pattern is none."""


class PolicyLengthExceededException(ServiceError):
    """The policy of a bus would be too long."""


def no_bus(name: str) -> ResourceNotFoundException:
    """Return the error for a bus that does not exist."""
    return ResourceNotFoundException(f"Event bus {name} does not exist.")


def no_rule(bus: str, name: str) -> ResourceNotFoundException:
    """Return the error for a rule that does not exist."""
    return ResourceNotFoundException(f"Rule {name} does not exist on EventBus {bus}.")


def too_many() -> LimitExceededException:
    """Return the error for more of something than there may be."""
    return LimitExceededException("The requested resource exceeds the maximum number allowed.")


def bad_arn(arn: str) -> ValidationException:
    """Return the error for what is no ARN of the kind that is wanted."""
    return ValidationException(
        f"Parameter {arn} is not valid. Reason: Provided Arn is not in correct format."
    )


def no_partners() -> NotImplemented_:
    """Return the error for what has to do with sources of partners."""
    return NotImplemented_("Lambent has no partner event sources.")
