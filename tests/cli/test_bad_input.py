"""Whatever is wrong: exit status 1, one clear line, and everything as it was [CL-1]."""

from __future__ import annotations

import errno
import json
import shlex

import pytest

import mergealgebra as ma
from tests.cli.bad.checkpoints import CHECKPOINTS
from tests.cli.bad.configurations import CONFIGURATIONS
from tests.cli.bad.outputs import OUTPUTS
from tests.cli.bad.workspaces import WORKSPACES
from tests.cli.commands import call, tree
from tests.cli.scene import flip

TABLES = (CHECKPOINTS, CONFIGURATIONS, WORKSPACES, OUTPUTS)

#: Every way to get something wrong, by name.
BAD_INPUT = {name: case for table in TABLES for name, case in table.items()}
assert len(BAD_INPUT) == sum(map(len, TABLES)), "two cases have one name"


@pytest.mark.parametrize(
    "case",
    [pytest.param(case, id=name, marks=pytest.mark.clause("CL-1", *case.clauses)) for name, case in BAD_INPUT.items()],
)
def test_one_line_and_nothing_changed(case, scene):
    if case.skip:
        pytest.skip(case.skip)
    case.arrange(scene)
    names = case.names(scene)
    before = tree(scene)
    complaint = call(scene, *shlex.split(case.command.format(**names))).complaint()
    missing = [word for word in (*case.words, *names.values()) if word not in complaint]
    assert not missing, complaint
    assert _kept(tree(scene), case.changes) == _kept(before, case.changes)
    case.then(scene)


def _kept(files, changes):
    """The files outside the folders that may change."""
    return {path: content for path, content in files.items() if path.split("/")[0] not in changes}


#: Command lines that are none, with a word that the usage must contain.
WRONG_USAGE = {
    "no verb": ("", "Usage: mergealgebra"),
    "an unknown verb": ("combine", "No such command 'combine'"),
    "an unknown option": ("status --colour", "No such option"),
    "an unknown option before the verb": ("--threads 2 status", "No such option"),
    "no OUT": ("resolve", "Missing argument 'OUT'"),
    "no CONFIG": ("merge", "Missing argument 'CONFIG'"),
    "no CKPT": ("contribute", "Missing argument 'CKPT'"),
    "no ID": ("retract", "name the contributions to take back, or --missing"),
    "no id behind a #": ("clone shared#1234 new --base base", "is not the id of a workspace"),
    "no PEER": ("sync", "Missing argument 'PEER...'"),
    "no DIR": ("clone --yes shared --base base", "Missing argument 'DIR'"),
    "no base to init": ("init", "name the base with --base, or another workspace with --from"),
    "no maintainer to go on with": ("-C new init --from alice", "needs a --maintainer"),
    "a share from another": ("-C new init --from alice --maintainer maya.pub --share", "makes no share"),
    "no name for a grant": ("-C guild grant ada.pub", "Missing option '--name'"),
    "no key to set": ("-C guild set-key", "give the FILE of a private key, or --none"),
    "a key and none": ("-C guild set-key maya --none", "give the FILE of a private key, or --none"),
    "no base to clone": ("clone --yes shared new", "Missing option '--base'"),
    "an argument too many": ("resolve out out2", "unexpected extra argument"),
    "no threads": ("-C alice resolve out --threads 0", "'--threads': 0 is not in the range"),
    "less than no threads": ("merge merge.yaml out --threads -1", "'--threads': -1 is not in the range"),
    "half a thread": ("-C alice contribute ft2.safetensors --threads 0.5", "'--threads'"),
    "an empty block": ("-C alice resolve out --block 0", "'--block': 0 is not in the range"),
    "no memory": ("-C alice resolve out --memory 0", "'--memory': '0' is not a size"),
    "less than no memory": ("merge merge.yaml out --memory -1", "'--memory': '-1' is not a size"),
    "memory in no unit": ("-C alice resolve out --memory 12X", "'--memory': '12X' is not a size; write a whole number"),
    "half a gigabyte": ("merge merge.yaml out --memory 0.5G", "'--memory': '0.5G' is not a size"),
    "memory in small letters": ("merge merge.yaml out --memory 64m", "'--memory': '64m' is not a size"),
    "memory without a number": ("merge merge.yaml out --memory G", "'--memory': 'G' is not a size"),
    "memory beyond all": (f"merge merge.yaml out --memory {'9' * 13}", "is not a size"),
    "an unknown backend": ("-C alice resolve out --backend jax", "'--backend': 'jax' is not one of"),
    "an option without its value": ("-C alice contribute ft2.safetensors --coefficient", "requires an argument"),
    "an empty path": ("-C alice contribute ''", "the path is empty"),
    "an empty workspace": ("-C '' status", "the path is empty"),
}


@pytest.mark.clause("CL-1")
@pytest.mark.parametrize(("command", "words"), WRONG_USAGE.values(), ids=WRONG_USAGE)
def test_wrong_usage_ends_with_2(command, words, scene):
    before = tree(scene)
    outcome = call(scene, *shlex.split(command))
    assert outcome.code == 2
    assert outcome.stdout == ""
    assert words in outcome.stderr
    assert tree(scene) == before


@pytest.mark.clause("CL-2")
@pytest.mark.parametrize(
    "command", ["combine --json", "--json -C alice", "clone --json shared", "status --json --colour"]
)
def test_wrong_usage_is_an_object_too_when_asked_for_json(command, scene):
    outcome = call(scene, *command.split())
    assert outcome.code == 2
    (line,) = outcome.stdout.splitlines()
    assert outcome.stderr.endswith(f"Error: {json.loads(line)['error']}\n")


#: Commands that fail at every stage: when paths are looked at, when numbers are read, when the output is written.
FAILING = {
    "no workspace": "-C nowhere status",
    "no such checkpoint": "-C alice contribute nowhere.safetensors",
    "a model that is there": "merge merge.yaml merged",
    "no such law's target": "laws nowhere:nothing",
    "no lock": "verify base",
}


@pytest.mark.clause("CL-1", "CL-2")
@pytest.mark.parametrize("command", FAILING.values(), ids=FAILING)
def test_an_error_is_an_object_when_asked_for_json(command, scene):
    plain = call(scene, *command.split()).complaint()
    assert call(scene, *command.split(), "--json").complaint() == plain


@pytest.mark.clause("CL-1", "CL-2")
def test_an_error_of_the_system_is_an_object_too(scene, monkeypatch):
    def refuse(*_):
        raise OSError(errno.EMFILE, "Too many open files", "x")

    monkeypatch.setattr(ma.Workspace, "open", refuse)
    assert call(scene, "-C", "alice", "status", "--json").complaint() == "x: Too many open files"


@pytest.mark.clause("CL-1", "CL-2")
def test_verify_says_what_is_wrong_on_both_streams_when_asked_for_json(scene):
    flip(scene / "merged" / "model.safetensors", -130)
    outcome = call(scene, "verify", "merged", "--json")
    assert outcome.code == 1
    printed = json.loads(outcome.stdout)
    assert printed["ok"] is False
    assert outcome.stderr == f"mergealgebra: {printed['problem']}\n"
