"""Lambda: functions, their code, versions and aliases, invocations, and what is configured around them.

A family of operations per file. What they share: `names` (how callers name functions), `rules` and
`configuration` (what a function may be, and how AWS shows it), `records` (stored functions), `code_storage`
(their packages), `states` and `activations` (how versions become ready to run). `usage` counts what
accounts use, `provisioning` keeps environments ready ahead of invocations.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from lambent.clock import Clock
from lambent.domain.function_facts import EmitFunctionFact, unheard
from lambent.services import OperationMethod, operations_of
from lambent.services.lambda_.account import AccountOperations
from lambent.services.lambda_.activations import Activations, Forget, Prepare, Retire
from lambent.services.lambda_.aliases import AliasOperations
from lambent.services.lambda_.capacity_providers import CapacityProviderOperations
from lambent.services.lambda_.code import CodeOperations
from lambent.services.lambda_.code_signing import CodeSigning, CodeSigningOperations
from lambent.services.lambda_.code_sources import CodeSources, Objects
from lambent.services.lambda_.code_storage import CodeStorage
from lambent.services.lambda_.concurrency import ConcurrencyOperations
from lambent.services.lambda_.durable_executions import DurableExecutionOperations
from lambent.services.lambda_.event_invoke_configs import EventInvokeConfigOperations
from lambent.services.lambda_.events import Accept, EventOperations, Events
from lambent.services.lambda_.functions import FunctionOperations
from lambent.services.lambda_.invocations import RESPONSE_HEADERS, InvocationOperations, Invoker
from lambent.services.lambda_.layer_permissions import LayerPermissionOperations
from lambent.services.lambda_.layer_records import LayerRecords
from lambent.services.lambda_.layers import LayerOperations
from lambent.services.lambda_.mapping_states import Changed, MappingStates
from lambent.services.lambda_.mappings import MappingOperations, ProblemOf, VisibilityOf
from lambent.services.lambda_.permissions import PermissionOperations
from lambent.services.lambda_.provisioned import ProvisionedConcurrencyOperations
from lambent.services.lambda_.provisioning import Keeps, Provisioning
from lambent.services.lambda_.records import Records
from lambent.services.lambda_.recursion import RecursionOperations
from lambent.services.lambda_.resource_lookup import ResourceLookup
from lambent.services.lambda_.roles import ExecutionRoles
from lambent.services.lambda_.runtime_management import RuntimeManagementOperations
from lambent.services.lambda_.scaling import ScalingOperations
from lambent.services.lambda_.tags import (
    CapacityProviderTags,
    CodeSigningConfigTags,
    FunctionTags,
    MappingTags,
    TagOperations,
)
from lambent.services.lambda_.urls import UrlOperations
from lambent.services.lambda_.usage import AccountUsage
from lambent.services.lambda_.versions import VersionOperations
from lambent.store import Blobs, Documents
from lambent.store.capacity_providers import CapacityProviders
from lambent.store.code_signing_configs import CodeSigningConfigs
from lambent.store.functions import Functions
from lambent.store.identities import Identities
from lambent.store.layers import Layers
from lambent.store.mappings import Mappings

__all__ = ["RESPONSE_HEADERS", "Invoker", "LambdaService", "Prepare", "Retire", "lambda_service"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LambdaService:
    """The service and the background work behind it."""

    operations: dict[str, OperationMethod]
    records: Records
    code_storage: CodeStorage
    activations: Activations
    usage: AccountUsage
    provisioning: Provisioning
    mappings: Mappings
    mapping_states: MappingStates
    layers: LayerRecords
    resources: ResourceLookup
    events: Events

    async def resume(self) -> None:
        """Take up what a server before this one left; await it before the first call is answered."""
        functions = await self.records.all()
        await self.code_storage.count([*functions, *await self.layers.all()])
        self.usage.count(functions)
        self.activations.resume(functions)
        self.provisioning.resume(functions)
        self.mapping_states.resume(await self.mappings.all())

    def start(self) -> None:
        """Allocate provisioned concurrency; call it once environments can be started."""
        self.provisioning.start()

    async def close(self) -> None:
        """Stop the background work."""
        await self.mapping_states.close()
        await self.provisioning.close()
        await self.activations.close()
        await self.code_storage.close()


def lambda_service(
    *,
    documents: Documents,
    functions: Functions,
    blobs: Blobs,
    identities: Identities,
    invoker: Invoker,
    accept: Accept,
    clock: Clock,
    secret: bytes,
    prepare: Prepare,
    retire: Retire,
    forget: Forget,
    account_concurrency: int,
    strict_roles: bool,
    objects: Objects | None = None,
    mapping_changed: Changed = lambda mapping: None,
    problem_of: ProblemOf = lambda uuid: None,
    visibility_of: VisibilityOf | None = None,
    keeps: Keeps = lambda key, kept: None,
    draw: Callable[[], float] = random.random,
    emit: EmitFunctionFact = unheard,
) -> LambdaService:
    """Build the service.

    Args:
        documents: where everything else is kept.
        functions: where functions are kept.
        blobs: where deployment packages are kept.
        identities: where roles are looked up.
        invoker: the path to execution environments.
        accept: keeps an event that is to be run later.
        clock: the time.
        secret: signs links to deployment packages.
        prepare: makes a version ready to run; raises `ActivationError` when that cannot be.
        retire: called with a function whose versions were replaced or deleted.
        forget: called with a function that was deleted, or with it and one version that was.
        account_concurrency: concurrent executions of an account in a region.
        strict_roles: whether a function's role must exist, as on AWS.
        objects: S3, for code that lies there; None: there is none.
        mapping_changed: told of event source mappings whose change has come into effect.
        problem_of: says what keeps the source of a mapping from being polled just now.
        visibility_of: knows queues and their visibility timeouts; None: nobody does.
        keeps: told what provisioned concurrency is kept ready, whenever that changes.
        draw: random numbers from 0.0 up to 1.0, by which aliases with weights choose a version.
        emit: is told of loops of invocations that are ended.
    """
    code_storage = CodeStorage(blobs, clock)
    sources = CodeSources(code_storage=code_storage, objects=objects)
    usage = AccountUsage(account_concurrency)
    records = Records(functions, code_storage, usage)
    layers = LayerRecords(Layers(documents), code_storage)
    provisioning = Provisioning(invoker, keeps)
    code_signing_configs = CodeSigningConfigs(documents)
    signing = CodeSigning(configs=code_signing_configs, usage=usage, code_storage=code_storage)
    activations = Activations(records, prepare, retire, forget)
    mappings = Mappings(documents)
    mapping_states = MappingStates(mappings, clock, mapping_changed)
    capacity_providers = CapacityProviders(documents)
    return LambdaService(
        operations=operations_of(
            FunctionOperations(
                records=records,
                sources=sources,
                roles=ExecutionRoles(identities, is_strict=strict_roles),
                layers=layers,
                activations=activations,
                provisioning=provisioning,
                signing=signing,
                providers=capacity_providers,
                clock=clock,
                secret=secret,
            ),
            LayerOperations(records=layers, sources=sources, clock=clock, secret=secret),
            LayerPermissionOperations(records=layers),
            PermissionOperations(records=records),
            CodeOperations(
                records=records,
                sources=sources,
                signing=signing,
                activations=activations,
                clock=clock,
            ),
            VersionOperations(records=records, activations=activations),
            InvocationOperations(
                records=records, invoker=invoker, usage=usage, accept=accept, draw=draw, emit=emit
            ),
            EventOperations(records=records, accept=accept),
            UrlOperations(records=records, clock=clock),
            MappingOperations(
                records=records,
                mappings=mappings,
                states=mapping_states,
                clock=clock,
                problem_of=problem_of,
                visibility_of=visibility_of,
            ),
            CapacityProviderOperations(providers=capacity_providers, records=records, clock=clock),
            DurableExecutionOperations(records=records),
            TagOperations(
                taggable={
                    "function": FunctionTags(records),
                    "event-source-mapping": MappingTags(mappings),
                    "capacity-provider": CapacityProviderTags(capacity_providers),
                    "code-signing-config": CodeSigningConfigTags(code_signing_configs),
                }
            ),
            AccountOperations(code_storage=code_storage, usage=usage),
            AliasOperations(records=records, provisioning=provisioning),
            ConcurrencyOperations(records=records, usage=usage),
            CodeSigningOperations(
                configs=code_signing_configs, signing=signing, records=records, usage=usage, clock=clock
            ),
            EventInvokeConfigOperations(records=records, clock=clock),
            RecursionOperations(records=records),
            RuntimeManagementOperations(records=records),
            ScalingOperations(records=records),
            ProvisionedConcurrencyOperations(
                records=records, usage=usage, provisioning=provisioning, clock=clock
            ),
        ),
        records=records,
        code_storage=code_storage,
        activations=activations,
        usage=usage,
        provisioning=provisioning,
        mappings=mappings,
        mapping_states=mapping_states,
        layers=layers,
        resources=ResourceLookup(records=records, layers=layers),
        events=Events(records=records, usage=usage, draw=draw),
    )
