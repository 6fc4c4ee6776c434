"""SAML providers: kept with their metadata, for the tools that deploy them. Nobody signs in with SAML here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from xml.etree import ElementTree

from lambent.arn import parse_arn
from lambent.clock import Clock
from lambent.domain.call import Call
from lambent.domain.identity import SamlProvider, named
from lambent.errors import NotImplemented_
from lambent.services import Members
from lambent.services.iam import quotas
from lambent.services.iam.entities import change, new_id
from lambent.services.iam.errors import (
    EntityAlreadyExistsException,
    InvalidInputException,
    NoSuchEntityException,
)
from lambent.services.iam.shapes import date
from lambent.services.iam.tags import tag_members, tag_page, with_tags, without_tags
from lambent.store.identities import Draft, Identities, Readable

_RESOURCE = "saml-provider/"
_METADATA = "{urn:oasis:names:tc:SAML:2.0:metadata}"
_VALID_S = 100 * 365 * 86_400
"""AWS shows a date a hundred years ahead."""


class SamlProviders:
    """Operations on SAML providers."""

    def __init__(self, identities: Identities, clock: Clock) -> None:
        self._identities = identities
        self._clock = clock

    async def create_saml_provider(self, call: Call, parameters: Members) -> Members:
        """Make a provider.

        Raises:
            EntityAlreadyExistsException: the name is taken.
            InvalidInputException: the metadata are none of an identity provider's.
            LimitExceededException: there are 100.
        """
        _refuse_private_keys(parameters)
        metadata: str = parameters["SAMLMetadataDocument"]
        _check_metadata(metadata)
        now_s = int(self._clock.now_s())
        provider = SamlProvider(
            account=call.account,
            name=parameters["Name"],
            id=new_id("ASPA"),
            created_s=now_s,
            valid_until_s=now_s + _VALID_S,
            metadata=metadata,
            encryption_mode=parameters.get("AssertionEncryptionMode"),
            tags=with_tags({}, parameters.get("Tags")),
        )

        async def decide(draft: Draft) -> None:
            if await draft.get(SamlProvider, provider.key) is not None:
                raise EntityAlreadyExistsException(f"SAMLProvider {provider.arn} already exists.")
            limit = quotas.SAML_PROVIDERS
            count = await self._identities.count(SamlProvider, call.account, limit=limit)
            quotas.check_quota(count + 1, limit, "SAMLProvidersPerAccount")
            draft.put(provider)

        await change(self._identities, decide)
        tags = {"Tags": tag_members(provider.tags)} if provider.tags else {}
        return {"SAMLProviderArn": provider.arn, **tags}

    async def get_saml_provider(self, call: Call, parameters: Members) -> Members:
        """Return a provider with its metadata."""
        provider = await _require(self._identities, call, parameters)
        mode = {"AssertionEncryptionMode": provider.encryption_mode} if provider.encryption_mode else {}
        tags = {"Tags": tag_members(provider.tags)} if provider.tags else {}
        return {
            "SAMLProviderUUID": provider.id + "0",
            "SAMLMetadataDocument": provider.metadata,
            "CreateDate": date(provider.created_s),
            "ValidUntil": date(provider.valid_until_s),
            **mode,
            **tags,
        }

    async def list_saml_providers(self, call: Call, parameters: Members) -> Members:
        """Return the account's providers."""
        listed = [
            {
                "Arn": provider.arn,
                "ValidUntil": date(provider.valid_until_s),
                "CreateDate": date(provider.created_s),
            }
            for provider in await self._identities.list(SamlProvider, call.account)
        ]
        return {"SAMLProviderList": listed}

    async def update_saml_provider(self, call: Call, parameters: Members) -> Members:
        """Replace the metadata, and the encryption mode, each if given.

        Raises:
            InvalidInputException: the metadata are none of an identity provider's.
        """
        _refuse_private_keys(parameters)
        metadata = parameters.get("SAMLMetadataDocument")
        if metadata is not None:
            _check_metadata(metadata)

        def updated(provider: SamlProvider) -> SamlProvider:
            return replace(
                provider,
                metadata=metadata or provider.metadata,
                encryption_mode=parameters.get("AssertionEncryptionMode", provider.encryption_mode),
            )

        await self._update(call, parameters, updated)
        return {"SAMLProviderArn": parameters["SAMLProviderArn"]}

    async def delete_saml_provider(self, call: Call, parameters: Members) -> Members:
        """Delete a provider."""

        async def decide(draft: Draft) -> None:
            draft.delete(await _require(draft, call, parameters))

        await change(self._identities, decide)
        return {}

    async def tag_saml_provider(self, call: Call, parameters: Members) -> Members:
        """Set tags."""
        given = parameters["Tags"]
        await self._update(
            call, parameters, lambda provider: replace(provider, tags=with_tags(provider.tags, given))
        )
        return {}

    async def untag_saml_provider(self, call: Call, parameters: Members) -> Members:
        """Remove tags; keys that are not there are no error."""
        keys = parameters["TagKeys"]
        await self._update(
            call, parameters, lambda provider: replace(provider, tags=without_tags(provider.tags, keys))
        )
        return {}

    async def list_saml_provider_tags(self, call: Call, parameters: Members) -> Members:
        """Return the tags."""
        return tag_page((await _require(self._identities, call, parameters)).tags, parameters)

    async def _update(
        self, call: Call, parameters: Members, updated: Callable[[SamlProvider], SamlProvider]
    ) -> None:
        async def decide(draft: Draft) -> None:
            draft.put(updated(await _require(draft, call, parameters)))

        await change(self._identities, decide)


async def _require(entities: Readable, call: Call, parameters: Members) -> SamlProvider:
    text: str = parameters["SAMLProviderArn"]
    arn = parse_arn(text)
    if arn is None or arn.service != "iam" or not arn.resource.startswith(_RESOURCE):
        raise InvalidInputException(f"Invalid ARN: {text}")
    name = arn.resource.removeprefix(_RESOURCE)
    provider = await entities.get(SamlProvider, named(call.account, name))
    if provider is None or provider.arn != text:
        raise NoSuchEntityException(f"Manifest not found for arn {text}")
    return provider


def _refuse_private_keys(parameters: Members) -> None:
    for member in ("AddPrivateKey", "RemovePrivateKey"):
        if member in parameters:
            raise NotImplemented_(f"{member} is not served yet.")


def _check_metadata(text: str) -> None:
    # A document type could define entities, which is how XML is made to explode; metadata has none.
    problem = InvalidInputException("Could not parse metadata")
    if "<!DOCTYPE" in text:
        raise problem
    try:
        root = ElementTree.fromstring(text)  # noqa: S314 - see above
    except (ElementTree.ParseError, ValueError) as error:
        raise problem from error
    if root.tag != f"{_METADATA}EntityDescriptor" or root.find(f"{_METADATA}IDPSSODescriptor") is None:
        raise problem
