"""python -m tests.simulation: as many histories as one likes, or one from a file.

--histories 100000 --seed 0 --level sets      seeds 0 to 99,999; without --level all, most of them of what is quick
--replay FILE                                 the history in a file, as a failure prints it
--fault NAME                                  with a planted fault (`--faults` lists them)
--digest                                      of all histories together: equal on every machine
"""

from __future__ import annotations

import argparse
import hashlib
import sys
import time
from contextlib import nullcontext
from pathlib import Path

from tests.simulation.campaign import DRAWS, Failure, drawn, failure_of, minimal, stage
from tests.simulation.faults import FAULTS
from tests.simulation.history import History

#: Of 40 histories so many are of each level: what takes longer is played less often.
_SHARES = {"sets": 25, "teams": 10, "stores": 4, "folders": 1}


def main() -> int:
    options = _options()
    if options.faults:
        print("\n".join(f"{name}: {fault.what}" for name, fault in FAULTS.items()))
        return 0
    planted = FAULTS[options.fault].planted() if options.fault else nullcontext()
    with planted:
        if options.replay:
            return _replay(History.from_text(options.replay.read_text()), options.fault)
        return max(_search(level, options) for level in ([options.level] if options.level else DRAWS))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", usage=__doc__.split("\n", 1)[1])
    parser.add_argument("--histories", type=int, default=2_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--level", choices=DRAWS)
    parser.add_argument("--replay", type=Path)
    parser.add_argument("--fault", choices=FAULTS)
    parser.add_argument("--faults", action="store_true")
    parser.add_argument("--digest", action="store_true")
    return parser.parse_args()


def _replay(history: History, fault: str | None) -> int:
    with stage(history.level) as play:
        broken = failure_of(play, history)
    print(f"breaks the law {broken}" if broken else f"all laws hold in {len(history.events)} events of {history.level}")
    return int(broken is not None)


def _search(level: str, options: argparse.Namespace) -> int:
    """Play seed after seed. The first that fails is cut down and printed."""
    count = options.histories if options.level else _share(level, options.histories)
    digests, began = hashlib.sha256(), time.perf_counter()
    with stage(level) as play:
        for seed in range(options.seed, options.seed + count):
            try:
                digests.update(play(drawn(level, seed)).encode())
            except Exception:
                broken = failure_of(play, drawn(level, seed))
                if broken is None:
                    raise
                print(
                    minimal(play, Failure(drawn(level, seed), broken, seed)).to_text(*_remarks(options.fault)), end=""
                )
                return 1
            _show_progress(level, seed - options.seed + 1, count)
    seconds = time.perf_counter() - began
    print(f"{count:,} histories of {level}, from seed {options.seed}: all laws hold; {count / seconds:,.1f} a second")
    if options.digest:
        print(f"digest {digests.hexdigest()}")
    return 0


def _share(level: str, histories: int) -> int:
    return -(-histories * _SHARES[level] // sum(_SHARES.values()))


def _remarks(fault: str | None) -> tuple[str, ...]:
    return (f"with --fault {fault}",) if fault else ()


def _show_progress(level: str, done: int, count: int) -> None:
    if sys.stderr.isatty() and done % (500 if level == "sets" else 20) == 0:
        print(f"\r{level}: {done:,} of {count:,}", end="\r", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
