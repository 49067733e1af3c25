"""The words in which verbs tell who did what, when, and how large it is. Others wrote the names and notes."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from mergealgebra.text import listed, location, one_line, shortened

if TYPE_CHECKING:
    from mergealgebra.crdt.operations import Operation
    from mergealgebra.crdt.orset import ORSet
    from mergealgebra.store.objects import Store

#: Printed where nothing is known.
NOTHING: Final = "-"
#: Heads a column of times.
WHEN: Final = "when (UTC)"
#: Said once, below names.
UNPROVED: Final = "Names are what people wrote; nothing proves them yet."

#: Characters of a name and of a note on one line: longer ones lose their middle.
_NAME: Final = 24
_NOTE: Final = 60
#: The most contributions that are listed below a command that did something with them.
_MOST_LISTED: Final = 10


def who(name: str | None) -> str:
    """A name, cut to the width of a column."""
    return NOTHING if name is None else shortened(one_line(name), _NAME)


def maker(operation: Operation, state: ORSet, own: str | None = None) -> str | None:
    """Who made an operation: a maintainer, who has no name, is told by their place in `members`. own: your key."""
    maintainers = state.genesis.maintainers
    if operation.author in maintainers:
        return called_maintainer(maintainers.index(operation.author), mine=operation.author == own)
    return state.maker(operation)


def called_maintainer(number: int, *, mine: bool) -> str:
    """What a maintainer is called, by their place in the genesis. mine: whether it is who asks.

    >>> called_maintainer(0, mine=False), called_maintainer(1, mine=True)
    ('maintainer 1', 'maintainer 2, you')
    """
    return f"maintainer {number + 1}{', you' if mine else ''}"


def when(seconds: int | None) -> str:
    """A time in UTC to the minute; in seconds since 1970 where no calendar has it."""
    if seconds is None:
        return NOTHING
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M")
    except (ValueError, OverflowError, OSError):
        return str(seconds)


def noted(note: str | None) -> str:
    """A note, cut to the width of a line."""
    return shortened(note or "", _NOTE)


def size(nbytes: int) -> str:
    """A number of bytes with three digits or so.

    >>> size(512), size(1_234_567)
    ('512 B', '1.2 MB')
    """
    number, units = float(nbytes), ["B", "kB", "MB", "GB"]
    while number >= 1000 and len(units) > 1:
        number /= 1000
        units.pop(0)
    return f"{nbytes} B" if units[0] == "B" else f"{number:.1f} {units[0]}"


def form_in_words(form: str, coefficient: str) -> str:
    """What a contribution is, and by what it is scaled, if it is.

    >>> form_in_words("finetuned", "1"), form_in_words("task_vector", "0.5")
    ('fine-tune', 'task vector, times 0.5')
    >>> form_in_words("finetuned+low_rank", "1")
    'fine-tune and factors'
    """
    scaled = "" if coefficient == "1" else f", times {coefficient}"
    words = {"finetuned": "fine-tune", "low_rank": "factors", "task_vector": "task vector"}
    return listed(words[one] for one in form.split("+")) + scaled


def percent(share: str) -> str:
    """A share as it is measured, in percent; as it is where nothing could be measured.

    >>> percent("0.01003"), percent("1"), percent("3.2e-07")
    ('1.003%', '100%', '3.2e-05%')
    """
    return share if share == NOTHING else f"{float(share) * 100:.4g}%"


def change(figures: Mapping[str, str]) -> str:
    """How much a contribution changes the tensors that it holds, by the figures that were measured [CT-11].

    >>> change({"difference": "0.02", "changed": "1"})
    '2% of the size (norm) of the same tensors of the base, in 100% of their values'
    """
    if figures["difference"] == NOTHING:  # the base is zero there, or there is none of it
        return f"{percent(figures['changed'])} of the values of the same tensors of the base"
    size_ = f"{percent(figures['difference'])} of the size (norm) of the same tensors of the base"
    return f"{size_}, in {percent(figures['changed'])} of their values"


def count(number: int, noun: str) -> str:
    """A number of things.

    >>> count(1, "contribution"), count(2, "contribution")
    ('1 contribution', '2 contributions')
    """
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def few(lines: Sequence[str]) -> list[str]:
    """The first lines of a list below what a command did, and how many more there are."""
    more = len(lines) - _MOST_LISTED
    return [*lines[:_MOST_LISTED], *([f"and {more:,} more"] if more > 0 else [])]


def news(before: ORSet, after: ORSet) -> Iterator[str]:
    """A line for each contribution that became visible between two states, or is not visible any more."""
    from mergealgebra.history import stories, told_by
    from mergealgebra.ids import short_ids

    was, is_, known, short = (
        before.visible_ids(),
        after.visible_ids(),
        set(before.known_ids()),
        short_ids([*after.known_ids(), *before.known_ids()]),
    )
    for id_ in sorted(is_ - was):
        yield f"{short[id_]}  {'visible again' if id_ in known else 'new'}{_by(after, told_by(after, id_), ', from')}"
    gone = sorted(was - is_)
    told = stories(after, gone)
    for id_ in gone:
        if id_ in told and told[id_].retractions:
            yield f"{short[id_]}  taken back{_by(after, told[id_].retractions[-1], ' by')}"
        else:
            yield f"{short[id_]}  hidden, for whoever added it may not write any more"


def _by(state: ORSet, operation: Operation, word: str) -> str:
    """Who did it, after that word, and their note, where these are known."""
    by = maker(operation, state)
    name = "" if by is None else f"{word} {who(by)}"
    return f"{name}: {noted(one_line(operation.note))}" if operation.note else name


def made_of(contributions: Sequence[str], state: ORSet) -> Iterator[str]:
    """A line for each of these contributions: its id, who made it, the note."""
    from mergealgebra.history import told_by
    from mergealgebra.ids import short_ids

    short = short_ids(contributions)
    for id_ in contributions:
        yield f"{short[id_]}{_by(state, told_by(state, id_), '  from')}"


def same_tensors(tensors: Mapping[str, str], command: str) -> Iterator[str]:
    """A line for each contribution whose tensors an earlier one has, too [OS-13].

    tensors: the root of each contribution's. command: begins a command about their workspace.
    """
    from mergealgebra.ids import short_ids

    short, first = short_ids(tensors), dict[str, str]()
    for id_, root in tensors.items():
        earlier = first.setdefault(root, id_)
        if earlier != id_:
            both = f"contributions {short[earlier]} and {short[id_]} hold the same tensors"
            yield f"{both}; if that is a mistake, `{command} retract` one of them"


def command_for(store: Store) -> str:
    """What a command about a workspace begins with."""
    return f"mergealgebra -C {shlex.quote(location(store.path))}"
