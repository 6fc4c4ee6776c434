"""Resource policies: which services may write into an account's logs, or into one group. Kept and shown.

Nobody of AWS's writes into logs here, so that nothing asks them; a policy that could not be one is refused.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any

import msgspec

from lambent.clock import Clock
from lambent.domain.call import Call
from lambent.domain.policy_document import check_resource_policy
from lambent.errors import (
    InvalidParameterException,
    LimitExceededException,
    MalformedPolicyDocumentException,
    OperationAbortedException,
    ResourceNotFoundException,
)
from lambent.services import Members
from lambent.services.logs.lookup import Lookup, key_of_identifier
from lambent.services.logs.tokens import place_of, token_of
from lambent.store import Delete, Documents, Put, RevisionConflict
from lambent.store.log_groups import LogGroupKey

KIND = "log-resource-policy"
POLICIES_MAX = 10
"""Of an account in a region; a group has one."""
ACCOUNT_POLICY_MAX_BYTES = 5120
_DESCRIBE_LIMIT = 50
_LIST_MAX = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredPolicy:
    """A policy as it is kept."""

    name: str | None
    document: str
    updated_ms: int
    resource_arn: str | None = None
    """Of the group that it lies on; None: it is the account's."""
    revision_id: str | None = None
    """Of a group's policy; new on each change."""


class ResourcePolicies:
    """Operations on resource policies."""

    def __init__(self, documents: Documents, lookup: Lookup, clock: Clock) -> None:
        self._documents = documents
        self._lookup = lookup
        self._clock = clock

    async def put_resource_policy(self, call: Call, parameters: Members) -> Members:
        """PutResourcePolicy: make one, or replace that of the same name, or of the same group.

        Raises:
            InvalidParameterException: name or document is missing, or the document is no policy.
            LimitExceededException: the account has ten, or the document is too long.
            ResourceNotFoundException: there is no such group.
            OperationAbortedException: the policy is at another revision.
        """
        name, document = parameters.get("policyName"), parameters.get("policyDocument")
        arn: str | None = parameters.get("resourceArn")
        if document is None or (name is None and arn is None):
            raise InvalidParameterException("policyName and policyDocument must be specified.")
        _check(document)
        if arn is None and len(document.encode()) > ACCOUNT_POLICY_MAX_BYTES:
            raise LimitExceededException("Resource limit exceeded.")
        key, scope = await self._place(call, name, arn)
        found = await self._get(key)
        await self._check_room(call, key, arn)
        _check_revision(found[1] if found else None, parameters.get("expectedRevisionId"))
        policy = StoredPolicy(
            name=name,
            document=document,
            updated_ms=int(self._clock.now_s() * 1000),
            resource_arn=scope,
            revision_id=str(uuid.uuid4()) if scope else None,
        )
        change = Put(
            kind=KIND, key=key, body=msgspec.json.encode(policy), expect_revision=found[0] if found else 0
        )
        await self._apply(change)
        result: dict[str, Any] = {"resourcePolicy": _described(policy)}
        if policy.revision_id is not None:
            result["revisionId"] = policy.revision_id
        return result

    async def delete_resource_policy(self, call: Call, parameters: Members) -> Members:
        """DeleteResourcePolicy: by name, or that of a group.

        Raises:
            InvalidParameterException: neither is given.
            ResourceNotFoundException: there is none.
            OperationAbortedException: the policy is at another revision.
        """
        name, arn = parameters.get("policyName"), parameters.get("resourceArn")
        if name is None and arn is None:
            raise InvalidParameterException("policyName must be specified.")
        key, _ = await self._place(call, name, arn)
        found = await self._get(key)
        if found is None or (arn is not None and name not in (None, found[1].name)):
            raise ResourceNotFoundException(f"Policy with name [{name or arn}] does not exist.")
        _check_revision(found[1], parameters.get("expectedRevisionId"))
        await self._apply(Delete(kind=KIND, key=key, expect_revision=found[0]))
        return {}

    async def describe_resource_policies(self, call: Call, parameters: Members) -> Members:
        """DescribeResourcePolicies: the account's, or with ``policyScope`` RESOURCE those of groups.

        Raises:
            ResourceNotFoundException: there is no such group.
            InvalidParameterException: the token is not ours.
        """
        arn = parameters.get("resourceArn")
        of_groups = arn is not None or parameters.get("policyScope") == "RESOURCE"
        prefix = _prefix(call, of_groups=of_groups)
        if arn is not None:
            prefix, _ = await self._place(call, None, arn)
        after = place_of(parameters["nextToken"], str) if "nextToken" in parameters else ""
        limit: int = parameters.get("limit", _DESCRIBE_LIMIT)
        found = await self._documents.list(KIND, prefix=prefix, after=after, limit=limit + 1)
        if arn is not None:
            found = [document for document in found if document.key == prefix]
        policies = [msgspec.json.decode(document.body, type=StoredPolicy) for document in found[:limit]]
        result: dict[str, Any] = {"resourcePolicies": [_described(policy) for policy in policies]}
        if len(found) > limit:
            result["nextToken"] = token_of(found[limit - 1].key)
        return result

    async def _place(self, call: Call, name: str | None, arn: str | None) -> tuple[str, str | None]:
        """Return under which key a policy is kept, and the ARN of the group that it lies on."""
        if arn is None:
            return _prefix(call, of_groups=False) + (name or ""), None
        group = await self._lookup.stored(key_of_identifier(call, arn))
        return _key_of_group(group.key), group.key.arn

    async def _get(self, key: str) -> tuple[int, StoredPolicy] | None:
        document = await self._documents.get(KIND, key)
        if document is None:
            return None
        return document.revision, msgspec.json.decode(document.body, type=StoredPolicy)

    async def _check_room(self, call: Call, key: str, arn: str | None) -> None:
        if arn is not None:
            return
        known = await self._documents.list(KIND, prefix=_prefix(call, of_groups=False), limit=_LIST_MAX)
        if len([document for document in known if document.key != key]) >= POLICIES_MAX:
            raise LimitExceededException("Resource limit exceeded.")

    async def _apply(self, change: Put | Delete) -> None:
        try:
            await self._documents.apply(change)
        except RevisionConflict as error:
            raise _conflict() from error


def forgotten_with(group: LogGroupKey) -> Delete:
    """Return the change by which the policy of a group goes with it."""
    return Delete(kind=KIND, key=_key_of_group(group))


def _key_of_group(group: LogGroupKey) -> str:
    return f"{group.account}/{group.region}/group/{group.name}"


def _prefix(call: Call, *, of_groups: bool) -> str:
    return f"{call.account}/{call.region}/{'group' if of_groups else 'account'}/"


def _check(document: str) -> None:
    try:
        check_resource_policy(document)
    except MalformedPolicyDocumentException as error:
        raise InvalidParameterException(f"Invalid policy document: {error.message}") from error


def _check_revision(policy: StoredPolicy | None, expected: str | None) -> None:
    if expected is not None and (policy is None or policy.revision_id != expected):
        raise _conflict()


def _conflict() -> OperationAbortedException:
    return OperationAbortedException(
        "A conflicting operation is currently in progress against this resource. Please try again."
    )


def _described(policy: StoredPolicy) -> dict[str, Any]:
    described: dict[str, Any] = {
        "policyDocument": policy.document,
        "lastUpdatedTime": policy.updated_ms,
        "policyScope": "ACCOUNT" if policy.resource_arn is None else "RESOURCE",
    }
    for member, value in (
        ("policyName", policy.name),
        ("resourceArn", policy.resource_arn),
        ("revisionId", policy.revision_id),
    ):
        if value is not None:
            described[member] = value
    return described
