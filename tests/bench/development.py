"""`python -m tests.bench.development`: from saving a file to its being deployed, and to its first answer.

A real server, a real `lambent dev --invoke`, and a clock beside them: times end when the line is read that says so.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from queue import SimpleQueue
from statistics import median, quantiles

from tests.harness import DEFAULTS, Server, clean_environ

_PATIENCE_S = 60.0
_PAUSE_S = 0.3
"""Between two changes, so that each finds everything at rest."""
_HANDLERS = {
    "Python": ("app.py", "def handler(event, context):\n    return {{'number': {number}}}\n"),
    "Node.js": ("index.mjs", "export const handler = async () => ({{ number: {number} }});\n"),
}


def main() -> int:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--changes", type=int, default=40, help="of each function (default: 40)")
    changes = parser.parse_args().changes
    with tempfile.TemporaryDirectory(prefix="lambent-bench-") as directory:
        server = Server(Path(directory) / "data")
        try:
            print(f"{'from saving a file to …':28} {'p50 ms':>8} {'p99 ms':>8}")
            for language, (name, code) in _HANDLERS.items():
                deployed, answered = _measure(server, Path(directory) / language.lower(), name, code, changes)
                for what, times_ms in (("deployed", deployed), ("first answer", answered)):
                    p99 = quantiles(times_ms, n=100, method="inclusive")[-1]
                    print(f"{f'{what}, {language}':28} {median(times_ms):8.0f} {p99:8.0f}")
        finally:
            server.stop()
    return 0


def _measure(
    server: Server, folder: Path, name: str, code: str, changes: int
) -> tuple[list[float], list[float]]:
    folder.mkdir()
    file, event = folder / name, folder.parent / "event.json"
    event.write_text("{}")
    file.write_text(code.format(number=0))
    deployed: list[float] = []
    answered: list[float] = []
    with _dev(server, folder, event) as lines:
        _wait_for(lines, '"number":0')
        for number in range(1, changes + 1):
            time.sleep(_PAUSE_S)
            began_s = time.monotonic()
            file.write_text(code.format(number=number))
            deployed.append((_wait_for(lines, "✓ code") - began_s) * 1000)
            answered.append((_wait_for(lines, f'"number":{number}') - began_s) * 1000)
    return deployed, answered


@contextmanager
def _dev(server: Server, folder: Path, event: Path) -> Generator[SimpleQueue[tuple[float, str]]]:
    """Run `lambent dev`, and give its lines with the times at which they came."""
    lines: SimpleQueue[tuple[float, str]] = SimpleQueue()
    command = [sys.executable, "-m", "lambent", "dev", str(folder), "--invoke", str(event)]
    environ = clean_environ() | DEFAULTS | {"LAMBENT_ENDPOINT": server.endpoint, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:

        def read() -> None:
            assert process.stdout is not None
            for line in process.stdout:
                lines.put((time.monotonic(), line.replace(" ", "")))

        threading.Thread(target=read, daemon=True).start()
        try:
            yield lines
        finally:
            process.terminate()


def _wait_for(lines: SimpleQueue[tuple[float, str]], text: str) -> float:
    """Return when a line with this text came."""
    wanted = text.replace(" ", "")
    while True:
        at_s, line = lines.get(timeout=_PATIENCE_S)
        if wanted in line:
            return at_s


if __name__ == "__main__":
    sys.exit(main())
