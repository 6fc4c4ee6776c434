"""What AWS's validation does that its published models do not say, as data.

Each entry was seen in an answer of AWS. Everything else follows from the model alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from lambent.errors import InvalidParameterException, ServiceError, ValidationException


@dataclass(frozen=True, slots=True, kw_only=True)
class Deviations:
    """One service's deviations.

    Attributes:
        error: the error that carries the violations.
        unchecked: (structure, member) pairs that the service checks by itself, later, with other texts; also
            whether they are there at all.
        nullable: lists and maps whose description of their elements lacks "Member must not be null".
        unwrapped: lists whose elements' constraint is told as if it were the list's own.
        told_patterns: by shape, the pattern that the service tells where the model has been edited since.
        earlier: (structure, member) pairs that are told before the structure's other members.
        checks_itself: whether the service checks all parameters by itself, with texts of its own.
        former_codes: the codes of errors in the query protocol, where they are not what the model says; of a
            service that once spoke it, told in ``x-amzn-query-error`` too.
        former_texts: the messages of errors in the query protocol, where they are others, by those of today.
        unknown_action: the message about an action that there is not; None: that of most services.
    """

    error: type[ServiceError] = ValidationException
    unchecked: frozenset[tuple[str, str]] = frozenset()
    nullable: frozenset[str] = frozenset()
    unwrapped: frozenset[str] = frozenset()
    told_patterns: Mapping[str, str] = field(default_factory=dict[str, str])
    earlier: frozenset[tuple[str, str]] = frozenset()
    checks_itself: bool = False
    former_codes: Mapping[str, str] = field(default_factory=dict[str, str])
    former_texts: Mapping[str, str] = field(default_factory=dict[str, str])
    unknown_action: str | None = None


DEVIATIONS: Mapping[str, Deviations] = {
    "lambda": Deviations(
        # "Value x at 'runtime' … or be a valid ARN" is an InvalidParameterValueException of the service.
        unchecked=frozenset(
            {("CreateFunctionRequest", "Runtime"), ("UpdateFunctionConfigurationRequest", "Runtime")}
        ),
        nullable=frozenset({"EnvironmentVariables", "SecurityGroupIds", "SubnetIds"}),
        unwrapped=frozenset({"CompatibleRuntimes"}),
        told_patterns={
            "LayerVersionArn": (
                r"(arn:(aws[a-zA-Z-]*)?:lambda:(eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1}:\d{12}:layer:"
                r"[a-zA-Z0-9-_]+:[0-9]+)|(arn:[a-zA-Z0-9-]+:lambda:::awslayer:[a-zA-Z0-9-_]+)"
            ),
            "TaggableResource": (
                r"arn:(aws[a-zA-Z-]*):lambda:(eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1}:\d{12}:"
                r"(function:[a-zA-Z0-9-_]+(:(\$LATEST|[a-zA-Z0-9-_]+))?|layer:([a-zA-Z0-9-_]+)|"
                r"code-signing-config:csc-[a-z0-9]{17}|event-source-mapping:[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-"
                r"[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}|capacity-provider:[a-zA-Z0-9-_]+)"
            ),
        },
        earlier=frozenset({("PublishLayerVersionRequest", "CompatibleRuntimes")}),
    ),
    "logs": Deviations(error=InvalidParameterException),
    "sns": Deviations(
        unchecked=frozenset({("UnsubscribeInput", "SubscriptionArn")}),
        former_codes={"ValidationException": "ValidationError"},
    ),
    "sqs": Deviations(
        checks_itself=True,
        former_texts={
            "The specified queue does not exist.": "The specified queue does not exist for this wsdl version."
        },
        unknown_action="The action {action} is not valid for this endpoint.",
        former_codes={
            "AccessDeniedException": "AccessDenied",
            "InvalidParameterValueException": "InvalidParameterValue",
            "MissingRequiredParameterException": "MissingParameter",
            "QueueDoesNotExist": "AWS.SimpleQueueService.NonExistentQueue",
            "QueueNameExists": "QueueAlreadyExists",
            **{
                name: f"AWS.SimpleQueueService.{name}"
                for name in (
                    "BatchEntryIdsNotDistinct",
                    "BatchRequestTooLong",
                    "EmptyBatchRequest",
                    "InvalidBatchEntryId",
                    "MessageNotInflight",
                    "PurgeQueueInProgress",
                    "QueueDeletedRecently",
                    "TooManyEntriesInBatchRequest",
                    "UnsupportedOperation",
                )
            },
            **{
                f"Kms{name}": f"KMS.{name}Exception"
                for name in (
                    "AccessDenied",
                    "Disabled",
                    "InvalidKeyUsage",
                    "InvalidState",
                    "NotFound",
                    "Throttled",
                )
            },
            "KmsOptInRequired": "KMS.OptInRequired",
        },
    ),
}
