"""Name, runtime and handler are found in the code, or the sentence says what was found instead."""

from __future__ import annotations

from pathlib import PurePath

import pytest

from lambent.cli.handler import defined_names, function_name, has_handler, infer_handler, infer_runtime
from lambent.cli.terminal import UsageError

HANDLER = "def handler(event, context): ..."


def infer(modules: dict[str, str], own_name: str = "thing") -> str:
    return infer_handler("python3.12", modules.keys(), modules, own_name)


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("hello", "hello"),
        ("hello.py", "hello"),
        ("hello.mjs", "hello"),
        ("build/code.zip", "code"),
        ("my function.v2", "my-function-v2"),
        ("x" * 70, "x" * 64),
        ("_a-B9", "_a-B9"),
    ],
)
def test_a_function_is_named_after_its_folder_or_file(path: str, name: str) -> None:
    assert function_name(PurePath(path)) == name


def test_a_folder_without_a_usable_name_asks_for_one() -> None:
    with pytest.raises(UsageError, match="--name"):
        function_name(PurePath("äöü"))


@pytest.mark.parametrize(
    ("names", "python", "runtime"),
    [
        ({"app.py"}, (3, 11), "python3.11"),
        ({"app.py"}, (3, 9), "python3.10"),
        ({"app.py"}, (3, 99), "python3.14"),
        ({"index.mjs", "node_modules"}, (3, 12), "nodejs22.x"),
        ({"app.js"}, (3, 12), "nodejs22.x"),
        ({"bootstrap"}, (3, 12), "provided.al2023"),
        ({"app.py", "bootstrap"}, (3, 12), "python3.12"),
        ({"README.md"}, (3, 12), "python3.12"),
    ],
)
def test_the_runtime_follows_from_the_files(names: set[str], python: tuple[int, int], runtime: str) -> None:
    assert infer_runtime(names, python) == runtime


@pytest.mark.parametrize(
    ("modules", "handler"),
    [
        ({"app.py": HANDLER}, "app.handler"),
        ({"lambda_function.py": "def lambda_handler(e, c): ..."}, "lambda_function.lambda_handler"),
        ({"thing.py": "def main(e, c): ..."}, "thing.main"),
        ({"main.py": HANDLER, "app.py": HANDLER}, "app.handler"),
        ({"app.py": "def main(e, c): ...\ndef lambda_handler(e, c): ..."}, "app.lambda_handler"),
        ({"app.py": "handler = Mangum(api)"}, "app.handler"),
        ({"app.py": "from inner import run as handler"}, "app.handler"),
        (
            {
                "app.py": "try:\n    import x\nexcept ImportError:\n    pass\nelse:\n    def handler(e, c): ..."
            },
            "app.handler",
        ),
        ({"other.py": HANDLER, "utils.py": "def parse(): ..."}, "other.handler"),
        ({"app.py": "def parse(): ...", "other.py": HANDLER}, "other.handler"),
    ],
)
def test_the_handler_is_found_in_the_code(modules: dict[str, str], handler: str) -> None:
    assert infer(modules) == handler


def test_what_was_found_instead_of_a_handler_is_listed() -> None:
    with pytest.raises(UsageError) as caught:
        infer({"app.py": "def greet(): ...\ndef run(): ...", "b.py": ""})
    assert "app.py has greet, run; b.py has none" in str(caught.value)
    assert "--handler" in str(caught.value)


def test_two_possible_handlers_are_a_question() -> None:
    with pytest.raises(UsageError, match=r"one\.handler, two\.main"):
        infer({"one.py": HANDLER, "two.py": "def main(e, c): ..."})


def test_no_python_at_the_top_is_a_sentence_of_its_own() -> None:
    with pytest.raises(UsageError, match=r"no \.py file at the top"):
        infer({})


def test_code_that_is_no_python_is_told_where_it_is_none() -> None:
    with pytest.raises(UsageError, match=r"because of app\.py, line 2: expected ':'"):
        infer({"app.py": "import os\ndef handler(event, context)\n    pass", "utils.py": "def parse(): ..."})
    assert infer({"app.py": "def (:", "other.py": HANDLER}) == "other.handler"


def test_typescript_is_a_sentence_of_its_own() -> None:
    with pytest.raises(UsageError, match="TypeScript has to be compiled first"):
        infer_handler("python3.12", {"index.ts"}, {}, "thing")


@pytest.mark.parametrize(
    ("modules", "handler"),
    [
        ({"index.mjs": "export const handler = async () => 1", "app.js": ""}, "index.handler"),
        ({"app.mjs": "export const lambdaHandler = async (event) => {}"}, "app.lambdaHandler"),
        ({"app.js": "module.exports.main = async () => 1;"}, "app.main"),
        ({"app.cjs": "exports.handler = awslambda.streamifyResponse(f);"}, "app.handler"),
        (
            {"thing.mjs": "async function run() {}\nexport { run as handler, other };", "util.mjs": ""},
            "thing.handler",
        ),
        ({"whatever.js": "!function(e){}(this)"}, "whatever.handler"),
    ],
)
def test_the_handler_is_found_in_javascript(modules: dict[str, str], handler: str) -> None:
    assert infer_handler("nodejs22.x", modules.keys(), modules, "thing") == handler


def test_several_files_of_javascript_are_a_question() -> None:
    with pytest.raises(UsageError, match="which handler"):
        infer_handler("nodejs22.x", {"a.js", "b.js"}, {}, "thing")


def test_a_coroutine_is_no_handler() -> None:
    assert list(defined_names("async def handler(event, context): ...")) == []


def test_a_text_that_is_no_python_has_no_names() -> None:
    assert list(defined_names("def (:")) == []
    assert list(defined_names("a\0b")) == []


@pytest.mark.parametrize(
    ("runtime", "names", "handler"),
    [("nodejs22.x", {"index.mjs"}, "index.handler"), ("provided.al2023", {"bootstrap"}, "bootstrap")],
)
def test_other_languages_have_their_usual_handler(runtime: str, names: set[str], handler: str) -> None:
    assert infer_handler(runtime, names, {}, "thing") == handler


@pytest.mark.parametrize("runtime", ["java21", "nodejs22.x", "ruby3.4"])
def test_a_language_without_a_usual_handler_asks_for_one(runtime: str) -> None:
    with pytest.raises(UsageError, match=f"which handler {runtime}"):
        infer_handler(runtime, set(), {}, "thing")


def test_a_handler_is_in_the_code_or_not() -> None:
    assert has_handler("app.handler", {"app.py": HANDLER})
    assert not has_handler("app.other", {"app.py": HANDLER})
    assert not has_handler("gone.handler", {"app.py": HANDLER})
