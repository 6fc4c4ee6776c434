"""Pip is asked for the right platform, its work is kept, and its failures are sentences."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lambent.cli import dependencies
from lambent.cli.dependencies import Machine, Wanted, cache_key, closure, is_empty, is_repeatable, pip_options
from lambent.cli.terminal import CommandError

HERE = Machine(python=(3, 11), architecture="x86_64", glibc=(2, 36))


def options(
    python: tuple[int, int], architecture: str = "x86_64", *, is_aws: bool = False, there: str | None = None
):
    return pip_options(Wanted(python=python, architecture=architecture, is_aws=is_aws), HERE, there)


def test_for_ourselves_pip_may_do_as_it_likes() -> None:
    """Packages without wheels are built then, which they could not be for another machine."""
    assert options((3, 11)) == ["install"]


def test_for_another_python_only_its_wheels_will_do() -> None:
    chosen = options((3, 13))
    assert chosen[:6] == [
        "install",
        "--python-version",
        "3.13",
        "--implementation",
        "cp",
        "--only-binary=:all:",
    ]
    assert chosen[6:8] == ["--platform", "manylinux_2_34_x86_64"]
    assert chosen[-1] == "manylinux2014_x86_64"


def test_another_python_that_is_at_hand_evaluates_its_own_markers() -> None:
    assert options((3, 13), there="/usr/bin/python3.13") == ["--python", "/usr/bin/python3.13", "install"]


def test_for_another_processor_only_its_wheels_will_do() -> None:
    chosen = options((3, 11), "arm64")
    assert "--only-binary=:all:" in chosen
    assert "manylinux_2_17_aarch64" in chosen
    assert "--python-version" not in chosen


def test_for_aws_no_wheel_may_ask_for_a_newer_c_library_than_aws_has() -> None:
    """python3.11 runs on Amazon Linux 2 (glibc 2.26), python3.12 on Amazon Linux 2023 (glibc 2.34)."""
    assert "manylinux_2_26_x86_64" in options((3, 11), is_aws=True)
    assert "manylinux_2_27_x86_64" not in options((3, 11), is_aws=True)
    assert "manylinux_2_34_x86_64" in options((3, 12), is_aws=True)
    assert "manylinux_2_35_x86_64" not in options((3, 12), is_aws=True)


def test_here_no_wheel_may_ask_for_a_newer_c_library_than_this_machine_has() -> None:
    old = Machine(python=(3, 11), architecture="x86_64", glibc=(2, 31))
    chosen = pip_options(Wanted(python=(3, 13), architecture="x86_64"), old, None)
    assert "manylinux_2_31_x86_64" in chosen
    assert "manylinux_2_32_x86_64" not in chosen


@pytest.mark.parametrize(
    ("runtime", "version"),
    [("python3.12", (3, 12)), ("nodejs22.x", None), ("provided.al2023", None), ("python", None)],
)
def test_only_python_runtimes_have_a_python(runtime: str, version: tuple[int, int] | None) -> None:
    assert dependencies.python_of(runtime) == version


def test_included_files_count_as_requirements(tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text("-r more/base.txt\n--constraint=limits.txt\nnumpy\n")
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "base.txt").write_text("pillow\n-r ../requirements.txt\n")
    (tmp_path / "limits.txt").write_text("numpy<3\n")
    names = [path.name for path, _ in closure(tmp_path / "requirements.txt")]
    assert names == ["requirements.txt", "base.txt", "limits.txt"]


@pytest.mark.parametrize(
    "text", ["-e .", "./lib", "../lib", "/abs/lib", ".", "lib @ file:///x", "--editable ./x"]
)
def test_a_requirement_that_names_a_folder_is_installed_each_time(text: str) -> None:
    assert not is_repeatable([f"numpy\n{text}\n"])


@pytest.mark.parametrize("text", ["numpy==2.0", "# ./comment", "pillow ; python_version > '3.9'", "a.b.c"])
def test_a_requirement_that_names_a_package_is_repeatable(text: str) -> None:
    assert is_repeatable([text])


def test_comments_require_nothing() -> None:
    assert is_empty(["# nothing\n\n  \n"])
    assert not is_empty(["# something\nnumpy"])


def test_the_cache_is_keyed_by_all_that_changes_the_result() -> None:
    def key(text: str, python: tuple[int, int] = (3, 12), architecture: str = "x86_64") -> str:
        wanted = Wanted(python=python, architecture=architecture)
        return cache_key([text], wanted, pip_options(wanted, HERE, None))

    keys = [key("numpy"), key("pillow"), key("numpy", (3, 13)), key("numpy", (3, 12), "arm64")]
    assert len(set(keys)) == 4
    assert key("numpy") == keys[0]


def test_the_cache_is_where_the_desktop_says() -> None:
    assert dependencies.cache_folder({"XDG_CACHE_HOME": "/c"}) == Path("/c/lambent/packages")
    assert dependencies.cache_folder({}) == Path.home() / ".cache" / "lambent" / "packages"


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A package that pip can install without any index: a wheel made by hand."""
    import zipfile

    wheel = tmp_path / "greeting-1.0-py3-none-any.whl"
    info = "greeting-1.0.dist-info"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("greeting.py", "WORD = 'hello'\n")
        archive.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: greeting\nVersion: 1.0\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(
            f"{info}/RECORD", f"greeting.py,,\n{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n"
        )
    return wheel


@pytest.fixture
def wanted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Wanted:
    """Ourselves, with a cache of our own and no index."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    here = dependencies.this_machine()
    return Wanted(python=here.python, architecture=here.architecture)


def test_packages_are_installed_once_and_kept(package: Path, wanted: Wanted, tmp_path: Path) -> None:
    requirements = tmp_path / "requirements.txt"
    requirements.write_text("greeting\n")
    said: list[str] = []
    with dependencies.installed(requirements, wanted, said.append) as folder:
        assert folder is not None
        assert (folder / "greeting.py").read_text() == "WORD = 'hello'\n"
    assert any("greeting" in line for line in said)
    package.unlink()  # what is kept needs no pip
    said.clear()
    with dependencies.installed(requirements, wanted, said.append) as again:
        assert again == folder
    assert said == []


def test_a_failure_of_pip_is_a_sentence_and_leaves_nothing(wanted: Wanted, tmp_path: Path) -> None:
    requirements = tmp_path / "requirements.txt"
    requirements.write_text("no-such-package-here\n")
    with (
        pytest.raises(CommandError, match=r"requirements\.txt: pip could not install.*no-such-package-here"),
        dependencies.installed(requirements, wanted, lambda _: None),
    ):
        pass
    assert list(dependencies.cache_folder(os.environ).iterdir()) == []


def test_no_requirements_need_no_pip(wanted: Wanted, tmp_path: Path) -> None:
    requirements = tmp_path / "requirements.txt"
    requirements.write_text("# none\n")
    with dependencies.installed(requirements, wanted, lambda _: None) as folder:
        assert folder is None


def test_a_missing_wheel_is_said_with_its_platform() -> None:
    lines = [
        "ERROR: Could not find a version that satisfies the requirement legacy (from versions: none)",
        "ERROR: No matching distribution found for legacy",
    ]
    wanted = Wanted(python=(3, 12), architecture="arm64")
    sentence = dependencies.pip_failure(lines, "requirements.txt", wanted, True)
    assert sentence.startswith("requirements.txt: there is no wheel of legacy for python3.12 on arm64")


def test_the_cache_forgets_what_was_not_used_for_longest(tmp_path: Path) -> None:
    for number in range(dependencies.MAX_CACHE_ENTRIES):
        entry = tmp_path / f"entry-{number}"
        entry.mkdir()
        os.utime(entry, (number, number))
    new = tmp_path / ".new" / "packages"
    new.mkdir(parents=True)
    dependencies._keep(new, tmp_path / "kept")
    left = {path.name for path in tmp_path.iterdir()}
    assert "kept" in left
    assert "entry-0" not in left
    assert "entry-1" in left
