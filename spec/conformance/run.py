"""Ask every implementation of TIES that is known, and write REPORT.md and report.html.

    python spec/conformance/run.py [--authors PATH] [--mergelm PATH] [--environments PATH] [--out PATH]

`make conformance` makes the environments and calls this. What is not there is not run, and its row says so.
"""

from __future__ import annotations

import argparse
import contextlib
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from mergealgebra.conformance.judgement.comparison import compare
from mergealgebra.conformance.judgement.judge import judge
from mergealgebra.conformance.reports.matrix import Row, markdown, tables
from mergealgebra.conformance.reports.page import page
from mergealgebra.dialects.points import DIALECTS
from mergealgebra.errors import TargetError
from mergealgebra.store.atomic import replace_file
from mergealgebra.targets.loading import open_target

FOLDER = Path(__file__).resolve().parent
ROOT = FOLDER.parents[1]
SECONDS = 120

#: How many random merges hold each against what spec/dialects.md says of it.
COUNT = 1000

TITLE = "What implementations of TIES compute"
PARAGRAPHS = (
    "Each implementation was asked the same merges, and what it computes was read off its answers alone. The points of "
    "variation and their options are those of spec/dialects.md; none of them is a mistake in itself. Made by "
    "`make conformance`; spec/conformance/README.md says what the tables mean.",
)


@dataclass(frozen=True)
class Implementation:
    """One to ask. target: as `mergealgebra conformance` takes it. environment: a folder of virtual environments has it,
    made from the requirements of that name; ours if "".
    """

    name: str
    claim: str
    target: str
    environment: str = ""


IMPLEMENTATIONS = (
    Implementation("mergealgebra", "canonical", "mergealgebra"),
    Implementation("ties.mjs", "canonical", "node examples/conformance/ties.mjs"),
    Implementation("the authors' code", "authors", "authors", "checkouts"),
    Implementation("mergekit 0.1.5", "mergekit-0.1.5", "mergekit", "mergekit-0.1.5"),
    Implementation("mergekit 0.1.4", "mergekit-0.1.4", "mergekit", "mergekit-0.1.4"),
    Implementation("peft", "peft-0.21", "peft", "peft-0.21"),
    Implementation("fusion-bench", "fusion-bench-0.2", "fusion-bench", "fusion-bench-0.2"),
    Implementation("MergeLM", "mergelm", "mergelm", "checkouts"),
    Implementation("crdt-merge", "crdt-merge-0.11", "crdt-merge", "crdt-merge-0.11"),
    Implementation("sd-mecha", "sd-mecha-1.1", "sd-mecha", "sd-mecha-1.1"),
)

#: Where the code is that no package has, and the commit that is meant.
REPOSITORIES = {
    "authors": ("https://github.com/prateeky2806/ties-merging", "44e7891fc84f3de7e4caa52664cd864ca3715e91"),
    "mergelm": ("https://github.com/yule-BUAA/MergeLM", "6d49ad96fd69c92013654b837041b868aa806564"),
}


class NotRun(Exception):
    """Why an implementation is not run."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--authors", type=Path, help="a checkout of the authors' code; cloned if left out")
    parser.add_argument("--mergelm", type=Path, help="a checkout of MergeLM; cloned if left out")
    parser.add_argument("--environments", type=Path, default=ROOT / ".venvs", help="the folder of environments")
    parser.add_argument("--out", type=Path, default=FOLDER, help="where the report goes")
    options = parser.parse_args()
    given = {name: path and path.absolute() for name, path in vars(options).items() if name in REPOSITORIES}
    environments = options.environments.absolute()
    with contextlib.chdir(ROOT):
        rows = [row(implementation, environments, given) for implementation in IMPLEMENTATIONS]
    found = tables(rows)
    for name, made in (("REPORT.md", markdown), ("report.html", page)):
        replace_file(options.out / name, made(TITLE, PARAGRAPHS, found).encode())


def row(implementation: Implementation, environments: Path, given: dict[str, Path | None]) -> Row:
    """What there is to say of an implementation, in the matrix."""
    print(f"{implementation.name} ...", file=sys.stderr, flush=True)
    of, claim = described(implementation), implementation.claim
    try:
        python = interpreter(implementation, environments)
        target = open_target(
            implementation.target, python=python, checkout=checkout(implementation.target, environments, given)
        )
        verdict = judge(target, seconds=SECONDS)
    except (NotRun, TargetError) as reason:
        return Row(implementation.name, of, claim, why_not=str(reason))
    return Row(implementation.name, of, claim, verdict, compare(target, DIALECTS[claim], count=COUNT, seconds=SECONDS))


def described(implementation: Implementation) -> str:
    """What is run, with versions, but for those that it tells itself."""
    if not implementation.environment:
        return "this repository"
    pins = {pin.partition("==")[0]: pin for pin in (ROOT / "constraints.txt").read_text().split("\n")}
    lines = (FOLDER / f"{implementation.environment}.txt").read_text().split()
    packages = ", ".join(pins.get(line, line) for line in lines)
    if implementation.target in REPOSITORIES:
        url, commit = REPOSITORIES[implementation.target]
        return f"{url} at {commit[:12]}, with {packages}"
    return packages


def interpreter(implementation: Implementation, environments: Path) -> str | None:
    """The Python that has an implementation. Raises NotRun."""
    if implementation.target.startswith("node ") and shutil.which("node") is None:
        raise NotRun("no node")
    if not implementation.environment:
        return None
    environment = environments / implementation.environment
    if not (environment / "made").exists():  # the last thing that the Makefile does
        raise NotRun("not installed")
    return str(environment / "bin" / "python")


def checkout(target: str, environments: Path, given: dict[str, Path | None]) -> Path | None:
    """The checkout that a target needs: the one that is given, or a clone. Raises NotRun."""
    if target not in REPOSITORIES or given[target]:
        return given.get(target)
    url, commit = REPOSITORIES[target]
    clone = environments / f"{target}-{commit[:12]}"
    if not clone.exists():
        new = clone.with_suffix(".new")
        shutil.rmtree(new, ignore_errors=True)
        commands = (["git", "clone", "--quiet", url, str(new)], ["git", "-C", str(new), "checkout", "--quiet", commit])
        if any(subprocess.run(command, check=False).returncode for command in commands):
            shutil.rmtree(new, ignore_errors=True)
            raise NotRun("no checkout")
        new.rename(clone)
    return clone


if __name__ == "__main__":
    main()
