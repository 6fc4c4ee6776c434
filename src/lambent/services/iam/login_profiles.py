"""Passwords of users: kept as hashes, held to the account's policy. There is no console here that they would open."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import secrets
from dataclasses import replace
from typing import Any

from lambent.clock import Clock
from lambent.domain.call import Call
from lambent.domain.identity import LoginProfile, User
from lambent.errors import AccessDenied
from lambent.services import Members
from lambent.services.iam.accounts import Accounts
from lambent.services.iam.entities import calling_user, change, require_user
from lambent.services.iam.errors import (
    EntityAlreadyExistsException,
    InvalidUserTypeException,
    NoSuchEntityException,
    PasswordPolicyViolationException,
    ValidationError,
)
from lambent.services.iam.password_policies import check_password
from lambent.services.iam.shapes import date
from lambent.store.identities import Draft, Identities

_HASHES_MAX = 25
"""A policy can look 24 passwords back."""


class LoginProfiles:
    """Operations on passwords."""

    def __init__(self, identities: Identities, accounts: Accounts, clock: Clock) -> None:
        self._identities = identities
        self._accounts = accounts
        self._clock = clock

    async def create_login_profile(self, call: Call, parameters: Members) -> Members:
        """Give a user a password.

        Raises:
            EntityAlreadyExistsException: the user has one.
            PasswordPolicyViolationException: it is not as the account's policy wants it.
        """
        name = parameters.get("UserName") or calling_user(call)
        password = parameters.get("Password")
        if password is None:
            raise ValidationError(
                "1 validation error detected: Value null at 'password' failed to satisfy constraint: "
                "Member must not be null"
            )
        await self._check(call, password)
        now_s, salt = int(self._clock.now_s()), secrets.token_hex(16)
        profile = LoginProfile(
            created_s=now_s,
            changed_s=now_s,
            salt=salt,
            hashes=(await _hash(salt, password),),
            is_reset_required=parameters.get("PasswordResetRequired", False),
        )

        async def decide(draft: Draft) -> User:
            user = await require_user(draft, call.account, name)
            if user.login_profile is not None:
                raise EntityAlreadyExistsException(f"Login Profile for User {user.name} already exists.")
            user = replace(user, login_profile=profile)
            draft.put(user)
            return user

        return {"LoginProfile": _members(await change(self._identities, decide))}

    async def get_login_profile(self, call: Call, parameters: Members) -> Members:
        """Return since when a user has a password, and whether it has to be changed."""
        name = parameters.get("UserName") or calling_user(call)
        user = await require_user(self._identities, call.account, name)
        _require(user)
        return {"LoginProfile": _members(user)}

    async def update_login_profile(self, call: Call, parameters: Members) -> Members:
        """Change a user's password, whether it has to be changed, or both; what is not given stays.

        Raises:
            PasswordPolicyViolationException: it is not as the account's policy wants it.
        """
        user = await require_user(self._identities, call.account, parameters["UserName"])
        _require(user)
        await self._set(
            call, user, parameters.get("Password"), is_reset_required=parameters.get("PasswordResetRequired")
        )
        return {}

    async def delete_login_profile(self, call: Call, parameters: Members) -> Members:
        """Take a user's password away."""
        name = parameters.get("UserName") or calling_user(call)

        async def decide(draft: Draft) -> None:
            user = await require_user(draft, call.account, name)
            _require(user)
            draft.put(replace(user, login_profile=None))

        await change(self._identities, decide)
        return {}

    async def change_password(self, call: Call, parameters: Members) -> Members:
        """Change the caller's own password.

        Raises:
            InvalidUserTypeException: no user calls.
            AccessDenied: the old password is wrong.
            PasswordPolicyViolationException: the new one is not as the account's policy wants it.
        """
        try:
            name = calling_user(call)
        except ValidationError as error:
            raise InvalidUserTypeException("Only IAM Users can change their own password") from error
        user = await require_user(self._identities, call.account, name)
        profile = _require(user)
        old = await _hash(profile.salt, parameters["OldPassword"])
        if not hmac.compare_digest(old, profile.hashes[-1]):
            raise AccessDenied("The old password was incorrect.")
        await self._set(call, user, parameters["NewPassword"], is_reset_required=False)
        return {}

    async def _set(
        self, call: Call, user: User, password: str | None, *, is_reset_required: bool | None
    ) -> None:
        """Change a password and whether it has to be changed, each if given."""
        profile, hashed = _require(user), None
        if password is not None:
            await self._check(call, password)
            hashed = await _hash(profile.salt, password)
            await self._check_reuse(call, profile, hashed)
        now_s = int(self._clock.now_s())

        async def decide(draft: Draft) -> None:
            current = await require_user(draft, call.account, user.name)
            known = _require(current)
            if known.salt != profile.salt:
                # Deleted and made again meanwhile: the later one stays.
                return
            if hashed is not None:
                known = replace(known, hashes=(*known.hashes, hashed)[-_HASHES_MAX:], changed_s=now_s)
            if is_reset_required is not None:
                known = replace(known, is_reset_required=is_reset_required)
            draft.put(replace(current, login_profile=known))

        await change(self._identities, decide)

    async def _check(self, call: Call, password: str) -> None:
        check_password(password, (await self._accounts.get(call.account)).password_policy)

    async def _check_reuse(self, call: Call, profile: LoginProfile, hashed: str) -> None:
        policy = (await self._accounts.get(call.account)).password_policy
        back = policy.reuse_prevention if policy is not None else None
        if back and hashed in profile.hashes[-back:]:
            raise PasswordPolicyViolationException(
                "Password does not conform to the account password policy."
            )


def _require(user: User) -> LoginProfile:
    if user.login_profile is None:
        raise NoSuchEntityException(f"Login Profile for User {user.name} cannot be found.")
    return user.login_profile


async def _hash(salt: str, password: str) -> str:
    """Hash a password; it is made slow on purpose, so it is not done on the event loop."""
    hashed = await asyncio.to_thread(
        hashlib.scrypt, password.encode(), salt=bytes.fromhex(salt), n=2**13, r=8, p=1
    )
    return hashed.hex()


def _members(user: User) -> dict[str, Any]:
    profile = _require(user)
    return {
        "UserName": user.name,
        "CreateDate": date(profile.created_s),
        "PasswordResetRequired": profile.is_reset_required,
    }
