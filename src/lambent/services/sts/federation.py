"""GetFederationToken: a user lends a part of what it may do to somebody of a name of its choice."""

from __future__ import annotations

from typing import Any

from lambent.clock import Clock
from lambent.domain.call import Call, root_principal
from lambent.domain.session import ASSUMED_ROLE_KEY_PREFIX, Session, seal
from lambent.errors import AccessDenied
from lambent.services import Members
from lambent.services.sts.sessions import (
    ROOT_SESSION_TOKEN_DURATION_MAX_S,
    SESSION_TOKEN_DURATION_S,
    packed_percent_of,
)
from lambent.services.sts.shapes import credentials_members


class Federation:
    """The operation for federated users (AWS STS API Reference)."""

    def __init__(self, secret: bytes, clock: Clock) -> None:
        self._secret = secret
        self._clock = clock

    async def get_federation_token(self, call: Call, parameters: Members) -> Members:
        """Return credentials that may do what the caller and the session's policies both allow.

        Raises:
            AccessDenied: the caller has temporary credentials already.
            MalformedPolicyDocumentException: the session policy is no policy.
            PackedPolicyTooLargeException: policies and tags are too large together.
        """
        if ":assumed-role/" in call.principal.arn or call.access_key_id.startswith(ASSUMED_ROLE_KEY_PREFIX):
            raise AccessDenied("Cannot call GetFederationToken with session credentials")
        packed_percent = packed_percent_of(parameters)
        duration_s = parameters.get("DurationSeconds", SESSION_TOKEN_DURATION_S)
        if call.principal == root_principal(call.account):
            duration_s = min(duration_s, ROOT_SESSION_TOKEN_DURATION_MAX_S)
        session = Session(
            account=call.account,
            role_arn="",
            role_id="",
            name="",
            expires_s=int(self._clock.now_s()) + duration_s,
            policy=parameters.get("Policy"),
            policy_arns=tuple(entry["arn"] for entry in parameters.get("PolicyArns", ())),
            tags={tag["Key"]: tag["Value"] for tag in parameters.get("Tags", ())},
            lent_arn=call.principal.arn,
            lent_id=call.principal.user_id,
            federated_name=parameters["Name"],
        )
        answer: dict[str, Any] = {
            "Credentials": credentials_members(seal(self._secret, session), session.expires_s),
            "FederatedUser": {"FederatedUserId": session.user_id, "Arn": session.arn},
        }
        if packed_percent:
            answer["PackedPolicySize"] = packed_percent
        return answer
