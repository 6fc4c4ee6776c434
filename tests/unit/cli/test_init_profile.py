"""What profiles an init is the function's own package with one module more."""

from __future__ import annotations

import io
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from harness import zip_of
from lambent.advice.imports import find_import, parse_import_times
from lambent.cli.init_profile import MODULE, with_profile


@pytest.mark.parametrize("handler", ["app.handler", "my-app.handler", "lib/app.handler", "lib.app.handler"])
def test_the_module_imports_the_handlers_in_a_way_that_python_tells_of(tmp_path: Path, handler: str) -> None:
    module = handler.rpartition(".")[0].replace("/", ".")
    files = {f"{module.replace('.', '/')}.py": "import decimal\n", "lib/__init__.py": ""}
    package = with_profile(zip_of(files), handler)
    with zipfile.ZipFile(io.BytesIO(package)) as archive:
        assert archive.getinfo(f"{MODULE}.py").external_attr >> 16 == 0o644
        archive.extractall(tmp_path)
    command = "import importlib; print(importlib.import_module('lambent_import_profile').handler({}, None))"
    ran = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", command],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert ran.stdout == "None\n"
    found = find_import(parse_import_times(ran.stderr.splitlines()), module)
    assert found is not None
    assert [child.name for child in found.children if child.name == "decimal"] == ["decimal"]
