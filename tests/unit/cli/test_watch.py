"""What is redeployed is what has changed, and nothing else."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lambent.cli.plan import Choices
from lambent.cli.project import LayerFolder, Project, ProjectFunction
from lambent.cli.watch import Watcher, affected, roots_of


@pytest.fixture
def project(tmp_path: Path) -> Project:
    names = ("one", "two")
    for name in (*names, "layer"):
        (tmp_path / name).mkdir()
    (tmp_path / "single.py").touch()
    functions = [ProjectFunction(name=name, path=tmp_path / name, choices=Choices()) for name in names]
    single = ProjectFunction(name="single", path=tmp_path / "single.py", choices=Choices())
    layer = LayerFolder(name="shared", published_as="shared", path=tmp_path / "layer")
    return Project(file=tmp_path / "lambent.toml", functions=(*functions, single), layers=(layer,))


def test_a_changed_file_concerns_the_function_whose_folder_it_is_in(project: Project, tmp_path: Path) -> None:
    found = affected(project, [tmp_path / "one" / "lib" / "a.py"])
    assert (found.functions, found.layers, found.is_project_changed) == ({"one"}, set(), False)
    assert affected(project, [tmp_path / "single.py"]).functions == {"single"}
    assert affected(project, [tmp_path / "layer" / "python" / "x.py"]).layers == {"shared"}
    assert affected(project, [tmp_path / "lambent.toml"]).is_project_changed
    event = tmp_path / "event.json"
    assert affected(project, [event], [event]).events == {event}


@pytest.mark.parametrize(
    "name",
    [
        ".app.py.swp", "app.py~", "4913", ".#app.py", "#app.py#", "app.py___jb_tmp___", ".goutputstream-X1",
        "__pycache__/app.pyc", ".git/index", ".venv/lib/x.py", "env/lib/x.py", "ignored.txt", "deep/ignored.txt",
    ],
)  # fmt: skip
def test_what_is_not_deployed_concerns_nobody(project: Project, tmp_path: Path, name: str) -> None:
    (tmp_path / "one" / ".lambentignore").write_text("ignored.txt\n")
    (tmp_path / "one" / "env").mkdir()
    (tmp_path / "one" / "env" / "pyvenv.cfg").touch()
    assert not affected(project, [tmp_path / "one" / name])
    assert not affected(project, [tmp_path / "elsewhere.py"])


@pytest.mark.parametrize("name", ["requirements.txt", ".lambentignore", "kept/app.py"])
def test_what_decides_about_the_package_concerns_its_function(
    project: Project, tmp_path: Path, name: str
) -> None:
    assert affected(project, [tmp_path / "one" / name]).functions == {"one"}


def test_folders_are_watched_with_what_is_in_them_and_files_by_their_folders(
    project: Project, tmp_path: Path
) -> None:
    deep, flat = roots_of(project, [tmp_path / "events" / "e.json"])
    assert deep == {tmp_path / "one", tmp_path / "two", tmp_path / "layer"}
    assert flat == {tmp_path, tmp_path / "events"}


@pytest.fixture
def watcher(tmp_path: Path) -> Iterator[Callable[..., Watcher]]:
    made: list[Watcher] = []

    def watch(*deep: Path, flat: tuple[Path, ...] = ()) -> Watcher:
        made.append(Watcher(deep, flat))
        return made[-1]

    yield watch
    for one in made:
        one.close()


def seen(watcher: Watcher, wanted: Path, make: Callable[[], object]) -> bool:
    """Make a change, again and again until it is seen: a watch begins a moment after it was asked for."""
    for _ in range(100):
        make()
        changes = watcher.wait(0.1)
        if changes is not None and wanted in changes.paths:
            return True
    return False


def test_changes_in_a_watched_folder_are_seen(watcher: Callable[..., Watcher], tmp_path: Path) -> None:
    folder, file = tmp_path / "f", tmp_path / "f" / "deep" / "app.py"
    file.parent.mkdir(parents=True)
    assert seen(watcher(folder), file, lambda: file.write_text("x"))


def test_a_folder_that_is_made_anew_is_still_watched(watcher: Callable[..., Watcher], tmp_path: Path) -> None:
    folder, file = tmp_path / "f", tmp_path / "f" / "app.py"
    folder.mkdir()
    one = watcher(folder)
    assert seen(one, file, lambda: file.write_text("x"))
    shutil.rmtree(folder)
    folder.mkdir()

    assert seen(one, file, lambda: file.write_text("y"))
