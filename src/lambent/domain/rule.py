"""A rule of an event bus: which events are meant, or when it fires, and its targets. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lambent.arn import parse_arn
from lambent.domain.event_bus import DEFAULT

RETRIES_MAX = 185
EVENT_AGE_MAX_S = 86_400
"""How often and how long a delivery is tried again unless the target says less (AWS page "How EventBridge retries
delivering events")."""
_FIRST_DELAY_S = 1.0
_DELAY_MAX_S = 480.0
"""With it, 185 retries take the day that they may take at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleTarget:
    """One target of a rule."""

    members: Mapping[str, Any]
    """As it was given, by AWS name."""

    @property
    def id(self) -> str:
        """Its id within the rule."""
        return self.members["Id"]

    @property
    def arn(self) -> str:
        """What gets the events."""
        return self.members["Arn"]

    @property
    def role_arn(self) -> str | None:
        """As whom events are delivered; None: as EventBridge itself."""
        return self.members.get("RoleArn")

    @property
    def group_id(self) -> str | None:
        """The message group in a queue."""
        return self.members.get("SqsParameters", {}).get("MessageGroupId")

    @property
    def dead_letter_arn(self) -> str | None:
        """The queue that gets what cannot be delivered, if there is one."""
        return self.members.get("DeadLetterConfig", {}).get("Arn")

    @property
    def retries_max(self) -> int:
        """How often a delivery is tried again."""
        return self.members.get("RetryPolicy", {}).get("MaximumRetryAttempts", RETRIES_MAX)

    @property
    def event_age_max_s(self) -> int:
        """How old an event may become before it is given up."""
        return self.members.get("RetryPolicy", {}).get("MaximumEventAgeInSeconds", EVENT_AGE_MAX_S)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule."""

    account: str
    """Whose bus it is on."""
    region: str
    bus: str
    name: str
    pattern: str = ""
    """Its event pattern, whose form has been checked; empty: it has none."""
    schedule: str = ""
    """``rate(…)`` or ``cron(…)``; empty: it has none."""
    state: str = "ENABLED"
    description: str = ""
    role_arn: str = ""
    created_by: str
    """The account that made it."""
    tags: Mapping[str, str] = field(default_factory=dict[str, str])
    targets: tuple[RuleTarget, ...] = ()
    since_s: float
    """Since when it is as it is: earlier events are none of its business, and a rate counts from then."""

    @property
    def key(self) -> str:
        """``account/region/bus/name``."""
        return f"{self.account}/{self.region}/{self.bus}/{self.name}"

    @property
    def bus_key(self) -> str:
        """``account/region/bus``."""
        return f"{self.account}/{self.region}/{self.bus}"

    @property
    def arn(self) -> str:
        """The rule's ARN; those on the default bus do not name it."""
        return rule_arn(self.account, self.region, self.bus, self.name)

    @property
    def is_enabled(self) -> bool:
        """Whether it does anything."""
        return self.state != "DISABLED"

    def target(self, target_id: str) -> RuleTarget | None:
        """Return the target with an id, or None."""
        return next((one for one in self.targets if one.id == target_id), None)

    def deliveries(self, target: RuleTarget) -> str:
        """What the queue engine calls the queue of what a target is to get."""
        return f"targets/{self.key}/{target.id}"


def rule_arn(account: str, region: str, bus: str, name: str) -> str:
    """Return the ARN of a rule."""
    place = "" if bus == DEFAULT else f"{bus}/"
    return f"arn:aws:events:{region}:{account}:rule/{place}{name}"


def rule_key(arn: str) -> str | None:
    """Return the key of a rule's ARN; None when it is none."""
    parsed = parse_arn(arn)
    if parsed is None or parsed.service != "events":
        return None
    kind, _, path = parsed.resource.partition("/")
    bus, _, name = path.rpartition("/")
    return f"{parsed.account}/{parsed.region}/{bus or DEFAULT}/{name}" if kind == "rule" and name else None


def retry_delay_s(target: RuleTarget, attempts: int, *, age_s: float) -> float | str:
    """Return after how long a delivery is tried again, or which limit of the target forbids it.

    Waits are doubled. On AWS chance is added to them, which matters where many wait for one target.

    Args:
        target: what could not be reached.
        attempts: how often it was tried.
        age_s: how old the event is.
    """
    if attempts > target.retries_max:
        return "MaximumRetryAttempts"
    delay_s = min(_DELAY_MAX_S, _FIRST_DELAY_S * 2.0 ** min(attempts - 1, 16))
    return "MaximumEventAgeInSeconds" if age_s + delay_s > target.event_age_max_s else delay_s
