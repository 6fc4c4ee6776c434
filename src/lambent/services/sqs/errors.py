"""Errors that only SQS has, named after its shapes, with AWS's sentences."""

from __future__ import annotations

from lambent.errors import ServiceError


class BatchEntryIdsNotDistinct(ServiceError):
    """Two entries of a batch have the same id."""


class BatchRequestTooLong(ServiceError):
    """The messages of a batch are too large together."""


class EmptyBatchRequest(ServiceError):
    """A batch has no entries."""


class InvalidAddress(ServiceError):
    """What was given as a queue URL is none."""


class InvalidAttributeName(ServiceError):
    """There is no such attribute."""


class InvalidAttributeValue(ServiceError):
    """An attribute cannot have this value."""


class InvalidBatchEntryId(ServiceError):
    """The id of an entry of a batch has other characters than it may."""


class InvalidMessageContents(ServiceError):
    """The message has characters that XML cannot hold."""


class MissingRequiredParameterException(ServiceError):
    """A parameter is missing."""


class OverLimit(ServiceError):
    """There is more of something than there may be."""

    status = 403


class PurgeQueueInProgress(ServiceError):
    """The queue was purged a moment ago."""


class QueueDeletedRecently(ServiceError):
    """A queue of this name was deleted a moment ago."""


class QueueDoesNotExist(ServiceError):
    """There is no such queue."""


class QueueNameExists(ServiceError):
    """There is a queue of this name with other attributes."""


class ReceiptHandleIsInvalid(ServiceError):
    """The receipt handle is none of ours."""


class TooManyEntriesInBatchRequest(ServiceError):
    """A batch has more than ten entries."""


def missing(parameter: str) -> MissingRequiredParameterException:
    """Return the error for a parameter that is not there."""
    return MissingRequiredParameterException(f"The request must contain the parameter {parameter}.")


def no_queue() -> QueueDoesNotExist:
    """Return the error for a queue that does not exist."""
    return QueueDoesNotExist("The specified queue does not exist.")
