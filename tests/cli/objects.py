"""The object that each verb prints with `--json` [CL-2]."""

from __future__ import annotations

from tests.cli.commands import call

#: The keys of the object that each verb prints with --json, in order.
KEYS = {
    "init": ["workspace", "name", "base", "recipe", "path"],
    "warmup": ["compiled", "folder", "seconds"],
    "clone": ["workspace", "name", "base", "recipe", "path"],
    "contribute": ["contribution", "operation", "form", "coefficient", "difference", "changed", "warnings"],
    "retract": ["retracted", "merge_id", "warnings"],
    "log": ["operations"],
    "status": [
        "workspace",
        "name",
        "as_name",
        "base",
        "default_recipe",
        "default_recipe_id",
        "merge_id",
        "signed",
        "operations",
        "bytes",
        "visible",
        "warnings",
    ],
    "show": [
        "contribution",
        "manifest",
        "coefficient",
        "visible",
        "adds",
        "retractions",
        "bytes",
        "tensor_count",
        "difference",
        "changed",
        "unknown",
        "merge_id",
        "models",
        "other_merges",
    ],
    "sync": [
        "taken_operations",
        "taken_blobs",
        "given_operations",
        "given_blobs",
        "mended",
        "ignored",
        "appeared",
        "disappeared",
        "merge_id",
    ],
    "fsck": ["ok", "operations", "blobs", "mended", "damaged", "missing", "unnamed", "unused", "unfinished", "foreign"],
    "extract": ["out", "base", "rank", "error", "errors", "whole", "left_out"],
    "resolve": [
        "merge_id",
        "model_root",
        "out",
        "backend",
        "contributions",
        "achieved_density",
        "uncertified",
        "warnings",
    ],
    "merge": [
        "merge_id",
        "model_root",
        "out",
        "backend",
        "contributions",
        "achieved_density",
        "uncertified",
        "warnings",
    ],
    "verify": ["ok", "merge_id", "model_root", "warnings"],
    "keygen": ["private", "public", "key", "fingerprint", "encrypted"],
    "set-key": ["key", "path"],
    "grant": ["grant", "key", "name"],
    "revoke": ["grants", "kept", "appeared", "disappeared", "merge_id"],
    "keep": ["kept", "appeared", "merge_id"],
    "members": ["members"],
    "set-base": ["base", "path"],
    "set-name": ["name", "path"],
    "gc": ["removed_bytes", "left_bytes", "leftovers"],
    "laws": ["target", "options", "seed", "tries", "verdicts", "causes"],
    "conformance": [
        "conformant_to",
        "target",
        "version",
        "findings",
        "standings",
        "properties",
        "failures",
        "faults",
        "summary",
    ],
}


def typed(folder, line):
    """Type a command with --json, and return the object that it prints."""
    found = call(folder, *line.split(), "--json").printed()
    (verb,) = [word for word in line.split() if word in KEYS][:1]
    assert list(found) == KEYS[verb]
    return found
