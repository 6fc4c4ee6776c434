"""From a folder or a file to the zip that Lambda takes: which files, in which order, with which bits.

The same content gives the same bytes, so that AWS's ``CodeSha256`` says whether anything changed: names are
sorted, times are fixed, and of the permissions only "executable" is kept, as git does (Lambda runs code as
another user, so every file must be readable by all: https://docs.aws.amazon.com/lambda/latest/dg/python-package.html).
"""

from __future__ import annotations

import io
import os
import stat
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from lambent.cli import ignore, zipping
from lambent.cli.handler import SOURCE_SUFFIXES
from lambent.cli.terminal import CommandError, UsageError, size_text
from lambent.cli.zipping import Deflated

# https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
MAX_ZIP_BYTES = 50 * 1024 * 1024
MAX_UNZIPPED_BYTES = 250 * 1024 * 1024
# A source file above this size is generated; reading it for a handler would only cost time.
MAX_SOURCE_BYTES = 2 * 1024 * 1024
IGNORE_FILE = ".lambentignore"
FIXED_TIME = (1980, 1, 1, 0, 0, 0)  # the earliest that a zip can say


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One file of the zip: its name there, and where its bytes are."""

    name: str
    path: Path
    size_bytes: int
    is_executable: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """What the user pointed at, read but not yet zipped.

    ``archive`` is the user's own zip, which is sent as it is; else ``entries`` are to be zipped. ``modules``
    holds the text of the top-level Python and JavaScript files by name, ``names`` all names at the top, files and
    folders.
    """

    path: Path
    entries: tuple[Entry, ...] = ()
    archive: bytes | None = None
    modules: Mapping[str, str]
    names: frozenset[str]
    requirements: Path | None = None


def read_source(path: Path) -> Source:
    """Read what there is to deploy.

    Raises:
        UsageError: the path is neither a folder nor a file with code, nor a ``.zip`` file.
        CommandError: the folder is empty or too large, or the zip is broken.
    """
    path = path.absolute()
    if path.is_dir():
        return _read_folder(path)
    if not path.exists():
        raise UsageError(f"{path} does not exist.")
    if path.suffix == ".zip":
        return _read_zip(path)
    if path.suffix in SOURCE_SUFFIXES:
        entry = _entry(path.name, path)
        return Source(path=path, entries=(entry,), modules=_texts((entry,)), names=frozenset({path.name}))
    raise UsageError(f"{path} is neither a folder nor a .py, .js, .mjs, .cjs or .zip file.")


def rules_of(folder: Path) -> tuple[ignore.Rule, ...]:
    """Return the rules by which files of a folder stay out of its zip."""
    rules = ignore.parse(ignore.ALWAYS)
    own_rules = folder / IGNORE_FILE
    if own_rules.is_file():
        rules += ignore.parse(own_rules.read_text(encoding="utf-8", errors="replace").splitlines())
    return rules


def _read_folder(folder: Path) -> Source:
    entries = collect(folder, rules_of(folder))
    if not entries:
        raise CommandError(f"{folder} holds no file to deploy.")
    requirements = folder / "requirements.txt"
    return Source(
        path=folder,
        entries=entries,
        modules=_texts(entries),
        names=frozenset(entry.name.split("/", 1)[0] for entry in entries),
        requirements=requirements if requirements.is_file() else None,
    )


def _read_zip(path: Path) -> Source:
    return source_of_zip(path.read_bytes(), path)


def source_of_zip(archive: bytes, path: Path) -> Source:
    """Return a zip as a source.

    Args:
        archive: its bytes.
        path: what it is called.

    Raises:
        CommandError: it is broken.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(archive)) as opened:
            names = [name for name in opened.namelist() if not name.endswith("/")]
            modules = {
                name: opened.read(name).decode("utf-8", "replace")
                for name in names
                if "/" not in name
                and name.endswith(SOURCE_SUFFIXES)
                and opened.getinfo(name).file_size <= MAX_SOURCE_BYTES
            }
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
        raise CommandError(f"{path} cannot be read as a zip file: {error}.") from error
    return Source(
        path=path, archive=archive, modules=modules, names=frozenset(name.split("/", 1)[0] for name in names)
    )


def _texts(entries: Iterable[Entry]) -> dict[str, str]:
    return {
        entry.name: entry.path.read_text(encoding="utf-8", errors="replace")
        for entry in entries
        if "/" not in entry.name
        and entry.name.endswith(SOURCE_SUFFIXES)
        and entry.size_bytes <= MAX_SOURCE_BYTES
    }


def collect(folder: Path, rules: Sequence[ignore.Rule] = ()) -> tuple[Entry, ...]:
    """Return the files below a folder that no rule leaves out, sorted by name. Links are followed.

    Raises:
        CommandError: they are larger than Lambda allows; said before time is spent on zipping them.
    """
    entries: list[Entry] = []
    total_bytes = 0
    for entry in _walk(folder, "", tuple(rules), (folder.resolve(),)):
        entries.append(entry)
        total_bytes += entry.size_bytes
        if total_bytes > MAX_UNZIPPED_BYTES:
            raise CommandError(
                f"{folder} holds more than {MAX_UNZIPPED_BYTES // 1024**2} MB, Lambda's limit for unzipped "
                "code: leave files out with .lambentignore."
            )
    return tuple(sorted(entries, key=lambda entry: entry.name))


def _walk(
    folder: Path, prefix: str, rules: tuple[ignore.Rule, ...], above: tuple[Path, ...]
) -> Iterator[Entry]:
    for path in folder.iterdir():
        name = prefix + path.name
        is_folder = path.is_dir()
        if ignore.is_ignored(name, is_folder=is_folder, rules=rules):
            continue
        if not is_folder:
            if path.is_file():
                yield _entry(name, path)
            continue
        resolved = path.resolve()
        # A virtual environment may have any name; a link to a folder above would never end.
        if resolved not in above and not (path / "pyvenv.cfg").is_file():
            yield from _walk(path, f"{name}/", rules, (*above, resolved))


def _entry(name: str, path: Path) -> Entry:
    status = path.stat()
    return Entry(
        name=name, path=path, size_bytes=status.st_size, is_executable=bool(status.st_mode & stat.S_IXUSR)
    )


def merge(own: Iterable[Entry], dependencies: Iterable[Entry]) -> tuple[Entry, ...]:
    """Return both sets, sorted; where both have a name, the user's own file wins."""
    by_name = {entry.name: entry for entry in (*dependencies, *own)}
    return tuple(by_name[name] for name in sorted(by_name))


def below(folder: str, entries: Iterable[Entry]) -> tuple[Entry, ...]:
    """Return the same files with names below a folder."""
    return tuple(replace(entry, name=f"{folder}/{entry.name}") for entry in entries)


def write_zip(
    entries: Sequence[Entry],
    advance: Callable[[int], None] = lambda _: None,
    deflated: Deflated | None = None,
) -> bytes:
    """Return the zip of these files.

    Args:
        entries: the files, in the order in which they shall stand.
        advance: told the size of each file once it is in.
        deflated: remembers what is compressed, for the next zip.

    Raises:
        CommandError: the zip is larger than Lambda takes directly, or a name cannot be written.
    """
    files = [(_zip_info(entry), entry.path) for entry in entries]
    try:
        return checked(zipping.write(files, deflated or Deflated(), advance))
    except UnicodeEncodeError as error:
        raise CommandError(f"The file name {os.fsencode(str(error.object))!r} is not UTF-8.") from error


def checked(archive: bytes) -> bytes:
    """Return the zip, or raise a `CommandError` when Lambda does not take one so large in a request."""
    if len(archive) > MAX_ZIP_BYTES:
        raise CommandError(
            f"The zip has {size_text(len(archive))}, and Lambda takes at most {size_text(MAX_ZIP_BYTES)} in "
            "a request: leave files out with .lambentignore, or move dependencies to a layer."
        )
    return archive


def _zip_info(entry: Entry) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(entry.name, FIXED_TIME)
    info.create_system = 3  # UNIX: the upper half of external_attr holds the mode
    info.external_attr = (stat.S_IFREG | (0o755 if entry.is_executable else 0o644)) << 16
    info.compress_type = zipfile.ZIP_DEFLATED
    return info
