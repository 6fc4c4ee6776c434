"""What is a policy, and in which words AWS refuses what is none."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lambent.domain.policy_document import check_identity_policy, check_trust_policy, size_of, statements
from lambent.errors import MalformedPolicyDocumentException

SYNTAX = "Syntax errors in policy."
ALLOW: dict[str, Any] = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}
TRUST: dict[str, Any] = {
    "Effect": "Allow",
    "Principal": {"Service": "lambda.amazonaws.com"},
    "Action": "sts:AssumeRole",
}


def document(*found: Any, **members: Any) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(found)} | members)


@pytest.mark.parametrize(
    "text",
    [
        document(ALLOW),
        json.dumps({"Statement": ALLOW}),
        document(ALLOW, Version="2008-10-17", Id="id"),
        document(ALLOW | {"Action": ["s3:*", "*", "lambda:Invoke?unction"], "Sid": "Abc1"}),
        document({"Effect": "Deny", "NotAction": "iam:*", "NotResource": ["arn:aws:s3:::b/*"]}),
        document(ALLOW | {"Resource": "arn:aws:lambda:us-east-1:123456789012:function:f:$LATEST"}),
        document(ALLOW | {"Resource": "arn:aws-cn:sqs:*:*:queue"}),
        document(ALLOW | {"Condition": {"StringEquals": {"a:b": ["c", "d"]}, "Bool": {"a:c": True}}}),
        document(ALLOW | {"Sid": "One"}, ALLOW | {"Sid": "Two"}, ALLOW, ALLOW),
    ],
)
def test_a_policy_of_an_identity_is_accepted(text: str) -> None:
    assert statements(check_identity_policy(text))


@pytest.mark.parametrize(
    ("text", "refusal"),
    [
        ("", SYNTAX),
        ("{", SYNTAX),
        ("[" * 100_000, SYNTAX),
        ("[]", SYNTAX),
        ('"text"', SYNTAX),
        ("{}", SYNTAX),
        (document(), SYNTAX),
        (document("text"), SYNTAX),
        (document(ALLOW, Extra=1), SYNTAX),
        (document(ALLOW, Id=1), SYNTAX),
        (document(ALLOW, Statement="text"), SYNTAX),
        (document(ALLOW, Version="2020-01-01"), "Policy document must be version 2012-10-17 or greater."),
        (document({"Action": "s3:*", "Resource": "*"}), SYNTAX),
        (document(ALLOW | {"Effect": "allow"}), SYNTAX),
        (document(ALLOW | {"Extra": 1}), SYNTAX),
        (document(ALLOW | {"Action": 1}), SYNTAX),
        (document(ALLOW | {"Resource": [1]}), SYNTAX),
        (document(ALLOW | {"NotAction": "s3:*"}), SYNTAX),
        (document(ALLOW | {"Sid": 1}), SYNTAX),
        (document(ALLOW | {"Condition": []}), SYNTAX),
        (document(ALLOW | {"Condition": {"Bool": True}}), SYNTAX),
        (document(ALLOW | {"Condition": {"Bool": {"a": {}}}}), SYNTAX),
        (document({"Effect": "Allow", "Resource": "*"}), "Policy statement must contain actions."),
        (document(ALLOW | {"Action": []}), "Policy statement must contain actions."),
        (document({"Effect": "Allow", "Action": "s3:*"}), "Policy statement must contain resources."),
        (document(ALLOW | {"Principal": "*"}), "Policy document should not specify a principal."),
        (
            document(ALLOW | {"Action": "GetObject"}),
            "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.",
        ),
        (document(ALLOW | {"Action": "s 3:GetObject"}), "Vendor s 3 is not valid"),
        (document(ALLOW | {"Action": "s3:Get Object"}), "The policy failed legacy parsing"),
        (document(ALLOW | {"Resource": "bucket"}), 'Resource bucket must be in ARN format or "*".'),
        (document(ALLOW | {"Resource": "arn:aws:s3::bucket"}), "The policy failed legacy parsing"),
        (document(ALLOW | {"Resource": "arn:aws:sqs:us-east-1:1234:q"}), "The policy failed legacy parsing"),
        (
            document(ALLOW | {"Resource": "arn:moon:s3:::bucket"}),
            'Partition "moon" is not valid for resource "arn:moon:s3:::bucket".',
        ),
        (
            document(ALLOW | {"Sid": "a"}, ALLOW | {"Sid": "a"}),
            "Statement IDs (SID) in a single policy must be unique.",
        ),
        (
            document(ALLOW | {"Sid": "a b"}),
            "Statement IDs (SID) must be alpha-numeric. Check that your input satisfies the regular expression "
            "[0-9A-Za-z]*",
        ),
    ],
)
def test_what_is_no_policy_is_refused_in_awss_words(text: str, refusal: str) -> None:
    with pytest.raises(MalformedPolicyDocumentException) as raised:
        check_identity_policy(text)
    assert raised.value.message == refusal


@pytest.mark.parametrize(
    "statement",
    [
        TRUST,
        TRUST | {"Principal": "*"},
        TRUST | {"Principal": {"AWS": "*"}},
        TRUST | {"Principal": {"AWS": ["123456789012", "arn:aws:iam::123456789012:root"]}},
        TRUST | {"Principal": {"AWS": "arn:aws:sts::123456789012:assumed-role/r/s"}},
        TRUST | {"Principal": {"Service": ["lambda.amazonaws.com", "edgelambda.amazonaws.com"]}},
        TRUST
        | {"Principal": {"Federated": "cognito-identity.amazonaws.com"}, "Action": "sts:AssumeRoleWithSAML"},
        TRUST | {"Action": ["sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"]},
        TRUST | {"Condition": {"StringEquals": {"sts:ExternalId": "x"}}},
    ],
)
def test_a_trust_policy_is_accepted(statement: dict[str, Any]) -> None:
    assert statements(check_trust_policy(document(statement))) == [statement]


@pytest.mark.parametrize(
    ("text", "refusal"),
    [
        ("{", "This policy contains invalid Json"),
        (document(TRUST | {"Resource": "*"}), "Has prohibited field Resource"),
        (document({"Effect": "Allow", "Action": "sts:AssumeRole"}), "Missing required field Principal"),
        (document({"Effect": "Allow", "Principal": "*"}), "Missing required field Action"),
        (
            document(TRUST | {"Action": "s3:GetObject"}),
            "AssumeRole policy may only specify STS AssumeRole actions.",
        ),
        (document(TRUST | {"Principal": {}}), SYNTAX),
        (document(TRUST | {"Principal": {"Moon": "x"}}), SYNTAX),
        (document(TRUST | {"Principal": {"AWS": "me"}}), 'Invalid principal in policy: "AWS":"me"'),
        (
            document(TRUST | {"Principal": {"AWS": "arn:aws:iam::123:role/r"}}),
            'Invalid principal in policy: "AWS":"arn:aws:iam::123:role/r"',
        ),
        (
            document(TRUST | {"Principal": {"Service": "lambda"}}),
            'Invalid principal in policy: "SERVICE":"lambda"',
        ),
    ],
)
def test_what_is_no_trust_policy_is_refused_in_awss_words(text: str, refusal: str) -> None:
    with pytest.raises(MalformedPolicyDocumentException) as raised:
        check_trust_policy(text)
    assert raised.value.message == refusal


def test_white_space_has_no_size() -> None:
    assert size_of(' {"a":\n\t1} ') == len('{"a":1}')
