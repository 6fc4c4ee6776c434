"""IAM: identities and their policies, as far as functions and the tools that deploy them need it.

The values are `lambent.domain.identity`'s, their storage `lambent.store.identities`'. Who may do what is the
gateway's to judge; the simulator asks the same engine, `lambent.domain.policy`, what it would say.
"""

from __future__ import annotations

from lambent.clock import Clock
from lambent.services import OperationMethod, operations_of
from lambent.services.iam.access_keys import AccessKeys
from lambent.services.iam.accounts import AccountOperations, Accounts
from lambent.services.iam.authorization_details import AuthorizationDetails
from lambent.services.iam.credential_reports import CredentialReports
from lambent.services.iam.groups import Groups
from lambent.services.iam.instance_profiles import InstanceProfiles
from lambent.services.iam.linked_roles import LinkedRoles
from lambent.services.iam.login_profiles import LoginProfiles
from lambent.services.iam.oidc_providers import OidcProviders
from lambent.services.iam.password_policies import PasswordPolicies
from lambent.services.iam.policies import Policies
from lambent.services.iam.policy_operations import GroupPolicies, RolePolicies, UserPolicies
from lambent.services.iam.roles import Roles
from lambent.services.iam.saml_providers import SamlProviders
from lambent.services.iam.sign_in import SignIn
from lambent.services.iam.simulator import Simulator
from lambent.services.iam.users import Users
from lambent.store import Documents
from lambent.store.identities import Identities


def iam_service(*, documents: Documents, identities: Identities, clock: Clock) -> dict[str, OperationMethod]:
    """Return the operations of IAM.

    Args:
        documents: for what is no entity: aliases of accounts, deletion tasks, credential reports.
        identities: reads and writes the entities; others hold the same one.
        clock: dates what is made.
    """
    accounts = Accounts(documents, clock)
    return operations_of(
        Roles(identities, clock),
        RolePolicies(identities),
        LinkedRoles(identities, documents, clock),
        Users(identities, accounts, clock),
        UserPolicies(identities),
        AccessKeys(identities, clock),
        SignIn(identities),
        Groups(identities, clock),
        GroupPolicies(identities),
        Policies(identities, clock),
        InstanceProfiles(identities, clock),
        AccountOperations(identities, accounts),
        PasswordPolicies(accounts),
        LoginProfiles(identities, accounts, clock),
        OidcProviders(identities, clock),
        SamlProviders(identities, clock),
        AuthorizationDetails(identities),
        CredentialReports(identities, accounts, documents, clock),
        Simulator(identities),
    )
