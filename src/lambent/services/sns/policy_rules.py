"""Which delivery and filter policies can be. Pure; the sentences about filter policies are AWS's."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, cast

from lambent.domain.delivery_policy import DELAY_MAX_S, RETRIES_MAX, retry_policy
from lambent.domain.pattern_form import Dialect, PatternError, check_alternatives, is_choice
from lambent.errors import InvalidParameterException

_KEYS_MAX = 5
_COMBINATIONS_MAX = 150
_FILTER_MAX_BYTES = 262_144
_DEPTH_MAX = 32
_DIALECT = Dialect(
    texts=frozenset({"prefix", "suffix", "equals-ignore-case"}), exceptions=frozenset({"prefix"})
)
_BACKOFFS = frozenset({"linear", "arithmetic", "geometric", "exponential"})
_CONTENT_TYPES = frozenset(
    {
        "application/atom+xml",
        "application/json",
        "application/octet-stream",
        "application/soap+xml",
        "application/x-www-form-urlencoded",
        "application/xhtml+xml",
        "application/xml",
        "text/css",
        "text/csv",
        "text/html",
        "text/plain",
        "text/xml",
    }
)
Fail = Callable[[str], InvalidParameterException]
"""Makes the error from what is wrong with a policy."""


class FilterRules:
    """Checks a filter policy.

    Args:
        fail: makes the error.
        scope: ``MessageAttributes`` or ``MessageBody``.
    """

    def __init__(self, fail: Fail, scope: str) -> None:
        self._fail_with = fail
        self._is_nested = scope == "MessageBody"

    def check(self, text: str) -> None:
        """Refuse a text that is no filter policy.

        Raises:
            InvalidParameterException: it is none, or too complex.
        """
        if len(text.encode()) > _FILTER_MAX_BYTES:
            raise self._fail("Filter policy is too complex")
        policy = _parsed(text)
        if not isinstance(policy, dict):
            raise self._fail("failed to parse JSON.")
        policy = cast("dict[str, Any]", policy)
        if len(policy) > _KEYS_MAX:
            raise self._fail("Filter policy can not have more than 5 keys")
        if self._object(policy, depth=1, before=1) > _COMBINATIONS_MAX:
            raise self._fail("Filter policy is too complex")

    def _object(self, policy: Mapping[str, Any], *, depth: int, before: int) -> int:
        """Check an object, and return how many combinations of values there are with those before it."""
        if depth > _DEPTH_MAX:
            raise self._fail("Filter policy is too complex")
        combinations = before
        for name, wanted in policy.items():
            if name == "$or" and is_choice(wanted):
                combinations = sum(self._object(one, depth=depth, before=combinations) for one in wanted)
            elif isinstance(wanted, dict):
                if not self._is_nested:
                    raise self._fail_with(
                        "Filter policy scope MessageAttributes does not support nested filter policy"
                    )
                nested = cast("Mapping[str, Any]", wanted)
                combinations = self._object(nested, depth=depth + 1, before=combinations)
            else:
                try:
                    check_alternatives(name, wanted, _DIALECT)
                except PatternError as error:
                    raise self._fail(error.reason) from error
                combinations *= len(cast("list[Any]", wanted)) * depth
        return combinations

    def _fail(self, reason: str) -> InvalidParameterException:
        return self._fail_with(f"FilterPolicy: {reason}")


def check_subscription_delivery(text: str, fail: Fail) -> None:
    """Refuse a text that is no subscription's DeliveryPolicy.

    Raises:
        InvalidParameterException: it is none.
    """
    policy = _object_of(text, fail)
    known = {"healthyRetryPolicy", "sicklyRetryPolicy", "throttlePolicy", "requestPolicy", "guaranteed"}
    _check_names(policy, known, fail)
    _check_parts(policy, "", fail)


def check_topic_delivery(text: str, fail: Fail) -> None:
    """Refuse a text that is no topic's DeliveryPolicy.

    Raises:
        InvalidParameterException: it is none.
    """
    policy = _object_of(text, fail)
    _check_names(policy, {"http"}, fail)
    http = policy.get("http")
    if http is None:
        return
    if not isinstance(http, dict):
        raise fail("DeliveryPolicy: http must be an object")
    members = cast("Mapping[str, Any]", http)
    parts = {"defaultHealthyRetryPolicy", "defaultThrottlePolicy", "defaultRequestPolicy"}
    _check_names(members, parts | {"defaultSicklyRetryPolicy", "disableSubscriptionOverrides"}, fail)
    if not isinstance(members.get("disableSubscriptionOverrides", False), bool):
        raise fail("DeliveryPolicy: http.disableSubscriptionOverrides must be true or false")
    _check_parts(members, "default", fail)


def _check_parts(policy: Mapping[str, Any], prefix: str, fail: Fail) -> None:
    def part(name: str) -> Mapping[str, Any]:
        full = prefix + name if prefix else name[0].lower() + name[1:]
        given = policy.get(full)
        if given is not None and not isinstance(given, dict):
            raise fail(f"DeliveryPolicy: {full} must be an object")
        return cast("Mapping[str, Any]", given or {})

    _check_retries(part("HealthyRetryPolicy"), fail)
    throttle = part("ThrottlePolicy")
    _check_names(throttle, {"maxReceivesPerSecond"}, fail)
    rate = throttle.get("maxReceivesPerSecond")
    if rate is not None and not (_is_whole(rate) and rate >= 1):
        raise fail("DeliveryPolicy: throttlePolicy.maxReceivesPerSecond must be greater than or equal to 1")
    request = part("RequestPolicy")
    _check_names(request, {"headerContentType"}, fail)
    content_type = request.get("headerContentType", "text/plain")
    if not isinstance(content_type, str) or _media_type(content_type) not in _CONTENT_TYPES:
        raise fail("DeliveryPolicy: requestPolicy.headerContentType is not supported")


def _check_retries(policy: Mapping[str, Any], fail: Fail) -> None:
    counts = ("numRetries", "numNoDelayRetries", "numMinDelayRetries", "numMaxDelayRetries")
    _check_names(policy, {*counts, "minDelayTarget", "maxDelayTarget", "backoffFunction"}, fail)

    def whole(name: str, low: int, high: int) -> None:
        value = policy.get(name)
        if value is not None and not (_is_whole(value) and low <= value <= high):
            raise fail(f"DeliveryPolicy: healthyRetryPolicy.{name} must be from {low} to {high}")

    for name in counts:
        whole(name, 0, RETRIES_MAX)
    for name in ("minDelayTarget", "maxDelayTarget"):
        whole(name, 1, DELAY_MAX_S)
    if str(policy.get("backoffFunction") or "linear") not in _BACKOFFS:
        raise fail(
            "DeliveryPolicy: healthyRetryPolicy.backoffFunction must be one of arithmetic, exponential, "
            "geometric or linear"
        )
    retries = retry_policy(policy)
    if retries.min_delay_s > retries.max_delay_s:
        raise fail(
            "DeliveryPolicy: healthyRetryPolicy.maxDelayTarget must be greater than or equal to minDelayTarget"
        )
    if retries.at_once + retries.at_min_delay + retries.at_max_delay > retries.retries:
        raise fail(
            "DeliveryPolicy: healthyRetryPolicy.numRetries must be greater than or equal to the sum of "
            "numMinDelayRetries, numNoDelayRetries and numMaxDelayRetries"
        )
    if retries.total_s > DELAY_MAX_S:
        raise fail(
            f"DeliveryPolicy: healthyRetryPolicy must not take longer than {DELAY_MAX_S} seconds in total"
        )


def _check_names(given: Mapping[str, Any], known: set[str], fail: Fail) -> None:
    for name in given:
        if name not in known:
            raise fail(f"DeliveryPolicy: unexpected JSON member: {name}")


def _object_of(text: str, fail: Fail) -> Mapping[str, Any]:
    policy = _parsed(text)
    if not isinstance(policy, dict):
        raise fail("DeliveryPolicy: failed to parse JSON.")
    return cast("Mapping[str, Any]", policy)


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _media_type(content_type: str) -> str:
    is_writable = content_type.isascii() and content_type.isprintable()
    return content_type.partition(";")[0].strip().lower() if is_writable else ""
