"""Contributions: which tensors of a checkpoint make one, its id, and the blob that stands for it."""

from __future__ import annotations

import errno
import os
import time
from dataclasses import replace

import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import save_file

import mergealgebra as ma
from mergealgebra.algebra import decimals
from mergealgebra.contribution import check_base, make_manifest, names_of
from mergealgebra.contribution_blobs import check_blob_root, open_blob
from mergealgebra.crdt.manifest import Manifest
from mergealgebra.encoding import encode, hash_id, model_root
from mergealgebra.errors import (
    BaseMismatch,
    BlobDamaged,
    BlobMissing,
    CheckpointError,
    CoefficientError,
    DecimalError,
    DtypeError,
    IntegerTensorChanged,
    MergeAlgebraError,
    NamesError,
    NonFinite,
    ShapeError,
)
from mergealgebra.tensors.checkpoint import Checkpoint
from mergealgebra.tensors.choice import Choice
from tests.models import (
    FLOATS,
    Tensors,
    base,
    fine_tune,
    task_vector,
    with_value,
    write_canonical,
    write_file,
    write_folder,
    write_sharded,
)


@pytest.fixture
def original(tmp_path):
    """The base, open."""
    with Checkpoint.open(write_folder(tmp_path / "base", base())) as checkpoint:
        yield checkpoint


def names(original, tensors, folder, form="finetuned", **choice):
    """What a contribution made of these tensors holds."""
    with Checkpoint.open(write_file(folder / "ft.safetensors", tensors)) as checkpoint:
        return names_of(form, checkpoint, original, Choice(**choice))


def manifest_of(original, path, coefficient=1.0, form="finetuned", choice=Choice()):  # noqa: B008 - it is frozen
    with Checkpoint.open(path) as checkpoint:
        held = names_of(form, checkpoint, original, choice)
        roots = {name: checkpoint.tensor_root(name) for name in held}
        return make_manifest(form, original.root(), checkpoint, roots, coefficient)


NAMES = ["a", "ab", "abc", "a.b", "A", "a*b", "a[b", "a-b", "a/b", "a\nb", "\u00e9", "", "b.0.w", "b.10.w", "b.x.w"]

#: What a pattern matches among NAMES [CT-8].
PATTERNS = {
    "a": ["a"],
    "": [""],
    "*": NAMES,
    "a*": ["a", "ab", "abc", "a.b", "a*b", "a[b", "a-b", "a/b", "a\nb"],
    "*b": ["ab", "a.b", "a*b", "a[b", "a-b", "a/b", "a\nb"],
    "a?b": ["a.b", "a*b", "a[b", "a-b", "a/b", "a\nb"],
    "?": ["a", "A", "\u00e9"],
    "??": ["ab"],
    "[aA]": ["a", "A"],
    "[a-z]": ["a"],
    "[!a]": ["A", "\u00e9"],
    "[!a-z]": ["A", "\u00e9"],
    "a[*]b": ["a*b"],
    "a[[]b": ["a[b"],
    "a[b": ["a[b"],
    "a[-.]b": ["a.b", "a-b"],
    "a[!-.]b": ["a*b", "a[b", "a/b", "a\nb"],
    "[^a]": ["a"],
    "[a-]": ["a"],
    "a[z-a]b": [],
    "[]]": [],
    "a.b": ["a.b"],
    "a+b": [],
    "b.[0-9].w": ["b.0.w"],
    "b.*.w": ["b.0.w", "b.10.w", "b.x.w"],
    "B*": [],
    "\u00e9": ["\u00e9"],
    "e\u0301": [],
    "a\\*b": [],
}


@pytest.mark.clause("CT-8")
class TestChoice:
    @pytest.mark.parametrize(("pattern", "matched"), PATTERNS.items())
    def test_matches_whole_names(self, pattern, matched):
        assert Choice(take=(pattern,)).of(NAMES) == matched
        assert Choice(leave=(pattern,)).of(NAMES) == [name for name in NAMES if name not in matched]

    def test_of_nothing_is_everything(self):
        assert Choice().of(NAMES) == NAMES

    def test_takes_what_some_pattern_takes_and_none_leaves(self):
        names = ["a.0", "a.1", "b.0", "c"]
        assert Choice(take=("a.*", "b.*")).of(names) == ["a.0", "a.1", "b.0"]
        assert Choice(take=("a.*",), leave=("*.1", "b.*")).of(names) == ["a.0"]
        assert Choice(take=("a.*",), leave=("*",)).of(names) == []

    def test_tells_whether_a_name_is_in_it(self):
        choice = Choice(take=("a.*",), leave=("*.1",))
        assert ("a.0" in choice, "a.1" in choice, "b.0" in choice, 0 in Choice()) == (True, False, False, False)

    def test_keeps_the_order_given(self):
        assert Choice(take=("a*", "*b")).of(["bb", "ab", "a"]) == ["bb", "ab", "a"]

    def test_is_quick_for_hostile_patterns(self):
        assert Choice(take=("*a" * 30 + "b",)).of(["a" * 5000]) == []


class TestNames:
    @pytest.mark.clause("CT-1", "CT-5")
    def test_are_the_float_tensors_in_name_order(self, original, tmp_path):
        assert names(original, fine_tune(0), tmp_path) == sorted(FLOATS, key=str.encode)

    @pytest.mark.clause("CT-1", "TV-1", "CT-5")
    def test_are_held_in_other_float_dtypes_too(self, original, tmp_path):
        for dtype in ("F64", "BF16", "F16"):
            assert names(original, fine_tune(0, dtype), tmp_path) == sorted(FLOATS, key=str.encode)

    @pytest.mark.clause("CT-7", "CT-8", "TV-8")
    def test_are_those_that_were_chosen(self, original, tmp_path):
        assert names(original, fine_tune(0), tmp_path, take=["layer.*"]) == ["layer.0.bias", "layer.0.weight"]
        left = {name: array for name, array in fine_tune(0).items() if not name.startswith("layer")}
        assert names(original, left, tmp_path, leave=["layer.*"]) == ["embed.weight", "norm.scale", "spare"]

    @pytest.mark.clause("CT-8", "TV-7")
    def test_that_are_left_out_are_not_looked_at(self, original, tmp_path):
        """Neither in the fine-tune nor in the base: whatever is wrong with them."""
        tensors = fine_tune(0) | {
            "extra": np.float32([1]),
            "embed.weight": np.zeros((17, 4), np.float32),
            "mask": np.array([False]),
            "norm.scale": np.array(3),
        }
        del tensors["positions"]
        leave = ["extra", "embed.*", "mask", "norm.*", "positions"]
        assert names(original, tensors, tmp_path, leave=leave) == ["layer.0.bias", "layer.0.weight", "spare"]

    @pytest.mark.clause("TV-8")
    def test_of_a_stored_task_vector_may_be_few(self, original, tmp_path):
        few = {"layer.0.bias": task_vector(0)["layer.0.bias"]}
        assert names(original, few, tmp_path, "task_vector") == ["layer.0.bias"]


def without(name: str) -> Tensors:
    return {other: array for other, array in fine_tune(0).items() if other != name}


RESIZED = np.zeros((20, 4), np.float32)
REFUSED = {
    "a name that the base lacks": (
        fine_tune(0) | {"new": np.ones(1, np.float32)},
        NamesError,
        "'new' is not in the base",
    ),
    "two of them": (
        fine_tune(0) | {"new.2": np.ones(1), "new.1": np.ones(1)},
        NamesError,
        "'new.1' is not in the base, nor is 1 other; leave them out with leave=.'new.1', 'new.2'.",
    ),
    "an adapter": (
        {"embed.lora_A.weight": np.ones(1)},
        NamesError,
        r"this is a LoRA adapter; merge it into its model first \(peft: merge_and_unload\)",
    ),
    "a name of the base is missing": (without("norm.scale"), NamesError, "'norm.scale' of the base is missing"),
    "an integer tensor is missing": (without("positions"), NamesError, "'positions' of the base is missing"),
    "a resized vocabulary": (
        fine_tune(0) | {"embed.weight": RESIZED},
        ShapeError,
        r"'embed.weight' has shape \[20, 4\], the base's \[16, 4\]; a resized vocabulary is the usual cause",
    ),
    "a transposed shape": (
        fine_tune(0) | {"embed.weight": np.zeros((4, 16), np.float32)},
        ShapeError,
        r"'embed.weight' has shape \[4, 16\], the base's \[16, 4\]",
    ),
    "a dimension more": (
        fine_tune(0) | {"norm.scale": np.zeros(1, np.float32)},
        ShapeError,
        r"shape \[1\], the base's \[\]",
    ),
    "an empty tensor of another shape": (
        fine_tune(0) | {"spare": np.zeros((3, 0), np.float32)},
        ShapeError,
        r"shape \[3, 0\], the base's \[0, 3\]",
    ),
    "integers where the base has floats": (
        fine_tune(0) | {"layer.0.bias": np.zeros(4, np.int32)},
        DtypeError,
        "'layer.0.bias' is I32, the base's F32",
    ),
    "floats where the base has integers": (
        fine_tune(0) | {"positions": np.arange(16.0)},
        DtypeError,
        "'positions' is F64, the base's I64",
    ),
    "changed integers": (
        with_value(fine_tune(0), "positions", (3,), 4),
        IntegerTensorChanged,
        r"'positions' \(I64\) differs from the base's \(I64\)",
    ),
    "a changed boolean": (with_value(fine_tune(0), "mask", (1,), True), IntegerTensorChanged, "'mask'"),
    "equal integers of another dtype": (
        fine_tune(0) | {"positions": np.arange(16, dtype=np.int32)},
        IntegerTensorChanged,
        r"'positions' \(I32\) differs from the base's \(I64\)",
    ),
}


class TestRefused:
    @pytest.mark.clause("TV-1", "TV-7", "TV-8", "TV-10")
    @pytest.mark.parametrize(("tensors", "error", "message"), REFUSED.values(), ids=REFUSED)
    def test_fine_tunes(self, original, tmp_path, tensors, error, message):
        with pytest.raises(error, match=message) as refused:
            names(original, tensors, tmp_path)
        assert str(tmp_path / "ft.safetensors") in str(refused.value)
        assert type(refused.value) is error

    @pytest.mark.clause("TV-8", "CT-5")
    @pytest.mark.parametrize(
        ("tensors", "error", "message"),
        [
            ({"new": np.ones(1, np.float32)}, NamesError, "'new' is not in the base"),
            ({"layer.0.bias": np.ones(5, np.float32)}, ShapeError, "shape"),
            ({"layer.0.bias": np.ones(4, np.int8)}, DtypeError, "only float tensors"),
            ({"positions": np.ones(16, np.float32)}, DtypeError, "only float tensors"),
            ({"positions": base()["positions"]}, DtypeError, "only float tensors"),
        ],
    )
    def test_task_vectors(self, original, tmp_path, tensors, error, message):
        with pytest.raises(error, match=message):
            names(original, tensors, tmp_path, "task_vector")

    @pytest.mark.clause("CT-5")
    def test_contributions_of_no_float_tensor(self, original, tmp_path):
        path = write_file(tmp_path / "ft.safetensors", fine_tune(0))
        for choice in (Choice(take=("positions", "mask")), Choice(take=("nothing",)), Choice(leave=("*",))):
            with pytest.raises(NamesError, match=f"{path}: no float tensor is left to contribute"):
                manifest_of(original, path, choice=choice)

    @pytest.mark.clause("CT-5")
    def test_one_float_tensor_without_elements_is_enough(self, original, tmp_path):
        assert names(original, fine_tune(0), tmp_path, take=["spare"]) == ["spare"]
        assert manifest_of(original, tmp_path / "ft.safetensors", choice=Choice(take=("spare",))).elements == 0


class TestManifest:
    @pytest.mark.clause("CT-2", "CT-3")
    def test_by_hand(self, original, tmp_path):
        path = write_file(tmp_path / "ft.safetensors", fine_tune(0))
        manifest = manifest_of(original, path, 0.5)
        with Checkpoint.open(path) as checkpoint:
            records = [checkpoint.records[name] for name in FLOATS]
            root = model_root((r.name, r.dtype, r.shape, checkpoint.tensor_root(r.name)) for r in records)
        elements = sum(int(np.prod(shape)) for shape in FLOATS.values())
        assert manifest == Manifest(original.root(), "3f000000", elements, "finetuned", root)
        expected = {
            "base": bytes.fromhex(original.root()),
            "coefficient": "3f000000",
            "elements": elements,
            "form": "finetuned",
            "format": 1,
            "tensors": bytes.fromhex(root),
        }
        assert manifest.id == hash_id("contribution", encode(expected))

    @pytest.mark.clause("CT-9", "EN-8")
    def test_knows_nothing_of_files(self, original, tmp_path):
        """One file or many, its name, its metadata, and the tensors that are not float: one id."""
        start = manifest_of(original, write_file(tmp_path / "a.safetensors", fine_tune(0)))
        renamed = write_file(tmp_path / "deep" / "z.safetensors", dict(reversed(fine_tune(0).items())))
        folder = write_folder(tmp_path / "folder", fine_tune(0))
        sharded = write_sharded(tmp_path / "sharded", fine_tune(0), 3)
        canonical = tmp_path / "canonical.safetensors"
        write_canonical(canonical, fine_tune(0))
        assert canonical.read_bytes() != renamed.read_bytes()
        for path in (renamed, folder, sharded, canonical):
            assert manifest_of(original, path).id == start.id
        left = tmp_path / "left.safetensors"
        write_file(left, {name: fine_tune(0)[name] for name in FLOATS})
        assert manifest_of(original, left, choice=Choice(leave=("mask", "positions"))).id == start.id

    @pytest.mark.clause("CT-1", "CT-2")
    def test_names_form_bytes_base_and_coefficient(self, original, tmp_path):
        tuned = write_file(tmp_path / "ft.safetensors", fine_tune(0))
        vector = write_file(tmp_path / "tau.safetensors", {name: fine_tune(0)[name] for name in FLOATS})
        other = write_file(tmp_path / "other.safetensors", with_value(fine_tune(0), "norm.scale", (), -0.0))
        half = write_file(tmp_path / "half.safetensors", fine_tune(0, "BF16"))
        write_file(tmp_path / "base2.safetensors", base() | {"mask": np.array([False, False, True])})
        ids = {
            manifest_of(original, tuned).id,
            manifest_of(original, tuned, 0.5).id,
            manifest_of(original, vector, form="task_vector").id,
            manifest_of(original, other).id,
            manifest_of(original, half).id,
            manifest_of(original, tuned, choice=Choice(take=("layer.*",))).id,
        }
        assert len(ids) == 6
        with Checkpoint.open(tmp_path / "base2.safetensors") as second:
            choice = Choice(leave=("mask",))
            manifest, there = manifest_of(original, tuned, choice=choice), manifest_of(second, tuned, choice=choice)
        assert manifest.tensors == there.tensors
        assert manifest.id != there.id

    @pytest.mark.clause("CT-2", "CT-4", "RC-2")
    def test_writes_the_bits_of_the_coefficient(self, original, tmp_path):
        path = write_file(tmp_path / "ft.safetensors", fine_tune(0))
        for text, digits in {
            "1": "3f800000",
            "0.1": "3dcccccd",
            "-2": "c0000000",
            "1.0000001788139343": "3f800001",
            "340282346638528859811704183484516925440": "7f7fffff",
            f"0.{'0' * 44}14": "00000001",
        }.items():
            assert manifest_of(original, path, decimals.fp32(text, "coefficient")).coefficient == digits, text
        for value in (0.0, -0.0, float("inf"), float("nan")):
            with pytest.raises(CoefficientError):
                manifest_of(original, path, value)


@pytest.fixture
def blob(original, tmp_path):
    """A contribution's manifest and its blob."""
    floats = {name: fine_tune(0)[name] for name in FLOATS}
    write_canonical(tmp_path / "blob.safetensors", floats)
    source = write_file(tmp_path / "ft.safetensors", fine_tune(0))
    return manifest_of(original, source), tmp_path / "blob.safetensors"


def rewritten(change):
    """Write the blob anew with other tensors, canonically."""

    def damage(path):
        with Checkpoint.open(path) as checkpoint:
            tensors = {name: checkpoint.read(name).reshape(r.shape) for name, r in checkpoint.records.items()}
        write_canonical(path, change(tensors))

    return damage


def flip_last(path):
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


def written_by_the_package(path):
    with Checkpoint.open(path) as checkpoint:
        tensors = {name: checkpoint.read(name).reshape(r.shape) for name, r in checkpoint.records.items()}
    save_file(tensors, path)


def padded(path):
    """The same tensors behind a header with eight more spaces."""
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    path.write_bytes((length + 8).to_bytes(8, "little") + data[8 : 8 + length] + b" " * 8 + data[8 + length :])


DAMAGED = {
    "a flipped bit": (flip_last, "holds tensors with root"),
    "cut": (lambda path: os.truncate(path, path.stat().st_size - 1), "blob.safetensors"),
    "empty": (lambda path: os.truncate(path, 0), "blob.safetensors"),
    "longer": (lambda path: path.write_bytes(path.read_bytes() + b"\x00"), "blob.safetensors"),
    "another tensor's values": (rewritten(lambda t: with_value(t, "norm.scale", (), 77)), "with root"),
    "one tensor fewer": (rewritten(lambda t: {n: t[n] for n in t if n != "norm.scale"}), "holds 80 elements"),
    "one tensor more": (rewritten(lambda t: t | {"new": np.ones(1, np.float32)}), "'new' is not in the base"),
    "an integer tensor more": (rewritten(lambda t: t | {"positions": base()["positions"]}), "expected 81"),
    "another shape": (rewritten(lambda t: t | {"spare": np.ones((3, 0), np.float32)}), "shape"),
    "another dtype": (rewritten(lambda t: t | {"spare": np.ones((0, 3), np.float16)}), "with root"),
    "no tensor": (rewritten(lambda t: {}), "it holds no tensor"),
    "the same tensors without metadata": (written_by_the_package, "not the canonical one"),
    "another header of the same tensors": (padded, "not the canonical one"),
}


def read_blob(manifest, path, original):
    """Open a blob, and read it to the end: what a merge does in one pass."""
    opened = open_blob(manifest, path, original)
    check_blob_root(manifest, opened, opened.root(threads=2))
    return opened


class TestBlob:
    @pytest.mark.clause("CT-6", "SY-6")
    def test_is_opened(self, original, blob):
        manifest, path = blob
        with read_blob(manifest, path, original) as checkpoint:
            assert sorted(checkpoint.records) == sorted(FLOATS)
            assert checkpoint.read("norm.scale")[0] == fine_tune(0)["norm.scale"]

    @pytest.mark.clause("SY-6")
    @pytest.mark.parametrize("where", ["nowhere", "gone"])
    def test_that_is_not_here_is_named(self, original, blob, where):
        manifest, path = blob
        path.unlink()
        expected = f"contribution {manifest.id[:12]}: its tensors {manifest.tensors} are not here; sync"
        with pytest.raises(BlobMissing, match=expected):
            read_blob(manifest, None if where == "nowhere" else path, original)

    @pytest.mark.clause("CT-6", "SY-3", "SY-6")
    @pytest.mark.parametrize(("damage", "message"), DAMAGED.values(), ids=DAMAGED)
    def test_that_is_damaged_is_named(self, original, blob, damage, message):
        manifest, path = blob
        damage(path)
        with pytest.raises(BlobDamaged, match=message) as refused:
            read_blob(manifest, path, original)
        assert str(refused.value).startswith(f"contribution {manifest.id[:12]}: {path}")

    @pytest.mark.parametrize("number", [errno.EMFILE, errno.EIO, errno.EACCES])
    @pytest.mark.parametrize("call", ["open", "preadv"])
    def test_that_cannot_be_read_is_not_called_damaged(self, original, blob, monkeypatch, call, number):
        """It may be good: nobody is told to delete it."""

        def refuse(*_, **__):
            raise OSError(number, os.strerror(number))

        monkeypatch.setattr(os, call, refuse)
        with pytest.raises(CheckpointError, match=f"blob.* cannot be read: {os.strerror(number)}") as refused:
            read_blob(*blob, original)
        assert "delete" not in str(refused.value)

    def test_is_not_blamed_for_a_base_that_cannot_be_read(self, original, blob):
        """A blob with an integer tensor is held to the base's bytes."""
        manifest, path = blob
        rewritten(lambda t: t | {"positions": base()["positions"]})(path)
        original.close()
        with pytest.raises(CheckpointError, match="base is closed") as refused:
            read_blob(manifest, path, original)
        assert "blob" not in str(refused.value)

    def test_that_is_a_folder_is_named(self, original, blob):
        manifest, path = blob
        path.rename(path.with_name("model.safetensors"))
        path.mkdir()
        path.with_name("model.safetensors").rename(path / "model.safetensors")
        with pytest.raises(CheckpointError, match=r"blob\.safetensors cannot be read: it is a folder, not a file"):
            read_blob(manifest, path, original)

    def test_of_many_tensors_is_opened_in_linear_time(self, tmp_path):
        """Nothing is matched with a pattern: 3,000 names against 3,000 took seconds."""
        path = tmp_path / "many.safetensors"
        write_canonical(path, {f"layer.{number}.weight": np.ones(1, np.float32) for number in range(3000)})
        with Checkpoint.open(path) as start:
            manifest = manifest_of(start, path)
            begun = time.process_time()
            with read_blob(manifest, path, start) as checkpoint:
                assert len(checkpoint.records) == 3000
            assert time.process_time() - begun < 2

    def test_in_a_path_of_two_lines_is_named_on_one(self, original, blob, tmp_path):
        manifest, path = blob
        (tmp_path / "a\nb").mkdir()
        path = path.rename(tmp_path / "a\nb" / "blob.safetensors")
        flip_last(path)
        with pytest.raises(BlobDamaged, match=r"^[^\n]*a\\nb/blob[^\n]*$"):
            read_blob(manifest, path, original)

    @pytest.mark.clause("SY-6", "CT-2")
    def test_that_does_not_fit_its_manifest_is_named(self, original, blob):
        """The manifest is well-formed, and wrong about its blob."""
        manifest, path = blob
        for wrong in (replace(manifest, elements=80), replace(manifest, tensors="0" * 64)):
            with pytest.raises(BlobDamaged, match="expected"):
                read_blob(wrong, path, original)

    @pytest.mark.clause("CT-5", "SY-6")
    def test_of_either_form_is_held_to_the_base(self, original, blob, tmp_path):
        manifest, _ = blob
        strange = tmp_path / "strange.safetensors"
        write_canonical(strange, {"positions": np.ones(16, np.float32)})
        with Checkpoint.open(strange) as checkpoint:
            root = checkpoint.root()
        for form in ("finetuned", "task_vector"):
            with pytest.raises(BlobDamaged, match="only float tensors"):
                read_blob(replace(manifest, form=form, tensors=root, elements=16), strange, original)

    @pytest.mark.clause("CT-5", "SY-6")
    def test_without_tensors_is_none(self, original, tmp_path):
        """Its manifest agrees with it, and it would count in every mean."""
        write_canonical(tmp_path / "empty.safetensors", {})
        for form in ("finetuned", "task_vector"):
            manifest = Manifest(original.root(), "3f800000", 0, form, model_root([]))
            with pytest.raises(BlobDamaged, match="it holds no tensor"):
                read_blob(manifest, tmp_path / "empty.safetensors", original)

    def test_names_with_marks_of_patterns_are_names(self, tmp_path):
        """A tensor named `a[b]*` is looked up as it stands."""
        tensors = {"a[b]*": np.float32([1]), "ab": np.float32([2])}
        write_canonical(tmp_path / "base.safetensors", tensors)
        write_canonical(tmp_path / "blob.safetensors", {"a[b]*": np.float32([3])})
        with Checkpoint.open(tmp_path / "base.safetensors") as start:
            choice = Choice(take=("a[[]b]*",))
            manifest = manifest_of(start, tmp_path / "blob.safetensors", choice=choice)
            with read_blob(manifest, tmp_path / "blob.safetensors", start) as checkpoint:
                assert list(checkpoint.records) == ["a[b]*"]


class TestBase:
    @pytest.mark.clause("SY-6", "EN-8")
    def test_is_known_by_its_root(self, original, tmp_path):
        check_base(original, original.root(), threads=2)
        with Checkpoint.open(write_sharded(tmp_path / "sharded", base())) as sharded:
            check_base(sharded, original.root(), threads=1)

    @pytest.mark.clause("SY-6")
    def test_that_has_changed_is_refused(self, original, tmp_path):
        changed = write_file(tmp_path / "changed.safetensors", with_value(base(), "positions", (0,), 9))
        with (
            Checkpoint.open(changed) as other,
            pytest.raises(BaseMismatch, match=f"{changed} is not the base: its root"),
        ):
            check_base(other, original.root(), threads=1)


class TestContribute:
    """The same rules where they are met: a checkpoint is refused before anything of it is published."""

    @pytest.fixture
    def workspace(self, tmp_path):
        return ma.Workspace.init(tmp_path / "w", base=write_folder(tmp_path / "base", base()), recipe=ma.Ties())

    @pytest.mark.clause("CT-6", "EN-19")
    def test_writes_the_canonical_blob(self, workspace, tmp_path):
        made = workspace.contribute(write_sharded(tmp_path / "ft", fine_tune(0), 3))
        manifest = workspace.visible()[made]
        blob = workspace.path / "blobs" / f"{manifest.tensors}.safetensors"
        write_canonical(tmp_path / "expected", {name: fine_tune(0)[name] for name in FLOATS})
        assert blob.read_bytes() == (tmp_path / "expected").read_bytes()

    @pytest.mark.clause("TV-2", "CT-7", "CT-1")
    def test_either_form_gives_the_same_model(self, workspace, tmp_path):
        workspace.contribute(write_file(tmp_path / "ft.safetensors", fine_tune(0)))
        tuned = workspace.resolve(tmp_path / "tuned").model_root
        workspace.retract(next(iter(workspace.visible())))
        workspace.contribute(write_file(tmp_path / "tau.safetensors", task_vector(0)), form="task_vector")
        assert workspace.resolve(tmp_path / "stored").model_root == tuned

    BAD = {  # noqa: RUF012 - a table
        **{name: (tensors, {}, error) for name, (tensors, error, _) in REFUSED.items()},
        "NaN": (with_value(fine_tune(0), "layer.0.weight", (2, 3), np.nan), {}, NonFinite),
        "infinity": (with_value(fine_tune(0), "norm.scale", (), -np.inf), {}, NonFinite),
        "an overflow": (
            {n: a.astype(np.float64) if n in FLOATS else a for n, a in fine_tune(0).items()}
            | {"layer.0.bias": np.array([0, 1e39, 0, 0])},
            {},
            NonFinite,
        ),
        "NaN in a task vector": (
            with_value(task_vector(0), "norm.scale", (), np.nan),
            {"form": "task_vector"},
            NonFinite,
        ),
        "nothing": (fine_tune(0), {"take": ["positions"]}, NamesError),
        "a negative coefficient": (fine_tune(0), {"coefficient": "-1"}, CoefficientError),
        "a coefficient of zero": (fine_tune(0), {"coefficient": "0"}, CoefficientError),
        "a coefficient that rounds to zero": (fine_tune(0), {"coefficient": f"0.{'0' * 50}1"}, CoefficientError),
        "a coefficient too large": (fine_tune(0), {"coefficient": f"1{'0' * 39}"}, DecimalError),
        "a coefficient that is a float": (fine_tune(0), {"coefficient": 1.0}, DecimalError),
        "an unknown form": (fine_tune(0), {"form": "adapter"}, MergeAlgebraError),
        "an empty note": (fine_tune(0), {"note": ""}, MergeAlgebraError),
        "a long note": (fine_tune(0), {"note": "x" * 4097}, MergeAlgebraError),
        "a note that is no text": (fine_tune(0), {"note": "\ud800"}, MergeAlgebraError),
        "no thread": (fine_tune(0), {"threads": 0}, MergeAlgebraError),
    }

    @pytest.mark.clause("TV-4", "TV-5", "CT-4", "RC-6")
    @pytest.mark.parametrize(("tensors", "options", "error"), BAD.values(), ids=BAD)
    def test_publishes_nothing_of_what_it_refuses(self, workspace, tmp_path, tensors, options, error):
        path = write_file(tmp_path / "ft.safetensors", tensors)
        with pytest.raises(error) as refused:
            workspace.contribute(path, **options)
        assert "\n" not in str(refused.value)
        for folder in ("operations", "blobs", "tmp"):
            assert list((workspace.path / folder).iterdir()) == []

    @pytest.mark.clause("TV-3")
    def test_takes_nan_and_infinities_that_are_the_base_s(self, tmp_path):
        buffers = {"causal": np.float32([-np.inf, np.nan, 0]), "half": ml_dtypes.bfloat16(np.inf) * np.ones(2, "f4")}
        start = base() | {name: np.asarray(array) for name, array in buffers.items()}
        workspace = ma.Workspace.init(tmp_path / "w", base=write_file(tmp_path / "b", start), recipe=ma.Ties())
        tuned = fine_tune(0) | buffers | {"half": buffers["half"].astype(np.float64)}
        made = workspace.contribute(write_file(tmp_path / "ft", tuned))
        workspace.resolve(tmp_path / "out")
        assert workspace.visible()[made].elements == 81 + 5
        with Checkpoint.open(tmp_path / "out") as merged:
            assert merged.read("causal").tobytes() == start["causal"].tobytes()
