"""The environment of `make loads`: a Python with transformers, peft, diffusers and this package, among others."""

from __future__ import annotations

import os
import subprocess

import pytest

PYTHON = os.environ.get("MERGEALGEBRA_LOADS", "")

needed = pytest.mark.skipif(
    not PYTHON, reason="MERGEALGEBRA_LOADS names no Python with transformers, peft and diffusers; `make loads` does"
)


def there(script, *arguments):
    """The last line that a script prints, run by that Python; nothing may be fetched."""
    offline = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "CUDA_VISIBLE_DEVICES": ""}
    command = [PYTHON, "-W", "ignore", "-c", script, *map(str, arguments)]
    done = subprocess.run(command, env=os.environ | offline, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-1]
