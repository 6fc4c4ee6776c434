"""May they? Every call's requirements, weighed against the policies of the caller and of the resource.

With `iam` authentication each action is judged by all policies that concern it. With `open` authentication
everybody is believed to be who they say, and may do everything in their own account; what lies in another
account still has to be opened by a policy of the resource (AWS page "Granting Lambda function access to other
accounts"). Which statement decided is in the decision; callers see AWS's sentence.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec

from lambent.arn import parse_arn
from lambent.clock import iso_ms
from lambent.domain.call import Call
from lambent.domain.identity import Group, InstanceProfile, Role, User, named
from lambent.domain.policy import (
    Context,
    Decision,
    Policies,
    Request,
    Requester,
    decide,
    parse_policy,
    refusal,
)
from lambent.domain.policy import Policy as ParsedPolicy
from lambent.domain.resource_policy import GuardedResource
from lambent.domain.session import Session
from lambent.errors import AccessDenied, AccessDeniedException, AuthorizationErrorException, ServiceError
from lambent.gateway.requirements import Requirement, requirements
from lambent.services.sqs.errors import QueueDoesNotExist
from lambent.store.identities import HeldPolicy, Identities

_REFUSALS: Mapping[str, type[ServiceError]] = {
    # The service's word; AccessDeniedException elsewhere.
    "iam": AccessDenied,
    "sns": AuthorizationErrorException,
    "sts": AccessDenied,
}


FindResource = Callable[[str], Awaitable[GuardedResource | None]]
"""Return what is known of the resource with an ARN; None when there is none."""


class Asked(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A call on its way to an operation."""

    service: str
    operation: str
    """Its AWS name."""
    call: Call
    parameters: Mapping[str, Any]
    session: Session | None = None
    """For temporary credentials: the session behind them."""
    source_ip: str = ""


class Authorization:
    """Judges calls."""

    def __init__(
        self, *, identities: Identities, find_resource: Mapping[str, FindResource], is_enforced: bool
    ) -> None:
        """Make it.

        Args:
            identities: where the callers' policies are.
            find_resource: by service, knows the policies and tags of its resources: functions and layers,
                topics, queues, buses and rules.
            is_enforced: whether the callers' own policies count (`iam` authentication).
        """
        self._identities = identities
        self._find_resource = find_resource
        self._is_enforced = is_enforced

    def is_free(self, service: str, account: str, parameters: Mapping[str, Any]) -> bool:
        """Return whether nothing has to be weighed, as for nearly every call where callers have no policies."""
        return not self._is_enforced and not _may_name_another_account(service, account, parameters)

    async def admit(self, asked: Asked) -> str | None:
        """Let a call pass, and return the other account whose resource a policy opens to it, if that is so.

        Raises:
            AccessDenied, AccessDeniedException, AuthorizationErrorException: it may not; which of them is the
                service's custom.
        """
        call = asked.call
        if self.is_free(asked.service, call.account, asked.parameters):
            return None
        needed = requirements(asked.service, asked.operation, call, asked.parameters)
        if not needed:
            return None
        if not self._is_enforced:
            # Within the own account everything is allowed; what services hand on they judge themselves.
            own = needed[0].action
            needed = [one for one in needed if one.action == own and one.account != call.account]
            if not needed:
                return None
        for requirement in needed:
            request, decision = await self.judge(asked, requirement)
            if not decision.is_allowed:
                raise _refused(asked, requirement, refusal(request, decision))
        return needed[0].account if needed[0].account != call.account else None

    async def require(self, asked: Asked, requirement: Requirement) -> None:
        """Let something pass that is no operation of AWS's.

        Raises:
            AccessDeniedException: the caller may not.
        """
        if not self._is_enforced:
            return
        request, decision = await self.judge(asked, requirement)
        if not decision.is_allowed:
            raise AccessDeniedException(refusal(request, decision))

    async def judge(self, asked: Asked, requirement: Requirement) -> tuple[Request, Decision]:
        """Return one requirement as a request, and the decision about it."""
        resource = requirement.resource
        if asked.service == "iam" or requirement.action == "iam:PassRole":
            resource = await self._with_path(resource)
        guarded = await self._guarded(requirement, resource)
        role, user = await self._identity(asked)
        request = Request(
            requester=Requester(
                account=asked.call.account,
                arn=asked.call.principal.arn,
                user_id=asked.call.principal.user_id,
                role_arn=_role_arn(asked.session),
            ),
            action=requirement.action,
            resource=resource,
            resource_account=requirement.account,
            context={
                **_context(asked, requirement, guarded.tags),
                **_principal_context(asked, role or user),
                **requirement.context,
            },
        )
        policies = await self._policies(asked, role or user)
        if guarded.policy is not None:
            policies = Policies(
                identity=policies.identity,
                boundary=policies.boundary,
                session=policies.session,
                resource=(parse_policy(guarded.policy, name="resource policy", type="resource"),),
            )
        return request, decide(request, policies)

    async def _guarded(self, requirement: Requirement, resource: str) -> GuardedResource:
        if requirement.action.startswith("sts:"):
            role = await self._identities.find_role(resource)
            return GuardedResource(policy=role.trust_policy, tags=role.tags) if role else GuardedResource()
        find = self._find_resource.get(requirement.action.partition(":")[0].lower())
        if find is not None and resource != "*":
            return await find(resource) or GuardedResource()
        return GuardedResource()

    async def _with_path(self, arn: str) -> str:
        """Return the ARN of an entity of IAM with the path that it has; callers name it without."""
        parsed = parse_arn(arn)
        if parsed is None:
            return arn
        kind, _, name = parsed.resource.partition("/")
        key = named(parsed.account, name.rsplit("/", 1)[-1])
        entity = None
        if kind == "role":
            entity = await self._identities.get(Role, key)
        elif kind == "user":
            entity = await self._identities.get(User, key)
        elif kind == "group":
            entity = await self._identities.get(Group, key)
        elif kind == "instance-profile":
            entity = await self._identities.get(InstanceProfile, key)
        return entity.arn if entity else arn

    async def _identity(self, asked: Asked) -> tuple[Role | None, User | None]:
        if not self._is_enforced:
            return None, None
        role_arn = _role_arn(asked.session)
        if role_arn is not None:
            return await self._identities.find_role(role_arn), None
        return None, await self._identities.find_user(_lender_arn(asked))

    async def _policies(self, asked: Asked, identity: Role | User | None) -> Policies:
        """Return the caller's own policies; that of the resource is not among them."""
        root = f"arn:aws:iam::{asked.call.account}:root"
        if not self._is_enforced or asked.call.principal.arn == root:
            return Policies(identity=None)
        if _lender_arn(asked) == root:
            return Policies(identity=None, session=await self._session_policies(asked.session))
        if identity is None:
            return Policies()
        boundary = await self._identities.boundary_of(identity)
        return Policies(
            identity=_parsed(await self._identities.held_policies_of(identity)),
            boundary=_parsed([boundary]) if boundary else None,
            session=await self._session_policies(asked.session),
        )

    async def _session_policies(self, session: Session | None) -> tuple[ParsedPolicy, ...] | None:
        if session is None:
            return None
        if session.policy is None and not session.policy_arns:
            # A federated user may do what the session's policies say, and without any nothing.
            return None if session.federated_name is None else ()
        found = [await self._identities.find_policy(arn) for arn in session.policy_arns]
        managed = [HeldPolicy(name=one.name, type="none", document=one.document) for one in found if one]
        own = (
            [HeldPolicy(name="session policy", type="none", document=session.policy)]
            if session.policy
            else []
        )
        return _parsed(own + managed)


def _refused(asked: Asked, requirement: Requirement, text: str) -> ServiceError:
    if asked.service != "sqs":
        return _REFUSALS.get(asked.service, AccessDeniedException)(text)
    if asked.operation == "GetQueueUrl":
        return QueueDoesNotExist("The specified queue does not exist or you do not have access to it.")
    return AccessDeniedException(text.replace(requirement.action, requirement.action.lower()))


def _may_name_another_account(service: str, account: str, parameters: Mapping[str, Any]) -> bool:
    if service == "lambda":
        return ":" in parameters.get("FunctionName", ":")
    if service == "sqs":
        if (url := parameters.get("QueueUrl")) is not None:
            return f"/{account}/" not in url
        return "QueueOwnerAWSAccountId" in parameters
    return service in ("events", "sns")


def _user_type(asked: Asked) -> str:
    is_federated = asked.session is not None and asked.session.federated_name is not None
    return "FederatedUser" if is_federated else "User"


def _lender_arn(asked: Asked) -> str:
    """Return whose permissions a caller has: its own, unless a user has lent some to it."""
    session = asked.session
    return session.lent_arn if session is not None and session.lent_arn else asked.call.principal.arn


def _role_arn(session: Session | None) -> str | None:
    return session.role_arn if session is not None and session.lent_arn is None else None


def _parsed(held: list[HeldPolicy]) -> tuple[ParsedPolicy, ...]:
    return tuple(parse_policy(one.document, name=one.name, type=one.type) for one in held)


def _context(asked: Asked, requirement: Requirement, tags: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    call = asked.call
    found = {
        "aws:currenttime": iso_ms(call.at_s),
        "aws:epochtime": str(int(call.at_s)),
        "aws:requestedregion": call.region,
        "aws:resourceaccount": requirement.account,
        "aws:securetransport": str(call.endpoint_url.startswith("https:")).lower(),
        "aws:sourceip": asked.source_ip,
        "aws:useragent": call.headers.get("user-agent", ""),
        "aws:viaawsservice": "false",
        "aws:principalisawsservice": "false",
    } | {f"aws:resourcetag/{key.lower()}": value for key, value in tags.items()}
    return {key: (value,) for key, value in found.items() if value}


def _principal_context(asked: Asked, identity: Role | User | None) -> Context:
    principal, role_arn = asked.call.principal, _role_arn(asked.session)
    is_root = principal.arn == f"arn:aws:iam::{asked.call.account}:root"
    found = {
        "aws:principalarn": role_arn or principal.arn,
        "aws:principalaccount": asked.call.account,
        "aws:principaltype": "AssumedRole" if role_arn else "Account" if is_root else _user_type(asked),
        "aws:userid": principal.user_id,
    }
    if isinstance(identity, User) and _user_type(asked) == "User":
        found["aws:username"] = identity.name
    tags = dict(identity.tags) if identity is not None else {}
    if asked.session is not None:
        # Session tags replace tags of the role that have the same key.
        tags |= asked.session.tags
        if asked.session.source_identity is not None:
            found["aws:sourceidentity"] = asked.session.source_identity
    found |= {f"aws:principaltag/{key.lower()}": value for key, value in tags.items()}
    return {key: (value,) for key, value in found.items()}
