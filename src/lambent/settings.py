"""Every knob of Lambent, in one place.

A setting is a field of one of the frozen dataclasses below. Its value comes from, in this order: the command
line flag, the environment variable ``LAMBENT_<FIELD>``, the section of ``lambent.toml`` named after the group,
the default. It is read once, by `load`; rooms are handed their group and never look at the environment
themselves. ``docs/reference/settings.md`` is generated from this file (``python -m lambent.settings``).
"""

from __future__ import annotations

import difflib
import math
import os
import re
import tomllib
import types
import typing
from collections.abc import Mapping
from dataclasses import MISSING, Field, dataclass, field, fields
from pathlib import Path
from typing import Any, cast

_OTHER_VARIABLES = frozenset({"CONFIG", "ENDPOINT"})
"""Which are read elsewhere, behind ``LAMBENT_``."""
_AHEAD_MAX = 100
"""Of what is kept ready: each costs processes or loop devices, and they are a machine's, not a server's."""


PROJECT_TABLES = ("functions", "layers")
"""Tables of ``lambent.toml`` that describe a project, and are read by the command line."""


class SettingsError(Exception):
    """A setting has a value that it cannot have. The message is one sentence for the user."""


def _setting(
    default: Any,
    doc: str,
    *,
    choices: tuple[str, ...] = (),
    minimum: float | None = None,
    maximum: float | None = None,
    form: tuple[str, str] | None = None,
) -> Any:
    """Describe a setting; `form` is a regular expression for texts and the words for it."""
    metadata = {"doc": doc, "choices": choices, "minimum": minimum, "maximum": maximum, "form": form}
    return field(default=default, metadata=metadata)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings:
    """The front door."""

    host: str = _setting("127.0.0.1", "Address to listen on. Anything but loopback needs `auth = iam`.")
    port: int = _setting(4566, "TCP port to listen on; 0 picks a free one.", minimum=0)
    auth: str = _setting(
        "open",
        "`open` accepts any credentials (loopback only); `iam` verifies signatures against users' access keys.",
        choices=("open", "iam"),
    )
    region: str = _setting(
        "us-east-1",
        "Region of requests that do not name one in their credential scope.",
        form=("[a-z0-9-]{1,32}", "a region such as us-east-1"),
    )
    account: str = _setting(
        "000000000000",
        "Account of requests whose access key id does not choose one.",
        form=("[0-9]{12}", "twelve digits"),
    )
    drain_timeout_s: float = _setting(
        30.0, "How long a stopping server waits for running invocations, in seconds.", minimum=0
    )
    busy_poll_us: int = _setting(
        200,
        "How many microseconds the server looks for an answer or a request before it sleeps, while one alone is "
        "awaited; a sleeping processor takes long to wake. It costs as much CPU time at most; 0: never.",
        minimum=0,
        maximum=10_000,
    )
    domain: str = _setting(
        "localhost",
        "What the hosts of function URLs end with: `<id>.lambda-url.<region>.<domain>`.",
        form=(r"[a-z0-9-]+(\.[a-z0-9-]+)*", "a domain such as localhost"),
    )
    clock: str = _setting(
        "system",
        "`virtual`: time can be advanced by `POST /_lambent/clock`, so that a test need not wait for retries, "
        "visibility timeouts and idle timeouts.",
        choices=("system", "virtual"),
    )
    sns_endpoints: str = _setting(
        "any",
        "Where HTTP subscriptions of topics may lead: `any` is this machine and private networks, too, and who may "
        "subscribe can have the server send requests there; `public` is neither.",
        choices=("any", "public"),
    )
    sqs_cooldown_s: float = _setting(
        0.0,
        "How many seconds SQS refuses to purge a queue that was purged (`PurgeQueueInProgress`), and to make one with "
        "the name of a queue that was deleted (`QueueDeletedRecently`). AWS has 60; 0: it refuses neither, so that "
        "tests need not wait.",
        minimum=0,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreSettings:
    """Where things are kept."""

    data_dir: Path = _setting(
        Path("~/.lambent"), "Directory of everything that survives a restart: functions, code, logs, users."
    )
    cache_dir: Path = _setting(
        Path("~/.cache/lambent"), "Directory of what can be made again: prepared runtimes. May be shared."
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class S3Settings:
    """Where code of functions and layers is fetched that callers name by bucket and key."""

    s3_endpoint_url: str = _setting(
        "",
        "An S3 API, for instance `https://s3.eu-west-1.amazonaws.com` or `http://127.0.0.1:9000`; empty: there is "
        "none, and code comes in the requests.",
        form=(r"|https?://[^\s/?#@]+(/[^\s?#]*)?", "an address that begins with http:// or https://"),
    )
    s3_region: str = _setting(
        "",
        "Region in which requests to it are signed; empty: that of the function.",
        form=("[a-z0-9-]{0,32}", "a region such as us-east-1"),
    )
    s3_access_key_id: str = _setting(
        "", "Access key id for it; empty: requests are not signed, and only public objects can be had."
    )
    s3_secret_access_key: str = _setting(
        "", "Its secret. Better given as a variable or in the file than as a flag, which other users can see."
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxSettings:
    """The walls around execution environments."""

    sandbox: str = _setting(
        "auto",
        "`namespaces` isolates with the kernel's namespaces; `process` has no walls; `auto` takes the best "
        "that this machine allows and says which.",
        choices=("auto", "namespaces", "process"),
    )
    network: str = _setting(
        "auto",
        "`nat`: functions reach the outside by IPv4 in the machine's name, and neither the machine itself nor each "
        "other (needs root, or the program pasta of the package passt). `none`: functions reach Lambent's own "
        "endpoint and nothing else. `auto`: `nat` where it is possible, else `none`; the start says which. "
        "`host`: functions share the machine's network, its loopback included (no wall).",
        choices=("auto", "nat", "none", "host"),
    )
    stems: int = _setting(
        2,
        "How many sandboxes to keep ready for each runtime in use, so that cold starts are fast; 0 makes every "
        "environment start an interpreter of its own, without snapshots. They cost a few MB each; for Node.js as many "
        "interpreters wait besides, for each of up to four memory sizes in use, at 20 MB each.",
        minimum=0,
        maximum=_AHEAD_MAX,
    )
    snapshots_max: int = _setting(
        50,
        "How many versions with SnapStart keep their snapshot in memory. Of more, the one that was used longest ago "
        "goes, and is taken again when the version is invoked.",
        minimum=1,
    )
    tmps: int = _setting(
        4,
        "How many empty `/tmp` of 512 MB to keep ready, because one takes about 20 ms to make. They cost next to "
        "nothing until they are written to.",
        minimum=0,
        maximum=_AHEAD_MAX,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class RuntimeSettings:
    """Languages."""

    runtime_search: str = _setting(
        "",
        "Further interpreters to offer, as paths separated by `:`; searched before PATH and the places of version "
        "managers (pyenv, uv; nvm, fnm, n).",
    )
    exact_runtime: bool = _setting(
        False,
        "Refuse to run a function when its exact runtime version is missing, instead of the nearest one.",
    )
    preload_modules: str = _setting(
        "boto3",
        "Python modules that many functions import, separated by `,`: of the standard library or on board. They are "
        "loaded once per runtime, in the process from which environments are forked, and a function that imports one "
        "finds it loaded, unless it brings one of its own.",
    )
    fetch_node: bool = _setting(
        True,
        "Fetch a Node.js version that is missing here from npm, into the cache, when a function needs it; else the "
        "nearest one stands in.",
    )
    node_sdk: str = _setting(
        "common",
        "The clients of the AWS SDK for JavaScript that Node.js functions find, separated by `,`, for instance "
        "`s3,sqs`. They are installed from npm into the cache, once. `common`: those that functions commonly use "
        "(a minute, 165 MB). Empty: none.",
    )
    run_foreign: bool = _setting(
        False,
        "Run functions of the other architecture (arm64 on x86_64, or the reverse) natively all the same; code that "
        "is compiled for it fails. The log says so.",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class InvokeSettings:
    """Execution environments and their number."""

    idle_timeout_s: float = _setting(
        600.0, "An environment that has been idle for this many seconds is retired.", minimum=0
    )
    max_life_s: float = _setting(
        7200.0,
        "An environment that has lived for this many seconds is retired after its invocation, as AWS does within "
        "hours; 0: never. Those that are provisioned stay.",
        minimum=0,
    )
    memory_budget_mb: str = _setting(
        "auto",
        "What live environments may use of this machine's memory together, in MB, as far as their reports say: idle "
        "ones are stopped to make room, and an invocation for which there is none is throttled. `auto`: three "
        "quarters of what the machine, or the control group of the server, has. `0`: no limit.",
        form=("auto|[0-9]{1,9}", "auto or a whole number of at most nine digits"),
    )
    memory_wait_s: float = _setting(
        5.0, "How long an invocation waits for memory before it is throttled, in seconds.", minimum=0
    )
    snapstart_ahead: int = _setting(
        1,
        "How many environments to keep ready beyond those that run, for each version with SnapStart that is in use, "
        "so that one more invocation at a time starts at once; 0: none.",
        minimum=0,
        maximum=_AHEAD_MAX,
    )
    freeze_after_ms: float = _setting(
        100.0,
        "An environment that has been idle for this many milliseconds is frozen until its next invocation, so that "
        "what a function left running in the background stands still; 0 lets it go on.",
        minimum=0,
    )
    account_concurrency: int = _setting(
        1000, "Concurrent executions of one account in one region, as AWS's quota of that name.", minimum=1
    )
    stream_mb_per_s: float = _setting(
        0.0,
        "How many MB of a streamed response are passed on in a second, once it has passed its first 6 MB; AWS's "
        "limit is 2. 0: as many as the client takes.",
        minimum=0,
    )
    async_concurrency: int = _setting(
        16, "Asynchronous events that run at one moment; the others wait on disk.", minimum=1
    )
    poller_concurrency: int = _setting(
        16, "Batches of one event source mapping that run at one moment, at most.", minimum=1
    )
    async_retry_base_s: float = _setting(
        60.0,
        "How long an asynchronous event waits before its first retry after a function error, in seconds; before "
        "the second twice as long.",
        minimum=0,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerSettings:
    """The account of what ran and what it costs."""

    ledger_retention_days: int = _setting(
        400,
        "How many days the rows of the ledger are kept; their sums, of which bills are made, stay for ever. 0: rows "
        "do, too.",
        minimum=0,
    )
    ledger_compact_s: float = _setting(
        600.0,
        "How often the rows of the ledger are packed closer, and those go that are too old, in seconds; 0: never.",
        minimum=0,
    )
    own_prices: str = _setting(
        "",
        "A price list of one's own (a TOML file): what a GB-second costs on this machine. Bills then say what usage "
        "comes to by that, too.",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All groups."""

    server: ServerSettings = field(default_factory=ServerSettings)
    store: StoreSettings = field(default_factory=StoreSettings)
    s3: S3Settings = field(default_factory=S3Settings)
    sandbox: SandboxSettings = field(default_factory=SandboxSettings)
    runtimes: RuntimeSettings = field(default_factory=RuntimeSettings)
    invoke: InvokeSettings = field(default_factory=InvokeSettings)
    ledger: LedgerSettings = field(default_factory=LedgerSettings)


def load(
    *,
    flags: Mapping[str, Any] | None = None,
    environ: Mapping[str, str] | None = None,
    toml: Path | None = None,
) -> Settings:
    """Read the settings once.

    Args:
        flags: values from the command line by field name; None means "not given".
        environ: the process environment (default: `os.environ`).
        toml: the configuration file; by default ``$LAMBENT_CONFIG``, else ``lambent.toml`` in the working
            directory if there is one.

    Raises:
        SettingsError: a value has the wrong type or is out of range, or the file has an unknown key.
    """
    environ = os.environ if environ is None else environ
    if toml is None and environ.get("LAMBENT_CONFIG"):
        toml = Path(environ["LAMBENT_CONFIG"])
        if not toml.is_file():
            raise SettingsError(f"LAMBENT_CONFIG names {toml}, which is not a file.")
    document = _read_toml(toml or Path("lambent.toml"))
    groups: dict[str, Any] = {}
    for group in fields(Settings):
        section = document.pop(group.name, {})
        if not isinstance(section, dict):
            raise SettingsError(f"[{group.name}] in the configuration file must be a table.")
        groups[group.name] = _load_group(group.name, cast("dict[str, Any]", section), environ, flags or {})
    if unknown := sorted(document.keys() - set(PROJECT_TABLES)):
        raise SettingsError(
            f"The configuration file has no settings in [{unknown[0]}]: there is no such group."
        )
    return Settings(**groups)


def unknown_variables(environ: Mapping[str, str]) -> list[str]:
    """Return a sentence for each variable that begins as ours do and is none: most likely it is misspelt."""
    known = {setting.name.upper() for group in GROUPS.values() for setting in fields(group)}
    known |= _OTHER_VARIABLES
    sentences: list[str] = []
    for variable in sorted(environ):
        name = variable.removeprefix("LAMBENT_")
        if name != variable and name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            advice = f"; is LAMBENT_{near[0]} meant?" if near else "."
            sentences.append(f"{variable} is no setting and has no effect{advice}")
    return sentences


def _read_toml(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"{path} cannot be read as TOML: {error}") from error


def _load_group(
    name: str, section: dict[str, Any], environ: Mapping[str, str], flags: Mapping[str, Any]
) -> Any:
    group_class = GROUPS[name]
    known = {f.name: f for f in fields(group_class)}
    if unknown := sorted(section.keys() - known.keys()):
        raise SettingsError(f"[{name}] in the configuration file has no setting {unknown[0]!r}.")
    values: dict[str, Any] = {}
    for setting in known.values():
        variable = f"LAMBENT_{setting.name.upper()}"
        if flags.get(setting.name) is not None:
            raw, source = flags[setting.name], f"--{setting.name.replace('_', '-')}"
        elif variable in environ:
            raw, source = environ[variable], variable
        elif setting.name in section:
            raw, source = section[setting.name], f"{setting.name} in [{name}]"
        else:
            raw, source = setting.default, "default"
        values[setting.name] = _convert(setting, raw, source)
    return group_class(**values)


def _convert(setting: Field[Any], raw: Any, source: str) -> Any:
    wanted: type[Any] = type(setting.default)  # pyright: ignore[reportUnknownVariableType]
    try:
        value = _as_type(raw, wanted)
    except (TypeError, ValueError, OverflowError) as error:
        raise SettingsError(f"{source} must be {_type_words(wanted)}, not {raw!r}.") from error
    choices = setting.metadata["choices"]
    if choices and value not in choices:
        raise SettingsError(f"{source} must be one of {', '.join(choices)}, not {value!r}.")
    form = setting.metadata["form"]
    if form is not None and not re.fullmatch(form[0], value):
        raise SettingsError(f"{source} must be {form[1]}, not {value!r}.")
    minimum = setting.metadata["minimum"]
    if minimum is not None and value < minimum:
        raise SettingsError(f"{source} must be at least {minimum:g}, not {value:g}.")
    maximum = setting.metadata["maximum"]
    if maximum is not None and value > maximum:
        raise SettingsError(f"{source} must be at most {maximum:g}, not {value}.")
    return value


def _as_type(raw: Any, wanted: type[Any]) -> Any:
    if wanted is bool:
        words = {
            "1": True,
            "true": True,
            "yes": True,
            "on": True,
            "0": False,
            "false": False,
            "no": False,
            "off": False,
        }
        if isinstance(raw, bool):
            return raw
        if str(raw).lower() not in words:
            raise ValueError(raw)
        return words[str(raw).lower()]
    # TOML also has dates, lists and tables, and numbers that are none.
    if isinstance(raw, bool) or not isinstance(raw, str | int | float | Path):
        raise TypeError(raw)
    if issubclass(wanted, Path):
        return _path(raw)
    if isinstance(raw, float) and wanted is not float:
        raise TypeError(raw)
    value: Any = cast("Any", wanted)(raw)
    if wanted is float and not math.isfinite(value):
        raise ValueError(raw)
    return value


def _path(raw: str | float | Path) -> Path:
    if not isinstance(raw, str | Path) or not str(raw) or "\0" in str(raw):
        # An empty path would be the working directory, which nobody means.
        raise ValueError(raw)
    try:
        return Path(raw).expanduser().absolute()
    except RuntimeError as error:  # ~somebody who is nobody
        raise ValueError(raw) from error


def _type_words(wanted: type[Any]) -> str:
    words = {bool: "true or false", int: "a whole number", float: "a number"}
    return "a path" if issubclass(wanted, Path) else words.get(wanted, "text")


GROUPS: Mapping[str, type[Any]] = types.MappingProxyType(
    {f.name: typing.get_type_hints(Settings)[f.name] for f in fields(Settings)}
)


def reference() -> str:
    """Return the reference page of all settings, as Markdown."""
    lines = [
        "# Settings",
        "",
        "Generated by `python -m lambent.settings`; a test keeps it true. A value comes from the command line flag,",
        "else the environment variable, else `lambent.toml` in the working directory (or the file that",
        "`LAMBENT_CONFIG` names), else the default.",
    ]
    for name, group in GROUPS.items():
        lines += [
            "",
            f"## [{name}]",
            "",
            str(group.__doc__),
            "",
            "| setting | variable | default | meaning |",
            "|---|---|---|---|",
        ]
        for setting in fields(group):
            default = "" if setting.default is MISSING else str(setting.default)
            variable = f"LAMBENT_{setting.name.upper()}"
            lines.append(
                f"| `{setting.name}` | `{variable}` | `{default or ' '}` | {setting.metadata['doc']} |"
            )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(reference(), end="")  # noqa: T201
