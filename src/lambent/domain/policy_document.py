"""The grammar of policy documents: what IAM and STS refuse to keep, in the words they refuse it with.

A document is checked as far as its form goes (IAM User Guide, "Grammar of the IAM JSON policy language");
what it allows is not decided here. The checks are pure: they return the parsed document or raise.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, cast

from lambent.errors import MalformedPolicyDocumentException

VERSIONS = ("2008-10-17", "2012-10-17")
_POLICY_MEMBERS = frozenset({"Version", "Id", "Statement"})
_STATEMENT_MEMBERS = frozenset(
    {
        "Sid",
        "Effect",
        "Principal",
        "NotPrincipal",
        "Action",
        "NotAction",
        "Resource",
        "NotResource",
        "Condition",
    }
)
_PRINCIPAL_TYPES = frozenset({"AWS", "Service", "Federated", "CanonicalUser"})
_SID = re.compile(r"[0-9A-Za-z]*")
_ACTION = re.compile(r"[A-Za-z0-9*?-]+:[A-Za-z0-9*?]*")
_TRUST_ACTION = re.compile(r"sts:[A-Za-z*?]+", re.IGNORECASE)
_ACCOUNT = re.compile(r"\d{12}|\*|aws|")
_PARTITIONS = frozenset(
    {"aws", "aws-cn", "aws-us-gov", "aws-iso", "aws-iso-b", "aws-iso-e", "aws-iso-f", "*"}
)
_AWS_PRINCIPAL = re.compile(r"\*|\d{12}|arn:aws[a-z-]*:(iam|sts)::\d{12}:.+|A[A-Z]{3}[A-Z0-9]{17}")

SYNTAX = "Syntax errors in policy."
LEGACY = "The policy failed legacy parsing"


def check_identity_policy(text: str) -> Mapping[str, Any]:
    """Check a policy that is attached to an identity, managed or inline.

    Raises:
        MalformedPolicyDocumentException: with AWS's text.
    """
    document = _parse(text, not_json=SYNTAX)
    for statement in _statements(document):
        if "Principal" in statement or "NotPrincipal" in statement:
            raise MalformedPolicyDocumentException("Policy document should not specify a principal.")
        _check_one_of(statement, "Action", "NotAction", "Policy statement must contain actions.")
        _check_one_of(statement, "Resource", "NotResource", "Policy statement must contain resources.")
        _check_actions(statement)
        _check_resources(statement)
    return document


def check_trust_policy(text: str) -> Mapping[str, Any]:
    """Check a role's ``AssumeRolePolicyDocument``.

    Raises:
        MalformedPolicyDocumentException: with AWS's text.
    """
    document = _parse(text, not_json="This policy contains invalid Json")
    for statement in _statements(document):
        for member in ("Resource", "NotResource"):
            if member in statement:
                raise MalformedPolicyDocumentException(f"Has prohibited field {member}")
        if "Principal" not in statement and "NotPrincipal" not in statement:
            raise MalformedPolicyDocumentException("Missing required field Principal")
        _check_one_of(statement, "Action", "NotAction", "Missing required field Action")
        if not all(_TRUST_ACTION.fullmatch(action) for action in texts(statement.get("Action", ()))):
            raise MalformedPolicyDocumentException(
                "AssumeRole policy may only specify STS AssumeRole actions."
            )
        _check_principals(statement.get("Principal", statement.get("NotPrincipal")))
    return document


def check_resource_policy(text: str, *, resource: str | None = None) -> Mapping[str, Any]:
    """Check a policy that is put on a resource as a whole.

    Args:
        text: the document.
        resource: the ARN of the resource, which its statements must name; None: whichever they name.

    Raises:
        MalformedPolicyDocumentException: it is no policy, or not one for this resource.
    """
    document = _parse(text, not_json=SYNTAX)
    for statement in _statements(document):
        if "Principal" not in statement and "NotPrincipal" not in statement:
            raise MalformedPolicyDocumentException("Missing required field Principal")
        _check_one_of(statement, "Action", "NotAction", "Missing required field Action")
        _check_one_of(statement, "Resource", "NotResource", "Missing required field Resource")
        _check_actions(statement)
        _check_principals(statement.get("Principal", statement.get("NotPrincipal")))
        named = texts(statement.get("Resource", ()))
        if resource is not None and any(one not in ("*", resource) for one in named):
            raise MalformedPolicyDocumentException(
                f"The policy may only name the resource it is attached to: {resource}"
            )
    return document


def statements(document: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the statements of a checked document; a single one may stand without a list."""
    found = document["Statement"]
    return [found] if isinstance(found, dict) else list(found)


def has_statement(document: Mapping[str, Any], sid: str) -> bool:
    """Whether a policy has a statement of this id."""
    return any(statement.get("Sid") == sid for statement in statements(document))


def with_statement(document: Mapping[str, Any], statement: Mapping[str, Any]) -> dict[str, Any]:
    """Return a policy with a statement at its end."""
    return {**document, "Statement": [*statements(document), statement]}


def without_statement(document: Mapping[str, Any], sid: str) -> dict[str, Any]:
    """Return a policy without the statement of this id."""
    return {**document, "Statement": [one for one in statements(document) if one.get("Sid") != sid]}


def written(document: Mapping[str, Any]) -> str:
    """Return a policy as it is kept."""
    return json.dumps(document, separators=(",", ":"))


def texts(value: Any) -> tuple[str, ...]:
    """Return the texts of an element that may be one text or a list of them."""
    return (value,) if isinstance(value, str) else tuple(value)


def size_of(text: str) -> int:
    """Return the characters that count against IAM's size quotas: all but white space."""
    return sum(not character.isspace() for character in text)


def _parse(text: str, *, not_json: str) -> Mapping[str, Any]:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise MalformedPolicyDocumentException(not_json) from error
    if not isinstance(document, dict):
        raise MalformedPolicyDocumentException(SYNTAX)
    found = cast("dict[str, Any]", document)
    if found.keys() - _POLICY_MEMBERS or "Statement" not in found:
        raise MalformedPolicyDocumentException(SYNTAX)
    if not isinstance(found.get("Id", ""), str):
        raise MalformedPolicyDocumentException(SYNTAX)
    if found.get("Version", VERSIONS[0]) not in VERSIONS:
        raise MalformedPolicyDocumentException("Policy document must be version 2012-10-17 or greater.")
    return found


def _statements(document: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    found = document["Statement"]
    if not isinstance(found, (dict, list)) or not found:
        raise MalformedPolicyDocumentException(SYNTAX)
    sids: set[str] = set()
    for statement in statements(document):
        _check_statement(statement)
        sid = statement.get("Sid")
        if sid and sid in sids:
            raise MalformedPolicyDocumentException("Statement IDs (SID) in a single policy must be unique.")
        sids.add(sid or "")
        yield statement


def _check_statement(statement: Any) -> None:
    if not isinstance(statement, dict):
        raise MalformedPolicyDocumentException(SYNTAX)
    found = cast("dict[str, Any]", statement)
    if found.keys() - _STATEMENT_MEMBERS or found.get("Effect") not in ("Allow", "Deny"):
        raise MalformedPolicyDocumentException(SYNTAX)
    for member in ("Action", "NotAction", "Resource", "NotResource"):
        if member in found and not _is_texts(found[member]):
            raise MalformedPolicyDocumentException(SYNTAX)
    _check_condition(found.get("Condition", {}))
    sid = found.get("Sid", "")
    if not isinstance(sid, str):
        raise MalformedPolicyDocumentException(SYNTAX)
    if not _SID.fullmatch(sid):
        raise MalformedPolicyDocumentException(
            "Statement IDs (SID) must be alpha-numeric. Check that your input satisfies the regular "
            "expression [0-9A-Za-z]*"
        )


def _check_condition(condition: Any) -> None:
    if not isinstance(condition, dict):
        raise MalformedPolicyDocumentException(SYNTAX)
    for block in cast("dict[str, Any]", condition).values():
        if not isinstance(block, dict):
            raise MalformedPolicyDocumentException(SYNTAX)
        for values in cast("dict[str, Any]", block).values():
            if not isinstance(values, (str, int, float, bool)) and not _is_list_of(values, (str, int, float)):
                raise MalformedPolicyDocumentException(SYNTAX)


def _check_one_of(statement: Mapping[str, Any], member: str, opposite: str, missing: str) -> None:
    if member in statement and opposite in statement:
        raise MalformedPolicyDocumentException(SYNTAX)
    if not statement.get(member) and not statement.get(opposite):
        raise MalformedPolicyDocumentException(missing)


def _check_actions(statement: Mapping[str, Any]) -> None:
    for action in texts(statement.get("Action", statement.get("NotAction", ()))):
        if action != "*" and ":" not in action:
            raise MalformedPolicyDocumentException(
                "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc."
            )
        if action != "*" and not _ACTION.fullmatch(action):
            vendor = action.split(":", 1)[0]
            raise MalformedPolicyDocumentException(
                f"Vendor {vendor} is not valid" if not re.fullmatch(r"[A-Za-z0-9*?-]+", vendor) else LEGACY
            )


def _check_resources(statement: Mapping[str, Any]) -> None:
    for resource in texts(statement.get("Resource", statement.get("NotResource", ()))):
        if resource == "*":
            continue
        if ":" not in resource:
            raise MalformedPolicyDocumentException(f'Resource {resource} must be in ARN format or "*".')
        parts = resource.split(":", 5)
        if len(parts) < 6:
            raise MalformedPolicyDocumentException(LEGACY)
        if parts[0] != "arn":
            raise MalformedPolicyDocumentException(f'Resource {resource} must be in ARN format or "*".')
        if parts[1] not in _PARTITIONS:
            raise MalformedPolicyDocumentException(
                f'Partition "{parts[1]}" is not valid for resource "{resource}".'
            )
        if not _ACCOUNT.fullmatch(parts[4]) and not re.search(r"[*?]", parts[4]):
            raise MalformedPolicyDocumentException(LEGACY)


def _check_principals(principal: Any) -> None:
    if principal == "*":
        return
    if not isinstance(principal, dict) or not principal:
        raise MalformedPolicyDocumentException(SYNTAX)
    for kind, values in cast("dict[str, Any]", principal).items():
        if kind not in _PRINCIPAL_TYPES or not _is_texts(values):
            raise MalformedPolicyDocumentException(SYNTAX)
        for value in texts(values):
            if kind == "AWS" and not _AWS_PRINCIPAL.fullmatch(value):
                raise MalformedPolicyDocumentException(f'Invalid principal in policy: "AWS":"{value}"')
            if kind == "Service" and not re.fullmatch(r"[a-z0-9.-]+\.[a-z0-9.-]+|\*", value):
                raise MalformedPolicyDocumentException(f'Invalid principal in policy: "SERVICE":"{value}"')


def _is_texts(value: Any) -> bool:
    return isinstance(value, str) or _is_list_of(value, (str,))


def _is_list_of(value: Any, types: tuple[type, ...]) -> bool:
    return isinstance(value, list) and all(isinstance(item, types) for item in cast("list[Any]", value))
