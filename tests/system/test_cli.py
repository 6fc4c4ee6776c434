"""The whole way with the real command line: a real server, real functions, real processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import streams
from harness import INTERRUPTED, Server, create
from lambent.cli import server

EXAMPLES = Path(__file__).parents[2] / "examples"
PATIENCE_S = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """What a command left behind."""

    code: int
    out: bytes
    err: str


Lambent = Callable[..., Ended]


def environment(**changes: str) -> dict[str, str]:
    """The environment without anything that says whom to talk to."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "LAMBENT_"))}
    return {**kept, **changes}


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "lambent", *(str(argument) for argument in arguments)]


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with server.running(tmp_path_factory.mktemp("server")) as address:
        yield address


@pytest.fixture
def lambent(endpoint: str) -> Lambent:
    def run(*arguments: object, stdin: bytes = b"") -> Ended:
        ended = subprocess.run(
            command(*arguments),
            input=stdin,
            capture_output=True,
            env=environment(LAMBENT_ENDPOINT=endpoint),
            timeout=PATIENCE_S,
            check=False,
        )
        return Ended(code=ended.returncode, out=ended.stdout, err=ended.stderr.decode())

    return run


def write_function(folder: Path, code: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "app.py").write_text(textwrap.dedent(code))
    return folder


def test_a_folder_is_deployed_invoked_read_about_and_deleted(lambent: Lambent) -> None:
    deployed = lambent("deploy", EXAMPLES / "hello")
    assert deployed.code == 0, deployed.err
    assert deployed.out.decode().startswith("arn:aws:lambda:us-east-1:000000000000:function:hello")

    invoked = lambent("invoke", "hello", "-d", '{"name": "Ada"}', "--tail")
    assert invoked.code == 0, invoked.err
    assert json.loads(invoked.out)["message"] == "Hello, Ada!"
    assert "greeting Ada" in invoked.err
    assert "REPORT RequestId: " in invoked.err
    assert "On AWS: $0.0000" in invoked.err

    listed = lambent("list")
    assert "hello" in listed.out.decode()
    assert "Active" in listed.out.decode()

    assert wait_for(lambda: b"REPORT RequestId: " in lambent("logs", "hello").out)
    assert b"greeting Ada" in lambent("logs", "hello").out

    assert lambent("delete", "hello", "--yes").code == 0
    assert json.loads(lambent("list", "--json").out) == []
    gone = lambent("invoke", "hello")
    assert gone.code == 1
    assert "ResourceNotFoundException" in gone.err


def wait_for(holds: Callable[[], bool], within_s: float = 20.0) -> bool:
    """Ask again until it holds: logs are written after the answer, as on AWS."""
    deadline_s = time.monotonic() + within_s
    while not holds():
        if time.monotonic() > deadline_s:
            return False
    return True


def test_the_result_is_what_the_function_returned_byte_by_byte(lambent: Lambent, tmp_path: Path) -> None:
    """Large, with characters of all kinds: what goes in by a pipe comes out of the other end."""
    assert lambent("deploy", write_function(tmp_path / "echo", "def handler(e, c): return e")).code == 0
    event = json.dumps({"text": 'äöü €\u2028\\ "' * 10_000}).encode()
    echoed = lambent("invoke", "echo", stdin=event)
    assert echoed.code == 0, echoed.err
    assert json.loads(echoed.out) == json.loads(event)


def test_a_failing_function_is_exit_code_1_with_its_error_on_stdout(lambent: Lambent, tmp_path: Path) -> None:
    code = """
        def handler(event, context):
            raise ValueError("not today")
    """
    lambent("deploy", write_function(tmp_path / "failing", code))
    failed = lambent("invoke", "failing", "--tail")
    assert failed.code == 1
    assert json.loads(failed.out)["errorType"] == "ValueError"
    assert "The function failed (Unhandled)" in failed.err
    assert "\r" not in failed.err


def test_a_streamed_response_is_printed_as_it_comes_and_its_error_is_exit_code_1(
    new_server: Callable[..., Server], name: str
) -> None:
    """The function waits in the middle of its response until what came before that has been read."""
    server = new_server()
    create(server.client("lambda"), name, streams.PYTHON)
    queue = streams.Queue(server, name)

    def streaming(do: str) -> subprocess.Popen[bytes]:
        event = json.dumps({"do": do, "queue": queue.name})
        return subprocess.Popen(
            command("invoke", name, "--stream", "-d", event),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment(LAMBENT_ENDPOINT=server.endpoint),
        )

    with streaming("gate") as ran:
        assert ran.stdout is not None
        assert ran.stdout.read(3) == b"one"
        queue.tell()
        assert ran.communicate(timeout=PATIENCE_S)[0] == b"two"
        assert ran.returncode == 0
    with streaming("fail") as ran:
        out, err = ran.communicate(timeout=PATIENCE_S)
        assert (ran.returncode, out) == (1, b"one")
        assert '"errorMessage": "no ü"' in err.decode()
    with streaming("gate") as ran:
        assert ran.stdout is not None
        assert ran.stdout.read(3) == b"one"
        server.kill()
        out, err = ran.communicate(timeout=PATIENCE_S)
        assert (ran.returncode, out) == (1, b"")
        assert err.decode().startswith("lambent: The answer broke off: ")
        assert err.count(b"\n") == 1


def test_deploying_again_updates_what_changed(lambent: Lambent, tmp_path: Path) -> None:
    folder = write_function(tmp_path / "changing", "def handler(e, c): return 1")
    assert lambent("deploy", folder, "--memory", "256", "--env", "WORD=kept").code == 0
    assert "is up to date" in lambent("deploy", folder).err
    write_function(
        folder, "import os\ndef handler(e, c): return [2, os.environ['WORD'], c.memory_limit_in_mb]"
    )
    assert "Updated changing (code)" in lambent("deploy", folder).err
    assert json.loads(lambent("invoke", "changing").out) == [2, "kept", "256"]
    assert "Updated changing (configuration)" in lambent("deploy", folder, "--timeout", "5").err


def test_following_shows_new_lines_and_ends_with_ctrl_c(
    lambent: Lambent, endpoint: str, tmp_path: Path
) -> None:
    lambent("deploy", write_function(tmp_path / "talking", "def handler(e, c): print('said', e)"))
    lambent("invoke", "talking", "-d", "1")
    with subprocess.Popen(
        command("logs", "talking", "--follow"),
        stdout=subprocess.PIPE,
        env=environment(LAMBENT_ENDPOINT=endpoint),
        text=True,
    ) as following:
        assert following.stdout is not None
        read_until(following.stdout, "said 1")
        lambent("invoke", "talking", "-d", "2")
        between = read_until(following.stdout, "said 2")
        following.send_signal(signal.SIGINT)
        assert following.wait(PATIENCE_S) == 0
    assert not any("said 1" in line for line in between)


def read_until(lines: Iterator[str], words: str) -> list[str]:
    seen: list[str] = []
    for line in lines:
        seen.append(line)
        if words in line:
            return seen
    raise AssertionError(f"{words!r} never came, only {seen}")


@pytest.mark.external
def test_requirements_come_with_the_function(lambent: Lambent, tmp_path: Path) -> None:
    deployed = lambent("deploy", EXAMPLES / "numpy", "--memory", "512", "--timeout", "30")
    assert deployed.code == 0, deployed.err
    invoked = lambent("invoke", "numpy")
    assert json.loads(invoked.out)["solution"] == [2.0, 3.0], invoked.err


@pytest.mark.external
def test_powertools_route_log_and_measure(lambent: Lambent) -> None:
    deployed = lambent("deploy", EXAMPLES / "powertools", "--memory", "512", "--timeout", "30")
    assert deployed.code == 0, deployed.err
    invoked = lambent("invoke", "powertools", "-f", EXAMPLES / "powertools" / "event.json", "--tail")
    assert json.loads(json.loads(invoked.out)["body"]) == {"message": "Hallo, Ada!"}, invoked.err
    assert '"person":"Ada"' in invoked.err
    assert '"Greetings":[1.0]' in invoked.err


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    folder = tmp_path / "scratch"
    folder.mkdir()
    return folder


def processes_of(folder: Path) -> list[str]:
    """The command lines of all processes that name a folder."""
    found: list[str] = []
    for entry in Path("/proc").iterdir():
        try:
            line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except (OSError, UnicodeError):
            continue
        if str(folder) in line:
            found.append(line)
    return found


@pytest.mark.external
def test_the_demo_shows_it_all_and_leaves_nothing(scratch: Path) -> None:
    ended = subprocess.run(
        command("demo"),
        capture_output=True,
        env=environment(TMPDIR=str(scratch)),
        timeout=300,
        check=False,
        text=True,
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.count("128×96, ") == 5
    assert "1 cold" in ended.stdout
    assert "5 warm" in ended.stdout
    assert "PER MILLION" in ended.stdout
    assert "REPORT RequestId: " in ended.stdout
    assert list(scratch.iterdir()) == []
    assert processes_of(scratch) == []


def test_a_server_says_nothing_that_its_user_cannot_use(new_server: Callable[..., Server]) -> None:
    """What the libraries below it find worth a warning is for us to put right."""
    server = new_server()
    assert server.stop() == 0
    said = Path(server.errors.name).read_text().splitlines()
    assert [line for line in said if not line.startswith("WARNING lambent.")] == [
        "Stopping: running invocations may end first."
    ]


def test_an_interrupted_demo_leaves_nothing(scratch: Path) -> None:
    with subprocess.Popen(
        command("demo"),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env=environment(TMPDIR=str(scratch)),
        text=True,
    ) as demo:
        assert demo.stderr is not None
        read_until(demo.stderr, "Lambent is up")
        demo.send_signal(signal.SIGINT)
        rest = demo.stderr.read()
        assert demo.wait(PATIENCE_S) in INTERRUPTED
    assert "Traceback" not in rest
    assert list(scratch.iterdir()) == []
    assert wait_for(lambda: processes_of(scratch) == [])
