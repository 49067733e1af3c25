"""YAML in which every scalar is text, read safely: short files, few levels, no key twice [RC-7]."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, TypeVar

import yaml

from mergealgebra.disk import TooLarge, read_file
from mergealgebra.errors import RecipeError
from mergealgebra.permissions import reading_advice
from mergealgebra.text import location, shown

#: A thousand models have room in it. PyYAML takes 13 s for the worst MiB, and some hundred times its memory; libyaml is
#: faster, but accepts other files.
_MAX_BYTES: Final = 1 << 16
_MAX_DEPTH: Final = 16

Read = TypeVar("Read")


def read_yaml(path: Path, read: Callable[[str], Read]) -> Read:
    """What `read` makes of the text of a file. Raises RecipeError for what cannot be read, and for what is not YAML."""
    try:
        return read(read_file(path, _MAX_BYTES).decode("utf-8"))
    except TooLarge as error:
        raise RecipeError(f"{location(path)} cannot be read: {error.strerror}; a recipe is shorter") from None
    except OSError as error:
        near = _other_suffix(path) if isinstance(error, FileNotFoundError) else ""
        advice = reading_advice(error, path, f"name a YAML file{near}")
        raise RecipeError(f"{location(path)} cannot be read: {error.strerror}; {advice}") from None
    # Not only YAMLError: an escape beyond Unicode and a version of many digits are a ValueError or an OverflowError.
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        told = " ".join(str(error).replace('in "<unicode string>", ', "at ").split())
        raise RecipeError(f"{location(path)} is not YAML: {told}") from None


def _other_suffix(path: Path) -> str:
    """What to add where .yaml stands for .yml, or the other way round."""
    other = path.with_suffix(".yml" if path.suffix == ".yaml" else ".yaml") if path.name else path
    with suppress(OSError):  # its name may be too long
        return f", such as {location(other)}" if other.is_file() else ""
    return ""


class TextLoader(yaml.BaseLoader):
    """PyYAML's loader that leaves scalars as text; here duplicate keys, which it would drop, are errors.

    So is what nests too deep: PyYAML recurses, and looks through all that is open at every token.
    """

    def fetch_flow_collection_start(self, TokenClass: Any) -> None:
        self._check_depth()
        super().fetch_flow_collection_start(TokenClass)

    def add_indent(self, column: int) -> bool:
        if self.indent < column:
            self._check_depth()
        return bool(super().add_indent(column))

    def _check_depth(self) -> None:
        if self.flow_level + len(self.indents) >= _MAX_DEPTH:
            raise yaml.scanner.ScannerError(None, None, f"nested too deeply, over {_MAX_DEPTH} levels", self.get_mark())

    def construct_scalar(self, node: yaml.ScalarNode) -> str:
        text = str(super().construct_scalar(node))
        try:
            text.encode()
        except UnicodeEncodeError:  # an escape can be half of a character, which no path and no key has
            half = f"{shown(text)} has half of a character in it"
            raise yaml.constructor.ConstructorError(None, None, half, node.start_mark) from None
        return text

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        self.check_keys(node)
        return dict(super().construct_mapping(node, deep=deep))

    def check_keys(self, node: yaml.MappingNode) -> None:
        """Raise ConstructorError unless all keys are text, and each is there once."""
        seen: dict[str, int] = {}
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise yaml.constructor.ConstructorError(None, None, "a key that is not text", key.start_mark)
            if key.value in seen:
                twice = f"the key {shown(key.value)} stands twice, on line {seen[key.value]} and"
                raise yaml.constructor.ConstructorError(None, None, twice, key.start_mark)
            seen[key.value] = key.start_mark.line + 1
