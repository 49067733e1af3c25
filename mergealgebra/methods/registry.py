"""All methods by name: those of this package, and those that others bring [RC-4, RC-11].

A method from outside is registered in a program with `register`, or found by the entry point of an installed package.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from mergealgebra.errors import RecipeError
from mergealgebra.methods.dare import DareLinear, DareTies
from mergealgebra.methods.fisher import Fisher
from mergealgebra.methods.mean import Mean
from mergealgebra.methods.method import Method, keys_of
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
    }
)

#: The group of entry points under which installed packages bring methods.
ENTRY_POINTS: Final = "mergealgebra.methods"

_registered: Final[dict[str, type[Method]]] = {}


def register(method: type[Method]) -> type[Method]:
    """Add a method from outside; returns it, so that this decorates a class.

    It needs a `name`, and `distribution` and `version`, which are in every id of its recipes: they say what to install.
    The same class may be registered again. Raises RecipeError for a name that is taken, and for what is not a method.

    >>> from dataclasses import dataclass
    >>> from typing import ClassVar
    >>> @register
    ... @dataclass(frozen=True, init=False, repr=False)
    ... class Nothing(Method):
    ...     name: ClassVar[str] = "nothing"
    ...     distribution: ClassVar[str] = "my-methods"
    ...     version: ClassVar[str] = "1.0"
    >>> Nothing().to_map()
    {'method': 'nothing', 'distribution': 'my-methods', 'version': '1.0'}
    >>> unregister("nothing")
    """
    _check(method)
    other = METHODS.get(method.name) or _registered.get(method.name)
    if other is not None and other is not method:
        raise RecipeError(
            f"the name {shown(method.name)} is taken by {other.__module__}.{other.__qualname__}; choose another"
        )
    _registered[method.name] = method
    return method


def unregister(name: str) -> None:
    """Take a registered method away again, as tests and notebooks need."""
    _registered.pop(name, None)


def find_method(name: str) -> type[Method] | None:
    """The method of this name; None when it is not here. Packages are asked last, and only then loaded."""
    return METHODS.get(name) or _registered.get(name) or _installed(name)


def known_names() -> list[str]:
    """The names of all methods that are here."""
    return [*METHODS, *_registered, *(name for name in _entry_points() if name not in _registered)]


def _check(method: object) -> None:
    if not (isinstance(method, type) and issubclass(method, Method)):
        raise RecipeError(f"{method!r} is not a method; register a class that derives from ma.Method")
    for what in ("name", "distribution", "version"):
        if not getattr(method, what):
            raise RecipeError(
                f'{method.__qualname__} has no {what}; write `{what}: ClassVar[str] = "..."` in its body: recipes '
                "carry it"
            )
    if reserved := {"method", "distribution", "version"} & {*keys_of(method)}:
        raise RecipeError(f"{method.__qualname__}: {min(reserved)!r} is a key of every recipe; call it otherwise")


def _installed(name: str) -> type[Method] | None:
    """The method that an installed package brings under this name. Raises RecipeError when it cannot be used."""
    entry = _entry_points().get(name)
    if entry is None:
        return None
    try:
        method = entry.load()
    except Exception as error:
        raise RecipeError(f"method {shown(name)} of {entry.value} cannot be loaded: {error}") from error
    if isinstance(method, type) and issubclass(method, Method) and entry.dist is not None:
        method.distribution, method.version = entry.dist.name, entry.dist.version
    _check(method)
    if method.name != name:
        raise RecipeError(f"{entry.value} is called {method.name!r}, and its entry point {name!r}; they must agree")
    return register(method)


@cache
def _entry_points() -> Mapping[str, EntryPoint]:
    from importlib.metadata import entry_points  # few recipes need it

    return {entry.name: entry for entry in entry_points(group=ENTRY_POINTS) if entry.name not in METHODS}
