"""Three people make one model together, and nobody runs a server.

    python demo.py --out demo

Alice, Bob and Carol fine-tune one base, each on other tasks. First the demo measures what merging is worth. Then the
three pass files to each other, take a mistake back, and each makes the same model, bit for bit. It types the commands
of `mergealgebra` as a user would, and stops with exit code 1 where a promise is not kept.
"""

from __future__ import annotations

import argparse
import json
import shutil
import time
from pathlib import Path
from typing import Any

from accuracy import accuracies, accuracy_table
from bars import svg, terminal_lines
from conflicts import votes_by_layer
from network import LAYERS, MODEL_FILE
from pictures import accuracy_chart, conflicts_chart, mean
from rich.table import Table
from safetensors.numpy import load_file
from shell import Shell, short
from train import FINETUNES, MISTAKE, train_all

import mergealgebra as ma

CONTRIBUTIONS = {
    "alice": ["task0", "task1", "task2"],
    "bob": ["task3", "task4"],
    "carol": ["task5", MISTAKE, "task6", "task7"],
}
DENSITY = "0.2"
TIES = f'method: ties\ndensity: "{DENSITY}"\nlambda: "1"\n'
ONE_SHOT = {
    "averaging": ("method: mean\n", FINETUNES),
    "task_arithmetic": ('method: task_arithmetic\nlambda: "0.4"\n', FINETUNES),
    "ties_with_mistake": (TIES, [*FINETUNES, MISTAKE]),
    "ties": (TIES, FINETUNES),
}
#: How each of the three computes the model: differently, to see that it does not matter.
WAYS = {"alice": "numba", "bob": "numpy", "carol": "torch"}
BEST, AVERAGING, WITH_MISTAKE = "TIES", "averaging", "TIES with the mistake"
STORY = """\
Alice, Bob and Carol start from the same small network, which recognises handwritten digits, but not well. There are
eight tasks: the same digits with their pixels shuffled, differently for each task. Alice trains three copies of the
network, one for each of her tasks, Bob two, Carol three. They want one model for all eight tasks, without training
again, without handing out their data, and without a server.

So they merge. A fine-tune is the base plus some changes, and the changes of all eight are put together by the method
TIES: keep the largest 20% of the changes of each fine-tune; where they pull a parameter in opposite directions,
follow the stronger side; average what is left."""


def main() -> None:
    """Tell the story in the folder of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("demo"), help="the folder for everything it writes")
    started = time.monotonic()
    shell = Shell(parser.parse_args().out)
    shell.title("Three people, eight fine-tunes, one model, no server")
    shell.say(STORY)
    train(shell)
    roots = merge_at_once(shell)
    scores = measure(shell)
    draw_conflicts(shell)
    contribute(shell)
    take_back(shell, roots["ties_with_mistake"])
    resolve(shell, roots["ties"])
    merge_in_python(shell)
    verify(shell, roots["ties"])
    base, averaged, best = (mean(scores[name]) for name in ("base", AVERAGING, BEST))
    shell.title(
        f"In {time.monotonic() - started:.0f} seconds, three people who passed files to each other all made the same "
        f"model, bit for bit,\nwhich recognises {best:.1f}% of the digits of eight tasks, where their base recognises "
        f"{base:.1f}% and plain averaging {averaged:.1f}%."
    )


def train(shell: Shell) -> None:
    """Train what is missing, and forget an earlier run."""
    shell.title("1. The models")
    started = time.monotonic()
    made = sum(train_all(shell.folder / "models").values())
    shell.say("in models/: the base, eight fine-tunes, and a mistake of Carol's, task 0 trained on shuffled labels")
    took = f"{made} trained in {time.monotonic() - started:.0f} seconds"
    shell.say(took if made else "all are there from an earlier run")
    for old in (*CONTRIBUTIONS, "exchange", "merged"):
        shutil.rmtree(shell.folder / old, ignore_errors=True)


def merge_at_once(shell: Shell) -> dict[str, str]:
    """All models in one place: by three methods, and once with the mistake. Returns the model roots."""
    shell.title("2. What merging is worth")
    shell.say("first with all models in one place, where a file names them and one command merges:")
    for name, (recipe, models) in ONE_SHOT.items():
        paths = "".join(f"  - {{path: models/{model}}}\n" for model in models)
        (shell.folder / f"{name}.yaml").write_text(f"{recipe}base: models/base\nmodels:\n{paths}")
        shell.do(f"mergealgebra merge {name}.yaml merged/{name}")
    return {name: lock_of(shell.folder / "merged" / name)["model_root"] for name in ONE_SHOT}


def measure(shell: Shell) -> dict[str, list[float]]:
    """Every model on every task's test set: the table, and the same as a chart. Returns the table's rows."""
    models, merged = shell.folder / "models", shell.folder / "merged"
    rows = {
        "base": accuracies(models / "base"),
        "fine-tunes, own task": [accuracies(models / name)[task] for task, name in enumerate(FINETUNES)],
        AVERAGING: accuracies(merged / "averaging"),
        "task arithmetic": accuracies(merged / "task_arithmetic"),
        WITH_MISTAKE: accuracies(merged / "ties_with_mistake"),
        BEST: accuracies(merged / "ties"),
    }
    chart = accuracy_chart(rows, {BEST: "best", WITH_MISTAKE: "bad"})
    (shell.folder / "accuracy.svg").write_text(svg(chart), encoding="utf-8")
    shell.say(" \npercent of the 1,300 test images of each task that a model recognises:\n ")
    shell.show(accuracy_table(rows))
    shell.say("\n".join([" ", *terminal_lines(chart), " "]))
    means = {name: mean(scores) for name, scores in rows.items()}
    shell.check(means[BEST] > means[AVERAGING] > means["base"], "TIES is better than averaging, and that than the base")
    shell.check(means[WITH_MISTAKE] < means[BEST], "one bad fine-tune among nine does harm")
    return rows


def draw_conflicts(shell: Shell) -> None:
    """What TIES has to settle: how often the fine-tunes pull in opposite directions."""
    models = shell.folder / "models"
    votes = votes_by_layer([ma.TaskVector.between(models / "base", models / name) for name in FINETUNES], DENSITY)
    layers = {layer: votes[layer] for layer in LAYERS}
    chart = conflicts_chart(layers, len(FINETUNES), DENSITY)
    (shell.folder / "conflicts.svg").write_text(svg(chart), encoding="utf-8")
    share = sum(one.opposed for one in layers.values()) / sum(one.parameters for one in layers.values())
    shell.say(f"what TIES settles: {share:.0%} of all parameters are pulled in opposite directions by fine-tunes")
    shell.say("two pictures of this: accuracy.svg, conflicts.svg")


def contribute(shell: Shell) -> None:
    """Three replicas of one workspace, each with its own fine-tunes, and a first round."""
    shell.title("3. The same with nobody in the middle: each starts with their own models")
    (shell.folder / "recipe.yaml").write_text(TIES)
    shell.run("cat recipe.yaml")
    shell.say("each has a workspace: a folder that knows the base, the recipe, and who contributed which fine-tune")
    shell.do("mergealgebra -C alice init --base models/base --recipe recipe.yaml --name digits --as Alice")
    shell.do("mergealgebra clone --yes alice bob --base models/base --as Bob")
    shell.do("mergealgebra clone --yes alice carol --base models/base --as Carol")
    for replica, names in CONTRIBUTIONS.items():
        for name in names:
            shell.do(f"mergealgebra -C {replica} contribute models/{name} --note {name}")
    shell.say("they pass on what they have through a shared folder, one after the other:")
    first, *others = CONTRIBUTIONS
    shell.do(f"mergealgebra -C {first} sync exchange --create")
    for replica in others:
        shell.do(f"mergealgebra -C {replica} sync exchange")
    known = {replica: len(visible(shell, replica)) for replica in CONTRIBUTIONS}
    shell.say("fine-tunes known so far: " + ", ".join(f"{replica} {count}" for replica, count in known.items()))
    shell.check(known == {"alice": 3, "bob": 5, "carol": 9}, "who came early knows less, and nothing was lost")


def take_back(shell: Shell, root: str) -> None:
    """Carol, who has everything, sees the damage and takes her mistake back; a second round goes another way."""
    shell.title("4. Carol takes her mistake back")
    shell.say("she has everything by now, so she makes the model:")
    found = shell.ask("mergealgebra -C carol resolve merged/with_mistake", "model_root")
    shell.check(found == root, "it is the bad one of the table: its root, a hash of all its tensors, is the same")
    shell.say("she looks up what she contributed, and takes it back:")
    shell.run("mergealgebra -C carol log")
    operations = shell.report("mergealgebra -C carol log")["operations"]
    mistake = next(operation["contribution"] for operation in operations if operation.get("note") == MISTAKE)
    shell.do(f"mergealgebra -C carol retract {short(mistake)} --note 'shuffled labels'")
    shell.say("they meet again in another order, and Alice gets all from Bob:")
    for command in ("carol sync exchange", "bob sync exchange", "alice sync bob"):
        shell.do(f"mergealgebra -C {command}")


def resolve(shell: Shell, root: str) -> None:
    """Each replica computes the model by itself, and each in another way."""
    shell.title("5. Each makes the model alone, each with another library")
    for replica, backend in WAYS.items():
        shell.do(f"mergealgebra -C {replica} resolve merged/{replica} --backend {backend}")
    known = {replica: visible(shell, replica) for replica in WAYS}
    locks = {replica: lock_of(shell.folder / "merged" / replica) for replica in WAYS}
    shell.show(replica_table(known, locks))
    alike = all(ids == known["alice"] for ids in known.values())
    shell.check(alike and len(known["alice"]) == len(FINETUNES), "each has the same eight good fine-tunes")
    shell.check({name: lock["backend"] for name, lock in locks.items()} == WAYS, "each used a library of its own")
    files = {(shell.folder / "merged" / replica / MODEL_FILE).read_bytes() for replica in WAYS}
    shell.check(len(files) == 1, "the three files model.safetensors are equal, byte for byte")
    roots = {lock["model_root"] for lock in locks.values()}
    shell.check(roots == {root}, "it is the good model of the table: the mistake left no trace")


def merge_in_python(shell: Shell) -> None:
    """The equations on arrays in memory, with the task vectors in another order."""
    shell.say("the same in Python, the other way round:")
    models = shell.folder / "models"
    shell.code("task_vectors = [ma.TaskVector.between(base, model) for model in reversed(finetunes)]")
    shell.code(f'merged = ma.merge(load_file(base), task_vectors, ma.Ties(density="{DENSITY}"))')
    task_vectors = [ma.TaskVector.between(models / "base", models / name) for name in reversed(FINETUNES)]
    merged = ma.merge(load_file(models / "base" / MODEL_FILE), task_vectors, ma.Ties(density=DENSITY))
    written = load_file(shell.folder / "merged/alice" / MODEL_FILE)
    same = all(merged[name].tobytes() == written[name].tobytes() for name in written)
    shell.check(same and merged.keys() == written.keys(), "the tensors have the bits of Alice's file")


def verify(shell: Shell, root: str) -> None:
    """Anyone can check the folder that is left, and one changed bit is found."""
    shell.title("6. Anybody can check it")
    found = shell.ask("mergealgebra verify merged/alice", "model_root")
    shell.check(found == root, "Alice's folder holds the model that its merge.lock names")
    found = shell.ask("mergealgebra verify merged/alice --against carol", "model_root")
    shell.check(found == root, "made again from what Carol has, it is the same")
    shutil.copytree(shell.folder / "merged/alice", shell.folder / "merged/tampered")
    flip_last_bit(shell.folder / "merged/tampered" / MODEL_FILE)
    shell.refused("mergealgebra verify merged/tampered")
    shell.check(True, "a copy with one bit flipped is refused")
    card = (shell.folder / "merged/alice/README.md").read_text(encoding="utf-8")
    named = [name for name in (*FINETUNES, MISTAKE) if f"| {name} |" in card]
    shell.check(named == FINETUNES, "the README.md beside the model names the eight, and not the mistake")


def visible(shell: Shell, replica: str) -> list[str]:
    """The contributions that count for a replica."""
    return [entry["contribution"] for entry in shell.report(f"mergealgebra -C {replica} status")["visible"]]


def lock_of(folder: Path) -> dict[str, Any]:
    """The lock of a merged model: what it was made from, and with what."""
    lock: dict[str, Any] = json.loads((folder / "merge.lock").read_text(encoding="utf-8"))
    return lock


def replica_table(known: dict[str, list[str]], locks: dict[str, dict[str, Any]]) -> Table:
    """What each replica has and made, a row for each."""
    table = Table(box=None, header_style="dim", pad_edge=False)
    for heading in ("", "fine-tunes", "library", "what is merged", "the model"):
        table.add_column(heading, no_wrap=True)
    for replica, lock in locks.items():
        ids = (short(lock["merge_id"]), short(lock["model_root"]))
        table.add_row(replica, str(len(known[replica])), lock["backend"], *ids)
    return table


def flip_last_bit(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))


if __name__ == "__main__":
    main()
