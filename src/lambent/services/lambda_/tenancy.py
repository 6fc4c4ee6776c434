"""Tenant isolation: environments that are never shared between tenants. Pure.

A function is given it when it is created, for good (AWS page "Tenant isolation"). Each tenant has a pool of
environments of its own; see `lambent.invoke`.
"""

from __future__ import annotations

from lambent.domain.function import FunctionVersion
from lambent.errors import InvalidParameterValueException

CONFIG = "TenancyConfig"


def refuse_tenancy(version: FunctionVersion, what: str) -> None:
    """Refuse what functions with tenant isolation cannot have.

    Args:
        version: of the function.
        what: the words for it, with their verb: ``SnapStart is``.

    Raises:
        InvalidParameterValueException: the function's tenants are isolated.
    """
    if CONFIG in version.passive:
        raise InvalidParameterValueException(
            f"{what} not supported for functions with tenant isolation mode enabled."
        )


def check_tenant(version: FunctionVersion, tenant_id: str | None) -> None:
    """Check that an invocation names a tenant where there are tenants, and only there.

    Raises:
        InvalidParameterValueException: it does not.
    """
    if CONFIG in version.passive:
        if tenant_id is None:
            raise InvalidParameterValueException(
                "The invoked function is enabled with tenancy configuration. Add a valid tenant ID in your "
                "request and try again."
            )
    elif tenant_id is not None:
        raise InvalidParameterValueException(
            "The invoked function is not enabled with tenancy configuration."
        )
