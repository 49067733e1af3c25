"""The text of a lock: read member by member, so that a stranger's takes little more memory than it must [LK-2].

What cannot be right is refused where it is met.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from mergealgebra import lock_values
from mergealgebra.crdt.genesis import SPEC
from mergealgebra.crdt.manifest import AND, KINDS, Auxiliary
from mergealgebra.errors import LockError
from mergealgebra.lock_values import Where
from mergealgebra.tensors.dtypes import DTYPES
from mergealgebra.tensors.json_grammar import joined
from mergealgebra.tensors.shapes import SIZES
from mergealgebra.tensors.strict_json import Reader
from mergealgebra.text import shown

#: The versions of the lock's format: 2 is for contributions whose manifests have format 2 [LK-2].
FORMATS: Final = (1, 2)
#: No lock is larger, whoever writes it.
MAX_BYTES = 100_000_000

_MAX_DEPTH: Final = 8
#: A recipe has fewer keys, whatever its method.
_MAX_RECIPE: Final = 64
#: Its settings have fewer characters and items together [ST-1].
_MOST_SETTINGS: Final = 1 << 16
#: There are fewer forms.
_MOST_FORMS: Final = 16
#: So many shapes are remembered while a lock is read: most tensors share theirs with others.
_MOST_SHAPES: Final = 1024

#: A tensor as locks are written: dtype, sizes of the shape, root.
_TENSOR: Final = joined(
    *(rb"\{", rb'"dtype"', b":", rb'"([A-Z0-9_]{1,16}+)"', b","),
    *(rb'"shape"', b":", rb"\[", SIZES, rb"\]", b","),
    *(rb'"root"', b":", rb'"([0-9a-f]{64})"', rb"\}"),
)


@dataclass(frozen=True, slots=True)
class LockedContribution:
    """A contribution's manifest without what all share, its id, and how many elements trim kept."""

    id: str
    form: str
    coefficient: str
    elements: int
    tensors: str
    kept: int
    auxiliary: tuple[Auxiliary, ...] = ()

    def to_map(self, format_: int) -> dict[str, object]:
        """As a lock of this format has it, in the order in which it is written."""
        manifest = {"coefficient": self.coefficient, "elements": self.elements, "tensors": self.tensors}
        if format_ == 1:
            return {"id": self.id, "form": self.form, **manifest, "kept": self.kept}
        auxiliary = {a.kind: {"elements": a.elements, "root": a.root} for a in self.auxiliary}
        forms = self.form.split(AND)
        return {"id": self.id, "forms": forms, **manifest, "auxiliary": auxiliary, "kept": self.kept}


@dataclass(frozen=True, slots=True)
class LockedTensor:
    """A tensor of the merged model."""

    dtype: str
    shape: tuple[int, ...]
    root: str


def read_fields(data: bytes) -> dict[str, Any]:
    """The fields of a lock, each by itself what it should be. Raises LockError, and ValueError for what is not JSON."""
    reader = Reader(data, _MAX_DEPTH)
    fields = _members(reader, (), _LOCK)
    reader.finish()
    for number, (format_, _) in enumerate(fields["contributions"]):
        if format_ != fields["format"]:
            raise lock_values.wrong(
                ("contributions", number), f"is written as in format {format_}, not {fields['format']}"
            )
    return {**fields, "contributions": [contribution for _, contribution in fields["contributions"]]}


# One value each


def _members(
    reader: Reader,
    where: Where,
    forms: Mapping[str, Callable[[Reader, Where], Any]],
    optional: Container[str] = (),
) -> dict[str, Any]:
    """An object of exactly these keys, but for the optional ones."""
    found: dict[str, Any] = {}
    for key in _names(reader, where, found):
        if key not in forms:
            raise lock_values.wrong((*where, key), "is not a key that stands there")
        found[key] = forms[key](reader, (*where, key))
    for key in forms:
        if key not in found and key not in optional:
            raise lock_values.wrong((*where, key), "field required")
    return found


def _names(reader: Reader, where: Where, found: Mapping[str, object]) -> Iterator[str]:
    """The keys of an object, none of which is found already."""
    if reader.mark != b"{":
        raise lock_values.expected_another(reader, where, "an object")
    for name in reader.names():
        if name in found:
            raise LockError(f"the key {shown(name)} stands twice")
        lock_values.check_text(name)
        yield name


def _tensors(reader: Reader, where: Where) -> dict[str, LockedTensor]:
    found: dict[str, LockedTensor] = {}
    shapes: dict[bytes, tuple[int, ...]] = {}
    for name in _names(reader, where, found):
        match = reader.take(_TENSOR)
        if match is None:
            found[name] = LockedTensor(**_members(reader, (*where, name), _TENSOR_FIELDS))
            continue
        dtype, sizes, root = match[1].decode(), match[2], match[3].decode()
        shape = shapes.get(sizes)
        if shape is None:
            shape = lock_values.shape_in(sizes, (*where, name))
            if len(shapes) < _MOST_SHAPES:
                shapes[sizes] = shape
        found[name] = LockedTensor(_NAMES.get(dtype, dtype), shape, root)
    return found


#: The names of dtypes, one object each.
_NAMES: Final = {name: name for name in DTYPES}


def _contributions(reader: Reader, where: Where) -> list[tuple[int, LockedContribution]]:
    """The contributions, each with the format in which it is written."""
    found: list[tuple[int, LockedContribution]] = []
    for _ in lock_values.items(reader, where):
        found.append(_contribution(reader, (*where, len(found))))
    return found


def _contribution(reader: Reader, where: Where) -> tuple[int, LockedContribution]:
    fields = _members(reader, where, _CONTRIBUTION_FIELDS, _OF_ONE_FORMAT)
    if "form" in fields:
        if more := sorted(fields.keys() & {"forms", "auxiliary"}):
            raise lock_values.wrong((*where, more[0]), "is not a key that stands beside form")
        return 1, LockedContribution(**fields)
    if "forms" not in fields and "auxiliary" not in fields:
        raise lock_values.wrong((*where, "form"), "field required")
    for key in ("forms", "auxiliary"):
        if key not in fields:
            raise lock_values.wrong((*where, key), "field required")
    return 2, LockedContribution(form=AND.join(fields.pop("forms")), **fields)


def _forms(reader: Reader, where: Where) -> list[str]:
    """Names of forms, which the manifest judges; few enough to be some."""
    found = _texts(reader, where, _MOST_FORMS)
    for form in found:
        if AND in form:
            raise lock_values.wrong(where, f"expected a few names of forms, not {shown(form)}")
    if not found:
        raise lock_values.wrong(where, "expected the name of a form")
    return found


def _auxiliary(reader: Reader, where: Where) -> tuple[Auxiliary, ...]:
    found: dict[str, Auxiliary] = {}
    for kind in _names(reader, where, found):
        if kind not in KINDS:
            raise lock_values.wrong((*where, kind), "is not a key that stands there")
        found[kind] = Auxiliary(kind, **_members(reader, (*where, kind), _AUXILIARY_FIELDS))
    return tuple(sorted(found.values()))


def _recipe(reader: Reader, where: Where) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key in _names(reader, where, found):
        if len(found) == _MAX_RECIPE:
            raise lock_values.wrong(where, f"has more than {_MAX_RECIPE} keys")
        found[key] = (_settings if key == "settings" else lock_values.text)(reader, (*where, key))
    return found


def _settings(reader: Reader, where: Where) -> list[dict[str, str | list[str]]]:
    """The settings of a recipe, which it judges itself; few enough to be some [ST-1]."""
    found: list[dict[str, str | list[str]]] = []
    room = _MOST_SETTINGS
    for _ in lock_values.items(reader, where):
        entry: dict[str, str | list[str]] = {}
        for key in _names(reader, (*where, len(found)), entry):
            at = (*where, len(found), key)
            entry[key] = _texts(reader, at, room) if reader.mark == b"[" else lock_values.text(reader, at)
            room -= len(entry[key])
        if (room := room - 1) < 0:
            raise lock_values.wrong(where, f"has more than {_MOST_SETTINGS} characters")
        found.append(entry)
    return found


def _texts(reader: Reader, where: Where, most: int) -> list[str]:
    found: list[str] = []
    for _ in lock_values.items(reader, where):
        if len(found) == most:
            raise lock_values.wrong(where, f"has more than {most} items")
        found.append(lock_values.text(reader, (*where, len(found))))
    return found


_CONTRIBUTION_FIELDS: Final = {
    "id": lock_values.root,
    "form": lock_values.text,
    "forms": _forms,
    "coefficient": lock_values.text,
    "elements": lock_values.count,
    "tensors": lock_values.root,
    "auxiliary": _auxiliary,
    "kept": lock_values.count,
}
#: Those of them that stand in one format alone.
_OF_ONE_FORMAT: Final = frozenset({"form", "forms", "auxiliary"})
_AUXILIARY_FIELDS: Final = {"elements": lock_values.count, "root": lock_values.root}
_TENSOR_FIELDS: Final = {"dtype": lock_values.text, "shape": lock_values.shape, "root": lock_values.root}
_LOCK: Final = {
    "format": lock_values.version(*FORMATS),
    "spec": lock_values.version(SPEC),
    "base": lock_values.root,
    "recipe": _recipe,
    "contributions": _contributions,
    "merge_id": lock_values.root,
    "tensors": _tensors,
    "model_root": lock_values.root,
    "achieved_density": lock_values.text,
    "uncertified": lock_values.count,
    "backend": lock_values.text,
}
