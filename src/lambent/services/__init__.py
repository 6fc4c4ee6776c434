"""WHAT CAN BE ASKED: a folder per AWS service, a method per operation, grouped in families.

An operation is a coroutine method named ``xform_name(OperationName)`` that takes the `Call` and the parameters
(AWS member names, already parsed and validated against the model) and returns the result in the same form, or
raises a `ServiceError`. It never sees HTTP. Services are strangers to each other: what two of them need lies in
a room below.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from lambent.domain.call import Call

Members = Mapping[str, Any]
"""Parameters or a result, by AWS member name: str, int, float, bool, bytes, datetime, list, dict."""

OperationMethod = Callable[[Call, Members], Awaitable[Members]]


def operations_of(*families: object) -> dict[str, OperationMethod]:
    """Collect the operations of a service: every public coroutine method of its families, by name.

    Raises:
        ValueError: two families serve the same operation.
    """
    operations: dict[str, OperationMethod] = {}
    for family in families:
        for name, method in inspect.getmembers(family, inspect.iscoroutinefunction):
            if name.startswith("_"):
                continue
            if name in operations:
                raise ValueError(f"{name} is served twice")
            operations[name] = method
    return operations
