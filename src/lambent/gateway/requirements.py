"""What a call must be allowed to do: actions on resources, read from operation and parameters. Pure.

Small tables say which resource an operation is about (AWS Service Authorization Reference, "Actions, resources,
and condition keys" of each service). An operation that no table knows is about ``*``, so that nothing is allowed
by a policy that names resources only.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, cast

from lambent.arn import parse_arn
from lambent.domain.call import Call
from lambent.domain.policy import Context
from lambent.services.lambda_.invocations import DEBUG_HEADER
from lambent.services.lambda_.names import named

Parameters = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirement:
    """One action on one resource."""

    action: str
    resource: str
    account: str
    """Whose the resource is."""
    context: Context = field(default_factory=dict[str, tuple[str, ...]])
    """What conditions can ask about this action beyond what they can ask about any."""


def requirements(service: str, operation: str, call: Call, parameters: Parameters) -> list[Requirement]:
    """Return what a call needs, the operation's own action first; nothing for what needs no permission.

    Args:
        service: ``lambda``, ``logs``, ``iam``, ``sts``, ``sqs``, ``sns`` or ``events``.
        operation: its AWS name.
        call: who asks and where.
        parameters: by AWS member name, checked against the model.
    """
    if service == "lambda":
        return _lambda(operation, call, parameters)
    if service == "sts":
        return _sts(operation, call, parameters)
    if service == "sqs":
        return _sqs(operation, call, parameters)
    if service == "sns":
        return _sns(operation, call, parameters)
    if service == "events":
        return _events(operation, call, parameters)
    resource_of = _logs_resource if service == "logs" else _iam_resource
    own = _requirement(f"{service}:{operation}", resource_of(operation, call, parameters), call, parameters)
    passed = [_pass_role(call, parameters)] if operation == "AddRoleToInstanceProfile" else []
    return [own, *passed]


def _requirement(action: str, resource: str, call: Call, parameters: Parameters) -> Requirement:
    arn = parse_arn(resource)
    return Requirement(
        action=action,
        resource=resource,
        account=(arn.account if arn else "") or call.account,
        context=_tags(parameters) | _special(parameters),
    )


def _tags(parameters: Parameters) -> dict[str, tuple[str, ...]]:
    """Return what conditions can ask about tags; services write them as a map or as a list of pairs."""
    given: Any = parameters.get("Tags", parameters.get("tags")) or {}
    pairs = cast(
        "dict[str, str]", given if isinstance(given, dict) else {t["Key"]: t["Value"] for t in given}
    )
    keys = [*pairs, *parameters.get("TagKeys", parameters.get("tagKeys", ()))]
    found = {f"aws:requesttag/{key.lower()}": (value,) for key, value in pairs.items()}
    return found | ({"aws:tagkeys": tuple(keys)} if keys else {})


_SPECIAL_KEYS = {
    # Member → condition key, for all operations that have the member.
    "FunctionUrlAuthType": "lambda:functionurlauthtype",
    "AuthType": "lambda:functionurlauthtype",
    "Principal": "lambda:principal",
    "CodeSigningConfigArn": "lambda:codesigningconfigarn",
    "PermissionsBoundary": "iam:permissionsboundary",
    "PolicyArn": "iam:policyarn",
    "RoleSessionName": "sts:rolesessionname",
    "ExternalId": "sts:externalid",
    "SourceIdentity": "sts:sourceidentity",
    "Protocol": "sns:protocol",
    "Endpoint": "sns:endpoint",
}


def _special(parameters: Parameters) -> dict[str, tuple[str, ...]]:
    found = {key: (str(parameters[member]),) for member, key in _SPECIAL_KEYS.items() if member in parameters}
    vpc: Mapping[str, Any] = parameters.get("VpcConfig") or {}
    lists = {
        "lambda:layer": parameters.get("Layers"),
        "lambda:subnetids": vpc.get("SubnetIds"),
        "lambda:securitygroupids": vpc.get("SecurityGroupIds"),
    }
    return found | {key: tuple(values) for key, values in lists.items() if values}


def _sqs(operation: str, call: Call, parameters: Parameters) -> list[Requirement]:
    """A batch needs what its single operation needs (Amazon SQS API permissions)."""
    action = f"sqs:{operation.removesuffix('Batch')}"
    if operation == "ListQueues":
        return [_requirement(action, "*", call, parameters)]
    if "SourceArn" in parameters:
        return [_requirement(action, str(parameters["SourceArn"]), call, parameters)]
    if "QueueName" in parameters:
        account = parameters.get("QueueOwnerAWSAccountId") or call.account
        name = str(parameters["QueueName"])
    else:
        # A task's handle names its queue, too, but nothing that could be trusted.
        account, _, name = str(parameters.get("QueueUrl", "")).rstrip("/").rpartition("/")
        account = account.rpartition("/")[2] or call.account
    resource = f"arn:aws:sqs:{call.region}:{account}:{name}" if name else "*"
    return [_requirement(action, resource, call, parameters)]


WITHOUT_SIGNATURE = frozenset(
    {("sns", "ConfirmSubscription"), ("sns", "Unsubscribe"), ("sts", "AssumeRoleWithWebIdentity")}
)
"""Service and operation of what anybody may ask for who has the token, or the link, that a subscriber was sent, or
a token of an identity provider.
"""


def _sns(operation: str, call: Call, parameters: Parameters) -> list[Requirement]:
    """Most actions are on a topic, those on subscriptions on none (Service Authorization Reference)."""
    if ("sns", operation) in WITHOUT_SIGNATURE and not call.access_key_id:
        return []
    action = f"SNS:{operation.removesuffix('Batch')}"
    if operation == "CreateTopic":
        resource = f"arn:aws:sns:{call.region}:{call.account}:{parameters.get('Name', '')}"
    else:
        named = (parameters.get(member) for member in ("TopicArn", "TargetArn", "ResourceArn"))
        resource = next((str(arn) for arn in named if arn), "*")
    found = [_requirement(action, resource, call, parameters)]
    if operation == "ConfirmSubscription":
        # The token says that the topic wants it: its policy is not asked.
        found = [replace(found[0], account=call.account)]
    if operation == "CreateTopic" and parameters.get("Tags"):
        found.append(_requirement("SNS:TagResource", resource, call, parameters))
    return found


_OF_BUSES = frozenset({"CreateEventBus", "DeleteEventBus", "DescribeEventBus", "UpdateEventBus"})
_OF_RULES = frozenset({"DeleteRule", "DescribeRule", "DisableRule", "EnableRule", "PutRule"})
_OF_TARGETS = frozenset({"ListTargetsByRule", "PutTargets", "RemoveTargets"})
_BUS_ARN = re.compile(r"(arn:[^:]*:events:[^:]*:[^:]*:)event-bus/(.+)")


def _events(operation: str, call: Call, parameters: Parameters) -> list[Requirement]:
    """Most actions are on a rule or a bus (Service Authorization Reference, "Amazon EventBridge")."""
    if operation == "PutEvents":
        return _put_events(call, parameters)
    bus: str | None = parameters.get("EventBusName")
    if operation in _OF_RULES | _OF_TARGETS:
        resource = _rule_arn(call, bus, parameters.get("Name" if operation in _OF_RULES else "Rule", ""))
    elif operation in _OF_BUSES or operation in ("PutPermission", "RemovePermission"):
        resource = _bus_arn(call, parameters.get("Name") if operation in _OF_BUSES else bus)
    else:
        resource = str(parameters.get("ResourceARN", "*"))
    own = _requirement(f"events:{operation}", resource, call, parameters)
    targets: list[Parameters] = parameters.get("Targets") or []
    if operation == "PutTargets":
        arns = tuple(str(target["Arn"]) for target in targets)
        own = replace(own, context={**own.context, "events:targetarn": arns})
    found = [own]
    if operation in ("CreateEventBus", "PutRule") and parameters.get("Tags"):
        found.append(_requirement("events:TagResource", resource, call, parameters))
    passed = (parameters.get("RoleArn"), *(target.get("RoleArn") for target in targets))
    roles = dict.fromkeys(role for role in passed if role)
    return found + [_pass_role(call, {"Role": role}, service="events.amazonaws.com") for role in roles]


def _put_events(call: Call, parameters: Parameters) -> list[Requirement]:
    """Each bus has to be open to what is put on it; buses of other accounts come first."""
    found: dict[tuple[str, ...], Requirement] = {}
    entries: list[Parameters] = parameters.get("Entries") or [{}]
    for entry in entries:
        resource = _bus_arn(call, entry.get("EventBusName"))
        source, detail_type = entry.get("Source") or "", entry.get("DetailType") or ""
        own = _requirement("events:PutEvents", resource, call, {})
        told = {"events:source": (source,), "events:detail-type": (detail_type,)}
        context = {**told, "events:eventbusinvocation": ("false",)}
        found.setdefault((resource, source, detail_type), replace(own, context=context))
    return sorted(found.values(), key=lambda one: one.account == call.account)


def _bus_arn(call: Call, name: str | None) -> str:
    return _arn_or_name(name or "default", f"arn:aws:events:{call.region}:{call.account}:event-bus/")


def _rule_arn(call: Call, bus: str | None, name: str) -> str:
    """Return the ARN of a rule, which names its bus unless that is the default one."""
    match = _BUS_ARN.fullmatch(_bus_arn(call, bus))
    place, bus_name = match.groups() if match else (f"arn:aws:events:{call.region}:{call.account}:", bus)
    return f"{place}rule/{name}" if bus_name == "default" else f"{place}rule/{bus_name}/{name}"


DEBUG_ACTION = "lambent:DebugFunction"
"""Ours, which AWS does not have: an invocation under a debugger, which sees and does all that the function may."""
_LAMBDA_ACTIONS = {
    "GetLayerVersionByArn": "GetLayerVersion",
    "Invoke": "InvokeFunction",
    "InvokeWithResponseStream": "InvokeFunction",
}
_ANY_RESOURCE = frozenset(
    {"CreateEventSourceMapping", "ListEventSourceMappings", "ListLayerVersions", "CreateCodeSigningConfig"}
)
_RESOURCE_MEMBERS = ("ResourceArn", "Resource", "Arn", "CodeSigningConfigArn", "DurableExecutionArn")


def _lambda(operation: str, call: Call, parameters: Parameters) -> list[Requirement]:
    resource = _lambda_resource(operation, call, parameters)
    if resource is None:
        return []
    action = f"lambda:{_LAMBDA_ACTIONS.get(operation, operation)}"
    found = [_requirement(action, resource, call, parameters), *_code_in_s3(call, parameters)]
    if operation == "Invoke" and DEBUG_HEADER in call.headers:
        found.append(_requirement(DEBUG_ACTION, resource, call, parameters))
    if operation not in ("CreateFunction", "UpdateFunctionConfiguration"):
        return found
    if operation == "CreateFunction" and parameters.get("Tags"):
        found.append(_requirement("lambda:TagResource", resource, call, parameters))
    if "Role" in parameters:
        found.append(_pass_role(call, parameters, service="lambda.amazonaws.com"))
    layers = parameters.get("Layers", ())
    return found + [_requirement("lambda:GetLayerVersion", layer, call, parameters) for layer in layers]


def _code_in_s3(call: Call, parameters: Parameters) -> list[Requirement]:
    """Code in S3 is fetched in the caller's name: one needs what GetObject would need."""
    code: Parameters = parameters.get("Code") or parameters.get("Content") or parameters
    if not (code.get("S3Bucket") and code.get("S3Key")):
        return []
    action = "s3:GetObjectVersion" if code.get("S3ObjectVersion") else "s3:GetObject"
    return [_requirement(action, f"arn:aws:s3:::{code['S3Bucket']}/{code['S3Key']}", call, parameters)]


def _lambda_resource(operation: str, call: Call, parameters: Parameters) -> str | None:
    """Return the ARN; None when the name is none, or not of this place, which the service says better."""
    if operation in _ANY_RESOURCE:
        return "*"
    place = f"arn:aws:lambda:{call.region}:{call.account}"
    if "UUID" in parameters:
        return f"{place}:event-source-mapping:{parameters['UUID']}"
    if "FunctionName" in parameters:
        return _function_arn(operation, call, parameters)
    if "LayerName" in parameters:
        arn = _arn_or_name(parameters["LayerName"], f"{place}:layer:")
        return f"{arn}:{parameters['VersionNumber']}" if "VersionNumber" in parameters else arn
    if "CapacityProviderName" in parameters:
        return _arn_or_name(parameters["CapacityProviderName"], f"{place}:capacity-provider:")
    return next((parameters[member] for member in _RESOURCE_MEMBERS if member in parameters), "*")


def _function_arn(operation: str, call: Call, parameters: Parameters) -> str | None:
    target = named(call, parameters["FunctionName"], parameters.get("Qualifier"))
    if target is None or target.key.region != call.region:
        return None
    is_foreign = target.key.account != call.account
    return None if operation == "CreateFunction" and is_foreign else target.arn


def _arn_or_name(text: str, prefix: str) -> str:
    return text if text.startswith("arn:") else prefix + text


def _pass_role(call: Call, parameters: Parameters, *, service: str = "ec2.amazonaws.com") -> Requirement:
    role = parameters.get("Role") or f"arn:aws:iam::{call.account}:role/{parameters['RoleName']}"
    # A role can only be passed within its account; a foreign one is refused by the service itself.
    return Requirement(
        action="iam:PassRole",
        resource=role,
        account=call.account,
        context={"iam:passedtoservice": (service,)},
    )


# The first two are anybody's; who has a token of an identity provider is judged by the role's trust policy.
_FREE = frozenset({"GetCallerIdentity", "GetSessionToken", "AssumeRoleWithWebIdentity"})


def _sts(operation: str, call: Call, parameters: Parameters) -> list[Requirement]:
    if operation in _FREE:
        return []
    resource = parameters.get("RoleArn", "*")
    found = [_requirement(f"sts:{operation}", resource, call, parameters)]
    if operation == "AssumeRole" and parameters.get("Tags"):
        found.append(_requirement("sts:TagSession", resource, call, parameters))
    if operation == "AssumeRole" and parameters.get("SourceIdentity"):
        found.append(_requirement("sts:SetSourceIdentity", resource, call, parameters))
    return found


def _logs_resource(operation: str, call: Call, parameters: Parameters) -> str:
    place = f"arn:aws:logs:{call.region}:{call.account}:log-group:"
    if operation in ("DescribeLogGroups", "ListLogGroups"):
        return f"{place}:log-stream:"
    if "resourceArn" in parameters:
        return parameters["resourceArn"]
    group = parameters.get("logGroupName") or parameters.get("logGroupIdentifier")
    if not group:
        return "*"
    name = re.sub(r"^arn:[^:]*:logs:[^:]*:[^:]*:log-group:", "", group).removesuffix(":*")
    if operation in ("TagLogGroup", "UntagLogGroup", "ListTagsLogGroup"):
        return place + name
    return f"{place}{name}:log-stream:{parameters.get('logStreamName', '')}"


_IAM_KINDS: Mapping[str, str] = {
    "InstanceProfileName": "instance-profile",
    "GroupName": "group",
    "RoleName": "role",
    "UserName": "user",
}
_IAM_LISTS: Mapping[str, str] = {
    "ListRoles": "role/",
    "ListUsers": "user/",
    "ListGroups": "group/",
    "ListInstanceProfiles": "instance-profile/",
    "ListPolicies": "policy/",
}
_IAM_MADE: Mapping[str, tuple[str, str]] = {
    "CreatePolicy": ("policy", "PolicyName"),
    "CreateOpenIDConnectProvider": ("oidc-provider", "Url"),
    "CreateSAMLProvider": ("saml-provider", "Name"),
}
_IAM_ARNS = ("PolicyArn", "PolicySourceArn", "OpenIDConnectProviderArn", "SAMLProviderArn")
# Operations on what is theirs, without a name: the caller's own.
_OF_CALLER = re.compile(
    r"(GetUser|ChangePassword|(Create|Update|Delete|List)AccessKeys?|(Create|Get|Delete)LoginProfile)"
)


def _iam_resource(operation: str, call: Call, parameters: Parameters) -> str:
    """Return the ARN with the path that the parameters give; the path of what exists is put in later."""
    place = f"arn:aws:iam::{call.account}"
    if operation in _IAM_LISTS:
        return f"{place}:{_IAM_LISTS[operation]}"
    path = parameters.get("Path", "/")
    if operation in _IAM_MADE:
        kind, member = _IAM_MADE[operation]
        return f"{place}:{kind}{path}{str(parameters.get(member, '')).removeprefix('https://')}"
    # What holds others comes first: adding a role to an instance profile changes the profile.
    for member, kind in _IAM_KINDS.items():
        if member in parameters:
            return f"{place}:{kind}{path}{parameters[member]}"
    if _OF_CALLER.fullmatch(operation):
        return call.principal.arn
    return next((parameters[member] for member in _IAM_ARNS if member in parameters), "*")
