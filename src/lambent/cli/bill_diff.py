"""`lambent bill diff`: what a change costs, by invoking what was before and what is after it, side by side."""

from __future__ import annotations

import contextlib
import io
import json
import re
import subprocess
import tarfile
import tempfile
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Annotated, Any

import typer

from lambent.cli import bill_table, handler, package
from lambent.cli.bill_table import Side
from lambent.cli.blueprint import Blueprint, read_blueprint
from lambent.cli.client import AwsOption, Connection, EndpointOption, RegionOption, connect
from lambent.cli.deploy import parse_variables
from lambent.cli.deployment import wish_for
from lambent.cli.machine import read_machine
from lambent.cli.measure import Measuring, Procedure, Subject
from lambent.cli.plan import Choices, plan
from lambent.cli.temporary import Temporaries, temporaries
from lambent.cli.terminal import CommandError, UsageError, notice, one_line
from lambent.cli.tune import DEFAULT_WARM_UPS, progress

GIT_PREFIX = "git:"
DEFAULT_MEMORY_MB = 128
MAX_PAYLOADS = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Overrides:
    """What the command line says about both sides. None: as the function has it, or AWS's default."""

    memory_mb: int | None
    timeout_s: int | None
    choices: Choices


def diff(
    context: typer.Context,
    base: Annotated[
        str,
        typer.Argument(
            metavar="BASE", help="Before: a folder, .py or .zip, a function's name, or git:REV[:FOLDER]."
        ),
    ],
    head: Annotated[str, typer.Argument(metavar="HEAD", help="After: the same.")],
    *,
    payloads: Annotated[
        Path, typer.Option(metavar="DIR", help="Folder with the events: a .json file each; or one file.")
    ],
    num: Annotated[
        int, typer.Option(metavar="N", min=5, max=10_000, help="Invocations with each event.")
    ] = 30,
    cold_starts: Annotated[
        int, typer.Option(metavar="N", min=0, max=1000, help="Cold starts of each side.")
    ] = 5,
    warm_ups: Annotated[
        int, typer.Option(metavar="N", min=0, max=100, help="Invocations before that, which do not count.")
    ] = DEFAULT_WARM_UPS,
    like: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Function whose settings folders and zips get (default: the other side, if that is one).",
            show_default=False,
        ),
    ] = None,
    memory: Annotated[int | None, typer.Option(metavar="MB", help="Memory size.", show_default=False)] = None,
    timeout: Annotated[
        int | None, typer.Option(metavar="SECONDS", help="Timeout.", show_default=False)
    ] = None,
    runtime: Annotated[
        str | None, typer.Option(help="Runtime of folders and zips.", show_default=False)
    ] = None,
    handler_: Annotated[
        str | None, typer.Option("--handler", help="Handler of folders and zips.", show_default=False)
    ] = None,
    env: Annotated[
        list[str] | None,
        typer.Option(
            "--env",
            "-e",
            metavar="NAME=VALUE",
            help="Environment variable of folders and zips; repeatable.",
            show_default=False,
        ),
    ] = None,
    role: Annotated[
        str | None, typer.Option(help="Execution role of folders and zips.", show_default=False)
    ] = None,
    fail_above: Annotated[
        float | None,
        typer.Option(
            metavar="PERCENT", help="Exit with 1 if a cost has surely grown by more.", show_default=False
        ),
    ] = None,
    endpoint: EndpointOption = None,
    region: RegionOption = None,
    aws: AwsOption = False,
) -> None:
    """Compare two versions of a function by what they cost, as a Markdown table.

    Both are deployed as temporary functions and invoked in turn with each event. Whatever they do to the world, they
    do so often.
    """
    events = read_events(payloads)
    choices = Choices(
        runtime=runtime,
        handler=handler_,
        role=role,
        variables=parse_variables(env) if env else None,
    )
    overrides = Overrides(memory_mb=memory, timeout_s=timeout, choices=choices)
    connection = connect(context, endpoint, region, aws)
    with contextlib.ExitStack() as stack:
        blueprints = _blueprints(connection, (base, head), like, overrides, stack)
    chance = Random()  # noqa: S311 - it shuffles
    sides = _measure(
        connection, blueprints, events, Counts(num=num, warm_ups=warm_ups, cold=cold_starts), chance
    )
    found = bill_table.changes(*sides, list(events), chance)
    setting = _setting(connection, blueprints, num, cold_starts)
    typer.echo(bill_table.markdown(*sides, found, list(events), setting))
    _judge(sides[1], found, fail_above)


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """How often each side is invoked."""

    num: int
    warm_ups: int
    cold: int


def read_events(path: Path) -> dict[str, bytes]:
    """Return the events of a folder, by the names of their files.

    Raises:
        UsageError: there is none, or one is not JSON.
    """
    files = sorted(path.glob("*.json")) if path.is_dir() else [path]
    if not files:
        raise UsageError(f"There is no .json file in {path}.")
    if len(files) > MAX_PAYLOADS:
        raise UsageError(f"There are {len(files)} events in {path}: at most {MAX_PAYLOADS} are compared.")
    events: dict[str, bytes] = {}
    for file in files:
        events[file.name] = file.read_bytes()
        try:
            json.loads(events[file.name])
        except ValueError as error:
            raise UsageError(f"The event in {file} is not JSON: {error}.") from error
    return events


def _blueprints(
    connection: Connection,
    texts: Sequence[str],
    like: str | None,
    overrides: Overrides,
    stack: contextlib.ExitStack,
) -> list[Blueprint]:
    """Return what both sides are made of; a package gets the settings of the function that is named."""
    named = {text: read_blueprint(connection, text) for text in texts if not is_package(text)}
    model = read_blueprint(connection, like) if like else next(iter(named.values()), None)
    found: list[Blueprint] = []
    for text in texts:
        if text in named:
            blueprint = named[text]
        else:
            path = _checkout(text, stack) if text.startswith(GIT_PREFIX) else Path(text)
            blueprint = package_blueprint(connection, path, text, overrides.choices, model)
        found.append(_overridden(blueprint, overrides))
    return found


def is_package(text: str) -> bool:
    """Say whether a side is a package of the user's own; else it is a function's name."""
    return text.startswith(GIT_PREFIX) or "/" in text or Path(text).exists() or text in {".", ".."}


def _overridden(blueprint: Blueprint, overrides: Overrides) -> Blueprint:
    parameters = dict(blueprint.parameters)
    if overrides.timeout_s is not None:
        parameters["Timeout"] = overrides.timeout_s
    return replace(blueprint, parameters=parameters, memory_mb=overrides.memory_mb or blueprint.memory_mb)


def package_blueprint(
    connection: Connection, path: Path, label: str, choices: Choices, model: Blueprint | None
) -> Blueprint:
    """Return what a package is made of: its code, and the settings of a function if there is one to follow."""
    source = package.read_source(path)
    present: dict[str, Any] = {}
    if model is not None:
        wanted = ("Runtime", "Handler", "Architectures")
        present = {name: model.parameters[name] for name in wanted if name in model.parameters}
    wish = wish_for(connection, source, handler.function_name(source.path), choices, present or None)
    own = dict(plan(wish, None)[0].parameters)
    parameters = {**(model.parameters if model else {}), **own}
    return Blueprint(
        parameters=parameters,
        label=label,
        package_bytes=len(wish.archive),
        is_snapshot=model.is_snapshot if model else False,
        memory_mb=model.memory_mb if model else DEFAULT_MEMORY_MB,
        function=wish.name,
    )


def _checkout(text: str, stack: contextlib.ExitStack) -> Path:
    """Return a folder with what a revision of git has at a path, for as long as the stack lasts.

    Raises:
        UsageError: there is no such thing.
    """
    revision, _, inside = text.removeprefix(GIT_PREFIX).partition(":")
    if not revision or revision.startswith("-"):
        raise UsageError(f"{text} names no revision: give git:REV or git:REV:FOLDER.")
    tree = f"{revision}:{inside}" if inside else revision
    try:
        ended = subprocess.run(["git", "archive", "--format=tar", tree], capture_output=True, check=False)
    except FileNotFoundError as error:
        raise CommandError("git is not installed, and a revision was asked for.") from error
    if ended.returncode:
        words = one_line(ended.stderr.decode("utf-8", "replace"))
        raise UsageError(f"git has nothing to deploy at {text}: {words}")
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="lambent-bill-")))
    # The folder's name is what a handler may be named after.
    target = folder / (re.sub("[^A-Za-z0-9_.-]+", "-", Path(inside).name) or "function")
    with tarfile.open(fileobj=io.BytesIO(ended.stdout)) as archive:
        archive.extractall(target, filter="data")
    return target


def _measure(
    connection: Connection,
    blueprints: Sequence[Blueprint],
    events: dict[str, bytes],
    counts: Counts,
    chance: Random,
) -> tuple[Side, Side]:
    order = [number for number in range(len(events)) for _ in range(counts.num)]
    chance.shuffle(order)
    bodies = tuple(events.values())
    warm = Procedure(payloads=bodies, order=tuple(order), warm_ups=counts.warm_ups, gives_up=False)
    cold = Procedure(payloads=bodies, order=(0,) * counts.cold, warm_ups=0, is_cold=True, gives_up=False)
    total = 2 * (len(order) + counts.cold)
    with temporaries(connection, "bill") as made, progress("Measuring", total) as advance:
        subjects = _subjects(made, blueprints)
        starts = [_anew(subject) for subject in subjects]
        Measuring(connection, made, warm, chance, advance).run(subjects)
        Measuring(connection, made, cold, chance, advance).run(starts)
    pairs = list(zip(blueprints, subjects, starts, strict=True))
    sides = [_side(blueprint, subject, start) for blueprint, subject, start in pairs]
    return sides[0], sides[1]


def _subjects(made: Temporaries, blueprints: Sequence[Blueprint]) -> list[Subject]:
    subjects: list[Subject] = []
    for blueprint, detail in zip(blueprints, ("base", "head"), strict=True):
        name = made.create(blueprint, memory_mb=blueprint.memory_mb, detail=detail)
        subjects.append(Subject(name=name, blueprint=blueprint, memory_mb=blueprint.memory_mb))
    for subject in subjects:
        made.ready(subject.name)
        if subject.blueprint.is_snapshot:
            subject.qualifier = made.publish(subject.name)
    return subjects


def _anew(subject: Subject) -> Subject:
    """Return the same subject without samples, for another measuring."""
    return Subject(
        name=subject.name,
        blueprint=subject.blueprint,
        memory_mb=subject.memory_mb,
        qualifier=subject.qualifier,
    )


def _side(blueprint: Blueprint, subject: Subject, start: Subject) -> Side:
    archive = blueprint.parameters["Code"].get("ZipFile")
    return Side(
        label=blueprint.label,
        samples=tuple(subject.samples),
        cold=tuple(start.samples),
        failures=(*subject.failures, *start.failures),
        package_bytes=blueprint.package_bytes,
        unzipped_bytes=0 if archive is None else unzipped_bytes(archive),
    )


def unzipped_bytes(archive: bytes) -> int:
    """Return how large the files of a zip are together."""
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        return sum(info.file_size for info in opened.infolist())


def _setting(connection: Connection, blueprints: Sequence[Blueprint], num: int, cold: int) -> str:
    sizes = sorted({f"{blueprint.memory_mb} MB" for blueprint in blueprints})
    doubts = {read_machine(connection).doubt(blueprint.memory_mb) for blueprint in blueprints} - {None}
    place = "AWS" if connection.target.is_aws else "Lambent"
    words = (
        f"{num} invocations with each payload and {cold} cold starts, in turn, on {place}, with {' and '.join(sizes)}; "
        "AWS's list prices of us-east-1, requests included. ≈: no more than chance explains (95 %)."
    )
    return " ".join([words, *(f"Not as on AWS: {doubt}." for doubt in sorted(map(str, doubts)))])


def _judge(head: Side, found: Sequence[bill_table.Change], fail_above: float | None) -> None:
    if head.failures:
        notice(f"{head.label} fails: {head.failures[0]}", style="red")
        raise typer.Exit(1)
    if fail_above is not None and (grown := bill_table.grown(found, fail_above)):
        where = ", ".join(f"{change.payload} ({bill_table.change_text(change)})" for change in grown)
        notice(f"The cost has grown by more than {fail_above:g} %: {where}", style="red")
        raise typer.Exit(1)
