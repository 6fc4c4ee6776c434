"""Layers are merged in order, the later one's file wins, and nothing is written through a link."""

from __future__ import annotations

import asyncio
import io
import zipfile
from pathlib import Path

import pytest

from lambent.domain.function import Code
from lambent.node.layers import merge
from lambent.node.unpack import UnpackedCode, UnpackError
from lambent.testing import MemoryStore


def directory_with(place: Path, **files: str | None) -> Path:
    """A directory: names with ``__`` for slashes; text for a file, ``->x`` for a link, None for a directory."""
    for name, text in files.items():
        path = place / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        if text is None:
            path.mkdir()
        elif text.startswith("->"):
            path.symlink_to(text[2:])
        else:
            path.write_text(text)
    return place


def merged(tmp_path: Path, *directories: Path) -> Path:
    target = tmp_path / "target"
    target.mkdir()
    merge(directories, target)
    return target


def test_a_later_file_replaces_an_earlier_one_and_leaves_it_alone_where_it_came_from(tmp_path: Path) -> None:
    first = directory_with(tmp_path / "1", python__a="1", python__b="1", bin__tool="1")
    second = directory_with(tmp_path / "2", python__b="2", python__c="2")
    target = merged(tmp_path, first, second)
    assert {path.name: path.read_text() for path in (target / "python").iterdir()} == {
        "a": "1",
        "b": "2",
        "c": "2",
    }
    assert (target / "bin/tool").read_text() == "1"
    assert (first / "python/b").read_text() == "1"


def test_files_and_directories_of_one_name_replace_each_other(tmp_path: Path) -> None:
    first = directory_with(tmp_path / "1", x="file", y__inner="inner")
    second = directory_with(tmp_path / "2", x__inner="inner", y="file")
    target = merged(tmp_path, first, second)
    assert (target / "x/inner").read_text() == "inner"
    assert (target / "y").read_text() == "file"


def test_nothing_is_written_through_a_link_of_an_earlier_layer(tmp_path: Path) -> None:
    outside = directory_with(tmp_path / "outside", victim="untouched")
    first = directory_with(tmp_path / "1", python=f"->{outside}", lib__x=f"->{outside}/victim", d__l="->e")
    second = directory_with(tmp_path / "2", python__victim="written", lib__x="written")
    target = merged(tmp_path, first, second)
    assert (outside / "victim").read_text() == "untouched"
    assert (target / "python/victim").read_text() == "written"
    assert (target / "lib/x").read_text() == "written"
    assert (target / "d/l").readlink() == Path("e")


def test_links_to_directories_stay_links(tmp_path: Path) -> None:
    first = directory_with(tmp_path / "1", real__file="1", alias="->real")
    assert (merged(tmp_path, first) / "alias").readlink() == Path("real")


def code_of(store: MemoryStore, **files: str) -> Code:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as package:
        for name, text in files.items():
            package.writestr(name, text)
    blob = asyncio.run(store.put(content.getvalue()))
    return Code(blob=blob, sha256="", size_bytes=len(content.getvalue()))


def test_a_list_of_layers_has_one_directory_for_all_who_have_it(tmp_path: Path) -> None:
    store = MemoryStore()
    code = UnpackedCode(tmp_path / "code", store)
    one, two = code_of(store, a="1", b="1"), code_of(store, b="2")

    async def story() -> None:
        assert await code.layers_directory([]) is None
        assert await code.layers_directory([one]) == await code.directory(one)
        both = await asyncio.gather(*(code.layers_directory([one, two]) for _ in range(5)))
        assert len(set(both)) == 1
        turned = await code.layers_directory([two, one])
        assert both[0] is not None and turned is not None
        assert [(place / "b").read_text() for place in (both[0], turned)] == ["2", "1"]

    asyncio.run(story())
    store.close()


def test_a_layer_that_the_store_has_lost_is_an_error(tmp_path: Path) -> None:
    store = MemoryStore()
    code = UnpackedCode(tmp_path / "code", store)
    lost = Code(blob="0" * 64, sha256="", size_bytes=1)
    with pytest.raises(UnpackError):
        asyncio.run(code.layers_directory([lost, code_of(store, a="1")]))
    store.close()
