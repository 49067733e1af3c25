"""How messages speak of values, files and tensors: short, and on one line."""

from __future__ import annotations

import os
import reprlib
import shlex
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Final, NamedTuple


def shown(value: object) -> str:
    """A value from a user or a file, whatever it holds; what is long loses its middle."""
    return _SHORT.repr(value)


def printable(text: str) -> str:
    """The text with nothing in it that a terminal, a browser or a log would act on, all of it on one line.

    Controls, escapes, line separators and marks that turn the direction of writing are shown as Python writes them.
    What a stranger could have written passes here before anybody sees it.

    >>> printable("red: \\x1b[31m, backwards: \\u202e, next\\nline")
    'red: \\\\x1b[31m, backwards: \\\\u202e, next\\\\nline'
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def printable_lines(text: str) -> str:
    """A text of several lines, each of them printable.

    >>> printable_lines("first\\nsecond\\x07\\u2028")
    'first\\nsecond\\\\x07\\\\u2028'
    """
    return "\n".join(map(printable, text.split("\n")))


def shortened(text: str, most: int) -> str:
    """A text that is longer than that many characters without its middle.

    >>> shortened("0123456789", 7)
    '01...89'
    """
    return text if len(text) <= most else f"{text[: (most - 3) // 2]}...{text[-((most - 3) // 2) :]}"


def one_line(text: str) -> str:
    """A message of several lines as one, and printable.

    >>> one_line("first\\n  second\\x07")
    'first second\\\\x07'
    """
    return printable(" ".join(line.strip() for line in text.splitlines()))


def listed(names: Iterable[str]) -> str:
    """Some names, one or more, as a sentence has them; of many, the first.

    >>> listed(["unet", "vae"])
    'unet and vae'
    """
    found = list(names)
    if len(found) > _MOST_LISTED:
        named = found[: _MOST_LISTED - 1]
        found = [*named, f"{len(found) - len(named)} more"]
    *most, last = found
    return f"{', '.join(most)} and {last}" if most else last


def kind_of(value: object) -> str:
    """What a value is, with its article.

    >>> kind_of([]), kind_of(1)
    ('a list', 'an int')
    """
    name = type(value).__name__
    return f"{'an' if name[:1].lower() in tuple('aeiou') else 'a'} {name}"


def by_caller(command: str, python: str) -> str:
    """What to do, as it is written at the command line or in Python, whichever was called.

    >>> by_caller("--force", "force=True")
    'force=True'
    """
    return command if _AT_COMMAND_LINE.get() else python


@contextmanager
def at_command_line() -> Iterator[None]:
    """While a verb runs, messages of its thread name the options of the command line."""
    token = _AT_COMMAND_LINE.set(True)
    try:
        yield
    finally:
        _AT_COMMAND_LINE.reset(token)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """What a message adds to a word that is not known; empty where none of those is near.

    >>> did_you_mean("lamda", ["density", "lambda"])
    "; did you mean 'lambda'?"
    """
    near = nearest(word, known)
    return f"; did you mean {shown(near)}?" if near else ""


def nearest(word: str, known: Iterable[str]) -> str:
    """Which of these words somebody may have meant; empty where none is near."""
    if len(word) > _LONGEST_WORD:
        return ""
    from difflib import get_close_matches  # few messages need it

    found = get_close_matches(word, [other for other in known if len(other) <= _LONGEST_WORD], 1)
    return found[0] if found else ""


def location(path: Path, name: str | None = None) -> str:
    """How a message begins: the file, and the tensor if there is one."""
    if name is not None:
        return str(Where(name, path))
    text = str(path)
    return text if text.isprintable() else ascii(text)


def address(peer: str | os.PathLike[str]) -> str:
    """How a message names a peer: a folder as `location` does, an address as it stands.

    >>> address("http://host:8790"), address("share/")
    ('http://host:8790', 'share')
    """
    text = os.fspath(peer)
    return printable(text) if "://" in text else location(Path(text))


def command_in(workspace: Path) -> str:
    """How a command about a workspace begins, to be typed anywhere.

    >>> command_in(Path("our models"))
    "mergealgebra -C 'our models'"
    """
    return f"mergealgebra -C {shlex.quote(location(workspace))}"


@contextmanager
def syncing(workspace: Path) -> Iterator[None]:
    """While a workspace syncs, messages of its thread give commands about it."""
    token = _SYNCING.set(workspace)
    try:
        yield
    finally:
        _SYNCING.reset(token)


def sync_creating(peer: str | os.PathLike[str], workspace: Path | None = None) -> str:
    """The command, or in Python the call, by which a workspace, or the one that syncs, makes a share.

    >>> with syncing(Path("mine")):
    ...     sync_creating("/mnt/share")
    "Workspace.open('mine').sync('/mnt/share', create=True)"
    """
    own, other = workspace or _SYNCING.get() or Path("WORKSPACE"), address(peer)
    command = f"{command_in(own)} sync {shlex.quote(other)} --create"
    return by_caller(command, f"Workspace.open({location(own)!r}).sync({other!r}, create=True)")


def naming_a_key() -> str:
    """How somebody names their private key, once or, where a workspace syncs, for good.

    >>> with at_command_line(), syncing(Path("mine")):
    ...     naming_a_key()
    '--key FILE, or once with `mergealgebra -C mine set-key FILE`'
    """
    workspace = _SYNCING.get()
    once = "" if workspace is None else f", or once with `{command_in(workspace)} set-key FILE`"
    return by_caller(f"--key FILE{once}", "key=FILE")


def sync_again(
    workspace: str | os.PathLike[str],
    peer: str | os.PathLike[str],
    *,
    retracted: bool = False,
    auxiliary: bool = False,
    give: bool = True,
) -> str:
    """The command, or in Python the call, by which a workspace syncs with a peer.

    >>> sync_again("mine", "/mnt/share", retracted=True)
    "Workspace.open('mine').sync('/mnt/share', retracted=True)"
    >>> with at_command_line():
    ...     sync_again("mine", "/mnt/our share", retracted=True)
    "mergealgebra -C mine sync '/mnt/our share' --retracted"
    """
    own, other = location(Path(workspace)), address(peer)
    asked = (retracted, "--retracted", "retracted=True"), (auxiliary, "--auxiliary", "auxiliary=True")
    options = [pair for is_asked, *pair in (*asked, (not give, "--pull", "give=False")) if is_asked]
    command = " ".join([command_in(Path(workspace)), "sync", shlex.quote(other), *(option for option, _ in options)])
    arguments = ", ".join([repr(other), *(argument for _, argument in options)])
    return by_caller(command, f"Workspace.open({own!r}).sync({arguments})")


def syncing_workspace() -> str | Path:
    """The workspace that syncs, or a word for one."""
    return _SYNCING.get() or "WORKSPACE"


def fsck_repair(folder: str | os.PathLike[str], peer: str | Path = "PEER") -> str:
    """The command, or in Python the call, that mends a store from a peer: a path, or a word for one.

    >>> fsck_repair("share")
    "mergealgebra.fsck.inspect('share', repair=PEER)"
    >>> with at_command_line():
    ...     fsck_repair("our share", "WORKSPACE")
    "mergealgebra fsck 'our share' --repair WORKSPACE"
    """
    text = location(Path(folder))
    typed, given = (shlex.quote(location(peer)), repr(location(peer))) if isinstance(peer, Path) else (peer, peer)
    command = f"mergealgebra fsck {shlex.quote(text)} --repair {typed}"
    return by_caller(command, f"mergealgebra.fsck.inspect({text!r}, repair={given})")


class Where(NamedTuple):
    """The tensor that a message is about. It is put into words by the message, as most tensors have none."""

    name: str
    path: Path | None = None

    def __str__(self) -> str:
        tensor = f"tensor {shown(self.name)}"
        return tensor if self.path is None else f"{location(self.path)}: {tensor}"


_AT_COMMAND_LINE: Final = ContextVar("at the command line", default=False)
_SYNCING: Final = ContextVar[Path | None]("the workspace that syncs", default=None)
_MOST_LISTED: Final = 12
_LONGEST_WORD: Final = 40
_SHORT: Final = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = 200
_SHORT.maxlist = _SHORT.maxtuple = 8
