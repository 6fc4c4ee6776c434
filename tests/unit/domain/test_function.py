"""Functions as values: their names in AWS's forms, and which version an invocation runs."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, replace

import msgspec
import pytest

from lambent.domain.function import Function, FunctionKey, runtime_version_arn
from samples import KEY, VERSION


def test_a_function_has_an_arn_and_a_qualified_one() -> None:
    assert KEY.arn == "arn:aws:lambda:us-east-1:000000000000:function:f"
    assert KEY.qualified_arn("live") == "arn:aws:lambda:us-east-1:000000000000:function:f:live"
    assert VERSION.arn == "arn:aws:lambda:us-east-1:000000000000:function:f:$LATEST"
    assert replace(VERSION, version="3").arn.endswith(":function:f:3")


def test_functions_of_the_same_name_elsewhere_are_others() -> None:
    others = [
        msgspec.structs.replace(KEY, account="123456789012"),
        msgspec.structs.replace(KEY, region="eu-west-1"),
        msgspec.structs.replace(KEY, name="g"),
    ]
    assert len({KEY, *others}) == 4
    assert len({key.path for key in (KEY, *others)}) == 4
    assert FunctionKey(account="000000000000", region="us-east-1", name="f") == KEY


def test_while_an_update_is_in_progress_the_version_before_serves() -> None:
    function = Function(key=KEY, latest=VERSION)
    assert function.invocable is VERSION
    before = replace(VERSION, memory_mb=256)
    assert replace(function, serving=before).invocable is before


def test_values_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        setattr(VERSION, "memory_mb", 1)  # noqa: B010


def test_a_runtime_has_a_version_arn_that_stays_the_same() -> None:
    arn = runtime_version_arn("eu-west-1", "python3.12")
    assert arn.startswith("arn:aws:lambda:eu-west-1::runtime:")
    assert len(arn.rpartition(":")[2]) == 64
    assert (
        arn
        == runtime_version_arn("eu-west-1", "python3.12")
        != runtime_version_arn("eu-west-1", "python3.13")
    )


def test_snapstart_applies_to_published_versions_alone() -> None:
    asked = {"SnapStart": {"ApplyOn": "PublishedVersions"}}
    assert replace(VERSION, version="1", passive=asked).is_snap_start
    assert not replace(VERSION, passive=asked).is_snap_start
    assert not replace(VERSION, version="1", passive={"SnapStart": {"ApplyOn": "None"}}).is_snap_start
    assert not replace(VERSION, version="1").is_snap_start
