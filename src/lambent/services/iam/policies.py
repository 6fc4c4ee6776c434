"""Managed policies: those of the account, with their versions, and those of AWS, which only AWS changes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from lambent.clock import Clock
from lambent.domain.call import Call
from lambent.domain.identity import AWS_MANAGED, Group, Policy, PolicyVersion, Role, User, named
from lambent.domain.policy_document import check_identity_policy, size_of
from lambent.errors import AccessDenied, LimitExceededException
from lambent.services import Members
from lambent.services.iam import quotas
from lambent.services.iam.entities import change, new_id, require_policy
from lambent.services.iam.errors import (
    DeleteConflictException,
    EntityAlreadyExistsException,
    NoSuchEntityException,
)
from lambent.services.iam.pages import paged
from lambent.services.iam.shapes import encoded, policy_details, policy_members, version_members
from lambent.services.iam.tags import tag_page, with_tags, without_tags
from lambent.store.identities import Draft, Identities
from lambent.store.managed_policies import aws_managed_policies

PERMISSIONS = "PermissionsPolicy"
BOUNDARY = "PermissionsBoundary"
Uses = Counter[tuple[str, str]]
"""How often, by ``PolicyUsageType`` and the ARN of the policy."""


class Policies:
    """Operations on managed policies. Attaching them is `RolePolicies` and its siblings."""

    def __init__(self, identities: Identities, clock: Clock) -> None:
        self._identities = identities
        self._clock = clock

    async def create_policy(self, call: Call, parameters: Members) -> Members:
        """Make a policy with its first version.

        Raises:
            EntityAlreadyExistsException: the name is taken, whatever the path.
            MalformedPolicyDocumentException: the document is no policy.
            LimitExceededException: the document is too long, or there are 1,500 policies.
        """
        now_s = int(self._clock.now_s())
        document = _checked(parameters["PolicyDocument"])
        policy = Policy(
            account=call.account,
            name=parameters["PolicyName"],
            path=parameters.get("Path", "/"),
            id=new_id("ANPA"),
            created_s=now_s,
            updated_s=now_s,
            description=parameters.get("Description"),
            versions=(PolicyVersion(id="v1", document=document, created_s=now_s),),
            default_version_id="v1",
            tags=with_tags({}, parameters.get("Tags")),
        )

        async def decide(draft: Draft) -> None:
            if await draft.get(Policy, named(call.account, policy.name)) is not None:
                raise EntityAlreadyExistsException(
                    f"A policy called {policy.name} already exists. Duplicate names are not allowed."
                )
            count = await self._identities.count(Policy, call.account, limit=quotas.POLICIES)
            quotas.check_quota(count + 1, quotas.POLICIES, "PoliciesPerAccount")
            draft.put(policy)

        await change(self._identities, decide)
        return {"Policy": policy_details(policy, attachments=0, boundaries=0)}

    async def get_policy(self, call: Call, parameters: Members) -> Members:
        """Return a policy."""
        policy = await require_policy(self._identities, call.account, parameters["PolicyArn"])
        uses = await uses_of(self._identities, call.account)
        return {
            "Policy": policy_details(
                policy, attachments=uses[PERMISSIONS, policy.arn], boundaries=uses[BOUNDARY, policy.arn]
            )
        }

    async def list_policies(self, call: Call, parameters: Members) -> Members:
        """Return policies in the order of their names: ``Scope`` All, Local (the account's) or AWS."""
        scope = parameters.get("Scope", "All")
        prefix = parameters.get("PathPrefix", "/")
        usage = parameters.get("PolicyUsageFilter", PERMISSIONS)
        uses = await uses_of(self._identities, call.account)
        policies = [] if scope == "AWS" else await self._identities.list(Policy, call.account)
        policies += [] if scope == "Local" else aws_managed_policies().values()
        if parameters.get("OnlyAttached"):
            policies = [policy for policy in policies if uses[usage, policy.arn]]
        found = [policy for policy in policies if policy.path.startswith(prefix)]
        shown, more = paged(found, parameters, key=lambda policy: f"{policy.name.lower()} {policy.account}")
        return {
            "Policies": [
                policy_members(
                    policy, attachments=uses[PERMISSIONS, policy.arn], boundaries=uses[BOUNDARY, policy.arn]
                )
                for policy in shown
            ],
            **more,
        }

    async def delete_policy(self, call: Call, parameters: Members) -> Members:
        """Delete a policy that nobody has and that has no version but the default.

        Raises:
            DeleteConflictException: somebody has it, or there are other versions.
        """

        async def decide(draft: Draft) -> None:
            policy = await self._require_own(draft, call, "DeletePolicy", parameters)
            # Whoever attaches the policy after this writes it too (`touch`) and so undoes this decision.
            uses = await uses_of(self._identities, call.account)
            if uses[PERMISSIONS, policy.arn] or uses[BOUNDARY, policy.arn]:
                raise DeleteConflictException("Cannot delete a policy attached to entities.")
            if len(policy.versions) > 1:
                raise DeleteConflictException(
                    "This policy has more than one version. Before you delete a policy, you must delete the "
                    "policy's versions. The default version is deleted with the policy."
                )
            draft.delete(policy)

        await change(self._identities, decide)
        return {}

    async def create_policy_version(self, call: Call, parameters: Members) -> Members:
        """Add a version, in force at once with ``SetAsDefault``.

        Raises:
            LimitExceededException: there are five.
        """
        now_s = int(self._clock.now_s())
        document = _checked(parameters["PolicyDocument"])

        def updated(policy: Policy) -> Policy:
            if len(policy.versions) >= quotas.VERSIONS_PER_POLICY:
                raise LimitExceededException(
                    "A managed policy can have up to 5 versions. Before you create a new version, you must "
                    "delete an existing version."
                )
            number = policy.last_version + 1
            version = PolicyVersion(id=f"v{number}", document=document, created_s=now_s)
            return replace(
                policy,
                versions=(*policy.versions, version),
                last_version=number,
                default_version_id=version.id
                if parameters.get("SetAsDefault")
                else policy.default_version_id,
                updated_s=now_s,
            )

        policy = await self._update(call, "CreatePolicyVersion", parameters, updated)
        return {"PolicyVersion": version_members(policy, policy.versions[-1])}

    async def get_policy_version(self, call: Call, parameters: Members) -> Members:
        """Return a version with its document."""
        policy = await require_policy(self._identities, call.account, parameters["PolicyArn"])
        version = _require_version(policy, parameters["VersionId"])
        return {"PolicyVersion": version_members(policy, version) | {"Document": encoded(version.document)}}

    async def list_policy_versions(self, call: Call, parameters: Members) -> Members:
        """Return the versions without their documents, newest first."""
        policy = await require_policy(self._identities, call.account, parameters["PolicyArn"])
        newest_first = {version.id: f"{place:04d}" for place, version in enumerate(reversed(policy.versions))}
        shown, more = paged(policy.versions, parameters, key=lambda version: newest_first[version.id])
        return {"Versions": [version_members(policy, version) for version in shown], **more}

    async def set_default_policy_version(self, call: Call, parameters: Members) -> Members:
        """Put a version in force."""
        now_s = int(self._clock.now_s())

        def updated(policy: Policy) -> Policy:
            version = _require_version(policy, parameters["VersionId"])
            return replace(policy, default_version_id=version.id, updated_s=now_s)

        await self._update(call, "SetDefaultPolicyVersion", parameters, updated)
        return {}

    async def delete_policy_version(self, call: Call, parameters: Members) -> Members:
        """Delete a version.

        Raises:
            DeleteConflictException: it is the default version.
        """
        now_s = int(self._clock.now_s())

        def updated(policy: Policy) -> Policy:
            version = _require_version(policy, parameters["VersionId"])
            if version.id == policy.default_version_id:
                raise DeleteConflictException("Cannot delete the default version of a policy.")
            versions = tuple(other for other in policy.versions if other.id != version.id)
            return replace(policy, versions=versions, updated_s=now_s)

        await self._update(call, "DeletePolicyVersion", parameters, updated)
        return {}

    async def list_entities_for_policy(self, call: Call, parameters: Members) -> Members:
        """Return who has a policy attached or, by ``PolicyUsageFilter``, as permissions boundary."""
        policy = await require_policy(self._identities, call.account, parameters["PolicyArn"])
        usage = parameters.get("PolicyUsageFilter")
        prefix = parameters.get("PathPrefix", "/")
        found = [
            holder
            for holder in await holders_of(self._identities, call.account)
            if holder.path.startswith(prefix)
            and parameters.get("EntityFilter") in (None, type(holder).__name__)
            and _has(holder, policy.arn, usage)
        ]
        shown, more = paged(found, parameters, key=lambda holder: f"{type(holder).__name__}/{holder.key}")
        return {
            "PolicyGroups": _entity_members(shown, Group, "Group"),
            "PolicyUsers": _entity_members(shown, User, "User"),
            "PolicyRoles": _entity_members(shown, Role, "Role"),
            **more,
        }

    async def tag_policy(self, call: Call, parameters: Members) -> Members:
        """Set tags."""
        given = parameters["Tags"]
        await self._update(
            call, "TagPolicy", parameters, lambda policy: replace(policy, tags=with_tags(policy.tags, given))
        )
        return {}

    async def untag_policy(self, call: Call, parameters: Members) -> Members:
        """Remove tags; keys that are not there are no error."""
        keys = parameters["TagKeys"]
        await self._update(
            call,
            "UntagPolicy",
            parameters,
            lambda policy: replace(policy, tags=without_tags(policy.tags, keys)),
        )
        return {}

    async def list_policy_tags(self, call: Call, parameters: Members) -> Members:
        """Return the tags."""
        policy = await require_policy(self._identities, call.account, parameters["PolicyArn"])
        return tag_page(policy.tags, parameters)

    async def _update(
        self, call: Call, operation: str, parameters: Members, updated: Callable[[Policy], Policy]
    ) -> Policy:
        async def decide(draft: Draft) -> Policy:
            policy = updated(await self._require_own(draft, call, operation, parameters))
            draft.put(policy)
            return policy

        return await change(self._identities, decide)

    async def _require_own(self, draft: Draft, call: Call, operation: str, parameters: Members) -> Policy:
        policy = await require_policy(draft, call.account, parameters["PolicyArn"])
        if policy.account == AWS_MANAGED:
            raise AccessDenied(
                f"User: {call.principal.arn} is not authorized to perform: iam:{operation} on resource: "
                f"policy {policy.arn}"
            )
        return policy


async def holders_of(identities: Identities, account: str) -> list[Role | User | Group]:
    """Return who can have policies in an account."""
    roles = await identities.list(Role, account)
    users = await identities.list(User, account)
    return [*roles, *users, *await identities.list(Group, account)]


async def uses_of(identities: Identities, account: str) -> Uses:
    """Return how often each policy is attached, and how often it is a boundary."""
    # Counted anew each time: a counter kept beside the attachments could only ever disagree with them.
    uses: Uses = Counter()
    for holder in await holders_of(identities, account):
        uses.update((PERMISSIONS, arn) for arn in holder.attached_policies)
        if not isinstance(holder, Group) and holder.permissions_boundary is not None:
            uses[BOUNDARY, holder.permissions_boundary] += 1
    return uses


def _has(holder: Role | User | Group, arn: str, usage: str | None) -> bool:
    is_attached = arn in holder.attached_policies
    is_boundary = not isinstance(holder, Group) and holder.permissions_boundary == arn
    return (is_attached and usage != BOUNDARY) or (is_boundary and usage != PERMISSIONS)


def _entity_members(
    holders: list[Role | User | Group], kind: type[Role | User | Group], word: str
) -> list[dict[str, Any]]:
    return [
        {f"{word}Name": holder.name, f"{word}Id": holder.id} for holder in holders if isinstance(holder, kind)
    ]


def _require_version(policy: Policy, version_id: str) -> PolicyVersion:
    for version in policy.versions:
        if version.id == version_id:
            return version
    raise NoSuchEntityException(
        f"Policy {policy.arn} version {version_id} does not exist or is not attachable."
    )


def _checked(document: str) -> str:
    check_identity_policy(document)
    quotas.check_quota(size_of(document), quotas.MANAGED_POLICY_CHARACTERS, "PolicySize")
    return document
