"""The claims, read from claims/: each theorem, its sentence and the clauses of spec/ that it is about.

    python3 -m proofs.statements readme [--check]    write the table of README.md, or compare it
    python3 -m proofs.statements clauses             {clause: [theorem, ...]}, as JSON

A claim is a comment `(** One sentence. [OS-7, SY-4] *)`, a Theorem, and `Proof. exact lemma. Qed.`
The standard library alone; Coq is not needed.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PROOFS = Path(__file__).resolve().parent
BEGIN, END = "<!-- claims: written by statements.py -->\n", "<!-- end of claims -->\n"

_STATED = re.compile(r"^\s*(Theorem|Lemma|Corollary|Fact|Remark|Proposition|Example)\s+(\w+)", re.MULTILINE)
_COMMENT = re.compile(r"\(\*\*\s+((?:(?!\(\*|\*\)).)*)\*\)\s*\Z", re.DOTALL)
_SENTENCE = re.compile(r"(?P<sentence>[^\s*].*\.)\s+\[(?P<clauses>[^\]]+)\]")
_CLAUSES = re.compile(r"([A-Z]{2})-(\d+)(?: to \1-(\d+))?")
_PROOF = re.compile(r"\.\s+Proof\.\s+exact\s+\(?@?[\w.]+[^.]*(?:\.\w[^.]*)*\.\s+Qed\.")


class ClaimError(Exception):
    """A theorem of claims/ that is not written as a claim is."""


@dataclass(frozen=True)
class Claim:
    """file: its name without `.v`. theorem: its name there. sentence: what it says. clauses: what it is about."""

    file: str
    theorem: str
    sentence: str
    clauses: tuple[str, ...]

    @property
    def name(self) -> str:
        """The name that no other claim has."""
        return f"{self.file}.{self.theorem}"


def claims(proofs: Path = PROOFS) -> list[Claim]:
    """Every claim, by file and in the order of the file. Raises ClaimError, which names all theorems that are none."""
    found, faults = [], []
    for path in sorted((proofs / "claims").glob("*.v")):
        text = path.read_text(encoding="utf-8")
        for stated in _STATED.finditer(text):
            try:
                found.append(_claim(path, text, stated))
            except ClaimError as error:
                faults.append(str(error))
    if faults:
        raise ClaimError("\n".join(faults))
    return found


def theorems_by_clause(proofs: Path = PROOFS) -> dict[str, list[str]]:
    """For each clause that a claim is about, the names of those claims. Raises ClaimError."""
    found: dict[str, list[str]] = {}
    for claim in claims(proofs):
        for clause in claim.clauses:
            found.setdefault(clause, []).append(claim.name)
    return dict(sorted(found.items(), key=lambda item: _clause_key(item[0])))


def table(found: list[Claim]) -> str:
    """The claims as Markdown, a table for each file."""
    lines: list[str] = []
    for file in dict.fromkeys(claim.file for claim in found):
        lines += ["", f"### [{file}](claims/{file}.v)", "", "| claim | clauses | theorem |", "|---|---|---|"]
        lines += [
            f"| {claim.sentence.replace('|', chr(92) + '|')} | {', '.join(claim.clauses)} | `{claim.theorem}` |"
            for claim in found
            if claim.file == file
        ]
    return "\n".join([*lines, "", ""])


def with_table(readme: str, found: list[Claim]) -> str:
    """The README with its table written anew. Raises ClaimError when the marks of the table are missing."""
    before, begin, rest = readme.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ClaimError("README.md lacks the marks between which the table of claims stands")
    return before + begin + table(found) + end + after


def _claim(path: Path, text: str, stated: re.Match[str]) -> Claim:
    kind, theorem = stated.groups()
    where = f"{path.parent.name}/{path.name}: {theorem}"
    comment = _COMMENT.search(text[: stated.start()])
    parts = _SENTENCE.fullmatch(" ".join(comment[1].split())) if comment else None
    if kind != "Theorem":
        raise ClaimError(f"{where} is a {kind}; claims/ holds theorems only")
    if parts is None:
        raise ClaimError(f"{where} has no comment `(** One sentence. [OS-7, SY-4] *)` right above it")
    if not _PROOF.search(_statement_and_proof(text, stated.end())):
        raise ClaimError(f"{where} is not proved by `Proof. exact lemma. Qed.`")
    return Claim(path.stem, theorem, parts["sentence"], tuple(_clauses(parts["clauses"], where)))


def _statement_and_proof(text: str, start: int) -> str:
    """From a theorem's name to the end of its proof."""
    end = text.find("Qed.", start)
    following = _STATED.search(text, start)
    if end < 0 or (following and following.start() < end):
        return ""
    return text[start : end + len("Qed.")]


def _clauses(listed: str, where: str) -> Iterator[str]:
    for entry in listed.split(","):
        parts = _CLAUSES.fullmatch(entry.strip())
        if parts is None:
            raise ClaimError(f"{where} names the clause {entry.strip()!r}; write `OS-7`, or `OS-7 to OS-9`")
        prefix, first, last = parts.groups()
        yield from (f"{prefix}-{number}" for number in range(int(first), int(last or first) + 1))


def _clause_key(clause: str) -> tuple[str, int]:
    prefix, number = clause.split("-")
    return prefix, int(number)


def _write_readme(check: bool) -> int:
    readme = PROOFS / "README.md"
    old = readme.read_text(encoding="utf-8")
    new = with_table(old, claims())
    if new == old:
        return 0
    if check:
        print("proofs/README.md is not in step with claims/: run `make -C proofs readme`", file=sys.stderr)
        return 1
    readme.write_text(new, encoding="utf-8")
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    verbs = parser.add_subparsers(dest="verb", required=True)
    verbs.add_parser("readme").add_argument("--check", action="store_true")
    verbs.add_parser("clauses")
    options = parser.parse_args()
    try:
        if options.verb == "readme":
            return _write_readme(options.check)
        print(json.dumps(theorems_by_clause(), indent=1))
    except ClaimError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
