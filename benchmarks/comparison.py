"""The one-shot merge against mergekit, peft and the floor; what starting costs; one thread against several."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import peers
from floor import floors
from measure import Command, measure_by_turns, run
from ours import PROGRAM, Models, import_only, imported_modules, keep_bytecode, merge, models
from settings import FIRST, IMPORTS, OURS, TINY, Settings

HERE = Path(__file__).resolve().parent
PEERS = {"mergekit": peers.mergekit, "peft": peers.peft}


def warm_up(settings: Settings) -> None:
    """Run every program once, so that no measured run writes bytecode or compiles kernels for later ones."""
    keep_bytecode()
    for dtype in settings.scale.dtypes:
        made = models(settings, settings.scale.tiny, settings.scale.finetunes, dtype)
        for scope in ("model", "tensor"):
            run(merge(settings, made, settings.out / f"{dtype}-{scope}", scope=scope))
    if settings.peers:
        for name, words_of in PEERS.items():
            out = settings.out / name
            run(words_of(settings.peers, made, out, settings.scale.density, settings.threads), peers.OFFLINE)


def compare(settings: Settings) -> dict[str, Any]:
    """Time, CPU time and memory of every program on the same models, and whether they computed the same."""
    scale = settings.scale
    found: dict[str, Any] = {"measurements": [], "agreement": []}
    for dtype in scale.dtypes:
        made = models(settings, scale.parameters, scale.finetunes, dtype)
        found["measurements"] += measure_by_turns(
            [*_ours(settings, made), *_peers(settings, made), *floors(settings, made)]
        )
        found["agreement"] += [
            {"program": peer, "dtype": dtype, **_agreement(settings, peer)}
            for peer in (PEERS if settings.peers else ())
        ]
    return found


def measure_threads(settings: Settings) -> dict[str, Any]:
    """The same merge with one thread and with more."""
    found = []
    for dtype in settings.scale.dtypes:
        made = models(settings, settings.scale.parameters, settings.scale.finetunes, dtype)
        found += measure_by_turns(
            [
                Command(
                    made.labels(OURS, threads=threads),
                    merge(settings, made, settings.out / "merged", threads=threads),
                    settings.scale.runs,
                    reads=made.paths,
                    writes=(settings.out / "merged",),
                )
                for threads in (1, settings.threads)
            ]
        )
    return {"measurements": found}


def measure_start(settings: Settings) -> dict[str, Any]:
    """What a merge costs before the first byte: start-up and imports, of ours and of the others."""
    made = models(settings, settings.scale.tiny, settings.scale.finetunes, settings.scale.dtypes[-1])
    tiny = merge(settings, made, settings.out / "tiny")
    modules = import_only(imported_modules(settings, made))
    commands = [
        _start(settings, "mergealgebra --help", [*PROGRAM, "--help"]),
        _start(settings, IMPORTS, modules),
        _start(settings, TINY, tiny, writes=(settings.out / "tiny",)),
    ]
    if settings.peers:
        imports = [settings.peers / "bin" / "python", "-c", "from peft.utils.merge_utils import ties"]
        others = [
            _start(settings, "mergekit-yaml --help", [settings.peers / "bin" / "mergekit-yaml", "--help"]),
            _start(settings, "peft: import of `ties`", imports),
        ]
        commands += [replace(command, runs=settings.scale.peer_runs) for command in others]
    return {"measurements": measure_by_turns(commands)}


def measure_kernels(settings: Settings) -> dict[str, Any]:
    """The first merge after installation: its kernels are compiled, and kept for all that come later."""
    made = models(settings, settings.scale.tiny, settings.scale.finetunes, settings.scale.dtypes[-1])
    out, kernels = settings.out / "tiny", settings.out / "kernels"
    environment = {"NUMBA_CACHE_DIR": str(kernels)}
    words = merge(settings, made, out)
    return {
        "measurements": measure_by_turns(
            [Command(made.labels(FIRST), words, 1, writes=(out, kernels), environment=environment)]
        )
    }


def _ours(settings: Settings, made: Models) -> list[Command]:
    commands = []
    for scope in ("model", "tensor"):
        out = settings.out / f"mergealgebra-{scope}"
        words = merge(settings, made, out, scope=scope)
        labels = made.labels(OURS, scope=scope)
        commands.append(Command(labels, words, settings.scale.runs, reads=made.paths, writes=(out,)))
    return commands


def _peers(settings: Settings, made: Models) -> list[Command]:
    """mergekit and peft, which trim tensor by tensor."""
    if settings.peers is None:
        return []
    commands = []
    for name, words_of in PEERS.items():
        out = settings.out / name
        words = words_of(settings.peers, made, out, settings.scale.density, settings.threads)
        labels = made.labels(name, scope="tensor")
        commands.append(Command(labels, words, settings.scale.peer_runs, made.paths, (out,), environment=peers.OFFLINE))
    return commands


def _agreement(settings: Settings, peer: str) -> dict[str, float]:
    """How far a peer's model lies from ours of the same scope."""
    found: dict[str, float] = json.loads(
        run([sys.executable, HERE / "agreement.py", settings.out / "mergealgebra-tensor", settings.out / peer])
    )
    return found


def _start(settings: Settings, program: str, words: list[str | Path], **options: Any) -> Command:
    return Command({"program": program}, words, settings.scale.runs, **options)
