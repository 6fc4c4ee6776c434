"""Recorded scenarios about aliases, revision ids and function URLs."""

from __future__ import annotations

from parity.recorded.replay import Replay, scenario


@scenario("TestLambdaAlias/test_alias_lifecycle")
def alias_lifecycle(to: Replay) -> None:
    name = to.name()
    staging = {"Variables": {"testenv": "staging"}}
    to.create_active("create_response", name, Handler="index.handler", Timeout=3, Environment=staging)
    to.step("publish_v1", "publish_version", FunctionName=name)
    to.ask("update_function_configuration", FunctionName=name, Environment={"Variables": {"testenv": "prod"}})
    to.settle(name)
    to.step("publish_v2", "publish_version", FunctionName=name)
    custom = {"Description": "custom-alias"}
    weights = {"RoutingConfig": {"AdditionalVersionWeights": {"2": 0.2}}}
    for alias, version, settings in (
        ("1_1", "1", custom | weights),
        ("1_2", "1", custom),
        ("1_3", "1", {}),
        ("2", "2", custom),
    ):
        to.step(
            f"create_alias_{alias}",
            "create_alias",
            FunctionName=name,
            Name=f"aliasname{alias}",
            FunctionVersion=version,
            **settings,
        )
        to.step(f"get_alias_{alias}", "get_alias", FunctionName=name, Name=f"aliasname{alias}")
    to.step("get_function_alias_1_1", "get_function", FunctionName=name, Qualifier="aliasname1_1")
    to.step("get_function_byarn_alias_1_1", "get_function", FunctionName=to.arn(f"{name}:aliasname1_1"))
    to.step(
        "get_function_alias_notfound_exc", "get_function", FunctionName=name, Qualifier="aliasdoesnotexist"
    )
    to.step(
        "get_function_alias_byarn_notfound_exc",
        "get_function",
        FunctionName=to.arn(f"{name}:aliasdoesnotexist"),
    )
    to.step("list_aliases_for_fnname", "list_aliases", FunctionName=name)
    to.step(
        "update_alias_1_1",
        "update_alias",
        FunctionName=name,
        Name="aliasname1_1",
        RoutingConfig={"AdditionalVersionWeights": {}},
    )
    to.step("get_alias_1_1_after_update", "get_alias", FunctionName=name, Name="aliasname1_1")
    to.step("list_aliases_for_fnname_after_update", "list_aliases", FunctionName=name)
    # An update without a change is a change of the revision id.
    to.step("update_alias_1_2", "update_alias", FunctionName=name, Name="aliasname1_2")
    to.step("get_alias_1_2_after_update", "get_alias", FunctionName=name, Name="aliasname1_2")
    to.step("list_aliases_for_fnname_after_update_2", "list_aliases", FunctionName=name)
    to.step("list_aliases_for_version", "list_aliases", FunctionName=name, FunctionVersion="1")
    to.step("delete_alias_response", "delete_alias", FunctionName=name, Name="aliasname1_1")
    to.step("list_aliases_for_fnname_afterdelete", "list_aliases", FunctionName=name)


STAGING = {"Variables": {"testenv": "staging"}}


@scenario("TestLambdaAlias/test_non_existent_alias_deletion")
def non_existent_alias_deletion(to: Replay) -> None:
    to.create_active("create_response", to.name(), Handler="index.handler", Timeout=3, Environment=STAGING)
    to.step("delete_alias_response", "delete_alias", FunctionName=to.name(), Name="non-existent")


@scenario("TestLambdaAlias/test_non_existent_alias_update")
def non_existent_alias_update(to: Replay) -> None:
    to.create_active("create_response", to.name(), Handler="index.handler", Timeout=3, Environment=STAGING)
    to.step("update_alias_response", "update_alias", FunctionName=to.name(), Name="non-existent")


@scenario("TestLambdaRevisions/test_function_revisions_version_and_alias")
def revisions_of_versions_and_aliases(to: Replay) -> None:
    name = to.name()
    to.create_active("create_function_response_rev1", name)
    active = to.step("get_function_active_rev2", "get_function", FunctionName=name)
    to.step("publish_version_revision_exception", "publish_version", FunctionName=name, RevisionId="wrong")
    to.step(
        "publish_version_response_rev_v1",
        "publish_version",
        FunctionName=name,
        RevisionId=active["Configuration"]["RevisionId"],
    )
    to.step("get_function_published_version_rev_v2", "get_function", FunctionName=name, Qualifier="1")
    to.step("get_function_latest_rev3", "get_function", FunctionName=name)
    created = to.step(
        "create_alias_response_rev_a1",
        "create_alias",
        FunctionName=name,
        Name="revision_alias",
        FunctionVersion="1",
    )
    to.step("get_function_latest_rev4", "get_function", FunctionName=name)
    to.step("get_function_published_version_rev_v3", "get_function", FunctionName=name, Qualifier="1")
    change = {"FunctionName": name, "Name": "revision_alias", "Description": "something changed"}
    to.step("update_alias_revision_exception", "update_alias", RevisionId="wrong", **change)
    to.step("update_alias_response_rev_a2", "update_alias", RevisionId=created["RevisionId"], **change)


@scenario("TestLambdaUrl/test_url_config_lifecycle")
def url_lifecycle(to: Replay) -> None:
    name = to.name()
    to.create_active(None, name)
    url = {"FunctionName": name, "AuthType": "NONE"}
    # The recording has one text for all addresses.
    created = to.ask("create_function_url_config", **url)
    to.note("url_creation", created | {"FunctionUrl": "lambda-url"})
    to.step("failed_duplication", "create_function_url_config", **url)
    found = to.ask("get_function_url_config", FunctionName=name)
    to.note("get_url_config", found | {"FunctionUrl": "lambda-url"})
    updated = to.ask("update_function_url_config", FunctionName=name, AuthType="AWS_IAM")
    to.note("updated_url_config", updated | {"FunctionUrl": "lambda-url"})
    assert created["FunctionUrl"] == found["FunctionUrl"] == updated["FunctionUrl"]
    to.ask("delete_function_url_config", FunctionName=name)
    to.step("failed_getter", "get_function_url_config", FunctionName=name)


@scenario("TestLambdaURL/test_lambda_update_function_url_config")
def url_modes(to: Replay) -> None:
    name = to.name()
    to.create_active(None, name)
    url = {"FunctionName": name}
    get, update = "get_function_url_config", "update_function_url_config"
    to.step(
        "create_lambda_url_config",
        "create_function_url_config",
        AuthType="NONE",
        InvokeMode="BUFFERED",
        **url,
    )
    to.step("get_url_config", get, **url)
    to.step("modify_lambda_url_config", update, InvokeMode="RESPONSE_STREAM", **url)
    to.step("get_url_config_2", get, **url)
    to.step("modify_lambda_url_config_none", update, AuthType="NONE", **url)
    to.step("get_url_config_3", get, **url)


@scenario(
    "TestLambdaURL/test_lambda_url_echo_invoke[BUFFERED]",
    "TestLambdaURL/test_lambda_url_echo_invoke[None]",
    "TestLambdaURL/test_lambda_url_echo_invoke[RESPONSE_STREAM]",
)
def url_for_everybody(to: Replay, mode: str) -> None:
    name = to.name()
    to.create_active(None, name)
    given = {} if mode == "None" else {"InvokeMode": mode}
    to.step(
        "create_lambda_url_config", "create_function_url_config", FunctionName=name, AuthType="NONE", **given
    )
    to.step(
        "add_permission",
        "add_permission",
        FunctionName=name,
        StatementId="urlPermission",
        Action="lambda:InvokeFunctionUrl",
        Principal="*",
        FunctionUrlAuthType="NONE",
    )
