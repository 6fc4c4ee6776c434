"""The policy engine: may this principal do this to that, and which statement of which policy says so. Pure.

Policies of identities and resources, permissions boundaries and session policies are weighed as the IAM User
Guide's "Policy evaluation logic" says. What a policy may look like is checked elsewhere
(`lambent.domain.policy_document`); who asks, and which policies concern them, the caller has to know. Used by
the front door for every call, by IAM's simulator, by STS for trust policies and by Lambda for its resource
policies.
"""

from __future__ import annotations

from lambent.domain.policy.condition import Context
from lambent.domain.policy.decision import Decision, Match, Policies, Request, decide, refusal
from lambent.domain.policy.principal import Requester
from lambent.domain.policy.service import decide_for_account, decide_for_sender, decide_for_service
from lambent.domain.policy.statement import Policy, Position, Statement, parse_policy

__all__ = [
    "Context",
    "Decision",
    "Match",
    "Policies",
    "Policy",
    "Position",
    "Request",
    "Requester",
    "Statement",
    "decide",
    "decide_for_account",
    "decide_for_sender",
    "decide_for_service",
    "parse_policy",
    "refusal",
]
