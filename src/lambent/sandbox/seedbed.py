"""The asyncio side of seedlings: keep some programs started for what may come, hand them out.

What a seedling does is in the file of that name. It takes an interpreter's start to make one, so nobody waits for
that: where none is ready, a stem is taken and the command is executed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from lambent.sandbox import SandboxError, SandboxSpec, SeedlingSpec
from lambent.sandbox.calm import Calm
from lambent.sandbox.control import Spawner
from lambent.sandbox.launched import LaunchedProcess
from lambent.sandbox.nursery import Nursery
from lambent.sandbox.order import Outbound
from lambent.sandbox.parked import Parked


def suits(spec: SandboxSpec, seedling: SeedlingSpec) -> bool:
    """Return whether a command that fits the zygote is what this program was started to be."""
    limits = (spec.memory_bytes, spec.max_processes, spec.max_open_files, spec.max_file_bytes)
    return (
        spec.command == seedling.command
        and sorted(inside for _, inside in spec.inherited) == sorted((seedling.channel, *seedling.output))
        and limits
        == (
            seedling.memory_bytes,
            seedling.max_processes,
            seedling.max_open_files,
            seedling.max_file_bytes,
        )
        and _fixed(spec.environment, seedling) == _fixed(dict(seedling.environment), seedling)
        and spec.copies_over is None
    )


def _fixed(environment: Mapping[str, str], seedling: SeedlingSpec) -> dict[str, str]:
    return {
        name: value
        for name, value in environment.items()
        if name.startswith(seedling.fixed_variables) and name not in seedling.changing_variables
    }


class Seedbed(Parked):
    """Some seedlings of one kind, forked by the zygote of a nursery."""

    _is_zygote = True

    def __init__(
        self,
        seedling: SeedlingSpec,
        nursery: Nursery,
        *,
        spawner: Spawner,
        new_stem: Callable[[], LaunchedProcess],
        take_link: Callable[[], Outbound | None],
        give_back: Callable[[Outbound | None], None],
        seedlings: int,
        calm: Calm,
    ) -> None:
        """Prepare.

        Args:
            seedling: what to start.
            nursery: has the zygote.
            spawner: started that.
            new_stem: makes the asyncio side of a stem.
            take_link: returns the link of a sandbox's network to the host's, if it is to have one.
            give_back: takes the link back when the sandbox is gone.
            seedlings: how many to keep ready.
            calm: when to start more of them.
        """
        super().__init__(
            name=seedling.command[0],
            spawner=spawner,
            new=new_stem,
            take_link=take_link,
            give_back=give_back,
            ahead=seedlings,
            calm=calm,
        )
        self._seedling = seedling
        self._nursery = nursery
        self.used_s = 0.0
        """When it was wanted last, in the loop's time."""

    async def take(self) -> LaunchedProcess | None:
        """Return a seedling that is ready; None if none is."""
        found = None
        while self._ready and found is None:
            parked = self._ready.popleft()
            if parked.is_parked:
                found = parked
            else:
                parked.kill()
        self.prepare()
        return found

    def prepare(self) -> None:
        """See `Parked.prepare`."""
        self.used_s = asyncio.get_running_loop().time()
        super().prepare()

    async def _open(self) -> None:
        """See to it that there is a zygote."""
        if self._nursery.control is None:
            self._nursery.prepare()
            await self._nursery.settle()
        self._control = self._nursery.control
        if self._control is None:
            raise SandboxError("zygote", "there is none to fork from")
