"""What an account may use of Lambda in a region, and what it does use."""

from __future__ import annotations

from lambent.domain.call import Call
from lambent.domain.limits import CODE_STORAGE_MAX_BYTES, UNZIPPED_MAX_BYTES, ZIP_UPLOAD_MAX_BYTES
from lambent.services import Members
from lambent.services.lambda_.code_storage import CodeStorage
from lambent.services.lambda_.usage import AccountUsage


class AccountOperations:
    """The operation on the account itself."""

    def __init__(self, *, code_storage: CodeStorage, usage: AccountUsage) -> None:
        self._code_storage = code_storage
        self._usage = usage

    async def get_account_settings(self, call: Call, parameters: Members) -> Members:
        """Return limits and usage of the caller's account in this region (API page GetAccountSettings)."""
        return {
            "AccountLimit": {
                "TotalCodeSize": CODE_STORAGE_MAX_BYTES,
                "CodeSizeUnzipped": UNZIPPED_MAX_BYTES,
                "CodeSizeZipped": ZIP_UPLOAD_MAX_BYTES,
                "ConcurrentExecutions": self._usage.account_concurrency,
                "UnreservedConcurrentExecutions": self._usage.unreserved(call.account, call.region),
            },
            "AccountUsage": {
                "TotalCodeSize": self._code_storage.used_bytes(call.account, call.region),
                "FunctionCount": self._usage.functions(call.account, call.region),
            },
        }
