"""Layers, merged into the one directory that a function sees as ``/opt``."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path


def merge(directories: Sequence[Path], target: Path) -> None:
    """Fill a directory with the files of several; of two files with one name, the later directory's is there.

    Files are linked, not copied: all of it lies on one file system and is only ever read. Nothing is written
    through a symbolic link of an earlier directory; a directory of a later one takes its place.
    """
    for directory in directories:
        for parent, subdirectories, files in os.walk(directory):
            place = target / Path(parent).relative_to(directory)
            for name in subdirectories:
                if Path(parent, name).is_symlink():
                    files.append(name)
                elif (place / name).is_symlink() or not (place / name).is_dir():
                    _clear(place / name)
                    (place / name).mkdir()
            for name in files:
                _clear(place / name)
                _link(Path(parent, name), place / name)


def _link(source: Path, place: Path) -> None:
    if source.is_symlink():
        place.symlink_to(source.readlink())
    else:
        place.hardlink_to(source)


def _clear(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
