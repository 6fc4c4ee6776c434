"""Recorded scenarios about functions: names, code, configuration, sizes, SnapStart, the account."""

from __future__ import annotations

import json

from harness import zip_of
from parity.recorded.replay import ACCOUNT, OTHER_ZIP, Replay, scenario

PROVIDER_HANDLERS = {
    "dotnet": "dotnet::Dotnet.Function::FunctionHandler",
    "java": "echo.Handler",
    "python": "handler.handler",
}


@scenario("TestLambdaFunction/test_delete_on_nonexisting_version")
def delete_on_nonexisting_version(to: Replay) -> None:
    to.step("delete_function_response_non_existent", "delete_function", FunctionName=to.name())
    to.step(
        "delete_function_response_non_existent_with_qualifier",
        "delete_function",
        FunctionName=to.name(),
        Qualifier="1",
    )


@scenario("TestLambdaFunction/test_function_arns")
def function_arns(to: Replay) -> None:
    to.create("create-function-arn-response", to.arn(to.name("whole")))
    to.create("create-function-partial-arn-response", f"{ACCOUNT}:function:{to.name('partial')}")
    to.create("long_function_name_exc", "a" * 65)
    to.create("long_function_arn_exc", to.arn("a" * 150))
    to.create("function_arn_other_region_exc", to.arn("f").replace("us-east-1", "ap-southeast-1"))
    to.create("function_arn_other_account_exc", to.arn("f").replace(ACCOUNT, "123456789012"))
    to.create("invalid_function_name_exc", "invalid:function:name")


@scenario("TestLambdaFunction/test_invalid_vpc_config_security_group")
def invalid_security_group(to: Replay) -> None:
    # Whether a security group exists is not known here: there is no EC2.
    to.leave_out("create-response-non-existent-security-group")
    to.create(
        "create-response-invalid-format-security-group",
        to.name(),
        VpcConfig={"SubnetIds": ["subnet-1"], "SecurityGroupIds": ["bad-format"]},
    )


@scenario("TestLambdaFunction/test_invalid_vpc_config_subnet")
def invalid_subnet(to: Replay) -> None:
    # Nor whether a subnet does.
    to.leave_out("create-response-non-existent-subnet-id")
    to.create(
        "create-response-invalid-format-subnet-id",
        to.name(),
        VpcConfig={"SubnetIds": ["bad-format"], "SecurityGroupIds": ["sg-1"]},
    )


@scenario("TestLambdaFunction/test_lambda_concurrent_code_updates")
def concurrent_code_updates(to: Replay) -> None:
    # That the second update comes while the first is in progress is a matter of luck with a quick server; the
    # text is checked where time is under control, in the unit tests of functions.
    to.leave_out("update-during-in-progress-update-exc")
    to.create_active("create-function-response", to.name(), Timeout=3, Environment=None)


@scenario("TestLambdaFunction/test_vpc_config")
def vpc_config(to: Replay) -> None:
    name = to.name()
    first = {"SubnetIds": ["subnet-1"], "SecurityGroupIds": ["sg-1"]}
    to.create_active("create_response", name, Timeout=5, MemorySize=256, VpcConfig=first)
    to.step("get_function_response", "get_function", FunctionName=name)
    second = {"SubnetIds": ["subnet-2"], "SecurityGroupIds": ["sg-2"]}
    to.step(
        "update_vpcconfig_update_response",
        "update_function_configuration",
        FunctionName=name,
        VpcConfig=second,
    )
    to.settle(name)
    to.step("update_vpcconfig_get_function_response", "get_function", FunctionName=name)
    none: dict[str, list[str]] = {"SubnetIds": [], "SecurityGroupIds": []}
    to.step(
        "delete_vpcconfig_update_response",
        "update_function_configuration",
        FunctionName=name,
        VpcConfig=none,
    )
    to.settle(name)
    to.step("delete_vpcconfig_get_function_response", "get_function", FunctionName=name)


@scenario("TestLambdaSizeLimits/test_lambda_envvars_near_limit_succeeds")
def environment_near_the_limit(to: Replay) -> None:
    recorded = to.recording["successful_create_fn_result"]["CreateFunctionResponse"]["Environment"]
    to.create("successful_create_fn_result", to.name(), Environment=recorded)


@scenario("TestLambdaSizeLimits/test_large_environment_variables_fails")
def environment_too_large(to: Replay) -> None:
    _create_with_measured_environment(to, "failed_create_fn_result")


@scenario("TestLambdaSizeLimits/test_large_environment_fails_multiple_keys")
def environment_too_large_with_several_keys(to: Replay) -> None:
    _create_with_measured_environment(to, "failured_create_fn_result_multi_key")


def _create_with_measured_environment(to: Replay, step: str) -> None:
    message: str = to.recording[step]["message"]
    variables = json.loads(message.partition("String measured: ")[2])
    to.create(step, to.name(), Environment={"Variables": variables})
    assert to.ask("get_function", FunctionName=to.name())["ResponseMetadata"]["HTTPStatusCode"] == 404


@scenario("TestLambdaSizeLimits/test_large_lambda")
def large_function(to: Replay) -> None:
    content = zip_of({"handler.py": "def handler(event, context): return event", "more": b"\0" * 1_000_000})
    to.create("create_function_large_zip", to.name(), Timeout=10, Environment=None, Code={"ZipFile": content})


@scenario("TestLambdaSizeLimits/test_oversized_request_create_lambda")
def oversized_request(to: Replay) -> None:
    to.create("invalid_param_exc", to.name(), Code={"ZipFile": b"\0" * 53_000_000})


@scenario(
    "TestLambdaSnapStart/test_snapstart_update_function_configuration[dotnet10]",
    "TestLambdaSnapStart/test_snapstart_update_function_configuration[dotnet8]",
    "TestLambdaSnapStart/test_snapstart_update_function_configuration[java11]",
    "TestLambdaSnapStart/test_snapstart_update_function_configuration[java17]",
    "TestLambdaSnapStart/test_snapstart_update_function_configuration[java21]",
    "TestLambdaSnapStart/test_snapstart_update_function_configuration[java25]",
    "TestLambdaSnapStart/test_snapstart_update_function_configuration[python3.12]",
    "TestLambdaSnapStart/test_snapstart_update_function_configuration[python3.13]",
)
def snap_start(to: Replay, runtime: str) -> None:
    handler = next(text for language, text in PROVIDER_HANDLERS.items() if runtime.startswith(language))
    settings = {"Runtime": runtime, "Handler": handler, "MemorySize": 1024, "Timeout": 5}
    to.create("create_function_response", to.name(), Environment=None, **settings)
    if not runtime.startswith("python"):
        # There is no interpreter for it here, so the function never becomes active and cannot be updated.
        to.leave_out("update_function_response")
        return
    to.settle(to.name())
    to.step(
        "update_function_response",
        "update_function_configuration",
        FunctionName=to.name(),
        SnapStart={"ApplyOn": "PublishedVersions"},
    )


@scenario("TestLoggingConfig/test_advanced_logging_configuration_format_switch")
def logging_format_switch(to: Replay) -> None:
    name = to.name()
    to.create_active("create_response", name, Timeout=5, MemorySize=256)
    to.step("get_function_response", "get_function", FunctionName=name)
    to.step("function_config", "get_function_configuration", FunctionName=name)
    for suffix, format_ in (("", "JSON"), ("_v2", "Text")):
        to.step(
            f"updated_config{suffix}",
            "update_function_configuration",
            FunctionName=name,
            LoggingConfig={"LogFormat": format_},
        )
        to.settle(name)
        to.step(f"received_config{suffix}", "get_function_configuration", FunctionName=name)


@scenario("TestLoggingConfig/test_function_advanced_logging_configuration")
def logging_configuration(to: Replay) -> None:
    name = to.name()
    to.create_active("create_response", name, Timeout=5, MemorySize=256, LoggingConfig={"LogFormat": "JSON"})
    to.step("get_function_response", "get_function", FunctionName=name)
    to.step("function_config", "get_function_configuration", FunctionName=name)
    to.step(
        "updated_config",
        "update_function_configuration",
        FunctionName=name,
        LoggingConfig={
            "LogFormat": "JSON",
            "ApplicationLogLevel": "INFO",
            "SystemLogLevel": "INFO",
            "LogGroup": "cool_lambda",
        },
    )
    to.settle(name)
    to.step("received_config", "get_function_configuration", FunctionName=name)


@scenario("TestLambdaAccountSettings/test_account_settings_total_code_size_config_update")
def total_code_size(to: Replay) -> None:
    def used() -> int:
        return to.ask("get_account_settings")["AccountUsage"]["TotalCodeSize"]

    name = to.name()
    before = used()
    to.create_active(None, name)
    created = used()
    # A package of ours is smaller than what was uploaded to AWS.
    to.note("is_total_code_size_diff_create_function_more_than_200", created - before > 100)
    to.ask("update_function_configuration", FunctionName=name, Description="changed")
    to.settle(name)
    to.note("total_code_size_diff_update_function_configuration", used() - created)
    to.ask("publish_version", FunctionName=name)
    to.note(
        "is_total_code_size_diff_publish_version_after_config_update_more_than_200",
        used() - created > 100,
    )


@scenario("TestLambdaVersions/test_publish_with_update")
def publish_with_update(to: Replay) -> None:
    name = to.name()
    to.create_active("create_response", name, Handler="index.handler", Timeout=3, Environment=None)
    to.step("get_function_result", "get_function", FunctionName=name)
    to.step(
        "update_function_code_result",
        "update_function_code",
        FunctionName=name,
        ZipFile=OTHER_ZIP,
        Publish=True,
    )
    # What is still under way a moment later depends on how quick the server is.
    to.leave_out("get_function_version_result", "get_function_latest_result")


@scenario("TestLambdaVersions/test_publish_with_wrong_revisionid")
def publish_with_wrong_revision_id(to: Replay) -> None:
    # The answers of this one are from 2022 and lack the members that came later; another scenario has them.
    to.leave_out("create_response", "get_fn_response", "publish_result")
    to.create_active(None, to.name())
    to.step(
        "publish_wrong_revisionid_exc", "publish_version", FunctionName=to.name(), RevisionId="doesntexist"
    )
    assert to.ask("publish_version", FunctionName=to.name())["Version"] == "1"


@scenario("TestLambdaVersions/test_version_lifecycle")
def version_lifecycle(to: Replay) -> None:
    name = to.name()
    to.create_active(
        "create_response",
        name,
        Handler="index.handler",
        Timeout=3,
        Environment=None,
        Description="No version :(",
    )
    to.step("get_function_result", "get_function", FunctionName=name)
    to.step("list_versions_result", "list_versions_by_function", FunctionName=name)
    to.step(
        "first_update_response",
        "update_function_configuration",
        FunctionName=name,
        Description="First version :)",
    )
    to.settle(name)
    to.step("first_update_get_function", "get_function", FunctionName=name)
    to.step(
        "first_publish_response",
        "publish_version",
        FunctionName=name,
        Description="First version description :)",
    )
    to.step("first_publish_get_function", "get_function", FunctionName=name, Qualifier="1")
    to.step(
        "first_publish_get_function_config", "get_function_configuration", FunctionName=name, Qualifier="1"
    )
    to.step(
        "second_update_response",
        "update_function_configuration",
        FunctionName=name,
        Description="Second version :))",
    )
    to.settle(name)
    to.step("first_publish_get_function_after_update", "get_function", FunctionName=name, Qualifier="1")
    to.step("second_publish_response", "publish_version", FunctionName=name)
    to.step(
        "third_publish_response",
        "publish_version",
        FunctionName=name,
        Description="Third version description :)))",
    )
    to.step("list_versions_result_after_third_publish", "list_versions_by_function", FunctionName=name)
    to.ask("delete_function", FunctionName=name, Qualifier="1")
    to.step(
        "list_versions_result_after_deletion_of_first_version",
        "list_versions_by_function",
        FunctionName=name,
    )
