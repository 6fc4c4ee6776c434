"""Which patterns, schedules and targets a rule can have. Pure; where AWS's sentences are known, they are those."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from lambent.arn import parse_arn
from lambent.domain.event_bus import bus_key
from lambent.domain.json_place import place_at, place_of
from lambent.domain.pattern_form import PatternError, check_pattern
from lambent.domain.schedule import parse_schedule
from lambent.domain.target_input import input_problem
from lambent.errors import ValidationException
from lambent.services.events.errors import InvalidEventPatternException, bad_arn

_WITH_ROLE = frozenset({"batch", "codebuild", "codepipeline", "ecs", "firehose", "kinesis", "states"})
"""Services that EventBridge uses as a role alone (API page PutTargets)."""
_SERVICES = _WITH_ROLE | frozenset(
    {
        "appsync",
        "ec2",
        "events",
        "execute-api",
        "glue",
        "inspector",
        "lambda",
        "logs",
        "redshift",
        "redshift-serverless",
        "sagemaker",
        "sns",
        "sqs",
        "ssm",
        "ssm-incidents",
    }
)
_NEEDED: Mapping[str, str] = {"batch": "BatchParameters", "ecs": "EcsParameters"}


def check_event_pattern(text: str) -> None:
    """Refuse a text that is no event pattern.

    Raises:
        InvalidEventPatternException: it is none; the message says what is wrong and where.
    """
    try:
        pattern = json.loads(text, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        raise _invalid(f"{error.msg} at {place_at(text, error.pos)}") from error
    except (ValueError, RecursionError) as error:
        raise _invalid(f"Unreadable JSON at {place_at(text, 0)}") from error
    try:
        check_pattern(pattern)
    except PatternError as error:
        raise _invalid(f"{error.reason} at {place_of(text, error.path)}") from error


def check_schedule(text: str) -> None:
    """Refuse a text that is no schedule expression.

    Raises:
        ValidationException: it is none.
    """
    if parse_schedule(text) is None:
        raise ValidationException("Parameter ScheduleExpression is not valid.")


def check_target(given: Mapping[str, Any]) -> None:
    """Refuse a target that a rule cannot have.

    Args:
        given: its members.

    Raises:
        ValidationException: it cannot be a target, or lacks what its kind needs.
    """
    target_id, text = given["Id"], given["Arn"]
    arn = parse_arn(text)
    if arn is None or arn.service not in _SERVICES:
        raise bad_arn(text)
    if arn.service in _WITH_ROLE and not given.get("RoleArn"):
        raise ValidationException(f"RoleArn is required for target {text}.")
    needed = _NEEDED.get(arn.service)
    if needed is not None and not given.get(needed):
        raise ValidationException(f"Parameter(s) {needed} must be specified for target: {target_id}.")
    is_ordered = arn.service == "sqs" and text.endswith(".fifo")
    if is_ordered and not _of(given, "SqsParameters").get("MessageGroupId"):
        raise ValidationException(f"Parameter(s) SqsParameters must be specified for target: {target_id}.")
    if bus_key(text) is not None:
        for name in ("Input", "InputPath", "InputTransformer"):
            if given.get(name) is not None:
                raise ValidationException(f"Parameter {name} is not supported for target: {target_id}.")
    if (problem := input_problem(given)) is not None:
        raise ValidationException(problem)
    _check_dead_letters(given)


def _check_dead_letters(given: Mapping[str, Any]) -> None:
    text: str | None = _of(given, "DeadLetterConfig").get("Arn")
    if text is None:
        return
    arn = parse_arn(text)
    if arn is None or arn.service != "sqs" or arn.resource.endswith(".fifo"):
        raise bad_arn(text)


def _of(given: Mapping[str, Any], member: str) -> Mapping[str, Any]:
    return given.get(member) or {}


def _no_constant(name: str) -> Any:
    raise ValueError(name)


def _invalid(reason: str) -> InvalidEventPatternException:
    return InvalidEventPatternException(f"Event pattern is not valid. Reason: {reason}")
