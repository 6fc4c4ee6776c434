"""What an account may use of Lambda in a region, and what it does use."""

from __future__ import annotations

from lambent.domain.call import Call
from lambent.domain.limits import CODE_STORAGE_MAX_BYTES, UNZIPPED_MAX_BYTES, ZIP_UPLOAD_MAX_BYTES
from lambent.services import Members
from lambent.services.lambda_.code_storage import CodeStorage
from lambent.services.lambda_.records import Records


class AccountOperations:
    """The operation on the account itself."""

    def __init__(self, *, records: Records, code_storage: CodeStorage, account_concurrency: int) -> None:
        self._records = records
        self._code_storage = code_storage
        self._account_concurrency = account_concurrency

    async def get_account_settings(self, call: Call, parameters: Members) -> Members:
        """Return limits and usage of the caller's account in this region (API page GetAccountSettings)."""
        count = reserved = 0
        async for function in self._records.functions_of(call.account, call.region):
            count += 1
            reserved += function.reserved_concurrency or 0
        return {
            "AccountLimit": {
                "TotalCodeSize": CODE_STORAGE_MAX_BYTES,
                "CodeSizeUnzipped": UNZIPPED_MAX_BYTES,
                "CodeSizeZipped": ZIP_UPLOAD_MAX_BYTES,
                "ConcurrentExecutions": self._account_concurrency,
                "UnreservedConcurrentExecutions": max(0, self._account_concurrency - reserved),
            },
            "AccountUsage": {
                "TotalCodeSize": self._code_storage.used_bytes(call.account, call.region),
                "FunctionCount": count,
            },
        }
