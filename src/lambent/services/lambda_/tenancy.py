"""Tenant isolation: environments that are never shared between tenants. Pure.

A function is given it when it is created, for good (AWS page "Tenant isolation"). It is kept and shown; pools do
not keep tenants apart yet, so such a function is not run rather than run without what was promised.
"""

from __future__ import annotations

from lambent.domain.function import FunctionVersion
from lambent.errors import InvalidParameterValueException, NotImplemented_

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
        NotImplemented_: it does, and tenants would not be isolated.
    """
    if CONFIG in version.passive:
        if tenant_id is None:
            raise InvalidParameterValueException(
                "The invoked function is enabled with tenancy configuration. Add a valid tenant ID in your "
                "request and try again."
            )
        raise NotImplemented_(
            f"Tenants are not isolated yet: {version.arn} is kept and shown, and cannot be invoked."
        )
    if tenant_id is not None:
        raise InvalidParameterValueException(
            "The invoked function is not enabled with tenancy configuration."
        )
