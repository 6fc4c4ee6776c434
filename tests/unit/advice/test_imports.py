"""Import times are read as Python writes them, and what takes long in the handler's own module is named."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from lambent.advice.imports import advise_imports, find_import, parse_import_times
from unit.advice.rows import every, past

LINES = """\
import time: self [us] | cumulative | imported package
import time:       100 |        100 | encodings
import time:      1000 |       1000 |     urllib3.util
START of something else
import time:      9000 |      60000 |     urllib3
import time:     20000 |      81000 |   botocore
import time:       500 |        500 |   tiny
import time:      5000 |      86500 | app
import time:        10 |         10 | after
""".splitlines()


def test_modules_are_below_what_imported_them() -> None:
    tree = parse_import_times(LINES)
    assert [one.name for one in tree] == ["encodings", "app", "after"]
    app = tree[1]
    assert [child.name for child in app.children] == ["botocore", "tiny"]
    assert [child.name for child in app.children[0].children] == ["urllib3.util", "urllib3"]
    assert (app.self_us, app.cumulative_us) == (5_000, 86_500)
    assert find_import(tree, "urllib3") == app.children[0].children[1]
    assert find_import(tree, "nothing") is None


def test_what_python_really_writes_is_read(tmp_path: Path) -> None:
    (tmp_path / "inner.py").write_text("import decimal\n")
    (tmp_path / "outer.py").write_text("import inner\n")
    ran = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", "import outer"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    outer = find_import(parse_import_times(ran.stderr.splitlines()), "outer")
    assert outer is not None
    (inner,) = outer.children
    assert inner.name == "inner"
    assert "decimal" in [child.name for child in inner.children]
    assert outer.cumulative_us >= inner.cumulative_us >= inner.self_us


def test_what_takes_long_is_named_with_what_it_costs() -> None:
    one = past(every(1_200.0, 2_000, memory_mb=1_024, init_ms=100.0))
    answer = advise_imports(
        one, code_bytes=2_500_000, handler="app.handler", imports=parse_import_times(LINES)
    )
    assert answer.is_action
    assert answer.verdict.startswith("81 ms of 86.5 ms go into botocore: import inside the handler")
    # 2,000 cold starts of 81 ms at a GB.
    assert float(answer.saved_usd or 0) == pytest.approx(2_000 * 0.081 * 0.0000166667)
    figures = dict(answer.figures)
    assert figures["package"] == "2.50 MB"
    assert figures["import botocore"] == "81 ms, in it urllib3 60 ms, urllib3.util 1 ms"
    assert "import tiny" not in figures


def test_a_quick_init_is_left_alone() -> None:
    quick = ["import time:  100 | 100 |   json", "import time: 200 | 300 | lib.app"]
    answer = advise_imports(
        past(every(60.0, 3)),
        code_bytes=1,
        layer_bytes=3_000_000,
        handler="lib/app.handler",
        imports=parse_import_times(quick),
    )
    assert not answer.is_action
    assert answer.verdict == "No import takes 20 ms or more of the 0.3 ms."
    assert dict(answer.figures)["package"] == "0.00 MB, layers 3.00 MB"


def test_time_that_the_modules_own_code_takes_is_not_blamed_on_imports() -> None:
    own = ["import time:  100 | 100 |   json", "import time: 200000 | 200100 | app"]
    answer = advise_imports(
        past(every(60.0, 3)), code_bytes=1, handler="app.handler", imports=parse_import_times(own)
    )
    assert (
        answer.verdict
        == "No import takes 20 ms or more of the 200 ms: what takes long is the module's own code."
    )


def test_without_a_profile_the_command_that_makes_one_is_named() -> None:
    answer = advise_imports(past(every(60.0, 3)), code_bytes=1, handler="app.handler", imports=None)
    assert answer.evidence == ("lambent advise f --imports",)
    assert answer.verdict.startswith("Init takes 250 ms.")
