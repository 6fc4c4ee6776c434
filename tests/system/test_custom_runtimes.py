"""Programs that bring their own runtime: in a shell, in C and in Rust, and AWS's own client for Python."""

from __future__ import annotations

import importlib.util
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness import ROLE, Invoked, Server, create, invoke
from runtimes import package_of
from streams import Queue, Streamed

SHELL = """#!/bin/sh
set -eu
api=http://$AWS_LAMBDA_RUNTIME_API/2018-06-01/runtime
while true; do
  event=$(curl -sS -D /tmp/headers "$api/invocation/next")
  id=$(sed -n 's/^Lambda-Runtime-Aws-Request-Id: *\\([^ \\r]*\\).*/\\1/Ip' /tmp/headers)
  echo "handling with $_HANDLER"
  curl -sS -d "$event" "$api/invocation/$id/response" >/dev/null
done
"""

STREAMING_SHELL = """#!/bin/sh
set -eu
api=http://$AWS_LAMBDA_RUNTIME_API/2018-06-01/runtime
while true; do
  curl -sS -D /tmp/headers -o /dev/null "$api/invocation/next"
  id=$(sed -n 's/^Lambda-Runtime-Aws-Request-Id: *\\([^ \\r]*\\).*/\\1/Ip' /tmp/headers)
  {
    echo one
    curl -sS -d "Action=ReceiveMessage&Version=2012-11-05&WaitTimeSeconds=20" "$AWS_ENDPOINT_URL/$QUEUE" >/dev/null
    echo two
  } | curl -sS -X POST -T - -N -H "Lambda-Runtime-Function-Response-Mode: streaming" \\
    -H "Content-Type: text/plain" "$api/invocation/$id/response" >/dev/null
done
"""

C = r"""
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>
static char answer[65536];
static char *ask(const char *request) {
    char host[64]; int port;
    sscanf(getenv("AWS_LAMBDA_RUNTIME_API"), "%63[^:]:%d", host, &port);
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
    inet_pton(AF_INET, host, &to.sin_addr);
    int s = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(s, (struct sockaddr *)&to, sizeof to)) exit(7);
    write(s, request, strlen(request));
    size_t have = 0, want = sizeof answer - 1;
    char *body = NULL;
    while (have < want) {
        ssize_t n = read(s, answer + have, sizeof answer - 1 - have);
        if (n <= 0) break;
        answer[have += n] = 0;
        if (!body && (body = strstr(answer, "\r\n\r\n"))) {
            body += 4;
            want = (body - answer) + atoi(strcasestr(answer, "content-length:") + 15);
        }
    }
    close(s);
    return body;
}
int main(void) {
    static char request[70000], id[64];
    for (;;) {
        char *event = ask("GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nHost: a\r\n\r\n");
        sscanf(strcasestr(answer, "lambda-runtime-aws-request-id:") + 30, " %63s", id);
        fprintf(stderr, "from C\n");
        snprintf(request, sizeof request,
                 "POST /2018-06-01/runtime/invocation/%s/response HTTP/1.1\r\nHost: a\r\nContent-Length: %zu\r\n\r\n%s",
                 id, strlen(event), event);
        ask(request);
    }
}
"""

RUST = r"""
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
fn ask(request: String) -> (String, Vec<u8>) {
    let api = std::env::var("AWS_LAMBDA_RUNTIME_API").unwrap();
    let mut stream = TcpStream::connect(api).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut reader = BufReader::new(stream);
    let (mut id, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        if line.trim().is_empty() { break; }
        if let Some((name, value)) = line.split_once(':') {
            match name.to_lowercase().as_str() {
                "content-length" => length = value.trim().parse().unwrap(),
                "lambda-runtime-aws-request-id" => id = value.trim().to_string(),
                _ => {}
            }
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    (id, body)
}
fn main() {
    loop {
        let prefix = "/2018-06-01/runtime/invocation";
        let (id, event) = ask(format!("GET {prefix}/next HTTP/1.1\r\nHost: a\r\n\r\n"));
        let text = String::from_utf8(event).unwrap();
        if text == "\"panic\"" { panic!("as told"); }
        println!("from Rust");
        let head = format!("Host: a\r\nContent-Length: {}\r\n", text.len());
        ask(format!("POST {prefix}/{id}/response HTTP/1.1\r\n{head}\r\n{text}"));
    }
}
"""


@pytest.fixture
def client(lambent: Server) -> Any:
    return lambent.client("lambda")


@pytest.fixture(scope="module")
def lenient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server without walls that runs everything natively."""
    data = tmp_path_factory.mktemp("lenient") / "data"
    server = Server(data, "--sandbox", "process", "--run-foreign", "--stems", "0")
    yield server
    server.stop()


def deploy(client: Any, name: str, files: dict[str, Any], **options: Any) -> None:
    settings = {
        "Runtime": "provided.al2023",
        "Handler": "some.thing",
        "Role": ROLE,
        "MemorySize": 256,
    } | options
    client.create_function(FunctionName=name, Code={"ZipFile": package_of(files)}, Timeout=10, **settings)
    client.get_waiter("function_active_v2").wait(
        FunctionName=name, WaiterConfig={"Delay": 0.05, "MaxAttempts": 600}
    )


def compiled(tmp_path: Path, compiler: str, source: str, *options: str) -> bytes:
    """The program, or a skipped test where there is no such compiler."""
    if shutil.which(compiler) is None:
        pytest.skip(f"{compiler} is not installed")
    text = tmp_path / ("program.rs" if compiler == "rustc" else "program.c")
    text.write_text(source)
    program = tmp_path / "program"
    command = [compiler, *options, str(text), "-o", str(program)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"{compiler} does not work here: {done.stderr.strip().splitlines()[-1]}")
    return program.read_bytes()


def echoes(client: Any, name: str, log_line: str) -> None:
    for event in ({"a": "ü"}, [1, 2]):
        answer = invoke(client, name, event)
        assert (answer.payload, answer.error) == (event, None), answer
        assert log_line in answer.log.splitlines()


def test_a_shell_script_is_a_runtime(client: Any, name: str) -> None:
    if not Path("/usr/bin/curl").exists():
        pytest.skip("curl is not installed")
    deploy(client, name, {"bootstrap": SHELL})
    echoes(client, name, "handling with some.thing")


def test_a_shell_script_streams(lambent: Server, client: Any, name: str) -> None:
    """By curl, which sends what it is given when it is given it, and each time over a connection of its own."""
    if not Path("/usr/bin/curl").exists():
        pytest.skip("curl is not installed")
    queue = Queue(lambent, name)
    variables = {"Variables": {"QUEUE": f"000000000000/{name}"}}
    deploy(client, name, {"bootstrap": STREAMING_SHELL}, Environment=variables)
    for _ in range(2):
        streamed = Streamed(client, name, {})
        assert streamed.chunk() == b"one\n"
        queue.tell()
        assert (streamed.rest(), streamed.end) == (b"two\n", {})


def test_a_program_in_c_is_a_runtime(client: Any, name: str, tmp_path: Path) -> None:
    deploy(client, name, {"bootstrap": compiled(tmp_path, "gcc", C, "-O1", "-D_GNU_SOURCE", "-w")})
    echoes(client, name, "from C")


def test_a_program_in_rust_is_a_runtime_and_its_panic_an_exit(client: Any, name: str, tmp_path: Path) -> None:
    deploy(client, name, {"bootstrap": compiled(tmp_path, "rustc", RUST)}, Runtime="provided.al2")
    echoes(client, name, "from Rust")
    answer = invoke(client, name, "panic")
    assert answer.payload["errorType"] == "Runtime.ExitError"
    assert answer.payload["errorMessage"].endswith("Runtime exited with error: exit status 101")
    echoes(client, name, "from Rust")


def test_a_layer_may_bring_the_runtime(client: Any, name: str, tmp_path: Path) -> None:
    program = compiled(tmp_path, "gcc", C, "-O1", "-D_GNU_SOURCE", "-w")
    layer = client.publish_layer_version(
        LayerName=name, Content={"ZipFile": package_of({"bootstrap": program})}
    )
    deploy(client, name, {"data": "of the function"}, Layers=[layer["LayerVersionArn"]])
    echoes(client, name, "from C")


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"start": SHELL}, "Couldn't find valid bootstrap(s): [/var/task/bootstrap /opt/bootstrap]"),
        ({"bootstrap": "no program"}, "fork/exec /var/task/bootstrap: permission denied"),
        ({"bootstrap": "#!/no/such/shell\n"}, "fork/exec /var/task/bootstrap: no such file or directory"),
        ({"bootstrap": b"\x7fELF of another machine"}, "fork/exec /var/task/bootstrap: exec format error"),
    ],
)
def test_what_cannot_be_executed_is_the_functions_error(
    client: Any, name: str, files: dict[str, Any], words: str
) -> None:
    deploy(client, name, files)
    for _ in range(2):
        answer = invoke(client, name, {})
        assert answer.error == "Unhandled"
        assert answer.payload == {
            "errorType": "Runtime.InvalidEntrypoint",
            "errorMessage": f"RequestId: {answer.headers['x-amzn-requestid']} Error: {words}",
        }
    assert "Phase: invoke\tStatus: error\tError Type: Runtime.InvalidEntrypoint" in answer.log


def test_without_walls_a_custom_runtime_runs_too(lenient: Server, name: str, tmp_path: Path) -> None:
    """Its Runtime API is on the host's loopback then."""
    client = lenient.client("lambda")
    deploy(client, name, {"bootstrap": compiled(tmp_path, "gcc", C, "-O1", "-D_GNU_SOURCE", "-w")})
    echoes(client, name, "from C")


# Wrapper scripts -------------------------------------------------------------------------------------------

HERE = f"python3.{sys.version_info.minor}"
ECHO = "import os\ndef handler(event, context): return [event, os.environ.get('WRAPPED')]"


def module_files(name: str) -> dict[str, bytes]:
    """The files of an installed module or package, by their names in a deployment package."""
    spec = importlib.util.find_spec(name)
    assert spec is not None
    assert spec.origin is not None
    origin = Path(spec.origin)
    if origin.name != "__init__.py":
        return {origin.name: origin.read_bytes()}
    files = [path for path in origin.parent.rglob("*") if path.suffix in {".py", ".so"}]
    return {str(path.relative_to(origin.parent.parent)): path.read_bytes() for path in files}


def wrapped(client: Any, name: str, files: dict[str, Any], wrapper: str) -> Invoked:
    variables = {"Variables": {"AWS_LAMBDA_EXEC_WRAPPER": wrapper}}
    deploy(
        client, name, {"app.py": ECHO, **files}, Runtime=HERE, Handler="app.handler", Environment=variables
    )
    return invoke(client, name, {"a": 1})


def test_a_wrapper_script_is_executed_in_the_runtimes_place(client: Any, name: str) -> None:
    script = '#!/bin/sh\necho "starting $#"\nWRAPPED=yes exec "$@"\n'
    answer = wrapped(client, name, {"wrap": script}, "/var/task/wrap")
    assert answer.payload == [{"a": 1}, "yes"]


@pytest.mark.parametrize(
    ("files", "line", "code"),
    [
        ({}, "/var/task/wrap: does not exist", 127),
        ({"wrap": "no program"}, "/var/task/wrap: is not an executable", 126),
    ],
)
def test_a_wrapper_that_cannot_be_executed_is_said(
    client: Any, name: str, files: dict[str, Any], line: str, code: int
) -> None:
    answer = wrapped(client, name, files, "/var/task/wrap")
    assert answer.payload["errorMessage"].endswith(f"Runtime exited with error: exit status {code}")
    assert line in answer.log.splitlines()


def test_awss_own_client_runs_unmodified_in_the_runtimes_place(client: Any, name: str) -> None:
    """`awslambdaric` speaks to the Runtime API over TCP from inside the walls."""
    files: dict[str, Any] = {"wrap": '#!/bin/sh\nWRAPPED=$2 exec "$1" -m awslambdaric "$_HANDLER"\n'}
    for module in ("awslambdaric", "simplejson", "snapshot_restore_py", "runtime_client"):
        files |= module_files(module)
    answer = wrapped(client, name, files, "/var/task/wrap")
    assert (answer.error, answer.payload) == (None, [{"a": 1}, "-u"]), answer


# Architectures ---------------------------------------------------------------------------------------------


def test_code_for_another_architecture_is_refused_unless_that_is_asked_for(
    client: Any, lenient: Server, name: str
) -> None:
    foreign = "x86_64" if platform.machine() == "aarch64" else "arm64"
    package = package_of({"app.py": ECHO})
    settings = {"Runtime": HERE, "Handler": "app.handler", "Role": ROLE, "Architectures": [foreign]}
    client.create_function(FunctionName=name, Code={"ZipFile": package}, **settings)
    while (found := client.get_function_configuration(FunctionName=name))["State"] == "Pending":
        pass
    assert (found["State"], found["StateReasonCode"]) == ("Failed", "InvalidRuntime")
    assert f"cannot run {foreign} code" in found["StateReason"]

    create(lenient.client("lambda"), name, ECHO, Runtime=HERE, Architectures=[foreign])
    assert invoke(lenient.client("lambda"), name, 1).payload == [1, None]
    assert f"{name} is for {foreign} and runs natively" in lenient.error_text()
