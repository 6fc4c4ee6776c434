"""`lambent tune`: which memory size is best for a function, by invoking clones of it at each."""

from __future__ import annotations

import contextlib
import json
import re
import sys
from collections.abc import Callable, Generator, Sequence
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Annotated, Any, cast

import typer

from lambent.cli import tune_apply, tune_page, tune_words
from lambent.cli.blueprint import Blueprint, read_blueprint
from lambent.cli.client import AwsOption, Connection, EndpointOption, RegionOption, connect
from lambent.cli.invoke import read_event
from lambent.cli.machine import MB_PER_VCPU, Machine, read_machine
from lambent.cli.measure import MAX_AT_ONCE, Measuring, Procedure, Subject, price_of
from lambent.cli.temporary import Temporaries, temporaries
from lambent.cli.terminal import CommandError, UsageError, notice, notices, results
from lambent.cli.tune_result import Choice, Measured, Size, choose, output, size_of
from lambent.cli.tuning import Tuning, check_weights, read_payloads, read_tuning, schedule, unknown_members

DEFAULT_WARM_UPS = 2
"""The first invocation pays for the environment, the second for what a handler does only once."""
SHARE_FOR_OTHERS = 10
"""On AWS, at most a tenth of the account's unreserved concurrency is taken from others."""


def tune(
    context: typer.Context,
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="NAME", help="Function: name, name:qualifier or ARN (or lambdaARN in --input)."
        ),
    ] = None,
    *,
    event: Annotated[
        str | None, typer.Option("--data", "-d", metavar="JSON", help="The event.", show_default=False)
    ] = None,
    payload: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="The event is in this file; or several are: a list of {payload, weight}.",
            show_default=False,
        ),
    ] = None,
    powers: Annotated[
        str | None,
        typer.Option(metavar="MB,MB,…", help="Memory sizes (default: 128 to 10240).", show_default=False),
    ] = None,
    num: Annotated[
        int | None,
        typer.Option(metavar="N", help="Invocations of each size (default: 50).", show_default=False),
    ] = None,
    warm_ups: Annotated[
        int, typer.Option(metavar="N", min=0, max=100, help="Invocations before that, which do not count.")
    ] = DEFAULT_WARM_UPS,
    parallel: Annotated[
        bool, typer.Option("--parallel", help="Invoke each size as often at once as the machine has CPU for.")
    ] = False,
    strategy: Annotated[
        str | None,
        typer.Option(metavar="cost|speed|balanced", help="What is best (default: cost).", show_default=False),
    ] = None,
    balanced_weight: Annotated[
        float | None,
        typer.Option(metavar="0…1", help="For balanced: 0 is speed, 1 is cost.", show_default=False),
    ] = None,
    cold: Annotated[bool, typer.Option("--cold", help="Measure cold starts only.")] = False,
    arm64_price: Annotated[
        bool, typer.Option("--arm64-price", help="Also what the same durations would cost on arm64.")
    ] = False,
    apply: Annotated[bool, typer.Option("--apply", help="Give the function the best size.")] = False,
    alias: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="Apply it, and put a new version behind this alias.", show_default=False
        ),
    ] = None,
    input_: Annotated[
        Path | None,
        typer.Option(
            "--input",
            metavar="FILE",
            help="Input of aws-lambda-power-tuning's state machine; flags come first.",
            show_default=False,
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the state machine's output.")] = False,
    html: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Where to write the page (default: tune-NAME.html).", show_default=False
        ),
    ] = None,
    no_html: Annotated[bool, typer.Option("--no-html", help="Write no page.")] = False,
    endpoint: EndpointOption = None,
    region: RegionOption = None,
    aws: AwsOption = False,
) -> None:
    """Find the best memory size of a function, by invoking it for real.

    Temporary clones of the function are invoked at each size; the function itself and its callers are left alone.
    Whatever the function does to the world, it does so often: give it an event that may be repeated.
    """
    flags: dict[str, Any] = {
        "lambdaARN": name,
        "powerValues": powers,
        "num": num,
        "parallelInvocation": parallel or None,
        "strategy": strategy,
        "balancedWeight": balanced_weight,
        "onlyColdStarts": cold or None,
        "autoOptimize": apply or alias is not None or None,
        "autoOptimizeAlias": alias,
    }
    document = _document(input_) | {key: value for key, value in flags.items() if value is not None}
    if event is not None or payload is not None:
        document["payload"] = json.loads(cast("bytes", read_event(event, payload)) or b"{}")
    tuning = read_tuning(document)
    if html is not None and not html.parent.is_dir():
        raise UsageError(f"--html names {html}, and there is no such folder.")
    connection = connect(context, endpoint, region, aws)
    run = Run(connection, tuning, warm_ups=warm_ups, has_other_price=arm64_price)
    sizes = run.measure()
    _tell(run, sizes, as_json=as_json, page=None if no_html else html or _page_path(run.blueprint))


def _document(path: Path | None) -> dict[str, Any]:
    if path is None:
        return {}
    content = json.loads(cast("bytes", read_event(None, path)) or b"{}")
    if not isinstance(content, dict):
        raise UsageError(f"The input in {path} is not an object.")
    document = cast("dict[str, Any]", content)
    if unknown := unknown_members(document):
        notice(f"Not known and left out: {', '.join(unknown)}.", style="yellow")
    return document


def _page_path(blueprint: Blueprint) -> Path:
    return Path(f"tune-{re.sub('[^A-Za-z0-9_.-]+', '-', blueprint.label)}.html")


class Run:
    """One run of the tuner: what it is about, and what it has cost."""

    def __init__(
        self, connection: Connection, tuning: Tuning, *, warm_ups: int, has_other_price: bool
    ) -> None:
        self.connection = connection
        self.tuning = _with_s3_payload(connection, tuning)
        self.warm_ups = 0 if tuning.is_dry_run else warm_ups
        self.blueprint = read_blueprint(connection, tuning.function)
        self.machine = read_machine(connection)
        self.chance = Random()  # noqa: S311 - it shuffles
        self.spent_usd = 0.0
        self._has_other_price = has_other_price

    def measure(self) -> list[Size]:
        """Measure all sizes and return their figures."""
        tuning = self.tuning
        notice(
            f"Invoking temporary clones of {self.blueprint.label} at {len(tuning.powers_mb)} sizes: {tuning.num} "
            f"each, and {self.warm_ups} before to warm up. Whatever it does, it does that often."
        )
        procedure = Procedure(
            payloads=tuple(payload.body for payload in tuning.payloads),
            order=tuple(schedule([one.weight for one in tuning.payloads], tuning.num, self.chance)),
            warm_ups=self.warm_ups,
            is_cold=None if tuning.is_dry_run else tuning.is_cold,
            sleep_between_ms=tuning.sleep_between_ms,
            pre_processor=tuning.pre_processor,
            post_processor=tuning.post_processor,
        )
        with temporaries(self.connection, "tune") as made:
            subjects = self._subjects(made)
            with progress("Measuring", len(subjects) * tuning.num) as advance:
                measuring = Measuring(self.connection, made, procedure, self.chance, advance)
                measuring.run(subjects)
        if measuring.throttled:
            notice(f"{measuring.throttled} invocations were throttled and tried again.", style="yellow")
        self.spent_usd = sum(subject.spent_usd for subject in subjects)
        return [self._figures(subject) for subject in subjects]

    def _subjects(self, made: Temporaries) -> list[Subject]:
        unreserved = _unreserved(self.connection) if self.tuning.is_parallel else None
        with progress("Preparing", 2 * len(self.tuning.powers_mb)) as advance:
            subjects: list[Subject] = []
            for memory_mb in self.tuning.powers_mb:
                clone = made.create(self.blueprint, memory_mb=memory_mb, detail=f"{memory_mb}mb")
                at_once = (
                    parallelism(self.tuning.num, self.blueprint, self.machine, memory_mb, unreserved)
                    if self.tuning.is_parallel
                    else 1
                )
                subjects.append(
                    Subject(name=clone, blueprint=self.blueprint, memory_mb=memory_mb, at_once=at_once)
                )
                advance()
            for subject in subjects:
                made.ready(subject.name)
                if self.blueprint.is_snapshot:
                    subject.qualifier = made.publish(subject.name)
                advance()
        return subjects

    def _figures(self, subject: Subject) -> Size:
        other = [price_of(self.blueprint, sample.report, "arm64") for sample in subject.samples]
        measured = Measured(
            memory_mb=subject.memory_mb,
            samples=tuple(subject.samples),
            other_prices=tuple(other) if self._has_other_price else (),
            failures=tuple(subject.failures),
            is_given_up=subject.is_given_up,
            doubt=self.machine.doubt(subject.memory_mb),
        )
        return size_of(measured, len(self.tuning.payloads), self.tuning.trim, self.chance)

    def setting(self) -> str:
        """Return how it was measured, in a sentence."""
        starts = "cold starts" if self.tuning.is_cold else f"invocations after {self.warm_ups} warm-ups"
        place = (
            "on AWS"
            if self.connection.target.is_aws
            else "on a machine with " + (f"{self.machine.cpus} CPUs" if self.machine.cpus else "Lambent")
        )
        return (
            f"{self.tuning.num} {starts} of each size, in turn, {place}; prices are AWS's of us-east-1, requests "
            f"included; means leave out {self.tuning.trim:.0%} at either end."
        )


def parallelism(
    num: int, blueprint: Blueprint, machine: Machine, memory_mb: int, unreserved: int | None
) -> int:
    """Return how many invocations of a size run at once without being in each other's way, or in others'.

    Args:
        num: how many there are.
        blueprint: the function; its reserved concurrency may protect something that it uses.
        machine: its CPUs.
        memory_mb: the size.
        unreserved: the account's unreserved concurrency, where other functions need it; None where they do not.
    """
    bounds = [num, MAX_AT_ONCE]
    if blueprint.reserved_concurrency is not None:
        bounds.append(blueprint.reserved_concurrency)
    if unreserved is not None:
        bounds.append(unreserved // SHARE_FOR_OTHERS)
    if machine.cpus is not None:
        share = memory_mb / MB_PER_VCPU if machine.is_cpu_limited else 1.0
        bounds.append(int(machine.cpus / share))
    return max(1, min(bounds))


def _unreserved(connection: Connection) -> int | None:
    if not connection.target.is_aws:
        return None
    limits = connection.client("lambda").get_account_settings()["AccountLimit"]
    return int(limits["UnreservedConcurrentExecutions"])


def _with_s3_payload(connection: Connection, tuning: Tuning) -> Tuning:
    if tuning.payload_s3 is None:
        return tuning
    match = re.fullmatch(r"s3://([^/]+)/(.+)", tuning.payload_s3)
    if not match:
        raise UsageError(f"payloadS3 must be s3://BUCKET/KEY, not {tuning.payload_s3!r}.")
    if not connection.target.is_aws:
        raise UsageError("payloadS3 is fetched with --aws only: give the event with --payload.")
    answer: Any = connection.client("s3").get_object(Bucket=match[1], Key=match[2])
    try:
        payloads = read_payloads(json.loads(answer["Body"].read()))
    except ValueError as error:
        raise UsageError(f"The object at {tuning.payload_s3} is not JSON.") from error
    check_weights(payloads, tuning.num, is_dry_run=tuning.is_dry_run)
    return replace(tuning, payloads=payloads)


@contextlib.contextmanager
def progress(title: str, total: int) -> Generator[Callable[[], None]]:
    """Show a bar on stderr, and give what moves it on."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = notices()
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(title, total=total)
        yield lambda: bar.advance(task)


def _tell(run: Run, sizes: Sequence[Size], *, as_json: bool, page: Path | None) -> None:
    tuning = run.tuning
    if tuning.is_dry_run:
        _tell_dry(sizes)
        return
    choice = choose(sizes, tuning.strategy, tuning.balanced_weight)
    said = tune_words.sentences(sizes, choice)
    if as_json:
        document = output(sizes, choice, spent_usd=run.spent_usd, includes_stats=tuning.includes_stats)
        sys.stdout.write(json.dumps(document, indent=2) + "\n")
        sys.stdout.flush()
    else:
        _show(sizes, choice)
    for sentence in said:
        notice(sentence, style="bold" if choice else "red")
    if page is not None:
        title = f"Memory sizes of {run.blueprint.label}"
        page.write_text(tune_page.page(title, said, sizes, choice, run.setting()), encoding="utf-8")
        notice(f"The page is {page}.")
    if choice is None:
        raise typer.Exit(1)
    if tuning.is_applied:
        tune_apply.apply(run.connection, run.blueprint, choice.best.memory_mb, tuning.alias)


def _tell_dry(sizes: Sequence[Size]) -> None:
    results().print(tune_words.table(sizes, None))
    failed = [size for size in sizes if size.failures]
    if failed:
        raise CommandError(f"The function fails at {failed[0].memory_mb} MB: {failed[0].failures[0]}")
    notice("A dry run: each size was invoked once, and nothing follows from that.")


def _show(sizes: Sequence[Size], choice: Choice | None) -> None:
    console = results()
    console.print(tune_words.table(sizes, choice))
    console.print()
    for line in tune_words.curves(sizes):
        console.print(line)
    console.print()
