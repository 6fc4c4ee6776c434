"""The errors that callers see, named after AWS's shapes.

A `ServiceError` is an answer: raised by a service or by anything below it, it reaches the caller as the AWS
error of the same name. The HTTP status, the spelling of the message member and the headers come from the
service's model when the model knows the shape; the class gives the status for shapes it does not know. Only
`wire` turns an error into bytes. A failure of the user's function is not an error but an `Outcome`.
"""

from __future__ import annotations

from typing import Any, ClassVar


class ServiceError(Exception):
    """An AWS error answer.

    Args:
        message: the text that AWS gives.
        members: further members of the error shape, by their AWS name (for instance ``Reason``).
    """

    status: ClassVar[int] = 400
    code: ClassVar[str | None] = None  # None: the class name is the code

    def __init__(self, message: str = "", **members: Any) -> None:
        super().__init__(message)
        self.message = message
        self.members = members

    @property
    def error_code(self) -> str:
        """The code on the wire, for instance ``ResourceNotFoundException``."""
        return type(self).code or type(self).__name__

    @property
    def fault(self) -> str:
        """``Client`` when the caller is to blame, else ``Server``."""
        return "Client" if self.status < 500 else "Server"


class AccessDenied(ServiceError):
    """The caller may not do this (query protocol's word)."""

    status = 403


class AccessDeniedException(ServiceError):
    """The caller may not do this."""

    status = 403


class AuthorizationErrorException(ServiceError):
    """The caller may not do this (SNS's word)."""

    status = 403


class CodeStorageExceededException(ServiceError):
    """The account's code storage is full."""


class ExpiredTokenException(ServiceError):
    """The session token has expired."""

    status = 403


class IncompleteSignatureException(ServiceError):
    """A required part of the signature is missing."""

    code = "IncompleteSignatureException"


class InternalFailure(ServiceError):
    """A bug of ours; the log has the traceback."""

    status = 500


class InvalidAction(ServiceError):
    """The query protocol's word for an operation that does not exist."""


class InvalidClientTokenId(ServiceError):
    """The access key id does not exist (query protocol's word)."""

    status = 403


class InvalidParameterException(ServiceError):
    """A parameter is not acceptable (CloudWatch Logs' word)."""


class InvalidParameterValueException(ServiceError):
    """A parameter has an unacceptable value."""


class InvalidRequestContentException(ServiceError):
    """The request body could not be parsed as JSON, or a header is malformed."""


class InvalidSignatureException(ServiceError):
    """The signature does not match the request."""

    status = 403


class LimitExceededException(ServiceError):
    """A limit of the service was reached."""


class MalformedPolicyDocumentException(ServiceError):
    """The policy document is not a valid policy."""

    code = "MalformedPolicyDocument"


class MissingAuthenticationTokenException(ServiceError):
    """The request carries no signature at all."""

    status = 403


class NotImplemented_(ServiceError):  # noqa: N801 - the bare word is Python's
    """The operation exists at AWS and is not served here yet."""

    status = 501
    code = "NotImplemented"


class OperationAbortedException(ServiceError):
    """Several requests to change the same resource were in conflict."""


class PreconditionFailedException(ServiceError):
    """The revision id given is not the current one."""

    status = 412


class RecursiveInvocationException(ServiceError):
    """The function has been invoked too often in one chain."""


class RequestEntityTooLargeException(ServiceError):
    """The request body is over the limit of the operation."""

    status = 413


class RequestExpired(ServiceError):
    """The signature was made too long ago."""


class RequestTooLargeException(ServiceError):
    """The invocation payload is over the limit."""

    status = 413


class ResourceAlreadyExistsException(ServiceError):
    """CloudWatch Logs: the group or stream exists."""


class ResourceConflictException(ServiceError):
    """The resource exists, or another operation on it is in progress."""

    status = 409


class ResourceInUseException(ServiceError):
    """The operation conflicts with what is going on with the resource."""


class ResourceNotFoundException(ServiceError):
    """There is no such resource."""

    status = 404


class SerializationException(ServiceError):
    """The request body is not what the protocol asks for."""


class ServiceException(ServiceError):
    """Lambda met an internal error."""

    status = 500


class SnapStartException(ServiceError):
    """An environment could not be restored: an after-restore hook failed."""

    status = 400


class SnapStartNotReadyException(ServiceError):
    """The version's snapshot is still being made."""

    status = 409


class SnapStartTimeoutException(ServiceError):
    """An environment could not be restored in time."""

    status = 408


class TooManyRequestsException(ServiceError):
    """The request was throttled; ``Reason`` says by which limit."""

    status = 429


class UnknownOperationException(ServiceError):
    """No operation of any service matches the request."""

    status = 404


class UnrecognizedClientException(ServiceError):
    """The access key id or session token is unknown."""

    status = 403


class UnsupportedMediaTypeException(ServiceError):
    """The body's content type is not JSON."""

    status = 415


class ValidationException(ServiceError):
    """A parameter breaks a constraint of the model."""
