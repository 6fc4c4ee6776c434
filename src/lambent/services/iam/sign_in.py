"""What else a user of AWS may sign in or sign with: Lambent's users have passwords and access keys, so all this is
empty.

Tools ask for it before they delete a user; making any of it is refused as not served.
"""

from __future__ import annotations

from lambent.domain.call import Call
from lambent.services import Members
from lambent.services.iam.entities import calling_user, require_user
from lambent.store.identities import Identities


class SignIn:
    """Operations that look for devices, certificates and other keys."""

    def __init__(self, identities: Identities) -> None:
        self._identities = identities

    async def list_mfa_devices(self, call: Call, parameters: Members) -> Members:
        """Return no devices."""
        return await self._none(call, parameters, "MFADevices")

    async def list_signing_certificates(self, call: Call, parameters: Members) -> Members:
        """Return no certificates."""
        return await self._none(call, parameters, "Certificates")

    async def list_ssh_public_keys(self, call: Call, parameters: Members) -> Members:
        """Return no keys."""
        return await self._none(call, parameters, "SSHPublicKeys")

    async def list_service_specific_credentials(self, call: Call, parameters: Members) -> Members:
        """Return no credentials."""
        return await self._none(call, parameters, "ServiceSpecificCredentials")

    async def list_virtual_mfa_devices(self, call: Call, parameters: Members) -> Members:
        """Return no devices."""
        return {"VirtualMFADevices": list[object](), "IsTruncated": False}

    async def _none(self, call: Call, parameters: Members, member: str) -> Members:
        await require_user(self._identities, call.account, parameters.get("UserName") or calling_user(call))
        return {member: list[object](), "IsTruncated": False}
