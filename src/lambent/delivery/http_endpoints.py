"""Addresses as subscribers: a notification becomes a POST request.

The headers are those of AWS's page "HTTP/HTTPS headers". Within 15 s an endpoint has to answer; what it answers is
judged as "Amazon SNS message delivery retries" says: 5xx and 429 may be better next time, other errors not.
"""

from __future__ import annotations

import base64
from typing import Protocol
from urllib.parse import unquote, urlsplit, urlunsplit

from lambent.delivery import Undeliverable
from lambent.domain.delivery_policy import CONTENT_TYPE
from lambent.domain.publication import Notification
from lambent.domain.subscription import Subscription
from lambent.wire.outgoing import Answer, NoAnswer

TIMEOUT_S = 15.0


class Send(Protocol):
    """`lambent.wire.outgoing.Outgoing.send`."""

    async def __call__(
        self, method: str, url: str, headers: dict[str, str], body: bytes, *, timeout_s: float
    ) -> Answer: ...


async def post(
    send: Send,
    notification: Notification,
    subscription: Subscription,
    body: bytes,
    *,
    content_type: str = CONTENT_TYPE,
) -> None:
    """Send a notification to a subscription's address.

    Raises:
        Undeliverable: it was not taken.
    """
    url, credentials = _without_credentials(subscription.endpoint)
    headers = _headers(notification, subscription, content_type) | credentials
    try:
        answer = await send("POST", url, headers, body, timeout_s=TIMEOUT_S)
    except NoAnswer as error:
        raise Undeliverable(str(error)) from error
    if not 200 <= answer.status < 300:
        may_be_better = answer.status >= 500 or answer.status == 429
        raise Undeliverable(f"it answered with status {answer.status}", is_final=not may_be_better)


def _headers(notification: Notification, subscription: Subscription, content_type: str) -> dict[str, str]:
    publication = notification.publication
    headers = {
        "x-amz-sns-message-type": notification.kind,
        "x-amz-sns-message-id": publication.message_id,
        "x-amz-sns-topic-arn": publication.topic_arn,
    }
    if notification.kind != "SubscriptionConfirmation":
        headers["x-amz-sns-subscription-arn"] = subscription.arn
    if notification.kind == "Notification" and subscription.is_raw:
        headers["x-amz-sns-rawdelivery"] = "true"
    headers["Content-Type"] = content_type if notification.kind == "Notification" else CONTENT_TYPE
    return headers | {"User-Agent": "Amazon Simple Notification Service Agent"}


def _without_credentials(endpoint: str) -> tuple[str, dict[str, str]]:
    """Return an address without the name and password in it, and the header that tells them instead."""
    place = urlsplit(endpoint)
    user, at, host = place.netloc.rpartition("@")
    if not at:
        return endpoint, {}
    encoded = base64.b64encode(unquote(user).encode()).decode()
    return urlunsplit(place._replace(netloc=host)), {"Authorization": f"Basic {encoded}"}
