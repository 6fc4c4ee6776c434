"""A lambent.toml describes functions, layers and queues beside the server's settings."""

from __future__ import annotations

from pathlib import Path

import pytest

from lambent import settings
from lambent.cli.plan import Choices
from lambent.cli.project import Place, Project, QueueSource, project_file, read_project
from lambent.cli.terminal import UsageError

ALL = """
[server]
port = 4599

[functions.hello]
path = "src/hello"
runtime = "python3.12"
handler = "app.handler"
memory = 256
timeout = 20
description = "Greets."
architecture = "arm64"
ephemeral_storage = 1024
role = "arn:aws:iam::000000000000:role/r"
environment = { TABLE = "things", LEVEL = 3, QUIET = true }
layers = ["common", "arn:aws:lambda:us-east-1:000000000000:layer:l:1"]
url = true
queues = ["orders", { name = "late.fifo", batch_size = 5, window = 2 }]

[functions.other]

[layers.common]
runtime = "python3.12"
"""


def project(folder: Path, text: str) -> Project:
    (folder / "lambent.toml").write_text(text)
    return read_project(folder, lambda: Place(region="r", account="a", queue_url_prefix="q"))


def test_every_key_of_a_function_is_read(tmp_path: Path) -> None:
    hello, other = project(tmp_path, ALL).functions
    assert hello.choices == Choices(
        name="hello",
        runtime="python3.12",
        handler="app.handler",
        memory_mb=256,
        timeout_s=20,
        variables={"TABLE": "things", "LEVEL": "3", "QUIET": "true"},
        role="arn:aws:iam::000000000000:role/r",
        description="Greets.",
        architecture="arm64",
        ephemeral_storage_mb=1024,
    )
    assert hello.path == tmp_path / "src" / "hello"
    assert hello.layers == ("common", "arn:aws:lambda:us-east-1:000000000000:layer:l:1")
    assert hello.url == {"AuthType": "NONE"}
    fifo = {"BatchSize": 5, "MaximumBatchingWindowInSeconds": 2}
    assert hello.queues == (QueueSource(queue="orders"), QueueSource(queue="late.fifo", parameters=fifo))
    assert other.path == tmp_path / "other"
    assert other.choices == Choices(name="other")


def test_layers_and_queues_are_the_projects(tmp_path: Path) -> None:
    found = project(tmp_path, ALL)
    (layer,) = found.layers
    assert (layer.name, layer.path, layer.built_for) == ("common", tmp_path / "common", "python3.12")
    assert {queue.name: dict(queue.attributes) for queue in found.queues} == {
        "orders": {},
        "late.fifo": {"FifoQueue": "true"},
    }


def test_the_server_reads_its_settings_from_the_same_file(tmp_path: Path) -> None:
    (tmp_path / "lambent.toml").write_text(ALL)
    assert settings.load(toml=tmp_path / "lambent.toml", environ={}).server.port == 4599


def test_settings_alone_make_no_project(tmp_path: Path) -> None:
    (tmp_path / "lambent.toml").write_text("[server]\nport = 1\n")
    assert project_file(tmp_path) is None


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[functions.f]\nmemroy = 1", "[functions.f] in {file} has no key 'memroy': 'memory' is nearest."),
        ("[functions.f]\nmemory = '1'", "[functions.f] in {file}: memory must be a whole number, not '1'."),
        (
            "[functions.f]\ntimeout = true",
            "[functions.f] in {file}: timeout must be a whole number, not True.",
        ),
        ("[functions.f]\nurl = 'YES'", "url must be true, false, NONE or AWS_IAM, not 'YES'."),
        ("[functions.f]\nlayers = ['x']", "'x' is neither the ARN of a layer version nor one of [layers.…]."),
        ("[functions.f]\nqueues = [1]", "queues holds names, ARNs or tables with a name, not 1."),
        ("[functions.f]\nqueues = [{}]", "a table of queues needs a name."),
        ("[functions.f]\narchitecture = 'mips'", "architecture must be x86_64 or arm64, not 'mips'."),
        ("[functions.f]\nenvironment = { A = [] }", "environment A must be text, not []."),
        ("[functions.'a b']", "'a b' is no name: letters, digits, - and _ make one, at most 64."),
        ("functions = 1", "[functions] must hold tables [functions.NAME]."),
        ("[function.f]", "{file} has a table [function] that means nothing: 'functions' is nearest."),
        ("[functions]", "{file} describes no function that could be deployed."),
        ("[functions.f", "{file} cannot be read as TOML: "),
    ],
)
def test_what_cannot_be_is_one_sentence(tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(UsageError) as refused:
        project(tmp_path, text)
    assert sentence.format(file=tmp_path / "lambent.toml") in str(refused.value)
    assert "\n" not in str(refused.value)
