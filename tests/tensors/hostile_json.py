"""JSON of any size that is made to cost memory, by what it is made of: headers, indexes, locks, configurations."""

from __future__ import annotations

import hashlib
import string
from itertools import islice, product

from mergealgebra.crdt.genesis import merge_id
from mergealgebra.crdt.manifest import Manifest
from mergealgebra.encoding import model_root
from mergealgebra.recipe import complete_recipe
from tests.fuzz.families import as_lock

ROOT = hashlib.sha256(b"").hexdigest()
_ASTRAL = "\U0001f600".encode()


def names(count):
    """So many different keys, as short as they can be, the longest ones first."""
    letters = (string.ascii_letters + string.digits).encode()
    length = next(n for n in range(1, 9) if len(letters) ** n >= count)
    return (bytes(name) for name in islice(product(letters, repeat=length), count))


def members(value, nbytes):
    """Members of different keys and one value, of so many bytes together."""
    return b",".join(b'"%b":%b' % (name, value) for name in names(nbytes // (len(value) + 8)))


def fill(unit, nbytes, last=b"0"):
    return unit * (nbytes // len(unit)) + last


def file(text, data=b""):
    return len(text).to_bytes(8, "little") + text + data


#: One value that is large, by what it holds.
VALUES = {
    "numbers": lambda n: b"[%b]" % fill(b"1,", n),
    "long numbers": lambda n: b"[%b]" % fill(b"1234,", n),
    "digits": lambda n: b"9" * n,
    "empty objects": lambda n: b"[%b]" % fill(b"{},", n),
    "empty arrays": lambda n: b"[%b]" % fill(b"[],", n),
    "nests": lambda n: b"[%b]" % fill(b"[[[[[]]]]],", n),
    "members": lambda n: b"{%b}" % members(b"0", n),
    "strings": lambda n: b"[%b]" % fill(b'"",', n),
    "a string": lambda n: b'"%b"' % (b"x" * n),
    "a string with one astral character": lambda n: b'"%b%b"' % (b"x" * n, _ASTRAL),
    "a string with one of each size": lambda n: b'"%b%b%b"' % (b"x" * n, "é\uffff".encode(), _ASTRAL),
    "a string with an escape": lambda n: b'"%b\\n%b"' % (b"x" * n, _ASTRAL),
    "escapes": lambda n: b'"%b"' % (b"\\n" * (n // 2)),
    "escaped pairs": lambda n: b'"%b"' % (b"\\ud83d\\ude00" * (n // 12)),
    "brackets": lambda n: b"[" * n,
    "spaces": lambda n: b"[%b]" % (b" " * n),
}


def around(before, after):
    return {what: (lambda n, value=value: before + value(n) + after) for what, value in VALUES.items()}


def of_values(before, after):
    return {f"{what} in {before.decode()}": family for what, family in around(before, after).items()}


def entry(shape=b"0", offset=0):
    return b'{"dtype":"U8","shape":[%b],"data_offsets":[%d,%d]}' % (shape, offset, offset)


def shapes(count):
    """Empty tensors of different shapes, and places."""
    return file(
        b"{"
        + b",".join(b'"%b":%b' % (name, entry(b"0,%d" % (i + 300), i)) for i, name in enumerate(names(count)))
        + b"}",
        bytes(1),
    )


HEADERS = {
    "tensors": lambda n: file(b"{%b}" % members(entry(), n)),
    "tensors of different shapes": lambda n: shapes(n // 63),
    "metadata": lambda n: file(b'{"__metadata__":{%b}}' % members(b'""', n)),
    "a name": lambda n: file(b'{"%b%b":%b}' % (b"x" * n, _ASTRAL, entry())),
    "sizes": lambda n: file(b'{"a":{"dtype":"U8","shape":[%b],"data_offsets":[0,0]}}' % fill(b"0,", n)),
    **{
        what: (lambda n, family=family: file(family(n)))
        for before, after in (
            (b"", b""),
            (b'{"a":', b"}"),
            (b'{"a":{"dtype":', b"}}"),
            (b'{"__metadata__":{"a":', b"}}"),
        )
        for what, family in of_values(before, after).items()
    },
}


def indexed(count):
    """A shard of empty tensors, and an index of them."""
    entries = b",".join(b'"%b":%b' % (name, entry()) for name in names(count))
    places = b",".join(b'"%b":"a"' % name for name in names(count))
    return {"a": file(b"{%b}" % entries), "model.safetensors.index.json": b'{"weight_map":{%b}}' % places}


INDEXES = {
    "tensors that are there": lambda n: indexed(n // 68),
    "tensors": lambda n: b'{"weight_map":{%b}}' % members(b'"a"', n),
    "shards": lambda n: b'{"weight_map":{%b}}' % b",".join(b'"%b":"%b"' % (name, name) for name in names(n // 14)),
    "unknown keys": lambda n: b'{"weight_map":{},%b}' % members(b"0", n),
    "metadata of all kinds": lambda n: b'{"metadata":[%b],"weight_map":{}}' % fill(b'[[[[[{"a":{"b":[]}}]]]]],', n),
    "keys twice": lambda n: b'{"weight_map":{%b,%b}}' % (members(b'"a"', n // 2), members(b'"a"', n // 2)),
    **of_values(b'{"weight_map":{},"metadata":', b"}"),
    **of_values(b'{"weight_map":{"a":', b"}}"),
}


def sound_lock(tensors=None, elements=(1,)):
    """A lock that agrees with itself, of these tensors and of contributions that have so many elements."""
    recipe = complete_recipe({"method": "mean", "lambda": "1"})
    tensors = {"a": {"dtype": "U8", "shape": [], "root": ROOT}} if tensors is None else tensors
    made = {
        manifest.id: manifest
        for manifest in (Manifest(ROOT, "3f800000", count, "finetuned", ROOT) for count in elements)
    }
    return as_lock(
        base=ROOT,
        recipe=recipe.to_map(),
        contributions=[
            {
                "id": id_,
                "form": made[id_].form,
                "coefficient": made[id_].coefficient,
                "elements": made[id_].elements,
                "tensors": ROOT,
                "kept": made[id_].elements,
            }
            for id_ in sorted(made)
        ],
        merge_id=merge_id(ROOT, recipe.id, sorted(made)),
        tensors=tensors,
        model_root=model_root((name, t["dtype"], tuple(t["shape"]), t["root"]) for name, t in tensors.items()),
        achieved_density="1.000000",
    )


def locked(count, dtype="", shape=()):
    """So many tensors of a lock; not each text need be the same as another."""
    return {
        name.decode(): {"dtype": dtype or name.decode(), "shape": list(shape), "root": hashlib.sha256(name).hexdigest()}
        for name in names(count)
    }


def in_lock(key):
    """Locks in which one key has a large value."""
    before, after = as_lock(**{key: 10**18 + 7}).split(b"%d" % (10**18 + 7))
    return {f"{what} as {key}": family for what, family in around(before, after).items()}


LOCKS = {
    "tensors": lambda n: sound_lock(locked(n // 125, "U8")),
    "tensors of different dtypes": lambda n: sound_lock(locked(n // 125)),
    "tensors of large sizes": lambda n: sound_lock(locked(n // 160, "U8", [300] * 7 + [1] * 57)),
    "a name": lambda n: sound_lock({"x" * n + "\U0001f600": {"dtype": "U8", "shape": [], "root": ROOT}}),
    "contributions": lambda n: sound_lock(elements=range(n // 240)),
    "contributions of nothing": lambda n: as_lock(contributions=[{}] * (n // 4)),
    "keys of the recipe": lambda n: as_lock(recipe={name.decode(): "" for name in names(n // 12)}),
    "unknown keys": lambda n: b"{%b}" % members(b"0", n),
    **of_values(b"", b""),
    **{
        what: family for key in ("tensors", "contributions", "backend", "base") for what, family in in_lock(key).items()
    },
}
CONFIGS = {
    "keys": lambda n: b'{"model_type":"x",%b}' % members(b"0", n),
    **of_values(b'{"model_type":', b"}"),
}
