"""Functions that a command makes to measure them, and that are gone when it ends, however it ends.

They are functions of their own, so that measuring one touches neither the configuration of the function that it is a
clone of nor those who call it. Tags say who made them: what a killed run left behind is recognized and removed by the
next one.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lambent.cli import signals
from lambent.cli.blueprint import Blueprint
from lambent.cli.client import Connection, error_code
from lambent.cli.deployment import wait_until_ready
from lambent.cli.terminal import notice, one_line

PREFIX = "lambent-temporary-"
TAG_PURPOSE, TAG_PLACE, TAG_PROCESS, TAG_MADE_AT = (
    "lambent:temporary",
    "lambent:place",
    "lambent:process",
    "lambent:made-at",
)
NAME_MAX = 64
# Where we cannot see whether its maker lives, a temporary function is given a day.
ORPHAN_AGE_S = 86_400.0
# An execution environment's last lines may be written after its function has been deleted, and make the group anew.
LOG_GROUP_TRIES, LOG_GROUP_PAUSE_S = 3, 0.3


@dataclass(frozen=True, slots=True, kw_only=True)
class Maker:
    """The process that made a temporary function. A process id says nothing elsewhere, nor after it was reused."""

    place: str
    process: str


def this_maker() -> Maker:
    """Return who we are."""
    pid = os.getpid()
    return Maker(place=_place(), process=f"{pid}.{_started(pid) or 0}")


def _place() -> str:
    """Name what process ids are unique in: one run of one machine, and a process namespace in it."""
    boot = Path("/proc/sys/kernel/random/boot_id")
    with contextlib.suppress(OSError):
        namespace = Path("/proc/self/ns/pid").readlink().name
        return f"{boot.read_text(encoding='ascii').strip()}.{re.sub('[^0-9]', '', namespace)}"
    return f"unknown.{secrets.token_hex(8)}"


def _started(pid: int) -> int | None:
    """Return when a process was started, in ticks since the boot; None when there is none, or a zombie."""
    try:
        # The name in parentheses may hold anything, so what follows is counted from its end (proc_pid_stat(5)).
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
        return None if fields[0] in (b"Z", b"X") else int(fields[19])
    except (OSError, ValueError, IndexError):
        return None


def is_leftover(tags: Mapping[str, str], place: str, living: str | None, now_s: float) -> bool:
    """Decide whether a temporary function has been left behind by its maker.

    Args:
        tags: the function's.
        place: where we are.
        living: ``pid.start`` of the process that has the maker's number here now; None when there is none.
        now_s: the time, in seconds since the epoch.
    """
    if TAG_PURPOSE not in tags:
        return False
    if tags.get(TAG_PLACE) == place:
        return tags.get(TAG_PROCESS) != living
    try:
        made_at_s = float(tags.get(TAG_MADE_AT, ""))
    except ValueError:
        return False
    return now_s - made_at_s > ORPHAN_AGE_S


def temporary_name(purpose: str, name: str, detail: str, token: str) -> str:
    """Return a name that says what the function is for: ``lambent-temporary-tune-thumbnail-512mb-1f0c``."""
    ending = f"-{detail}-{token}"
    start = f"{PREFIX}{purpose}-"
    readable = re.sub(r"[^A-Za-z0-9_-]+", "-", name).strip("-")
    return f"{start}{readable[: NAME_MAX - len(start) - len(ending)].rstrip('-')}{ending}"


class Temporaries:
    """The temporary functions of one run.

    Args:
        connection: where they are made.
        purpose: the command that needs them: ``tune``, ``bill``.
    """

    def __init__(self, connection: Connection, purpose: str) -> None:
        self._connection = connection
        self._client = connection.client("lambda")
        self._purpose = purpose
        self._maker = this_maker()
        self._token = secrets.token_hex(2)
        self._names: list[str] = []

    def create(self, blueprint: Blueprint, *, memory_mb: int, detail: str) -> str:
        """Make a clone at a memory size, and return its name; it can be invoked once `ready` has returned."""
        name = temporary_name(self._purpose, blueprint.function or blueprint.label, detail, self._token)
        # Noted first: an interruption may come while the answer is on its way.
        self._names.append(name)
        parameters = {**blueprint.parameters, "FunctionName": name, "MemorySize": memory_mb}
        parameters["Description"] = self.description(blueprint.label, 0)
        parameters["Tags"] = {
            TAG_PURPOSE: self._purpose,
            TAG_PLACE: self._maker.place,
            TAG_PROCESS: self._maker.process,
            TAG_MADE_AT: f"{time.time():.0f}",
        }
        self._client.create_function(**parameters)
        return name

    def description(self, label: str, number: int) -> str:
        """Return a clone's description; another number makes it another configuration."""
        return f"Temporary clone of {label[:140]} for `lambent {self._purpose}` ({number})"

    def ready(self, name: str) -> None:
        """Wait until a clone can be invoked.

        Raises:
            CommandError: it never will.
        """
        wait_until_ready(self._client, name, self._connection)

    def renew(self, name: str, label: str, number: int) -> None:
        """Change a clone's configuration, so that its next invocation finds no execution environment."""
        self._client.update_function_configuration(
            FunctionName=name, Description=self.description(label, number)
        )
        wait_until_ready(self._client, name, self._connection)

    def publish(self, name: str) -> str:
        """Publish a version of a clone, wait for its snapshot, and return its number."""
        version = str(self._client.publish_version(FunctionName=name)["Version"])
        wait_until_ready(self._client, name, self._connection, version)
        return version

    def delete(self) -> None:
        """Delete all that were made, with their log groups; what cannot be deleted is named."""
        names, self._names = self._names, []
        self._delete(names)

    def remove_leftovers(self) -> int:
        """Delete what earlier runs were killed before they could delete, and return how many there were."""
        found = list(self._leftovers())
        self._delete(found)
        return len(found)

    def _leftovers(self) -> Iterator[str]:
        for page in self._client.get_paginator("list_functions").paginate():
            for function in page["Functions"]:
                if function["FunctionName"].startswith(PREFIX) and self._is_leftover(function["FunctionArn"]):
                    yield function["FunctionName"]

    def _is_leftover(self, arn: str) -> bool:
        try:
            tags: dict[str, str] = self._client.list_tags(Resource=arn)["Tags"]
        except Exception as error:
            # Another run's, deleted meanwhile; or we may not know: what cannot be judged is left alone.
            if error_code(error) in {"ResourceNotFoundException", "AccessDeniedException"}:
                return False
            raise
        number = tags.get(TAG_PROCESS, "").partition(".")[0]
        started = _started(int(number)) if number.isdigit() else None
        living = None if started is None else f"{number}.{started}"
        return is_leftover(tags, self._maker.place, living, time.time())

    def _delete(self, names: Sequence[str]) -> None:
        for name in names:
            try:
                self._client.delete_function(FunctionName=name)
            except Exception as error:
                if error_code(error) != "ResourceNotFoundException":
                    notice(f"{name} could not be deleted: {one_line(error)}", style="red")
        groups = {f"/aws/lambda/{name}" for name in names}
        for attempt in range(LOG_GROUP_TRIES if groups else 0):
            time.sleep(LOG_GROUP_PAUSE_S if attempt else 0)
            groups = {group for group in groups if self._has_log_group_deleted(group) or not attempt}

    def _has_log_group_deleted(self, group: str) -> bool:
        """Delete a log group, and say whether there was one."""
        try:
            self._connection.client("logs").delete_log_group(logGroupName=group)
        except Exception as error:
            # On AWS not everybody who may make functions may delete logs; they are left there, and small.
            if not error_code(error):
                raise
            return False
        return True


@contextlib.contextmanager
def temporaries(connection: Connection, purpose: str) -> Generator[Temporaries]:
    """Give temporary functions, and delete them in the end, also after Ctrl-C, SIGTERM and SIGHUP."""
    made = Temporaries(connection, purpose)
    with signals.as_exits():
        if count := made.remove_leftovers():
            notice(f"Removed {count} temporary functions that a killed run had left behind.")
        try:
            yield made
        finally:
            with signals.ignored():
                made.delete()
