"""What can be made ready before a function is known."""

from __future__ import annotations

import pytest

from lambent.node.ahead import zygote_of
from lambent.runtimes import Launch, Preparation, Waiting
from samples import replace

WAITS = Launch(
    command=("/usr/bin/node", "/var/runtime/bootstrap.js"),
    host_command=("/usr/bin/node", "/cache/bootstrap.js"),
    memory_options=(("--max-old-space-size", 0.5),),
    mounts=(("/cache", "/var/runtime"),),
    environment={"NODE_PATH": "/opt", "TZ": "of the runtime"},
    waiting=Waiting(fixed_variables=("NODE_",), changing_variables=("NODE_ENV",), passing=("/opt/lib",)),
    family="nodejs",
    version="22.1.0",
)
FORKS = replace(
    WAITS,
    waiting=None,
    preparation=Preparation(
        interpreter=("/usr/bin/python3",),
        modules=("json",),
        likely_modules=(),
        scripts=(),
        places=("/var/task",),
        passing=(),
    ),
)


def test_a_runtime_that_can_wait_is_started_for_a_memory_size_with_its_own_variables() -> None:
    found = zygote_of(WAITS, memory_mb=300, hostname="here", listen=(("127.0.0.1", 1),))
    assert (found.interpreter, found.environment, found.places) == ((), (), ("/var/task",))
    assert (found.hostname, found.listen, found.mounts[0].target) == (
        "here",
        (("127.0.0.1", 1),),
        "/var/runtime",
    )
    seedling = found.seedling
    assert seedling is not None
    assert seedling.command == ("/usr/bin/node", "--max-old-space-size=150", "/var/runtime/bootstrap.js")
    assert seedling.memory_bytes == 300 * 1024 * 1024
    variables = dict(seedling.environment)
    assert (variables["NODE_PATH"], variables["TZ"]) == ("/opt", "of the runtime")
    assert variables["_LAMBENT_WAITS_FD"] == str(seedling.channel)


@pytest.mark.parametrize("memory_mb", [128, 10_240])
def test_a_runtime_that_can_be_forked_is_prepared_alike_for_every_memory_size(memory_mb: int) -> None:
    found = zygote_of(FORKS, memory_mb=memory_mb, hostname="here", listen=())
    assert found == zygote_of(FORKS, memory_mb=1, hostname="here", listen=())
    assert (found.interpreter, found.modules, found.seedling) == (("/usr/bin/python3",), ("json",), None)
