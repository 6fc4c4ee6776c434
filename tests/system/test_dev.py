"""The development loop with the real command line: what is saved is deployed, invoked and shown at once."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from debuggers import DapClient
from harness import DEFAULTS, Server, clean_environ, invoke

PATIENCE_S = 60.0

Run = Callable[..., "subprocess.CompletedProcess[str]"]


class Dev:
    """`lambent dev` as a process; what it shows is remembered."""

    def __init__(self, endpoint: str, *arguments: object) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "lambent", "dev", *map(str, arguments)],
            env=clean_environ() | DEFAULTS | {"LAMBENT_ENDPOINT": endpoint},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.shown = ""
        self._read_chars = 0
        self._more = threading.Condition()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with self._more:
                self.shown += line
                self._more.notify_all()

    def see(self, *texts: str) -> None:
        """Wait until all these texts have been shown since the last call."""

        def has_come() -> bool:
            new = self.shown[self._read_chars :]
            return all(text in new for text in texts)

        with self._more:
            assert self._more.wait_for(has_come, PATIENCE_S), f"{texts} did not come: {self.shown}"
            self._read_chars = len(self.shown)

    def end(self) -> int:
        """Press Ctrl-C."""
        self.process.send_signal(signal.SIGINT)
        code = self.process.wait(PATIENCE_S)
        self._reader.join()
        assert self.process.stdout is not None
        self.process.stdout.close()
        return code


@pytest.fixture
def start(lambent: Server) -> Iterator[Callable[..., Dev]]:
    started: list[Dev] = []

    def start_dev(*arguments: object, endpoint: str = lambent.endpoint) -> Dev:
        started.append(Dev(endpoint, *arguments))
        return started[-1]

    yield start_dev
    for one in started:
        if one.process.poll() is None:
            one.end()


@pytest.fixture
def run(lambent: Server) -> Run:
    def run_command(*arguments: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "lambent", *map(str, arguments)],
            env=clean_environ() | DEFAULTS | {"LAMBENT_ENDPOINT": lambent.endpoint},
            cwd=cwd,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )

    return run_command


def write(folder: Path, number: int) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    code = f"""
        import os
        def handler(event, context):
            print("log line {number}")
            return {{"number": {number}, "event": event, "stage": os.environ.get("STAGE")}}
    """
    (folder / "app.py").write_text("\n".join(line[8:] for line in code.splitlines()))
    return folder


def test_what_is_saved_is_deployed_invoked_and_shown(
    lambent: Server, start: Callable[..., Dev], tmp_path: Path, name: str
) -> None:
    folder = write(tmp_path / name, 1)
    (tmp_path / "event.json").write_text('{"of": "the file"}')
    dev = start(folder, "--invoke", tmp_path / "event.json")
    dev.see("✓ created", '"number": 1', '{"of": "the file"}', "log line 1", "Watching")

    write(folder, 2)
    dev.see("✓ code", '"number": 2', "log line 2", "after the change")

    (folder / ".app.py.swp").write_text("an editor's")
    (tmp_path / "event.json").write_text('{"of": "another"}')
    dev.see('{"of": "another"}')

    (folder / "app.py").write_text("def handler(:\n")
    dev.see("✓ code", "Runtime.UserCodeSyntaxError", "failed (Unhandled)")

    (folder / "app.py").unlink()
    dev.see("holds no file to deploy")
    write(folder, 3)
    dev.see("✓ code", '"number": 3')

    assert dev.end() == 0
    assert dev.shown.count("✓") == 4
    assert invoke(lambent.client("lambda"), name).payload["number"] == 3


PROJECT = """
[functions.{one}]
path = "one"
environment = {{ STAGE = "{stage}" }}
layers = ["{layer}"]

[functions.{two}]
path = "two"

[layers.{layer}]
path = "layer"
"""


def test_of_a_project_only_what_changed_is_deployed(
    start: Callable[..., Dev], tmp_path: Path, name: str
) -> None:
    one, two, layer = f"{name}-1", f"{name}-2", f"{name}-l"
    file = tmp_path / "lambent.toml"
    file.write_text(PROJECT.format(one=one, two=two, layer=layer, stage="dev"))
    write(tmp_path / "one", 1)
    write(tmp_path / "two", 2)
    (tmp_path / "layer" / "python").mkdir(parents=True)
    (tmp_path / "layer" / "python" / "shared.py").write_text("A = 1")
    (tmp_path / "event.json").write_text("{}")
    dev = start(tmp_path, "--invoke", f"{one}={tmp_path / 'event.json'}")
    dev.see("layer version 1", f"{one} ✓ created", f"{two} ✓ created", '"stage": "dev"', "Watching")

    (tmp_path / "layer" / "python" / "shared.py").write_text("A = 2")
    dev.see("layer version 2", f"{one} ✓ configuration", '"number": 1')

    write(tmp_path / "two", 3)
    dev.see(f"{two} ✓ code")

    file.write_text("[functions")
    dev.see("cannot be read as TOML")
    file.write_text(PROJECT.format(one=one, two=two, layer=layer, stage="prod"))
    dev.see(f"{one} ✓ configuration", '"stage": "prod"')
    assert dev.end() == 0
    assert dev.shown.count("✓") == 7


def test_what_dev_invokes_can_wait_for_a_debugger(
    start: Callable[..., Dev], tmp_path: Path, name: str
) -> None:
    """A change ends what waits, since it would show the code of before."""
    folder = write(tmp_path / name, 1)
    (tmp_path / "event.json").write_text("{}")
    dev = start(folder, "--invoke", tmp_path / "event.json", "--debug", "--debug-port", "0")
    dev.see("waits for a Python debugger (debugpy) at 127.0.0.1:", f'"localRoot": "{folder}"')
    write(folder, 2)
    dev.see("✓ code", "waits for a Python debugger (debugpy) at 127.0.0.1:")
    port = int(dev.shown.rpartition("at 127.0.0.1:")[2].partition(";")[0])
    with contextlib.closing(DapClient(port)) as client:
        client.ask("initialize", clientID="test", adapterID="debugpy")
        attached = client.send("attach", justMyCode=True, pathMappings=[])
        client.event("initialized")
        client.ask("configurationDone")
        client.answer_to(attached)
        dev.see('"number": 2', "cold start (debug)")
    assert dev.end() == 0
    assert '"number": 1' not in dev.shown
    assert "failed" not in dev.shown


def test_without_a_server_it_starts_one_that_ends_with_it(start: Callable[..., Dev], tmp_path: Path) -> None:
    folder = write(tmp_path / "hello", 1)
    (tmp_path / "event.json").write_text("{}")
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        endpoint = f"http://127.0.0.1:{listener.getsockname()[1]}"
    dev = start(folder, "--invoke", tmp_path / "event.json", endpoint=endpoint)
    dev.see(f"No server answered at {endpoint}, so this one is ours", "✓ created", '"number": 1')
    assert dev.end() == 0
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(endpoint, timeout=5)


TEMPLATE = """
Parameters: {{Stage: {{Type: String, Default: test}}}}
Globals: {{Function: {{Runtime: python3.12, Handler: app.handler}}}}
Resources:
  Worker:
    Type: AWS::Serverless::Function
    Properties:
      FunctionName: {name}
      CodeUri: one
      FunctionUrlConfig: {{AuthType: NONE}}
      Environment: {{Variables: {{STAGE: !Ref Stage}}}}
      Events:
        Jobs: {{Type: SQS, Properties: {{Queue: !GetAtt Jobs.Arn, BatchSize: 1}}}}
        Web: {{Type: Api}}
  Jobs: {{Type: AWS::SQS::Queue, Properties: {{QueueName: {name}-jobs}}}}
"""


def test_a_template_is_deployed_with_its_queue_and_its_address(
    lambent: Server, run: Run, tmp_path: Path, name: str
) -> None:
    write(tmp_path / "one", 1)
    (tmp_path / "template.yaml").write_text(TEMPLATE.format(name=name))
    first = run("deploy", tmp_path)
    assert first.returncode == 0, first.stderr
    assert "Worker: nothing here sends it the events Web (Api)." in first.stderr
    assert first.stdout.strip().endswith(f":function:{name}")
    client = lambent.client("lambda")
    assert invoke(client, name).payload["stage"] == "test"

    queue = lambent.client("sqs").get_queue_url(QueueName=f"{name}-jobs")["QueueUrl"]
    (mapping,) = client.list_event_source_mappings(FunctionName=name)["EventSourceMappings"]
    assert (mapping["EventSourceArn"].endswith(f"{name}-jobs"), mapping["BatchSize"]) == (True, 1)
    assert queue.endswith(f"{name}-jobs")
    identifier = client.get_function_url_config(FunctionName=name)["FunctionUrl"].split("/")[2].split(".")[0]
    with urllib.request.urlopen(f"{lambent.endpoint}/_lambent/url/{identifier}/", timeout=30) as answer:
        assert json.load(answer)["number"] == 1

    again = run("deploy", "Worker", cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    assert f"{name} is up to date." in again.stderr
    client.delete_event_source_mapping(UUID=mapping["UUID"])


def test_a_name_means_a_function_of_the_project_here(run: Run, tmp_path: Path, name: str) -> None:
    (tmp_path / "lambent.toml").write_text(f"[functions.{name}]\npath = 'one'\n[functions.other]\n")
    write(tmp_path / "one", 1)
    deployed = run("deploy", name, "--memory", 256, cwd=tmp_path)
    assert deployed.returncode == 0, deployed.stderr
    assert "256 MB" in deployed.stderr
    refused = run("deploy", "nobody", cwd=tmp_path)
    assert refused.returncode == 2
    assert f"has no function nobody: there are {name}, other." in refused.stderr
    refused = run("deploy", "--memory", 256, cwd=tmp_path)
    assert refused.stderr == "lambent: Options for one function need its name: lambent deploy NAME.\n"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--aws", "dev"), "lambent: dev works with Lambent, not with AWS itself.\n"),
        (("dev", "--invoke", "nothing.json"), "there is no file nothing.json."),
        (("dev", "no-such-folder"), "no-such-folder does not exist."),
    ],
)
def test_what_cannot_be_watched_is_said(run: Run, arguments: tuple[str, ...], sentence: str) -> None:
    ended = run(*arguments)
    assert ended.returncode == 2
    assert sentence in ended.stderr
    assert os.linesep not in ended.stderr.strip()
