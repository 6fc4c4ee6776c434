"""`lambent demo`: a server of its own, a real function, some invocations, and what AWS would ask for them."""

from __future__ import annotations

import base64
import contextlib
import json
import tempfile
import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lambent.cli import picture, server
from lambent.cli.client import (
    DEFAULT_ACCESS_KEY_ID,
    DEFAULT_REGION,
    DEFAULT_SECRET_ACCESS_KEY,
    Connection,
    Target,
)
from lambent.cli.deployment import Deployed, deploy_path
from lambent.cli.invocation import Answer, ask
from lambent.cli.plan import Choices
from lambent.cli.report import Report, parse_report
from lambent.cli.terminal import CommandError, notice, notices, results, size_text, usd_text

EXAMPLE = Path(__file__).parent / "examples" / "thumbnail"
FUNCTION = "thumbnail"
INVOCATIONS = 5
MEMORY_MB = 512
TIMEOUT_S = 30
PICTURE_SIZE = (1200, 900)


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One invocation of the demo: its answer, and how long the caller waited for it."""

    answer: Answer
    report: Report
    waited_ms: float


def demo() -> None:
    """Show it all in one go: start a server, deploy a function, invoke it, compute what AWS would charge.

    The server has a free port and a temporary folder; nothing remains.
    """
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(
            tempfile.TemporaryDirectory(prefix="lambent-demo-", ignore_cleanup_errors=True)
        )
        with _step("Starting Lambent") as done:
            endpoint = stack.enter_context(server.running(Path(folder)))
            done(f"Lambent is up at {endpoint}")
        connection = _connection(endpoint)
        _deploy(connection)
        _show(_invoke(connection))
    notice("Everything was stopped and removed. Now yours: `lambent up`, then `lambent deploy PATH`.")


def _connection(endpoint: str) -> Connection:
    return Connection(
        Target(
            endpoint=endpoint,
            region=DEFAULT_REGION,
            access_key_id=DEFAULT_ACCESS_KEY_ID,
            secret_access_key=DEFAULT_SECRET_ACCESS_KEY,
        )
    )


@contextlib.contextmanager
def _step(title: str) -> Generator[Callable[[str], None]]:
    """Show what is going on, and what came of it, with the seconds it took, once that is told."""
    console = notices()
    started_s = time.monotonic()
    words: list[str] = []
    with console.status(f"{title} …") if console.is_terminal else contextlib.nullcontext():
        yield words.append
    console.print(f"✓ {words[-1] if words else title} ({time.monotonic() - started_s:.1f} s)")


def _deploy(connection: Connection) -> Deployed:
    notice(f"Deploying {FUNCTION}: a Python function that needs Pillow")
    started_s = time.monotonic()
    choices = Choices(name=FUNCTION, memory_mb=MEMORY_MB, timeout_s=TIMEOUT_S)
    deployed = deploy_path(connection, EXAMPLE, choices)
    function = deployed.configuration
    facts = f"{function['Runtime']}, {function['MemorySize']} MB, code {size_text(function['CodeSize'])}"
    notice(f"✓ Deployed {FUNCTION}: {facts} ({time.monotonic() - started_s:.1f} s)")
    return deployed


def _invoke(connection: Connection) -> list[Measured]:
    image = picture.png(*PICTURE_SIZE)
    event = json.dumps({"image": base64.b64encode(image).decode(), "size": 128}).encode()
    with _step(f"Invoking it {INVOCATIONS} times") as done:
        measured = [_measure(connection, event) for _ in range(INVOCATIONS)]
        warm_ms = min(one.waited_ms for one in measured)
        done(f"Invoked it {INVOCATIONS} times; the quickest answer was here after {warm_ms:.0f} ms")
    return measured


def _measure(connection: Connection, event: bytes) -> Measured:
    started_s = time.perf_counter()
    answer = ask(connection, FUNCTION, event, tail=True)
    waited_ms = (time.perf_counter() - started_s) * 1000
    if answer.function_error:
        raise CommandError(f"The function failed: {answer.payload.decode('utf-8', 'replace')[:500]}")
    report = parse_report(answer.log or "")
    if report is None:
        raise CommandError("The log of the invocation has no REPORT line.")
    return Measured(answer=answer, report=report, waited_ms=waited_ms)


def _show(measured: list[Measured]) -> None:
    console = results()
    console.print()
    console.print(_table(measured))
    console.print()
    for one in (measured[0], measured[-1]):
        console.print(one.report.line.expandtabs(1), style="dim")
    console.print()


def _table(measured: list[Measured]) -> Any:
    from rich.table import Table

    title = f"Thumbnails of a {_size(PICTURE_SIZE)} picture with {MEMORY_MB} MB, and what AWS would charge"
    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)
    table.add_column("", no_wrap=True)
    table.add_column("RESULT", no_wrap=True)
    for heading in ("DURATION", "BILLED", "MEMORY", "PER CALL", "PER MILLION"):
        table.add_column(heading, justify="right", no_wrap=True)
    for number, one in enumerate(measured, start=1):
        table.add_row(*_row(number, one))
    return table


def _row(number: int, one: Measured) -> tuple[str, ...]:
    report, bill = one.report, one.answer.bill
    is_cold = report.init_duration_ms is not None
    return (
        f"{number} {'cold' if is_cold else 'warm'}",
        result_text(one.answer.payload),
        f"{report.duration_ms:.1f} ms",
        f"{report.billed_duration_ms} ms",
        f"{report.max_memory_used_mb} MB",
        usd_text(bill.price_usd) if bill else "-",
        usd_text(bill.price_usd * 1_000_000) if bill else "-",
    )


def result_text(payload: bytes) -> str:
    """Return the function's result for people: ``128×96, 2.3 kB``."""
    result = json.loads(payload)
    return f"{_size(result['size'])}, {size_text(len(base64.b64decode(result['thumbnail'])))}"


def _size(sides: Sequence[int]) -> str:
    return "×".join(str(side) for side in sides)
