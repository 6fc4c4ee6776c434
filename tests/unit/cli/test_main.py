"""Failures are sentences and exit codes, never tracebacks."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

from lambent import __version__
from lambent.cli import functions
from unit.cli.stand_in import Run


def test_the_version_is_said_in_both_ways(run: Run) -> None:
    assert run("version").out.decode() == f"lambent {__version__}\n"
    assert run("--version").out.decode() == f"lambent {__version__}\n"


@pytest.mark.parametrize(
    "command", ["up", "demo", "deploy", "invoke", "logs", "list", "delete", "simulate", "advise", "version"]
)
def test_every_command_explains_itself(run: Run, command: str) -> None:
    ran = run(command, "--help")
    assert ran.code == 0
    assert f"lambent {command}".encode() in ran.out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("nonsense",), "No such command 'nonsense'"),
        (("list", "--nonsense"), "No such option: --nonsense"),
        (("invoke",), "Missing argument 'NAME'"),
        (("deploy", ".", "--memory", "much"), "--memory"),
        (("deploy", ".", "--architecture", "mips"), "--architecture must be x86_64 or arm64"),
        (("deploy", ".", "--env", "novalue"), "--env takes NAME=VALUE"),
    ],
)
def test_misuse_is_one_sentence_and_exit_code_2(run: Run, arguments: tuple[str, ...], words: str) -> None:
    ran = run(*arguments)
    assert ran.code == 2
    assert ran.out == b""
    assert words in ran.err
    assert ran.err.count("\n") == 1


def test_no_command_shows_the_help(run: Run) -> None:
    ran = run()
    assert ran.code == 2
    assert b"Usage: lambent" in ran.out + ran.err.encode()
    assert "lambent: " not in ran.err


@pytest.mark.parametrize("group", ["budget", "iam"])
def test_a_group_without_a_command_shows_its_help_and_says_no_more(run: Run, group: str) -> None:
    ran = run(group)
    assert ran.code == 2
    assert f"Usage: lambent {group}".encode() in ran.out
    assert ran.err == ""


def raising(error: BaseException):
    def connect(*_: object) -> None:
        raise error

    return connect


def test_an_interrupt_is_exit_code_130(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(functions, "connect", raising(KeyboardInterrupt()))
    ran = run("list")
    assert ran.code == 130
    assert "Traceback" not in ran.err


def test_a_bug_of_ours_says_that_it_is_one(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(functions, "connect", raising(KeyError("x")))
    ran = run("list")
    assert ran.code == 1
    assert "This is a bug" in ran.err
    assert "KeyError" in ran.err
    assert ran.err.count("\n") == 1


def test_verbose_shows_the_traceback(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(functions, "connect", raising(KeyError("x")))
    assert "Traceback (most recent call last)" in run("--verbose", "list").err


def test_help_waits_for_no_sdk() -> None:
    """boto3 alone would take longer than the whole help does."""
    code = (
        "import sys; from lambent.cli import main; main(['--help']);"
        "sys.exit(int(any(name in sys.modules for name in ('boto3', 'botocore', 'lambent.app'))))"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert ended.returncode == 0
    assert b"deploy" in ended.stdout


def test_a_command_waits_for_no_other_commands_modules() -> None:
    code = (
        "import sys; from lambent.cli import main; main(['version']);"
        "print(sorted(name for name in sys.modules if name.startswith('lambent.cli.')))"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False, text=True)
    imported = {name.removeprefix("lambent.cli.") for name in re.findall(r"lambent\.cli\.\w+", ended.stdout)}
    assert imported == {"client", "failures", "main", "terminal"}


@pytest.mark.parametrize("arguments", [["--help"], ["version"], ["up", "--help"]])
def test_a_reader_that_has_gone_is_no_traceback(arguments: list[str]) -> None:
    """As in `lambent … | head -1`: whoever reads may stop reading."""
    reading, writing = os.pipe()
    os.close(reading)
    try:
        ended = subprocess.run(
            [sys.executable, "-m", "lambent", *arguments], stdout=writing, stderr=subprocess.PIPE, check=False
        )
    finally:
        os.close(writing)
    assert ended.returncode == 1
    assert ended.stderr == b""
