"""The managed policies of AWS: those that functions, their builders and their deploy tools attach.

The documents are AWS's own (AWS Managed Policy Reference Guide), one a line in ``managed_policies.json``
beside this file. AWS has some 1,500; a policy that is not here is unknown, as a misspelled one is at AWS.
Read through `lambent.store.identities.Identities`.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from datetime import datetime
from functools import cache
from importlib import resources
from typing import Any

import msgspec

from lambent.domain.identity import AWS_MANAGED, Policy, PolicyVersion


@cache
def aws_managed_policies() -> Mapping[str, Policy]:
    """Return them by ARN, in the order of their names; only the version in force is known of each."""
    text = resources.files("lambent.store").joinpath("managed_policies.json").read_bytes()
    policies = [_policy(entry) for entry in msgspec.json.decode(text, type=list[dict[str, Any]])]
    return {policy.arn: policy for policy in sorted(policies, key=lambda policy: policy.key)}


def _policy(entry: Mapping[str, Any]) -> Policy:
    updated_s = _epoch_s(entry["updated"])
    version = PolicyVersion(
        id=entry["version"], document=json.dumps(entry["document"], indent=4), created_s=updated_s
    )
    return Policy(
        account=AWS_MANAGED,
        name=entry["name"],
        path=entry["path"],
        id=_id(entry["name"]),
        created_s=_epoch_s(entry["created"]),
        updated_s=updated_s,
        versions=(version,),
        default_version_id=version.id,
        last_version=int(version.id[1:]),
    )


def _id(name: str) -> str:
    # AWS's ids are not published; all that callers rely on is that an id is stable and unique.
    return "ANPA" + base64.b32encode(hashlib.sha256(name.encode()).digest())[:17].decode()


def _epoch_s(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp())
