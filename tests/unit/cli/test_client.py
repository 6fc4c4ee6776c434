"""Commands talk to whom the user means, as whom the user means, and failures are sentences."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from botocore import exceptions

from lambent.cli.client import Connection, Target, TargetFlags, choose_target, translate
from lambent.cli.terminal import CommandError, UsageError
from unit.cli.stand_in import Run, StandIn


def target(environ: dict[str, str] | None = None, **flags: object) -> Target:
    return choose_target(TargetFlags(**flags), environ or {})  # type: ignore[arg-type]


def test_the_endpoint_is_the_flag_then_the_variables_then_this_machine() -> None:
    environ = {"LAMBENT_ENDPOINT": "http://b:1", "AWS_ENDPOINT_URL": "http://c:1"}
    assert target(environ, endpoint="http://a:1").endpoint == "http://a:1"
    assert target(environ).endpoint == "http://b:1"
    assert target({**environ, "LAMBENT_ENDPOINT": ""}).endpoint == "http://c:1"
    assert target().endpoint == "http://127.0.0.1:4566"


def test_the_region_is_the_flag_then_the_variables_then_the_usual_one() -> None:
    environ = {"AWS_REGION": "eu-west-1", "AWS_DEFAULT_REGION": "eu-west-2"}
    assert target(environ, region="eu-west-3").region == "eu-west-3"
    assert target(environ).region == "eu-west-1"
    assert target({"AWS_DEFAULT_REGION": "eu-west-2"}).region == "eu-west-2"
    assert target().region == "us-east-1"


def test_credentials_of_the_environment_are_used_and_none_are_needed() -> None:
    environ = {"AWS_ACCESS_KEY_ID": "AKIA1", "AWS_SECRET_ACCESS_KEY": "s", "AWS_SESSION_TOKEN": "t"}
    given = target(environ)
    assert (given.access_key_id, given.secret_access_key, given.session_token) == ("AKIA1", "s", "t")
    assert target().access_key_id == "000000000000"


def test_aws_means_boto3s_own_ways() -> None:
    """Nothing of the environment that names an endpoint may lead --aws elsewhere."""
    chosen = target({"LAMBENT_ENDPOINT": "http://b:1", "AWS_ENDPOINT_URL": "http://c:1"}, aws=True)
    assert chosen.is_aws
    assert chosen.access_key_id is None


def test_aws_ignores_an_endpoint_that_is_configured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    client = Connection(Target(endpoint=None, region="eu-west-1")).client("lambda")
    assert client.meta.endpoint_url == "https://lambda.eu-west-1.amazonaws.com"


def test_aws_and_an_endpoint_exclude_each_other() -> None:
    with pytest.raises(UsageError, match="not both"):
        target(aws=True, endpoint="http://a:1")


@pytest.mark.parametrize("text", ["localhost:4566", "ftp://a", "http://", "http://a:port", "http://a:99999"])
def test_an_endpoint_that_is_no_url_is_a_wrong_argument(text: str) -> None:
    with pytest.raises(UsageError, match="--endpoint must be a URL"):
        target(endpoint=text)
    with pytest.raises(UsageError, match="LAMBENT_ENDPOINT must be a URL"):
        target({"LAMBENT_ENDPOINT": text})


def test_flags_after_the_command_win_over_those_before_it() -> None:
    before = TargetFlags(endpoint="http://a:1", region="r1")
    assert TargetFlags(endpoint="http://b:1").over(before) == TargetFlags(endpoint="http://b:1", region="r1")


def test_both_places_for_the_endpoint_work(run: Run, aws: StandIn) -> None:
    aws.on("GET", "/2015-03-31/functions.*", {"Functions": []})
    assert run("--endpoint", aws.endpoint, "list").code == 0
    assert run("list", "--endpoint", aws.endpoint).code == 0
    assert run("--endpoint", "http://127.0.0.1:1", "list", "--endpoint", aws.endpoint).code == 0
    assert len(aws.asked) == 3


def test_a_missing_profile_or_a_broken_aws_file_does_not_stop_us(
    run: Run, aws: StandIn, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "config").write_text("this is [no ini file")
    monkeypatch.setenv("AWS_PROFILE", "missing")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("LAMBENT_ENDPOINT", aws.endpoint)
    aws.on("GET", "/2015-03-31/functions.*", {"Functions": []})
    assert run("list").code == 0


def test_a_proxy_is_not_asked_for_this_machine(
    run: Run, aws: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    aws.on("GET", "/2015-03-31/functions.*", {"Functions": []})
    assert run("list", "--endpoint", aws.endpoint).code == 0


def test_requests_name_account_and_region_in_their_signature(run: Run, aws: StandIn) -> None:
    aws.on("GET", "/2015-03-31/functions.*", {"Functions": []})
    run("list", "--endpoint", aws.endpoint, "--region", "eu-west-1")
    assert "Credential=000000000000/" in aws.asked[0].headers["authorization"]
    assert "/eu-west-1/lambda/aws4_request" in aws.asked[0].headers["authorization"]


def test_nobody_there_is_one_sentence_with_the_way_out(run: Run) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{unused.getsockname()[1]}"
        ran = run("list", "--endpoint", address)
    assert ran.code == 1
    assert ran.err == f"lambent: Nothing answers at {address}: start it with `lambent up`.\n"


def test_an_answer_of_aws_is_one_sentence_with_its_code(run: Run, aws: StandIn) -> None:
    aws.missing("POST", ".*invocations")
    ran = run("invoke", "it", "--endpoint", aws.endpoint)
    assert ran.code == 1
    assert ran.err == "lambent: Invoke failed with ResourceNotFoundException: Function not found: it\n"
    assert ran.out == b""


def test_a_server_that_is_something_else_is_one_sentence(run: Run, aws: StandIn) -> None:
    ran = run("list", "--endpoint", aws.endpoint)
    assert ran.code == 1
    assert ran.err.startswith("lambent: ListFunctions failed with 500: ")
    assert ran.err.count("\n") == 1


def test_a_parameter_that_boto3_refuses_is_a_wrong_argument(run: Run, aws: StandIn) -> None:
    ran = run("invoke", "", "--endpoint", aws.endpoint)
    assert ran.code == 2
    assert ran.err.count("\n") == 1


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (exceptions.NoCredentialsError(), "No AWS credentials were found"),
        (exceptions.NoRegionError(), "--region"),
        (exceptions.ReadTimeoutError(endpoint_url="http://h:1/x"), "http://h:1 did not answer in time"),
        (
            exceptions.EndpointConnectionError(endpoint_url="https://lambda.eu-west-1.amazonaws.com/x"),
            "AWS cannot be reached at https://lambda.eu-west-1.amazonaws.com",
        ),
        (exceptions.ProfileNotFound(profile="p"), "p"),
    ],
)
def test_what_boto3_raises_becomes_a_sentence(error: Exception, words: str) -> None:
    sentence = translate(error)
    assert isinstance(sentence, CommandError)
    assert words in str(sentence)
    assert "\n" not in str(sentence)


def test_what_is_not_boto3s_stays_as_it_is() -> None:
    assert translate(ValueError("x")) is None
