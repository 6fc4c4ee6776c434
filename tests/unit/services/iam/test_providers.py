"""OpenID Connect and SAML providers, as deploying tools make, read and delete them."""

from __future__ import annotations

from typing import Any

import pytest

from lambent.errors import LimitExceededException, NotImplemented_
from lambent.services.iam.errors import (
    EntityAlreadyExistsException,
    InvalidInputException,
    NoSuchEntityException,
    ValidationError,
)
from unit.services.iam.asking import ACCOUNT, Iam

GITHUB = "https://token.actions.githubusercontent.com"
GITHUB_ARN = f"arn:aws:iam::{ACCOUNT}:oidc-provider/token.actions.githubusercontent.com"
THUMBPRINT = "6938fd4d98bab03faadb97b34396831e3780aea1"
SAML_ARN = f"arn:aws:iam::{ACCOUNT}:saml-provider/corp"


def metadata(entity: str = "https://idp.example.com", root: str = "EntityDescriptor") -> str:
    return (
        f'<?xml version="1.0"?><{root} xmlns="urn:oasis:names:tc:SAML:2.0:metadata" entityID="{entity}">'
        '<IDPSSODescriptor protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol">'
        f"<!-- {'x' * 1000} --></IDPSSODescriptor></{root}>"
    )


class TestOidc:
    def test_a_provider_lives_from_create_to_delete(self) -> None:
        iam = Iam()
        made = iam.ask(
            "create_open_id_connect_provider",
            Url=GITHUB,
            ClientIDList=["sts.amazonaws.com"],
            ThumbprintList=[THUMBPRINT],
            Tags=[{"Key": "a", "Value": "b"}],
        )
        arn = made["OpenIDConnectProviderArn"]
        assert arn == GITHUB_ARN
        assert made["Tags"] == [{"Key": "a", "Value": "b"}]
        provider = iam.ask("get_open_id_connect_provider", OpenIDConnectProviderArn=arn)
        # The URL comes back without its scheme.
        assert provider["Url"] == "token.actions.githubusercontent.com"
        assert (provider["ClientIDList"], provider["ThumbprintList"]) == (["sts.amazonaws.com"], [THUMBPRINT])
        assert iam.ask("list_open_id_connect_providers")["OpenIDConnectProviderList"] == [{"Arn": arn}]
        with pytest.raises(
            EntityAlreadyExistsException, match=rf"^Provider with url {GITHUB} already exists\.$"
        ):
            iam.ask("create_open_id_connect_provider", Url=GITHUB)
        assert iam.ask("get_account_summary")["SummaryMap"]["Providers"] == 1
        for _ in range(2):
            iam.ask("delete_open_id_connect_provider", OpenIDConnectProviderArn=arn)
        with pytest.raises(
            NoSuchEntityException, match=rf"^OpenIDConnect Provider not found for arn {GITHUB_ARN}$"
        ):
            iam.ask("get_open_id_connect_provider", OpenIDConnectProviderArn=arn)

    def test_audiences_thumbprints_and_tags_change(self) -> None:
        iam = Iam()
        iam.ask("create_open_id_connect_provider", Url=GITHUB)
        which = {"OpenIDConnectProviderArn": GITHUB_ARN}
        for client_id in ("one", "two", "one"):
            iam.ask("add_client_id_to_open_id_connect_provider", ClientID=client_id, **which)
        iam.ask("remove_client_id_from_open_id_connect_provider", ClientID="one", **which)
        iam.ask("remove_client_id_from_open_id_connect_provider", ClientID="gone", **which)
        iam.ask("update_open_id_connect_provider_thumbprint", ThumbprintList=[THUMBPRINT], **which)
        iam.ask("tag_open_id_connect_provider", Tags=[{"Key": "a", "Value": "1"}], **which)
        provider = iam.ask("get_open_id_connect_provider", **which)
        assert (provider["ClientIDList"], provider["ThumbprintList"]) == (["two"], [THUMBPRINT])
        assert iam.ask("list_open_id_connect_provider_tags", **which)["Tags"] == provider["Tags"]
        iam.ask("untag_open_id_connect_provider", TagKeys=["A"], **which)
        assert "Tags" not in iam.ask("get_open_id_connect_provider", **which)

    def test_what_could_not_be_a_provider_is_refused(self) -> None:
        iam = Iam()
        for url in ("http://idp.example.com", "idp.example.com", "https://", "https://a.example.com/?q=1"):
            with pytest.raises(ValidationError, match=r"^Invalid Open ID Connect Provider URL$"):
                iam.ask("create_open_id_connect_provider", Url=url)
        with pytest.raises(InvalidInputException):
            iam.ask("create_open_id_connect_provider", Url=GITHUB, ThumbprintList=[THUMBPRINT] * 6)
        with pytest.raises(LimitExceededException):
            iam.ask("create_open_id_connect_provider", Url=GITHUB, ClientIDList=[str(n) for n in range(101)])
        with pytest.raises(InvalidInputException):
            iam.ask("get_open_id_connect_provider", OpenIDConnectProviderArn="arn:aws:iam::1:role/not-one")


class TestSaml:
    def test_a_provider_lives_from_create_to_delete(self) -> None:
        iam = Iam()
        made = iam.ask("create_saml_provider", Name="corp", SAMLMetadataDocument=metadata())
        assert made == {"SAMLProviderArn": SAML_ARN}
        provider = iam.ask("get_saml_provider", SAMLProviderArn=SAML_ARN)
        assert provider["SAMLMetadataDocument"] == metadata()
        assert provider["ValidUntil"] > provider["CreateDate"]
        (listed,) = iam.ask("list_saml_providers")["SAMLProviderList"]
        assert listed["Arn"] == SAML_ARN
        with pytest.raises(EntityAlreadyExistsException):
            iam.ask("create_saml_provider", Name="corp", SAMLMetadataDocument=metadata())
        other = metadata("https://other.example.com")
        iam.ask("update_saml_provider", SAMLProviderArn=SAML_ARN, SAMLMetadataDocument=other)
        iam.ask("tag_saml_provider", SAMLProviderArn=SAML_ARN, Tags=[{"Key": "a", "Value": "1"}])
        provider = iam.ask("get_saml_provider", SAMLProviderArn=SAML_ARN)
        assert provider["SAMLMetadataDocument"] == other
        tags: Any = iam.ask("list_saml_provider_tags", SAMLProviderArn=SAML_ARN)["Tags"]
        assert tags == provider["Tags"] == [{"Key": "a", "Value": "1"}]
        iam.ask("untag_saml_provider", SAMLProviderArn=SAML_ARN, TagKeys=["a"])
        iam.ask("delete_saml_provider", SAMLProviderArn=SAML_ARN)
        for operation in ("get_saml_provider", "delete_saml_provider"):
            with pytest.raises(NoSuchEntityException, match=rf"^Manifest not found for arn {SAML_ARN}$"):
                iam.ask(operation, SAMLProviderArn=SAML_ARN)

    def test_metadata_have_to_be_an_identity_providers(self) -> None:
        iam = Iam()
        bomb = f'<!DOCTYPE x [<!ENTITY a "aaaa">]>{metadata()}'
        for bad in ("x" * 1000, metadata(root="Other"), bomb):
            with pytest.raises(InvalidInputException, match=r"^Could not parse metadata$"):
                iam.ask("create_saml_provider", Name="corp", SAMLMetadataDocument=bad)
        with pytest.raises(NotImplemented_):
            iam.ask("create_saml_provider", Name="corp", SAMLMetadataDocument=metadata(), AddPrivateKey="k")
