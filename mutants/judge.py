"""What a run of mutants comes to: the table, and what is wrong with it."""

from __future__ import annotations

import json
import tomllib
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from mutants.mutations import Mutant

SURVIVORS = Path(__file__).with_name("survivors.toml")
LEAST_SHARE = 0.95

#: What a mutant is called in `survivors.toml`: file, function, original and mutated lines.
Key = tuple[str, str, str, str]

#: Every mutant, and whether it survived.
Verdicts = Sequence[tuple[Mutant, bool]]


def key(mutant: Mutant) -> Key:
    """The name of a mutant."""
    return mutant.file, mutant.function, mutant.original, mutant.mutated


def listed(path: Path = SURVIVORS) -> Counter[Key]:
    """The survivors that the file has a reason for; a change that can be made at two like places stands there twice."""
    entries = tomllib.loads(path.read_text(encoding="utf-8"))["equivalent"]
    unexplained = [entry for entry in entries if not entry["reason"].strip()]
    if unexplained:
        raise ValueError(f"{path}: no reason for {unexplained[0]}")
    return Counter((entry["file"], entry["function"], *mutant) for entry in entries for mutant in entry["mutants"])


def problems(verdicts: Verdicts, known: Counter[Key], files: Iterable[str]) -> list[str]:
    """What is wrong with the verdicts on all mutants of some files, an item each."""
    survivors = Counter(key(mutant) for mutant, survived in verdicts if survived)
    expected = Counter({entry: times for entry, times in known.items() if entry[0] in set(files)})
    share = 1 - survivors.total() / max(1, len(verdicts))
    return [
        *(
            [f"{share:.1%} of the mutants are killed, at least {LEAST_SHARE:.0%} must be"]
            if share < LEAST_SHARE
            else []
        ),
        *(f"survives, and no reason is listed:\n{as_toml(entry)}" for entry in (survivors - expected).elements()),
        *(f"is listed, and does not survive:\n{as_toml(entry)}" for entry in (expected - survivors).elements()),
    ]


def as_toml(entry: Key) -> str:
    """A survivor as `survivors.toml` writes it, but for the reason."""
    file, function, original, mutated = (json.dumps(text, ensure_ascii=False) for text in entry)
    return f"file = {file}\nfunction = {function}\nmutants = [\n  [{original},\n   {mutated}],\n]"


def table(verdicts: Verdicts) -> str:
    """Mutants, killed and survivors of each file and of all."""
    counts = Counter(mutant.file for mutant, _ in verdicts)
    left = Counter(mutant.file for mutant, survived in verdicts if survived)
    rows = [(file, counts[file], left[file]) for file in sorted(counts)]
    rows.append(("all", counts.total(), left.total()))
    lines = [f"{'file':28}{'mutants':>8}{'killed':>8}{'survive':>8}"]
    lines += [f"{file:28}{count:8}{count - alive:8}{alive:8}" for file, count, alive in rows]
    return "\n".join(lines)
