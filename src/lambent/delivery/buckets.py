"""Buckets as targets: a parcel becomes an object of the S3 that the server was told of."""

from __future__ import annotations

from typing import Protocol

from lambent.arn import parse_arn
from lambent.delivery import Undeliverable
from lambent.domain.parcel import Parcel
from lambent.domain.s3_object import S3Error, S3Object


class Put(Protocol):
    """`lambent.wire.s3.S3Client.put`."""

    async def __call__(self, place: S3Object, content: bytes, *, content_type: str) -> None: ...


class BucketTarget:
    """See `lambent.delivery.Target`.

    Args:
        put: keeps an object; None: the server was told of no S3.
        region: in which buckets are, whose ARNs have none.
    """

    def __init__(self, *, put: Put | None, region: str) -> None:
        self._put = put
        self._region = region

    async def deliver(self, parcel: Parcel) -> None:
        arn = parse_arn(parcel.arn)
        if arn is None or not parcel.key:
            raise Undeliverable("it is no bucket's ARN, or nothing that becomes an object", is_final=True)
        if self._put is None:
            raise Undeliverable(
                "the server was told of no S3 (the setting s3_endpoint_url is empty)", is_final=True
            )
        place = S3Object(region=self._region, bucket=arn.resource, key=parcel.key)
        try:
            await self._put(place, parcel.body, content_type="application/json")
        except S3Error as error:
            # What S3 refuses it refuses again; a bucket may be about to be made.
            is_final = 400 <= error.status < 500 and error.code != "NoSuchBucket"
            raise Undeliverable(f"S3 answered {error.code}: {error.message}", is_final=is_final) from error
