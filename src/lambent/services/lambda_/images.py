"""Container images as functions' code: what may be said of them, and how AWS shows them. Pure.

Nothing is fetched: there is no registry here, and images are not run yet. So a tag cannot be resolved; the
digest that stands for its image is that of the address as it was written, unless the address has the digest.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Any

from lambent.domain.function import Code, FunctionVersion
from lambent.errors import InvalidParameterValueException, NotImplemented_

IMAGE, ZIP = "Image", "Zip"
# A reference as registries have it: an optional host, path components, and a tag or a digest or both.
_REFERENCE = re.compile(
    r"(?P<name>(?:[A-Za-z0-9.-]+(?::\d+)?/)?[a-z0-9]+(?:[._-]+[a-z0-9]+)*(?:/[a-z0-9]+(?:[._-]+[a-z0-9]+)*)*)"
    r"(?P<tag>:\w[\w.-]{0,127})?(?:@sha256:(?P<digest>[0-9a-f]{64}))?"
)
_REFERENCE_MAX = 1_024
_CONFIG_MEMBERS = ("EntryPoint", "Command", "WorkingDirectory")


def image_code(uri: str) -> Code:
    """Return what is kept of an image.

    Raises:
        InvalidParameterValueException: the address is none of an image.
    """
    match = _REFERENCE.fullmatch(uri) if len(uri) <= _REFERENCE_MAX else None
    if match is None or not (match["tag"] or match["digest"]):
        raise InvalidParameterValueException(
            f"Source image {uri} is not valid. Provide a valid source image."
        )
    digest = match["digest"] or hashlib.sha256(uri.encode()).hexdigest()
    return Code(blob="", sha256=digest, size_bytes=0, image_uri=uri)


def image_location(code: Code) -> dict[str, str]:
    """Return GetFunction's ``Code`` of an image."""
    match = _REFERENCE.fullmatch(code.image_uri)
    name = match["name"] if match else code.image_uri
    return {
        "RepositoryType": "ECR",
        "ImageUri": code.image_uri,
        "ResolvedImageUri": f"{name}@sha256:{code.sha256}",
    }


def image_config(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return an ImageConfig without what is empty: an empty member means what the image itself says."""
    return {member: given[member] for member in _CONFIG_MEMBERS if given.get(member)}


def check_new_image(parameters: Mapping[str, Any]) -> None:
    """Check what CreateFunction is given for a function from an image.

    Raises:
        InvalidParameterValueException: the image is missing, or something is not for images.
    """
    refuse_zip_settings(parameters)
    if set(parameters["Code"]) - {"ImageUri"} or not parameters["Code"].get("ImageUri"):
        raise InvalidParameterValueException(
            "Please provide ImageUri when creating a function with packageType Image."
        )
    if "CodeSigningConfigArn" in parameters:
        raise _not_signed()


def refuse_zip_settings(parameters: Mapping[str, Any]) -> None:
    """Refuse what an image brings along itself.

    Raises:
        InvalidParameterValueException: a handler, a runtime or layers are given.
    """
    if any(parameters.get(member) for member in ("Handler", "Runtime", "Layers")):
        raise InvalidParameterValueException(
            "Please don't provide Handler or Runtime or Layer when the intended function PackageType is Image."
        )


def refuse_to_sign_image(version: FunctionVersion) -> None:
    """Say that there is no code signing for images.

    Raises:
        InvalidParameterValueException: the version is one.
    """
    if version.package_type == IMAGE:
        raise _not_signed()


def _not_signed() -> InvalidParameterValueException:
    return InvalidParameterValueException(
        "Code signing is not supported for functions created with container images."
    )


def refuse_to_run_image(version: FunctionVersion) -> None:
    """Say that images are not run yet.

    Raises:
        NotImplemented_: the version is one.
    """
    if version.package_type == IMAGE:
        raise NotImplemented_(
            f"Container images are not run yet: {version.arn} is kept and shown, and cannot be invoked."
        )
