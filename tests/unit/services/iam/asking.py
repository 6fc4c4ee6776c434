"""Asks the families of IAM directly, over a store in memory, and checks every answer against the model."""

from __future__ import annotations

import asyncio
import importlib
from functools import cache
from typing import Any

from lambent.domain.call import Call, Principal, root_principal
from lambent.services.iam import iam_service
from lambent.store import Delete, Document, Documents, Put
from lambent.store.identities import Identities
from lambent.testing import ManualClock, MemoryStore

ACCOUNT = "123456789012"
LAMBDA_TRUST = (
    '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", '
    '"Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}]}'
)
PERMISSIONS = (
    '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}]}'
)
BASIC_EXECUTION = "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"


_open: list[MemoryStore] = []


def memory() -> MemoryStore:
    """Return a store that `close_all` closes."""
    _open.append(MemoryStore())
    return _open[-1]


def close_all() -> None:
    """Close the stores that the test that has just ended had made."""
    while _open:
        _open.pop().close()


class PausingStore:
    """Documents that let others run before each access, as a store on disk does."""

    def __init__(self) -> None:
        self.store = memory()

    async def get(self, kind: str, key: str) -> Document | None:
        await asyncio.sleep(0)
        return await self.store.get(kind, key)

    async def list(
        self, kind: str, *, prefix: str = "", after: str = "", limit: int = 1000
    ) -> list[Document]:
        await asyncio.sleep(0)
        return await self.store.list(kind, prefix=prefix, after=after, limit=limit)

    async def apply(self, *changes: Put | Delete) -> tuple[int, ...]:
        await asyncio.sleep(0)
        return await self.store.apply(*changes)


class Iam:
    """IAM of one account, asked as its root unless somebody else is named."""

    def __init__(self, documents: Documents | None = None) -> None:
        self.documents: Documents = documents or memory()
        self.clock = ManualClock()
        self.identities = Identities(self.documents)
        self.operations = iam_service(documents=self.documents, identities=self.identities, clock=self.clock)

    def ask(
        self, operation: str, *, caller: str | None = None, account: str = ACCOUNT, **parameters: Any
    ) -> Any:
        return asyncio.run(self.asked(operation, caller=caller, account=account, **parameters))

    async def asked(
        self, operation: str, *, caller: str | None = None, account: str = ACCOUNT, **parameters: Any
    ) -> Any:
        principal = Principal(arn=caller, user_id="AIDA") if caller else root_principal(account)
        answer = await self.operations[operation](_call(account, principal), parameters)
        shape = _outputs().get(operation)
        if shape is not None:
            assert_known(answer, shape)
        return answer


def assert_known(value: Any, shape: Any) -> None:
    """Fail when a value has members that the model's shape has not."""
    if shape.type_name == "structure":
        for name, member in value.items():
            assert_known(member, shape.members[name])
    elif shape.type_name == "list":
        for member in value:
            assert_known(member, shape.member)


@cache
def _outputs() -> dict[str, Any]:
    # botocore has no types; taken as a module of the unknown, it asks for none.
    botocore: Any = importlib.import_module("botocore")
    session: Any = importlib.import_module("botocore.session").get_session()
    model = session.get_service_model("iam")
    shapes = {name: model.operation_model(name).output_shape for name in model.operation_names}
    return {botocore.xform_name(name): shape for name, shape in shapes.items() if shape is not None}


def _call(account: str, principal: Principal) -> Call:
    return Call(
        account=account,
        region="us-east-1",
        request_id="request",
        access_key_id="",
        principal=principal,
        endpoint_url="http://127.0.0.1:4566",
        at_s=0,
    )
