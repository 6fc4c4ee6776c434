"""The engine: a discrete-event model of execution environments, replayed arrival by arrival.

Two kinds of events: an invocation arrives, and an environment becomes free (its start or its invocation is over). The
arrivals are sorted; the others are a heap of times, and a dictionary says whose each is. A heap of bare floats is four
times as quick as one of tuples, and this loop is what everything waits for.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush
from itertools import accumulate
from random import Random

from lambent.invoke.assignment import Assignment, assign
from lambent.simulation.load import Load
from lambent.simulation.platform import Platform
from lambent.simulation.pool import (
    NO_CONCURRENCY,
    REASONS,
    RESERVED,
    SCALING,
    STARTING,
    TOO_OFTEN,
    UNRESERVED,
    Pool,
    bucket_of,
    take,
)

BINS = 120
"""Of the picture over time."""
_NONE = -1


@dataclass(slots=True, kw_only=True, eq=False)
class Run:
    """What a load has met. What is not named in a mapping neither waited nor was cold nor throttled."""

    load: Load
    platform: Platform
    waits_s: dict[int, float] = field(default_factory=dict[int, float])
    """By invocation: how long it waited for an environment."""
    cold_s: dict[int, float] = field(default_factory=dict[int, float])
    """By invocation: the init phase of its environment, which it was the first to use."""
    throttled: dict[int, str] = field(default_factory=dict[int, str])
    """By invocation: why."""
    on_provisioned: list[int] = field(default_factory=list[int])
    """Invocations that ran in provisioned environments."""
    spilled_over: int = 0
    """Invocations beyond provisioned concurrency."""
    started: int = 0
    """Environments that were started because an invocation wanted one."""
    peak_environments: int = 0
    """Those that are provisioned included."""
    environment_s: float = 0.0
    """How long environments lived, together, until the load's end."""
    peaks: list[int] = field(default_factory=list[int])
    """The highest concurrency in each of `BINS` equal parts of the load's duration."""

    @property
    def peak_concurrency(self) -> int:
        """The most invocations that ran or waited for their environment at one moment."""
        return max(self.peaks, default=0)


def simulate(load: Load, platform: Platform, *, seed: int = 0) -> Run:
    """Replay a load on a platform.

    Args:
        load: what arrives.
        platform: what it meets.
        seed: of the cold starts' durations. The same seed gives the same run.
    """
    return _Engine(load, platform, Random(seed)).run()  # noqa: S311 - no secret


class _Engine:
    """One run."""

    def __init__(self, load: Load, platform: Platform, random: Random) -> None:
        self._load = load
        self._platform = platform
        self._result = Run(load=load, platform=platform)
        self._service_s = service_times_s(load, platform)
        self._events: list[float] = []
        self._owner: dict[float, int] = {}
        self._more: dict[float, list[int]] = {}
        """The other environments of a moment at which several become free."""
        self._kinds: list[int] = []
        self._pool_of: list[Pool] = []
        self._born_s: list[float] = []
        self._since_s: list[float] = []
        self._asked_s: list[float] = []
        """When each was wanted that is not provisioned; they are born when they are ready."""
        self._gone_s: dict[int, float] = {}
        self._unbilled_s: dict[int, float] = {}
        """The init of environments that nobody has used yet."""
        self._pools = [self._new_pool(place, random) for place in range(len(load.names))]
        self._provisioned_count = len(self._born_s)

    def _new_pool(self, place: int, random: Random) -> Pool:
        load = self._load
        starts = load.starts[place if len(load.starts) > 1 else 0].values_s
        arrivals = load.at_s
        if load.function and (self._platform.reserved is not None or self._platform.provisioned):
            arrivals = [
                at_s for at_s, function in zip(load.at_s, load.function, strict=True) if function == place
            ]
        pool = Pool(self._platform, arrivals, lambda: random.choice(starts))
        for _ in range(self._platform.provisioned):
            pool.provisioned_idle.append(self._new_environment(pool, 0.0))
        return pool

    def _new_environment(self, pool: Pool, born_s: float) -> int:
        self._pool_of.append(pool)
        self._kinds.append(STARTING)
        self._born_s.append(born_s)
        self._since_s.append(born_s)
        return len(self._born_s) - 1

    def run(self) -> Run:  # noqa: PLR0912, PLR0915 - one loop, see below
        """Replay it all. One loop with everything at hand: a call more for each invocation is a second of ten."""
        load, platform, result = self._load, self._platform, self._result
        events, owner, more, kinds = self._events, self._owner, self._more, self._kinds
        since_s, born_s, pool_of, unbilled_s = self._since_s, self._born_s, self._pool_of, self._unbilled_s
        keep_alive_s, max_life_s, service_s = platform.keep_alive_s, platform.max_life_s, self._service_s
        arrivals_s, functions, pools, pop, push = load.at_s, load.function, self._pools, heappop, heappush
        unreserved_max = platform.unreserved(len(load.names))
        bucket = bucket_of(platform, unreserved_max, load.at_s)
        running = unreserved = peak = 0

        def free_until(until_s: float) -> None:
            nonlocal running, unreserved
            while events and events[0] <= until_s:
                now_s = pop(events)
                environment = owner.pop(now_s)
                if more and now_s in more:
                    self._next_of(now_s)
                pool, kind = pool_of[environment], kinds[environment]
                if kind == STARTING:
                    pool.starting -= 1
                else:
                    running -= 1
                    if kind == UNRESERVED:
                        unreserved -= 1
                    else:
                        pool.leave(kind)
                if pool.waiting or not pool.is_plain:
                    self._offer(pool, environment, now_s)
                else:
                    since_s[environment] = now_s
                    pool.idle.append(environment)

        pool = pools[0]
        for first, last, end_s in self._bins():
            peak = running
            for place in range(first, last):
                at_s = arrivals_s[place]
                if events and events[0] <= at_s:
                    free_until(at_s)
                if functions:
                    pool = pools[functions[place]]
                kind = UNRESERVED if pool.is_plain else pool.admit(at_s)
                if kind == UNRESERVED:
                    if unreserved >= unreserved_max:
                        kind = NO_CONCURRENCY
                    elif bucket is not None and not take(bucket, at_s, unreserved_max):
                        kind = TOO_OFTEN
                if kind < 0:
                    result.throttled[place] = REASONS[kind]
                    continue
                environment = self._take_provisioned(pool, place, kind) if pool.provisioned else _NONE
                if environment == _NONE and pool.idle:
                    environment = pool.idle.pop()
                    if (
                        at_s - since_s[environment] >= keep_alive_s
                        or at_s - born_s[environment] >= max_life_s
                    ):
                        environment = self._youngest(pool, environment, at_s)
                if environment != _NONE:
                    if environment in unbilled_s:
                        result.cold_s[place] = unbilled_s.pop(environment)
                    kinds[environment] = kind
                    end_s_ = at_s + service_s[place]
                    if end_s_ in owner:
                        more.setdefault(end_s_, []).append(environment)
                    else:
                        owner[end_s_] = environment
                    push(events, end_s_)
                elif not self._wait(pool, place, kind, at_s):
                    continue
                running += 1
                unreserved += kind == UNRESERVED
                if running > peak:  # noqa: PLR1730 - quicker than max()
                    peak = running
            result.peaks.append(peak)
            free_until(end_s)
        free_until(math.inf)
        return self._finished()

    def _bins(self) -> Iterator[tuple[int, int, float]]:
        """Yield the parts of the load: (first arrival, the one after the last, end in seconds)."""
        at_s, duration_s = self._load.at_s, self._load.duration_s
        first = 0
        for number in range(1, BINS + 1):
            end_s = duration_s * number / BINS
            last = len(at_s) if number == BINS else bisect_right(at_s, end_s, lo=first)
            yield first, last, end_s
            first = last

    def _next_of(self, at_s: float) -> None:
        """Several become free at one moment: one has been taken, the next one's turn comes."""
        others = self._more[at_s]
        self._owner[at_s] = others.pop()
        if not others:
            del self._more[at_s]

    def _free_at(self, at_s: float, environment: int) -> None:
        if at_s in self._owner:
            self._more.setdefault(at_s, []).append(environment)
        else:
            self._owner[at_s] = environment
        heappush(self._events, at_s)

    def _take_provisioned(self, pool: Pool, place: int, kind: int) -> int:
        """Return an idle provisioned environment, unless the invocation spills over or there is none."""
        if kind in (UNRESERVED, RESERVED):
            self._result.spilled_over += 1
            return _NONE
        if not pool.provisioned_idle:
            return _NONE
        self._result.on_provisioned.append(place)
        return pool.provisioned_idle.pop()

    def _youngest(self, pool: Pool, environment: int, at_s: float) -> int:
        """The idle environment that was used last is gone by now; return one that is not, if there is any."""
        platform, since_s, born_s = self._platform, self._since_s, self._born_s
        while True:
            idle_end_s = since_s[environment] + platform.keep_alive_s
            old_s = max(since_s[environment], born_s[environment] + platform.max_life_s)
            if at_s < idle_end_s and at_s < old_s:
                return environment
            self._gone_s[environment] = min(idle_end_s, old_s)
            if not pool.idle:
                return _NONE
            environment = pool.idle.pop()

    def _wait(self, pool: Pool, place: int, kind: int, at_s: float) -> bool:
        """Let an invocation wait for an environment, and start one if it needs one; False if it may not."""
        if assign(idle=0, waiting=len(pool.waiting), starting=pool.starting) is Assignment.START:
            if not pool.may_start(at_s):
                pool.leave(kind)
                self._result.throttled[place] = SCALING
                return False
            self._start(pool, at_s)
        pool.waiting.append((place, kind))
        return True

    def _start(self, pool: Pool, at_s: float) -> None:
        init_s = pool.starts_s()
        ready_s = at_s + init_s + self._platform.start_overhead_s
        environment = self._new_environment(pool, ready_s)
        self._unbilled_s[environment] = init_s
        self._asked_s.append(at_s)
        pool.starting += 1
        self._free_at(ready_s, environment)

    def _offer(self, pool: Pool, environment: int, now_s: float) -> None:
        """An environment is free: whoever waits takes it, or it idles."""
        is_provisioned = environment < self._provisioned_count
        kind = self._kinds[environment]
        if (
            kind != STARTING
            and not is_provisioned
            and now_s - self._born_s[environment] >= self._platform.max_life_s
        ):
            self._gone_s[environment] = now_s
            if len(pool.waiting) > pool.starting and pool.may_start(now_s):
                self._start(pool, now_s)
        elif pool.waiting:
            self._serve(pool, environment, now_s)
        elif is_provisioned:
            pool.provisioned_idle.append(environment)
        else:
            self._since_s[environment] = now_s
            pool.idle.append(environment)

    def _serve(self, pool: Pool, environment: int, now_s: float) -> None:
        place, self._kinds[environment] = pool.waiting.popleft()
        result = self._result
        result.waits_s[place] = now_s - self._load.at_s[place]
        if environment in self._unbilled_s:
            result.cold_s[place] = self._unbilled_s.pop(environment)
        elif environment < self._provisioned_count:
            result.on_provisioned.append(place)
        self._free_at(now_s + self._service_s[place], environment)

    def _finished(self) -> Run:
        result, end_s = self._result, self._load.duration_s
        for pool in self._pools:
            # Nobody is left who could serve them: environments grew old when no more might be started.
            result.throttled.update((place, SCALING) for place, _ in pool.waiting)
        result.started = len(self._asked_s)
        lives: list[tuple[float, int]] = []
        for number, asked_s in enumerate(self._asked_s):
            environment = number + self._provisioned_count
            idle_end_s = self._since_s[environment] + self._platform.keep_alive_s
            gone_s = min(end_s, self._gone_s.get(environment, idle_end_s))
            lives += (asked_s, 1), (gone_s, -1)
            result.environment_s += max(0.0, gone_s - asked_s)
        result.environment_s += self._provisioned_count * end_s
        lives.sort()
        alive = accumulate((change for _, change in lives), initial=self._provisioned_count)
        result.peak_environments = max(alive)
        return result


def service_times_s(load: Load, platform: Platform) -> Sequence[float]:
    """Return how long invocations run on a platform, which ends them at its timeout."""
    timeout_s, service_s = platform.timeout_s, load.service_s
    if max(service_s, default=0.0) <= timeout_s:
        return service_s
    return [min(duration_s, timeout_s) for duration_s in service_s]
