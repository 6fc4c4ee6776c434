"""Which delivery and filter policies can be. Pure; the sentences about filter policies are AWS's."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

from lambent.domain.delivery_policy import DELAY_MAX_S, RETRIES_MAX, retry_policy
from lambent.errors import InvalidParameterException

_KEYS_MAX = 5
_COMBINATIONS_MAX = 150
_FILTER_MAX_BYTES = 262_144
_DEPTH_MAX = 32
_TEXT_OPERATORS = frozenset({"prefix", "suffix", "equals-ignore-case"})
_LOWER = frozenset({">", ">="})
_UPPER = frozenset({"<", "<="})
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
            if name == "$or" and _is_choice(wanted):
                combinations = sum(self._object(one, depth=depth, before=combinations) for one in wanted)
            elif isinstance(wanted, dict):
                if not self._is_nested:
                    raise self._fail_with(
                        "Filter policy scope MessageAttributes does not support nested filter policy"
                    )
                nested = cast("Mapping[str, Any]", wanted)
                combinations = self._object(nested, depth=depth + 1, before=combinations)
            elif isinstance(wanted, list):
                alternatives = cast("list[Any]", wanted)
                if not alternatives:
                    raise self._fail("Empty arrays are not allowed")
                for alternative in alternatives:
                    self._alternative(alternative)
                combinations *= len(alternatives) * depth
            else:
                raise self._fail(f'"{name}" must be an object or an array')
        return combinations

    def _alternative(self, value: Any) -> None:
        if isinstance(value, list):
            raise self._fail("Match value must be String, number, true, false, or null")
        if not isinstance(value, dict):
            return
        matcher = cast("dict[str, Any]", value)
        if len(matcher) != 1:
            raise self._fail("Only one key allowed in match expression")
        ((operator, operand),) = matcher.items()
        if operator in _TEXT_OPERATORS:
            self._text(operator, operand)
        elif operator == "anything-but":
            self._exception(operand)
        elif operator == "exists":
            if not isinstance(operand, bool):
                raise self._fail("exists match pattern must be either true or false.")
        elif operator == "numeric":
            self._numeric(operand)
        elif operator == "cidr":
            self._cidr(operand)
        else:
            raise self._fail(f"Unrecognized match type {operator}")

    def _text(self, operator: str, operand: Any) -> None:
        if not isinstance(operand, str):
            raise self._fail(f"{operator} match pattern must be a string")

    def _exception(self, operand: Any) -> None:
        if isinstance(operand, dict):
            for operator, text in cast("dict[str, Any]", operand).items():
                if operator != "prefix":
                    raise self._fail(f"Unsupported anything-but pattern: {operator}")
                self._text(operator, text)
            if not operand:
                raise self._fail("Only one key allowed in match expression")
            return
        values = cast("list[Any]", operand) if isinstance(operand, list) else [operand]
        if not values:
            raise self._fail("Empty arrays are not allowed")
        for value in values:
            if isinstance(value, dict | list):
                raise self._fail("Match value must be String, number, true, false, or null")

    def _numeric(self, operand: Any) -> None:
        terms: Sequence[Any] = cast("list[Any]", operand) if isinstance(operand, list) else []
        if not terms:
            raise self._fail("Invalid member in numeric match: ]")
        first = terms[0]
        if not isinstance(first, str):
            raise self._fail(f"Invalid member in numeric match: {first}")
        if first not in _LOWER | _UPPER | {"="}:
            raise self._fail(f"Unrecognized numeric range operator: {first}")
        low = self._number(terms, 1, first)
        if len(terms) == 2:
            return
        if first not in _LOWER:
            raise self._fail("Too many elements in numeric expression")
        second = terms[2]
        if not isinstance(second, str):
            raise self._fail(f"Bad value in numeric range: {second}")
        if second not in _UPPER:
            raise self._fail(f"Bad numeric range operator: {second}")
        if self._number(terms, 3, second) <= low:
            raise self._fail("Bottom must be less than top")
        if len(terms) > 4:
            raise self._fail("Too many terms in numeric range expression")

    def _number(self, terms: Sequence[Any], at: int, operator: str) -> float:
        value = terms[at] if at < len(terms) else None
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self._fail(f"Value of {'equals' if operator == '=' else operator} must be numeric")
        return value

    def _cidr(self, operand: Any) -> None:
        if not isinstance(operand, str):
            raise self._fail("prefix match pattern must be a string")
        address, slash, bits = operand.partition("/")
        if not slash or "/" in bits:
            raise self._fail("Malformed CIDR, one '/' required")
        if not bits.isascii() or not bits.isdigit():
            raise self._fail("Malformed CIDR, mask bits must be an integer")
        try:
            ipaddress.ip_network(operand, strict=False)
        except ValueError as error:
            raise self._fail(f"Nonstandard IP address: {address}") from error

    def _fail(self, reason: str) -> InvalidParameterException:
        return self._fail_with(f"FilterPolicy: {reason}")


def _is_choice(wanted: Any) -> bool:
    """Whether the value of ``$or`` is one of alternatives; else it is a key like any other."""
    if not isinstance(wanted, list):
        return False
    choices = cast("list[Any]", wanted)
    return len(choices) > 1 and all(isinstance(choice, dict) for choice in choices)


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
