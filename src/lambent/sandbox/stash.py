"""Modules that a zygote has loaded in advance and that no command has imported yet.

A new interpreter has few modules, and what a name means depends on where a command looks for it: a command may have
a ``token.py`` or a boto3 of its own. So what the zygote has loaded beyond that is taken out of `sys.modules`, and
this finder, asked first, gives a module back when a command imports it and would find that very file; together with
the modules that it uses, as importing it would have. Runs under the commands' interpreter, Python 3.10 or newer.
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterator, Sequence
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from importlib.abc import Loader

_INTERPRETERS_OWN = ("built-in", "frozen")


class Stash:
    """A finder and loader, for `sys.meta_path`. Says what `importlib.abc` wants said, without importing that."""

    def __init__(self, known: Collection[str]) -> None:
        """Prepare; `known` are the modules that commands find loaded."""
        self._known = known
        self._modules: dict[str, ModuleType] = {}
        self._uses: dict[str, frozenset[str]] = {}
        self._specs: dict[str, ModuleSpec | None] = {}

    def absorb(self) -> None:
        """Take every module out of `sys.modules` that is not known, nor the interpreter's own."""
        taken = {
            name: module
            for name, module in sys.modules.items()
            if name not in self._known and getattr(_spec_of(module), "origin", None) not in _INTERPRETERS_OWN
        }
        self._modules |= taken
        for name, module in taken.items():
            del sys.modules[name]
            self._uses[name] = _used(name, module, self._modules)
            self._specs[name] = _spec_of(module)

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return a spec whose loading costs nothing; None if the name means something else to the command."""
        if target is not None or not self._is_what_a_command_finds(name, path):
            return None
        self._give_back(name)
        known = self._specs[name]
        assert known is not None, "it was found by its file"
        is_package = known.submodule_search_locations is not None
        spec = ModuleSpec(name, cast("Loader", self), origin=known.origin, is_package=is_package)
        spec.has_location = True
        return spec

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """Return the module that was loaded in advance."""
        return self._modules.pop(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """Undo what the import system has written into the module: it is complete."""
        module.__spec__ = self._specs[module.__name__]

    def _is_what_a_command_finds(self, name: str, path: Sequence[str] | None) -> bool:
        if name not in self._modules:
            return False
        known = self._specs[name]
        if known is None or not known.has_location:
            return False
        found = PathFinder.find_spec(name, path)
        return found is not None and found.origin == known.origin

    def _give_back(self, name: str) -> None:
        """Put what a module uses into `sys.modules`, but for what the command would find elsewhere."""
        verdicts: dict[str, bool] = {name.partition(".")[0]: True}
        seen, waiting = {name}, [name]
        while waiting:
            for used in self._uses[waiting.pop()] - seen:
                seen.add(used)
                top = used.partition(".")[0]
                if top not in verdicts:
                    verdicts[top] = top in sys.modules or self._is_what_a_command_finds(top, None)
                if verdicts[top] and used in self._modules:
                    sys.modules.setdefault(used, self._modules.pop(used))
                    waiting.append(used)


def _used(name: str, module: ModuleType, modules: dict[str, ModuleType]) -> frozenset[str]:
    """Return the names of those modules that a module refers to, that it lies in, or that it has made."""
    names = {*_names_in(module), name.rpartition(".")[0]}
    made = {other for other in modules if other.startswith(f"{name}.") and not _has_location(modules[other])}
    return frozenset((names & modules.keys()) | made)


def _names_in(module: ModuleType) -> Iterator[str]:
    for value in list(vars(module).values()):
        name = value.__name__ if isinstance(value, ModuleType) else _home_of(value)
        if isinstance(name, str):
            yield name


def _home_of(value: object) -> object:
    """Return the name of the module in which a function or class was defined; None for other things."""
    return getattr(value, "__module__", None) if callable(value) else None


def _has_location(module: ModuleType) -> bool:
    spec = _spec_of(module)
    return spec is not None and spec.has_location


def _spec_of(module: object) -> ModuleSpec | None:
    # Not everything in sys.modules is a module: typing puts a class there.
    return getattr(module, "__spec__", None)
