"""What AWS's validation does that its published models do not say, as data.

Each entry was seen in an answer of AWS. Everything else follows from the model alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from lambent.errors import InvalidParameterException, ServiceError, ValidationException


@dataclass(frozen=True, slots=True, kw_only=True)
class Deviations:
    """One service's deviations.

    Attributes:
        error: the error that carries the violations.
        unchecked: (structure, member) pairs that the service checks by itself, later, with other texts.
        nullable: lists and maps whose description of their elements lacks "Member must not be null".
        unwrapped: lists whose elements' constraint is told as if it were the list's own.
    """

    error: type[ServiceError] = ValidationException
    unchecked: frozenset[tuple[str, str]] = frozenset()
    nullable: frozenset[str] = frozenset()
    unwrapped: frozenset[str] = frozenset()


DEVIATIONS: Mapping[str, Deviations] = {
    "lambda": Deviations(
        # "Value x at 'runtime' … or be a valid ARN" is an InvalidParameterValueException of the service.
        unchecked=frozenset(
            {("CreateFunctionRequest", "Runtime"), ("UpdateFunctionConfigurationRequest", "Runtime")}
        ),
        nullable=frozenset({"EnvironmentVariables", "SecurityGroupIds", "SubnetIds"}),
        unwrapped=frozenset({"CompatibleRuntimes"}),
    ),
    "logs": Deviations(error=InvalidParameterException),
}
