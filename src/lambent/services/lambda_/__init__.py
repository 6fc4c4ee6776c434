"""Lambda: functions, their code and versions, invocations, tags, the account.

A family of operations per file. What they share: `names` (how callers name functions), `rules` and
`configuration` (what a function may be, and how AWS shows it), `records` (stored functions), `code_storage`
(their packages), `states` and `activations` (how versions become ready to run). Aliases, layers, concurrency,
permissions, URLs and event source mappings are families to come.
"""

from __future__ import annotations

from dataclasses import dataclass

from lambent.clock import Clock
from lambent.services import OperationMethod, operations_of
from lambent.services.lambda_.account import AccountOperations
from lambent.services.lambda_.activations import Activations, Prepare, Retire
from lambent.services.lambda_.code import CodeOperations
from lambent.services.lambda_.code_storage import CodeStorage
from lambent.services.lambda_.functions import FunctionOperations
from lambent.services.lambda_.invocations import RESPONSE_HEADERS, InvocationOperations, Invoker
from lambent.services.lambda_.records import Records
from lambent.services.lambda_.roles import ExecutionRoles
from lambent.services.lambda_.tags import TagOperations
from lambent.services.lambda_.urls import UrlOperations
from lambent.services.lambda_.versions import VersionOperations
from lambent.store import Blobs, Documents
from lambent.store.functions import Functions
from lambent.store.identities import Identities

__all__ = ["RESPONSE_HEADERS", "Invoker", "LambdaService", "Prepare", "Retire", "lambda_service"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LambdaService:
    """The service and the background work behind it."""

    operations: dict[str, OperationMethod]
    records: Records
    code_storage: CodeStorage
    activations: Activations

    async def resume(self) -> None:
        """Take up what a server before this one left; await it before the first call is answered."""
        functions = await self.records.all()
        self.code_storage.count(functions)
        self.activations.resume(functions)

    async def close(self) -> None:
        """Stop the background work."""
        await self.activations.close()
        await self.code_storage.close()


def lambda_service(
    *,
    documents: Documents,
    functions: Functions,
    blobs: Blobs,
    identities: Identities,
    invoker: Invoker,
    clock: Clock,
    secret: bytes,
    prepare: Prepare,
    retire: Retire,
    account_concurrency: int,
    strict_roles: bool,
) -> LambdaService:
    """Build the service.

    Args:
        documents: where everything else is kept.
        functions: where functions are kept.
        blobs: where deployment packages are kept.
        identities: where roles are looked up.
        invoker: the path to execution environments.
        clock: the time.
        secret: signs links to deployment packages.
        prepare: makes a version ready to run; raises `ActivationError` when that cannot be.
        retire: called with a function whose versions were replaced or deleted.
        account_concurrency: concurrent executions of an account in a region.
        strict_roles: whether a function's role must exist, as on AWS.
    """
    code_storage = CodeStorage(blobs, clock)
    records = Records(functions, code_storage)
    activations = Activations(records, prepare, retire)
    return LambdaService(
        operations=operations_of(
            FunctionOperations(
                records=records,
                code_storage=code_storage,
                roles=ExecutionRoles(identities, is_strict=strict_roles),
                activations=activations,
                clock=clock,
                secret=secret,
            ),
            CodeOperations(records=records, code_storage=code_storage, activations=activations, clock=clock),
            VersionOperations(records=records, activations=activations),
            InvocationOperations(records=records, invoker=invoker),
            UrlOperations(records=records, clock=clock),
            TagOperations(records=records),
            AccountOperations(
                records=records, code_storage=code_storage, account_concurrency=account_concurrency
            ),
        ),
        records=records,
        code_storage=code_storage,
        activations=activations,
    )
