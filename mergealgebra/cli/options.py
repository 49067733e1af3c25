"""Options that several verbs share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from mergealgebra.addresses import local_path, peer_scheme
from mergealgebra.errors import BackendError
from mergealgebra.sizes import byte_count

#: The value of --share and --create when it is left out.
_MINE: Final = "mine"

Decorated = TypeVar("Decorated", bound=Callable[..., Any])


class _NamedPath(click.Path):
    """A path that has been named: an empty one, as an unset variable leaves it, would mean the current folder.

    What cannot be read there is told by who reads it: whose it is, and what to do.
    """

    def __init__(self, path_type: type[Path] | None = None) -> None:
        super().__init__(readable=False, path_type=path_type)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if value == "":
            self.fail("the path is empty; write . for the current folder", param, ctx)
        if isinstance(value, str):
            local_path(value)  # before pathlib makes of s3://models the folder s3:/models
        return super().convert(value, param, ctx)


class _Peer(_NamedPath):
    """A path, or the address of a peer."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        address = isinstance(value, str) and peer_scheme(value) is not None
        return value if address else super().convert(value, param, ctx)


class _Model(_NamedPath):
    """The path of a model, or what it is called on the Hub [HB-1]."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        from mergealgebra.formats.hub import folder

        return folder(super().convert(value, param, ctx))


class ValueLeftOut(click.Command):
    """A verb with options whose value may be left out: `--share`, or `--share=group`.

    Click alone would take the next word for the value, as in `sync --create FOLDER`.
    """

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        options = [param for param in self.params if isinstance(param, click.Option) and not param.is_flag]
        bare = {
            name: option.flag_value for option in options if isinstance(option.flag_value, str) for name in option.opts
        }
        rest = args.index("--") if "--" in args else len(args)
        written = [f"{word}={bare[word]}" if word in bare else word for word in args[:rest]]
        return super().parse_args(ctx, written + args[rest:])


class _Bytes(click.ParamType[int]):
    """A number of bytes, with K, M or G for powers of 1024."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        try:
            return byte_count(str(value))
        except BackendError as error:
            self.fail(str(error), param, ctx)


class _ShareKind(click.ParamType[str]):
    """What may stand behind --share and --create: nothing, which is _MINE, or group."""

    name = "kind"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if value not in (_MINE, "group"):
            self.fail(f"{value!r} is not 'group', and nothing else can stand there", param, ctx)
        return str(value)


#: A path as text, and as a Path.
PATH_TEXT = _NamedPath()
PATH = _NamedPath(path_type=Path)
#: A model: its path, also of what is named as on the Hub.
MODEL = _Model(path_type=Path)
#: A peer as text.
PEER = _Peer()

#: The value of --keep-aggregate when it is left out.
WHEN_IT_PAYS: Final = "when-it-pays"

note_option = click.option("--note", help="A line for the log.")
json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object, of an error too.")
threads_option = click.option("--threads", type=click.IntRange(min=1), help="Threads; all cores if left out.")
block_option = click.option(
    "--block", type=click.IntRange(min=1), help="Elements in a block; never changes the result."
)
memory_option = click.option(
    "--memory",
    type=_Bytes(),
    help="Most memory beyond the program itself, such as 200M or 1G; if left out 256M, with a dialect what it takes.",
)
keep_option = click.option(
    "--keep-aggregate",
    is_flag=False,
    flag_value=WHEN_IT_PAYS,
    type=click.Choice([WHEN_IT_PAYS, "always"]),
    metavar="[=always]",
    help="Keep the sums, so that the next merge reads little but what changed. They take 17 to 33 bytes an element in "
    "the workspace's cache, 17 more for each further sum of a method, and twice that while they are renewed. With few "
    "contributions they save nothing, and are not kept unless =always insists.",
)


def share_option(name: str, help_: str) -> Callable[[Decorated], Decorated]:
    """The option that makes a shared folder, for its maker alone or for a group."""
    more = "; with =group, all members of the folder's group may write there."
    kind = _ShareKind()
    return click.option(name, is_flag=False, flag_value=_MINE, type=kind, metavar="[=group]", help=help_ + more)


as_option = click.option("--as", "as_name", metavar="NAME", help="Your name, which everybody who syncs can read.")
take_option = click.option(
    "--take", multiple=True, metavar="PATTERN", help="Take only tensors of such names, like 'model.*'."
)
leave_option = click.option("--leave", multiple=True, metavar="PATTERN", help="Leave tensors of such names out.")
backend_option = click.option(
    "--backend",
    type=click.Choice(["auto", "numba", "numpy", "numpy+numba", "torch", "torch-cuda", "triton"]),
    default="auto",
    show_default=True,
    help="What computes it; never changes the result.",
)
