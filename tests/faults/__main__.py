"""Many campaigns: `python -m tests.faults --campaigns N --seed S --events E` (`make faults`)."""

from __future__ import annotations

import argparse
import tempfile
from collections import Counter
from pathlib import Path

from tests.faults.campaign import campaigns


def main() -> None:
    """Run them; the first that breaks a promise ends it, with its seed and its folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--campaigns", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--events", type=int, default=60)
    asked = parser.parse_args()
    ended, happened = Counter[int](), Counter[str]()
    root = Path(tempfile.mkdtemp(prefix="faults-"))
    for number, campaign in enumerate(campaigns(root, asked.seed, asked.campaigns), asked.seed):
        try:
            campaign.run(asked.events)
        except BaseException:
            print(f"seed {number} failed; what is left of it: {root / str(number)}", flush=True)
            raise
        ended.update(campaign.ended)
        happened.update(campaign.happened)
        told = ", ".join(f"{what} {times}" for what, times in sorted(happened.items()))
        print(
            f"seed {number} held; in all: {ended[0]} done, {ended[1]} refused, {ended[-9]} killed; {told}", flush=True
        )


if __name__ == "__main__":
    main()
