"""The functions of an AWS SAM template, read for what can be run here
(https://docs.aws.amazon.com/serverless-application-model/latest/developerguide/sam-specification.html).

Taken: ``AWS::Serverless::Function`` with ``Globals``, ``AWS::Serverless::LayerVersion`` with a local folder, and
``AWS::SQS::Queue``. Of everything else the project says in a sentence that it is left out.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, cast

import yaml

from lambent.cli.intrinsics import NO_VALUE, Resolver, Unresolved
from lambent.cli.package import FIXED_TIME
from lambent.cli.plan import Choices
from lambent.cli.project import LayerFolder, Place, Project, ProjectFunction, ProjectQueue, QueueSource
from lambent.cli.terminal import UsageError, one_line

FUNCTION, LAYER, QUEUE = "AWS::Serverless::Function", "AWS::Serverless::LayerVersion", "AWS::SQS::Queue"
_TAKEN = {
    "Architectures", "CodeUri", "Description", "Environment", "EphemeralStorage", "Events", "FunctionName",
    "FunctionUrlConfig", "Handler", "InlineCode", "Layers", "MemorySize", "PackageType", "Role", "Runtime", "Timeout",
}  # fmt: skip
_QUEUE_ATTRIBUTES = {
    "ContentBasedDeduplication", "DelaySeconds", "FifoQueue", "MaximumMessageSize", "MessageRetentionPeriod",
    "ReceiveMessageWaitTimeSeconds", "RedrivePolicy", "VisibilityTimeout",
}  # fmt: skip
_MAPPING_PARAMETERS = (
    "BatchSize", "Enabled", "FilterCriteria", "FunctionResponseTypes", "MaximumBatchingWindowInSeconds",
    "ScalingConfig",
)  # fmt: skip


class _Loader(yaml.SafeLoader):
    """YAML with CloudFormation's short forms, ``!Ref`` and the like."""


def _short_form(loader: _Loader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    if isinstance(node, yaml.ScalarNode):
        value: Any = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(cast("yaml.MappingNode", node), deep=True)
    return {suffix if suffix in {"Ref", "Condition"} else f"Fn::{suffix}": value}


_Loader.add_multi_constructor("!", _short_form)  # pyright: ignore[reportUnknownMemberType]
# A date such as AWSTemplateFormatVersion's is its text.
_Loader.add_constructor("tag:yaml.org,2002:timestamp", _Loader.construct_yaml_str)  # pyright: ignore


def read_template(file: Path, place: Callable[[], Place]) -> Project:
    """Return the project that a template describes.

    Raises:
        UsageError: it is no template, or a function of it cannot be made; in one sentence.
    """
    return _Template(file, _load(file), place).project()


def _load(file: Path) -> dict[str, Any]:
    try:
        document = yaml.load(file.read_text(encoding="utf-8"), _Loader)  # noqa: S506 - a safe loader with tags
    except UnicodeDecodeError as error:
        raise UsageError(f"{file} cannot be read as YAML: it is not UTF-8.") from error
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise UsageError(f"{file} cannot be read as YAML: {_yaml_words(error)}.") from error
    if not isinstance(document, dict) or not isinstance(
        cast("dict[str, Any]", document).get("Resources"), dict
    ):
        raise UsageError(f"{file} is no template: it has no Resources.")
    return cast("dict[str, Any]", document)


def _yaml_words(error: Exception) -> str:
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        mark = error.problem_mark
        return (
            f"{one_line(error.problem or 'it is broken')} at line {mark.line + 1}, column {mark.column + 1}"
        )
    return one_line(error)


class _LayerName(str):
    """What a reference to a layer is until the layer is published."""


class _Template:
    """One template while it is read."""

    def __init__(self, file: Path, document: Mapping[str, Any], place: Callable[[], Place]) -> None:
        self._file = file
        self._place = place
        self._remarks: list[str] = []
        self._resources = {name: self._table(name, one) for name, one in document["Resources"].items()}
        self._globals = self._table("Globals", document.get("Globals") or {})
        parameters = self._table("Parameters", document.get("Parameters") or {})
        self._resolver = Resolver(
            references=self._references(parameters),
            attributes=self._attributes(),
            conditions=self._table("Conditions", document.get("Conditions") or {}),
        )

    def project(self) -> Project:
        """Return what it describes."""
        functions = tuple(self._function(name, properties) for name, properties in self._of(FUNCTION))
        layers = tuple(self._layer(name, properties) for name, properties in self._of(LAYER))
        queues = tuple(self._queue(name, properties) for name, properties in self._of(QUEUE))
        others = [
            name for name, one in self._resources.items() if one.get("Type") not in {FUNCTION, LAYER, QUEUE}
        ]
        if others:
            words = ", ".join(f"{name} ({self._resources[name].get('Type')})" for name in others)
            self._remarks.append(f"Not made here: {words}.")
        return Project(
            file=self._file,
            functions=tuple(one for one in functions if one is not None),
            layers=layers,
            queues=queues,
            remarks=tuple(self._remarks),
        )

    # Names -------------------------------------------------------------------------------------------------

    def _references(self, parameters: Mapping[str, Any]) -> dict[str, Callable[[], Any]]:
        here = self._place
        found: dict[str, Callable[[], Any]] = {
            "AWS::AccountId": lambda: here().account,
            "AWS::NoValue": lambda: NO_VALUE,
            "AWS::Partition": lambda: here().partition,
            "AWS::Region": lambda: here().region,
            "AWS::StackName": lambda: self._file.parent.name,
            "AWS::URLSuffix": lambda: "amazonaws.com",
        }
        for name, parameter in parameters.items():
            found[name] = partial(_default, name, parameter)
        for name, resource in self._resources.items():
            if resource.get("Type") == FUNCTION:
                found[name] = partial(self._name, name, "FunctionName")
            elif resource.get("Type") == LAYER:
                found[name] = partial(_LayerName, name)
            elif resource.get("Type") == QUEUE:
                found[name] = partial(self._queue_url, name)
        return found

    def _attributes(self) -> dict[tuple[str, str], Callable[[], Any]]:
        found: dict[tuple[str, str], Callable[[], Any]] = {}
        for name, resource in self._resources.items():
            if resource.get("Type") == FUNCTION:
                found[name, "Arn"] = partial(self._arn, "lambda", "function:", name, "FunctionName")
            elif resource.get("Type") == QUEUE:
                found[name, "Arn"] = partial(self._arn, "sqs", "", name, "QueueName")
                found[name, "QueueName"] = partial(self._name, name, "QueueName")
                found[name, "QueueUrl"] = partial(self._queue_url, name)
        return found

    def _name(self, logical_id: str, key: str) -> str:
        """Return the physical name of a resource: the one that it is given, else its name in the template."""
        given = self._table(logical_id, self._resources[logical_id].get("Properties") or {}).get(key)
        return logical_id if given is None else str(self._resolver.value(given))

    def _arn(self, service: str, kind: str, logical_id: str, key: str) -> str:
        here = self._place()
        name = self._name(logical_id, key)
        return f"arn:{here.partition}:{service}:{here.region}:{here.account}:{kind}{name}"

    def _queue_url(self, logical_id: str) -> str:
        here = self._place()
        return f"{here.queue_url_prefix}/{here.account}/{self._name(logical_id, 'QueueName')}"

    # Resources ---------------------------------------------------------------------------------------------

    def _of(self, kind: str) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield the resources of a kind whose condition holds, by logical id, with their properties."""
        for name, resource in self._resources.items():
            if resource.get("Type") != kind:
                continue
            condition = resource.get("Condition")
            if condition is None or self._resolved(name, "Condition", {"Condition": condition}):
                yield name, self._table(name, resource.get("Properties") or {})

    def _function(self, logical_id: str, own: dict[str, Any]) -> ProjectFunction | None:
        merged = _merge(self._table("Globals.Function", self._globals.get("Function") or {}), own)
        if merged.get("PackageType") == "Image":
            self._remarks.append(f"{logical_id} is left out: container images are not run here.")
            return None
        get = partial(self._property, logical_id, merged)
        name = str(get("FunctionName", str) or logical_id)
        self._say_what_is_left_out(logical_id, merged)
        path, code = self._code(logical_id, get, is_node=str(get("Runtime", str)).startswith("nodejs"))
        layers = get("Layers", list)
        return ProjectFunction(
            name=name,
            path=path,
            code=code,
            choices=self._choices(logical_id, name, merged),
            layers=None if layers is None else tuple(self._checked_layers(logical_id, layers)),
            url=self._url(logical_id, get("FunctionUrlConfig", dict)),
            queues=tuple(self._sources(logical_id, get("Events", dict, resolves=False) or {})),
            aliases=(logical_id,),
        )

    def _choices(self, logical_id: str, name: str, merged: Mapping[str, Any]) -> Choices:
        get = partial(self._property, logical_id, merged)
        architectures = get("Architectures", list)
        storage: dict[str, Any] = get("EphemeralStorage", dict) or {}
        return Choices(
            name=name,
            runtime=get("Runtime", str),
            handler=get("Handler", str) if merged.get("Handler") else None,
            memory_mb=get("MemorySize", int),
            timeout_s=get("Timeout", int),
            variables=self._variables(logical_id, get("Environment", dict, resolves=False)),
            role=self._role(logical_id, merged),
            description=get("Description", str),
            architecture=str(architectures[0]) if architectures else None,
            ephemeral_storage_mb=storage.get("Size"),
        )

    def _say_what_is_left_out(self, logical_id: str, merged: Mapping[str, Any]) -> None:
        others = sorted(merged.keys() - _TAKEN)
        if others:
            self._remarks.append(f"{logical_id}: left out {', '.join(others)}.")

    def _code(
        self, logical_id: str, get: Callable[..., Any], *, is_node: bool
    ) -> tuple[Path | None, bytes | None]:
        inline = get("InlineCode", str)
        if inline is not None:
            return None, _zip_of("index.js" if is_node else "index.py", inline)
        uri = get("CodeUri", object)
        if uri is None:
            return self._file.parent, None
        if not isinstance(uri, str) or uri.startswith("s3://"):
            raise UsageError(
                f"{self._file}: CodeUri of {logical_id} must be a folder or a file here, not {uri!r}."
            )
        return self._file.parent / uri, None

    def _checked_layers(self, logical_id: str, layers: list[Any]) -> Iterator[str]:
        for layer in layers:
            if not isinstance(layer, _LayerName) and not (
                isinstance(layer, str) and layer.startswith("arn:")
            ):
                raise UsageError(f"{self._file}: Layers of {logical_id} has {layer!r}, which is no layer.")
            yield layer

    def _variables(self, logical_id: str, environment: Mapping[str, Any] | None) -> dict[str, str] | None:
        given = self._table(f"{logical_id}.Environment", environment or {}).get("Variables")
        if given is None:
            return None
        found: dict[str, str] = {}
        for name, value in self._table(f"{logical_id}.Environment.Variables", given).items():
            try:
                resolved = self._resolver.value(value)
                if isinstance(resolved, _LayerName):
                    raise Unresolved(f"it refers to the layer {resolved}, which has no version yet")
            except Unresolved as error:
                self._remarks.append(f"{logical_id}: the variable {name} is left out: {error}.")
                continue
            if isinstance(resolved, bool):
                resolved = str(resolved).lower()
            if resolved is not NO_VALUE:
                found[name] = str(resolved)
        return found

    def _role(self, logical_id: str, merged: Mapping[str, Any]) -> str | None:
        if merged.get("Role") is None:
            return None
        try:
            return str(self._resolver.value(merged["Role"]))
        except Unresolved as error:
            self._remarks.append(f"{logical_id} has the usual role, not its own: {error}.")
            return None

    def _url(self, logical_id: str, given: dict[str, Any] | None) -> dict[str, Any] | None:
        if given is None:
            return None
        if "AuthType" not in given:
            raise UsageError(f"{self._file}: FunctionUrlConfig of {logical_id} needs an AuthType.")
        return {name: given[name] for name in ("AuthType", "Cors", "InvokeMode") if name in given}

    def _sources(self, logical_id: str, events: Mapping[str, Any]) -> Iterator[QueueSource]:
        others: list[str] = []
        for name, event in events.items():
            table = self._table(f"{logical_id}.Events.{name}", event)
            if table.get("Type") != "SQS":
                others.append(f"{name} ({table.get('Type')})")
                continue
            properties = self._resolved(logical_id, f"Events.{name}", table.get("Properties") or {})
            queue = self._table(name, properties).get("Queue")
            if not isinstance(queue, str) or not queue.startswith("arn:"):
                raise UsageError(f"{self._file}: Events.{name} of {logical_id} needs the ARN of a Queue.")
            parameters = {key: properties[key] for key in _MAPPING_PARAMETERS if key in properties}
            yield QueueSource(queue=queue, parameters=parameters)
        if others:
            self._remarks.append(f"{logical_id}: nothing here sends it the events {', '.join(others)}.")

    def _layer(self, logical_id: str, properties: dict[str, Any]) -> LayerFolder:
        get = partial(self._property, logical_id, properties)
        uri = get("ContentUri", object)
        if not isinstance(uri, str) or uri.startswith("s3://"):
            raise UsageError(f"{self._file}: ContentUri of {logical_id} must be a folder here, not {uri!r}.")
        metadata = self._table(logical_id, self._resources[logical_id].get("Metadata") or {})
        method = metadata.get("BuildMethod")
        is_python = isinstance(method, str) and method.startswith("python")
        if method is not None and not is_python:
            self._remarks.append(f"{logical_id} is taken as it lies there: it is not built with {method}.")
        return LayerFolder(
            name=logical_id,
            published_as=str(get("LayerName", str) or logical_id),
            path=self._file.parent / uri,
            runtimes=tuple(map(str, get("CompatibleRuntimes", list) or ())),
            built_for=str(method) if is_python else None,
        )

    def _queue(self, logical_id: str, properties: dict[str, Any]) -> ProjectQueue:
        resolved = self._table(logical_id, self._resolved(logical_id, "Properties", properties))
        others = sorted(resolved.keys() - _QUEUE_ATTRIBUTES - {"QueueName"})
        if others:
            self._remarks.append(f"{logical_id}: left out {', '.join(others)}.")
        attributes = {
            name: _attribute(resolved[name]) for name in sorted(_QUEUE_ATTRIBUTES & resolved.keys())
        }
        if attributes.get("FifoQueue") == "false":
            del attributes["FifoQueue"]  # SQS takes no other word than true
        return ProjectQueue(name=self._name(logical_id, "QueueName"), attributes=attributes)

    # Values ------------------------------------------------------------------------------------------------

    def _property(
        self, logical_id: str, properties: Mapping[str, Any], name: str, kind: type, *, resolves: bool = True
    ) -> Any:
        """Return a property, of this type; None when there is none."""
        value = properties.get(name)
        if value is not None and resolves:
            value = self._resolved(logical_id, name, value)
        if value is None or value is NO_VALUE:
            return None
        if kind is int and isinstance(value, str) and value.isdecimal():
            return int(value)  # parameters are text
        if not isinstance(value, kind):
            raise UsageError(f"{self._file}: {name} of {logical_id} cannot be {value!r}.")
        return value

    def _resolved(self, logical_id: str, name: str, value: Any) -> Any:
        try:
            return self._resolver.value(value)
        except Unresolved as error:
            raise UsageError(f"{self._file}: {name} of {logical_id} cannot be told: {error}.") from error

    def _table(self, name: str, given: Any) -> dict[str, Any]:
        if not isinstance(given, dict):
            raise UsageError(f"{self._file}: {name} must be a table, not {given!r}.")
        return cast("dict[str, Any]", given)


def _default(name: str, parameter: Any) -> Any:
    if not isinstance(parameter, dict) or "Default" not in parameter:
        raise Unresolved(f"it refers to the parameter {name}, which has no default")
    return cast("dict[str, Any]", parameter)["Default"]


def _merge(common: Any, own: Any) -> Any:
    """Return globals with a resource's own over them: maps are merged, lists joined, others replaced."""
    if isinstance(common, dict) and isinstance(own, dict) and not _is_intrinsic(common) | _is_intrinsic(own):
        above, below = cast("dict[str, Any]", own), cast("dict[str, Any]", common)
        both = {name: _merge(below[name], above[name]) for name in below.keys() & above.keys()}
        return {**below, **above, **both}
    if isinstance(common, list) and isinstance(own, list):
        return [*cast("list[Any]", common), *cast("list[Any]", own)]
    return cast("Any", own)


def _is_intrinsic(given: Any) -> bool:
    return any(
        name in {"Ref", "Condition"} or name.startswith("Fn::") for name in cast("dict[str, Any]", given)
    )


def _attribute(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, str | int | float) else json.dumps(value)


def _zip_of(name: str, text: str) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        info = zipfile.ZipInfo(name, FIXED_TIME)
        info.external_attr = 0o100644 << 16
        archive.writestr(info, text)
    return content.getvalue()
