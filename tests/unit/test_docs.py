"""The pages tell the truth: what they list is there, what is there they list, and their links lead somewhere."""

from __future__ import annotations

import importlib.util
import re
import shlex
import tomllib
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import typer

from lambent.app import SERVICES
from lambent.cli.main import app
from lambent.cli.project_file import KEYS as PROJECT_KEYS
from lambent.settings import GROUPS

REPOSITORY = Path(__file__).parents[2]
DOCS = REPOSITORY / "docs"
SOURCE = REPOSITORY / "src" / "lambent"
PAGES = sorted([*REPOSITORY.glob("*.md"), *DOCS.rglob("*.md"), *REPOSITORY.glob("examples/*.md")])

_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def page_id(page: Path) -> str:
    """Name a page in a test's id."""
    return str(page.relative_to(REPOSITORY))


def text_of(page: Path) -> str:
    """Return a page without its blocks of code, which may look like anything."""
    return _BLOCK.sub("", page.read_text(encoding="utf-8"))


def anchors_of(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    headings = _HEADING.findall(text_of(page))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def section_of(page: Path, heading: str) -> str:
    """Return the text below a heading, up to the next of its level."""
    _, found, rest = page.read_text(encoding="utf-8").partition(f"\n## {heading}\n")
    assert found, f"{page_id(page)} has no section {heading!r}"
    return rest.partition("\n## ")[0]


def first_column(table: str) -> list[str]:
    """Return the cells of the first column of every row of a text's tables, headings and rules left out."""
    rows = [line.split("|") for line in table.splitlines() if line.startswith("|")]
    cells = [row[1].strip() for row in rows]
    return [cell for cell in cells if cell and not set(cell) <= set("-: ")]


@pytest.fixture(scope="module")
def generator() -> ModuleType:
    """Import docs/generate_operations.py, which is no package's."""
    spec = importlib.util.spec_from_file_location("generate_operations", DOCS / "generate_operations.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# Links -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_every_link_leads_to_a_file_or_a_heading_that_is_there(page: Path) -> None:
    for link in _LINK.findall(text_of(page)):
        if link.startswith(("https://", "http://")):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{page_id(page)} links to {link}"
        assert not anchor or anchor in anchors_of(target), f"{page_id(page)} links to {link}"


def test_every_page_of_docs_can_be_reached_from_the_readme() -> None:
    seen: set[Path] = set()
    waiting = [REPOSITORY / "README.md"]
    while waiting:
        page = waiting.pop()
        seen.add(page)
        links = [link.partition("#")[0] for link in _LINK.findall(text_of(page)) if "://" not in link]
        targets = {(page.parent / link).resolve() for link in links if link.endswith(".md")}
        waiting += [target for target in targets - seen if target.exists()]
    assert set(DOCS.rglob("*.md")) <= seen


def test_every_decision_has_a_number_of_its_own_and_is_in_the_list() -> None:
    pages = sorted(page for page in (DOCS / "decisions").glob("*.md") if page.name != "README.md")
    assert [page.name[:4] for page in pages] == [f"{number:04}" for number in range(1, len(pages) + 1)]
    listed = _LINK.findall((DOCS / "decisions" / "README.md").read_text(encoding="utf-8"))
    assert listed == [page.name for page in pages]


# Commands --------------------------------------------------------------------------------------------------


def commands() -> dict[str, Any]:
    """Return the commands of the command line, by name."""
    group: Any = typer.main.get_command(app)
    return {name: group.get_command(None, name) for name in group.list_commands(None)}


def command_lines(page: Path) -> Iterator[list[str]]:
    """Yield the words of every `lambent …` line of a page's shell blocks."""
    for language, code in _BLOCK.findall(page.read_text(encoding="utf-8")):
        if language not in ("bash", ""):
            continue
        for line in code.splitlines():
            words = shlex.split(line)
            while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
                words.pop(0)
            if words[:1] == ["lambent"]:
                yield words[1:]


def test_the_readme_lists_every_command() -> None:
    listed = [cell.strip("`").split()[1] for cell in first_column(section_of(REPOSITORY / "README.md", "Commands"))
              if cell.startswith("`")]  # fmt: skip
    assert sorted(listed) == sorted(commands())


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_every_command_line_of_a_page_is_one_that_lambent_understands(page: Path) -> None:
    """The commands exist and take the options that the page gives them."""
    for words in command_lines(page):
        if words == ["--version"]:
            continue
        command, rest = commands()[words[0]], words[1:]
        while hasattr(command, "commands"):
            if command.invoke_without_command and rest[:1] not in [[name] for name in command.commands]:
                break
            command, rest = command.commands[rest[0]], rest[1:]
        known = {
            flag for parameter in command.params for flag in (*parameter.opts, *parameter.secondary_opts)
        }
        given = {word.partition("=")[0] for word in rest if re.match(r"--?[a-z]", word)}
        assert given <= known, f"{page_id(page)}: lambent {shlex.join(words)}"


def test_every_make_target_that_a_page_names_is_in_the_makefile() -> None:
    targets = set(re.findall(r"^(\w+):", (REPOSITORY / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    for page in PAGES:
        named = set(re.findall(r"`make (\w+)`|^make (\w+)$", page.read_text(encoding="utf-8"), re.MULTILINE))
        assert {one or other for one, other in named} <= targets, page_id(page)


# Settings and operations -----------------------------------------------------------------------------------


def test_every_setting_is_in_the_reference() -> None:
    page = (DOCS / "reference" / "settings.md").read_text(encoding="utf-8")
    for name, group in GROUPS.items():
        assert f"## [{name}]" in page
        for setting in fields(group):
            assert f"`{setting.name}`" in page
            assert f"`LAMBENT_{setting.name.upper()}`" in page


def test_every_configuration_that_a_page_shows_has_only_settings_that_there_are() -> None:
    for page in PAGES:
        for language, code in _BLOCK.findall(page.read_text(encoding="utf-8")):
            if language == "toml":
                for group, section in tomllib.loads(code).items():
                    known = (
                        {setting.name for setting in fields(GROUPS[group])} if group in GROUPS else set[str]()
                    )
                    tables = section.values() if group in PROJECT_KEYS else ()
                    assert all(set(table) <= PROJECT_KEYS[group].keys() for table in tables), page_id(page)
                    assert group in PROJECT_KEYS or set(section) <= known, page_id(page)


def test_every_key_of_a_project_file_is_in_its_reference() -> None:
    page = (DOCS / "reference" / "project.md").read_text(encoding="utf-8")
    for keys in PROJECT_KEYS.values():
        for key in keys:
            assert f"`{key}`" in page


def test_the_reference_of_operations_is_current(generator: ModuleType) -> None:
    """Made again with ``python docs/generate_operations.py > docs/reference/operations.md``."""
    page = (DOCS / "reference" / "operations.md").read_text(encoding="utf-8")
    assert page == generator.page()


def test_the_reference_of_operations_covers_every_service_of_the_server(generator: ModuleType) -> None:
    assert set(generator.served()) == set(SERVICES) == set(generator.TITLES)


def test_every_note_about_an_operation_is_about_a_served_one(generator: ModuleType) -> None:
    served = generator.served()
    apis = {service: generator.load_api(service) for service in served}
    for service, name in generator.NOTES:
        assert apis[service].operations[name].method_name in served[service]


def test_what_the_readme_calls_missing_is_not_served(generator: ModuleType) -> None:
    named = set(re.findall(r"`(\w+)`", section_of(REPOSITORY / "README.md", "What is not there yet")))
    for service, methods in generator.served().items():
        operations = generator.load_api(service).operations
        for name in named & set(operations):
            assert operations[name].method_name not in methods, f"{service}:{name} is served"


# Architecture and words ------------------------------------------------------------------------------------


def rooms() -> set[str]:
    """Return the folders and modules of the package."""
    return {
        path.stem
        for path in SOURCE.iterdir()
        if (path.suffix == ".py" and path.stem != "__init__") or (path / "__init__.py").exists()
    }


def test_the_architecture_describes_every_room() -> None:
    described = " ".join(first_column(section_of(DOCS / "architecture.md", "The rooms")))
    named = set(re.findall(r"`(\w+)(?:/|\.py)`", described))
    assert named == rooms() - {"__main__"}


def test_the_architecture_shows_the_layers_that_are_checked() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = project["tool"]["importlinter"]["contracts"]
    layers = next(contract["layers"] for contract in contracts if contract["type"] == "layers")
    shown = _BLOCK.search(section_of(DOCS / "architecture.md", "Who may import whom"))
    assert shown is not None
    assert shown[2].splitlines() == layers


def terms() -> list[list[str]]:
    """Return the words of each row of the glossary; a row may have several for one thing."""
    page = DOCS / "glossary.md"
    rows = [first_column(section_of(page, heading))[1:] for heading in ("AWS's words", "Ours")]
    return [[word.strip() for word in cell.split(",")] for row in rows for cell in row]


def test_the_glossary_says_each_word_once_and_in_order() -> None:
    words = [word.lower() for row in terms() for word in row]
    assert len(words) == len(set(words))
    for heading in ("AWS's words", "Ours"):
        cells = first_column(section_of(DOCS / "glossary.md", heading))[1:]
        assert cells == sorted(cells, key=str.lower)


def test_every_word_of_the_glossary_is_explained() -> None:
    for line in (DOCS / "glossary.md").read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("|"):
            assert len(cells) == 3
            assert cells[1]


def test_every_file_of_the_domain_is_a_word_of_the_glossary() -> None:
    """The domain is the words: its files are named after them, in the plural where they hold many."""
    known = {word.lower() for row in terms() for word in row}
    for path in (SOURCE / "domain").glob("[a-z]*.py"):
        word = path.stem.replace("_", " ")
        assert word in known or word.removesuffix("s") in known, f"{word!r} is not in the glossary"
