"""Intrinsic functions of CloudFormation templates, as far as they mean something before a template is deployed.

``Ref``, ``Fn::Sub``, ``Fn::GetAtt``, ``Fn::Join``, ``Fn::If`` and conditions are worked out where they refer to
parameters with defaults, to pseudo parameters, or to functions, layers and queues of the same template. Pure: values
in, values out (https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/intrinsic-function-reference.html).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

NO_VALUE = object()
"""What ``AWS::NoValue`` makes of a property: it is left out."""
_MARK = re.compile(r"\$\{([^}!]+)\}|\$\{!([^}]*)\}")


class Unresolved(Exception):
    """An intrinsic function means nothing here. The message is a part of a sentence: what it refers to, and why."""


class Resolver:
    """Works out the values of one template."""

    def __init__(
        self,
        *,
        references: Mapping[str, Callable[[], Any]],
        attributes: Mapping[tuple[str, str], Callable[[], Any]],
        conditions: Mapping[str, Any],
    ) -> None:
        """Make it.

        Args:
            references: what ``Ref`` means, by name; may raise `Unresolved`.
            attributes: what ``Fn::GetAtt`` means, by name and attribute.
            conditions: the template's ``Conditions``.
        """
        self._references = references
        self._attributes = attributes
        self._conditions = conditions
        self._functions: Mapping[str, Callable[[Any], Any]] = {
            "Ref": self._ref,
            "Fn::Sub": self._sub,
            "Fn::GetAtt": self._get_att,
            "Fn::Join": self._join,
            "Fn::If": self._if,
            "Fn::Equals": lambda pair: self.value(pair[0]) == self.value(pair[1]),
            "Fn::Not": lambda one: not self.value(one[0]),
            "Fn::And": lambda some: all(self.value(one) for one in some),
            "Fn::Or": lambda some: any(self.value(one) for one in some),
            "Condition": self.holds,
        }

    def value(self, given: Any) -> Any:
        """Return a value with its intrinsic functions worked out; members that have no value are left out.

        Raises:
            Unresolved: one of them cannot be.
        """
        if isinstance(given, list):
            items = [self.value(one) for one in cast("list[Any]", given)]
            return [item for item in items if item is not NO_VALUE]
        if not isinstance(given, dict):
            return given
        table = cast("dict[str, Any]", given)
        if len(table) == 1:
            ((name, argument),) = table.items()
            if name in self._functions:
                return self._apply(name, argument)
            if name.startswith("Fn::"):
                raise Unresolved(f"{name} means nothing before a template is deployed")
        members = {name: self.value(one) for name, one in table.items()}
        return {name: one for name, one in members.items() if one is not NO_VALUE}

    def holds(self, condition: str) -> bool:
        """Say whether a condition of the template holds.

        Raises:
            Unresolved: that cannot be said.
        """
        if condition not in self._conditions:
            raise Unresolved(f"there is no condition {condition}")
        return bool(self.value(self._conditions[condition]))

    def _apply(self, name: str, argument: Any) -> Any:
        try:
            return self._functions[name](argument)
        except (TypeError, ValueError, KeyError, IndexError, AttributeError) as error:
            raise Unresolved(f"{name} has a form that it cannot have: {argument!r}") from error

    def _ref(self, name: str) -> Any:
        if name not in self._references:
            raise Unresolved(f"it refers to {name}, which is not made here")
        return self._references[name]()

    def _get_att(self, argument: str | Sequence[str]) -> Any:
        name, _, attribute = (
            argument.partition(".") if isinstance(argument, str) else (argument[0], "", argument[1])
        )
        if (name, attribute) not in self._attributes:
            raise Unresolved(f"it refers to {name}.{attribute}, which is not made here")
        return self._attributes[(name, attribute)]()

    def _sub(self, argument: str | Sequence[Any]) -> str:
        if isinstance(argument, str):
            text, own = argument, {}
        else:
            text, own = argument[0], cast("Mapping[str, Any]", argument[1])

        def replacement(found: re.Match[str]) -> str:
            if found[1] is None:
                return f"${{{found[2]}}}"
            name = found[1].strip()
            if name in own:
                return _text(self.value(own[name]))
            is_attribute = "." in name and "::" not in name
            return _text(self._get_att(name) if is_attribute else self._ref(name))

        return _MARK.sub(replacement, text)

    def _join(self, argument: Sequence[Any]) -> str:
        separator, parts = argument
        return str(separator).join(_text(self.value(part)) for part in self.value(parts))

    def _if(self, argument: Sequence[Any]) -> Any:
        condition, then, otherwise = argument
        return self.value(then if self.holds(condition) else otherwise)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str | int | float):
        return str(value)
    raise ValueError(value)
