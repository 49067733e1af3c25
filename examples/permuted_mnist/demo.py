"""Three people improve one model together, and nobody runs a server.

    python demo.py --out demo

Alice, Bob and Carol each publish fine-tunes of one base, meet through a shared folder and through each
other, take a mistake back, and end with the same merged model, bit for bit. The demo types the commands
of `mergealgebra` as a user would, and stops with exit code 1 where a promise is not kept.
"""

from __future__ import annotations

import argparse
import shutil
import time
from pathlib import Path

from accuracy import accuracies, accuracy_table
from network import MODEL_FILE
from rich.table import Table
from safetensors.numpy import load_file
from shell import Shell
from train import FINETUNES, MISTAKE, train_all

import mergealgebra as ma

CONTRIBUTIONS = {
    "alice": ["task0", "task1", "task2"],
    "bob": ["task3", "task4"],
    "carol": ["task5", MISTAKE, "task6", "task7"],
}
TIES = 'method: ties\ndensity: "0.2"\nlambda: "1"\n'
ONE_SHOT = {
    "averaging": "method: mean\n",
    "task_arithmetic": 'method: task_arithmetic\nlambda: "0.4"\n',
    "ties": TIES,
}


def main() -> None:
    """Tell the story in the folder of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("demo"), help="the folder for everything it writes")
    started = time.monotonic()
    shell = Shell(parser.parse_args().out)
    prepare(shell)
    mistake = contribute(shell)
    synchronise(shell)
    take_back(shell, mistake)
    root = resolve(shell)
    merge_at_once(shell, root)
    merge_in_python(shell)
    measure(shell)
    verify(shell, root)
    shell.title(f"Done: every check held, {time.monotonic() - started:.0f} seconds")


def prepare(shell: Shell) -> None:
    """Train what is missing, forget an earlier run, write the recipe."""
    shell.title("1. One base, eight fine-tunes, one mistake")
    made = train_all(shell.folder / "models")
    shell.say(f"{len(made)} checkpoints in models/, {sum(made.values())} of them trained now")
    shell.say(f"{MISTAKE} is task0 once more, but with its labels shuffled")
    for old in (*CONTRIBUTIONS, "exchange", "merged"):
        shutil.rmtree(shell.folder / old, ignore_errors=True)
    (shell.folder / "recipe.yaml").write_text(TIES)


def contribute(shell: Shell) -> str:
    """Three replicas of one workspace, each with its own fine-tunes. Returns the id of the mistake."""
    shell.title("2. Three replicas, each contributes what it has")
    shell.run("cat recipe.yaml")
    shell.run("mergealgebra -C alice init --base models/base --recipe recipe.yaml --name mnist")
    shell.run("mergealgebra clone alice bob --base models/base")
    shell.run("mergealgebra clone alice carol --base models/base")
    ids = {
        name: shell.ask(f"mergealgebra -C {replica} contribute models/{name}", "contribution")
        for replica, names in CONTRIBUTIONS.items()
        for name in names
    }
    return ids[MISTAKE]


def synchronise(shell: Shell) -> None:
    """A first round through a shared folder: who came early knows less, and the merge ids tell."""
    shell.title("3. They meet through a folder, one after the other")
    first, *others = CONTRIBUTIONS
    shell.run(f"mergealgebra -C {first} sync exchange --create")
    for replica in others:
        shell.run(f"mergealgebra -C {replica} sync exchange")
    known = {replica: len(shell.status(replica)["visible"]) for replica in CONTRIBUTIONS}
    shell.say("contributions known: " + ", ".join(f"{replica} {count}" for replica, count in known.items()))


def take_back(shell: Shell, mistake: str) -> None:
    """Carol, who has everything, sees the damage, retracts, and a second round goes another way."""
    shell.title("4. Carol takes her mistake back, and they meet again in another order")
    shell.ask("mergealgebra -C carol resolve merged/with_mistake", "model_root")
    worst = min(accuracies(shell.folder / "merged/with_mistake"))
    shell.say(f"accuracy on the worst task: {worst:.1f}%, so the mistake has to go")
    shell.run(f"mergealgebra -C carol retract {mistake[:12]}")
    shell.run("mergealgebra -C carol sync exchange")
    shell.run("mergealgebra -C bob sync exchange")
    shell.run("mergealgebra -C alice sync bob")


def resolve(shell: Shell) -> str:
    """Each replica computes the model by itself. Returns the model root that they share."""
    shell.title("5. Each computes the model by itself")
    roots = {
        replica: shell.ask(f"mergealgebra -C {replica} resolve merged/{replica}", "model_root")
        for replica in CONTRIBUTIONS
    }
    statuses = {replica: shell.status(replica) for replica in CONTRIBUTIONS}
    ids = {replica: [entry["contribution"] for entry in statuses[replica]["visible"]] for replica in statuses}
    merge_ids = {replica: status["merge_id"] for replica, status in statuses.items()}
    shell.show(identity_table(ids, merge_ids, roots))
    shell.check(len(ids["alice"]) == len(FINETUNES), "the eight good contributions are visible")
    for what, values in {"contributions": ids, "merge ids": merge_ids, "model roots": roots}.items():
        shell.check(all(value == values["alice"] for value in values.values()), f"the {what} are equal")
    used = {
        backend: shell.ask(f"mergealgebra -C alice resolve --backend {backend} merged/{backend}", "backend")
        for backend in ("numpy", "torch")
    }
    shell.check(all(backend == name for backend, name in used.items()), "each backend did its own work")
    folders = [*CONTRIBUTIONS, "numpy", "torch"]
    shell.check(same_bytes(shell, *folders), "NumPy and PyTorch wrote the same bytes, on every replica")
    return roots["alice"]


def merge_at_once(shell: Shell, root: str) -> None:
    """Without replicas: the same eight fine-tunes, named in a file, by three methods."""
    shell.title("6. The same fine-tunes merged in one shot, without replicas")
    models = "base: models/base\nmodels:\n" + "".join(f"  - {{path: models/{name}}}\n" for name in FINETUNES)
    roots = {}
    for method, recipe in ONE_SHOT.items():
        (shell.folder / f"{method}.yaml").write_text(recipe + models)
        roots[method] = shell.ask(f"mergealgebra merge {method}.yaml merged/{method}", "model_root")
    shell.check(roots["ties"] == root, "what was retracted left no trace: the root is the replicas'")


def merge_in_python(shell: Shell) -> None:
    """The equations on arrays in memory, with the task vectors in another order."""
    shell.title("7. The same in Python, the other way round")
    models = shell.folder / "models"
    shell.code("task_vectors = [ma.TaskVector.between(base, model) for model in reversed(finetunes)]")
    shell.code('merged = ma.merge(load_file(base), task_vectors, ma.Ties(density="0.2", lambda_="1"))')
    task_vectors = [ma.TaskVector.between(models / "base", models / name) for name in reversed(FINETUNES)]
    base = load_file(models / "base" / MODEL_FILE)
    merged = ma.merge(base, task_vectors, ma.Ties(density="0.2", lambda_="1"))
    written = load_file(shell.folder / "merged/alice" / MODEL_FILE)
    same = all(merged[name].tobytes() == written[name].tobytes() for name in written)
    shell.check(same and merged.keys() == written.keys(), "the tensors have the bits that alice wrote")


def measure(shell: Shell) -> None:
    """Is the merged model any good? Every model on every task's test set."""
    shell.title("8. What it is worth: accuracy on 1,300 test images a task")
    models, merged = shell.folder / "models", shell.folder / "merged"
    own = [accuracies(models / name)[task] for task, name in enumerate(FINETUNES)]
    rows = {
        "base, zero-shot": accuracies(models / "base"),
        "fine-tunes, own task": own,
        "averaging": accuracies(merged / "averaging"),
        "task arithmetic 0.4": accuracies(merged / "task_arithmetic"),
        "TIES 0.2 with mistake": accuracies(merged / "with_mistake"),
        "TIES 0.2": accuracies(merged / "alice"),
    }
    shell.show(accuracy_table(rows))
    shell.check(sum(rows["TIES 0.2"]) > sum(rows["averaging"]), "TIES is worth more than averaging here")


def verify(shell: Shell, root: str) -> None:
    """Anyone can check the folder that is left, and one changed bit is found."""
    shell.title("9. Anyone can check the result")
    found = shell.ask("mergealgebra verify merged/alice", "model_root")
    shell.check(found == root, "merged/alice is the model that its lock promises")
    shutil.copytree(shell.folder / "merged/alice", shell.folder / "merged/tampered")
    flip_last_bit(shell.folder / "merged/tampered" / MODEL_FILE)
    shell.refused("mergealgebra verify merged/tampered")
    shell.check(True, "the same folder with one bit flipped is refused")


def identity_table(ids: dict[str, list[str]], merge_ids: dict[str, str], roots: dict[str, str]) -> Table:
    """The ids of every replica side by side, shortened for the eye only."""
    table = Table(box=None, header_style="dim", pad_edge=False)
    for heading in ("", *ids):
        table.add_column(heading, no_wrap=True)
    for number in range(max(map(len, ids.values()))):
        cells = [known[number][:16] if number < len(known) else "-" for known in ids.values()]
        table.add_row(f"contribution {number + 1}", *cells)
    table.add_row("merge id", *(merge_id[:16] for merge_id in merge_ids.values()))
    table.add_row("model root", *(root[:16] for root in roots.values()), style="bold")
    return table


def same_bytes(shell: Shell, *folders: str) -> bool:
    """Is model.safetensors the same file in all these folders of merged/?"""
    return len({(shell.folder / "merged" / folder / MODEL_FILE).read_bytes() for folder in folders}) == 1


def flip_last_bit(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))


if __name__ == "__main__":
    main()
