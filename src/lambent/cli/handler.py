"""What a folder says about itself: its function's name, runtime and handler, when the user does not say them.

Pure: names and texts in, words out. `cli.deploy` asks it.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import PurePath

from lambent.cli.terminal import UsageError

FUNCTIONS = ("handler", "lambda_handler", "main")
FILES = ("app.py", "lambda_function.py", "main.py", "handler.py")
NODE_FUNCTIONS = ("handler", "lambdaHandler", "main")
NODE_STEMS = ("index", "app", "handler", "main", "lambda")
NODE_SUFFIXES = (".js", ".mjs", ".cjs")
TYPESCRIPT_SUFFIXES = (".ts", ".mts", ".cts")
SOURCE_SUFFIXES = (".py", *NODE_SUFFIXES)
"""Of files that are functions by themselves, and that are looked into for a handler."""

# The interpreters that AWS offers (https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtimes.html).
OLDEST_PYTHON = (3, 10)
NEWEST_PYTHON = (3, 14)
MAX_NAME_CHARACTERS = 64


def function_name(path: PurePath) -> str:
    """Return a valid function name made of a folder's or file's name.

    Raises:
        UsageError: nothing of the name is left.
    """
    stem = path.stem if path.suffix in {*SOURCE_SUFFIXES, ".zip"} else path.name
    name = re.sub(r"[^A-Za-z0-9_-]+", "-", stem).strip("-")[:MAX_NAME_CHARACTERS]
    if not name:
        raise UsageError(f"{path} makes no function name: give one with --name.")
    return name


def infer_runtime(names: Collection[str], python: tuple[int, int]) -> str:
    """Return the runtime for code with these top-level names.

    Args:
        names: files and folders at the top.
        python: version of the interpreter at hand; the nearest one that AWS has is chosen.
    """
    if not any(name.endswith(".py") for name in names):
        if "bootstrap" in names:
            return "provided.al2023"
        if any(name.endswith(NODE_SUFFIXES) for name in names):
            return "nodejs22.x"
    major, minor = min(max(python, OLDEST_PYTHON), NEWEST_PYTHON)
    return f"python{major}.{minor}"


def infer_handler(runtime: str, names: Collection[str], modules: Mapping[str, str], own_name: str) -> str:
    """Return the handler, for instance ``app.handler``.

    Args:
        runtime: identifier, which decides the form of the handler.
        names: files and folders at the top.
        modules: text of the top-level Python and JavaScript files by file name.
        own_name: name of the folder or file, the last file name that is tried.

    Raises:
        UsageError: no handler, or more than one possible; the message lists what was found.
    """
    if runtime.startswith("provided"):
        return "bootstrap"
    if runtime.startswith("nodejs"):
        return _node_handler(runtime, names, modules, own_name)
    if not runtime.startswith("python"):
        raise UsageError(f"Say with --handler which handler {runtime} shall call.")
    texts = {name: text for name, text in sorted(modules.items()) if name.endswith(".py")}
    found = {name: tuple(defined_names(text)) for name, text in texts.items()}
    candidates = [f"{name[:-3]}.{function}" for name, function in _matches(found)]
    preferred = [f"{name[:-3]}.{function}" for name, function in _matches(found) if name in _files(own_name)]
    if preferred:
        return min(preferred, key=lambda handler: _rank(handler, own_name))
    if len(candidates) == 1:
        return candidates[0]
    broken = [f"{name}, {fault}" for name, text in texts.items() if (fault := _fault_of(text))]
    if broken and not candidates:
        raise UsageError(f"There is no handler to be found, because of {broken[0]}.")
    raise UsageError(_not_found(found, candidates, names))


def _node_handler(runtime: str, names: Collection[str], modules: Mapping[str, str], own_name: str) -> str:
    stems = {PurePath(name).stem: name for name in sorted(names) if name.endswith(NODE_SUFFIXES)}
    stem = next((stem for stem in (*NODE_STEMS, own_name) if stem in stems), None)
    if stem is None and len(stems) == 1:
        stem = next(iter(stems))
    if stem is None:
        raise UsageError(f"Say with --handler which handler {runtime} shall call.")
    exported = set(exported_names(modules.get(stems[stem], "")))
    # What a bundler has written cannot be read so simply: then it is the usual name.
    function = next((function for function in NODE_FUNCTIONS if function in exported), NODE_FUNCTIONS[0])
    return f"{stem}.{function}"


def has_handler(handler: str, modules: Mapping[str, str]) -> bool:
    """Say whether a Python handler such as ``app.handler`` is defined in these top-level modules."""
    module, _, function = handler.rpartition(".")
    return function in defined_names(modules.get(f"{module}.py", ""))


def _files(own_name: str) -> tuple[str, ...]:
    return (*FILES, f"{own_name}.py")


def _rank(handler: str, own_name: str) -> tuple[int, int]:
    module, _, function = handler.rpartition(".")
    return _files(own_name).index(f"{module}.py"), FUNCTIONS.index(function)


def _matches(found: Mapping[str, Iterable[str]]) -> Iterator[tuple[str, str]]:
    for name, functions in found.items():
        yield from ((name, function) for function in FUNCTIONS if function in functions)


def _fault_of(text: str) -> str:
    """Return where a text is no Python, and why; nothing if it is."""
    try:
        ast.parse(text)
    except SyntaxError as error:
        return f"line {error.lineno}: {error.msg}"
    except ValueError as error:
        return str(error)
    return ""


def _not_found(found: Mapping[str, tuple[str, ...]], candidates: list[str], names: Collection[str]) -> str:
    if candidates:
        return f"Several functions may be the handler ({', '.join(candidates)}): choose one with --handler."
    if not found and any(name.endswith(TYPESCRIPT_SUFFIXES) for name in names):
        return "TypeScript has to be compiled first: deploy the folder with the JavaScript that comes of it."
    if not found:
        return "There is no .py file at the top to look into: give --handler, for instance `app.handler`."
    listing = "; ".join(f"{name} has {', '.join(functions) or 'none'}" for name, functions in found.items())
    return (
        f"No function is named {', '.join(FUNCTIONS[:-1])} or {FUNCTIONS[-1]} ({listing}): "
        "name the handler with --handler, as in `app.handler`."
    )


def defined_names(text: str) -> Iterator[str]:
    """Yield what a module's text defines that could be called: functions, names assigned or imported.

    ``async def`` is left out, because Lambda's Python runtime calls no coroutine. A text that is no Python
    has no names; the runtime will say what is wrong with it better than we could.
    """
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):
        return
    yield from _names_of(tree.body)


_EXPORT = re.compile(
    r"\bexports\.(\w+)\s*=|^\s*export\s+(?:const|let|var|(?:async\s+)?function)\s+(\w+)|^\s*export\s*\{([^}]*)\}",
    re.MULTILINE,
)


def exported_names(text: str) -> Iterator[str]:
    """Yield what a module of JavaScript exports, as far as that can be seen without understanding it."""
    for assigned, declared, listed in _EXPORT.findall(text):
        if listed:
            yield from (part.split(" as ")[-1].strip() for part in listed.split(","))
        else:
            yield assigned or declared


def _names_of(statements: Iterable[ast.stmt]) -> Iterator[str]:
    for statement in statements:
        match statement:
            case ast.FunctionDef(name=name):
                yield name
            case ast.ImportFrom(names=aliases):
                yield from (alias.asname or alias.name for alias in aliases)
            case ast.Assign(targets=targets):
                yield from (target.id for target in targets if isinstance(target, ast.Name))
            case ast.AnnAssign(target=ast.Name(id=name), value=value) if value is not None:
                yield name
            case ast.If(body=body, orelse=orelse) | ast.Try(body=body, orelse=orelse):
                yield from _names_of([*body, *orelse])
            case _:
                pass
