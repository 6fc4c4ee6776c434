"""Tags of queues, and the permissions in their policies."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from lambent.domain.call import Call
from lambent.domain.limits import TAGS_MAX
from lambent.domain.message_queue import MessageQueue
from lambent.domain.policy_document import has_statement, with_statement, without_statement, written
from lambent.errors import InvalidParameterValueException
from lambent.services import Members
from lambent.services.sqs.errors import OverLimit, missing
from lambent.services.sqs.lookup import Lookup
from lambent.services.sqs.message_rules import bad_value

_LABEL = re.compile(r"[A-Za-z0-9_-]{1,80}")
_ACCOUNT = re.compile(r"\d{12}")
_ACTIONS = frozenset(
    {
        "*",
        "SendMessage",
        "ReceiveMessage",
        "DeleteMessage",
        "ChangeMessageVisibility",
        "GetQueueAttributes",
        "GetQueueUrl",
        "ListDeadLetterSourceQueues",
        "PurgeQueue",
    }
)
_OWNERS_ACTIONS = frozenset(
    {
        "AddPermission",
        "CancelMessageMoveTask",
        "CreateQueue",
        "DeleteQueue",
        "ListMessageMoveTasks",
        "ListQueueTags",
        "ListQueues",
        "RemovePermission",
        "SetQueueAttributes",
        "StartMessageMoveTask",
        "TagQueue",
        "UntagQueue",
    }
)
_ACTIONS_MAX = 7


class TagOperations:
    """The operations on tags."""

    def __init__(self, *, lookup: Lookup) -> None:
        self._lookup = lookup

    async def tag_queue(self, call: Call, parameters: Members) -> Members:
        """Add tags (API page TagQueue).

        Raises:
            QueueDoesNotExist: there is no such queue.
            InvalidParameterValueException: there would be more than 50.
        """
        queue = await self._lookup.owned(call, parameters)
        added: Mapping[str, str] = parameters.get("Tags") or {}
        if not added:
            raise missing("Tags")
        await self._lookup.change(queue, lambda now: _tagged(now, {**now.tags, **added}))
        return {}

    async def untag_queue(self, call: Call, parameters: Members) -> Members:
        """Remove tags (API page UntagQueue).

        Raises:
            QueueDoesNotExist: there is no such queue.
            InvalidParameterValueException: none are named.
        """
        queue = await self._lookup.owned(call, parameters)
        removed: list[str] = parameters.get("TagKeys") or []
        if not removed:
            raise InvalidParameterValueException("Tag keys must be between 1 and 128 characters in length.")
        await self._lookup.change(
            queue, lambda now: _tagged(now, {k: v for k, v in now.tags.items() if k not in removed})
        )
        return {}

    async def list_queue_tags(self, call: Call, parameters: Members) -> Members:
        """Return the tags (API page ListQueueTags).

        Raises:
            QueueDoesNotExist: there is no such queue.
        """
        queue = await self._lookup.owned(call, parameters)
        return {"Tags": dict(queue.tags)} if queue.tags else {}


def _tagged(queue: MessageQueue, tags: Mapping[str, str]) -> MessageQueue:
    if len(tags) > TAGS_MAX:
        raise InvalidParameterValueException(f"Too many tags added for queue {queue.name}.")
    return replace(queue, tags=tags)


class PermissionOperations:
    """The operations on statements of a queue's policy."""

    def __init__(self, *, lookup: Lookup) -> None:
        self._lookup = lookup

    async def add_permission(self, call: Call, parameters: Members) -> Members:
        """Add a statement that lets accounts do something (API page AddPermission).

        Raises:
            QueueDoesNotExist: there is no such queue.
            InvalidParameterValueException: label, accounts or actions cannot be, or the label exists.
            OverLimit: there are too many actions.
        """
        queue = await self._lookup.owned(call, parameters)
        label = _label(parameters)
        accounts: list[str] = parameters.get("AWSAccountIds") or []
        actions: list[str] = parameters.get("Actions") or []
        if not accounts or not all(_ACCOUNT.fullmatch(account) for account in accounts):
            raise bad_value(accounts, "PrincipalId", "Unable to verify.")
        if not actions:
            raise missing("Actions")
        _check_actions(actions)
        statement = {
            "Sid": label,
            "Effect": "Allow",
            "Principal": {"AWS": _one_or_all([f"arn:aws:iam::{account}:root" for account in accounts])},
            "Action": _one_or_all([f"SQS:{action}" for action in actions]),
            "Resource": queue.arn,
        }
        await self._lookup.change(queue, lambda now: _with_statement(now, statement))
        return {}

    async def remove_permission(self, call: Call, parameters: Members) -> Members:
        """Remove a statement (API page RemovePermission).

        Raises:
            QueueDoesNotExist: there is no such queue.
            InvalidParameterValueException: there is no statement of this label.
        """
        queue = await self._lookup.owned(call, parameters)
        label = _label(parameters)
        await self._lookup.change(queue, lambda now: _without_statement(now, label))
        return {}


def _check_actions(actions: list[str]) -> None:
    for action in actions:
        if action in _ACTIONS:
            continue
        reason = "Please refer to the appropriate WSDL for a list of valid actions."
        if action in _OWNERS_ACTIONS:
            reason = "Only the queue owner is allowed to invoke this action."
        raise bad_value(f"SQS:{action}", "ActionName", reason)
    if len(actions) > _ACTIONS_MAX:
        raise OverLimit(f"{len(actions)} Actions were found, maximum allowed is {_ACTIONS_MAX}.")


def _label(parameters: Members) -> str:
    label: str = parameters.get("Label") or ""
    if not _LABEL.fullmatch(label):
        raise bad_value(label, "Label", "Must be 1 to 80 alphanumeric characters, hyphens or underscores.")
    return label


def _one_or_all(values: list[str]) -> str | list[str]:
    return values[0] if len(values) == 1 else values


def _policy(queue: MessageQueue) -> dict[str, Any]:
    text = queue.attributes.get("Policy")
    if text:
        return json.loads(text)
    return {"Version": "2008-10-17", "Id": f"{queue.arn}/SQSDefaultPolicy", "Statement": []}


def _with_statement(queue: MessageQueue, statement: dict[str, Any]) -> MessageQueue:
    policy = _policy(queue)
    if has_statement(policy, statement["Sid"]):
        raise bad_value(statement["Sid"], "Label", "Already exists.")
    return _with_policy(queue, with_statement(policy, statement))


def _without_statement(queue: MessageQueue, label: str) -> MessageQueue:
    policy = _policy(queue)
    if not has_statement(policy, label):
        raise bad_value(label, "Label", "can't find label on existing policy.")
    return _with_policy(queue, without_statement(policy, label))


def _with_policy(queue: MessageQueue, policy: dict[str, Any]) -> MessageQueue:
    attributes = {name: value for name, value in queue.attributes.items() if name != "Policy"}
    if policy["Statement"]:
        attributes["Policy"] = written(policy)
    return replace(queue, attributes=attributes)
