"""One thread from clause to theorem: which code cites a clause, which vectors and tests check it, what is proved of it.

    python spec/trace.py            writes spec/TRACE.md, which is not committed
    python spec/trace.py --check    fails when a clause has no test or no code, or something names a clause that is not
                                    there; writes nothing

Only text is read: nothing has to be installed, built or run. That the tests pass is judged by `make test`.
"""

from __future__ import annotations

import ast
import json
import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Set
from pathlib import Path

ROOT = Path(__file__).parent.parent
TRACE = ROOT / "spec" / "TRACE.md"

_PREFIXES = (
    "EN RC TV CT EX TI ME TA MG DI OS SG SY PK PR LK CL EF DT RM FM DA LI NM RA SC EM MM NS PT BC DE MS MU SL KA CO PC"
    " AF ST NA BL TK HB AD MK"
)
_ID = rf"(?:{_PREFIXES.replace(' ', '|')})-\d+"
_CLAUSE = re.compile(rf"^- \*\*({_ID})\*\* ?(.*(?:\n  .*)*)", re.MULTILINE)
_CITED = re.compile(rf"\b({_ID})\b(?: to ({_ID}))?")
_UNTESTABLE = re.compile(r"\(untestable: ([^)]+)\)")
_THEOREM = re.compile(r"\(\*\*((?:(?!\*\)).)*)\*\)\s*Theorem (\w+)", re.DOTALL)

#: Where a clause is found, by its id: names of files, of groups of vectors or of theorems.
Places = Mapping[str, list[str]]

_HEAD = """\
# The trace

Written by `make trace`. For each clause: the modules of `mergealgebra/` that cite it; the groups of
[vectors](vectors/README.md) with the number of cases; the tests that are marked with it, of which `make test` wants one
that ran and passed; and the theorems of [proofs/claims/](../proofs/README.md) about it.
"""


def clauses(spec: Path = ROOT / "spec") -> dict[str, str]:
    """The text of each clause that the specification defines, in the order of its files."""
    return {id_: text for path in sorted(spec.glob("*.md")) for id_, text in _CLAUSE.findall(path.read_text())}


def untestable(defined: Mapping[str, str]) -> dict[str, str]:
    """The clauses that say of themselves `(untestable: why)`, with the reason."""
    found = {id_: _UNTESTABLE.search(text) for id_, text in defined.items()}
    return {id_: match[1] for id_, match in found.items() if match}


def citations(text: str) -> Iterator[str]:
    """Every clause that a text cites, ranges written out: `EN-1 to EN-3` cites three."""
    for first, last in _CITED.findall(text):
        prefix, start = first.split("-")
        stop = last.split("-")[1] if last else start
        yield from (f"{prefix}-{number}" for number in range(int(start), int(stop) + 1))


def in_code(package: Path = ROOT / "mergealgebra") -> Places:
    """The modules that cite each clause."""
    return _places((_short(path, package), citations(path.read_text())) for path in package.rglob("*.py"))


def in_vectors(folder: Path = ROOT / "spec" / "vectors") -> Places:
    """The groups of vectors that check each clause, with the number of cases."""
    counts = {
        path.stem: Counter(clause for case in json.loads(path.read_text())["cases"] for clause in case["clauses"])
        for path in folder.glob("*.json")
    }
    return _places((f"{group} ({n})", [clause]) for group, of in counts.items() for clause, n in of.items())


def in_tests(folder: Path = ROOT / "tests") -> Places:
    """The test files with a string that is a clause's id: their marks, and the tables that they make marks from."""
    return _places((_short(path, folder), _strings(path)) for path in folder.rglob("*.py"))


def in_claims(folder: Path = ROOT / "proofs" / "claims") -> Places:
    """The theorems whose comment, right above them, cites a clause."""
    return _places(
        (f"{path.stem}.{name}", citations(comment))
        for path in folder.glob("*.v")
        for comment, name in _THEOREM.findall(path.read_text())
    )


def strangers(defined: Iterable[str], *found: Places) -> list[str]:
    """What names a clause that the specification does not have, a line each."""
    known = set(defined)
    unknown = [(id_, where[id_]) for where in found for id_ in where if id_ not in known]
    return [f"{', '.join(places)}: there is no clause {id_}" for id_, places in unknown]


def gaps(defined: Mapping[str, str], tested: Set[str], cited: Set[str]) -> list[str]:
    """Which clauses lack a test or code, a line each. tested, cited: the clauses that have one."""
    without = untestable(defined).keys()
    return [
        *(f"{id_} has no test" for id_ in _ordered(defined.keys() - tested - without)),
        *(f"{id_} has a test, and says that it is untestable" for id_ in _ordered(without & tested)),
        *(f"{id_} is cited nowhere in mergealgebra/" for id_ in _ordered(defined.keys() - cited)),
    ]


def table(defined: Mapping[str, str], *found: Places) -> str:
    """TRACE.md: a row for each clause, a column for each kind of place."""
    rows = ["| clause | code | vectors | tests | theorems |", "|---|---|---|---|---|"]
    reasons = untestable(defined)
    for id_ in defined:
        code, vectors, tests, claims = (", ".join(where.get(id_, [])) or "-" for where in found)
        rows.append(f"| {id_} | {code} | {vectors} | {reasons.get(id_, tests)} | {claims} |")
    return "\n".join([_HEAD, *rows, ""])


def main(arguments: list[str]) -> int:
    """Write the trace, unless told only to check it; the exit status is 1 where the thread is broken."""
    defined = clauses()
    found = code, vectors, tests, _ = in_code(), in_vectors(), in_tests(), in_claims()
    problems = [*gaps(defined, vectors.keys() | tests.keys(), code.keys()), *strangers(defined, *found)]
    if "--check" not in arguments:
        TRACE.write_text(table(defined, *found))
    print("\n".join(problems) or f"spec trace: {len(defined)} clauses")
    return bool(problems)


def _places(found: Iterable[tuple[str, Iterable[str]]]) -> Places:
    places: dict[str, set[str]] = {}
    for place, ids in found:
        for id_ in ids:
            places.setdefault(id_, set()).add(place)
    return {id_: sorted(of) for id_, of in places.items()}


def _ordered(found: Iterable[str]) -> list[str]:
    return sorted(found, key=lambda id_: (id_[:2], int(id_[3:])))


def _strings(path: Path) -> Iterator[str]:
    """The strings of a module that are a clause's id and nothing else."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and re.fullmatch(_ID, node.value):
            yield node.value


def _short(path: Path, folder: Path) -> str:
    return path.relative_to(folder).with_suffix("").as_posix()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
