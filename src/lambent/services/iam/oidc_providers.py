"""OpenID Connect providers: whose tokens stand for somebody (AssumeRoleWithWebIdentity). They are never asked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from urllib.parse import urlsplit

from lambent.arn import parse_arn
from lambent.clock import Clock
from lambent.domain.call import Call
from lambent.domain.identity import OidcProvider
from lambent.services import Members
from lambent.services.iam import quotas
from lambent.services.iam.entities import change
from lambent.services.iam.errors import (
    EntityAlreadyExistsException,
    InvalidInputException,
    NoSuchEntityException,
    ValidationError,
)
from lambent.services.iam.shapes import date
from lambent.services.iam.tags import tag_members, tag_page, with_tags, without_tags
from lambent.store.identities import Draft, Identities, Readable

_SCHEME = "https://"
_RESOURCE = "oidc-provider/"


class OidcProviders:
    """Operations on OpenID Connect providers."""

    def __init__(self, identities: Identities, clock: Clock) -> None:
        self._identities = identities
        self._clock = clock

    async def create_open_id_connect_provider(self, call: Call, parameters: Members) -> Members:
        """Make a provider. Without thumbprints it has none: AWS would look at its certificate.

        Raises:
            EntityAlreadyExistsException: the account has one with this URL.
            ValidationError: the URL is not one that a provider can have.
            LimitExceededException: there are 100, or there are more than 100 client ids.
        """
        url: str = parameters["Url"]
        _check_url(url)
        client_ids = tuple(dict.fromkeys(parameters.get("ClientIDList", ())))
        _check_client_ids(client_ids)
        provider = OidcProvider(
            account=call.account,
            url=url.removeprefix(_SCHEME),
            created_s=int(self._clock.now_s()),
            client_ids=client_ids,
            thumbprints=_checked_thumbprints(parameters.get("ThumbprintList", ())),
            tags=with_tags({}, parameters.get("Tags")),
        )

        async def decide(draft: Draft) -> None:
            if await draft.get(OidcProvider, provider.key) is not None:
                raise EntityAlreadyExistsException(f"Provider with url {url} already exists.")
            limit = quotas.OIDC_PROVIDERS
            count = await self._identities.count(OidcProvider, call.account, limit=limit)
            quotas.check_quota(count + 1, limit, "OpenIdConnectProvidersPerAccount")
            draft.put(provider)

        await change(self._identities, decide)
        tags = {"Tags": tag_members(provider.tags)} if provider.tags else {}
        return {"OpenIDConnectProviderArn": provider.arn, **tags}

    async def get_open_id_connect_provider(self, call: Call, parameters: Members) -> Members:
        """Return a provider; its URL comes without the scheme, as at AWS."""
        provider = await _require(self._identities, call, parameters)
        tags = {"Tags": tag_members(provider.tags)} if provider.tags else {}
        return {
            "Url": provider.url,
            "ClientIDList": list(provider.client_ids),
            "ThumbprintList": list(provider.thumbprints),
            "CreateDate": date(provider.created_s),
            **tags,
        }

    async def list_open_id_connect_providers(self, call: Call, parameters: Members) -> Members:
        """Return the ARNs of the account's providers."""
        providers = await self._identities.list(OidcProvider, call.account)
        return {"OpenIDConnectProviderList": [{"Arn": provider.arn} for provider in providers]}

    async def delete_open_id_connect_provider(self, call: Call, parameters: Members) -> Members:
        """Delete a provider; one that is not there is no error."""

        async def decide(draft: Draft) -> None:
            provider = await draft.get(OidcProvider, _key(call, parameters))
            if provider is not None:
                draft.delete(provider)

        await change(self._identities, decide)
        return {}

    async def update_open_id_connect_provider_thumbprint(self, call: Call, parameters: Members) -> Members:
        """Replace the thumbprints."""
        thumbprints = _checked_thumbprints(parameters["ThumbprintList"])
        await self._update(call, parameters, lambda provider: replace(provider, thumbprints=thumbprints))
        return {}

    async def add_client_id_to_open_id_connect_provider(self, call: Call, parameters: Members) -> Members:
        """Add an audience; one that is there stays."""

        def updated(provider: OidcProvider) -> OidcProvider:
            client_ids = tuple(dict.fromkeys([*provider.client_ids, parameters["ClientID"]]))
            _check_client_ids(client_ids)
            return replace(provider, client_ids=client_ids)

        await self._update(call, parameters, updated)
        return {}

    async def remove_client_id_from_open_id_connect_provider(
        self, call: Call, parameters: Members
    ) -> Members:
        """Remove an audience; one that is not there is no error."""

        def updated(provider: OidcProvider) -> OidcProvider:
            kept = tuple(known for known in provider.client_ids if known != parameters["ClientID"])
            return replace(provider, client_ids=kept)

        await self._update(call, parameters, updated)
        return {}

    async def tag_open_id_connect_provider(self, call: Call, parameters: Members) -> Members:
        """Set tags."""
        given = parameters["Tags"]
        await self._update(
            call, parameters, lambda provider: replace(provider, tags=with_tags(provider.tags, given))
        )
        return {}

    async def untag_open_id_connect_provider(self, call: Call, parameters: Members) -> Members:
        """Remove tags; keys that are not there are no error."""
        keys = parameters["TagKeys"]
        await self._update(
            call, parameters, lambda provider: replace(provider, tags=without_tags(provider.tags, keys))
        )
        return {}

    async def list_open_id_connect_provider_tags(self, call: Call, parameters: Members) -> Members:
        """Return the tags."""
        return tag_page((await _require(self._identities, call, parameters)).tags, parameters)

    async def _update(
        self, call: Call, parameters: Members, updated: Callable[[OidcProvider], OidcProvider]
    ) -> None:
        async def decide(draft: Draft) -> None:
            draft.put(updated(await _require(draft, call, parameters)))

        await change(self._identities, decide)


def _key(call: Call, parameters: Members) -> str:
    text: str = parameters["OpenIDConnectProviderArn"]
    arn = parse_arn(text)
    if arn is None or arn.service != "iam" or not arn.resource.startswith(_RESOURCE):
        raise InvalidInputException(f"ARN {text} is not valid.")
    if arn.account != call.account:
        raise _none(text)
    return f"{arn.account}/{arn.resource.removeprefix(_RESOURCE)}"


async def _require(entities: Readable, call: Call, parameters: Members) -> OidcProvider:
    provider = await entities.get(OidcProvider, _key(call, parameters))
    if provider is None:
        raise _none(parameters["OpenIDConnectProviderArn"])
    return provider


def _none(arn: str) -> NoSuchEntityException:
    return NoSuchEntityException(f"OpenIDConnect Provider not found for arn {arn}")


def _check_url(url: str) -> None:
    try:
        parts = urlsplit(url)
        is_good = parts.scheme == "https" and bool(parts.hostname) and not parts.query and not parts.fragment
    except ValueError:
        is_good = False
    if not is_good or not url.startswith(_SCHEME):
        raise ValidationError("Invalid Open ID Connect Provider URL")


def _check_client_ids(client_ids: tuple[str, ...]) -> None:
    quotas.check_quota(len(client_ids), quotas.CLIENT_IDS_PER_PROVIDER, "ClientIdsPerOpenIdConnectProvider")


def _checked_thumbprints(thumbprints: list[str] | tuple[str, ...]) -> tuple[str, ...]:
    if len(thumbprints) > quotas.THUMBPRINTS_PER_PROVIDER:
        raise InvalidInputException("Thumbprint list must contain fewer than 5 entries.")
    return tuple(thumbprints)
