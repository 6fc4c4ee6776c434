"""Entities in the members of IAM's shapes. Policy documents travel URL-encoded (RFC 3986), as AWS sends them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from lambent.domain.identity import AccessKey, Group, InstanceProfile, Policy, PolicyVersion, Role, User
from lambent.services.iam.tags import tag_members


def encoded(document: str) -> str:
    """Return a policy document as IAM's answers carry it."""
    return quote(document, safe="")


def date(epoch_s: int) -> datetime:
    """Return a timestamp member."""
    return datetime.fromtimestamp(epoch_s, UTC)


def role_members(role: Role) -> dict[str, Any]:
    """Return a role with what every answer has; `role_details` adds what only some have."""
    members: dict[str, Any] = {
        "Path": role.path,
        "RoleName": role.name,
        "RoleId": role.id,
        "Arn": role.arn,
        "CreateDate": date(role.created_s),
        "AssumeRolePolicyDocument": encoded(role.trust_policy),
        "MaxSessionDuration": role.max_session_duration_s,
    }
    if role.description is not None:
        members["Description"] = role.description
    return members


def role_details(role: Role) -> dict[str, Any]:
    """Return a role as GetRole does: ListRoles leaves tags and boundary out (its API reference says so)."""
    return role_members(role) | _boundary(role.permissions_boundary) | _tags(role.tags)


def user_members(user: User) -> dict[str, Any]:
    """Return a user with what every answer has."""
    return {
        "Path": user.path,
        "UserName": user.name,
        "UserId": user.id,
        "Arn": user.arn,
        "CreateDate": date(user.created_s),
    }


def user_details(user: User) -> dict[str, Any]:
    """Return a user as GetUser does."""
    return user_members(user) | _boundary(user.permissions_boundary) | _tags(user.tags)


def access_key_members(key: AccessKey) -> dict[str, Any]:
    """Return an access key without its secret, which is shown once."""
    return {
        "UserName": key.user_name,
        "AccessKeyId": key.id,
        "Status": key.status,
        "CreateDate": date(key.created_s),
    }


def group_members(group: Group) -> dict[str, Any]:
    """Return a group."""
    return {
        "Path": group.path,
        "GroupName": group.name,
        "GroupId": group.id,
        "Arn": group.arn,
        "CreateDate": date(group.created_s),
    }


def instance_profile_members(profile: InstanceProfile, roles: list[Role]) -> dict[str, Any]:
    """Return an instance profile with the roles in it."""
    return {
        "Path": profile.path,
        "InstanceProfileName": profile.name,
        "InstanceProfileId": profile.id,
        "Arn": profile.arn,
        "CreateDate": date(profile.created_s),
        "Roles": [role_members(role) for role in roles],
    } | _tags(profile.tags)


def policy_members(policy: Policy, *, attachments: int, boundaries: int) -> dict[str, Any]:
    """Return a managed policy with what every answer has."""
    return {
        "PolicyName": policy.name,
        "PolicyId": policy.id,
        "Arn": policy.arn,
        "Path": policy.path,
        "DefaultVersionId": policy.default_version_id,
        "AttachmentCount": attachments,
        "PermissionsBoundaryUsageCount": boundaries,
        "IsAttachable": True,
        "CreateDate": date(policy.created_s),
        "UpdateDate": date(policy.updated_s),
    }


def policy_details(policy: Policy, *, attachments: int, boundaries: int) -> dict[str, Any]:
    """Return a managed policy as GetPolicy does: ListPolicies leaves description and tags out."""
    members = policy_members(policy, attachments=attachments, boundaries=boundaries) | _tags(policy.tags)
    if policy.description is not None:
        members["Description"] = policy.description
    return members


def version_members(policy: Policy, version: PolicyVersion) -> dict[str, Any]:
    """Return a policy version without its document."""
    return {
        "VersionId": version.id,
        "IsDefaultVersion": version.id == policy.default_version_id,
        "CreateDate": date(version.created_s),
    }


def _boundary(arn: str | None) -> dict[str, Any]:
    if arn is None:
        return {}
    return {"PermissionsBoundary": {"PermissionsBoundaryType": "Policy", "PermissionsBoundaryArn": arn}}


def _tags(tags: Any) -> dict[str, Any]:
    return {"Tags": tag_members(tags)} if tags else {}
