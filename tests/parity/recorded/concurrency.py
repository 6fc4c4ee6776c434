"""Recorded scenarios about concurrency, event invoke configurations, recursion and code signing."""

from __future__ import annotations

from typing import Any

from harness import REGION
from parity.recorded.replay import ACCOUNT, Replay, scenario

PUT = "put_function_event_invoke_config"
UPDATE = "update_function_event_invoke_config"


@scenario("TestLambdaProvisionedConcurrency/test_lambda_provisioned_lifecycle")
def provisioned_lifecycle(to: Replay) -> None:
    name = to.name()
    to.create_active(None, name)
    to.step("publish_version_result", "publish_version", FunctionName=name)
    to.step(
        "create_alias_result",
        "create_alias",
        FunctionName=name,
        Name="provisioned",
        FunctionVersion="1",
    )
    one = {"FunctionName": name, "ProvisionedConcurrentExecutions": 1}
    put, delete = "put_provisioned_concurrency_config", "delete_provisioned_concurrency_config"
    get = "get_provisioned_concurrency_config"
    to.step("put_provisioned_on_version", put, Qualifier="1", **one)
    to.step("put_provisioned_on_alias_versionconflict", put, Qualifier="provisioned", **one)
    to.step("delete_provisioned_version", delete, FunctionName=name, Qualifier="1")
    to.step("get_provisioned_version_postdelete", get, FunctionName=name, Qualifier="1")
    to.step("put_provisioned_on_alias", put, Qualifier="provisioned", **one)
    to.step("put_provisioned_on_version_conflict", put, Qualifier="1", **one)
    to.step("delete_alias_result", "delete_alias", FunctionName=name, Name="provisioned")
    to.step("get_provisioned_alias_postaliasdelete", get, FunctionName=name, Qualifier="provisioned")
    to.step("list_response_postdeletes", "list_provisioned_concurrency_configs", FunctionName=name)


def _unreserved(to: Replay) -> int:
    return to.ask("get_account_settings")["AccountLimit"]["UnreservedConcurrentExecutions"]


@scenario("TestLambdaProvisionedConcurrency/test_provisioned_concurrency_limits")
def provisioned_limits(to: Replay) -> None:
    name = to.name()
    to.create_active(None, name)
    to.ask("publish_version", FunctionName=name)
    for step, wanted in (
        ("put_provisioned_concurrency_account_limit_exceeded", _unreserved(to) + 1),
        ("put_provisioned_concurrency_below_unreserved_min_value", _unreserved(to) - 10),
    ):
        to.step(
            step,
            "put_provisioned_concurrency_config",
            FunctionName=name,
            Qualifier="1",
            ProvisionedConcurrentExecutions=wanted,
        )


@scenario("TestLambdaConcurrency/test_lambda_concurrency_crud")
def reserved_lifecycle(to: Replay) -> None:
    name = to.name()
    to.create_active(None, name)
    get = "get_function_concurrency"
    to.step("get_function_concurrency_default", get, FunctionName=name)
    to.step(
        "put_function_concurrency",
        "put_function_concurrency",
        FunctionName=name,
        ReservedConcurrentExecutions=0,
    )
    to.step("get_function_concurrency_updated", get, FunctionName=name)
    to.ask("delete_function_concurrency", FunctionName=name)
    to.step("get_function_concurrency_deleted", get, FunctionName=name)


@scenario("TestLambdaReservedConcurrency/test_function_concurrency_limits")
def reserved_limits(to: Replay) -> None:
    name = to.name()
    to.create_active(None, name)
    for step, wanted in (
        ("put_function_concurrency_account_limit_exceeded", _unreserved(to) + 1),
        ("put_function_concurrency_below_unreserved_min_value", _unreserved(to) - 10),
    ):
        to.step(step, "put_function_concurrency", FunctionName=name, ReservedConcurrentExecutions=wanted)


@scenario("TestLambdaRecursion/test_put_function_recursion_config_allow")
def recursion_allowed(to: Replay) -> None:
    to.create_active(None, to.name())
    to.step(
        "put_recursion_config_response",
        "put_function_recursion_config",
        FunctionName=to.name(),
        RecursiveLoop="Allow",
    )
    to.step("get_recursion_config_response", "get_function_recursion_config", FunctionName=to.name())


@scenario("TestLambdaRecursion/test_put_function_recursion_config_default_terminate")
def recursion_by_default(to: Replay) -> None:
    to.create_active(None, to.name())
    to.step(
        "get_recursion_default_terminate_response", "get_function_recursion_config", FunctionName=to.name()
    )


@scenario("TestLambdaRecursion/test_put_function_recursion_config_invalid_value")
def recursion_of_another_kind(to: Replay) -> None:
    to.create_active(None, to.name())
    to.step(
        "put_recursion_invalid_value_error",
        "put_function_recursion_config",
        FunctionName=to.name(),
        RecursiveLoop="InvalidValue",
    )


@scenario("TestLambdaEventInvokeConfig/test_lambda_eventinvokeconfig_exceptions")
def event_invoke_config(to: Replay) -> None:
    name, alias = to.name(), "eventinvokealias"
    arn = to.arn(name)
    to.create_active(None, name)
    to.create_active(None, to.name("other"))
    to.step("fn_version_result", "publish_version", FunctionName=name)
    to.step("fn_alias_result", "create_alias", FunctionName=name, Name=alias, FunctionVersion="1")
    retries = {"MaximumRetryAttempts": 1}
    _event_invoke_functions(to, name, retries)
    _event_invoke_destinations(to, name, arn)
    _event_invoke_qualifiers(to, name, alias, retries)
    _event_invoke_changes(to, name, alias)


def _event_invoke_functions(to: Replay, name: str, retries: dict[str, Any]) -> None:
    to.step("put_functionname_name_notfound", PUT, FunctionName="doesnotexist", **retries)
    to.step("put_functionname_arn_notfound", PUT, FunctionName=to.arn("doesnotexist"), **retries)
    to.step("put_functionname_nootherargs", PUT, FunctionName=name)
    to.step("get_function_doesnotexist", "get_function_event_invoke_config", FunctionName="doesnotexist")
    to.step(
        "delete_function_doesnotexist", "delete_function_event_invoke_config", FunctionName="doesnotexist"
    )
    to.step("delete_function_not_found", "delete_function_event_invoke_config", FunctionName=name)
    to.step("list_function_doesnotexist", "list_function_event_invoke_configs", FunctionName="doesnotexist")
    to.step(
        "put_maxevent_maxvalue_result",
        PUT,
        FunctionName=name,
        MaximumRetryAttempts=2,
        MaximumEventAgeInSeconds=21_600,
    )


def _event_invoke_destinations(to: Replay, name: str, arn: str) -> None:
    def put(step: str, **config: Any) -> None:
        to.step(step, PUT, FunctionName=name, DestinationConfig=config)

    foreign = arn.replace(":lambda:", ":_-/!lambda:")
    put("put_destination_invalid_arn_pattern", OnFailure={"Destination": foreign})
    put("put_destination_recursive", OnSuccess={"Destination": arn})
    put("put_destination_lambda_doesntexist", OnSuccess={"Destination": to.arn("doesnotexist")})
    put("put_destination_other_lambda", OnSuccess={"Destination": to.arn(to.name("other"))})
    put("put_destination_invalid_service_arn", OnSuccess={"Destination": arn.replace(":lambda:", ":iam:")})
    put("put_destination_success_no_destination_arn", OnSuccess={})
    put("put_destination_failure_no_destination_arn", OnFailure={})


def _event_invoke_qualifiers(to: Replay, name: str, alias: str, retries: dict[str, Any]) -> None:
    def put(step: str, form: str, qualifier: str | None = None) -> None:
        given = {} if qualifier is None else {"Qualifier": qualifier}
        to.step(step, PUT, FunctionName=form, **given, **retries)

    put("put_destination_latest", name)
    put("put_destination_latest_explicit_qualifier", name, "$LATEST")
    put("put_destination_version", name, "1")
    put("put_alias_functionname_qualifier", name, alias)
    put("put_alias_doesnotexist", name, "doesnotexist")
    put("put_alias_qualifiedarn", to.arn(f"{name}:{alias}"))
    put("put_alias_qualifiedarn_qualifier", to.arn(f"{name}:{alias}"), alias)
    put("put_alias_qualifiedarn_qualifierconflict", to.arn(f"{name}:{alias}"), "doesnotexist")
    put("put_alias_shorthand", f"{name}:{alias}")
    put("put_alias_shorthand_qualifier", f"{name}:{alias}", alias)
    put("put_alias_shorthand_qualifierconflict", f"{name}:{alias}", "doesnotexist")
    put("put_version_shorthand", f"{name}:1")
    put("put_shorthand_qualifier_match", f"{name}:$LATEST", "$LATEST")
    put("put_shorthand_qualifier_mismatch_1", f"{name}:$LATEST", "1")
    put("put_shorthand_qualifier_mismatch_2", f"{name}:1", "$LATEST")
    put("put_shorthand_qualifier_mismatch_3", f"{name}:{alias}", "1")


def _event_invoke_changes(to: Replay, name: str, alias: str) -> None:
    get, delete = "get_function_event_invoke_config", "delete_function_event_invoke_config"
    list_ = "list_function_event_invoke_configs"
    both = {"MaximumRetryAttempts": 2, "MaximumEventAgeInSeconds": 60}
    to.step("put_pre_overwrite", PUT, FunctionName=name, **both)
    to.step("put_post_overwrite", PUT, FunctionName=name, MaximumRetryAttempts=0)
    to.step("get_post_overwrite", get, FunctionName=name)
    to.step("second_overwrite_existing_response", PUT, FunctionName=name, MaximumRetryAttempts=0)
    to.step("pre_update_response", PUT, FunctionName=name, **both)
    to.step("update_response", UPDATE, FunctionName=name, MaximumRetryAttempts=0)
    to.step("update_response_existing", UPDATE, FunctionName=name, MaximumRetryAttempts=0)
    to.step("list_configs", list_, FunctionName=name)
    to.step("get_qualifier_doesnotexist", get, FunctionName=name, Qualifier="doesnotexist")
    to.step("delete_latest", delete, FunctionName=name, Qualifier="$LATEST")
    to.step("delete_version", delete, FunctionName=name, Qualifier="1")
    to.step("delete_alias", delete, FunctionName=name, Qualifier=alias)
    to.step("list_configs_postdelete", list_, FunctionName=name)
    to.step("get_eventinvokeconfig_doesnotexist", get, FunctionName=name, Qualifier=alias)
    retries = {"MaximumRetryAttempts": 0}
    to.step("update_eventinvokeconfig_function_doesnotexist", UPDATE, FunctionName="doesnotexist", **retries)
    to.step(
        "update_eventinvokeconfig_config_doesnotexist_with_qualifier",
        UPDATE,
        FunctionName=name,
        Qualifier=alias,
        **retries,
    )
    to.step(
        "update_eventinvokeconfig_config_doesnotexist_without_qualifier",
        UPDATE,
        FunctionName=name,
        **retries,
    )


@scenario("TestCodeSigningConfig/test_code_signing_not_found_excs")
def code_signing_not_found(to: Replay) -> None:
    name = to.name()
    to.create_active(None, name)
    created = to.step(
        "create_code_signing_config",
        "create_code_signing_config",
        Description="Testing CodeSigning Config",
        AllowedPublishers={
            "SigningProfileVersionArns": [f"arn:aws:signer:{REGION}:{ACCOUNT}:/signing-profiles/test"]
        },
        CodeSigningPolicies={"UntrustedArtifactOnDeployment": "Enforce"},
    )
    arn: str = created.get("CodeSigningConfig", {}).get("CodeSigningConfigArn", "")
    wrong = f"arn:aws:lambda:{REGION}:{ACCOUNT}:code-signing-config:csc-0b0a0908070605040"
    put, missing = "put_function_code_signing_config", "csc-test-doesnotexist"
    to.step("update_csc_invalid_csc_arn", "update_code_signing_config", CodeSigningConfigArn=wrong)
    to.step("update_csc_noupdates", "update_code_signing_config", CodeSigningConfigArn=wrong)
    to.step("update_csc_noupdate_response", "update_code_signing_config", CodeSigningConfigArn=arn)
    to.step("delete_csc_notfound", "delete_code_signing_config", CodeSigningConfigArn=wrong)
    to.step("get_csc_invalid", "get_code_signing_config", CodeSigningConfigArn=wrong)
    to.step("put_function_csc_invalid_fnname", put, FunctionName=missing, CodeSigningConfigArn=arn)
    to.step("put_function_csc_invalid_csc_arn", put, FunctionName=name, CodeSigningConfigArn=wrong)
    to.step("put_function_csc_invalid_both", put, FunctionName=missing, CodeSigningConfigArn=wrong)
    to.step("get_function_csc_nonexistingfn", "get_function_code_signing_config", FunctionName=missing)
    # The recording replaced the name by a placeholder that its other steps do not have.
    to.step("get_function_csc_fnwithoutcsc", "get_function_code_signing_config", FunctionName=name)
    to.step("nothing_to_delete_response", "delete_function_code_signing_config", FunctionName=name)
    to.step("delete_function_csc_fnnotfound", "delete_function_code_signing_config", FunctionName=missing)
    lists = "list_functions_by_code_signing_config"
    to.step("list_functions_by_csc_invalid_cscarn", lists, CodeSigningConfigArn=wrong)
    to.step("list_functions_by_csc_fnwithoutcsc", lists, CodeSigningConfigArn=arn)
