"""Other tools' names against the tools, and three laws of each: alone, and through replicas. Writes strategies.md.

    python spec/conformance/strategies.py [--environments PATH] [--out PATH] [--replicas N] [--orders N] [--record]

`make conformance` makes the environments and calls this. --record also writes crdt-merge's answers to a few questions,
which tests ask again where the tool is not installed. A tool that is not installed is not asked, and the page says so.
"""

from __future__ import annotations

import argparse
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from asked import (
    BOUNDS,
    CRDT_MERGE,
    MERGEKIT,
    SAME,
    Compared,
    Law,
    Tool,
    compared,
    compared_same,
    raw_laws,
    record,
)
from replicas import LAWS, Outcome, Team, played

from mergealgebra.crdt.genesis import Genesis
from mergealgebra.crdt.orset import ORSet
from mergealgebra.dialects.strategies import STRATEGIES
from mergealgebra.methods.method import Method
from mergealgebra.methods.names import TOOLS, Answer, Differs, Refused, Same
from mergealgebra.methods.registry import METHODS
from mergealgebra.recipe import recipe_from_map
from mergealgebra.store.atomic import replace_file

FOLDER = Path(__file__).resolve().parent
ROOT = FOLDER.parents[1]

#: How many merges each method is compared on, and how many triples of tensors its laws are asked.
COUNT, TRIES = 100, 20
#: Contributions of a team, and the operations of a large state.
MODELS, OPERATIONS = 7, 1000
#: What a join may take, in seconds; by the paper's account of its own layer.
JOIN = 0.0005

HEAD = """\
# Methods of other tools

Made by `make conformance`: each name of crdt-merge 0.11.0 and of mergekit 0.1.5, what it is here
([NA-1](../names.md)), and how near that is to the tool's own answers on {count} random merges.

- *equal*: of so many, bit for bit; where it is a method of ours, the tool's answer is rounded to fp32 first.
- *apart*: what the difference never exceeded, relative to the largest magnitude of the models.

For crdt-merge also the three laws that arXiv 2605.19373 asks of a merge: is it commutative, associative, idempotent?

- *alone*: the tool's own function as a merge of two tensors, {tries} random triples. `yes` is bit for bit, `near`
  within 10^-7, which crdt-merge's own check allows.
- *by replicas*: states of workspaces whose recipe is what the name stands for here are joined, and what they resolve to
  is compared, byte for byte. Then {replicas} replicas hear of {models} contributions, one of which is taken back, in
  {orders} orders, in a network that falls into four parts, gossips, and heals.
- *models*: how many different ones came out of all replicas that *resolved*, with threads and blocks of their own: all
  {replicas} of the first order, five of each other. Whole files of three were compared too.
"""


@dataclass(frozen=True)
class Size:
    """How much is played."""

    replicas: int = 100
    orders: int = 20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--environments", type=Path, default=ROOT / ".venvs", help="the folder of environments")
    parser.add_argument("--out", type=Path, default=FOLDER, help="where the report goes")
    parser.add_argument("--replicas", type=int, default=Size.replicas)
    parser.add_argument("--orders", type=int, default=Size.orders)
    parser.add_argument("--record", action="store_true", help="write crdt-merge's answers for the tests")
    options = parser.parse_args()
    tools = {
        name: Tool(name, options.environments) for name in TOOLS if (options.environments / name / "made").exists()
    }
    if options.record:
        record(tools[CRDT_MERGE], CRDT_MERGE, options.out / f"{CRDT_MERGE}.answers.json")
    size = Size(options.replicas, options.orders)
    replace_file(options.out / "strategies.md", page(tools, size).encode())


def page(tools: Mapping[str, Tool], size: Size) -> str:
    """The whole report."""
    outcomes = played_by_name(size)
    head = HEAD.format(count=COUNT, tries=TRIES, replicas=size.replicas, orders=size.orders, models=MODELS)
    return "\n".join([head, *_crdt_merge(tools.get(CRDT_MERGE), outcomes, size), *_mergekit(tools.get(MERGEKIT)), ""])


def recipe_of(dialect: str, name: str) -> Method | None:
    """The recipe that a name stands for here; None where it is refused, or its method is not here yet [NA-1]."""
    match TOOLS[dialect].names[name]:
        case Same() as same:
            return recipe_from_map({"method": same.method, **same.keys}) if same.method in METHODS else None
        case Differs():
            return recipe_from_map({"method": name, "dialect": dialect})
        case Refused():
            return None


# What replicas made of it


def played_by_name(size: Size) -> dict[str, Outcome]:
    """The outcome for each name of crdt-merge that is computed here."""
    outcomes: dict[str, Outcome] = {}
    with tempfile.TemporaryDirectory() as folder:
        team = Team.made(Path(folder), MODELS)
        for name in TOOLS[CRDT_MERGE].names:
            recipe = recipe_of(CRDT_MERGE, name)
            if recipe is not None:
                print(f"{name} ...", file=sys.stderr, flush=True)
                outcomes[name] = played(team, recipe, Path(folder, "out", name), size.replicas, size.orders)
    return outcomes


def large_join() -> float:
    """The median seconds of a join of two states of many operations, half of them in both."""
    genesis, dice = Genesis("ab" * 32, "large", {"method": "mean", "lambda": "1"}), random.Random(0)
    attests = [ORSet(genesis).attest(dice.randbytes(32).hex(), "0" * 64) for _ in range(OPERATIONS * 3 // 2)]
    operations = [operation for state in attests for operation in state.operations]
    one, other = (ORSet(genesis, frozenset(part)) for part in (operations[:OPERATIONS], operations[-OPERATIONS:]))
    times = []
    for _ in range(101):
        begin = time.perf_counter()
        one.join(other)
        times.append(time.perf_counter() - begin)
    return statistics.median(times)


# The tables


def _crdt_merge(tool: Tool | None, outcomes: Mapping[str, Outcome], size: Size) -> Iterable[str]:
    names = TOOLS[CRDT_MERGE].names
    yield f"## {TOOLS[CRDT_MERGE].title}\n\n{_asked(tool, names)}\n"
    yield "| name | here | equal | apart | alone: c, a, i | by replicas: c, a, i | resolved | models |"
    yield "|---|---|---|---|---|---|---|---|"
    alone = {name: raw_laws(tool, name, TRIES) if tool else {} for name in names}
    for name, answer in names.items():
        found = f"{_compared(tool, CRDT_MERGE, name, answer)} | {_alone(alone[name])} | {_played(outcomes.get(name))}"
        yield f"| `{name}` | {_here(answer, CRDT_MERGE)} | {found} |"
    yield ""
    if tool:
        near = sum(all(law.near for law in laws.values()) for laws in alone.values())
        equal = sum(all(law.equal for law in laws.values()) for laws in alone.values())
        yield f"Alone, {equal} of {len(names)} keep all three laws bit for bit, and {near} within 10^-7."
    agreed = sum(outcome.agrees for outcome in outcomes.values())
    yield f"By replicas, {agreed} of the {len(outcomes)} that are computed here keep all three, and give one model in"
    yield f"all {size.orders} orders to all {size.replicas} replicas.\n"
    yield from _joins([outcome.join for outcome in outcomes.values()])


def _joins(medians: Iterable[float]) -> Iterable[str]:
    """What a join costs; the only figures of the page that change from run to run."""
    here, large = statistics.median(medians), large_join()
    if max(here, large) >= JOIN:
        raise SystemExit(f"a join took {max(here, large) * 1000:.2f} ms, which is not under {JOIN * 1000:g}")
    yield f"A join of the set layer took a median of {here * 1e6:.1f} microseconds in these histories, and"
    yield f"{large * 1e6:.0f} where both states have {OPERATIONS:,} operations: under {JOIN * 1000:g} ms.\n"


def _mergekit(tool: Tool | None) -> Iterable[str]:
    names = TOOLS[MERGEKIT].names
    yield f"## {TOOLS[MERGEKIT].title}\n\n{_asked(tool, names)}\n"
    yield "| name | here | equal | apart |\n|---|---|---|---|"
    for name, answer in names.items():
        yield f"| `{name}` | {_here(answer, MERGEKIT)} | {_compared(tool, MERGEKIT, name, answer)} |"


def _asked(tool: Tool | None, names: Mapping[str, Answer]) -> str:
    if tool is None:
        return "Not installed, so it was not asked."
    if tool.names() != sorted(names):
        raise SystemExit(f"names that have no answer, or are no names: {set(tool.names()) ^ names.keys()}")
    return f"It was asked for its names, and has these {len(names)}."


def _here(answer: Answer, dialect: str) -> str:
    match answer:
        case Same() as same:
            keys = "".join(f", {key} {text}" for key, text in same.keys.items())
            where = f", {same.where}" if same.where else ""
            return f"`{same.method}`{keys}{where}{'' if same.method in METHODS else ' (not here yet)'}"
        case Differs():
            return f"dialect `{dialect}`"
        case Refused():
            return "refused"


def _compared(tool: Tool | None, dialect: str, name: str, answer: Answer) -> str:
    if tool is None or recipe_of(dialect, name) is None:
        return " |"
    if "masks" in getattr(STRATEGIES[dialect].get(name), "settings", {}):
        return "[mergekit-table.md](../../docs/mergekit-table.md) |"
    if name == "ties":
        return "[REPORT.md](REPORT.md) |"
    is_same = isinstance(answer, Same)
    found = compared_same(tool, dialect, name, COUNT) if is_same else compared(tool, dialect, name, COUNT)
    if found.difference > (SAME if is_same else BOUNDS.get(name, 0.0)):
        raise SystemExit(f"{name}: differs by {found.difference} from {TOOLS[dialect].title}, more than is said of it")
    return f"{found.equal} of {found.asked} | {_apart(found)}"


def _apart(found: Compared) -> str:
    return "0" if not found.difference else f"2^{next(k for k in range(-60, 9) if found.difference <= 2.0**k)}"


def _alone(laws: Mapping[str, Law]) -> str:
    return ", ".join("yes" if laws[law].equal else "near" if laws[law].near else "no" for law in LAWS if law in laws)


def _played(outcome: Outcome | None) -> str:
    if outcome is None:
        return " | | "
    laws = ", ".join("yes" if outcome.laws[law] else "no" for law in LAWS)
    return f"{laws} | {outcome.resolved} | {outcome.roots}"


if __name__ == "__main__":
    main()
