"""What passwords of an account's users have to be like (IAM User Guide, "Account password policy")."""

from __future__ import annotations

import string
from typing import Any

from lambent.domain.call import Call
from lambent.services import Members
from lambent.services.iam.accounts import MINIMUM_PASSWORD_LENGTH, Accounts, PasswordPolicy
from lambent.services.iam.errors import NoSuchEntityException, PasswordPolicyViolationException

_DEFAULT_LENGTH = 8
_DEFAULT_KINDS = 3
"""Without a policy: of how many of the four kinds of characters a password has to have some."""
_SYMBOLS = frozenset("!@#$%^&*()_+-=[]{}|'")


class PasswordPolicies:
    """Operations on the account's password policy."""

    def __init__(self, accounts: Accounts) -> None:
        self._accounts = accounts

    async def get_account_password_policy(self, call: Call, parameters: Members) -> Members:
        """Return the password policy.

        Raises:
            NoSuchEntityException: the account has AWS's default, which is not shown.
        """
        policy = (await self._accounts.get(call.account)).password_policy
        if policy is None:
            raise _no_policy(call)
        return {"PasswordPolicy": _members(policy)}

    async def update_account_password_policy(self, call: Call, parameters: Members) -> Members:
        """Set the password policy; what is not given falls back to its default."""
        policy = PasswordPolicy(
            minimum_length=parameters.get("MinimumPasswordLength", MINIMUM_PASSWORD_LENGTH),
            symbols=parameters.get("RequireSymbols", False),
            numbers=parameters.get("RequireNumbers", False),
            uppercase=parameters.get("RequireUppercaseCharacters", False),
            lowercase=parameters.get("RequireLowercaseCharacters", False),
            users_may_change=parameters.get("AllowUsersToChangePassword", False),
            max_age_days=parameters.get("MaxPasswordAge"),
            reuse_prevention=parameters.get("PasswordReusePrevention"),
            hard_expiry=parameters.get("HardExpiry"),
        )
        await self._accounts.set_password_policy(call.account, policy)
        return {}

    async def delete_account_password_policy(self, call: Call, parameters: Members) -> Members:
        """Go back to AWS's default.

        Raises:
            NoSuchEntityException: the account has it already.
        """
        if (await self._accounts.get(call.account)).password_policy is None:
            raise _no_policy(call)
        await self._accounts.set_password_policy(call.account, None)
        return {}


def check_password(password: str, policy: PasswordPolicy | None) -> None:
    """Check a password.

    Raises:
        PasswordPolicyViolationException: it is not as the policy, or AWS's default, wants it.
    """
    has = {
        "symbols": any(sign in _SYMBOLS for sign in password),
        "numbers": any(sign in string.digits for sign in password),
        "uppercase": any(sign in string.ascii_uppercase for sign in password),
        "lowercase": any(sign in string.ascii_lowercase for sign in password),
    }
    if policy is None:
        is_good = len(password) >= _DEFAULT_LENGTH and sum(has.values()) >= _DEFAULT_KINDS
    else:
        wanted = [kind for kind in has if getattr(policy, kind)]
        is_good = len(password) >= policy.minimum_length and all(has[kind] for kind in wanted)
    if not is_good:
        raise PasswordPolicyViolationException("Password does not conform to the account password policy.")


def _members(policy: PasswordPolicy) -> dict[str, Any]:
    members: dict[str, Any] = {
        "MinimumPasswordLength": policy.minimum_length,
        "RequireSymbols": policy.symbols,
        "RequireNumbers": policy.numbers,
        "RequireUppercaseCharacters": policy.uppercase,
        "RequireLowercaseCharacters": policy.lowercase,
        "AllowUsersToChangePassword": policy.users_may_change,
        "ExpirePasswords": policy.max_age_days is not None,
    }
    for member, value in (
        ("MaxPasswordAge", policy.max_age_days),
        ("PasswordReusePrevention", policy.reuse_prevention),
        ("HardExpiry", policy.hard_expiry),
    ):
        if value is not None:
            members[member] = value
    return members


def _no_policy(call: Call) -> NoSuchEntityException:
    return NoSuchEntityException(f"The Password Policy with domain name {call.account} cannot be found.")
