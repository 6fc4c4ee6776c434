"""Session tokens carry their session, and nobody without the secret can make or change one."""

from __future__ import annotations

import base64
from dataclasses import replace

import pytest

from lambent.domain.identity import account_of_access_key
from lambent.domain.session import Session, seal, unseal

SECRET = b"the server's"
SESSION = Session(
    account="123456789012",
    role_arn="arn:aws:iam::123456789012:role/apps/worker",
    role_id="AROAEXAMPLE",
    name="me",
    expires_s=1_767_323_045,
    policy="{}",
    policy_arns=("arn:aws:iam::aws:policy/ReadOnlyAccess",),
    tags={"team": "a"},
    transitive_tag_keys=("team",),
    source_identity="alice",
)


def test_what_is_sealed_is_unsealed() -> None:
    credentials = seal(SECRET, SESSION)
    assert unseal(SECRET, credentials.access_key_id, credentials.session_token) == (SESSION, credentials)


def test_an_assumed_roles_arn_leaves_the_path_out() -> None:
    assert SESSION.arn == "arn:aws:sts::123456789012:assumed-role/worker/me"
    assert SESSION.user_id == "AROAEXAMPLE:me"


def test_a_session_may_lend_an_identity() -> None:
    lent = replace(SESSION, lent_arn="arn:aws:iam::123456789012:user/alice", lent_id="AIDAEXAMPLE")
    assert (lent.arn, lent.user_id) == ("arn:aws:iam::123456789012:user/alice", "AIDAEXAMPLE")


def test_temporary_access_key_ids_name_their_account() -> None:
    key_id = seal(SECRET, SESSION).access_key_id
    assert key_id.startswith("ASIA")
    assert account_of_access_key(key_id) == "123456789012"


def test_sessions_that_differ_have_different_credentials() -> None:
    one, other = seal(SECRET, SESSION), seal(SECRET, replace(SESSION, expires_s=SESSION.expires_s + 1))
    assert one.access_key_id != other.access_key_id
    assert one.secret_access_key != other.secret_access_key


def test_another_servers_token_is_not_ours() -> None:
    credentials = seal(b"another server's", SESSION)
    assert unseal(SECRET, credentials.access_key_id, credentials.session_token) is None


def test_a_token_fits_its_own_access_key_only() -> None:
    one, other = seal(SECRET, SESSION), seal(SECRET, replace(SESSION, name="you"))
    assert unseal(SECRET, one.access_key_id, other.session_token) is None


def test_a_changed_token_is_refused_wherever_it_was_changed() -> None:
    credentials = seal(SECRET, SESSION)
    raw = bytearray(base64.b64decode(credentials.session_token))
    for place in range(0, len(raw), 7):
        changed = raw.copy()
        changed[place] ^= 1
        token = base64.b64encode(changed).decode()
        assert unseal(SECRET, credentials.access_key_id, token) is None


@pytest.mark.parametrize("token", ["", "x", "ä", "AAAA", base64.b64encode(bytes(100)).decode()])
def test_what_is_no_token_is_refused(token: str) -> None:
    assert unseal(SECRET, "ASIA" + "A" * 16, token) is None
