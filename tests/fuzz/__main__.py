"""Search with atheris, which is installed in an environment of its own (`make fuzz`).

    python -m tests.fuzz TARGET [-runs=N | -max_total_time=S | any option of libFuzzer]

It begins with the corpus of the target, keeps what reaches new code in `build/fuzz/TARGET/`, and stops at an input that
the decoder does not treat as it must, which it leaves as `build/fuzz/TARGET-crash-...`: mend the decoder, and move the
input into the corpus. `python -m tests.fuzz TARGET FILE...` runs single inputs again.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from random import Random

import atheris

FOUND = Path("build") / "fuzz"

with atheris.instrument_imports(include=["mergealgebra", "yaml", "json", "generator"]):
    from tests.fuzz.seeds import CORPUS
    from tests.fuzz.target import Target, judge, mutated
    from tests.fuzz.targets import TARGETS


def main(arguments: list[str]) -> None:
    """Search until told to stop."""
    if not arguments or arguments[0] not in TARGETS:
        raise SystemExit(f"usage: python -m tests.fuzz TARGET [options of libFuzzer]; targets: {', '.join(TARGETS)}")
    name, *options = arguments
    target, found = TARGETS[name], FOUND / name
    found.mkdir(parents=True, exist_ok=True)
    inputs = [] if any(not option.startswith("-") for option in options) else [str(found), str(CORPUS / name)]
    fixed = [f"-max_len={8 * target.hostile}", "-timeout=60", "-rss_limit_mb=2048", f"-artifact_prefix={FOUND / name}-"]
    with tempfile.TemporaryDirectory() as folder:
        judged = _judged(target, Path(folder))
        atheris.Setup([name, *fixed, *options, *inputs], judged, custom_mutator=_mutator(target))
        atheris.Fuzz()


def _judged(target: Target, folder: Path):
    def test_one_input(data: bytes) -> None:
        judge(target, data, folder)

    return test_one_input


def _mutator(target: Target):
    """Half of the changes are libFuzzer's own, half know the structure; half of either are amended."""

    def mutate(data: bytes, max_size: int, seed: int) -> bytes:
        random = Random(seed)
        if random.random() < 0.5:
            changed = atheris.Mutate(data, max_size)
            changed = target.amend(changed) if random.random() < 0.5 else changed
        else:
            changed = mutated(target, random, data)
        return changed[:max_size]

    return mutate


if __name__ == "__main__":
    main(sys.argv[1:])
