"""All methods by name: those of this package, and those that others bring [RC-4, RC-11].

A method from outside is registered in a program with `register`, or found by the entry point of an installed package.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import import_module
from inspect import getattr_static
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from mergealgebra.errors import MergeAlgebraError, RecipeError
from mergealgebra.methods.method import Method, keys_of, own_fields
from mergealgebra.methods.settings import COEFFICIENT, SETTINGS, TENSORS
from mergealgebra.text import shown

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

#: The classes of this package's methods, and in which of its files each is.
_CLASSES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "ties": "ties.Ties",
        "mean": "mean.Mean",
        "task_arithmetic": "task_arithmetic.TaskArithmetic",
        "fisher": "fisher.Fisher",
        "dare_linear": "dare.DareLinear",
        "dare_ties": "dare.DareTies",
        "linear": "linear.Linear",
        "negmerge": "negmerge.NegMerge",
        "ram": "ram.Ram",
        "emr": "emr.Emr",
        "magmax": "magmax.MagMax",
        "nearswap": "nearswap.NearSwap",
        "passthrough": "passthrough.Passthrough",
        "breadcrumbs": "breadcrumbs.Breadcrumbs",
        "breadcrumbs_ties": "breadcrumbs.BreadcrumbsTies",
        "della": "della.Della",
        "della_linear": "della.DellaLinear",
        "pcb": "pcb.Pcb",
        "arcee_fusion": "arcee_fusion.ArceeFusion",
        "sce": "sce.Sce",
        "ramplus_tl": "ramplus_tl.RamPlusTl",
        "consensus_ta": "consensus_ta.ConsensusTa",
        "tall_mask": "consensus_ta.TallMask",
        "slerp": "slerp.Slerp",
        "nuslerp": "slerp.NuSlerp",
        "multislerp": "multislerp.MultiSlerp",
        "model_stock": "model_stock.ModelStock",
        "karcher": "karcher.Karcher",
    }
)


class _Methods(Mapping[str, type[Method]]):
    """Methods by name. The file of one is imported when it is asked for: few of them are needed at a time."""

    def __getitem__(self, name: str) -> type[Method]:
        module, _, class_ = _CLASSES[name].partition(".")
        found: type[Method] = getattr(import_module(f"mergealgebra.methods.{module}"), class_)
        return found

    def __contains__(self, name: object) -> bool:
        return name in _CLASSES

    def __iter__(self) -> Iterator[str]:
        return iter(_CLASSES)

    def __len__(self) -> int:
        return len(_CLASSES)


#: The methods of this package.
METHODS: Final[Mapping[str, type[Method]]] = _Methods()

#: The group of entry points under which installed packages bring methods.
ENTRY_POINTS: Final = "mergealgebra.methods"

#: The form of methods' names and of keys.
WORD: Final = re.compile("[a-z][a-z0-9_]{0,63}", re.ASCII)
#: Keys that every recipe has, and those of merge files.
_RESERVED: Final = frozenset(
    {"method", "distribution", "version", "base", "models", "take", "leave", SETTINGS, TENSORS, COEFFICIENT}
)
_MOST_LETTERS: Final = 256

_registered: Final[dict[str, type[Method]]] = {}


def register(method: type[Method]) -> type[Method]:
    """Add a method from outside; returns it, so that this decorates a class.

    It needs `rounds`, a `name`, and `distribution` and `version`, which are in every id of its recipes: they say what
    to install. Where an installed package brings the class by an entry point, they are that package's. A class may be
    registered again, and replaced by one of the same module and name, as notebooks do. Raises RecipeError for a name
    that is taken, and for what is not a method.

    >>> from mergealgebra import algebra
    >>> from mergealgebra.methods.task_arithmetic import lift, total
    >>> @register
    ... class Plus(Method):
    ...     name, distribution, version = "plus", "my-methods", "1.0"
    ...
    ...     @property
    ...     def rounds(self):
    ...         return (algebra.Round(lift, total),)
    >>> Plus().to_map()
    {'method': 'plus', 'distribution': 'my-methods', 'version': '1.0'}
    >>> unregister("plus")
    """
    if isinstance(method, type):
        _name_package(method)
    _check(method)
    other = METHODS.get(method.name) or _registered.get(method.name)
    if other is not None and (method.name in METHODS or _home(other) != _home(method)):
        raise RecipeError(f"the name {shown(method.name)} is taken by {'.'.join(_home(other))}; choose another")
    _registered[method.name] = method
    return method


def _home(method: type[Method]) -> tuple[str, str]:
    return method.__module__, method.__qualname__


def unregister(name: str) -> None:
    """Take a registered method away again, as tests and notebooks need."""
    _registered.pop(name, None)


def find_method(name: str) -> type[Method] | None:
    """The method of this name; None when it is not here. Packages are asked last, and only then loaded."""
    return METHODS.get(name) or _registered.get(name) or _installed(name)


def known_names() -> list[str]:
    """The names of all methods that are here."""
    return [*METHODS, *_registered, *(name for name in _entry_points() if name not in _registered)]


def _name_package(method: type[Method]) -> None:
    """Let a method that an installed package brings have the package's name and version, whatever it says itself."""
    for entry in _entry_points().get(str(getattr(method, "name", "")), []):
        if entry.value.replace(" ", "") == ":".join(_home(method)) and entry.dist is not None:
            method.distribution, method.version = entry.dist.name, entry.dist.version


def _check(method: object) -> None:
    if not (isinstance(method, type) and issubclass(method, Method)):
        raise RecipeError(f"{shown(method)} is not a method; register a class that derives from ma.Method")
    name = method.__qualname__
    for what in ("name", "distribution", "version"):
        text = getattr(method, what)
        if not (isinstance(text, str) and text and len(text) <= _MOST_LETTERS and text.isprintable()):
            raise RecipeError(
                f'{name}: its {what} is {shown(text)}; write `{what} = "..."` in its body, at most '
                f"{_MOST_LETTERS} letters: recipes carry it"
            )
    if not isinstance(getattr_static(method, "rounds"), property) or method.rounds is Method.rounds:
        raise RecipeError(f"{name} has no rounds; give it a property `rounds` that returns (algebra.Round(...),)")
    _check_words(name, method)
    _check_defaults(name, method)


def _check_words(name: str, method: type[Method]) -> None:
    """Its name and its keys can stand in recipes and in the files of merges [RC-7, RC-12]."""
    for what, word in (("name", method.name), *(("key", key) for key in keys_of(method))):
        if not WORD.fullmatch(word):
            raise RecipeError(
                f"{name}: the {what} {shown(word)} is not a lower-case letter and then up to 63 lower-case letters, "
                "digits and underscores; rename it"
            )
    if reserved := _RESERVED & {*keys_of(method)}:
        raise RecipeError(f"{name}: {min(reserved)!r} has a meaning of its own in recipes and merge files; rename it")


def _check_defaults(name: str, method: type[Method]) -> None:
    """What is left out is what `check` would write, so that equal recipes have equal ids."""
    for field in own_fields(method):
        check, default = field.metadata.get("check"), field.default
        if not callable(check):
            raise RecipeError(
                f'{name}: {field.name} is not a key of recipes; write `{field.name}: str = key(default="...", '
                "check=...)`, or ClassVar for what is none"
            )
        try:
            written = check(default, f"{name}: {field.name}")
        except MergeAlgebraError as error:
            raise RecipeError(f"{name}: {field.name}: its check refuses its own default: {error}") from None
        if not isinstance(default, str) or written != default:
            raise RecipeError(
                f"{name}: {field.name}: its check makes {shown(written)} of the default {shown(default)}; the default "
                "must be a text that the check leaves as it is"
            )


def _installed(name: str) -> type[Method] | None:
    """The method that an installed package brings under this name. Raises RecipeError when it cannot be used."""
    entries = _entry_points().get(name, [])
    if not entries:
        return None
    if len(entries) > 1:
        packages = " and ".join(sorted(map(_package, entries)))
        raise RecipeError(f"method {shown(name)} is brought by {packages}; uninstall all but one of them")
    (entry,) = entries
    try:
        method = entry.load()
    except Exception as error:
        raise RecipeError(
            f"method {shown(name)} of {_package(entry)} cannot be loaded: {entry.value} raised {type(error).__name__}: "
            f"{error}; mend that package, or uninstall it"
        ) from error
    if getattr(method, "name", name) != name:
        raise RecipeError(f"{entry.value} is called {method.name!r}, and its entry point {name!r}; they must agree")
    return register(method)


@cache
def _entry_points() -> Mapping[str, list[EntryPoint]]:
    from importlib.metadata import entry_points  # few recipes need it

    found: dict[str, list[EntryPoint]] = {}
    for entry in entry_points(group=ENTRY_POINTS):
        if entry.name not in METHODS:
            found.setdefault(entry.name, []).append(entry)
    return found


def _package(entry: EntryPoint) -> str:
    return "an unknown package" if entry.dist is None else f"{entry.dist.name} {entry.dist.version}"
