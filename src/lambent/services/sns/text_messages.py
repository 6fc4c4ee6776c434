"""Text messages: what is settled about them is kept and shown; what would be sent goes to the log.

Nobody answers a text message here, so no number is ever opted out, and no account is in the sandbox, whose numbers
can be verified all the same: their passwords are in the log.
"""

from __future__ import annotations

import secrets
from dataclasses import replace

from lambent.delivery.notifications import Notifications
from lambent.domain.call import Call
from lambent.domain.page_token import token_after
from lambent.domain.text_message import SandboxNumber, TextMessageSettings, is_telephone_number
from lambent.errors import ResourceNotFoundException
from lambent.services import Members
from lambent.services.sns.errors import VerificationException, invalid
from lambent.services.sns.lookup import key_after
from lambent.store.text_messages import TextMessages

_ATTRIBUTES = frozenset(
    {
        "DefaultSMSType",
        "DefaultSenderID",
        "DeliveryStatusIAMRole",
        "DeliveryStatusSuccessSamplingRate",
        "MonthlySpendLimit",
        "UsageReportS3Bucket",
    }
)
_TYPES = ("Promotional", "Transactional")
_RATE_MAX = 100
_LIST_MAX = 100


class TextMessageOperations:
    """The operations on text messages."""

    def __init__(self, *, messages: TextMessages, notifications: Notifications) -> None:
        self._messages = messages
        self._notifications = notifications

    async def get_sms_attributes(self, call: Call, parameters: Members) -> Members:
        """Return settings, those that are named or all (API page GetSMSAttributes)."""
        shown = (await self._messages.get(call.account, call.region)).shown
        named: list[str] = parameters.get("attributes") or []
        return {"attributes": {name: value for name, value in shown.items() if not named or name in named}}

    async def set_sms_attributes(self, call: Call, parameters: Members) -> Members:
        """Change settings; they have no effect (API page SetSMSAttributes).

        Raises:
            InvalidParameterException: there is no such setting, or it cannot have that value.
        """
        given: dict[str, str] = parameters["attributes"]
        for name, value in given.items():
            _check(name, value)

        def changed(now: TextMessageSettings) -> TextMessageSettings:
            attributes = {**now.attributes, **given}
            return replace(now, attributes={name: value for name, value in attributes.items() if value})

        await self._messages.change(call.account, call.region, changed)
        return {}

    async def check_if_phone_number_is_opted_out(self, call: Call, parameters: Members) -> Members:
        """Tell whether a number wants no messages: none does (API page CheckIfPhoneNumberIsOptedOut).

        Raises:
            InvalidParameterException: it is no number.
        """
        _check_number(parameters["phoneNumber"])
        return {"isOptedOut": False}

    async def list_phone_numbers_opted_out(self, call: Call, parameters: Members) -> Members:
        """Return the numbers that want no messages: there are none (API page ListPhoneNumbersOptedOut)."""
        return {"phoneNumbers": []}

    async def opt_in_phone_number(self, call: Call, parameters: Members) -> Members:
        """Let a number have messages again (API page OptInPhoneNumber).

        Raises:
            InvalidParameterException: it is no number.
        """
        _check_number(parameters["phoneNumber"])
        return {}

    async def list_origination_numbers(self, call: Call, parameters: Members) -> Members:
        """Return the numbers that messages come from: there are none (API page ListOriginationNumbers)."""
        return {"PhoneNumbers": []}

    async def get_sms_sandbox_account_status(self, call: Call, parameters: Members) -> Members:
        """Tell whether the account is in the sandbox: it is not (API page GetSMSSandboxAccountStatus)."""
        return {"IsInSandbox": False}

    async def create_sms_sandbox_phone_number(self, call: Call, parameters: Members) -> Members:
        """Add a number, with a password that is told in the log (API page CreateSMSSandboxPhoneNumber).

        Raises:
            InvalidParameterException: it is no number.
        """
        number: str = parameters["PhoneNumber"]
        _check_number(number, "PhoneNumber")
        password = f"{secrets.randbelow(1_000_000):06d}"

        def added(now: TextMessageSettings) -> TextMessageSettings:
            return replace(now, numbers={**now.numbers, number: SandboxNumber(password=password)})

        await self._messages.change(call.account, call.region, added)
        text = f"Your verification code is {password}"
        self._notifications.report_unsent("sms", number, f"the password of {call.account}", text)
        return {}

    async def verify_sms_sandbox_phone_number(self, call: Call, parameters: Members) -> Members:
        """Verify a number by its password (API page VerifySMSSandboxPhoneNumber).

        Raises:
            ResourceNotFoundException: there is no such number.
            VerificationException: the password is another.
        """
        number: str = parameters["PhoneNumber"]

        def verified(now: TextMessageSettings) -> TextMessageSettings:
            known = _known(now, number)
            if not secrets.compare_digest(known.password, parameters["OneTimePassword"]):
                raise VerificationException("Invalid verification code", Status="400")
            return replace(now, numbers={**now.numbers, number: replace(known, is_verified=True)})

        await self._messages.change(call.account, call.region, verified)
        return {}

    async def delete_sms_sandbox_phone_number(self, call: Call, parameters: Members) -> Members:
        """Remove a number (API page DeleteSMSSandboxPhoneNumber).

        Raises:
            ResourceNotFoundException: there is no such number.
        """
        number: str = parameters["PhoneNumber"]

        def removed(now: TextMessageSettings) -> TextMessageSettings:
            _known(now, number)
            return replace(now, numbers={n: one for n, one in now.numbers.items() if n != number})

        await self._messages.change(call.account, call.region, removed)
        return {}

    async def list_sms_sandbox_phone_numbers(self, call: Call, parameters: Members) -> Members:
        """Return the numbers with their states (API page ListSMSSandboxPhoneNumbers).

        Raises:
            InvalidParameterException: the token is none of ours.
        """
        after = key_after(parameters.get("NextToken"))
        limit: int = parameters.get("MaxResults") or _LIST_MAX
        numbers = (await self._messages.get(call.account, call.region)).numbers
        found = sorted(number for number in numbers if number > after)
        shown = [
            {"PhoneNumber": number, "Status": "Verified" if numbers[number].is_verified else "Pending"}
            for number in found[:limit]
        ]
        token = {"NextToken": token_after(found[limit - 1])} if len(found) > limit else {}
        return {"PhoneNumbers": shown, **token}


def _known(settings: TextMessageSettings, number: str) -> SandboxNumber:
    if number not in settings.numbers:
        raise ResourceNotFoundException("The phone number does not exist")
    return settings.numbers[number]


def _check_number(number: str, member: str = "phoneNumber") -> None:
    if not is_telephone_number(number):
        raise invalid(member, "input incorrectly formatted")


def _check(name: str, value: str) -> None:
    if name not in _ATTRIBUTES:
        raise invalid("Attributes", f"{name} is not a valid attribute")
    if name == "DefaultSMSType":
        is_valid = value in _TYPES
    elif name == "DeliveryStatusSuccessSamplingRate":
        is_valid = _is_whole(value) and int(value) <= _RATE_MAX
    elif name == "MonthlySpendLimit":
        is_valid = _is_whole(value)
    else:
        is_valid = True
    if value and not is_valid:
        raise invalid("Attributes", f"{name}: Invalid value [{value}]")


def _is_whole(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 9
