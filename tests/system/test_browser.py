"""Function URLs in curl and in a real browser, whose own rules of CORS decide what a page may ask and read."""

from __future__ import annotations

import json
import os
import queue
import shutil
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from harness import Server, create

PATIENCE_S = 60
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
ANSWER = """
import json
def handler(event, context):
    return {
        "statusCode": 200,
        "headers": {"x-shown": "1", "x-hidden": "1", "content-type": "application/json"},
        "body": json.dumps([event["requestContext"]["http"]["method"], event.get("body")]),
    }
"""
PAGE = """<!doctype html><script>
const url = %(url)s;
async function ask(options) {
  try {
    const answer = await fetch(url, options);
    const headers = ["x-shown", "x-hidden"].filter(name => answer.headers.has(name));
    return [answer.status, await answer.text(), headers];
  } catch (error) {
    return error.name;
  }
}
(async () => {
  const found = {};
  for (const [name, options] of Object.entries(%(questions)s)) found[name] = await ask(options);
  await fetch("/found/%(name)s", {method: "POST", body: JSON.stringify(found)});
})();
</script>%(frame)s"""
QUESTIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "with credentials": {"credentials": "include"},
    "preflight": {"method": "PUT", "headers": {"X-Mine": "1"}, "body": "{}"},
    "method that is not allowed": {"method": "DELETE"},
    "header that is not allowed": {"headers": {"X-Other": "1"}},
}


class Site:
    """Serves the pages and hears what they found: at 127.0.0.1 with one origin, at localhost with another."""

    def __init__(self) -> None:
        self.pages: dict[str, bytes] = {}
        self.found: queue.Queue[tuple[str, Any]] = queue.Queue()
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                content = site.pages.get(self.path)
                self.answer(404 if content is None else 200, content or b"")

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                site.found.put((self.path.rpartition("/")[2], json.loads(body)))
                self.answer(200, b"")

            def answer(self, status: int, content: bytes) -> None:
                self.send_response(status)
                self.send_header("content-type", "text/html")
                self.send_header("content-length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_port
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def site() -> Iterator[Site]:
    site = Site()
    yield site
    site.server.shutdown()
    site.server.server_close()


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[list[str]]:
    """The command of a browser without a window, whose processes are gone in the end."""
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    if program is None:
        pytest.skip("no browser is installed (Debian: chromium)")
    yield [
        program,
        "--headless=new",
        *(["--no-sandbox"] if os.geteuid() == 0 else []),
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--no-first-run",
        "--no-proxy-server",
        "--disable-background-networking",
        f"--user-data-dir={tmp_path / 'profile'}",
    ]


def open_to_all(server: Server, name: str, cors: dict[str, Any]) -> str:
    """Make a function whose URL everybody may use, as far as its CORS lets them."""
    client = server.client("lambda")
    create(client, name, ANSWER)
    url: str = client.create_function_url_config(FunctionName=name, AuthType="NONE", Cors=cors)["FunctionUrl"]
    client.add_permission(
        FunctionName=name,
        StatementId="public",
        Action="lambda:InvokeFunctionUrl",
        Principal="*",
        FunctionUrlAuthType="NONE",
    )
    return url


def test_curl_is_answered_at_the_url(lambent: Server, name: str) -> None:
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    url = open_to_all(lambent, name, {"AllowOrigins": ["https://here.example"]})

    parts = urlsplit(url)

    def curl(*arguments: str) -> str:
        command = ["curl", "--silent", "--show-error", "--noproxy", "*", "--write-out", "%{http_code}"]
        command += ["--resolve", f"{parts.hostname}:{parts.port}:127.0.0.1"]
        return subprocess.run(
            [*command, *arguments, url], capture_output=True, text=True, check=True, timeout=PATIENCE_S
        ).stdout

    assert curl("--data", "a=1", "--header", "Content-Type: text/plain") == '["POST", "a=1"]200'
    assert curl("--request", "DELETE") == '["DELETE", null]200'
    answer = curl("--head", "--header", "Origin: https://here.example").lower()
    assert "access-control-allow-origin: https://here.example" in answer


def test_a_browser_asks_and_reads_what_the_urls_cors_allows_and_nothing_else(
    lambent: Server, name: str, site: Site, browser: list[str]
) -> None:
    cors = {
        "AllowOrigins": [f"http://127.0.0.1:{site.port}"],
        "AllowMethods": ["GET", "PUT"],
        "AllowHeaders": ["x-mine", "content-type"],
        "ExposeHeaders": ["x-shown"],
        "AllowCredentials": True,
        "MaxAge": 60,
    }
    url = open_to_all(lambent, name, cors)
    frame = f'<iframe src="http://localhost:{site.port}/stranger"></iframe>'
    for page, content in (("friend", frame), ("stranger", "")):
        values = {"url": json.dumps(url), "questions": json.dumps(QUESTIONS), "name": page, "frame": content}
        site.pages[f"/{page}"] = (PAGE % values).encode()
    process = subprocess.Popen(
        [*browser, f"http://127.0.0.1:{site.port}/friend"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        found = dict(site.found.get(timeout=PATIENCE_S) for _ in range(2))
    finally:
        os.killpg(process.pid, 9)
        process.wait()
    shown = ["x-shown"]
    assert found["friend"] == {
        "plain": [200, '["GET", null]', shown],
        "with credentials": [200, '["GET", null]', shown],
        "preflight": [200, '["PUT", "{}"]', shown],
        "method that is not allowed": "TypeError",
        "header that is not allowed": "TypeError",
    }
    assert found["stranger"] == dict.fromkeys(QUESTIONS, "TypeError")
