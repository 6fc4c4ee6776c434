"""Recorded scenarios about resource-based policies of functions."""

from __future__ import annotations

from typing import Any

from parity.recorded.replay import ACCOUNT, OTHER_ZIP, Replay, scenario

INVOKE: dict[str, Any] = {"Action": "lambda:InvokeFunction", "Principal": "s3.amazonaws.com"}


def _s3(to: Replay) -> dict[str, Any]:
    return INVOKE | {"SourceArn": f"arn:aws:s3:::{to.name('bucket')}"}


@scenario("TestLambdaPermissions/test_add_lambda_permission_fields")
def permission_fields(to: Replay) -> None:
    name = to.name()
    to.create_active(None, name)

    def add(step: str, sid: str, principal: str, **parameters: Any) -> None:
        settings = {"Action": "lambda:InvokeFunction", "StatementId": sid, "Principal": principal}
        to.step(step, "add_permission", FunctionName=name, **settings | parameters)

    here = {"SourceAccount": ACCOUNT}
    add("add_permission_principal_wildcard", "wilcard", "*", **here)
    add("add_permission_principal_service", "lambda", "lambda.amazonaws.com", **here)
    add("add_permission_principal_account", "account-id", ACCOUNT)
    add("add_permission_principal_arn", "user-arn", f"arn:aws:iam::{ACCOUNT}:user/me", **here)
    add(
        "add_permission_optional_fields",
        "urlPermission",
        "*",
        Action="lambda:InvokeFunctionUrl",
        SourceArn=f"arn:aws:s3:::{to.name('bucket')}",
        PrincipalOrgID="o-1234567890",
        FunctionUrlAuthType="NONE",
        **here,
    )
    add(
        "add_permission_alexa_skill",
        "alexaSkill",
        "*",
        EventSourceToken="amzn1.ask.skill.xxxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx",
    )


@scenario("TestLambdaPermissions/test_lambda_permission_fn_versioning")
def permissions_of_versions_and_aliases(to: Replay) -> None:
    name, alias = to.name(), "permission-alias"
    to.create_active(None, name)
    to.step("add_permission", "add_permission", FunctionName=name, StatementId="s3", **_s3(to))
    to.step("get_policy", "get_policy", FunctionName=name)
    to.step("publish_version_result", "publish_version", FunctionName=name)
    to.step("get_function_result_after_publishing", "get_function", FunctionName=name)
    to.step("get_policy_after_publishing_latest", "get_policy", FunctionName=name)
    to.step("get_policy_after_publishing_new_version", "get_policy", FunctionName=name, Qualifier="1")
    to.ask("add_permission", FunctionName=name, Qualifier="1", StatementId="s3", **_s3(to))
    to.step("get_policy_after_adding_to_new_version", "get_policy", FunctionName=name)
    to.step("get_policy_version", "get_policy", FunctionName=name, Qualifier="1")
    created = to.step(
        "create_alias_response", "create_alias", FunctionName=name, Name=alias, FunctionVersion="1"
    )
    to.step("get_alias", "get_alias", FunctionName=name, Name=alias)
    to.step(
        "add_permission_alias_revision_exception",
        "add_permission",
        FunctionName=name,
        Qualifier=alias,
        StatementId="s3",
        RevisionId="wrong",
        **_s3(to),
    )
    to.ask(
        "add_permission",
        FunctionName=name,
        Qualifier=alias,
        StatementId="s3",
        RevisionId=created["RevisionId"],
        **_s3(to),
    )
    to.step("get_policy_alias", "get_policy", FunctionName=name, Qualifier=alias)
    to.ask("add_permission", FunctionName=name, StatementId="s3_2", **_s3(to))
    to.step("get_policy_after_adding_2", "get_policy", FunctionName=name)


@scenario("TestLambdaPermissions/test_lambda_permission_versioning")
def permissions_of_versions(to: Replay) -> None:
    # Here the revision id of the policy changed when a version was published; in a newer recording (above) not.
    to.leave_out("get_policy_after_publishing_latest", "get_policy_after_adding_to_new_version")
    name = to.name()
    to.create_active(None, name)
    to.step("add_permission", "add_permission", FunctionName=name, StatementId="s3", **_s3(to))
    to.step("get_policy", "get_policy", FunctionName=name)
    to.ask("publish_version", FunctionName=name)
    to.step("get_policy_after_publishing_new_version", "get_policy", FunctionName=name, Qualifier="1")
    to.ask("add_permission", FunctionName=name, Qualifier="1", StatementId="s3", **_s3(to))
    to.ask("add_permission", FunctionName=name, StatementId="s3_2", **_s3(to))
    to.step("get_policy_after_adding_2", "get_policy", FunctionName=name)


@scenario("TestLambdaPermissions/test_lambda_permission_revisions")
def permission_revisions(to: Replay) -> None:
    # Recorded in 2022: the configurations lack the members that came later.
    to.leave_out("get_function_fn8", "get_function_fn8_v1", "get_function_fn9", "get_function_fn9_v1")
    name = to.name()
    to.create_active(None, name)
    to.ask("publish_version", FunctionName=name)
    for statement in ("s3", "s3_2"):
        to.ask("add_permission", FunctionName=name, StatementId=statement, **_s3(to))
    to.step("get_policy_after_publish_version", "get_policy", FunctionName=name)
    to.ask("add_permission", FunctionName=name, Qualifier="1", StatementId="s3_2", **_s3(to))
    to.step("get_policy_v1_after_publish_version", "get_policy", FunctionName=name, Qualifier="1")
    to.ask("add_permission", FunctionName=name, Qualifier="1", StatementId="s3_3", **_s3(to))
    to.step("get_policy_v1_after_add_permission9", "get_policy", FunctionName=name, Qualifier="1")
    # The texts of 2022 named GetFunction and GetAlias; newer recordings of the same error name GetPolicy.
    to.leave_out("add_permission_revision_id_doesnotmatch", "remove_permission_fn_revision_id_doesnotmatch")


@scenario("TestLambdaPermissions/test_remove_multi_permissions")
def several_permissions(to: Replay) -> None:
    name = to.name()
    to.create_active(None, name)
    to.step("add_permission_1", "add_permission", FunctionName=name, StatementId="s3", **INVOKE)
    to.step(
        "add_permission_2",
        "add_permission",
        FunctionName=name,
        StatementId="sqs",
        **_s3(to) | {"Principal": "sqs.amazonaws.com"},
    )
    to.step("policy_after_2_add", "get_policy", FunctionName=name)
    to.step(
        "remove_permission_exception_nonexisting_sid",
        "remove_permission",
        FunctionName=name,
        StatementId="non-existent",
    )
    to.ask("remove_permission", FunctionName=name, StatementId="sqs")
    to.step("policy_after_removal", "get_policy", FunctionName=name)
    revision = to.step("policy_after_removal_attempt", "get_policy", FunctionName=name)["RevisionId"]
    to.ask("remove_permission", FunctionName=name, StatementId="s3", RevisionId=revision)
    to.step("get_policy_exception_removed_all", "get_policy", FunctionName=name)


@scenario("TestLambdaRevisions/test_function_revisions_permissions")
def revisions_of_permissions(to: Replay) -> None:
    name = to.name()
    to.create_active(None, name)
    to.ask("update_function_code", FunctionName=name, ZipFile=OTHER_ZIP)
    to.settle(name)
    to.step(
        "add_permission_revision_exception",
        "add_permission",
        FunctionName=name,
        StatementId="s3",
        RevisionId="wrong",
        **INVOKE,
    )
