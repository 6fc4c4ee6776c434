"""Tags of IAM entities: keys differ only regardless of case, and keep the case that they were given in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from lambent.errors import LimitExceededException
from lambent.services.iam import quotas
from lambent.services.iam.errors import InvalidInputException
from lambent.services.iam.pages import paged


def with_tags(known: Mapping[str, str], given: Sequence[Mapping[str, str]] | None) -> dict[str, str]:
    """Return `known` with the tags of a ``Tags`` parameter set.

    Raises:
        InvalidInputException: a key is given twice or is AWS's own.
        LimitExceededException: there would be more than 50.
    """
    keys = [tag["Key"].lower() for tag in given or ()]
    if len(set(keys)) < len(keys):
        raise InvalidInputException(
            "Duplicate tag keys found. Please note that Tag keys are case insensitive."
        )
    if any(key.startswith("aws:") for key in keys):
        raise InvalidInputException("aws: prefixed tag key names are not allowed for external use.")
    tags = without_tags(known, keys) | {tag["Key"]: tag["Value"] for tag in given or ()}
    if len(tags) > quotas.TAGS:
        raise LimitExceededException("The number of tags has reached the maximum limit.")
    return tags


def without_tags(known: Mapping[str, str], keys: Iterable[str]) -> dict[str, str]:
    """Return `known` without these keys."""
    gone = {key.lower() for key in keys}
    return {key: value for key, value in known.items() if key.lower() not in gone}


def tag_members(tags: Mapping[str, str]) -> list[dict[str, str]]:
    """Return the ``Tags`` member."""
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def tag_page(tags: Mapping[str, str], parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the answer of a ``List…Tags`` operation."""
    shown, more = paged(tags.items(), parameters, key=lambda tag: tag[0])
    return {"Tags": tag_members(dict(shown)), **more}
