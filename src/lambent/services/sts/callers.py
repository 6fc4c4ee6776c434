"""Who is it? The caller, or the account behind an access key."""

from __future__ import annotations

from lambent.domain.call import Call
from lambent.domain.identity import account_of_access_key
from lambent.services import Members
from lambent.services.sts.errors import InvalidAuthorizationMessageException, ValidationError
from lambent.store.identities import Identities


class Callers:
    """Operations that tell identities (AWS STS API Reference)."""

    def __init__(self, identities: Identities) -> None:
        self._identities = identities

    async def get_caller_identity(self, call: Call, parameters: Members) -> Members:
        """Return the caller's account, ARN and user id."""
        return {"UserId": call.principal.user_id, "Account": call.account, "Arn": call.principal.arn}

    async def decode_authorization_message(self, call: Call, parameters: Members) -> Members:
        """Refuse every message: no service here encodes what it says of a refusal.

        Raises:
            InvalidAuthorizationMessageException: always.
        """
        raise InvalidAuthorizationMessageException("Message is not valid")

    async def get_access_key_info(self, call: Call, parameters: Members) -> Members:
        """Return the account of an access key, which the id names whether or not the key exists.

        Raises:
            ValidationError: the id names no account.
        """
        key_id = parameters["AccessKeyId"]
        key = await self._identities.find_access_key(key_id)
        account = key.account if key is not None else account_of_access_key(key_id)
        if account is None:
            raise ValidationError(f"{key_id} is not a valid access key id")
        return {"Account": account}
