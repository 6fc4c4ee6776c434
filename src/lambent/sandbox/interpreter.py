"""Becoming a Python command without executing a program: the interpreter that is already running takes it over.

What an executed interpreter would find (descriptors, variables, arguments, paths, signals) is put in place
by `become`, in process 2 of a sandbox; `run` then does what the interpreter does with its command line. Runs
under the commands' interpreter, Python 3.10 or newer, and ends as that ends: exit codes, uncaught exceptions,
``atexit`` and threads are left to it.
"""

from __future__ import annotations

import io
import os
import signal
import sys
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from importlib.machinery import SourceFileLoader
from types import CodeType, ModuleType, TracebackType
from typing import NoReturn

from lambent.sandbox import COPY, SandboxSpec, command, linux
from lambent.sandbox.order import step
from lambent.sandbox.stash import Stash

_CANNOT_OPEN_EXIT_CODE = 2
_PACKAGE = __name__.partition(".")[0]


def become(spec: SandboxSpec, failed: int) -> NoReturn:
    """Make this process what a new interpreter would be. See `lambent.sandbox.command.Become`.

    Raises:
        command.Became: always; `run` belongs where nothing of us is on the stack.
    """
    with step("execute"):
        linux.permit_inspection()
        os.environ.clear()
        os.environ.update(spec.environment)
        time.tzset()
        _default_signals()
        linux.close_all_but({0, 1, 2, *(inside for _, inside in spec.inherited)})
    del failed  # closed: that says that nothing has failed
    raise command.Became(spec)


def _default_signals() -> None:
    """Set what an interpreter sets at its start; SIGPIPE and SIGXFSZ are ignored as they are in every one."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def compile_script(path: str) -> CodeType:
    """Return the code of a script.

    Raises:
        OSError, SyntaxError, ValueError: as from an interpreter that is told to run it.
    """
    with io.open_code(path) as file:
        return compile(file.read(), path, "exec", dont_inherit=True)


def run(
    arguments: Sequence[str],
    scripts: Mapping[str, CodeType],
    stash: Stash,
    copier: Callable[[], None] | None = None,
) -> None:
    """Do what an interpreter does with what follows its options.

    Args:
        arguments: a script's path or ``-c`` and a text, and the rest of ``sys.argv``.
        scripts: those that are compiled already.
        stash: what `hide_modules` has returned.
        copier: what a template calls to be copied; other commands find nothing of it.

    Raises:
        SystemExit: as the command asks, or because of an exception that was printed.
    """
    for name in [name for name in sys.modules if name.partition(".")[0] == _PACKAGE]:
        del sys.modules[name]
    stash.absorb()  # what we have needed on the way
    sys.meta_path.insert(0, stash)
    # Our own command line is the zygote's, which ends in -c and a text.
    sys.orig_argv = [*sys.orig_argv[:-2], *arguments]
    main = ModuleType("__main__")
    sys.modules["__main__"] = main
    if copier is not None:
        setattr(main, COPY, copier)
    try:
        exec(_code_of(arguments, main, scripts), main.__dict__)  # noqa: S102 - what an interpreter is for
    except SystemExit:
        raise
    except BaseException as error:
        _print(error)
        # The interpreter deals with it from here on, but it has been printed, without frames of ours.
        sys.excepthook = _print_nothing
        raise


def _code_of(arguments: Sequence[str], main: ModuleType, scripts: Mapping[str, CodeType]) -> CodeType:
    """Return the code to run, and set what goes with it: the first search path, ``sys.argv``, ``__file__``."""
    script = arguments[0]
    if script == "-c":
        _prepend_path("")
        sys.argv = ["-c", *arguments[2:]]
        return compile(arguments[1], "<string>", "exec", dont_inherit=True)
    _prepend_path(os.path.dirname(os.path.abspath(script)))  # noqa: PTH100, PTH120 - as CPython
    sys.argv = list(arguments)
    main.__file__ = script
    main.__loader__ = SourceFileLoader("__main__", script)
    return scripts.get(script) or _compile_or_exit(script)


def _print_nothing(*_: object) -> None:
    """Take the place of `sys.excepthook` when everything has been said."""


def _prepend_path(path: str) -> None:
    if not (sys.flags.isolated or getattr(sys.flags, "safe_path", False)):
        sys.path.insert(0, path)


def _compile_or_exit(path: str) -> CodeType:
    try:
        return compile_script(path)
    except OSError as error:
        message = f"{sys.executable}: can't open file {path!r}: [Errno {error.errno}] {error.strerror}\n"
        sys.stderr.write(message)
        sys.exit(_CANNOT_OPEN_EXIT_CODE)


def _print(error: BaseException) -> None:
    """Print an uncaught exception as the interpreter does, from the command's first frame on."""
    trace: TracebackType | None = error.__traceback__
    while trace is not None and trace.tb_frame.f_globals.get("__name__") == __name__:
        trace = trace.tb_next
    sys.excepthook(type(error), error.with_traceback(trace), trace)


def hide_modules(known: Collection[str]) -> Stash:
    """Leave in `sys.modules` what a new interpreter has, and return the rest, without our own.

    The command may have a package with the name of ours.
    """
    ours = {name: module for name, module in sys.modules.items() if name.partition(".")[0] == _PACKAGE}
    for name in ours:
        del sys.modules[name]
    stash = Stash({*known, "__main__"})
    stash.absorb()
    sys.modules.update(ours)
    return stash
