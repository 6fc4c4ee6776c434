"""Errors that only Lambda answers, named after its shapes."""

from __future__ import annotations

from lambent.errors import ServiceError


class CodeSigningConfigNotFoundException(ServiceError):
    """The code signing configuration does not exist."""

    status = 404
