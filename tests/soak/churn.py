"""Churn: the owner of the functions, who changes them while they are called."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from tests.harness import ROLE, Server, zip_of
from tests.soak.functions import CHARACTERS, GOOD, Character, by_name

_PAUSE_S = 0.4
_POLL_S = 0.05
_PATIENCE_S = 60.0
_EXPECTED = frozenset({"ResourceConflictException", "ResourceNotFoundException", "TooManyRequestsException"})
"""What an owner may hear who changes things while other changes are under way."""


def create_all(client: Any) -> None:
    """Create every function, and wait until all of them can be invoked."""
    for character in CHARACTERS:
        create(client, character)
    for character in CHARACTERS:
        wait_until_active(client, character.name)
    client.put_function_concurrency(FunctionName="limited", ReservedConcurrentExecutions=1)
    for character in CHARACTERS:
        if character.qualifier:
            publish(client, character)
    until(lambda: _try_to_provision(client))
    wait_until_provisioned(client)


def create(client: Any, character: Character, turn: int = 0) -> None:
    """Create a function; its code is new in every turn."""
    settings: dict[str, Any] = {"Timeout": 20, "MemorySize": 256, "Runtime": "python3.12"}
    client.create_function(
        FunctionName=character.name,
        Code={"ZipFile": _code(character.source, turn)},
        Handler="app.handler",
        Role=ROLE,
        **(settings | dict(character.configuration)),
    )


def publish(client: Any, character: Character) -> None:
    """Publish a version that the character's alias points to, and wait until it can be invoked."""
    version = client.publish_version(FunctionName=character.name)["Version"]
    client.create_alias(FunctionName=character.name, Name=character.qualifier, FunctionVersion=version)
    wait_until_active(client, character.name, version)


def wait_until_active(client: Any, name: str, version: str = "$LATEST") -> None:
    """Return when a version can be invoked."""
    until(
        lambda: client.get_function_configuration(FunctionName=name, Qualifier=version)["State"] == "Active"
    )


def wait_until_provisioned(client: Any) -> None:
    """Return when the alias has its environment."""
    until(lambda: _provisioned_status(client) == "READY")


def _provisioned_status(client: Any) -> str:
    answer = client.get_provisioned_concurrency_config(FunctionName="provisioned", Qualifier="live")
    return str(answer["Status"])


def _try_to_provision(client: Any) -> bool:
    try:
        client.put_provisioned_concurrency_config(
            FunctionName="provisioned", Qualifier="live", ProvisionedConcurrentExecutions=1
        )
    except ClientError as error:
        if error.response["Error"]["Code"] != "ResourceConflictException":
            raise
        return False
    return True


def until(is_so: Callable[[], bool], patience_s: float = _PATIENCE_S) -> None:
    """Wait until something is so.

    Raises:
        TimeoutError: it never is.
    """
    deadline_s = time.monotonic() + patience_s
    while not is_so():
        if time.monotonic() > deadline_s:
            raise TimeoutError("it never came to be")
        time.sleep(_POLL_S)


class Churn:
    """Changes functions of a server, one change at a time, until it is told to stop or the server ends."""

    def __init__(self, server: Server, *, seed: int, first_turn: int) -> None:
        self._client = server.client("lambda")
        self._chance = random.Random(seed)
        self._is_over = threading.Event()
        self._may_work = threading.Event()
        self._may_work.set()
        self._is_resting = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.turn = first_turn
        self.changes = 0
        self.findings: list[str] = []

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def pause(self) -> None:
        """Stop changing for a while; returns when the change of now is done."""
        self._is_resting.clear()
        self._may_work.clear()
        self._is_resting.wait(_PATIENCE_S)

    def go_on(self) -> None:
        """Change on."""
        self._may_work.set()

    def end(self) -> None:
        """Stop; returns when the change of now is done."""
        self._is_over.set()
        self._may_work.set()
        self._thread.join(_PATIENCE_S)
        if self._thread.is_alive():
            self.findings.append("a change to a function was never answered")

    def _run(self) -> None:
        changes = (
            self._change_configuration,
            self._change_configuration,
            self._change_code,
            self._delete_and_create,
            self._move_alias,
        )
        while not self._is_over.wait(_PAUSE_S):
            if not self._may_work.is_set():
                self._is_resting.set()
                self._may_work.wait()
                continue
            self.turn += 1
            change = self._chance.choice(changes)
            try:
                change()
                self.changes += 1
            except ClientError as error:
                if error.response["Error"]["Code"] not in _EXPECTED:
                    self.findings.append(f"{change.__name__.strip('_').replace('_', ' ')}: {error}")
            except BotoCoreError:
                continue  # The server is being ended: it has happened or not.

    def _change_configuration(self) -> None:
        self._client.update_function_configuration(
            FunctionName="changing", Environment={"Variables": {"TURN": str(self.turn)}}
        )

    def _change_code(self) -> None:
        self._client.update_function_code(FunctionName="changing", ZipFile=_code(GOOD, self.turn))

    def _delete_and_create(self) -> None:
        name = "coming-and-going"
        try:
            self._client.delete_function(FunctionName=name)
        except ClientError as error:
            if error.response["Error"]["Code"] != "ResourceNotFoundException":
                raise
        create(self._client, by_name(name), self.turn)

    def _move_alias(self) -> None:
        """Publish a version, let the alias point to it, and delete the version before."""
        name = "provisioned"
        self._client.update_function_code(FunctionName=name, ZipFile=_code(GOOD, self.turn))
        until(
            lambda: (
                self._client.get_function_configuration(FunctionName=name)["LastUpdateStatus"] != "InProgress"
            )
        )
        before = self._client.get_alias(FunctionName=name, Name="live")["FunctionVersion"]
        version = self._client.publish_version(FunctionName=name)["Version"]
        until(
            lambda: (
                self._client.get_function_configuration(FunctionName=name, Qualifier=version)["State"]
                == "Active"
            )
        )
        self._client.update_alias(FunctionName=name, Name="live", FunctionVersion=version)
        if before != version:
            self._client.delete_function(FunctionName=name, Qualifier=before)


def _code(source: str, turn: int) -> bytes:
    if "exports.handler" in source:
        return zip_of({"app.js": f"{source}\n// {turn}\n"})
    return zip_of({"app.py": f"{source}\n# {turn}\n"})
