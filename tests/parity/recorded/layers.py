"""Recorded scenarios about layers."""

from __future__ import annotations

from typing import Any

from harness import REGION, zip_of
from parity.recorded.replay import ACCOUNT, Replay, scenario

CONTENT = {"ZipFile": zip_of({"python/shared.py": "answer = 42"})}
BOTH = ["arm64", "x86_64"]


def _publish(to: Replay, step: str, name: str, **parameters: Any) -> dict[str, Any]:
    return to.step(step, "publish_layer_version", LayerName=name, Content=CONTENT, **parameters)


@scenario(
    "TestLambdaLayer/test_layer_compatibilities[runtimes0]",
    "TestLambdaLayer/test_layer_compatibilities[runtimes1]",
    "TestLambdaLayer/test_layer_compatibilities[runtimes2]",
)
def layer_compatibilities(to: Replay, _: str) -> None:
    runtimes: list[str] = to.recording["publish_result"]["CompatibleRuntimes"]
    _publish(to, "publish_result", to.name(), CompatibleRuntimes=runtimes, CompatibleArchitectures=BOTH)


@scenario("TestLambdaLayer/test_layer_exceptions")
def layer_exceptions(to: Replay) -> None:
    name = to.name()
    published = _publish(
        to,
        "publish_result",
        name,
        CompatibleRuntimes=["python3.12"],
        CompatibleArchitectures=["x86_64"],
    )
    lists = "list_layers"
    to.step("list_layers_exc_compatibleruntime_invalid", lists, CompatibleRuntime="runtimedoesnotexist")
    to.step(
        "list_layers_exc_compatiblearchitecture_invalid", lists, CompatibleArchitecture="archdoesnotexist"
    )
    to.step("list_nonexistent_layer", "list_layer_versions", LayerName=to.name("none"))
    get, delete = "get_layer_version", "delete_layer_version"
    to.step("get_layer_version_exc_layer_doesnotexist", get, LayerName=to.name("none"), VersionNumber=1)
    to.step(
        "get_layer_version_exc_layer_version_doesnotexist_negative", get, LayerName=name, VersionNumber=-1
    )
    to.step("get_layer_version_exc_layer_version_doesnotexist_zero", get, LayerName=name, VersionNumber=0)
    to.step("get_layer_version_exc_layer_version_doesnotexist_2", get, LayerName=name, VersionNumber=2)
    by_arn, arn = "get_layer_version_by_arn", published.get("LayerArn", "")
    to.step("get_layer_version_by_arn_exc_invalidarn", by_arn, Arn=arn)
    to.step("get_layer_version_by_arn_exc_nonexistentversion", by_arn, Arn=f"{arn}:2")
    to.step("delete_nonexistent_response", delete, LayerName=to.name("none"), VersionNumber=1)
    to.step("delete_nonexistent_version_response", delete, LayerName=name, VersionNumber=2)
    to.step("delete_layer_version_exc_layerversion_invalid_version", delete, LayerName=name, VersionNumber=-1)
    to.step("delete_layer_response", delete, LayerName=name, VersionNumber=1)
    to.step("delete_layer_again_response", delete, LayerName=name, VersionNumber=1)
    _publish(
        to,
        "publish_empty_result",
        to.name("empty"),
        CompatibleRuntimes=[],
        CompatibleArchitectures=[],
    )
    _publish(
        to,
        "publish_layer_version_exc_invalid_runtime_arch",
        to.name("bad"),
        CompatibleRuntimes=["invalidruntime"],
        CompatibleArchitectures=["invalidarch"],
    )
    _publish(
        to,
        "publish_layer_version_exc_partially_invalid_values",
        to.name("bad"),
        CompatibleRuntimes=["invalidruntime", "invalidruntime2", "nodejs20.x"],
        CompatibleArchitectures=["invalidarch", "x86_64"],
    )


@scenario("TestLambdaLayer/test_layer_function_exceptions")
def layers_that_a_function_cannot_have(to: Replay) -> None:
    name, layer = to.name(), to.name("layer")
    for step in ("publish_result", "publish_result_2", "publish_result_3"):
        published = _publish(to, step, layer, CompatibleRuntimes=[], CompatibleArchitectures=["x86_64"])
    arn: str = published.get("LayerArn", "")
    to.create_active(None, name)
    to.step("get_fn_result", "get_function", FunctionName=name)

    def update(step: str, *layers: str) -> None:
        to.step(step, "update_function_configuration", FunctionName=name, Layers=list(layers))

    update("two_layer_versions_single_function_exc", f"{arn}:1", f"{arn}:2")
    update("three_layer_versions_single_function_exc", f"{arn}:1", f"{arn}:2", f"{arn}:3")
    update("two_identical_layer_versions_single_function_exc", f"{arn}:1", f"{arn}:1")
    update("add_nonexistent_layer_exc", f"arn:aws:lambda:{REGION}:{ACCOUNT}:layer:doesnotexist:1")
    update("add_nonexistent_layer_version_exc", f"{arn}:9")
    update("add_layer_arn_without_version_exc", arn)
    elsewhere = f"{arn}:1".replace(REGION, "ap-southeast-1")
    to.create("create_function_with_layer_in_different_region", to.name("other"), Layers=[elsewhere])


@scenario("TestLambdaLayer/test_layer_function_quota_exception")
def six_layers(to: Replay) -> None:
    arns = [
        to.ask("publish_layer_version", LayerName=to.name(f"layer-{n}"), Content=CONTENT)["LayerVersionArn"]
        for n in range(6)
    ]
    to.create("create_function_with_six_layers", to.name(), Layers=arns)


@scenario("TestLambdaLayer/test_layer_lifecycle")
def layer_lifecycle(to: Replay) -> None:
    name, layer = to.name(), to.name("layer")
    to.create_active(None, name)
    to.step("get_fn_result", "get_function", FunctionName=name)
    to.step("get_fn_config_result", "get_function_configuration", FunctionName=name)
    described = {
        "CompatibleRuntimes": ["python3.12"],
        "CompatibleArchitectures": ["x86_64"],
        "Description": to.name("description"),
        "LicenseInfo": to.name("license"),
    }
    first = _publish(to, "publish_result", layer, **described)
    _publish(to, "publish_result_2", layer, **described)
    arn: str = first.get("LayerVersionArn", "")
    to.step("update_fn_config", "update_function_configuration", FunctionName=name, Layers=[arn])
    to.settle(name)
    to.step("get_fn_config", "get_function_configuration", FunctionName=name)
    to.step("get_layer_ver_result", "get_layer_version", LayerName=layer, VersionNumber=1)
    to.step("get_layer_by_arn_version", "get_layer_version_by_arn", Arn=arn)
    to.step("list_layer_versions_predelete", "list_layer_versions", LayerName=layer)
    to.step("delete_layer_1", "delete_layer_version", LayerName=layer, VersionNumber=1)
    to.step("delete_layer_2", "delete_layer_version", LayerName=layer, VersionNumber=2)
    to.step("get_fn_config_postdelete", "get_function_configuration", FunctionName=name)
    to.step("list_layer_versions_postdelete", "list_layer_versions", LayerName=layer)
    _publish(to, "publish_result_3", layer, **described)


def _add(to: Replay, step: str, layer: str, version: int = 1, **parameters: Any) -> dict[str, Any]:
    settings = {
        "StatementId": "s1",
        "Action": "lambda:GetLayerVersion",
        "Principal": "*",
        "LayerName": layer,
        "VersionNumber": version,
    }
    return to.step(step, "add_layer_version_permission", **settings | parameters)


DESCRIBED = {"CompatibleRuntimes": ["python3.12"], "CompatibleArchitectures": ["x86_64"]}


@scenario("TestLambdaLayer/test_layer_policy_exceptions")
def layer_policy_exceptions(to: Replay) -> None:
    layer = to.name()
    missing = f"{layer}-doesnotexist"
    _publish(to, "publish_result", layer, **DESCRIBED)
    get, remove = "get_layer_version_policy", "remove_layer_version_permission"
    one, two = {"VersionNumber": 1}, {"VersionNumber": 2}
    to.step("layer_permission_nopolicy_get", get, LayerName=layer, **one)
    _add(to, "add_layer_permission_result", layer)
    _add(to, "layer_permission_action_invalid", layer, Action="*", StatementId="s2")
    _add(to, "layer_permission_duplicate_statement", layer)
    _add(to, "layer_permission_wrong_revision", layer, StatementId="s2", RevisionId="wrong")
    _add(to, "layer_permission_layername_doesnotexist_add", missing)
    to.step("layer_permission_layername_doesnotexist_get", get, LayerName=missing, **one)
    to.step(
        "layer_permission_layername_doesnotexist_remove",
        remove,
        LayerName=missing,
        StatementId="s1",
        **one,
    )
    _add(to, "layer_permission_layerversion_doesnotexist_add", layer, 2)
    to.step("layer_permission_layerversion_doesnotexist_get", get, LayerName=layer, **two)
    to.step(
        "layer_permission_layerversion_doesnotexist_remove", remove, LayerName=layer, StatementId="s1", **two
    )
    to.step(
        "layer_permission_statementid_doesnotexist_remove",
        remove,
        LayerName=layer,
        StatementId="doesnotexist",
        **one,
    )
    to.step(
        "layer_permission_wrong_revision_remove",
        remove,
        LayerName=layer,
        StatementId="s1",
        RevisionId="wrong",
        **one,
    )


@scenario("TestLambdaLayer/test_layer_policy_lifecycle")
def layer_policy_lifecycle(to: Replay) -> None:
    layer = to.name()
    version: dict[str, Any] = {"LayerName": layer, "VersionNumber": 1}
    _publish(to, "publish_result", layer, **DESCRIBED)
    first = _add(to, "add_policy_s1", layer)
    to.step("get_layer_version_policy", "get_layer_version_policy", **version)
    _add(to, "add_policy_s2", layer, StatementId="s2", RevisionId=first.get("RevisionId", ""))
    second = to.step("get_layer_version_policy_postadd2", "get_layer_version_policy", **version)
    to.step(
        "remove_s2",
        "remove_layer_version_permission",
        StatementId="s2",
        RevisionId=second.get("RevisionId", ""),
        **version,
    )
    to.step("get_layer_version_policy_postdeletes2", "get_layer_version_policy", **version)
