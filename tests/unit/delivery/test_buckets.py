"""Buckets as targets."""

from __future__ import annotations

import asyncio

import pytest

from lambent.delivery import Undeliverable
from lambent.delivery.buckets import BucketTarget
from lambent.domain.parcel import Parcel
from lambent.domain.s3_object import S3Error, S3Object

PARCEL = Parcel(arn="arn:aws:s3:::failed", body=b"{}", about="", key="aws/lambda/async/f/x")


class Bucket:
    def __init__(self, error: S3Error | None = None) -> None:
        self.error = error
        self.kept: list[tuple[S3Object, bytes, str]] = []

    async def put(self, place: S3Object, content: bytes, *, content_type: str) -> None:
        if self.error is not None:
            raise self.error
        self.kept.append((place, content, content_type))


def test_a_parcel_becomes_an_object() -> None:
    bucket = Bucket()
    asyncio.run(BucketTarget(put=bucket.put, region="eu-west-1").deliver(PARCEL))
    place = S3Object(region="eu-west-1", bucket="failed", key="aws/lambda/async/f/x")
    assert bucket.kept == [(place, b"{}", "application/json")]


@pytest.mark.parametrize(
    ("status", "code", "is_final"),
    [
        (403, "AccessDenied", True),
        (404, "NoSuchBucket", False),
        (503, "SlowDown", False),
        (0, "Unreachable", False),
    ],
)
def test_what_s3_refuses_for_good_is_not_tried_again(status: int, code: str, is_final: bool) -> None:
    error = S3Error(status=status, code=code, message="no")
    target = BucketTarget(put=Bucket(error).put, region="eu-west-1")
    with pytest.raises(Undeliverable, match=f"S3 answered {code}: no") as caught:
        asyncio.run(target.deliver(PARCEL))
    assert caught.value.is_final is is_final


def test_without_an_s3_it_is_said_that_there_is_none() -> None:
    with pytest.raises(Undeliverable, match="s3_endpoint_url is empty") as caught:
        asyncio.run(BucketTarget(put=None, region="eu-west-1").deliver(PARCEL))
    assert caught.value.is_final
