"""An object in S3, as functions' code is kept in some, and why it could not be had."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class S3Object:
    """Which object."""

    region: str
    """Where it is asked for."""
    bucket: str
    key: str
    version: str | None = None
    """None: the newest one."""


class S3Error(Exception):
    """S3's answer was not the object.

    Args:
        status: the HTTP status; 0 when there was no answer at all.
        code: S3's code, for instance ``NoSuchKey``.
        message: S3's text, or one sentence about why there was no answer.
        bucket_region: where S3 says that the bucket is, if it does.
    """

    def __init__(self, *, status: int, code: str, message: str, bucket_region: str | None = None) -> None:
        super().__init__(f"{code}: {message}")
        self.status = status
        self.code = code
        self.message = message
        self.bucket_region = bucket_region


class S3ObjectTooLarge(Exception):
    """The object is larger than whoever asked can take."""
