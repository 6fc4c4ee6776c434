"""Signatures of messages: anybody can verify them by the certificate that is served."""

from __future__ import annotations

import asyncio
import base64
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from lambent.data_directory import DataDirectoryError
from lambent.delivery.signing import CERTIFICATE_PATH, Signing, open_signing
from lambent.domain.publication import Signature

NOW_S = 1_767_323_045.0


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("key") / "message-key.pem"


def signed(file: Path, text: str, version: str) -> tuple[Signature, bytes]:
    async def ask() -> tuple[Signature, bytes]:
        signing = Signing(file, lambda: NOW_S)
        signature = await signing.sign(text, version=version, endpoint_url="http://h")
        name = signature.certificate_url.removeprefix(f"http://h{CERTIFICATE_PATH}")
        assert await signing.certificate("other.pem") is None
        certificate = await signing.certificate(name)
        assert certificate is not None
        return signature, certificate

    return asyncio.run(ask())


@pytest.mark.parametrize(("version", "algorithm"), [("1", hashes.SHA1()), ("2", hashes.SHA256())])
def test_a_signature_is_verified_by_the_certificate(
    file: Path, version: str, algorithm: hashes.HashAlgorithm
) -> None:
    signature, pem = signed(file, "what is ünsigned", version)
    certificate = x509.load_pem_x509_certificate(pem)
    assert certificate.not_valid_before_utc.timestamp() < NOW_S < certificate.not_valid_after_utc.timestamp()
    key = certificate.public_key()
    assert isinstance(key, RSAPublicKey)
    value = base64.b64decode(signature.value)
    key.verify(value, "what is ünsigned".encode(), padding.PKCS1v15(), algorithm)
    with pytest.raises(InvalidSignature):
        key.verify(value, b"something else", padding.PKCS1v15(), algorithm)


def test_the_key_is_kept_where_only_its_owner_reads_it(file: Path) -> None:
    before, certificate = signed(file, "x", "1")
    after, same = signed(file, "x", "1")
    assert (before, certificate) == (after, same)
    assert b"PRIVATE" not in certificate
    assert file.stat().st_mode & 0o777 == 0o600


def test_a_damaged_key_is_said_to_be_damaged(tmp_path: Path) -> None:
    damaged = tmp_path / "message-key.pem"
    damaged.write_bytes(b"nothing")
    with pytest.raises(DataDirectoryError, match="is damaged: remove it"):
        signed(damaged, "x", "1")
    with pytest.raises(DataDirectoryError, match="is damaged: remove it"):
        open_signing(damaged, lambda: NOW_S)
