"""Service-linked roles: made for a service in one call, assumed by it alone, changed by nobody else."""

from __future__ import annotations

import json
import uuid

from lambent.clock import Clock
from lambent.domain.call import Call
from lambent.domain.identity import Role, named
from lambent.services import Members
from lambent.services.iam.entities import SERVICE_ROLE_PATH, change, new_id, require_role
from lambent.services.iam.errors import InvalidInputException, NoSuchEntityException
from lambent.services.iam.roles import add_role
from lambent.services.iam.shapes import role_details
from lambent.store import Documents, Put
from lambent.store.identities import Draft, Identities

TASK_KIND = "iam-deletion-task"
_NAMES = {
    # Where the role's name cannot be told from the service's (IAM User Guide, "AWS services that work with IAM").
    "apidestinations.events.amazonaws.com": "AWSServiceRoleForAmazonEventBridgeApiDestinations",
    "autoscaling.amazonaws.com": "AWSServiceRoleForAutoScaling",
    "dynamodb.application-autoscaling.amazonaws.com": "AWSServiceRoleForApplicationAutoScaling_DynamoDBTable",
    "ecs.amazonaws.com": "AWSServiceRoleForECS",
    "elasticloadbalancing.amazonaws.com": "AWSServiceRoleForElasticLoadBalancing",
    "lambda.application-autoscaling.amazonaws.com": (
        "AWSServiceRoleForApplicationAutoScaling_LambdaConcurrency"
    ),
    "ops.apigateway.amazonaws.com": "AWSServiceRoleForAPIGateway",
    "rds.amazonaws.com": "AWSServiceRoleForRDS",
    "replicator.lambda.amazonaws.com": "AWSServiceRoleForLambdaReplicator",
}
_SUFFIX = ".amazonaws.com"


class LinkedRoles:
    """Operations on service-linked roles."""

    def __init__(self, identities: Identities, documents: Documents, clock: Clock) -> None:
        self._identities = identities
        self._documents = documents
        self._clock = clock

    async def create_service_linked_role(self, call: Call, parameters: Members) -> Members:
        """Make the role of a service.

        Raises:
            InvalidInputException: it exists, or the service's name is none.
        """
        service = parameters["AWSServiceName"]
        name = role_name(service, parameters.get("CustomSuffix"))
        role = Role(
            account=call.account,
            name=name,
            path=f"{SERVICE_ROLE_PATH}{service}/",
            id=new_id("AROA"),
            created_s=int(self._clock.now_s()),
            trust_policy=_trust_policy(service),
            description=parameters.get("Description"),
            linked_service=service,
        )

        async def decide(draft: Draft) -> None:
            if await draft.get(Role, named(call.account, name)) is not None:
                raise InvalidInputException(
                    f"Service role name {name} has been taken in this account, please try a different suffix."
                )
            await add_role(draft, self._identities, role)

        await change(self._identities, decide)
        return {"Role": role_details(role)}

    async def delete_service_linked_role(self, call: Call, parameters: Members) -> Members:
        """Delete the role of a service and return the id of the task that did it."""

        async def decide(draft: Draft) -> Role:
            role = await require_role(draft, call.account, parameters["RoleName"])
            if role.linked_service is None:
                raise NoSuchEntityException(f"The role with name {role.name} cannot be found.")
            draft.delete(role)
            return role

        role = await change(self._identities, decide)
        task_id = f"task{role.path}{role.name}/{uuid.uuid4()}"
        # Nothing here depends on the role, so the task is done when it is made; it is kept to be asked about.
        key = f"{call.account}/{task_id}"
        await self._documents.apply(Put(kind=TASK_KIND, key=key, body=b"SUCCEEDED"))
        return {"DeletionTaskId": task_id}

    async def get_service_linked_role_deletion_status(self, call: Call, parameters: Members) -> Members:
        """Return how the deletion of a service's role went."""
        task_id = parameters["DeletionTaskId"]
        task = await self._documents.get(TASK_KIND, f"{call.account}/{task_id}")
        if task is None:
            raise NoSuchEntityException(f"The deletion task {task_id} cannot be found.")
        return {"Status": task.body.decode()}


def role_name(service: str, suffix: str | None) -> str:
    """Return the name that AWS gives the role of a service.

    Raises:
        InvalidInputException: the service's name does not end as those of AWS services do.
    """
    if not service.endswith(_SUFFIX) or service == _SUFFIX:
        raise InvalidInputException(f"Service name {service} is not valid.")
    words = service.removesuffix(_SUFFIX).replace(".", "-").split("-")
    name = _NAMES.get(service, "AWSServiceRoleFor" + "".join(word.capitalize() for word in words))
    return f"{name}_{suffix}" if suffix else name


def _trust_policy(service: str) -> str:
    statement = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]}, separators=(",", ":"))
