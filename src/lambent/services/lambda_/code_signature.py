"""Signatures of deployment packages by local keys.

AWS Signer signs packages on AWS; here whoever has an Ed25519 key does. A signed package holds three more files:

- ``META-INF/lambent/manifest``: a line per file as ``sha256sum`` writes it,
- ``META-INF/lambent/manifest.sig``: the signature of the manifest (``openssl pkeyutl -sign -rawin``),
- ``META-INF/lambent/publisher.der``: the public key (``openssl pkey -pubout -outform DER``).

A signing profile version stands for a key when its ARN ends with the SHA-256 of that DER file in hex, as in
``arn:aws:signer:us-east-1:000000000000:/signing-profiles/mine/9f86…``: the ARN that a code signing configuration
allows says by itself which key is trusted. Knows zips and keys, and nothing of configurations.
"""

from __future__ import annotations

import hashlib
import io
import re
import zipfile
from collections.abc import Iterable

from lambent.services.lambda_.errors import InvalidCodeSignatureException

FOLDER = "META-INF/lambent/"
MANIFEST, SIGNATURE, PUBLISHER = f"{FOLDER}manifest", f"{FOLDER}manifest.sig", f"{FOLDER}publisher.der"
DER_PREFIX = bytes.fromhex("302a300506032b6570032100")
"""What an Ed25519 public key begins with in DER (RFC 8410)."""
_KEY_BYTES = 32
_LINE = re.compile(r"([0-9a-f]{64}) [ *](?:\./)?([^\n]+)")
_CHUNK_BYTES = 1 << 20


def publisher_of(content: bytes) -> str | None:
    """Return who signed a deployment package: the SHA-256 of the public key in hex; None when nobody did.

    Args:
        content: a zip that has been checked as a package.

    Raises:
        InvalidCodeSignatureException: it is not what was signed.
    """
    with zipfile.ZipFile(io.BytesIO(content)) as package:
        names = [entry.filename for entry in package.infolist() if not entry.is_dir()]
        if not {MANIFEST, SIGNATURE, PUBLISHER} & set(names):
            return None
        if not {MANIFEST, SIGNATURE, PUBLISHER} <= set(names):
            raise _not_intact()
        manifest, key = package.read(MANIFEST), package.read(PUBLISHER)
        if not _is_by(key, manifest, package.read(SIGNATURE)):
            raise _not_intact()
        signed_names = [name for name in names if not name.startswith(FOLDER)]
        if _entries(manifest) != _measured(package, signed_names):
            raise _not_intact()
    return hashlib.sha256(key).hexdigest()


def is_allowed(publisher: str | None, profile_version_arns: Iterable[str]) -> bool:
    """Whether a publisher is one of those that signing profile versions stand for."""
    return publisher is not None and any(
        arn.split(":", 3)[2] == "signer" and arn.rpartition("/")[2] == publisher
        for arn in profile_version_arns
    )


def _is_by(key: bytes, manifest: bytes, signature: bytes) -> bool:
    # Only here, and late: few deployments are signed, and starting a server should not wait for it.
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    if len(key) != len(DER_PREFIX) + _KEY_BYTES or not key.startswith(DER_PREFIX):
        return False
    try:
        Ed25519PublicKey.from_public_bytes(key[-_KEY_BYTES:]).verify(signature, manifest)
    except (InvalidSignature, ValueError):
        return False
    return True


def _entries(manifest: bytes) -> dict[str, str]:
    """Return hashes by name; what is written otherwise than `sha256sum` does was not signed for."""
    found: dict[str, str] = {}
    for line in manifest.decode("utf-8", "replace").splitlines():
        match = _LINE.fullmatch(line)
        if match is None or match[2] in found:
            raise _not_intact()
        if not match[2].startswith(FOLDER):
            found[match[2]] = match[1]
    return found


def _measured(package: zipfile.ZipFile, names: Iterable[str]) -> dict[str, str]:
    return {name: _sha256(package, name) for name in names}


def _sha256(package: zipfile.ZipFile, name: str) -> str:
    digest = hashlib.sha256()
    with package.open(name) as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def _not_intact() -> InvalidCodeSignatureException:
    return InvalidCodeSignatureException(
        "The code signature failed the integrity check. If the integrity check fails, then Lambda blocks "
        "deployment, even if the code signing policy is set to WARN."
    )
