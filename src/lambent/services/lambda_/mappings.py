"""Event source mappings: what a source's records are to be delivered to, and how.

The control side: mappings are created, changed, listed and deleted as on AWS and their states move as there.
Who polls is not known here (`lambent.sources`).
"""

from __future__ import annotations

import uuid as uuids
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

from lambent.clock import Clock
from lambent.domain.call import Call
from lambent.domain.mapping import DELETED, EventSourceMapping, updated
from lambent.errors import (
    InvalidParameterValueException,
    ResourceConflictException,
    ResourceInUseException,
    ResourceNotFoundException,
)
from lambent.services import Members
from lambent.services.lambda_.mapping_rules import (
    changed_settings,
    check_new_mapping,
    check_parameters,
    check_settings,
    new_settings,
    source_of,
)
from lambent.services.lambda_.mapping_states import MappingStates
from lambent.services.lambda_.names import resolve
from lambent.services.lambda_.pages import decode_text_marker, encode_text_marker
from lambent.services.lambda_.records import Records
from lambent.services.lambda_.rules import check_tags
from lambent.services.lambda_.tenancy import refuse_tenancy
from lambent.services.lambda_.versions import version_named
from lambent.store.mappings import Mappings

ProblemOf = Callable[[str], str | None]
VisibilityOf = Callable[[str], Awaitable[int | None]]
"""Returns the visibility timeout of the queue of an ARN in seconds; None when there is no such queue."""

LIST_MAPPINGS_MAX = 100
_SCAN_PAGE = 500


class MappingOperations:
    """The operations on event source mappings."""

    def __init__(
        self,
        *,
        records: Records,
        mappings: Mappings,
        states: MappingStates,
        clock: Clock,
        problem_of: ProblemOf = lambda uuid: None,
        visibility_of: VisibilityOf | None = None,
    ) -> None:
        """Make them.

        Args:
            records: where functions are.
            mappings: where mappings are kept.
            states: changes them.
            clock: the time.
            problem_of: says what keeps a mapping's source from being polled just now.
            visibility_of: knows queues and their visibility timeouts; None: nobody does.
        """
        self._problem_of = problem_of
        self._visibility_of = visibility_of
        self._records = records
        self._mappings = mappings
        self._states = states
        self._clock = clock

    async def create_event_source_mapping(self, call: Call, parameters: Members) -> Members:
        """Map a source to a function (API page CreateEventSourceMapping); it becomes enabled in the background.

        Raises:
            InvalidParameterValueException: a parameter is not acceptable or not for this source, there is no
                such function or queue, or the queue shows messages again before the function has to end.
            ResourceConflictException: this source is mapped to this function already.
        """
        source = source_of(parameters)
        now_s = self._clock.now_s()
        check_new_mapping(source, parameters, now_s=now_s)
        check_tags(parameters.get("Tags", {}))
        mapping_id = str(uuids.uuid4())
        visibility_s = await self._visibility_s(source, parameters.get("EventSourceArn"))
        settings = new_settings(source, mapping_id, parameters)
        check_settings(source, settings, event_source_arn=parameters.get("EventSourceArn"))
        moment: datetime | None = parameters.get("StartingPositionTimestamp")
        function_arn = await self._function_arn(
            call, parameters["FunctionName"], "CreateEventSourceMapping", visibility_s
        )
        mapping = EventSourceMapping(
            account=call.account,
            region=call.region,
            uuid=mapping_id,
            source=source,
            function_arn=function_arn,
            event_source_arn=parameters.get("EventSourceArn"),
            starting_timestamp_s=moment.timestamp() if moment else None,
            settings=settings,
            tags=dict(parameters.get("Tags", {})),
            state="Creating",
            settles_in="Enabled" if parameters.get("Enabled", True) else "Disabled",
            last_modified_s=now_s,
        )
        await self._states.create(mapping, refuse=_exists)
        return members_of(mapping)

    async def get_event_source_mapping(self, call: Call, parameters: Members) -> Members:
        """Return a mapping (API page GetEventSourceMapping).

        Raises:
            ResourceNotFoundException: there is none of that UUID.
        """
        found = await self._mappings.get(call.account, call.region, parameters["UUID"])
        if found is None:
            raise _not_found()
        return self._shown(found[1])

    async def list_event_source_mappings(self, call: Call, parameters: Members) -> Members:
        """Return mappings, of a source or a function if given, at most 100 a page.

        A function is the same only with the same qualifier (API page ListEventSourceMappings).

        Raises:
            InvalidParameterValueException: the marker is not one of ours.
        """
        function_arn = None
        if name := parameters.get("FunctionName"):
            function_arn = resolve(call, name, operation="ListEventSourceMappings").arn
        matches = partial(
            _matches, function_arn=function_arn, event_source_arn=parameters.get("EventSourceArn")
        )
        after = decode_text_marker(parameters["Marker"]) if parameters.get("Marker") else ""
        limit = min(parameters.get("MaxItems") or LIST_MAPPINGS_MAX, LIST_MAPPINGS_MAX)
        page = await self._page(call, after, limit, matches)
        result: dict[str, Any] = {"EventSourceMappings": [self._shown(mapping) for mapping in page[:limit]]}
        if len(page) > limit:
            result["NextMarker"] = encode_text_marker(page[limit - 1].uuid)
        return result

    async def update_event_source_mapping(self, call: Call, parameters: Members) -> Members:
        """Change what is given of a mapping (API page UpdateEventSourceMapping).

        Raises:
            ResourceNotFoundException: there is none of that UUID.
            ResourceInUseException: another change is under way.
            ResourceConflictException: the source is mapped to the new function already.
            InvalidParameterValueException: a parameter is not acceptable or not for this source, or the queue
                shows messages again before the new function has to end.
        """
        found = await self._mappings.get(call.account, call.region, parameters["UUID"])
        if found is None:
            raise _not_found()
        function_arn = found[1].function_arn
        if name := parameters.get("FunctionName"):
            visibility_s = await self._visibility_s(found[1].source, found[1].event_source_arn)
            function_arn = await self._function_arn(call, name, "UpdateEventSourceMapping", visibility_s)
        change = partial(
            _with_change,
            parameters=parameters,
            function_arn=function_arn if name else None,
            now_s=self._clock.now_s(),
        )
        return members_of(await self._change(call, parameters["UUID"], change))

    async def delete_event_source_mapping(self, call: Call, parameters: Members) -> Members:
        """Delete a mapping, in the background (API page DeleteEventSourceMapping).

        Raises:
            ResourceNotFoundException: there is none of that UUID.
            ResourceInUseException: another change is under way.
        """
        change = partial(_with_deletion, now_s=self._clock.now_s())
        return members_of(await self._change(call, parameters["UUID"], change))

    def _shown(self, mapping: EventSourceMapping) -> dict[str, Any]:
        members = members_of(mapping)
        if (problem := self._problem_of(mapping.uuid)) is not None:
            members["LastProcessingResult"] = f"PROBLEM: {problem}"
        return members

    async def _change(
        self, call: Call, uuid: str, decide: Callable[[EventSourceMapping], EventSourceMapping]
    ) -> EventSourceMapping:
        changed = await self._states.change(call.account, call.region, uuid, decide, refuse=_exists)
        if changed is None:
            raise _not_found()
        return changed

    async def _page(
        self, call: Call, after: str, limit: int, matches: Callable[[EventSourceMapping], bool]
    ) -> list[EventSourceMapping]:
        """Return up to one mapping more than a page holds."""
        page: list[EventSourceMapping] = []
        while len(page) <= limit:
            read = await self._mappings.list(call.account, call.region, after=after, limit=_SCAN_PAGE)
            page += [mapping for mapping in read if matches(mapping)]
            if len(read) < _SCAN_PAGE:
                break
            after = read[-1].uuid
        return page

    async def _visibility_s(self, source: str, arn: str | None) -> int | None:
        """Return a queue's visibility timeout; None for other sources, and where nobody knows queues.

        Raises:
            InvalidParameterValueException: there is no such queue.
        """
        if source != "sqs" or arn is None or self._visibility_of is None:
            return None
        visibility_s = await self._visibility_of(arn)
        if visibility_s is None:
            raise InvalidParameterValueException(
                "Error occurred while ReceiveMessage. SQS Error Code: AWS.SimpleQueueService.NonExistentQueue. "
                "SQS Error Message: The specified queue does not exist."
            )
        return visibility_s

    async def _function_arn(self, call: Call, name: str, operation: str, visibility_s: int | None) -> str:
        target = resolve(call, name, operation=operation)
        function = await self._records.get(target.key)
        if function is None:
            raise _no_function()
        try:
            version = version_named(function, target)
        except ResourceNotFoundException as error:
            raise _no_function() from error
        refuse_tenancy(version, "Event source mappings are")
        if visibility_s is not None and visibility_s < version.timeout_s:
            raise InvalidParameterValueException(
                f"Queue visibility timeout: {visibility_s} seconds is less than Function timeout: "
                f"{version.timeout_s} seconds"
            )
        return target.arn


def members_of(mapping: EventSourceMapping) -> dict[str, Any]:
    """Return the EventSourceMappingConfiguration of a mapping."""
    moment_s = mapping.starting_timestamp_s
    members: dict[str, Any] = {
        **mapping.settings,
        "UUID": mapping.uuid,
        "EventSourceMappingArn": mapping.arn,
        "EventSourceArn": mapping.event_source_arn,
        "FunctionArn": mapping.function_arn,
        "LastModified": datetime.fromtimestamp(mapping.last_modified_s, UTC),
        "StartingPositionTimestamp": None if moment_s is None else datetime.fromtimestamp(moment_s, UTC),
        "State": mapping.state,
    }
    return {name: value for name, value in members.items() if value is not None}


def _with_change(
    mapping: EventSourceMapping, *, parameters: Members, function_arn: str | None, now_s: float
) -> EventSourceMapping:
    if not mapping.is_settled:
        raise ResourceInUseException("Cannot update the event source mapping because it is in use.")
    check_parameters(mapping.source, parameters)
    settings = changed_settings(mapping.settings, parameters)
    check_settings(mapping.source, settings, event_source_arn=mapping.event_source_arn)
    return replace(
        updated(mapping, is_enabled=parameters.get("Enabled")),
        settings=settings,
        function_arn=function_arn or mapping.function_arn,
        last_modified_s=now_s,
    )


def _with_deletion(mapping: EventSourceMapping, *, now_s: float) -> EventSourceMapping:
    if not mapping.is_settled:
        raise ResourceInUseException("Cannot delete the event source mapping because it is in use.")
    return replace(mapping, state="Deleting", settles_in=DELETED, last_modified_s=now_s)


def _matches(mapping: EventSourceMapping, *, function_arn: str | None, event_source_arn: str | None) -> bool:
    return function_arn in (None, mapping.function_arn) and event_source_arn in (
        None,
        mapping.event_source_arn,
    )


def _exists(mapping: EventSourceMapping, uuid: str) -> ResourceConflictException:
    advice = f"Please update or delete the existing mapping with UUID {uuid}"
    name = mapping.function_arn.split(":")[6]
    arn = mapping.event_source_arn
    if mapping.source == "sqs":
        text = f'An event source mapping with SQS arn (" {arn} ") and function (" {name} ") already exists. '
    elif mapping.source == "kafka":
        endpoints = mapping.settings.get("SelfManagedEventSource", {}).get("Endpoints", {})
        source = arn or ",".join(endpoints.get("KAFKA_BOOTSTRAP_SERVERS", []))
        topics = ",".join(mapping.settings["Topics"])
        text = (
            f'An event source mapping with event source ("{source}"), function ("{mapping.function_arn}"), '
            f'topics ("{topics}") already exists. '
        )
    else:
        text = f'The event source arn (" {arn} ") and function (" {name} ") provided mapping already exists. '
    return ResourceConflictException(text + advice)


def _no_function() -> InvalidParameterValueException:
    return InvalidParameterValueException("Function does not exist")


def _not_found() -> ResourceNotFoundException:
    return ResourceNotFoundException("The resource you requested does not exist.")
