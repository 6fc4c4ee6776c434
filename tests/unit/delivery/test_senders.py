"""Who sends: a target's policy decides over services and over roles of other accounts; roles of its own are trusted."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lambent.delivery import Undeliverable
from lambent.delivery.senders import check_sender
from lambent.domain.parcel import Parcel, Sender

OURS, THEIRS = "000000000000", "111111111111"
RULE = f"arn:aws:events:us-east-1:{OURS}:rule/r"
ROLE = f"arn:aws:iam::{OURS}:role/r"


def policy(effect: str, principal: Any) -> str:
    statement = {
        "Effect": effect,
        "Principal": principal,
        "Action": "sqs:SendMessage",
        "Resource": "*",
        "Condition": {"ArnLike": {"aws:SourceArn": RULE}},
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


@pytest.mark.parametrize(
    ("account", "role", "text", "is_let_in"),
    [
        (OURS, None, None, False),
        (OURS, None, policy("Allow", {"Service": "events.amazonaws.com"}), True),
        (OURS, None, policy("Allow", {"Service": "sns.amazonaws.com"}), False),
        (OURS, None, "{", False),
        (OURS, ROLE, None, True),
        (OURS, ROLE, policy("Deny", {"AWS": ROLE}), False),
        (THEIRS, ROLE, None, False),
        (THEIRS, ROLE, policy("Allow", {"AWS": ROLE}), True),
        (THEIRS, ROLE, policy("Allow", {"AWS": f"arn:aws:iam::{OURS}:root"}), True),
        (THEIRS, ROLE, policy("Allow", {"Service": "events.amazonaws.com"}), False),
    ],
)
def test_a_policy_decides_over_services_and_over_roles(
    account: str, role: str | None, text: str | None, is_let_in: bool
) -> None:
    parcel = Parcel(
        arn=f"arn:aws:sqs:us-east-1:{account}:q",
        body=b"",
        about="",
        sender=Sender(service="events.amazonaws.com", source_arn=RULE, source_account=OURS, role_arn=role),
    )
    if is_let_in:
        check_sender(parcel, text, action="sqs:SendMessage", whose="the queue's")
    else:
        with pytest.raises(
            Undeliverable, match="the queue's policy does not allow sqs:SendMessage to"
        ) as caught:
            check_sender(parcel, text, action="sqs:SendMessage", whose="the queue's")
        assert caught.value.is_forbidden


def test_nothing_is_asked_where_it_need_not_be() -> None:
    parcel = Parcel(arn="arn:aws:sqs:us-east-1:0:q", body=b"", about="")
    check_sender(parcel, policy("Deny", "*"), action="sqs:SendMessage", whose="")
    sender = Sender(service="sns.amazonaws.com", source_arn="arn:x", source_account=OURS)
    sent = Parcel(arn=parcel.arn, body=b"", about="", sender=sender)
    check_sender(sent, None, action="sqs:SendMessage", whose="", is_strict=False)
