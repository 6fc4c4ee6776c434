"""Access key ids name their account, in AWS's layout."""

from __future__ import annotations

import re

import pytest

from lambent.domain.identity import access_key_id, account_of_access_key


def test_awss_own_ids_are_understood() -> None:
    """The id of a known account, from a public write-up of the layout."""
    assert account_of_access_key("ASIAQNZGKIQY56JQ7WML") == "029608264753"


@pytest.mark.parametrize("account", ["000000000000", "123456789012", "999999999999"])
@pytest.mark.parametrize("entropy", [bytes(5), b"\xff" * 5, b"\x12\x34\x56\x78\x9a\xbc"])
def test_an_id_tells_the_account_it_was_made_for(account: str, entropy: bytes) -> None:
    key_id = access_key_id("AKIA", account, entropy)
    assert re.fullmatch(r"AKIA[A-Z2-7]{16}", key_id)
    assert account_of_access_key(key_id) == account


def test_ids_differ_by_their_entropy() -> None:
    assert len({access_key_id("AKIA", "123456789012", bytes([0, 0, 0, 0, n])) for n in range(256)}) == 256


@pytest.mark.parametrize(
    "key_id", ["", "test", "123456789012", "AKIAIOSFODNN7EXAMPLE", "AKIA" + "7" * 16, "ÄKIA"]
)
def test_other_ids_name_no_account(key_id: str) -> None:
    """Old ids of AWS's, ids of no base32, and numbers beyond the highest account."""
    assert account_of_access_key(key_id) is None
