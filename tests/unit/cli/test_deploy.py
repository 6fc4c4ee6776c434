"""A folder becomes a function, and deploying it again changes only what changed."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from lambent.cli import dependencies
from lambent.cli.handler import infer_runtime
from unit.cli.stand_in import Asked, Reply, Run, StandIn

ROLE = "arn:aws:iam::000000000000:role/mine"
HERE = infer_runtime({"app.py"}, sys.version_info[:2])


class Functions:
    """Functions in memory, behind the requests that a deploy makes."""

    def __init__(self, aws: StandIn) -> None:
        self.configurations: dict[str, dict[str, Any]] = {}
        self.archives: dict[str, bytes] = {}
        aws.on(
            "GET", "/2015-03-31/functions/[^/]+/configuration", lambda asked: self._show(asked, lambda c: c)
        )
        aws.on(
            "GET",
            "/2015-03-31/functions/[^/]+",
            lambda asked: self._show(asked, lambda c: {"Configuration": c}),
        )
        aws.on("POST", "/2015-03-31/functions/?", self._create)
        aws.on("PUT", "/2015-03-31/functions/[^/]+/(code|configuration)", self._update)

    def _show(self, asked: Asked, form: Any) -> Reply:
        configuration = self.configurations.get(asked.path.split("/")[3])
        if configuration is None:
            headers = {"x-amzn-ErrorType": "ResourceNotFoundException"}
            return Reply(status=404, body=b'{"Message": "Function not found"}', headers=headers)
        return Reply(body=json.dumps(form(configuration)).encode())

    def _create(self, asked: Asked) -> Reply:
        wish = asked.json
        name = wish["FunctionName"]
        self.configurations[name] = {
            "MemorySize": 128,
            "Timeout": 3,
            "FunctionArn": f"arn:aws:lambda:us-east-1:000000000000:function:{name}",
            **wish,
            "Layers": [{"Arn": arn} for arn in wish.get("Layers", [])],
            "State": "Active",
            "LastUpdateStatus": "Successful",
        }
        return self._keep_code(name, wish["Code"]["ZipFile"])

    def _update(self, asked: Asked) -> Reply:
        name = asked.path.split("/")[3]
        self.configurations[name] |= asked.json
        archive = asked.json.get("ZipFile")
        return self._keep_code(name, archive) if archive else self._show(asked, lambda c: c)

    def _keep_code(self, name: str, text: str) -> Reply:
        archive = base64.b64decode(text)
        self.archives[name] = archive
        configuration = self.configurations[name]
        configuration["CodeSize"] = len(archive)
        configuration["CodeSha256"] = base64.b64encode(hashlib.sha256(archive).digest()).decode()
        return Reply(body=json.dumps(configuration).encode())

    def names_in(self, name: str) -> list[str]:
        return zipfile.ZipFile(io.BytesIO(self.archives[name])).namelist()


@pytest.fixture
def functions(aws: StandIn) -> Functions:
    return Functions(aws)


@pytest.fixture
def hello(tmp_path: Path) -> Path:
    folder = tmp_path / "hello"
    folder.mkdir()
    (folder / "app.py").write_text("def handler(event, context): return 1")
    return folder


def changes(aws: StandIn) -> list[str]:
    """The requests so far that changed something, by the last word of their path; forgotten afterwards."""
    found = [asked.path.rsplit("/", 1)[1] or "create" for asked in aws.asked if asked.method != "GET"]
    aws.asked.clear()
    return ["create" if word == "functions" else word for word in found]


def test_a_folder_becomes_a_function(ask: Run, aws: StandIn, functions: Functions, hello: Path) -> None:
    ran = ask("deploy", hello, "--role", ROLE)
    assert ran.code == 0, ran.err
    assert ran.out.decode() == "arn:aws:lambda:us-east-1:000000000000:function:hello\n"
    assert f"Created hello: {HERE}, app.handler, 128 MB, 3 s, code " in ran.err
    configuration = functions.configurations["hello"]
    assert configuration["Role"] == ROLE
    assert configuration["Architectures"] == [dependencies.this_architecture()]
    assert functions.names_in("hello") == ["app.py"]


def test_every_option_reaches_the_function(ask: Run, functions: Functions, hello: Path) -> None:
    options = "--name n --runtime python3.13 --handler app.main --memory 512 --timeout 30 --description words"
    options += f" --architecture arm64 --role {ROLE} --env A=1 -e B=x=y --layer arn:l:1 --layer arn:l:2"
    assert ask("deploy", hello, *options.split()).code == 0
    configuration = functions.configurations["n"]
    expected = {
        "Runtime": "python3.13",
        "Handler": "app.main",
        "MemorySize": 512,
        "Timeout": 30,
        "Description": "words",
        "Architectures": ["arm64"],
        "Environment": {"Variables": {"A": "1", "B": "x=y"}},
        "Layers": [{"Arn": "arn:l:1"}, {"Arn": "arn:l:2"}],
    }
    assert configuration.items() >= expected.items()


def test_deploying_the_same_again_changes_nothing(
    ask: Run, aws: StandIn, functions: Functions, hello: Path
) -> None:
    ask("deploy", hello, "--role", ROLE, "--memory", 256)
    assert changes(aws) == ["create"]
    ran = ask("deploy", hello)
    assert ran.code == 0
    assert ran.err == "hello is up to date.\n"
    assert changes(aws) == []
    assert functions.configurations["hello"]["MemorySize"] == 256


def test_new_code_keeps_the_configuration(ask: Run, aws: StandIn, functions: Functions, hello: Path) -> None:
    """Runtime and handler, once chosen, are not guessed anew."""
    ask("deploy", hello, "--role", ROLE, "--runtime", "python3.10", "--handler", "app.run")
    changes(aws)
    (hello / "app.py").write_text("def handler(e, c): return 2\ndef run(e, c): return 3")
    ran = ask("deploy", hello)
    assert changes(aws) == ["code"]
    assert "Updated hello (code): python3.10, app.run" in ran.err


def test_a_handler_that_is_gone_is_looked_for_again(
    ask: Run, aws: StandIn, functions: Functions, hello: Path
) -> None:
    ask("deploy", hello, "--role", ROLE)
    changes(aws)
    (hello / "app.py").rename(hello / "main.py")
    ran = ask("deploy", hello)
    assert changes(aws) == ["code", "configuration"]
    assert "Updated hello (code and configuration)" in ran.err
    assert functions.configurations["hello"]["Handler"] == "main.handler"


def test_requirements_are_in_the_zip(
    ask: Run, functions: Functions, hello: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (hello / "requirements.txt").write_text("greeting")
    packages = tmp_path / "packages"
    packages.mkdir()
    (packages / "greeting.py").write_text("")
    kept = dependencies.cache_folder({"XDG_CACHE_HOME": str(tmp_path)})
    texts = [text for _, text in dependencies.closure(hello / "requirements.txt")]
    here = dependencies.this_machine()
    wanted = dependencies.Wanted(python=here.python, architecture=here.architecture)
    kept = kept / dependencies.cache_key(texts, wanted, dependencies.pip_options(wanted, here, None))
    kept.parent.mkdir(parents=True)
    packages.rename(kept)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    python = f"python{here.python[0]}.{here.python[1]}"
    assert ask("deploy", hello, "--role", ROLE, "--runtime", python).code == 0
    assert functions.names_in("hello") == ["app.py", "greeting.py", "requirements.txt"]


def test_a_function_that_failed_says_why(ask: Run, aws: StandIn, functions: Functions, hello: Path) -> None:
    failed = {"State": "Failed", "StateReason": "The image is\n broken."}
    functions._keep_code = lambda name, _: [  # type: ignore[method-assign]
        functions.configurations[name].update(failed),
        Reply(body=json.dumps(functions.configurations[name]).encode()),
    ][1]
    ran = ask("deploy", hello, "--role", ROLE)
    assert ran.code == 1
    assert ran.err == "lambent: hello is not ready (State Failed): The image is broken.\n"


def test_no_handler_is_said_before_anything_is_sent(
    ask: Run, aws: StandIn, functions: Functions, hello: Path
) -> None:
    (hello / "app.py").write_text("def greet(): ...")
    ran = ask("deploy", hello, "--role", ROLE)
    assert ran.code == 2
    assert "app.py has greet" in ran.err
    assert changes(aws) == []
