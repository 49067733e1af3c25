"""Three strangers build one model. They share no disk, no server and no trust.

    python strangers.py --out strangers

Alice, Bob and Carol have a machine each: here, a folder each, and each person's server is a process of its own. One
goes offline, one makes a mistake and is shut out, one loses a disk and restores an old backup. In the end all have the
same model, and can prove it. It types the commands of `mergealgebra` as they would, and stops with exit code 1 where a
promise is not kept.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import time
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parent.parent / "permuted_mnist"))

from forks import CAN_FORK, Forks
from models import MISTAKE, TASKS, Scores, train
from people import Person
from shell import Shell, short

import mergealgebra as ma

RECIPE = 'method: ties\ndensity: "0.2"\nlambda: "1"\n'
STORY = """\
Alice, Bob and Carol never met. Each has the same small network, which recognises handwritten digits, but not well, and
each has trained a copy of it further, on digits that the others do not have. They want one network that can do all of
it. They have no common disk and no server in the middle. They are not all careful, and some are mostly offline."""
#: How each of them computes the model in the end: differently, to see that it does not matter.
WAYS = {"alice": "--backend numpy", "bob": "--backend numba", "carol": "--backend numpy --threads 1 --block 8000"}


def main() -> None:
    """Tell the story in the folder of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("strangers"), help="the folder for everything it writes")
    started = time.monotonic()
    narrator = Shell(parser.parse_args().out)
    narrator.title("Three strangers build one model")
    narrator.say(STORY)
    with ExitStack() as ends:
        scene = set_out(narrator, ends)
        for person in scene.everybody:
            ends.callback(person.go_offline)
        for chapter in (begin, join, lose_sight_of_bob, make_a_mistake, shut_out, forgive, come_back, restore):
            chapter(scene)
        root = agree(scene)
    narrator.title(
        f"In {time.monotonic() - started:.0f} seconds: three machines, one model {short(root)}, bit for bit. It "
        f"recognises {scene.scores['final']},\nwhere what they began with recognises {scene.scores['base']}."
    )


@dataclass
class Scene:
    """Who is there. scores: of the models that were made on the way. workspace: its id, once there is one."""

    narrator: Shell
    alice: Person
    bob: Person
    carol: Person
    models: Path
    scores: dict[str, Scores] = field(default_factory=dict)
    workspace: str = ""

    @property
    def everybody(self) -> tuple[Person, ...]:
        return self.alice, self.bob, self.carol

    def try_out(self, person: Person, model: str, name: str) -> Scores:
        """Say how good a model is that somebody made."""
        found = self.scores[name] = Scores.of(person.folder / model)
        person.say(f"it recognises {found}")
        return found


def set_out(narrator: Shell, ends: ExitStack) -> Scene:
    """Train the models unless they are there, forget an earlier run, and give everybody the base."""
    narrator.title("0. Three machines")
    models = narrator.folder / "models"
    train(models)
    people = []
    forks = ends.enter_context(closing(Forks(dict(os.environ)))) if CAN_FORK else None
    for name in ("alice", "bob", "carol"):
        shutil.rmtree(narrator.folder / name, ignore_errors=True)
        person = Person(name, narrator.folder / name, forks)
        shutil.copytree(models / "base", person.folder / "base")
        shutil.copytree(models / name, person.folder / "model")
        people.append(person)
    narrator.say(
        "the folders alice, bob and carol stand for three machines: nobody looks into another's. In each lie the\n"
        "network that all start from, base, and what its owner made of it, model."
    )
    scene = Scene(narrator, *people, models=models)
    scene.scores["base"] = Scores.of(models / "base")
    narrator.say(f"base recognises {scene.scores['base']}")
    return scene


def begin(scene: Scene) -> None:
    """Keys, and a workspace whose maintainers say who may write."""
    scene.narrator.title("1. Everybody makes a key, and Alice begins")
    scene.narrator.say("a key is how strangers are told apart: one part stays secret, the .pub part goes to the others")
    for person in scene.everybody:
        person.do(f"mergealgebra keygen {person.name}-key")
    alice = scene.alice
    for person in (scene.bob, scene.carol):
        shutil.copy(person.folder / f"{person.name}-key.pub", alice.folder)
    (alice.folder / "recipe.yaml").write_text(RECIPE)
    scene.narrator.say("Bob and Carol mail Alice their .pub files. She begins; she and Bob decide who may contribute:")
    alice.run(
        "mergealgebra -C work init --base base --recipe recipe.yaml --name digits --maintainer alice-key.pub "
        "--maintainer bob-key.pub --key alice-key"
    )
    alice.run("mergealgebra -C work grant carol-key.pub --name Carol")
    alice.do("mergealgebra -C work contribute model --note 'task 0'")
    scene.narrator.say("her machine answers the others; whoever reads needs no key, whoever writes must be a member:")
    alice.serve()
    scene.workspace = alice.workspace().store.genesis.workspace_id


def join(scene: Scene) -> None:
    """The others clone, contribute and sync, and everybody has the same."""
    scene.narrator.title("2. Bob and Carol join")
    scene.narrator.say("she tells them her address, and the long id, by which they know that it is hers:")
    for person in (scene.bob, scene.carol):
        person.do(f"mergealgebra clone {scene.alice.address}#{scene.workspace} work --base base")
        person.do(f"mergealgebra -C work set-key {person.name}-key")
        person.do(f"mergealgebra -C work contribute model --note 'task {TASKS[person.name]}'")
        person.run(f"mergealgebra -C work sync {scene.alice.address}")
    scene.narrator.say("Alice merges what is there by now:")
    scene.alice.run("mergealgebra -C work resolve first")
    merged = scene.try_out(scene.alice, "first", "first")
    scene.narrator.check(merged.mean > scene.scores["base"].mean + 5, "that is better than what they began with")
    scene.narrator.say("in the evening she makes a backup. Remember it:")
    scene.alice.run("cp -r work backup")


def lose_sight_of_bob(scene: Scene) -> None:
    """Bob works on without the others."""
    scene.narrator.title("3. Bob is on a train, offline")
    scene.narrator.say("all that a workspace can do, it can do alone. He contributes what he trained on the way:")
    shutil.copytree(scene.models / "bob-too", scene.bob.folder / "model-2")
    scene.bob.do(f"mergealgebra -C work contribute model-2 --note 'task {TASKS['bob-too']}'")
    known = scene.bob.workspace().visible()
    scene.narrator.say(f"his workspace has {len(known)} contributions now; nobody else knows of the last one yet")


def make_a_mistake(scene: Scene) -> None:
    """Carol publishes a model that spoils the merge, and Alice sees it."""
    scene.narrator.title("4. Carol makes a mistake")
    scene.narrator.say(
        "her labels got mixed up. Nothing in the file shows that: it is a sound model, and teaches nonsense"
    )
    shutil.copytree(scene.models / MISTAKE, scene.carol.folder / "model-2")
    scene.carol.do("mergealgebra -C work contribute model-2 --note 'even better'")
    scene.carol.do(f"mergealgebra -C work sync {scene.alice.address}")
    scene.narrator.say("Alice merges again, as every morning:")
    scene.alice.do("mergealgebra -C work resolve second")
    spoilt = scene.try_out(scene.alice, "second", "spoilt")
    scene.narrator.check(spoilt.mean < scene.scores["first"].mean - 5, "the new model is worse: what came is bad")


def shut_out(scene: Scene) -> None:
    """Alice takes the mistake back and revokes Carol's grant; Carol goes on, and it counts for nobody."""
    alice, carol = scene.alice, scene.carol
    scene.narrator.title("5. Alice takes it back, and shuts Carol's key out")
    alice.run("mergealgebra -C work log")
    mistake = noted(alice, "even better").payload.manifest.id
    scene.narrator.say("Carol does not answer, and her machine may go on by itself. So:")
    alice.run(f"mergealgebra -C work retract {short(mistake)} --note 'spoils task 0'")
    alice.run("mergealgebra -C work revoke carol-key.pub --note 'until she answers'")
    scene.narrator.say("what Carol did before stays as it was: her first model is good. But Carol, unaware, goes on:")
    repaired = carol.folder / "model-3"
    shutil.copytree(scene.models / "carol", repaired)
    carol.do("mergealgebra -C work contribute model-3 --coefficient 0.5 --note 'trained again, half of it'")
    carol.run_and_warn(f"mergealgebra -C work sync {alice.address}")
    seen = carol.workspace().visible()
    scene.narrator.check(mistake not in seen, "the mistake is gone, for her too")
    scene.narrator.check(len(seen) == 3, "and what Carol did after it counts for nobody")


def forgive(scene: Scene) -> None:
    """Late work that is good is kept by name."""
    scene.narrator.title("6. They talk, and Alice keeps that one piece of work")
    scene.narrator.say("Carol reads the id of her last operation to Alice, who keeps it, and it alone:")
    late = noted(scene.carol, "trained again, half of it").id
    scene.alice.run(f"mergealgebra -C work keep carol-key.pub {late}")
    scene.narrator.say(
        "Alice's machine takes nothing from Carol's key any more, but Carol reads there what was decided:"
    )
    scene.carol.refused(f"mergealgebra -C work sync {scene.alice.address}")
    scene.narrator.say("so Carol's machine answers, and Alice takes it there herself:")
    scene.carol.serve()
    scene.alice.do(f"mergealgebra -C work sync {scene.carol.address}")
    here, missing = scene.alice.workspace().visible(), scene.alice.workspace().missing()
    scene.narrator.check(len(here) == 4 and not missing, "Alice has Carol's late contribution, and its tensors")


def come_back(scene: Scene) -> None:
    """Bob is online again: one sync, both ways."""
    scene.narrator.title("7. Bob is back")
    scene.narrator.say("he knows nothing of all that. One sync carries what he lacks, and what the others lack:")
    scene.bob.run(f"mergealgebra -C work sync {scene.alice.address}")
    known = scene.bob.workspace().visible()
    same = known == scene.alice.workspace().visible()
    scene.narrator.check(same and len(known) == 5, "both have the same five contributions, and no mistake")


def restore(scene: Scene) -> None:
    """Alice's disk dies, and the backup is from before the mistake: what is missing comes back from Bob."""
    alice, bob = scene.alice, scene.bob
    scene.narrator.title("8. Alice's disk dies, and her backup is old")
    alice.go_offline()
    alice.do("rm -r work")
    alice.do("cp -r backup work")
    old = alice.workspace().visible()
    scene.narrator.say(
        f"it is from before the mistake: {len(old)} contributions, and no word of what she decided since."
    )
    scene.narrator.say("But her decisions are signed, and others have them. She asks Bob:")
    bob.serve()
    alice.run(f"mergealgebra -C work sync {bob.address}")
    found = alice.workspace()
    scene.narrator.check(found.state == bob.workspace().state, "she has everything again, her own decisions too")
    revoked = [member for member in found.members() if member.revoked]
    scene.narrator.check(len(revoked) == 1, "Carol's key is revoked on Alice's machine again")


def agree(scene: Scene) -> str:
    """Everybody computes the model in another way, and checks another one's. Returns its root."""
    scene.narrator.title("9. One model")
    scene.carol.do(f"mergealgebra -C work sync {scene.bob.address}")
    scene.narrator.say("each computes the model on their own machine, each in another way:")
    for person in scene.everybody:
        person.do(f"mergealgebra -C work resolve model-of-all {WAYS[person.name]}")
    files = {(person.folder / "model-of-all" / "model.safetensors").read_bytes() for person in scene.everybody}
    scene.narrator.check(len(files) == 1, "the three files are equal, byte for byte")
    scene.narrator.say("and each checks it against all that they have themselves:")
    roots = {person.root_of("model-of-all") for person in scene.everybody}
    scene.narrator.check(len(roots) == 1, "one root, verified on three machines")
    scene.narrator.say("Alice and Bob signed what they computed; a last sync, and Bob's status counts their keys:")
    scene.alice.do(f"mergealgebra -C work sync {scene.bob.address}")
    scene.bob.run("mergealgebra -C work status")
    final = scene.try_out(scene.bob, "model-of-all", "final")
    scene.narrator.check(final.mean > scene.scores["first"].mean, "it knows what all of them taught it")
    return roots.pop()


def noted(person: Person, note: str) -> ma.Operation:
    """The operation with a note, which somebody looks up in their log."""
    return next(one for one in person.workspace().state.operations if one.note == note)


if __name__ == "__main__":
    main()
