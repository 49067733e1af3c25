"""All methods by name: those of this package, and those that others bring [RC-4, RC-11].

A method from outside is registered in a program with `register`, or found by the entry point of an installed package.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from inspect import getattr_static
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from mergealgebra.errors import MergeAlgebraError, RecipeError
from mergealgebra.methods.arcee_fusion import ArceeFusion
from mergealgebra.methods.breadcrumbs import Breadcrumbs, BreadcrumbsTies
from mergealgebra.methods.consensus_ta import ConsensusTa, TallMask
from mergealgebra.methods.dare import DareLinear, DareTies
from mergealgebra.methods.della import Della, DellaLinear
from mergealgebra.methods.emr import Emr
from mergealgebra.methods.fisher import Fisher
from mergealgebra.methods.karcher import Karcher
from mergealgebra.methods.linear import Linear
from mergealgebra.methods.magmax import MagMax
from mergealgebra.methods.mean import Mean
from mergealgebra.methods.method import Method, keys_of, own_fields
from mergealgebra.methods.model_stock import ModelStock
from mergealgebra.methods.multislerp import MultiSlerp
from mergealgebra.methods.nearswap import NearSwap
from mergealgebra.methods.negmerge import NegMerge
from mergealgebra.methods.passthrough import Passthrough
from mergealgebra.methods.pcb import Pcb
from mergealgebra.methods.ram import Ram
from mergealgebra.methods.ramplus_tl import RamPlusTl
from mergealgebra.methods.sce import Sce
from mergealgebra.methods.settings import COEFFICIENT, SETTINGS, TENSORS
from mergealgebra.methods.slerp import NuSlerp, Slerp
from mergealgebra.methods.task_arithmetic import TaskArithmetic
from mergealgebra.methods.ties import Ties
from mergealgebra.text import shown

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

#: The methods of this package.
METHODS: Final[Mapping[str, type[Method]]] = MappingProxyType(
    {
        "ties": Ties,
        "mean": Mean,
        "task_arithmetic": TaskArithmetic,
        "fisher": Fisher,
        "dare_linear": DareLinear,
        "dare_ties": DareTies,
        "linear": Linear,
        "negmerge": NegMerge,
        "ram": Ram,
        "emr": Emr,
        "magmax": MagMax,
        "nearswap": NearSwap,
        "passthrough": Passthrough,
        "breadcrumbs": Breadcrumbs,
        "breadcrumbs_ties": BreadcrumbsTies,
        "della": Della,
        "della_linear": DellaLinear,
        "pcb": Pcb,
        "arcee_fusion": ArceeFusion,
        "sce": Sce,
        "ramplus_tl": RamPlusTl,
        "consensus_ta": ConsensusTa,
        "tall_mask": TallMask,
        "slerp": Slerp,
        "nuslerp": NuSlerp,
        "multislerp": MultiSlerp,
        "model_stock": ModelStock,
        "karcher": Karcher,
    }
)

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
