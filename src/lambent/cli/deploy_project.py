"""Deploying what a project consists of: queues, layers, functions, and what leads to the functions.

Each step changes only what is not yet as it shall be, so that deploying again costs a few questions.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lambent.cli import dependencies, package
from lambent.cli.client import Connection, error_code
from lambent.cli.deployment import Deployed, deploy_source, progress
from lambent.cli.package import Source
from lambent.cli.plan import Choices
from lambent.cli.project import LayerFolder, Place, Project, ProjectFunction, ProjectQueue, QueueSource
from lambent.cli.terminal import UsageError
from lambent.cli.zipping import Deflated

URL_STATEMENT = "FunctionURLAllowPublicAccess"


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """What became of a layer's folder."""

    arn: str
    """Of the version that has its content."""
    is_new: bool
    size_bytes: int


def place_of(connection: Connection) -> Place:
    """Return where a connection's projects live; asks who we are."""
    target = connection.target
    account = str(connection.client("sts").get_caller_identity()["Account"])
    region = str(connection.client("lambda").meta.region_name)
    prefix = f"https://sqs.{region}.amazonaws.com" if target.is_aws else str(target.endpoint).rstrip("/")
    return Place(region=region, account=account, queue_url_prefix=prefix)


class Deployer:
    """Deploys a project, at once or by parts.

    It remembers which layer versions there are, so that functions can be deployed without asking again.
    """

    def __init__(
        self,
        connection: Connection,
        project: Project,
        *,
        is_verbose: bool = False,
        deflated: Deflated | None = None,
    ) -> None:
        """Prepare.

        Args:
            connection: where it is deployed.
            project: what is deployed.
            is_verbose: whether to show all that pip says.
            deflated: remembers what is compressed, for those who deploy again.
        """
        self._deflated = deflated
        self._connection = connection
        self._project = project
        self._is_verbose = is_verbose
        self._layer_arns: dict[str, str] = {}

    def deploy_shared(self, functions: Iterable[ProjectFunction]) -> Iterator[tuple[str, Published]]:
        """Make the queues and layers that functions need; yields the layers, by their names in the project.

        Raises:
            CommandError: a layer's folder cannot be read, or a service refuses.
        """
        functions = tuple(functions)
        make_queues(self._connection, self._project.queues)
        used = {name for one in functions for name in one.layers or ()}
        for layer in self._project.layers:
            if layer.name in used:
                yield layer.name, self.publish(layer)

    def publish(self, layer: LayerFolder) -> Published:
        """Make sure that the newest version of a layer has its folder's content."""
        published = publish_layer(self._connection, layer, is_verbose=self._is_verbose)
        self._layer_arns[layer.name] = published.arn
        return published

    def deploy(self, function: ProjectFunction, over: Choices | None = None) -> Deployed:
        """Create or update one function, its address and its mappings, and wait until it can be invoked.

        Args:
            function: of the project; the layers that it uses have been published.
            over: what the user says besides, which comes first.

        Raises:
            UsageError, CommandError: see `lambent.cli.deployment.deploy_source`.
        """
        choices = function.choices
        if function.layers is not None:
            choices = replace(
                choices, layers=tuple(self._layer_arns.get(name, name) for name in function.layers)
            )
        choices = replace(_over(choices, over), is_verbose=self._is_verbose)
        source = _source(function)
        deployed = deploy_source(
            self._connection, source, choices.name or function.name, choices, self._deflated
        )
        name = str(deployed.configuration["FunctionName"])
        if function.url is not None:
            ensure_url(self._connection.client("lambda"), name, function.url)
        for queue in function.queues:
            self._ensure_mapping(name, queue)
        return deployed

    def _ensure_mapping(self, name: str, source: QueueSource) -> None:
        arn = source.queue
        if not arn.startswith("arn:"):
            here = place_of(self._connection)
            arn = f"arn:{here.partition}:sqs:{here.region}:{here.account}:{source.queue}"
        ensure_mapping(self._connection.client("lambda"), name, arn, source.parameters)


def _over(choices: Choices, over: Choices | None) -> Choices:
    """Return what a project says of a function, under what the user says besides."""
    if over is None:
        return choices
    names = ("name", "runtime", "handler", "memory_mb", "timeout_s", "variables", "role", "description",
             "architecture", "layers", "ephemeral_storage_mb")  # fmt: skip
    given = {name: getattr(over, name) for name in names}
    return replace(choices, **{name: value for name, value in given.items() if value is not None})


def _source(function: ProjectFunction) -> Source:
    if function.path is not None:
        return package.read_source(function.path)
    assert function.code is not None
    return package.source_of_zip(function.code, Path(function.name))


def make_queues(connection: Connection, queues: Iterable[ProjectQueue]) -> None:
    """Create the queues that are missing, those first that others send their dead letters to."""
    sqs = None
    for queue in sorted(queues, key=lambda one: "RedrivePolicy" in one.attributes):
        sqs = sqs or connection.client("sqs")
        try:
            sqs.create_queue(QueueName=queue.name, Attributes=dict(queue.attributes))
        except Exception as error:
            # It is there with other attributes: it gets these.
            if error_code(error) not in {"QueueAlreadyExists", "QueueNameExists"}:
                raise
            url = sqs.get_queue_url(QueueName=queue.name)["QueueUrl"]
            changeable = {name: value for name, value in queue.attributes.items() if name != "FifoQueue"}
            sqs.set_queue_attributes(QueueUrl=url, Attributes=changeable)


def publish_layer(connection: Connection, layer: LayerFolder, *, is_verbose: bool = False) -> Published:
    """Publish a layer's folder, unless its newest version has that content.

    Raises:
        UsageError: there is no such folder.
        CommandError: it is empty or too large, or pip failed.
    """
    archive = _layer_archive(layer, connection.target.is_aws, is_verbose)
    sha256 = base64.b64encode(hashlib.sha256(archive).digest()).decode()
    client = connection.client("lambda")
    newest = client.list_layer_versions(LayerName=layer.published_as, MaxItems=1)["LayerVersions"]
    if newest:
        version = client.get_layer_version(LayerName=layer.published_as, VersionNumber=newest[0]["Version"])
        if version["Content"]["CodeSha256"] == sha256:
            return Published(arn=str(version["LayerVersionArn"]), is_new=False, size_bytes=len(archive))
    runtimes: Mapping[str, Any] = {"CompatibleRuntimes": list(layer.runtimes)} if layer.runtimes else {}
    made = client.publish_layer_version(
        LayerName=layer.published_as, Content={"ZipFile": archive}, **runtimes
    )
    return Published(arn=str(made["LayerVersionArn"]), is_new=True, size_bytes=len(archive))


def _layer_archive(layer: LayerFolder, is_aws: bool, is_verbose: bool) -> bytes:
    if not layer.path.is_dir():
        raise UsageError(f"The layer {layer.name} has no folder {layer.path}.")
    source = package.read_source(layer.path)
    python = dependencies.python_of(layer.built_for or "")
    if python is None:
        return package.write_zip(source.entries)
    wanted = dependencies.Wanted(python=python, architecture=dependencies.this_architecture(), is_aws=is_aws)
    own = package.below("python", source.entries)
    if source.requirements is None:
        return package.write_zip(own)
    with (
        progress(is_verbose) as bar,
        dependencies.installed(source.requirements, wanted, bar.say) as folder,
    ):
        packages = package.below("python", package.collect(folder)) if folder else ()
        return package.write_zip(package.merge(own, packages))


def ensure_url(client: Any, name: str, wish: Mapping[str, Any]) -> None:
    """Give a function the address that it is to have, open to everybody where it asks for no signature."""
    try:
        found = client.get_function_url_config(FunctionName=name)
    except client.exceptions.ResourceNotFoundException:
        client.create_function_url_config(FunctionName=name, **wish)
    else:
        if any(found.get(key) != value for key, value in wish.items()):
            client.update_function_url_config(FunctionName=name, **wish)
    if wish["AuthType"] == "NONE":
        with contextlib.suppress(client.exceptions.ResourceConflictException):  # it has this permission
            client.add_permission(
                FunctionName=name,
                StatementId=URL_STATEMENT,
                Action="lambda:InvokeFunctionUrl",
                Principal="*",
                FunctionUrlAuthType="NONE",
            )


def ensure_mapping(client: Any, name: str, source_arn: str, wish: Mapping[str, Any]) -> None:
    """Let a queue's messages invoke a function, in the way that is wished."""
    page = client.list_event_source_mappings(FunctionName=name, EventSourceArn=source_arn)
    found = page["EventSourceMappings"]
    if not found:
        client.create_event_source_mapping(FunctionName=name, EventSourceArn=source_arn, **wish)
        return
    present = {**found[0], "Enabled": found[0]["State"] in {"Enabled", "Enabling", "Creating", "Updating"}}
    changes = {key: value for key, value in wish.items() if present.get(key) != value}
    if changes:
        client.update_event_source_mapping(UUID=found[0]["UUID"], **changes)


def chosen(project: Project, names: Iterable[str]) -> tuple[ProjectFunction, ...]:
    """Return the functions of a project that are named; all when none is.

    Raises:
        UsageError: there is none of a name.
    """
    names = tuple(names)
    found = [project.named(name) for name in names]
    for name, one in zip(names, found, strict=True):
        if one is None:
            there = ", ".join(function.name for function in project.functions)
            raise UsageError(f"{project.file} has no function {name}: there are {there}.")
    return tuple(one for one in found if one is not None) if names else project.functions
