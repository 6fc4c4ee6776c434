"""What is written with compressed files at hand is what `zipfile` writes, byte by byte."""

from __future__ import annotations

import io
import os
import zipfile
from pathlib import Path

from lambent.cli.zipping import Deflated, write


def info_of(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
    info.create_system = 3
    info.external_attr = 0o100644 << 16
    info.compress_type = zipfile.ZIP_DEFLATED
    return info


def as_zipfile_writes(files: dict[str, Path]) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, path in files.items():
            archive.writestr(info_of(name), path.read_bytes())
    return content.getvalue()


def test_the_bytes_are_those_of_zipfile(tmp_path: Path) -> None:
    contents = {"empty": b"", "a/text.py": b"x = 1\n" * 1000, "ü.txt": b"u", "noise": os.urandom(100_000)}
    files = {name: tmp_path / str(number) for number, name in enumerate(contents)}
    for name, path in files.items():
        path.write_bytes(contents[name])
    deflated, wanted = Deflated(), as_zipfile_writes(files)
    for _ in range(2):  # the second time, all of it is known
        assert write([(info_of(name), path) for name, path in files.items()], deflated) == wanted
    assert write([], deflated) == as_zipfile_writes({})


def test_a_file_that_has_changed_is_compressed_anew(tmp_path: Path) -> None:
    file, deflated = tmp_path / "f", Deflated()
    file.write_bytes(b"one")
    before = deflated.of(file)
    assert deflated.of(file) is before
    file.write_bytes(b"two!")
    assert deflated.of(file) != before
