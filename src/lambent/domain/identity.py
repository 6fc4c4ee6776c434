"""Identities: who may ask, and the policies that say for what. The entities of IAM as frozen values.

Each entity carries all that belongs to it (inline policies, attachments, tags): to change one entity is to
change one stored value. Policy documents are kept as the text that the caller gave. IAM is global:
entities belong to an account and to no region, and their names are unique there regardless of case.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field


def access_key_id(prefix: str, account: str, entropy: bytes) -> str:
    """Return an access key id that names its account, as AWS's do.

    Args:
        prefix: ``AKIA`` for a user's keys, ``ASIA`` for temporary ones.
        account: 12 digits.
        entropy: at least 5 bytes; all of the last 4 and 7 bits of the first are used.
    """
    # AWS's layout: a set bit, the account in 40 bits, then what makes the id unique; 80 bits as base32.
    number = 1 << 79 | int(account) << 39 | int.from_bytes(entropy[:5], "big") & ((1 << 39) - 1)
    return prefix + base64.b32encode(number.to_bytes(10, "big")).decode()


def account_of_access_key(key_id: str) -> str | None:
    """Return the account that an access key id names, or None when it names none."""
    try:
        number = int.from_bytes(base64.b32decode(key_id[4:]), "big")
    except (binascii.Error, ValueError):
        return None
    account = number >> 39 & ((1 << 40) - 1)
    is_ours = len(key_id) == 20 and number >> 79 == 1 and account < 10**12
    return f"{account:012d}" if is_ours else None


def named(account: str, name: str) -> str:
    """Return ``account/name``, under which an entity is kept; IAM names differ only regardless of case."""
    return f"{account}/{name.lower()}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """A role: an identity without credentials of its own, assumed by those whom its trust policy names."""

    account: str
    name: str
    path: str = "/"
    id: str
    """``AROA`` and 17 more."""
    created_s: int
    """Seconds since the epoch."""
    trust_policy: str
    """``AssumeRolePolicyDocument``, as given."""
    description: str | None = None
    max_session_duration_s: int = 3600
    tags: Mapping[str, str] = field(default_factory=dict[str, str])
    inline_policies: Mapping[str, str] = field(default_factory=dict[str, str])
    """Policy documents by policy name."""
    attached_policies: tuple[str, ...] = ()
    """ARNs of managed policies."""
    permissions_boundary: str | None = None
    """ARN of a managed policy."""
    instance_profiles: tuple[str, ...] = ()
    """Names of the instance profiles that hold this role."""
    linked_service: str | None = None
    """The service principal that a service-linked role belongs to."""

    @property
    def key(self) -> str:
        """Where the store keeps it."""
        return named(self.account, self.name)

    @property
    def arn(self) -> str:
        """``arn:aws:iam::account:role/path/name``."""
        return f"arn:aws:iam::{self.account}:role{self.path}{self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginProfile:
    """A user's password. There is no console here that it could open."""

    created_s: int
    salt: str = field(repr=False)
    """Of the hashes; hex."""
    hashes: tuple[str, ...] = field(repr=False)
    """Of the password, and before it those that were one; the newest last; hex."""
    changed_s: int
    is_reset_required: bool = False
    """Whether the user has to choose another one when signing in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """A user: an identity with access keys."""

    account: str
    name: str
    path: str = "/"
    id: str
    """``AIDA`` and 17 more."""
    created_s: int
    tags: Mapping[str, str] = field(default_factory=dict[str, str])
    inline_policies: Mapping[str, str] = field(default_factory=dict[str, str])
    attached_policies: tuple[str, ...] = ()
    permissions_boundary: str | None = None
    access_keys: tuple[str, ...] = ()
    """Ids of the user's access keys, oldest first."""
    groups: tuple[str, ...] = ()
    """Names of the groups that the user is in."""
    login_profile: LoginProfile | None = None

    @property
    def key(self) -> str:
        """Where the store keeps it."""
        return named(self.account, self.name)

    @property
    def arn(self) -> str:
        """``arn:aws:iam::account:user/path/name``."""
        return f"arn:aws:iam::{self.account}:user{self.path}{self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessKey:
    """A user's long-lived credentials."""

    id: str
    """``AKIA`` and 16 more."""
    secret: str = field(repr=False)
    account: str
    user_name: str
    user_path: str = "/"
    user_id: str
    created_s: int
    status: str = "Active"
    """``Active`` or ``Inactive``; requests signed with an inactive key are refused."""

    @property
    def key(self) -> str:
        """Where the store keeps it: found by its id alone, since that is all a request names."""
        return self.id

    @property
    def user_arn(self) -> str:
        """The ARN of the user that it belongs to."""
        return f"arn:aws:iam::{self.account}:user{self.user_path}{self.user_name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessKeyUse:
    """When an access key signed a request last, and for what."""

    id: str
    used_s: int
    service: str
    region: str

    @property
    def key(self) -> str:
        """Where the store keeps it: apart from the key, so that using it never contends with changing it."""
        return self.id


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """A group: policies that its users share."""

    account: str
    name: str
    path: str = "/"
    id: str
    """``AGPA`` and 17 more."""
    created_s: int
    inline_policies: Mapping[str, str] = field(default_factory=dict[str, str])
    attached_policies: tuple[str, ...] = ()
    users: tuple[str, ...] = ()
    """Names of its users, in the order they were added."""

    @property
    def key(self) -> str:
        """Where the store keeps it."""
        return named(self.account, self.name)

    @property
    def arn(self) -> str:
        """``arn:aws:iam::account:group/path/name``."""
        return f"arn:aws:iam::{self.account}:group{self.path}{self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceProfile:
    """A container that hands one role to a machine."""

    account: str
    name: str
    path: str = "/"
    id: str
    """``AIPA`` and 17 more."""
    created_s: int
    roles: tuple[str, ...] = ()
    """Names; AWS allows one."""
    tags: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def key(self) -> str:
        """Where the store keeps it."""
        return named(self.account, self.name)

    @property
    def arn(self) -> str:
        """``arn:aws:iam::account:instance-profile/path/name``."""
        return f"arn:aws:iam::{self.account}:instance-profile{self.path}{self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyVersion:
    """One version of a managed policy's document."""

    id: str
    """``v1``, ``v2``, …; numbers are never used twice."""
    document: str
    created_s: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """A managed policy: of the account, or of AWS (then `account` is ``aws``)."""

    account: str
    name: str
    path: str = "/"
    id: str
    """``ANPA`` and 17 more."""
    created_s: int
    updated_s: int
    description: str | None = None
    versions: tuple[PolicyVersion, ...]
    """Oldest first."""
    default_version_id: str
    last_version: int = 1
    """The number of the newest version ever made."""
    tags: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def key(self) -> str:
        """Where the store keeps it."""
        return named(self.account, self.name)

    @property
    def arn(self) -> str:
        """``arn:aws:iam::account:policy/path/name``."""
        return f"arn:aws:iam::{self.account}:policy{self.path}{self.name}"

    @property
    def document(self) -> str:
        """The document of the default version, the one in force."""
        return next(version.document for version in self.versions if version.id == self.default_version_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class OidcProvider:
    """An OpenID Connect provider, whose tokens can stand for a principal of type ``Federated``."""

    account: str
    url: str
    """Without its scheme, which is https."""
    created_s: int
    client_ids: tuple[str, ...] = ()
    """The audiences that its tokens may have."""
    thumbprints: tuple[str, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def key(self) -> str:
        """Where the store keeps it; URLs differ by case, too."""
        return f"{self.account}/{self.url}"

    @property
    def arn(self) -> str:
        """``arn:aws:iam::account:oidc-provider/url``."""
        return f"arn:aws:iam::{self.account}:oidc-provider/{self.url}"


@dataclass(frozen=True, slots=True, kw_only=True)
class SamlProvider:
    """A SAML provider, by its metadata."""

    account: str
    name: str
    id: str
    """``ASPA`` and 17 more."""
    created_s: int
    valid_until_s: int
    metadata: str
    """XML, as given."""
    encryption_mode: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def key(self) -> str:
        """Where the store keeps it."""
        return named(self.account, self.name)

    @property
    def arn(self) -> str:
        """``arn:aws:iam::account:saml-provider/name``."""
        return f"arn:aws:iam::{self.account}:saml-provider/{self.name}"


AWS_MANAGED = "aws"
"""Stands where a managed policy of AWS's would name its account."""

Entity = (
    Role | User | AccessKey | AccessKeyUse | Group | InstanceProfile | Policy | OidcProvider | SamlProvider
)
