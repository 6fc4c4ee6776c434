"""Path templates as one tree."""

from __future__ import annotations

import pytest

from lambent.wire.paths import PathTable

TABLE = PathTable(
    [
        ("GET", "/2015-03-31/functions/", "list"),
        ("POST", "/2015-03-31/functions", "create"),
        ("GET", "/2015-03-31/functions/{FunctionName}", "get"),
        ("GET", "/2015-03-31/functions/{FunctionName}/policy", "policy"),
        ("GET", "/things/special", "special"),
        ("GET", "/things/{Thing}", "thing"),
        ("GET", "/things/{Thing}/parts", "parts"),
        ("GET", "/layers", "layers"),
        ("GET", "/layers?find=LayerVersion", "layer by ARN"),
        ("GET", "/layers?find=LayerVersion&all", "all layers by ARN"),
        ("GET", "/objects/{Path+}", "object"),
        ("GET", "/objects/{Path+}/tags", "tags of an object"),
        ("GET", "/", "root"),
    ]
)


@pytest.mark.parametrize(
    ("path", "target", "labels"),
    [
        ("/2015-03-31/functions", "list", {}),
        ("/2015-03-31/functions/", "list", {}),
        ("/2015-03-31/functions/f", "get", {"FunctionName": "f"}),
        ("/2015-03-31/functions/f/", "get", {"FunctionName": "f"}),
        ("/2015-03-31/functions/arn%3Aaws%3Alambda:f/policy", "policy", {"FunctionName": "arn:aws:lambda:f"}),
        ("/things/special", "special", {}),
        ("/things/special/parts", "parts", {"Thing": "special"}),
        ("/things/a%2Fb", "thing", {"Thing": "a/b"}),
        ("/things/%C3%BC%2525", "thing", {"Thing": "ü%25"}),
        ("/objects/a/b%20c/d", "object", {"Path": "a/b c/d"}),
        ("/objects/a/b/tags", "tags of an object", {"Path": "a/b"}),
        ("/", "root", {}),
        ("", "root", {}),
    ],
)
def test_a_path_leads_to_the_most_literal_template_and_its_decoded_labels(
    path: str, target: str, labels: dict[str, str]
) -> None:
    assert TABLE.find("GET", path, "") == (target, labels)


@pytest.mark.parametrize(
    "path",
    [
        "/2015-03-31",
        "/2015-03-31/functions/f/policy/more",
        "/2015-03-31/functions//policy",
        "/things/%FF",
        "/objects",
        "/a" * 1000,
    ],
)
def test_a_path_that_no_template_has_leads_nowhere(path: str) -> None:
    assert TABLE.find("GET", path, "") is None


def test_the_method_decides_between_equal_templates() -> None:
    assert TABLE.find("POST", "/2015-03-31/functions", "") == ("create", {})
    assert TABLE.find("DELETE", "/2015-03-31/functions", "") is None


@pytest.mark.parametrize(
    ("query", "target"),
    [
        ("", "layers"),
        ("find=Other", "layers"),
        ("Arn=x&find=LayerVersion", "layer by ARN"),
        ("all=&find=LayerVersion", "all layers by ARN"),
    ],
)
def test_literal_query_parameters_choose_the_most_demanding_template_that_they_satisfy(
    query: str, target: str
) -> None:
    assert TABLE.find("GET", "/layers", query) == (target, {})


def test_a_path_leads_to_the_same_however_often_and_whatever_else_was_asked_for() -> None:
    names = [f"f{number}" for number in range(5_000)] + ["x" * 2_000, "f0", "f0"]
    for name in names:
        assert TABLE.find("GET", f"/2015-03-31/functions/{name}", "") == ("get", {"FunctionName": name})
        assert TABLE.find("GET", f"/2015-03-31/functions/{name}", "") == ("get", {"FunctionName": name})
