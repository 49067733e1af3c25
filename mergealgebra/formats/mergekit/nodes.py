"""A YAML file as text with the numbers of its lines, of one document or of several [MK-1]."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import yaml

from mergealgebra.errors import RecipeError
from mergealgebra.text import location, shown
from mergealgebra.yaml_text import TextLoader, read_yaml

#: What YAML means by these words, where they stand without quotes.
_NULL: Final = ("", "~", "null", "Null", "NULL")
_TRUE: Final = ("true", "yes", "on")
_FALSE: Final = ("false", "no", "off")


@dataclass(frozen=True)
class Where:
    """A place in a file, for messages."""

    path: Path
    line: int = 0

    def refuse(self, what: str) -> RecipeError:
        """The error that something here is wrong."""
        return RecipeError(f"{self}: {what}")

    def __str__(self) -> str:
        return f"{location(self.path)}, line {self.line}" if self.line else location(self.path)


#: Of what no file says.
NOWHERE: Final = Where(Path())


@dataclass(frozen=True)
class Node:
    """A value. text: of a scalar. items: of a list. keys: of a mapping. All three are None for nothing, `null`.

    key_places: where each key of a mapping stands.
    """

    where: Where
    text: str | None = None
    items: tuple[Node, ...] | None = None
    keys: Mapping[str, Node] | None = None
    key_places: Mapping[str, Where] = field(default_factory=dict)

    @property
    def is_null(self) -> bool:
        """Whether it says nothing."""
        return self.text is None and self.items is None and self.keys is None

    @property
    def truth(self) -> bool | None:
        """What a word like `true`, or 0 or 1, means; None for another value."""
        word = (self.text or "").lower()
        if word in (*_TRUE, "1", "1.0"):
            return True
        return False if word in (*_FALSE, "0", "0.0") else None

    def mapping(self, what: str, example: str) -> Mapping[str, Node]:
        """Its keys. Raises RecipeError for what is not a mapping."""
        if self.keys is None:
            raise self.where.refuse(f"{what} is {self.kind}; expected a mapping, like `{example}`")
        return self.keys

    def list(self, what: str, example: str) -> tuple[Node, ...]:
        """Its items, at least one. Raises RecipeError for what is not a list, or empty."""
        if not self.items:
            found = "an empty list" if self.items is not None else self.kind
            raise self.where.refuse(f"{what} is {found}; expected a list, like `{example}`")
        return self.items

    def scalar(self, what: str, example: str) -> str:
        """Its text. Raises RecipeError for what is not a text."""
        if not self.text:
            raise self.where.refuse(f"{what} is {self.kind}; expected a text, like `{example}`")
        return self.text

    @property
    def kind(self) -> str:
        """What it is, for messages."""
        if self.text is not None:
            return shown(self.text)
        if self.items is not None:
            return "a list"
        return "nothing" if self.keys is None else "a mapping"


def read_documents(path: Path) -> list[Node]:
    """The documents of a file, the empty ones left out. Raises RecipeError for what is not YAML."""
    return read_yaml(path, lambda text: [node for node in _documents(path, text) if not node.is_null])


def _documents(path: Path, text: str) -> Iterator[Node]:
    loader = TextLoader(text)
    try:
        while loader.check_node():
            if (node := loader.get_node()) is not None:
                yield _Reader(path, loader).node(node)
    finally:
        loader.dispose()


class _Reader:
    """Reads the nodes of one document; what an alias repeats is read once."""

    def __init__(self, path: Path, loader: TextLoader) -> None:
        self._path, self._loader = path, loader
        self._known: dict[int, Node | None] = {}

    def node(self, node: yaml.Node) -> Node:
        """One value and all that is in it."""
        if id(node) not in self._known:
            self._known[id(node)] = None
            self._known[id(node)] = self._read(node)
        found = self._known[id(node)]
        if found is None:
            raise yaml.constructor.ConstructorError(None, None, "an alias stands in what it repeats", node.start_mark)
        return found

    def _read(self, node: yaml.Node) -> Node:
        where = Where(self._path, node.start_mark.line + 1)
        if isinstance(node, yaml.ScalarNode):
            text = self._loader.construct_scalar(node)
            return Node(where) if node.style is None and text in _NULL else Node(where, text)
        if isinstance(node, yaml.SequenceNode):
            return Node(where, items=tuple(map(self.node, node.value)))
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, where)
        raise yaml.constructor.ConstructorError(None, None, "a value of no kind that is known", node.start_mark)

    def _mapping(self, node: yaml.MappingNode, where: Where) -> Node:
        self._loader.check_keys(node)
        merged: dict[str, tuple[Node, Where]] = {}
        own: dict[str, tuple[Node, Where]] = {}
        for key, value in node.value:
            read = self.node(value)
            if key.value == "<<" and key.style is None:
                for other in read.items if read.items is not None else (read,):
                    if other.keys is None:
                        raise yaml.constructor.ConstructorError(None, None, "`<<` of no mapping", key.start_mark)
                    for name, inherited in other.keys.items():
                        merged.setdefault(name, (inherited, other.key_places[name]))
            else:
                own[self._loader.construct_scalar(key)] = (read, Where(self._path, key.start_mark.line + 1))
        pairs = {**merged, **own}
        return Node(
            where,
            keys={name: value for name, (value, _) in pairs.items()},
            key_places={name: place for name, (_, place) in pairs.items()},
        )
