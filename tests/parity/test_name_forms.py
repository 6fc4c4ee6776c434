"""Whatever takes a qualifier takes it in all four forms of a function's name, and means the same by each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest
from botocore.eventstream import EventStream
from botocore.exceptions import ClientError

from harness import ACCOUNT, REGION, Server, create

ALIAS, VERSION = "live", "1"
DIFFERENT_EACH_TIME = {
    "ResponseMetadata",
    "LastModified",
    "LastModifiedTime",
    "CreationTime",
    "RevisionId",
    "FunctionUrl",
    "Location",
    # How far an allocation has come.
    "Status",
    "AvailableProvisionedConcurrentExecutions",
    "AllocatedProvisionedConcurrentExecutions",
}
RETRIES = {"MaximumRetryAttempts": 1}
STATEMENT = {"StatementId": "s", "Action": "lambda:InvokeFunction", "Principal": "s3.amazonaws.com"}
# In this order, so that what was put can be looked at and is gone for the next form.
STORY: list[tuple[str, str, Mapping[str, Any]]] = [
    (ALIAS, "get_function", {}),
    (VERSION, "get_function_configuration", {}),
    (ALIAS, "invoke", {"Payload": b"7"}),
    (VERSION, "invoke", {"Payload": b"8"}),
    (ALIAS, "invoke_with_response_stream", {"Payload": b"9"}),
    (ALIAS, "add_permission", STATEMENT),
    (ALIAS, "get_policy", {}),
    (ALIAS, "remove_permission", {"StatementId": "s"}),
    (VERSION, "put_function_event_invoke_config", RETRIES),
    (VERSION, "update_function_event_invoke_config", {"MaximumEventAgeInSeconds": 60}),
    (VERSION, "get_function_event_invoke_config", {}),
    (VERSION, "delete_function_event_invoke_config", {}),
    (ALIAS, "create_function_url_config", {"AuthType": "NONE"}),
    (ALIAS, "update_function_url_config", {"AuthType": "AWS_IAM"}),
    (ALIAS, "get_function_url_config", {}),
    (ALIAS, "delete_function_url_config", {}),
    (VERSION, "put_runtime_management_config", {"UpdateRuntimeOn": "FunctionUpdate"}),
    (VERSION, "get_runtime_management_config", {}),
    (ALIAS, "put_provisioned_concurrency_config", {"ProvisionedConcurrentExecutions": 1}),
    (ALIAS, "get_provisioned_concurrency_config", {}),
    (ALIAS, "delete_provisioned_concurrency_config", {}),
    (ALIAS, "list_durable_executions_by_function", {}),
]
Form = Callable[[str, str], dict[str, str]]
FORMS: Mapping[str, Form] = {
    "beside": lambda name, qualifier: {"FunctionName": name, "Qualifier": qualifier},
    "name": lambda name, qualifier: {"FunctionName": f"{name}:{qualifier}"},
    "partial": lambda name, qualifier: {"FunctionName": f"{ACCOUNT}:function:{name}:{qualifier}"},
    "arn": lambda name, qualifier: {"FunctionName": f"{arn(name)}:{qualifier}"},
    "arn beside": lambda name, qualifier: {"FunctionName": arn(name), "Qualifier": qualifier},
    "twice": lambda name, qualifier: {"FunctionName": f"{arn(name)}:{qualifier}", "Qualifier": qualifier},
}
AT_THE_END = {"DeleteFunction"}
ONLY_BESIDE = {"GetFunctionScalingConfig", "PutFunctionScalingConfig"}
"""Here AWS's own pattern of the name has no place for a qualifier."""


def arn(name: str) -> str:
    return f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{name}"


@pytest.fixture
def client(lambent: Server) -> Any:
    return lambent.client("lambda")


def shown(value: Any) -> Any:
    """Return an answer without what is different each time."""
    if isinstance(value, dict):
        return {key: shown(item) for key, item in value.items() if key not in DIFFERENT_EACH_TIME}
    if isinstance(value, list):
        return [shown(item) for item in value]
    if isinstance(value, EventStream):
        return shown(list(value))
    return value.read() if hasattr(value, "read") else value


def told(client: Any, name: str, form: Form) -> list[Any]:
    """Tell the story with one form of the name and return all answers."""
    answers: list[Any] = []
    for qualifier, operation, parameters in STORY:
        asked: dict[str, Any] = {**form(name, qualifier), **parameters}
        if "Qualifier" in _required(client, operation):
            asked["Qualifier"] = qualifier
        try:
            answers.append((operation, shown(getattr(client, operation)(**asked))))
        except ClientError as error:
            answers.append((operation, error.response["Error"]))
    return answers


def _required(client: Any, operation: str) -> list[str]:
    model = client.meta.service_model.operation_model(client.meta.method_to_api_mapping[operation])
    return model.input_shape.required_members


def test_every_form_of_a_name_means_the_same_everywhere(client: Any, name: str) -> None:
    create(client, name, "def handler(event, context): return event", Publish=True)
    client.create_alias(FunctionName=name, Name=ALIAS, FunctionVersion=VERSION)
    first, *others = (told(client, name, form) for form in FORMS.values())
    assert not [answer for _, answer in first if "Message" in answer]
    for other in others:
        for (operation, answer), (_, same) in zip(first, other, strict=True):
            assert same == answer, operation


@pytest.mark.parametrize("form", sorted(FORMS))
def test_a_version_is_deleted_by_every_form_of_its_name(client: Any, name: str, form: str) -> None:
    create(client, name, "def handler(event, context): return event", Publish=True)
    client.delete_function(**FORMS[form](name, VERSION))
    versions = client.list_versions_by_function(FunctionName=name)["Versions"]
    assert [version["Version"] for version in versions] == ["$LATEST"]


def test_no_operation_that_takes_a_qualifier_is_left_out(client: Any) -> None:
    model = client.meta.service_model
    taking = {
        operation
        for operation in model.operation_names
        if {"FunctionName", "Qualifier"} <= model.operation_model(operation).input_shape.members.keys()
    }
    tried = {client.meta.method_to_api_mapping[operation] for _, operation, _ in STORY}
    assert taking == tried | AT_THE_END | ONLY_BESIDE
