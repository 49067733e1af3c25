"""JSON text for people: what fits on a line stands on one, hex strings never break, pure ASCII."""

from __future__ import annotations

import json
from typing import Any

WIDTH = 110


def render(value: Any, indent: int = 0, used: int = 0) -> str:
    """The text of a JSON value whose first line begins at column `used`, its other lines at `indent`."""
    text = json.dumps(value, ensure_ascii=True)
    if not isinstance(value, dict | list) or not value or used + len(text) <= WIDTH:
        return text
    inner = " " * (indent + 2)
    if isinstance(value, list):
        lines = [inner + render(item, indent + 2, indent + 2) for item in value]
        return "[\n" + ",\n".join(lines) + "\n" + " " * indent + "]"
    lines = []
    for key, item in value.items():
        front = f"{inner}{json.dumps(key)}: "
        lines.append(front + render(item, indent + 2, len(front)))
    return "{\n" + ",\n".join(lines) + "\n" + " " * indent + "}"
