"""The story of a soak: lives of one server on one data directory, each under load, most of them ended with -9.

What is found goes into a `Verdict`, check by check; nothing here decides what is right (`ledger`, `functions`) or looks
at the machine by itself (`machine`).
"""

from __future__ import annotations

import base64
import json
import os
import re
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from tests.harness import Server
from tests.soak import churn, ledger, machine
from tests.soak.callers import Callers
from tests.soak.functions import CHARACTERS
from tests.soak.ledger import Life, LoggedLines, Sample

IDLE_TIMEOUT_S = 1.5
"""Of environments: short, so that they are retired all the time."""
_KEPT = 2
_WAVE_S = 7.0
"""Load between two quiet moments."""
_QUIET_PATIENCE_S = 30.0
_LOG_LINGER_S = 1.0
_LINE = re.compile(r"^(START|END|REPORT) RequestId: ([0-9a-f-]{36})")
_EVERY_LINE = '?"START RequestId" ?"END RequestId" ?"REPORT RequestId"'

PROCESSES = "no process outlives the server"
MOUNTS = "no mount is left"
GROUPS = "no control group is left"
NAMESPACES = "no namespace is left"
NETWORK = "no interface or packet filter is left"
LOOPS = "no loop device is left"
SOCKETS = "no socket is left"
FILES = "no file is left beyond the documented ones"
ANSWERS = "every answer is the right one"
OUTCOMES = "every invocation has exactly one outcome"
REPORTS = "every answered invocation has its REPORT"
UNKNOWN = "the log knows no other invocations"
FLAT = "memory, descriptors and processes are flat"
RETIRED = "idle environments are retired"
OWNER = "changes are answered as at AWS"
WORDS = "the server says nothing of bugs"
STOPS = "a stopped server exits with 0"
CHECKS = (
    *(PROCESSES, MOUNTS, GROUPS, NAMESPACES, NETWORK, LOOPS, SOCKETS, FILES),
    *(ANSWERS, OUTCOMES, REPORTS, UNKNOWN, FLAT, RETIRED, OWNER, WORDS, STOPS),
)


@dataclass(slots=True)
class Verdict:
    """What was found, by check, and remarks on what was seen."""

    findings: dict[str, list[str]] = field(default_factory=lambda: {check: [] for check in CHECKS})
    remarks: dict[str, str] = field(default_factory=dict)

    def add(self, check: str, found: list[str], where: str = "") -> None:
        """Note findings."""
        self.findings[check] += [f"{where}: {words}" if where else words for words in found]

    @property
    def is_good(self) -> bool:
        """Whether nothing was found."""
        return not any(self.findings.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """How long each life lasts and how it ends."""

    killed_s: tuple[float, ...]
    """Lives that end with -9, in seconds."""
    stopped_s: float
    """A life that is stopped in order, under load."""
    last_s: float
    """The last life, with quiet moments in between."""

    @classmethod
    def of(cls, seconds: float) -> Script:
        """Share the time out."""
        kills = max(2, min(8, round(seconds / 45)))
        each_s = max(3.0, 0.3 * seconds / kills)
        stopped_s = max(3.0, 0.1 * seconds)
        return cls(
            killed_s=(each_s,) * kills,
            stopped_s=stopped_s,
            last_s=max(10.0, seconds - kills * each_s - stopped_s),
        )


class Soak:
    """One soak of one server."""

    def __init__(
        self,
        directory: Path,
        *,
        callers: Callers,
        seed: int,
        user: int | None,
        is_own_network: bool,
        tell: Callable[[str], None],
    ) -> None:
        """Prepare.

        Args:
            directory: for the data directory and for the server's temporary files.
            callers: who calls.
            seed: of the changes.
            user: the user and group that the server runs as; None: ours.
            is_own_network: whether this process is in a network in which everything is the server's.
            tell: is told how it goes.
        """
        self.verdict = Verdict()
        self.lives: dict[int, Life] = {}
        self._directory = directory
        self._data = directory / "data"
        self._temporary = directory / "tmp"
        self._callers = callers
        self._seed = seed
        self._user = user
        self._is_own_network = is_own_network
        self._tell = tell
        self._number = 0
        self._turn = 0
        self._dead = 0
        """Pid of the server before."""
        self._needed: set[str] = set()
        self._owner: churn.Churn | None = None
        self._changes = 0
        self._born_s = 0.0
        self._interfaces = machine.interfaces()
        self._shared_memory = machine.shared_memory()
        self._samples: list[Sample] = []
        self.server: Server | None = None

    def run(self, script: Script) -> Verdict:
        """Live all lives, and return what was found."""
        self._temporary.mkdir(mode=0o700)
        if self._user is not None:
            for path in (self._directory, self._temporary):
                os.chown(path, self._user, self._user)
        server = self.server = self._new_server()
        self._tell("making the functions")
        churn.create_all(server.client("lambda"))
        self._callers.start()
        for seconds in script.killed_s:
            self._live(server, seconds, waves=False)
            self._end(server, is_kill=True)
            server.start()
        self._live(server, script.stopped_s, waves=False)
        self._end(server, is_kill=False)
        server.start()
        self._live(server, script.last_s, waves=True)
        if not self._callers.end():
            self.verdict.add(OUTCOMES, ["a caller never came home"])
        self._judge_invocations(server)
        self._note_needed_packages(server)
        self._end(server, is_kill=False)
        self._judge_in_the_end(server)
        return self.verdict

    def _new_server(self) -> Server:
        environ = {"LAMBENT_NETWORK": "auto", "TMPDIR": str(self._temporary)}
        if self._user is not None:
            # Prepared runtimes that this user may make again.
            environ["LAMBENT_CACHE_DIR"] = str(self._directory / "cache")
        return Server(
            self._data,
            *("--idle-timeout-s", str(IDLE_TIMEOUT_S)),
            environ=environ,
            user=self._user,
        )

    # Lives ----------------------------------------------------------------------------------------------------------

    def _live(self, server: Server, seconds: float, *, waves: bool) -> None:
        """Load a server that has started for so long; with waves, look at it in quiet moments."""
        self._number += 1
        self._born_s = time.monotonic()
        self._judge_a_start()
        owner = self._owner = churn.Churn(server, seed=self._seed + self._number, first_turn=self._turn)
        owner.start()
        self._callers.go_on(port=server.port, life=self._number)
        ends_s = time.monotonic() + seconds
        while (left_s := ends_s - time.monotonic()) > 0:
            self._watch(server, min(left_s, _WAVE_S))
            if waves:
                self._rest(server, owner)
        if waves:
            self._callers.pause()
            self._end_churn()

    def _end_churn(self) -> None:
        owner, self._owner = self._owner, None
        if owner is not None:
            owner.end()
            self._turn, self._changes = owner.turn + 1, self._changes + owner.changes
            self.verdict.add(OWNER, owner.findings, f"life {self._number}")

    def _watch(self, server: Server, seconds: float) -> None:
        ends_s = time.monotonic() + seconds
        while (left_s := ends_s - time.monotonic()) > 0:
            time.sleep(min(0.5, left_s))
            below = machine.descendants(server.process.pid)
        entries = self._callers.entries
        self._tell(
            f"life {self._number}: {len(entries)} invocations, {len(below)} processes, "
            f"{sum(bool(entry.complaint) for entry in entries)} wrong answers"
        )

    def _rest(self, server: Server, owner: churn.Churn) -> None:
        """Let everything come to rest and weigh the server."""
        owner.pause()
        if not self._callers.pause():
            self.verdict.add(OUTCOMES, ["calls did not end"], f"life {self._number}")
        try:
            churn.until(lambda: _is_at_rest(server), _QUIET_PATIENCE_S)
        except TimeoutError:
            health = _health(server)
            words = f"{health['environments']} environments and {health['running_invocations']} invocations are left"
            self.verdict.add(RETIRED, [words], f"life {self._number}")
        time.sleep(_LOG_LINGER_S)
        sample = self._sample(server)
        self._samples.append(sample)
        self._tell(
            f"at rest: {sample.memory_mb:.1f} MB, {sample.descriptors} descriptors, {sample.helpers} processes below"
        )
        owner.go_on()
        self._callers.go_on(port=server.port, life=self._number)

    def _sample(self, server: Server) -> Sample:
        pid = server.process.pid
        kinds = machine.descriptor_kinds(pid)
        below = machine.descendants(pid)
        return Sample(
            at_s=time.monotonic(),
            invocations=self._callers.answered(self._number),
            memory_mb=machine.anonymous_memory_mb(pid),
            descriptors=sum(kinds.values()),
            kinds=kinds,
            threads=machine.threads(pid),
            helpers=len(below),
            helper_descriptors=sum(sum(machine.descriptor_kinds(other).values()) for other in below),
        )

    def _end(self, server: Server, *, is_kill: bool) -> None:
        """End a server and look for what it leaves."""
        pid, port = server.process.pid, server.port
        where = f"after {'kill -9' if is_kill else 'stop'} of life {self._number}"
        ending_s = time.monotonic()
        if is_kill:
            server.kill()
        else:
            code = server.stop()
            self.verdict.add(STOPS, [f"exit code {code}"] if code else [], where)
        self.lives[self._number] = Life(
            number=self._number,
            started_s=self._born_s,
            ending_s=ending_s,
            ended_s=time.monotonic(),
            was_killed=is_kill,
        )
        # Connections that the server's death has broken come back by themselves.
        if not self._callers.pause():
            self.verdict.add(OUTCOMES, ["calls did not end with the server"], where)
        self._end_churn()
        self._tell(f"{where}: looking for what is left")
        self._judge_leftovers(pid, port, where, is_kill=is_kill)

    # Judging --------------------------------------------------------------------------------------------------------

    def _judge_leftovers(self, pid: int, port: int, where: str, *, is_kill: bool) -> None:
        add = self.verdict.add
        add(PROCESSES, machine.in_the_end(machine.orphans), where)
        add(MOUNTS, machine.in_the_end(lambda: machine.mounts(self._directory)), where)
        # What is left of a killed server are empty groups, which the next server removes.
        groups = machine.occupied_groups if is_kill else machine.control_groups
        add(GROUPS, machine.in_the_end(lambda: groups(pid)), where)
        add(NAMESPACES, machine.in_the_end(machine.namespaces_held), where)
        if self._is_own_network:
            add(NETWORK, machine.in_the_end(self._network_left), where)
        add(LOOPS, machine.in_the_end(lambda: machine.loop_devices(self._directory)), where)
        look = lambda: machine.sockets(self._directory, is_own_network=self._is_own_network, port=port)  # noqa: E731
        add(SOCKETS, machine.in_the_end(look), where)
        add(FILES, machine.undocumented_files(self._data), where)
        self._dead = pid

    def _network_left(self) -> list[str]:
        more = machine.interfaces() - self._interfaces
        return [f"interface {name}" for name in more] + machine.packet_filters() + machine.forwarding()

    def _judge_a_start(self) -> None:
        """What a killed server may leave is gone when the next one has started."""
        where = f"after the start of life {self._number}"
        self.verdict.add(FILES, machine.drafts(self._data), where)
        self.verdict.add(FILES, machine.environments(self._data) if self._number > 1 else [], where)
        if self._dead:
            self.verdict.add(GROUPS, machine.in_the_end(lambda: machine.control_groups(self._dead)), where)

    def _judge_invocations(self, server: Server) -> None:
        entries = self._callers.entries
        life = Life(
            number=self._number,
            started_s=self._born_s,
            ending_s=time.monotonic(),
            ended_s=time.monotonic(),
            was_killed=False,
        )
        lives = self.lives | {self._number: life}
        add, remarks = self.verdict.add, self.verdict.remarks
        self._tell(f"reading the log of {len(entries)} invocations")
        logged = _logged(server.client("logs"))
        add(ANSWERS, ledger.wrong_answers(entries))
        add(OUTCOMES, ledger.without_one_outcome(entries, lives))
        missing, lost = ledger.without_their_report(entries, lives, logged)
        add(REPORTS, missing)
        add(UNKNOWN, ledger.unknown(entries, logged))
        grown, words = ledger.growth(self._samples)
        add(FLAT, grown)
        counted = Counter(entry.outcome for entry in entries)
        remarks[OUTCOMES] = ", ".join(f"{count} {name}" for name, count in counted.most_common())
        remarks[REPORTS] = f"{len(logged.reports)} in the log; {lost} lost with a kill, as documented"
        remarks[FLAT] = words
        remarks[OWNER] = f"{self._changes} changes"

    def _note_needed_packages(self, server: Server) -> None:
        """Ask which packages some version needs: the others are gone when the server has stopped."""
        client = server.client("lambda")
        pages = client.get_paginator("list_functions").paginate(FunctionVersion="ALL")
        hashes = {function["CodeSha256"] for page in pages for function in page["Functions"]}
        self._needed = {base64.b64decode(text).hex() for text in hashes}

    def _judge_in_the_end(self, server: Server) -> None:
        add = self.verdict.add
        left = machine.blobs(self._data) - self._needed
        add(FILES, [f"blobs/{name}: no version needs it" for name in sorted(left)], "in the end")
        gone = self._needed - machine.blobs(self._data)
        add(FILES, [f"blobs/{name} is missing" for name in sorted(gone)], "in the end")
        add(FILES, machine.drafts(self._data) + machine.environments(self._data), "in the end")
        add(FILES, [f"tmp/{path.name}" for path in self._temporary.iterdir()], "in the end")
        add(
            FILES,
            [f"/dev/shm/{name}" for name in machine.shared_memory() - self._shared_memory],
            "in the end",
        )
        lines = Path(server.errors.name).read_text(errors="replace").splitlines()
        bad = Counter(line for line in lines if line.startswith(("ERROR", "CRITICAL", "Traceback")))
        add(WORDS, [f"{line} ({count} times)" for line, count in bad.most_common()])


def _health(server: Server) -> dict[str, Any]:
    with urlopen(f"{server.endpoint}/_lambent/health", timeout=20) as answer:
        found: dict[str, Any] = json.load(answer)
    return found


def _is_at_rest(server: Server) -> bool:
    """Whether nothing runs, and no environment lives but the provisioned one and one restored ahead."""
    health = _health(server)
    return not health["running_invocations"] and health["environments"] <= _KEPT


def _logged(client: Any) -> LoggedLines:
    """Read the lines of all groups in which a request id stands at its place."""
    counts: dict[str, Counter[str]] = {"START": Counter(), "END": Counter(), "REPORT": Counter()}
    for character in CHARACTERS:
        pages = client.get_paginator("filter_log_events").paginate(
            logGroupName=f"/aws/lambda/{character.name}", filterPattern=_EVERY_LINE
        )
        try:
            for event in (event for page in pages for event in page["events"]):
                if match := _LINE.match(event["message"]):
                    counts[match[1]][match[2]] += 1
        except client.exceptions.ResourceNotFoundException:
            continue
    return LoggedLines(starts=counts["START"], ends=counts["END"], reports=counts["REPORT"])
