"""Errors that only SNS has, named after its shapes, with AWS's sentences."""

from __future__ import annotations

from lambent.errors import InvalidParameterException, ServiceError


class BatchEntryIdsNotDistinctException(ServiceError):
    """Two entries of a batch have the same id."""


class BatchRequestTooLongException(ServiceError):
    """The messages of a batch are too large together."""


class EmptyBatchRequestException(ServiceError):
    """A batch has no entries."""


class EndpointDisabledException(ServiceError):
    """A mobile device is sent nothing."""


class InvalidBatchEntryIdException(ServiceError):
    """The id of an entry of a batch has other characters than it may."""


class NotFoundException(ServiceError):
    """There is no such topic or subscription."""

    status = 404


class TagLimitExceededException(ServiceError):
    """A topic would have too many tags."""


class TooManyEntriesInBatchRequestException(ServiceError):
    """A batch has more than ten entries."""


class VerificationException(ServiceError):
    """The one-time password is another."""


def invalid(what: str, reason: str | None = None) -> InvalidParameterException:
    """Return the error for a parameter that cannot be."""
    return InvalidParameterException(
        f"Invalid parameter: {what}" if reason is None else f"Invalid parameter: {what} Reason: {reason}"
    )


def no_topic() -> NotFoundException:
    """Return the error for a topic that does not exist."""
    return NotFoundException("Topic does not exist")


def no_subscription() -> NotFoundException:
    """Return the error for a subscription that does not exist."""
    return NotFoundException("Subscription does not exist")
