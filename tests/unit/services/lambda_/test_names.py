"""Names of functions: the four forms mean the same, and what is wrong is said in AWS's words."""

from __future__ import annotations

import pytest

from lambent.errors import (
    AccessDeniedException,
    InvalidParameterValueException,
    ResourceNotFoundException,
    ValidationException,
)
from lambent.services.lambda_.names import resolve, resolve_new
from unit.services.lambda_.world import ACCOUNT, ARN, KEY, a_call


@pytest.mark.parametrize(
    "given",
    [
        "echo",
        "function:echo",
        f"{ACCOUNT}:function:echo",
        f"us-east-1:{ACCOUNT}:function:echo",
        ARN,
    ],
)
def test_a_name_a_partial_and_a_full_arn_mean_the_same_function(given: str) -> None:
    for qualifier in ("", ":$LATEST", ":7", ":live"):
        target = resolve(a_call(), given + qualifier, operation="GetFunction")
        assert target.key == KEY
        assert target.qualifier == (qualifier[1:] or None)
        assert target.arn == ARN + qualifier


def test_an_explicit_qualifier_completes_an_unqualified_name() -> None:
    assert resolve(a_call(), ARN, "3", operation="Invoke").arn == f"{ARN}:3"
    assert resolve(a_call(), f"{ARN}:3", "3", operation="Invoke").arn == f"{ARN}:3"


def test_two_different_qualifiers_are_refused() -> None:
    with pytest.raises(InvalidParameterValueException) as caught:
        resolve(a_call(), "echo:1", "2", operation="Invoke")
    assert caught.value.message == (
        "The derived qualifier from the function name does not match the specified qualifier."
    )


def test_another_region_is_not_reachable() -> None:
    with pytest.raises(ResourceNotFoundException) as caught:
        resolve(a_call(), ARN.replace("us-east-1", "ap-southeast-1"), operation="GetFunction")
    assert caught.value.message == (
        "Functions from 'ap-southeast-1' are not reachable in this region ('us-east-1')"
    )


def test_another_account_is_denied() -> None:
    foreign = ARN.replace(ACCOUNT, "222222222222")
    with pytest.raises(AccessDeniedException) as caught:
        resolve(a_call(), foreign, operation="Invoke")
    assert caught.value.message == (
        f"User: arn:aws:iam::{ACCOUNT}:root is not authorized to perform: lambda:InvokeFunction on resource: "
        f"{foreign} because no resource-based policy allows the lambda:InvokeFunction action"
    )


def test_another_account_that_admitted_the_caller_is_reachable() -> None:
    foreign = ARN.replace(ACCOUNT, "222222222222")
    target = resolve(a_call(admitted_account="222222222222"), foreign, operation="Invoke")
    assert target.arn == foreign
    with pytest.raises(AccessDeniedException):
        resolve(a_call(admitted_account="333333333333"), foreign, operation="Invoke")


def test_a_new_function_is_not_put_into_another_account() -> None:
    with pytest.raises(AccessDeniedException):
        resolve_new(a_call(), "222222222222:function:echo")


def test_a_name_of_64_characters_is_the_longest() -> None:
    assert resolve_new(a_call(), "a" * 64).name == "a" * 64
    for given in ("a" * 65, f"{ACCOUNT}:function:{'a' * 65}"):
        with pytest.raises(InvalidParameterValueException) as caught:
            resolve_new(a_call(), given)
        assert caught.value.message == (
            f"1 validation error detected: Value '{'a' * 65}' at 'functionName' failed to satisfy constraint: "
            "Member must have length less than or equal to 64"
        )


@pytest.mark.parametrize("given", ["invalid:function:name", "a b", "", "echo:1:2"])
def test_what_is_no_name_is_refused_with_the_pattern(given: str) -> None:
    with pytest.raises(ValidationException) as caught:
        resolve(a_call(), given, operation="GetFunction")
    assert caught.value.message == (
        f"1 validation error detected: Value '{given}' at 'functionName' failed to satisfy constraint: Member "
        r"must satisfy regular expression pattern: (arn:(aws[a-zA-Z-]*)?:lambda:)?((eusc-)?[a-z]{2}((-gov)|"
        r"(-iso([a-z]?)))?-[a-z]+-\d{1}:)?(\d{12}:)?(function:)?([a-zA-Z0-9-_]+)(:(\$LATEST|[a-zA-Z0-9-_]+))?"
    )


def test_a_new_function_has_no_qualifier() -> None:
    with pytest.raises(ValidationException):
        resolve_new(a_call(), "echo:$LATEST")


def test_the_same_name_is_another_function_for_another_caller() -> None:
    for account, region in (
        (ACCOUNT, "us-east-1"),
        ("123456789012", "us-east-1"),
        (ACCOUNT, "eu-west-1"),
    ) * 2:
        target = resolve(a_call(account=account, region=region), "echo", operation="Invoke")
        assert (target.key.account, target.key.region) == (account, region)
