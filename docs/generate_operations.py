"""Writes docs/reference/operations.md: which operations of AWS's services Lambent serves.

The models say which operations there are, the services say which of them they serve. Run it with
``python docs/generate_operations.py > docs/reference/operations.md``; ``tests/unit/test_docs.py`` proves that the
page is current.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Mapping
from typing import Any

from lambent.services import OperationMethod
from lambent.services.events import events_service
from lambent.services.iam import iam_service
from lambent.services.lambda_ import lambda_service
from lambent.services.logs import logs_service
from lambent.services.sns import sns_service
from lambent.services.sqs import sqs_service
from lambent.services.sts import sts_service
from lambent.store.event_buses import EventBuses
from lambent.store.functions import Functions
from lambent.store.identities import Identities
from lambent.store.message_queues import MessageQueues
from lambent.store.queues import Queues
from lambent.store.topics import Topics
from lambent.testing import ManualClock, MemoryLogEvents, MemoryMessages, MemoryStore
from lambent.wire.model import Api, load_api

TITLES: Mapping[str, str] = {
    "lambda": "AWS Lambda",
    "logs": "Amazon CloudWatch Logs",
    "iam": "AWS Identity and Access Management",
    "sts": "AWS Security Token Service",
    "sqs": "Amazon Simple Queue Service",
    "sns": "Amazon Simple Notification Service",
    "events": "Amazon EventBridge",
}

_NO_EXECUTION = "there are no durable executions yet: whatever is named does not exist"
_NO_INSTANCES = "kept and shown; 0 deactivates the version; environments here have no such bounds"

_NOBODY_OPTS_OUT = "nobody answers a text message, so nobody opts out"

NOTES: Mapping[tuple[str, str], str] = {
    (
        "lambda",
        "AddPermission",
    ): "evaluated for callers of other accounts and for the services that invoke (`sns.amazonaws.com`, "
    "`events.amazonaws.com`); whether a "
    "principal exists is not asked",
    ("lambda", "CheckpointDurableExecution"): "no token is valid: there are no durable executions yet",
    (
        "lambda",
        "CreateCapacityProvider",
    ): "there are no instances: functions on it run as all others, one invocation at a time",
    ("lambda", "CreateCodeSigningConfig"): "signing profiles stand for local keys; signatures do not expire",
    (
        "lambda",
        "CreateEventSourceMapping",
    ): "SQS queues are polled; other sources are kept, with their states; whether they "
    "exist, or the role may read them, is not asked",
    (
        "lambda",
        "CreateFunction",
    ): "S3 objects are copied (`s3_endpoint_url`), also those that are to be referred to; "
    "container images are kept and not run, and of a tag, the digest shown is not the image's; "
    "durability is kept, and such functions are not run; "
    "`AcceleratorConfig` has no effect, `RuntimeConfig` is refused; whether subnets, "
    "security groups, keys, file systems and queues exist is not asked",
    ("lambda", "DeleteDurableExecution"): _NO_EXECUTION,
    ("lambda", "GetAccountSettings"): "the concurrency is the setting `account_concurrency`",
    ("lambda", "GetDurableExecution"): _NO_EXECUTION,
    ("lambda", "GetDurableExecutionHistory"): _NO_EXECUTION,
    ("lambda", "GetDurableExecutionState"): "no token is valid: there are no durable executions yet",
    ("lambda", "GetFunction"): "the link to the code leads to Lambent, for ten minutes",
    ("lambda", "GetFunctionScalingConfig"): _NO_INSTANCES,
    (
        "lambda",
        "Invoke",
    ): "functions from images and durable ones answer `NotImplemented`",
    (
        "lambda",
        "InvokeWithResponseStream",
    ): "as `Invoke`; not slowed down beyond 6 MB unless `stream_mb_per_s` is set; Python handlers may be generators",
    ("lambda", "ListDurableExecutionsByFunction"): "always empty: functions do not run durably yet",
    ("lambda", "PauseDurableExecution"): _NO_EXECUTION,
    ("lambda", "PublishLayerVersion"): "S3 objects are copied (`s3_endpoint_url`)",
    (
        "lambda",
        "PutFunctionCodeSigningConfig",
    ): "as `CreateCodeSigningConfig`; layers are checked when they are attached",
    (
        "lambda",
        "PutFunctionEventInvokeConfig",
    ): "destinations: functions, SQS queues, SNS topics, EventBridge buses, and on failure S3 buckets "
    "(`s3_endpoint_url`)",
    ("lambda", "PutFunctionRecursionConfig"): "chains are followed where the SDK passes the trace header on",
    ("lambda", "PutFunctionScalingConfig"): _NO_INSTANCES,
    (
        "lambda",
        "PutProvisionedConcurrencyConfig",
    ): "environments are started at once, not after a minute or two",
    ("lambda", "PutRuntimeManagementConfig"): "kept and shown; there is one version of each runtime",
    ("lambda", "ResumeDurableExecution"): _NO_EXECUTION,
    ("lambda", "SendDurableExecutionCallbackFailure"): _NO_EXECUTION,
    ("lambda", "SendDurableExecutionCallbackHeartbeat"): _NO_EXECUTION,
    ("lambda", "SendDurableExecutionCallbackSuccess"): _NO_EXECUTION,
    ("lambda", "StopDurableExecution"): _NO_EXECUTION,
    ("lambda", "UpdateFunctionCode"): "as `CreateFunction`",
    ("lambda", "UpdateFunctionConfiguration"): "as `CreateFunction`",
    (
        "events",
        "CreateEventBus",
    ): "partners' buses answer `NotImplemented`; key, dead-letter queue and log settings are kept and shown",
    ("events", "PutEvents"): "`EndpointId` answers `NotImplemented`",
    (
        "events",
        "PutPermission",
    ): "evaluated for callers and rules of other accounts, and with `auth = iam` for all; there are no organizations",
    (
        "events",
        "PutRule",
    ): "events of AWS services are on no bus, except those of Lambda destinations and schedules",
    (
        "events",
        "PutTargets",
    ): "functions, queues, topics, buses and log groups are delivered to; other kinds are kept, and what they get is "
    "reported in the log, or goes to the dead-letter queue; a function's policy has to let EventBridge in, with "
    "`auth = iam` those of queues and topics, too, unless the target has a role, whose own policies are not "
    "evaluated; whether the target exists is not asked",
    ("events", "UpdateEventBus"): "as `CreateEventBus`",
    ("iam", "CreateLoginProfile"): "there is no console that a password would open",
    (
        "iam",
        "CreateOpenIDConnectProvider",
    ): "providers are never asked: without thumbprints there are none",
    (
        "iam",
        "CreateSAMLProvider",
    ): "kept and shown: nobody signs in with SAML; `AddPrivateKey` answers `NotImplemented`",
    ("iam", "GetAccountAuthorizationDetails"): "of AWS's managed policies those that are here",
    ("iam", "ListMFADevices"): "always empty",
    ("iam", "ListSSHPublicKeys"): "always empty",
    ("iam", "ListServiceSpecificCredentials"): "always empty",
    ("iam", "ListSigningCertificates"): "always empty",
    ("iam", "ListVirtualMFADevices"): "always empty",
    ("logs", "AssociateKmsKey"): "kept and shown; log events are not encrypted",
    (
        "logs",
        "PutMetricFilter",
    ): "kept and shown: there is no CloudWatch here that metrics could go to",
    ("logs", "PutQueryDefinition"): "kept and shown: queries are not run",
    ("logs", "PutResourcePolicy"): "kept and shown: no other service writes into logs here",
    (
        "logs",
        "PutSubscriptionFilter",
    ): "functions get what is written, when their policy lets CloudWatch Logs in; of Kinesis and Firehose there are "
    "no streams; `fieldSelectionCriteria` and `emitSystemFields` answer `NotImplemented`",
    (
        "sns",
        "AddPermission",
    ): "evaluated for callers of other accounts, and with `auth = iam` for all",
    (
        "sns",
        "CreateTopic",
    ): "`ArchivePolicy` answers `NotImplemented`; `KmsMasterKeyId`, `TracingConfig` and the roles "
    "of delivery status logs are kept and shown",
    ("sns", "ConfirmSubscription"): "without a signature, too, as the link in the message is",
    ("sns", "CheckIfPhoneNumberIsOptedOut"): _NOBODY_OPTS_OUT,
    (
        "sns",
        "CreatePlatformApplication",
    ): "kept; whether the credentials are good is not asked; making one again renews them",
    ("sns", "CreateSMSSandboxPhoneNumber"): "the password is in the server's log",
    ("sns", "GetSMSSandboxAccountStatus"): "never in the sandbox",
    ("sns", "ListOriginationNumbers"): "always empty",
    ("sns", "ListPhoneNumbersOptedOut"): _NOBODY_OPTS_OUT,
    ("sns", "OptInPhoneNumber"): _NOBODY_OPTS_OUT,
    (
        "sns",
        "Publish",
    ): "what is for a `PhoneNumber` or a mobile device is written to the server's log and not sent",
    ("sns", "SetSMSAttributes"): "kept and shown",
    ("sns", "PutDataProtectionPolicy"): "kept and shown; not applied to messages",
    ("sns", "SetSubscriptionAttributes"): "`ReplayPolicy` answers `NotImplemented`",
    ("sns", "SetTopicAttributes"): "as `CreateTopic`",
    (
        "sns",
        "Subscribe",
    ): "`sqs`, `lambda`, `http` and `https` are sent to; what AWS sends by the other protocols is written to the "
    "server's log, with the link that confirms a mailbox; a function's policy has to let SNS in, with `auth = iam` a "
    "queue's, too; whether the endpoint exists is asked of mobile devices only",
    ("sns", "Unsubscribe"): "without a signature, too, as the link in messages is",
    (
        "sqs",
        "AddPermission",
    ): "evaluated for callers of other accounts, and with `auth = iam` for all; services are let in by the queue's "
    "policy with `auth = iam`, and kept out by it always",
    ("sqs", "CreateQueue"): "a deleted name can be used again at once, unless `sqs_cooldown_s` is set",
    ("sqs", "PurgeQueue"): "as often as one likes, unless `sqs_cooldown_s` is set",
    ("sqs", "ReceiveMessage"): "`ReceiveRequestAttemptId` has no effect; no limit on messages in flight",
    ("sts", "AssumeRole"): "the caller's own policies are evaluated with `auth = iam` only",
    (
        "sts",
        "AssumeRoleWithWebIdentity",
    ): "tokens of OpenID Connect providers, whose signatures are not verified: with `auth = iam` and for "
    "`ProviderId` it answers `NotImplemented`",
    ("sts", "DecodeAuthorizationMessage"): "no message is valid: nothing here encodes its refusals",
    ("sts", "GetFederationToken"): "session policies are evaluated with `auth = iam` only",
}
"""What a served operation leaves out, or does otherwise than one would expect."""

HEAD = """\
# Operations

Generated by `python docs/generate_operations.py`; a test keeps it true. Served operations validate their input
as AWS does and answer in AWS's shapes. Every other operation of these services is recognised and answers
`NotImplemented` (status 501).
"""


_NOBODY: Any = None
"""Stands for the path to environments: only the names of the operations are read, none is called."""


def served() -> dict[str, Mapping[str, OperationMethod]]:
    """Return the operations of every service, by method name. They are not to be called."""
    with contextlib.closing(MemoryStore()) as store:
        return _served(store)


def _served(store: MemoryStore) -> dict[str, Mapping[str, OperationMethod]]:
    clock, identities = ManualClock(), Identities(store)
    lambda_ = lambda_service(
        documents=store,
        functions=Functions(store),
        blobs=store,
        identities=identities,
        invoker=_NOBODY,
        accept=_NOBODY,
        clock=clock,
        secret=b"",
        prepare=_NOBODY,
        retire=_NOBODY,
        forget=_NOBODY,
        account_concurrency=1,
        strict_roles=False,
    )
    return {
        "lambda": lambda_.operations,
        "logs": logs_service(
            documents=store,
            log_events=MemoryLogEvents(),
            functions=Functions(store),
            subscriptions=_NOBODY,
            clock=clock,
        ),
        "iam": iam_service(documents=store, identities=identities, clock=clock),
        "sts": sts_service(identities=identities, secret=b"", clock=clock),
        "sqs": sqs_service(
            documents=store,
            message_queues=MessageQueues(store),
            queues=Queues(MemoryMessages(), clock),
            clock=clock,
        ).operations,
        "sns": sns_service(
            topics=Topics(store), documents=store, notifications=_NOBODY, clock=clock
        ).operations,
        "events": events_service(
            buses=EventBuses(store), events=_NOBODY, schedules=_NOBODY, clock=clock
        ).operations,
    }


def page() -> str:
    """Return the page as Markdown."""
    operations = served()
    apis = {service: load_api(service) for service in operations}
    parts = [HEAD, _summary(apis, operations)]
    parts += [_section(apis[service], operations[service]) for service in operations]
    return "\n".join(parts)


def _summary(apis: Mapping[str, Api], operations: Mapping[str, Mapping[str, OperationMethod]]) -> str:
    rows = [
        f"| [{TITLES[service]}](#{_anchor(TITLES[service])}) | `{service}` | {len(operations[service])} "
        f"| {len(api.operations)} |\n"
        for service, api in apis.items()
    ]
    return "| service | client | served | in AWS's model |\n|---|---|---:|---:|\n" + "".join(rows)


def _section(api: Api, methods: Mapping[str, OperationMethod]) -> str:
    there = [name for name, operation in sorted(api.operations.items()) if operation.method_name in methods]
    missing = sorted(set(api.operations) - set(there))
    rows = [f"| `{name}` | {NOTES.get((api.service, name), '')} |\n" for name in there]
    return f"## {TITLES[api.service]}\n\nServed:\n\n| operation | note |\n|---|---|\n{''.join(rows)}\n" + (
        f"Not served yet: {', '.join(f'`{name}`' for name in missing)}.\n" if missing else "All of them.\n"
    )


def _anchor(title: str) -> str:
    return title.lower().replace(" ", "-")


if __name__ == "__main__":
    sys.stdout.write(page())
