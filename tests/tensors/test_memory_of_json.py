"""JSON from strangers takes at most 8 bytes of memory for each of its own, whatever is in it.

Memory is what the system says a process had at its peak, as that is what a stranger costs: tracemalloc does not see all
that lies around an object. A child reads one file of each kind, so that imports and first uses are behind it, and
then each hostile file in a fork of its own.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fuzz.families import as_lock
from tests.tensors.hostile_json import CONFIGS, HEADERS, INDEXES, LOCKS

NBYTES = 1_000_000
TIMES = 8
#: A regular expression, an error and its traceback, pages of the heap, and the 1 MiB with which msgpack begins.
BESIDE = 2_500_000

_CHILD = """
import json, os, resource, sys
from pathlib import Path

from mergealgebra.model_folder.base_config import base_config
from mergealgebra.errors import MergeAlgebraError
from mergealgebra.lock import Lock
from mergealgebra.tensors.folder import read_model

READ = {"header": read_model, "index": read_model, "lock": Lock.read, "config": base_config}

def attempt(kind, folder):
    try:
        READ[kind](folder)
    except MergeAlgebraError:
        pass

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)

def in_a_fork(kind, folder):
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        before = peak()
        attempt(kind, folder)
        os.write(writing, str(peak() - before).encode())
        os._exit(0)
    os.waitpid(child, 0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        return int(pipe.read())

cases = json.load(sys.stdin)
for kind in READ:
    attempt(kind, Path(cases["first"][kind]))
json.dump({name: in_a_fork(kind, Path(folder)) for name, (kind, folder) in cases["cases"].items()}, sys.stdout)
"""
FILES = {
    "header": "model.safetensors",
    "index": "model.safetensors.index.json",
    "lock": "merge.lock",
    "config": "config.json",
}
CASES = {
    f"{kind}, {what}": (kind, family)
    for kind, families in {"header": HEADERS, "index": INDEXES, "lock": LOCKS, "config": CONFIGS}.items()
    for what, family in families.items()
}


@pytest.fixture(scope="module")
def peaks(tmp_path_factory):
    """The bytes of each hostile file with those beside it, and the memory that reading it took."""
    root = tmp_path_factory.mktemp("hostile")
    first = {kind: str(_write(root / kind, kind, data)) for kind, data in _FIRST.items()}
    cases = {}
    for number, (name, (kind, family)) in enumerate(CASES.items()):
        cases[name] = (kind, str(_write(root / str(number), kind, family(NBYTES))))
    done = subprocess.run(
        [sys.executable, "-c", _CHILD],
        input=json.dumps({"first": first, "cases": cases}),
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        check=True,
    )
    sizes = {name: sum(path.stat().st_size for path in Path(folder).iterdir()) for name, (_, folder) in cases.items()}
    return {name: (sizes[name], taken) for name, taken in json.loads(done.stdout).items()}


def _write(folder, kind, data):
    folder.mkdir()
    for name, content in data.items() if isinstance(data, dict) else [(FILES[kind], data)]:
        (folder / name).write_bytes(content)
    return folder


_FIRST = {
    "header": HEADERS["tensors"](1000),
    "index": INDEXES["metadata of all kinds"](1000),
    "lock": as_lock(),
    "config": b'{"a":[[[[{}]]]],"architectures":[]}',
}


@pytest.mark.clause("EN-14", "EN-16", "LK-2")
@pytest.mark.parametrize("case", CASES)
def test_memory_is_bounded_by_the_bytes(case, peaks):
    nbytes, taken = peaks[case]
    assert nbytes > NBYTES // 2
    assert taken <= TIMES * nbytes + BESIDE
