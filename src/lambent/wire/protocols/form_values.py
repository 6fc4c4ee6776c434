"""Parameters of the query protocol: ``Tags.member.1.Key=stage`` and its like, read by functions compiled from
shapes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

from lambent.errors import SerializationException
from lambent.wire.protocols import text_values
from lambent.wire.shapes import Shape

Tree: TypeAlias = "dict[str, Tree] | str"
"""A form as a tree: ``{"Tags": {"member": {"1": {"Key": "stage"}}}}``."""

ReadTree = Callable[[Tree], Any]

_DEEPEST_KEY = 32  # parts between dots; no model of AWS comes near
_LONGEST_INDEX = 9


def form_tree(pairs: Iterable[tuple[str, str]]) -> dict[str, Tree]:
    """Return the tree of a form's pairs.

    Raises:
        SerializationException: a name is nested too deeply, or is both a value and a prefix of others.
    """
    root: dict[str, Tree] = {}
    for name, text in pairs:
        *path, last = name.split(".", _DEEPEST_KEY)
        if len(path) == _DEEPEST_KEY:
            raise SerializationException(f"The parameter {name[:100]!r}… is nested too deeply")
        node = root
        for part in path:
            following = node.setdefault(part, {})
            if isinstance(following, str):
                # An empty list is written as an empty value; a list that follows wins.
                node[part] = following = {}
            node = following
        if not (text == "" and last in node):
            node[last] = text
    return root


class FormDecoders:
    """Compiles readers of form trees; structures are compiled once, so shapes may refer to themselves."""

    def __init__(self) -> None:
        self._structures: dict[str, ReadTree] = {}

    def decoder(self, shape: Shape) -> ReadTree:
        """Return the function that reads a value of this shape."""
        match shape.type:
            case "structure":
                return self._structure(shape)
            case "list":
                return self._list(shape)
            case "map":
                return self._map(shape)
            case _:
                return _scalar(text_values.reader(shape))

    def _structure(self, shape: Shape) -> ReadTree:
        if shape.name in self._structures:
            return self._later(shape.name)
        self._structures[shape.name] = lambda tree: {}  # known from here on, replaced below
        plan = {
            _form_name(name, member): (name, self.decoder(member)) for name, member in shape.members.items()
        }

        def read(tree: Tree) -> dict[str, Any]:
            children = tree if isinstance(tree, dict) else {}
            return {plan[key][0]: plan[key][1](child) for key, child in children.items() if key in plan}

        self._structures[shape.name] = read
        return read

    def _later(self, name: str) -> ReadTree:
        def read(tree: Tree) -> Any:
            return self._structures[name](tree)

        return read

    def _list(self, shape: Shape) -> ReadTree:
        read_element = self.decoder(shape.element)
        wrapper = None if shape.is_flattened else shape.element.location_name or "member"

        def read(tree: Tree) -> list[Any]:
            return [read_element(item) for item in _numbered(tree, wrapper)]

        return read

    def _map(self, shape: Shape) -> ReadTree:
        read_key, read_value = self.decoder(shape.key), self.decoder(shape.value)
        key_name, value_name = shape.key.location_name or "key", shape.value.location_name or "value"
        wrapper = None if shape.is_flattened else "entry"

        def read(tree: Tree) -> dict[str, Any]:
            entries: dict[str, Any] = {}
            for entry in _numbered(tree, wrapper):
                if isinstance(entry, dict) and key_name in entry:
                    entries[read_key(entry[key_name])] = read_value(entry.get(value_name, ""))
            return entries

        return read


def _form_name(name: str, member: Shape) -> str:
    if member.type == "list" and member.is_flattened and member.element.location_name:
        return member.element.location_name
    return member.location_name or name


def _scalar(read: text_values.ReadText) -> ReadTree:
    def scalar(tree: Tree) -> Any:
        if isinstance(tree, dict):
            raise SerializationException("Start of structure or map found where not expected.")
        return read(tree)

    return scalar


def _numbered(tree: Tree, wrapper: str | None) -> list[Tree]:
    """Return the children ``1``, ``2``, … in the order of their numbers; holes are closed up.

    What is flattened and has one element may go without a number, as ``Attribute.Name=DelaySeconds`` in the example
    of the API page SetQueueAttributes.
    """
    if wrapper is not None and isinstance(tree, dict):
        tree = tree.get(wrapper, "")
    if isinstance(tree, str):
        if tree and wrapper is not None:
            raise SerializationException("Unexpected field type")
        return [tree] if tree else []
    if wrapper is None and not any(key.isdigit() for key in tree):
        return [tree]
    for key in tree:
        if not (key.isascii() and key.isdigit() and len(key) <= _LONGEST_INDEX):
            raise SerializationException(f"Unexpected index {key[:100]!r} of a list")
    return [tree[key] for key in sorted(tree, key=int)]
