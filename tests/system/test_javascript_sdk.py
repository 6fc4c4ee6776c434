"""The AWS SDK for JavaScript tells the same story as boto3 and the AWS CLI: `javascript/story.mjs`."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
from pathlib import Path

import pytest

from harness import CACHE_DIRECTORY, REGION, ROLE, Server, zip_of

PACKAGE = "@aws-sdk/client-lambda@3.1164.0"
STORY = Path(__file__).parent / "javascript" / "story.mjs"
_NODE_MIN = 20
_INSTALL_TIMEOUT_S = 120
FIRST = """
import os
def handler(event, context):
    if "fail" in event:
        raise ValueError(event["fail"])
    if "stream" in event:
        return stream(event["stream"])
    return {"n": event.get("n"), "version": 1, "who": os.environ["WHO"]}
def stream(words):
    for word in words:
        if word is None:
            raise ValueError("no word")
        yield word
"""
SECOND = """
try:
    from shared import answer
except ImportError:
    answer = None
def handler(event, context):
    return {"version": 2, "shared": answer}
"""


@pytest.fixture(scope="module")
def modules() -> Path:
    """A directory with the SDK in ``node_modules``: installed once, and kept between runs."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        pytest.skip("node and npm are not installed")
    version = subprocess.run([node, "--version"], capture_output=True, text=True, check=True).stdout
    if int(version.removeprefix("v").partition(".")[0]) < _NODE_MIN:
        pytest.skip(f"the SDK needs Node.js {_NODE_MIN}; this is {version.strip()}")
    place = CACHE_DIRECTORY / "npm" / PACKAGE.rpartition("@")[2]
    if not (place / "installed").exists():
        place.mkdir(parents=True, exist_ok=True)
        install = [npm, "install", "--no-audit", "--no-fund", "--no-package-lock", "--ignore-scripts"]
        try:
            done = subprocess.run(
                [*install, "--prefix", str(place), PACKAGE],
                check=False,
                capture_output=True,
                text=True,
                timeout=_INSTALL_TIMEOUT_S,
            )
        except subprocess.TimeoutExpired:
            pytest.skip(f"npm did not install {PACKAGE} within {_INSTALL_TIMEOUT_S} s")
        if done.returncode != 0:
            pytest.skip(f"npm could not install {PACKAGE}: {done.stderr.strip()[-300:]}")
        (place / "installed").touch()
    return place


@pytest.mark.external
def test_the_javascript_sdk_tells_the_whole_story(
    lambent: Server, name: str, modules: Path, tmp_path: Path
) -> None:
    packages = [{"app.py": FIRST}, {"app.py": SECOND}, {"python/shared.py": "answer = 42"}]
    told = tmp_path / "story.json"
    told.write_text(
        json.dumps(
            {
                "packages": [base64.b64encode(zip_of(files)).decode() for files in packages],
                "name": name,
                "role": ROLE,
            }
        )
    )
    # An ECMAScript module finds its packages beside itself.
    script = modules / STORY.name
    script.write_text(STORY.read_text())
    done = subprocess.run(
        ["node", str(script), str(told)],
        check=False,
        env=lambent.environ() | {"AWS_REGION": REGION},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [
        "create and wait",
        "invoke",
        "a response that comes bit by bit",
        "publish, alias, route",
        "layers",
        "permissions",
        "errors have their names, texts and members",
        "pagination",
        "delete",
    ]
