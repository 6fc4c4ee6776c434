"""A zygote: a Python interpreter that is started once, inside a sandbox's file tree, and forked ever after.

The spawner's child builds the tree (`launch`) and executes the interpreter; that one loads what all commands
trust (`main`) and then forks a *stem* (`lambent.sandbox.stem`) for every report socket that arrives. The
zygote has the spawner's rights and no walls, so it never runs a command's code, and it never sees an order:
what it knows is in the memory of every command. Runs under the commands' interpreter, Python 3.10 or newer;
dies with the spawner, or when its control socket closes. Commands outlive it.
"""

from __future__ import annotations

import codecs
import gc
import importlib
import json
import os
import signal
import socket
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from types import CodeType
from typing import Any, NoReturn

from lambent.sandbox import (
    ZygoteSpec,
    command,
    copying,
    interpreter,
    linux,
    mounts,
    seccomp,
    seedling,
    stem,
    walls,
)
from lambent.sandbox.order import (
    Order,
    Outbound,
    StepFailedError,
    decode,
    encode,
    memory_file,
    read_memory_file,
    receive,
    receive_order,
    report,
    seedling_of,
    step,
)

_CONTROL, _ORDER = 3, 4
_PROGRAM = """\
import sys
from importlib import import_module
for name in {modules!r}:
    import_module(name)
known = frozenset(sys.modules)
sys.path.insert(0, {path!r})
from lambent.sandbox.zygote import main
main(known)
"""


def launch(channel: socket.socket, enclosure: walls.Enclosure) -> NoReturn:
    """Be the spawner's child: build the tree and execute the interpreter in it.

    Args:
        channel: becomes the zygote's control socket.
        enclosure: what all sandboxes share.
    """
    with step("order"):
        order, _ = receive_order(channel)
    with step("namespaces"):
        linux.unshare(linux.CLONE_NEWNS)
    package = mounts.package_mount()
    mounts.build_base(order, _zygote_of(order), package)
    with step("descriptors"):
        known = [encode(order).decode("ascii"), asdict(enclosure.ids), enclosure.program.hex()]
        # Standard output is a pipe, as it will be: the interpreter's streams depend on what they are made for.
        _, output = os.pipe()
        descriptors = [output, output, channel.fileno(), memory_file(json.dumps(known).encode("ascii"))]
        place = os.path.dirname(package.target)  # noqa: PTH120 - a path inside
        program = _PROGRAM.format(modules=_zygote_of(order).modules, path=place)
        spec = replace(
            order.spec,
            command=(*order.spec.command, "-c", program),
            inherited=tuple(enumerate((1, 2, _CONTROL, _ORDER))),
        )
        control = command.arrange(spec, descriptors, channel.detach())
    try:
        command.execute(spec, control)
    except StepFailedError as error:
        report(socket.socket(fileno=control), "failed", step=error.step, reason=error.reason)
        os._exit(1)


def main(known: frozenset[str]) -> None:
    """Run as the program; return only in a process that has become a command and has ended well.

    Args:
        known: the modules that commands find loaded, as in an interpreter of their own.
    """
    control = socket.socket(fileno=_CONTROL)
    control.set_inheritable(False)
    try:
        with step("zygote"):
            order, enclosure = _read_order()
            _forget_own_paths()
            codecs.lookup("ascii")  # loads a module at its first use
            scripts, missing = _load(_zygote_of(order))
            mounts.forget_passing(_zygote_of(order))
            stash = interpreter.hide_modules(known)
    except StepFailedError as error:
        report(control, "failed", step=error.step, reason=error.reason)
        os._exit(1)
    report(control, "ready", missing=missing)
    arguments, copier = _wait_to_become(control, order, enclosure)
    interpreter.run(arguments, scripts, stash, copier)


def _wait_to_become(
    control: socket.socket, order: Order, enclosure: walls.Enclosure
) -> tuple[tuple[str, ...], copying.Copier | None]:
    """Serve; return only in a process that is a command, with its command line after the options.

    Nothing of how it came there is on the stack then, nor hangs on the command's exceptions.
    """
    try:
        _serve(control, order, enclosure)
    except command.Became as became:
        spec = became.spec
        copier = None
        if spec.copies_over is not None:
            copier = copying.Copier(spec, network=order.network, program=enclosure.program)
        return spec.command[len(order.spec.command) :], copier
    except StepFailedError as error:
        report(control, "failed", step=error.step, reason=error.reason)
        os._exit(1)


def _zygote_of(order: Order) -> ZygoteSpec:
    assert order.spec.zygote is not None, "the order is a zygote's"
    return order.spec.zygote


def _read_order() -> tuple[Order, walls.Enclosure]:
    text, ids, program = json.loads(read_memory_file(_ORDER))
    order = decode(text)
    enclosure = walls.Enclosure(
        walls.IdMap(**ids),
        bytes.fromhex(program),
        template_program=seccomp.program(further=seccomp.FOR_TEMPLATES),
        become=interpreter.become if _zygote_of(order).interpreter else command.execute,
    )
    return order, enclosure


def _forget_own_paths() -> None:
    """Leave `sys.path` as the interpreter makes it before it adds what depends on the command."""
    del sys.path[0]
    if sys.path[:1] == [""]:
        del sys.path[0]


def _load(zygote: ZygoteSpec) -> tuple[dict[str, CodeType], list[str]]:
    """Import what the spec names; return the code of its scripts by path, and which modules there are not."""
    missing: list[str] = []
    for name in zygote.likely_modules:
        try:
            importlib.import_module(name)
        except Exception:
            missing.append(name)
    return {path: interpreter.compile_script(path) for path in zygote.scripts}, missing


def _serve(control: socket.socket, order: Order, enclosure: walls.Enclosure) -> NoReturn:
    """Fork a stem for every report socket that arrives, until the server is gone."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    gc.collect()
    gc.freeze()
    while True:
        message, descriptors = receive(control)
        if not message:
            os._exit(0)
        request = json.loads(message.partition(b" ")[2])
        count = len(descriptors) - request["groups"]
        with step("fork"):
            pid = os.fork()
        if pid == 0:
            control.close()
            _grow(request, descriptors[:count], descriptors[count:], order, enclosure)
        for descriptor in descriptors:
            os.close(descriptor)


def _grow(
    request: dict[str, Any],
    own: Sequence[int],
    groups: Sequence[int],
    order: Order,
    enclosure: walls.Enclosure,
) -> NoReturn:
    """Be a stem, or the one that starts a seedling."""
    link, members = request["link"], request["seedling"]
    outbound = None if link is None else Outbound(**link)
    channel = socket.socket(fileno=own[0])
    if members is None:
        stem.grow(channel, groups, order, enclosure, outbound)
    spec = seedling_of(members)
    seedling.grow(channel, own[1:], groups, order, enclosure, outbound=outbound, spec=spec)
