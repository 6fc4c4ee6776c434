"""`lambent dev`: deploys what changes, as soon as it changes, and shows what the functions log and answer."""

from __future__ import annotations

import contextlib
import tempfile
import threading
import time
from collections.abc import Generator, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import typer

from lambent.cli import server
from lambent.cli.client import (
    DEFAULT_ENDPOINT,
    Connection,
    EndpointOption,
    RegionOption,
    connect,
    is_loopback,
)
from lambent.cli.debugging import DebuggedInvocation, Waiting, instructions
from lambent.cli.deploy_project import Deployer, place_of
from lambent.cli.deployment import Deployed
from lambent.cli.failures import translate
from lambent.cli.follow import Follower, colour_of
from lambent.cli.invocation import Answer, ask
from lambent.cli.invoke import debugged, read_event
from lambent.cli.plan import Choices
from lambent.cli.project import PROJECT_FILE, Project, ProjectFunction, project_file, read_project
from lambent.cli.terminal import UsageError, notice, notices, results, size_text
from lambent.cli.watch import Affected, Changes, Watcher, affected, roots_of
from lambent.cli.zipping import Deflated

WORDS = {
    "create_function": "created",
    "update_function_code": "code",
    "update_function_configuration": "configuration",
}


def dev(
    context: typer.Context,
    path: Annotated[
        Path, typer.Argument(metavar="PATH", help="A function's folder, or a project's folder or file.")
    ] = Path(),
    *,
    name: Annotated[
        str | None,
        typer.Option(
            help="Name of the function, where the path is one (default: the folder's).", show_default=False
        ),
    ] = None,
    invoke: Annotated[
        list[str] | None,
        typer.Option(
            "--invoke",
            "-i",
            metavar="[NAME=]FILE",
            help="Invoke a function (default: each) with the event in this file after every deploy; repeatable.",
            show_default=False,
        ),
    ] = None,
    debug: Annotated[
        bool, typer.Option("--debug", help="Let what --invoke invokes wait for a debugger.")
    ] = False,
    debug_port: Annotated[
        int | None,
        typer.Option(
            metavar="PORT",
            help="Where the debugger of the first function attaches, that of the next one a port further "
            "(default: 5678, Node.js 9229).",
            show_default=False,
        ),
    ] = None,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Show all that pip says.")] = False,
    endpoint: EndpointOption = None,
    region: RegionOption = None,
) -> None:
    """Watch a folder, deploy what changes at once, and show logs and results, until Ctrl-C.

    Where no server answers, one is started and stopped in the end. Functions of a server that was there stay.
    """
    connection = connect(context, endpoint, region, False)
    if connection.target.is_aws:
        raise UsageError("dev works with Lambent, not with AWS itself.")
    path = path.absolute()
    if not path.exists():
        raise UsageError(f"{path} does not exist.")
    events = parse_events(invoke or [])
    if debug and not events:
        raise UsageError("--debug is for what --invoke invokes: give an event, too.")
    with contextlib.suppress(KeyboardInterrupt), _answering(connection, path):
        session = Session(connection, path, events=events, name=name, is_verbose=verbose)
        if debug:
            session.debug(debug_port)
        try:
            session.run()
        finally:
            session.close()
    notice("")


def parse_events(texts: Iterable[str]) -> dict[str | None, Path]:
    """Return the events' files by the function that gets them; None: each that has none of its own.

    Raises:
        UsageError: there are two for one, or a file that is not there.
    """
    events: dict[str | None, Path] = {}
    for text in texts:
        name, equals, file = text.rpartition("=")
        key = name if equals else None
        if key in events:
            raise UsageError(f"--invoke {text}: there is an event already{f' for {key}' if key else ''}.")
        events[key] = Path(file).absolute()
        if not events[key].is_file():
            raise UsageError(f"--invoke {text}: there is no file {file}.")
    return events


@contextlib.contextmanager
def _answering(connection: Connection, path: Path) -> Generator[None]:
    """See to it that a server answers: where none does, one of our own, as long as the context lasts."""
    address = urlsplit(connection.target.endpoint or DEFAULT_ENDPOINT)
    host, port = address.hostname or "", address.port or 80
    if not is_loopback(address.geturl()) or server.is_answering(host, port):
        yield
        return
    file = project_file(path)
    config = file if file is not None and file.name == PROJECT_FILE else None
    with tempfile.TemporaryDirectory(prefix="lambent-dev-", ignore_cleanup_errors=True) as folder:
        started_s = time.monotonic()
        with server.running(Path(folder), port=port, config=config) as endpoint:
            took_s = time.monotonic() - started_s
            notice(
                f"No server answered at {endpoint}, so this one is ours ({took_s:.1f} s): it ends with `dev`."
            )
            yield


class Session:
    """One run of `dev`: what is deployed, watched and followed."""

    def __init__(
        self,
        connection: Connection,
        path: Path,
        *,
        events: Mapping[str | None, Path],
        name: str | None,
        is_verbose: bool,
    ) -> None:
        """Prepare.

        Args:
            connection: to a server that answers.
            path: of the project.
            events: files with events, by function.
            name: of the function, if the path is one.
            is_verbose: whether to show all that pip says.
        """
        self._connection = connection
        self._path = path
        self._events = events
        self._name = name
        self._is_verbose = is_verbose
        self._deflated = Deflated()
        self._is_debugged = False
        self._debug_port: int | None = None
        self._debugged: dict[str, DebuggedInvocation] = {}
        self._project: Project | None = None
        self._deployer: Deployer | None = None
        self._watcher: Watcher | None = None
        self._roots: tuple[frozenset[Path], frozenset[Path]] = (frozenset(), frozenset())
        self._groups: dict[str, str] = {}
        self._screen = Screen()
        self._follower = Follower(connection.client("logs"), self._screen.show_log, self._screen.show_failure)

    def debug(self, port: int | None) -> None:
        """Let invocations wait for a debugger, at this port or at the usual one."""
        self._is_debugged, self._debug_port = True, port

    def run(self) -> None:
        """Deploy everything, then whatever changes. Only Ctrl-C ends it.

        Raises:
            CommandError: the project cannot be read at all, or its folders cannot be watched.
        """
        self._read_project()
        self._deploy_all(time.time())
        self._screen.show_watched(*self._roots)
        while True:
            assert self._watcher is not None
            changes = self._watcher.wait()
            if changes is not None:
                self.take(changes)

    def take(self, changes: Changes) -> None:
        """Do what changes of files ask for."""
        assert self._project is not None
        what = affected(self._project, changes.paths, self._events.values())
        if what.is_project_changed:
            with self._screen.failures_shown():
                self._read_project()
                self._deploy_all(changes.at_s)
        elif what:
            self._deploy_some(what, changes.at_s)

    def close(self) -> None:
        """Watch and follow no longer."""
        if self._watcher is not None:
            self._watcher.close()
        for name in list(self._debugged):
            self._debugged.pop(name).end()
        self._follower.close()

    def _read_project(self) -> None:
        project = read_project(self._path, partial(place_of, self._connection))
        if self._name is not None:
            project = renamed(project, self._name)
        unknown = {name for name in self._events if name is not None and project.named(name) is None}
        if unknown:
            raise UsageError(f"--invoke names {min(unknown)}, which is no function of {self._path}.")
        before = {one.name for one in self._project.functions} if self._project else set[str]()
        for gone in sorted(before - {one.name for one in project.functions}):
            notice(f"{gone} is described no longer; what was deployed stays.")
        for remark in project.remarks:
            if self._project is None or remark not in self._project.remarks:
                notice(remark, style="yellow")
        self._project = project
        self._deployer = Deployer(
            self._connection, project, is_verbose=self._is_verbose, deflated=self._deflated
        )
        self._screen.name(one.name for one in project.functions)
        self._watch(project)

    def _watch(self, project: Project) -> None:
        """Watch the folders of a project, before they are read: no change is missed."""
        roots = roots_of(project, self._events.values())
        if self._watcher is not None and roots == self._roots:
            return
        if self._watcher is not None:
            self._watcher.close()
        self._watcher, self._roots = Watcher(*roots), roots

    def _deploy_all(self, at_s: float) -> None:
        project, deployer = self._project, self._deployer
        assert project is not None
        assert deployer is not None
        with self._screen.failures_shown():
            for name, published in deployer.deploy_shared(project.functions):
                if published.is_new:
                    self._screen.show_layer(name, published.arn, at_s)
            for function in project.functions:
                self._deploy(function, at_s)

    def _deploy_some(self, what: Affected, at_s: float) -> None:
        project, deployer = self._project, self._deployer
        assert project is not None
        assert deployer is not None
        renewed: set[str] = set()
        for layer in project.layers:
            if layer.name in what.layers and any(
                layer.name in (one.layers or ()) for one in project.functions
            ):
                with self._screen.failures_shown():
                    published = deployer.publish(layer)
                    if published.is_new:
                        renewed.add(layer.name)
                        self._screen.show_layer(layer.name, published.arn, at_s)
        for function in project.functions:
            if function.name in what.functions or renewed.intersection(function.layers or ()):
                self._deploy(function, at_s)
            elif self._event_of(function) in what.events:
                self._invoke(function, at_s)

    def _deploy(self, function: ProjectFunction, at_s: float) -> None:
        """Deploy one function, say so, and invoke it if that is wished; a failure is said and that is it."""
        assert self._deployer is not None
        with self._screen.failures_shown(function.name):
            deployed = self._deployer.deploy(function)
            group = deployed.configuration.get("LoggingConfig", {}).get("LogGroup")
            name = str(deployed.configuration["FunctionName"])
            self._groups[function.name] = group or f"/aws/lambda/{name}"
            self._follower.follow(self._groups)
            is_first = function.name not in self._screen.shown
            if deployed.requests or is_first:
                self._screen.show_deployed(function.name, deployed, at_s)
                self._invoke(function, at_s)

    def _event_of(self, function: ProjectFunction) -> Path | None:
        names = (function.name, *function.aliases)
        return next((self._events[name] for name in names if name in self._events), self._events.get(None))

    def _invoke(self, function: ProjectFunction, at_s: float) -> None:
        """Invoke a function with its event, if it has one; the result is shown when it comes."""
        file = self._event_of(function)
        if file is None:
            return

        def run() -> None:
            with self._screen.failures_shown(function.name):
                event = read_event(None, file)
                if self._is_debugged:
                    self._invoke_debugged(function, event, at_s)
                    return
                started_s = time.monotonic()
                answer = ask(self._connection, function.name, event)
                took_ms = (time.monotonic() - started_s) * 1000
                self._screen.show_answer(function.name, answer, took_ms, at_s)

        if function.name in self._debugged:
            # Whoever looks at the code of before looks at the wrong code.
            self._debugged.pop(function.name).end()
        threading.Thread(target=run, daemon=True).start()

    def _invoke_debugged(self, function: ProjectFunction, event: bytes | None, at_s: float) -> None:
        """Invoke a function that waits for a debugger, say where, and show the result."""
        assert self._project is not None
        name, port = debugged(self._connection, function.name, None, self._debug_port)
        port += self._project.functions.index(function) if port else 0
        started_s = time.monotonic()
        invocation = DebuggedInvocation(
            self._connection, port, lambda client: ask(self._connection, name, event, client=client)
        )
        self._debugged[function.name] = invocation
        waiting = invocation.wait_until_listening()
        if waiting is not None:
            folder = function.path or self._path
            self._screen.show_waiting(name, waiting, str(folder if folder.is_dir() else folder.parent))
            invocation.wait_until_attached()
        try:
            answer = invocation.result()
        except Exception:
            if self._debugged.get(function.name) is invocation:
                raise
            return  # it was ended, because the function has changed
        self._debugged.pop(function.name, None)
        self._screen.show_answer(function.name, answer, (time.monotonic() - started_s) * 1000, at_s)


def renamed(project: Project, name: str) -> Project:
    """Return a project that is one function, under another name.

    Raises:
        UsageError: it is described by a file, which gives the names.
    """
    if project.file is not None:
        raise UsageError(f"--name is for a function's folder; {project.file} names its functions itself.")
    (function,) = project.functions
    return Project(
        file=None, functions=(ProjectFunction(name=name, path=function.path, choices=Choices(name=name)),)
    )


class Screen:
    """What is shown, line by line, from several threads."""

    def __init__(self) -> None:
        self._colours: dict[str, str] = {}
        self._out, self._err = results(), notices()
        self._lock = threading.Lock()
        self.shown: set[str] = set()
        """The functions of which it was said that they are deployed."""

    def name(self, functions: Iterable[str]) -> None:
        """Give each function its colour."""
        for function in functions:
            self._colours.setdefault(function, colour_of(len(self._colours)))

    def show_watched(self, deep: frozenset[Path], flat: frozenset[Path]) -> None:
        """Say what is watched."""
        folders = ", ".join(str(root) for root in sorted(deep | flat))
        self._print(self._err, "", f"Watching {folders}; Ctrl-C ends it.", "dim")

    def show_log(self, function: str, text: str, style: str) -> None:
        """Show a log event."""
        self._print(self._out, function, text, style)

    def show_layer(self, name: str, arn: str, at_s: float) -> None:
        """Say that a layer has a new version."""
        version = arn.rpartition(":")[2]
        self._print(self._err, name, f"✓ published as layer version {version} ({_since(at_s)})", "green")

    def show_deployed(self, function: str, deployed: Deployed, at_s: float) -> None:
        """Say that a function is deployed, and how long after the change."""
        facts = deployed.configuration
        words = {
            "create_function": "created",
            "update_function_code": "code",
            "update_function_configuration": "configuration",
        }
        done = " and ".join(words[request.operation] for request in deployed.requests) or "is up to date"
        size = size_text(facts["CodeSize"])
        text = f"✓ {done} ({_since(at_s)}): {facts.get('Runtime')}, {facts.get('Handler')}, {size}"
        self._print(self._err, function, text, "green")
        self.shown.add(function)

    def show_waiting(self, function: str, waiting: Waiting, local_root: str) -> None:
        """Say where a function waits for a debugger; the first time, how to attach one."""
        text = instructions(function, waiting, local_root)
        key = f"{function} at {waiting.port}"
        if key in self.shown:
            text = text.partition("\n")[0]
        self.shown.add(key)
        self._print(self._err, function, text, "bold")

    def show_answer(self, function: str, answer: Answer, took_ms: float, at_s: float) -> None:
        """Show what an invocation came to."""
        text = answer.payload.decode("utf-8", "replace")
        self._print(self._out, function, text, "red" if answer.function_error else "bold")
        how = f"failed ({answer.function_error})" if answer.function_error else "answered"
        cold = f", cold start ({answer.cold_start_reason})" if answer.cold_start_reason else ""
        words = f"{how} in {took_ms:.0f} ms{cold}, {_since(at_s)} after the change"
        self._print(self._err, function, words, "red" if answer.function_error else "dim")

    def show_failure(self, error: Exception, function: str = "") -> None:
        """Say in one sentence what went wrong."""
        self._print(self._err, function, str(translate(error)), "red")

    @contextlib.contextmanager
    def failures_shown(self, function: str = "") -> Generator[None]:
        """Say in one sentence what goes wrong meanwhile, and go on."""
        try:
            yield
        except Exception as error:
            self.show_failure(error, function)

    def _print(self, console: Any, name: str, text: str, style: str) -> None:
        from rich.text import Text

        width = max((len(one) for one in self._colours), default=0)
        for line in text.splitlines() or [""]:
            head = (f"{name:<{width}} ", self._colours.get(name, "bold")) if name else ("", "")
            with self._lock:
                console.print(Text.assemble(head, (line, style)))


def _since(at_s: float) -> str:
    took_s = max(0.0, time.time() - at_s)
    return f"{took_s * 1000:.0f} ms" if took_s < 1 else f"{took_s:.1f} s"
