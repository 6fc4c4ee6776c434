"""Signatures of messages of topics, by a key of this server; anybody can verify them with its certificate.

The key is made when the first message is signed, and kept in the data directory. AWS's page "Verifying the
signatures of Amazon SNS messages" says how: RSA, PKCS #1 v1.5, SHA-1 for version 1 and SHA-256 for version 2.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections import OrderedDict
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from lambent.data_directory import DataDirectoryError, write_private
from lambent.domain.publication import Signature

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

CERTIFICATE_PATH = "/_lambent/sns/"
_CERTIFICATE = b"-----BEGIN CERTIFICATE-----"
_KEY_BITS = 2048
_VALID_DAYS = 36_500
_REMEMBERED_MAX = 512


def open_signing(file: Path, now_s: Callable[[], float]) -> Signing:
    """Return what signs, by the key in a file, which need not be there yet.

    Raises:
        DataDirectoryError: it is there and damaged.
    """
    if file.exists() and _CERTIFICATE not in file.read_bytes():
        raise _damaged(file)
    return Signing(file, now_s)


class Signing:
    """Owns the key.

    Args:
        file: where key and certificate are kept, as PEM.
        now_s: the time, in seconds since the epoch.
    """

    def __init__(self, file: Path, now_s: Callable[[], float]) -> None:
        self._file = file
        self._now_s = now_s
        self._key: RSAPrivateKey | None = None
        self._certificate = b""
        self._opening = asyncio.Lock()
        self._remembered: OrderedDict[tuple[str, bytes], str] = OrderedDict()
        """What all subscribers of a protocol are sent has one signature."""

    async def sign(self, text: str, *, version: str, endpoint_url: str) -> Signature:
        """Return the signature of a text.

        Args:
            text: what is signed.
            version: ``1`` or ``2``.
            endpoint_url: where this server is reached.
        """
        await self._open()
        return Signature(
            version=version,
            value=self._signed(text.encode(), version),
            certificate_url=f"{endpoint_url}{CERTIFICATE_PATH}{self._certificate_name()}",
        )

    async def certificate(self, name: str) -> bytes | None:
        """Return the certificate of this name as PEM; None when there is none of it."""
        await self._open()
        return self._certificate if name == self._certificate_name() else None

    def _certificate_name(self) -> str:
        digest = hashlib.sha256(self._certificate).hexdigest()[:32]
        return f"SimpleNotificationService-{digest}.pem"

    def _signed(self, content: bytes, version: str) -> str:
        place = version, hashlib.sha256(content).digest()
        if (known := self._remembered.get(place)) is not None:
            return known
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import padding

        assert self._key is not None
        # SHA-1 is what version 1 is, and what verifiers expect.
        algorithm = hashes.SHA256() if version == "2" else hashes.SHA1()  # noqa: S303
        signature = self._key.sign(content, padding.PKCS1v15(), algorithm)
        self._remembered[place] = encoded = base64.b64encode(signature).decode()
        if len(self._remembered) > _REMEMBERED_MAX:
            self._remembered.popitem(last=False)
        return encoded

    async def _open(self) -> None:
        if self._key is None:
            async with self._opening:
                if self._key is None:
                    self._certificate, self._key = await asyncio.to_thread(self._read_or_make)

    def _read_or_make(self) -> tuple[bytes, RSAPrivateKey]:
        from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
        from cryptography.hazmat.primitives.serialization import load_pem_private_key

        if not self._file.exists():
            write_private(self._file, _new_key_and_certificate(self._now_s()))
        content = self._file.read_bytes()
        key_text, marker, certificate = content.partition(_CERTIFICATE)
        try:
            key = load_pem_private_key(key_text, password=None)
        except ValueError:
            key = None
        if not marker or not isinstance(key, RSAPrivateKey):
            raise _damaged(self._file)
        return marker + certificate, key


def _damaged(file: Path) -> DataDirectoryError:
    return DataDirectoryError(
        f"{file} is damaged: remove it, and a new key that signs messages of topics is made."
    )


def _new_key_and_certificate(now_s: float) -> bytes:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import rsa
    from cryptography.x509.oid import NameOID

    key = rsa.generate_private_key(public_exponent=65_537, key_size=_KEY_BITS)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Lambent, messages of topics")])
    now = datetime.fromtimestamp(now_s, UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=_VALID_DAYS))
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return private + certificate.public_bytes(pem)
