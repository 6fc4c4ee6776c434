"""IAM's quotas, with the words in which it refuses to exceed them (IAM User Guide, "IAM and AWS STS quotas")."""

from __future__ import annotations

from lambent.errors import LimitExceededException

ROLES = 1000
USERS = 5000
GROUPS = 300
INSTANCE_PROFILES = 1000
POLICIES = 1500

ATTACHED_POLICIES = 10
"""Managed policies of one role, user or group."""
GROUPS_PER_USER = 10
ACCESS_KEYS_PER_USER = 2
VERSIONS_PER_POLICY = 5
TAGS = 50

OIDC_PROVIDERS = 100
SAML_PROVIDERS = 100
CLIENT_IDS_PER_PROVIDER = 100
THUMBPRINTS_PER_PROVIDER = 5

TRUST_POLICY_CHARACTERS = 2048
MANAGED_POLICY_CHARACTERS = 6144
ROLE_INLINE_CHARACTERS = 10_240
"""All inline policies of a role together; white space does not count, here and in the others."""
USER_INLINE_CHARACTERS = 2048
GROUP_INLINE_CHARACTERS = 5120


def check_quota(count: int, limit: int, quota: str) -> None:
    """Raise LimitExceededException when `count` is over the limit of a quota, for instance ``PoliciesPerRole``."""
    if count > limit:
        raise LimitExceededException(f"Cannot exceed quota for {quota}: {limit}")
