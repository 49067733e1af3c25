"""JSON text for people: what fits on a line stands on one, hex strings never break, pure ASCII."""

from __future__ import annotations

import json
from typing import Any

WIDTH = 110


def flat(value: Any) -> str:
    return json.dumps(value, ensure_ascii=True)


def one_line(value: Any, room: int) -> bool:
    """A scalar, or a container that fits and holds no case."""
    if not isinstance(value, dict | list):
        return True
    return len(flat(value)) <= room


def render(value: Any, indent: int = 0) -> str:
    """The text of a JSON value that begins at column `indent`."""
    if one_line(value, WIDTH - indent) or not value:
        return flat(value)
    inner = " " * (indent + 2)
    if isinstance(value, dict):
        parts = [f"{inner}{flat(key)}: {field(key, item, indent + 2)}" for key, item in value.items()]
        return "{\n" + ",\n".join(parts) + "\n" + " " * indent + "}"
    parts = [inner + render(item, indent + 2) for item in value]
    return "[\n" + ",\n".join(parts) + "\n" + " " * indent + "]"


def field(key: str, item: Any, indent: int) -> str:
    """The value behind a key: the room on its line is what the key leaves."""
    if one_line(item, WIDTH - indent - len(flat(key)) - 3):
        return flat(item)
    return render(item, indent) if not one_line(item, WIDTH - indent) else broken(item, indent)


def broken(item: Any, indent: int) -> str:
    """A container that fits on a line of its own, but not behind its key."""
    inner = " " * (indent + 2)
    pairs = [f"{flat(k)}: {flat(v)}" for k, v in item.items()] if isinstance(item, dict) else map(flat, item)
    ends = "{}" if isinstance(item, dict) else "[]"
    return ends[0] + "\n" + ",\n".join(inner + pair for pair in pairs) + "\n" + " " * indent + ends[1]
