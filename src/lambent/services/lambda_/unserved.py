"""Versions that are kept and shown and not run, on whatever way an invocation comes. Pure."""

from __future__ import annotations

from lambent.domain.function import FunctionVersion
from lambent.errors import InvalidParameterValueException, NotImplemented_
from lambent.services.lambda_.images import refuse_to_run_image
from lambent.services.lambda_.tenancy import check_tenant


def refuse_unserved(version: FunctionVersion, *, qualifier: str | None, tenant_id: str | None = None) -> None:
    """Refuse to run a version without what it was promised.

    Args:
        version: what would run.
        qualifier: how the caller named it.
        tenant_id: for whom, if the caller said so.

    Raises:
        InvalidParameterValueException: the invocation is not one for such a function.
        NotImplemented_: it is, and images or durable executions are not served yet.
    """
    refuse_to_run_image(version)
    check_tenant(version, tenant_id)
    if "DurableConfig" not in version.passive:
        return
    if qualifier is None:
        raise InvalidParameterValueException("You cannot invoke a durable function using an unqualified ARN.")
    raise NotImplemented_(
        f"Durable functions are not run yet: {version.arn} is kept and shown, and cannot be invoked."
    )
