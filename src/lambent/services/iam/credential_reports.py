"""Credential reports: a table of all users and their credentials (IAM User Guide, "Getting credential reports")."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec

from lambent.clock import Clock
from lambent.domain.call import Call, root_principal
from lambent.domain.identity import AccessKey, AccessKeyUse, User
from lambent.services import Members
from lambent.services.iam.accounts import Account, Accounts, PasswordPolicy
from lambent.services.iam.errors import CredentialReportExpiredException, CredentialReportNotPresentException
from lambent.services.iam.shapes import date
from lambent.store import Documents, Put
from lambent.store.identities import Identities

KIND = "iam-credential-report"
_VALID_S = 4 * 3600
"""Within this time a report is not made anew."""
_KEYS = 2
_COLUMNS = (
    "user",
    "arn",
    "user_creation_time",
    "password_enabled",
    "password_last_used",
    "password_last_changed",
    "password_next_rotation",
    "mfa_active",
    *(
        f"access_key_{number}_{column}"
        for number in (1, 2)
        for column in (
            "active",
            "last_rotated",
            "last_used_date",
            "last_used_region",
            "last_used_service",
        )
    ),
    "cert_1_active",
    "cert_1_last_rotated",
    "cert_2_active",
    "cert_2_last_rotated",
)
_NONE = "N/A"


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A report as it is kept."""

    made_s: int
    content: str
    """CSV."""


class CredentialReports:
    """Operations on credential reports."""

    def __init__(
        self, identities: Identities, accounts: Accounts, documents: Documents, clock: Clock
    ) -> None:
        self._identities = identities
        self._accounts = accounts
        self._documents = documents
        self._clock = clock

    async def generate_credential_report(self, call: Call, parameters: Members) -> Members:
        """Make a report, unless there is one that is not four hours old."""
        if await self._current(call) is not None:
            return {"State": "COMPLETE"}
        report = Report(made_s=int(self._clock.now_s()), content=await self._content(call))
        await self._documents.apply(Put(kind=KIND, key=call.account, body=msgspec.json.encode(report)))
        return {
            "State": "STARTED",
            "Description": "No report exists. Starting a new report generation task",
        }

    async def get_credential_report(self, call: Call, parameters: Members) -> Members:
        """Return the report.

        Raises:
            CredentialReportNotPresentException: none was made.
            CredentialReportExpiredException: it is older than four hours.
        """
        report = await self._current(call)
        if report is None:
            if await self._documents.get(KIND, call.account) is None:
                raise CredentialReportNotPresentException("No report available")
            raise CredentialReportExpiredException("The most recent credential report has expired")
        return {
            "Content": report.content.encode(),
            "ReportFormat": "text/csv",
            "GeneratedTime": date(report.made_s),
        }

    async def _current(self, call: Call) -> Report | None:
        document = await self._documents.get(KIND, call.account)
        if document is None:
            return None
        report = msgspec.json.decode(document.body, type=Report)
        return report if self._clock.now_s() - report.made_s < _VALID_S else None

    async def _content(self, call: Call) -> str:
        account = await self._accounts.get(call.account)
        text = io.StringIO()
        table = csv.writer(text, lineterminator="\n")
        table.writerow(_COLUMNS)
        table.writerow(_root_row(account))
        for user in await self._identities.list(User, call.account):
            table.writerow([*_password_columns(user, account.password_policy), *await self._keys(user)])
        return text.getvalue().removesuffix("\n")

    async def _keys(self, user: User) -> list[str]:
        columns: list[str] = []
        for key_id in user.access_keys:
            key = await self._identities.get(AccessKey, key_id)
            use = await self._identities.get(AccessKeyUse, key_id)
            if key is not None:
                used = [_time(use.used_s), use.region, use.service] if use else [_NONE, _NONE, _NONE]
                columns += [_flag(key.status == "Active"), _time(key.created_s), *used]
        missing = _KEYS - len(columns) // 5
        columns += ["false", _NONE, _NONE, _NONE, _NONE] * missing
        return [*columns, "false", _NONE, "false", _NONE]


def _root_row(account: Account) -> list[str]:
    return [
        "<root_account>",
        root_principal(account.id).arn,
        _time(account.created_s),
        "not_supported",
        "no_information",
        "not_supported",
        "not_supported",
        "false",
        *["false", _NONE, _NONE, _NONE, _NONE] * _KEYS,
        "false",
        _NONE,
        "false",
        _NONE,
    ]


def _password_columns(user: User, policy: PasswordPolicy | None) -> list[str]:
    profile = user.login_profile
    columns = [user.name, user.arn, _time(user.created_s)]
    if profile is None:
        return [*columns, "false", _NONE, _NONE, _NONE, "false"]
    rotation = _NONE
    if policy is not None and policy.max_age_days is not None:
        rotation = _time(profile.changed_s + policy.max_age_days * 86_400)
    # Nobody signs in with a password here.
    return [*columns, "true", "no_information", _time(profile.changed_s), rotation, "false"]


def _flag(value: bool) -> str:
    return "true" if value else "false"


def _time(epoch_s: int) -> str:
    return datetime.fromtimestamp(epoch_s, UTC).isoformat()
