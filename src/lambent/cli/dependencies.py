"""The packages of a `requirements.txt`, installed for the runtime that will import them, and kept in a cache.

Pip does the work. When the function's Python or processor is not ours (or the code goes to AWS), pip is asked
for wheels of that platform and may not build anything; AWS describes the same steps in
https://docs.aws.amazon.com/lambda/latest/dg/python-package.html#python-package-native-libraries.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lambent.cli.terminal import CommandError, one_line

CACHE_FORMAT = "1"  # change it when the same key would mean another content
MAX_CACHE_ENTRIES = 20

# The C library of AWS's images: Amazon Linux 2 up to python3.11, Amazon Linux 2023 from python3.12 on
# (https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtimes.html). A wheel may ask for no newer one.
GLIBC_AL2 = (2, 26)
GLIBC_AL2023 = (2, 34)
FIRST_PYTHON_ON_AL2023 = (3, 12)
OLDEST_GLIBC_MINOR = 17  # manylinux2014; pip adds the older names itself


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """The Python and the machine that packages are installed from."""

    python: tuple[int, int]
    architecture: str  # in AWS's words: x86_64 or arm64
    glibc: tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """The Python and the machine that packages are installed for."""

    python: tuple[int, int]
    architecture: str
    is_aws: bool = False

    def __str__(self) -> str:
        return f"python{self.python[0]}.{self.python[1]} on {self.architecture}"


def this_machine() -> Machine:
    """Return what we run on."""
    library, version = platform.libc_ver()
    numbers = [int(number) for number in re.findall(r"\d+", version)[:2]] if library == "glibc" else []
    return Machine(
        python=sys.version_info[:2],
        architecture=this_architecture(),
        glibc=(numbers[0], numbers[1]) if len(numbers) == 2 else GLIBC_AL2023,
    )


def this_architecture() -> str:
    """Return this machine's processor in AWS's words."""
    return "arm64" if platform.machine().lower() in {"arm64", "aarch64"} else "x86_64"


def python_of(runtime: str) -> tuple[int, int] | None:
    """Return the version of a Python runtime such as ``python3.12``, or None for other languages."""
    match = re.fullmatch(r"python(\d+)\.(\d+)", runtime)
    return (int(match[1]), int(match[2])) if match else None


def pip_options(wanted: Wanted, here: Machine, interpreter: str | None) -> list[str]:
    """Decide how pip is told whom the packages are for; nothing when they are for ourselves.

    Args:
        wanted: whom they are for.
        here: whom we are.
        interpreter: an interpreter of the wanted version, if there is one. It evaluates environment markers
            (``; python_version < "3.11"``) rightly, which pip does not do for a mere ``--python-version``.
    """
    is_foreign_python = wanted.python != here.python
    options: list[str] = []
    if is_foreign_python and interpreter:
        options += ["--python", interpreter]
    options += ["install"]
    if is_foreign_python and not interpreter:
        options += ["--python-version", f"{wanted.python[0]}.{wanted.python[1]}", "--implementation", "cp"]
    if wanted.is_aws or wanted.architecture != here.architecture or "--python-version" in options:
        options += ["--only-binary=:all:"]
        for name in platforms(wanted, here):
            options += ["--platform", name]
    return options


def platforms(wanted: Wanted, here: Machine) -> list[str]:
    """Return the wheel platforms that the wanted runtime can load, best first (PEP 600 names)."""
    glibc = GLIBC_AL2023 if wanted.python >= FIRST_PYTHON_ON_AL2023 else GLIBC_AL2
    if not wanted.is_aws:  # here it will be this machine's C library
        glibc = min(glibc, here.glibc)
    machine = "aarch64" if wanted.architecture == "arm64" else "x86_64"
    names = [f"manylinux_2_{minor}_{machine}" for minor in range(glibc[1], OLDEST_GLIBC_MINOR - 1, -1)]
    return [*names, f"manylinux2014_{machine}"]


def closure(requirements: Path) -> list[tuple[Path, str]]:
    """Return a requirements file and all files that it includes (``-r``, ``-c``), with their texts."""
    found: dict[Path, str] = {}
    waiting = [requirements.resolve()]
    while waiting:
        path = waiting.pop(0)
        if path in found or not path.is_file():
            continue
        text = path.read_text(encoding="utf-8", errors="replace")
        found[path] = text
        included = re.findall(r"^\s*(?:-r|-c|--requirement|--constraint)[ =]*([^\s#]+)", text, re.MULTILINE)
        waiting += [(path.parent / name).resolve() for name in included]
    return list(found.items())


def is_repeatable(texts: Iterable[str]) -> bool:
    """Say whether the same text means the same packages; not when it names folders, which may change."""
    local = re.compile(r"^\s*(?:-e|--editable|\.{0,2}/|\.\s*$)|file:", re.MULTILINE)
    return not any(local.search(text) for text in texts)


def is_empty(texts: Iterable[str]) -> bool:
    """Say whether nothing is required at all."""
    lines = (line.strip() for text in texts for line in text.splitlines())
    return not any(line and not line.startswith("#") for line in lines)


def cache_key(texts: Iterable[str], wanted: Wanted, options: Sequence[str]) -> str:
    """Return the name of the cache entry for these requirements on that platform."""
    parts = [CACHE_FORMAT, str(wanted), *options, *texts]
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogateescape")).hexdigest()[:32]


def cache_folder(environ: Mapping[str, str]) -> Path:
    """Return where installed packages are kept: below ``$XDG_CACHE_HOME``, else ``~/.cache``."""
    return Path(environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "lambent" / "packages"


@contextlib.contextmanager
def installed(requirements: Path, wanted: Wanted, say: Callable[[str], None]) -> Generator[Path | None]:
    """Give the folder that holds the installed packages, None when nothing is required.

    Args:
        requirements: the ``requirements.txt``.
        wanted: whom the packages are for.
        say: told each line that pip prints.

    Raises:
        CommandError: pip did not succeed; the message has its reason.
    """
    files = closure(requirements)
    texts = [text for _, text in files]
    if is_empty(texts):
        yield None
        return
    here = this_machine()
    interpreter = find_interpreter(wanted.python) if wanted.python != here.python else None
    options = pip_options(wanted, here, interpreter)
    cache = cache_folder(os.environ)
    cache.mkdir(parents=True, exist_ok=True)
    kept = cache / cache_key(texts, wanted, options)
    is_kept = is_repeatable(texts)
    if is_kept and kept.is_dir():
        os.utime(kept)  # used just now: the last to be forgotten
        yield kept
        return
    with tempfile.TemporaryDirectory(prefix=".new-", dir=cache) as scratch:
        target = Path(scratch) / "packages"
        _run_pip(
            [*options, "--target", str(target), "--requirement", str(requirements)], requirements, wanted, say
        )
        target.mkdir(exist_ok=True)  # all requirements may have been excluded by their markers
        yield _keep(target, kept) if is_kept else target


def _keep(target: Path, kept: Path) -> Path:
    try:
        target.rename(kept)
    except OSError:  # another deploy was faster; its content is the same
        if not kept.is_dir():
            raise
    entries = sorted(
        (path for path in kept.parent.iterdir() if not path.name.startswith(".")),
        key=lambda path: path.stat().st_mtime,
    )
    for old in entries[:-MAX_CACHE_ENTRIES]:
        shutil.rmtree(old, ignore_errors=True)
    return kept


def find_interpreter(python: tuple[int, int]) -> str | None:
    """Return an interpreter of this version from PATH if there is one that starts."""
    path = shutil.which(f"python{python[0]}.{python[1]}")
    if path is None:
        return None
    probe = [path, "-I", "-c", "import sys; print(sys.executable, *sys.version_info[:2], sep='\\n')"]
    try:
        answer = subprocess.run(probe, capture_output=True, text=True, timeout=10, check=True).stdout.split(
            "\n"
        )
    except (OSError, subprocess.SubprocessError):  # for instance a pyenv shim of a version that is not chosen
        return None
    return answer[0] if answer[1:3] == [str(number) for number in python] else None


def _run_pip(arguments: list[str], requirements: Path, wanted: Wanted, say: Callable[[str], None]) -> None:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", *arguments]
    command += ["--no-compile", "--no-color", "--progress-bar", "off", "--no-warn-script-location"]
    # --user, set by some people for good, cannot go together with --target.
    environment = {**os.environ, "PIP_USER": "0", "PYTHONUNBUFFERED": "1"}
    lines: list[str] = []
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=environment,
        cwd=requirements.parent,  # relative paths in the file are relative to it
        text=True,
        errors="replace",
    ) as pip:
        assert pip.stdout is not None
        try:
            for line in pip.stdout:
                lines.append(line)
                say(line.rstrip())
        except BaseException:
            pip.kill()
            raise
    if pip.returncode:
        raise CommandError(pip_failure(lines, requirements.name, wanted, "--only-binary=:all:" in arguments))


def pip_failure(lines: Sequence[str], name: str, wanted: Wanted, only_wheels: bool) -> str:
    """Return the reason of pip's failure as a sentence."""
    texts = [line.strip() for line in lines]
    for text in texts:
        if only_wheels and (match := re.search(r"No matching distribution found for (\S+)", text)):
            return (
                f"{name}: there is no wheel of {match[1]} for {wanted}: choose a version that has one, "
                "or build the zip elsewhere and deploy that."
            )
    errors = [text.removeprefix("ERROR: ") for text in texts if text.startswith(("ERROR: ", "error: "))]
    others = [text for text in texts if text and not text.startswith(("WARNING:", "[notice]"))]
    reason = (errors or others or ["it gave no reason"])[-1]
    return f"{name}: pip could not install it: {one_line(reason)} (--verbose shows all that pip says)."
