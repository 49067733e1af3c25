"""Which laws each method keeps: 14 laws, searched for counterexamples, with the smallest found. Writes laws.md.

    python spec/laws.py                 all methods; `make laws-table` calls this. Minutes
    python spec/laws.py sce emr_of_task these alone; what the page says of others stays

The searches are those of `mergealgebra laws`, each in a process of its own. A method that breaks a law which all must
keep ends this with an error, once the page is written. `tests/laws/test_methods.py` asks again, a little of each law.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

from mergealgebra.laws.checker import check
from mergealgebra.laws.table import LAWS
from mergealgebra.laws.verdict import Verdict
from mergealgebra.methods.registry import METHODS
from mergealgebra.store.atomic import replace_file
from mergealgebra.targets.merge_functions import Target, target

PAGE: Final = Path(__file__).resolve().parent / "laws.md"

#: Random cases for each law, after the built-in ones, and what chooses them.
TRIES, SEED = 20, 0

#: Keys whose defaults would leave out what the method is about.
OPTIONS: Final[Mapping[str, Mapping[str, str]]] = MappingProxyType(
    {
        "ties": {"density": "0.5"},
        "dare_linear": {"density": "0.5"},
        "dare_ties": {"density": "0.5"},
        "sce": {"select_topk": "0.5"},
        "pcb": {"ratio": "0.5"},
    }
)

#: The models of one task, each below the method whose key `task` makes them.
OF_TASK: Final[Mapping[str, str]] = MappingProxyType({"emr_of_task": "emr", "tall_mask_of_task": "tall_mask"})

#: Laws that move task vectors in the list: the task is found by what it holds there, and by its place in all others,
#: which change what it holds.
BY_CONTENT: Final = ("order_independence", "identity_of_zero")

#: The rows of the table.
SUBJECTS: Final = tuple(
    name for method in METHODS for name in (method, *(task for task, of in OF_TASK.items() if of == method))
)

#: What every method must keep, wherever the law applies.
MUST: Final = ("order_independence", "dtype_stability", "purity", "homomorphism")

#: How an outcome stands in the table; those that held stand with their tries.
_SHORT: Final = MappingProxyType({"holds but for rounding": "nearly", "broken": "no", "does not apply": "-"})
#: What a method may raise: its numbers, at both ends of fp32's range, are part of every search.
_REFUSED: Final = "Overflow: "

_HEAD: Final = """\
# The laws of the methods

Written by `make laws-table`: what the laws of `mergealgebra laws` came to on each method, in the built-in cases and
{tries} random ones for each law, seed {seed}. A number: the law held in so many tries. *nearly*: its sides never
differ by more than the last digits of numbers. *no*: there is a counterexample, below. *or refused*: it held
wherever no number was beyond fp32. *-*: the law does not apply. A search is no proof; [what is
proved](../proofs/README.md) is said there. Without `task`, `emr` and `tall_mask` give the model of all. With it they
give that of one task, which is then the first task vector of each merge; `order_independence` and `identity_of_zero`
move that in the list, so there it is the one whose bytes are the greatest.

Every method must keep {must}, where they apply; the rest is as its clauses want it. What trims, drops, or looks at
a norm of a tensor is not local, and depends on how tensors are cut if it looks at each by itself; what looks at
rows depends on places. What draws a random mask takes it from what is contributed, so other task vectors, even
the same ones scaled or negated, have other masks ([RM](methods.md)). Where exact opposites tie, a rule must prefer
one sign, and that is not symmetric.
"""

_LAWS_HEAD: Final = "## The laws\n"
_ROW: Final = re.compile(r"^\| \[(\w+)\]\(#\w+\) \|.*\|$", re.MULTILINE)
_SECTION: Final = re.compile(r"^## (\w+)\n\n(?:(?!^## ).*\n)*", re.MULTILINE)


@dataclass(frozen=True)
class Entry:
    """What the page says of a method: its row, and its section."""

    row: str
    section: str

    @classmethod
    def of(cls, name: str, verdicts: Sequence[Verdict]) -> Entry:
        cells = [cell(verdict) for verdict in verdicts]
        told = [f"- `{v.law}`: {v.reason}" for v in verdicts if v.outcome != "holds"]
        commands = [f"    {command}" for command in commands_of(name)]
        lines = [f"## {name}", "", *commands, "", *told, *([""] if told else [])]
        return cls(f"| [{name}](#{name}) | {' | '.join(cells)} |", "\n".join(lines) + "\n")


def cell(verdict: Verdict) -> str:
    """How a verdict stands in the table."""
    if verdict.outcome == "holds":
        return str(verdict.tries)
    if verdict.outcome == "error" and verdict.cause.startswith(_REFUSED):
        return f"{verdict.tries}, or refused"
    return _SHORT.get(verdict.outcome, verdict.outcome)


def commands_of(name: str) -> list[str]:
    """What searches again, and prints the counterexamples as programs."""
    found: dict[str, list[str]] = {}
    for law in LAWS:
        options = "".join(f" -o {key}={text}" for key, text in options_of(name, law).items())
        found.setdefault(f"mergealgebra laws {OF_TASK.get(name, name)}{options}", []).append(law)
    most = max(map(len, found.values()))
    return [
        f"{asked}{''.join(f' --law {law}' for law in laws if len(laws) < most)} --tries {TRIES} --seed {SEED}"
        for asked, laws in sorted(found.items(), key=lambda item: -len(item[1]))
    ]


def options_of(name: str, law: str) -> Mapping[str, str]:
    """The keys of the recipe of which a law is asked."""
    if name in OF_TASK:
        return {"task": "greatest" if law in BY_CONTENT else "first"}
    return OPTIONS.get(name, {})


def target_of(name: str, law: str) -> Target:
    """What a law is asked of, by its row in the table."""
    return target(OF_TASK.get(name, name), **options_of(name, law))


def asked(name: str) -> list[Verdict]:
    """The verdicts on a row."""
    return [verdict for law in LAWS for verdict in check(target_of(name, law), [law], tries=TRIES, seed=SEED)]


def read(page: str) -> dict[str, Entry]:
    """What a page says, by method."""
    rows = {match[1]: match[0] for match in _ROW.finditer(page)}
    return {match[1]: Entry(rows[match[1]], match[0]) for match in _SECTION.finditer(page) if match[1] in rows}


def outcomes(page: str) -> dict[str, dict[str, str]]:
    """The cell of each law, by method."""
    cells = {name: entry.row.strip("| ").split(" | ")[1:] for name, entry in read(page).items()}
    return {name: dict(zip(LAWS, row, strict=True)) for name, row in cells.items()}


def written(entries: Mapping[str, Entry]) -> str:
    """The page; methods in the order of the registry."""
    some = [entries[name] for name in SUBJECTS if name in entries]
    head = _HEAD.format(tries=TRIES, seed=SEED, must=", ".join(f"`{law}`" for law in MUST))
    laws = "\n".join(f"- `{name}`: {law.sentence}" for name, law in LAWS.items())
    titles = " | ".join(f"[{name.replace('_', ' ')}](#the-laws)" for name in LAWS)
    table = [f"| method | {titles} |", "|---" * (len(LAWS) + 1) + "|", *(entry.row for entry in some)]
    parts = [head, "\n".join(table) + "\n", f"{_LAWS_HEAD}\n{laws}\n", *(entry.section for entry in some)]
    return "\n".join(part.rstrip("\n") + "\n" for part in parts)


def wrong(name: str, verdicts: Iterable[Verdict]) -> Iterator[str]:
    """What no method may do."""
    for verdict in verdicts:
        short = cell(verdict)
        held = short == "-" or short[0].isdigit()
        if not held and (verdict.law in MUST or short not in _SHORT.values()):
            yield f"{name}: {verdict.law}: {verdict}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("methods", nargs="*", help="methods; all if left out")
    names = parser.parse_args().methods or list(SUBJECTS)
    if unknown := set(names) - set(SUBJECTS):
        parser.error(f"{min(unknown)} is not a row of the table; the rows are {', '.join(SUBJECTS)}")
    entries = read(PAGE.read_text()) if PAGE.exists() else {}
    faults: list[str] = []
    with ProcessPoolExecutor(min(len(names), os.cpu_count() or 1)) as pool:
        for name, verdicts in zip(names, pool.map(asked, names), strict=True):
            print(name, file=sys.stderr, flush=True)
            entries[name] = Entry.of(name, verdicts)
            faults += wrong(name, verdicts)
            replace_file(PAGE, written(entries).encode())
    if faults:
        raise SystemExit("\n".join(faults))


if __name__ == "__main__":
    main()
