"""merge.lock: it agrees with itself, it is the same for everyone, and whatever is tampered with is named."""

from __future__ import annotations

import json
import os
import shutil

import numpy as np
import pytest

import mergealgebra as ma
from mergealgebra import lock_file
from mergealgebra.crdt.manifest import Manifest
from mergealgebra.encoding import encode, hash_id, model_root
from mergealgebra.errors import LockError, MergeAlgebraError, OutputError, VerificationFailed
from mergealgebra.file_merge import Model, merge_checkpoints
from mergealgebra.lock import Lock, achieved_density, verify_model
from mergealgebra.lock_size import size_of_lock
from mergealgebra.tensors.checkpoint import Checkpoint
from mergealgebra.tensors.file_names import LOCK
from tests.models import FLOATS, base, fine_tune, with_value, write_file, write_folder

RECIPE = ma.Ties(density="0.5", lambda_="0.5")
KEYS = [
    *("format", "spec", "base", "recipe", "contributions", "merge_id"),
    *("tensors", "model_root", "achieved_density", "uncertified", "backend"),
]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A workspace with two contributions, and the folder `out` that it resolved to; nobody changes it."""
    root = tmp_path_factory.mktemp("made")
    write_folder(root / "base", base())
    workspace = ma.Workspace.init(root / "alice", base=root / "base", recipe=RECIPE)
    workspace.contribute(write_file(root / "0.safetensors", fine_tune(0)))
    workspace.contribute(write_file(root / "1.safetensors", fine_tune(1)), "0.5")
    workspace.resolve(root / "out", threads=1)
    return root


@pytest.fixture
def out(made, tmp_path):
    """A copy of the merged folder, to be spoilt."""
    return shutil.copytree(made / "out", tmp_path / "out")


@pytest.fixture
def content(out):
    """What stands in its lock."""
    return json.loads((out / LOCK).read_bytes())


def put(out, content):
    (out / LOCK).write_text(json.dumps(content, indent=2))


def as_written(lock):
    """The lock as the file has it: recomputed ids included, so that it agrees with itself."""
    lock["model_root"] = model_root(
        (name, t["dtype"], tuple(t["shape"]), t["root"]) for name, t in lock["tensors"].items()
    )
    return lock


@pytest.mark.clause("LK-2")
class TestContent:
    def test_is_json_with_exactly_these_keys(self, content):
        assert list(content) == KEYS
        assert (content["format"], content["spec"]) == (1, 1)

    def test_holds_the_manifests_in_the_order_of_ids(self, made, content):
        manifests = ma.Workspace.open(made / "alice").visible()
        assert [entry["id"] for entry in content["contributions"]] == sorted(manifests)
        for entry in content["contributions"]:
            assert list(entry) == ["id", "form", "coefficient", "elements", "tensors", "kept"]
            fields = {key: entry[key] for key in ("form", "coefficient", "elements", "tensors")}
            assert Manifest(base=content["base"], **fields) == manifests[entry["id"]]

    def test_holds_the_recipe_in_full(self, content):
        expected = {"method": "ties", "density": "0.5", "lambda": "0.5", "scope": "model", "boundary": "keep_all"}
        assert content["recipe"] == expected

    def test_holds_the_merge_id(self, content):
        ids = [bytes.fromhex(entry["id"]) for entry in content["contributions"]]
        recipe = hash_id("recipe", encode(content["recipe"]))
        merge = {
            "base": bytes.fromhex(content["base"]),
            "contributions": ids,
            "recipe": bytes.fromhex(recipe),
            "spec": 1,
        }
        assert content["merge_id"] == hash_id("merge", encode(merge))

    def test_holds_the_tensors_in_name_order(self, content):
        expected = base()
        assert list(content["tensors"]) == sorted(expected, key=str.encode)
        assert {name: tuple(tensor["shape"]) for name, tensor in content["tensors"].items()} == {
            name: array.shape for name, array in expected.items()
        }
        assert as_written(dict(content))["model_root"] == content["model_root"]

    def test_counts_what_trim_kept(self, content):
        """By hand: the m-th largest magnitude of all float elements, and all that reach it [TI-3, TI-4]."""
        coefficients = {"3f800000": 0, "3f000000": 1}
        kept = {}
        for entry in content["contributions"]:
            number = coefficients[entry["coefficient"]]
            moved = [fine_tune(number)[name] - base()[name] for name in FLOATS]
            magnitudes = np.sort(np.abs(np.concatenate([tau.reshape(-1) for tau in moved])))[::-1]
            threshold = magnitudes[max(1, magnitudes.size // 2) - 1]
            kept[number] = int(np.count_nonzero((magnitudes >= threshold) & (magnitudes > 0)))
            assert (entry["elements"], entry["kept"]) == (magnitudes.size, kept[number])
        assert content["achieved_density"] == f"{sum(kept.values()) / (2 * magnitudes.size):.6f}"

    @pytest.mark.parametrize(
        ("kept", "elements", "expected"),
        [
            ([1, 2], [5, 5], "0.300000"),
            ([1], [3], "0.333333"),
            ([2], [3], "0.666667"),
            ([5], [5], "1.000000"),
            ([0], [7], "0.000000"),
            ([0], [0], "0.000000"),
            ([1], [2_000_000], "0.000000"),
            ([3], [2_000_000], "0.000002"),
            ([1], [2_000_001], "0.000000"),
            ([1], [1_999_999], "0.000001"),
            ([2**62 - 1], [2**62], "1.000000"),
        ],
    )
    def test_rounds_the_achieved_density_to_nearest_even(self, kept, elements, expected):
        assert achieved_density(kept, elements) == expected

    def test_counts_uncertified_coordinates(self, tmp_path):
        """At one coordinate the magnitudes span more than 53 bits; at the other two they do not [EX-2].

        The sum there is exactly 1, so + is elected, though fp64 additions in order give 0.
        """
        write_file(tmp_path / "base.safetensors", {"w": np.zeros(3, np.float32)})
        models = []
        for number, values in enumerate(([2.0**60, 1, 1], [1, 1, 2], [-(2.0**60), 1, 3])):
            models.append(Model(write_file(tmp_path / f"{number}.safetensors", {"w": np.float32(values)})))
        result = merge_checkpoints(tmp_path / "base.safetensors", models, ma.Ties(), tmp_path / "out")
        assert result.lock.uncertified == 1
        with Checkpoint.open(tmp_path / "out") as merged:
            assert merged.read("w").tolist() == [2.0**59, 1, 2]

    def test_is_read_back_as_it_was_written(self, out):
        assert Lock.read(out).to_bytes() == (out / LOCK).read_bytes()


class TestSize:
    @pytest.mark.clause("LK-2")
    def test_is_told_before_and_hardly_more_than_it_is(self, made, out):
        with Checkpoint.open(made / "base") as original:
            told = size_of_lock(original.records.values(), 2)
            tensors = size_of_lock(original.records.values(), 0) - size_of_lock([], 0)
        written = (out / LOCK).read_bytes()
        assert len(written) <= told < len(written) + 6000
        begin, end = written.index(b'"tensors": {\n') + len(b'"tensors": {\n'), written.index(b'\n  },\n  "model_root"')
        assert end - begin + len(b",\n") == tensors

    @pytest.mark.clause("LK-2")
    def test_that_no_reader_takes_is_refused_before_there_is_work(self, made, tmp_path, monkeypatch):
        monkeypatch.setattr(lock_file, "MAX_BYTES", 2000)
        monkeypatch.setattr("mergealgebra.resolve.run", lambda *_, **__: pytest.fail("it merges"))
        with pytest.raises(OutputError, match=r"merge\.lock would have about [0-9,]+ bytes, and at most 2,000"):
            ma.Workspace.open(made / "alice").resolve(tmp_path / "out")
        assert not (tmp_path / "out").exists()


class TestReplicas:
    @pytest.mark.clause("LK-3", "MG-8")
    def test_write_the_same_lock_but_for_the_backend(self, made, out, tmp_path):
        alice = ma.Workspace.open(made / "alice")
        alice.sync(tmp_path / "exchange", create=True)
        write_folder(tmp_path / "base", base())
        bob = ma.Workspace.clone(tmp_path / "exchange", tmp_path / "bob", base=tmp_path / "base")
        result = bob.resolve(tmp_path / "theirs", backend="torch", threads=2, block=3)
        ours, theirs = ((folder / LOCK).read_text() for folder in (out, tmp_path / "theirs"))
        assert result.backend == "torch"
        assert ours != theirs
        assert ours == theirs.replace('"backend": "torch"', '"backend": "numba"')
        for name in ("model.safetensors", "README.md", "config.json"):
            assert (out / name).read_bytes() == (tmp_path / "theirs" / name).read_bytes()

    @pytest.mark.clause("LK-3", "RC-8", "OS-11")
    def test_write_the_lock_of_a_one_shot_merge(self, made, out, tmp_path):
        models = [Model(made / "1.safetensors", "0.5"), Model(made / "0.safetensors")]
        merge_checkpoints(made / "base", models, RECIPE, tmp_path / "one-shot")
        for path in out.iterdir():
            if path.name != "README.md":  # it calls models by their paths [LK-8]
                assert path.read_bytes() == (tmp_path / "one-shot" / path.name).read_bytes(), path.name


def first(content):
    return content["contributions"][0]


def swap_contributions(content):
    content["contributions"].reverse()


def repeat_contribution(content):
    content["contributions"].append(content["contributions"][-1])


def drop_contribution(content):
    content["contributions"].pop()


def rename_tensor(content):
    content["tensors"]["another"] = content["tensors"].pop("spare")


OTHER = "0123456789abcdef" * 4


def merged_by(**recipe):
    """Let the lock say that it was merged by another recipe, which leaves nothing out."""

    def tamper(lock):
        lock["recipe"] = recipe
        for contribution in lock["contributions"]:
            contribution["kept"] = contribution["elements"]

    return tamper


#: What is changed in a lock, and what the refusal says. None: no one can tell, and nothing depends on it.
TAMPERED = {
    "format": (lambda lock: lock.update(format=2), "format"),
    "format as a boolean": (lambda lock: lock.update(format=True), "format"),
    "format as a float": (lambda lock: lock.update(format=1.0), "format"),
    "format as a string": (lambda lock: lock.update(format="1"), "format"),
    "spec": (lambda lock: lock.update(spec=2), "spec"),
    "base": (lambda lock: lock.update(base=OTHER), "does not follow from its manifest"),
    "base in capitals": (lambda lock: lock.update(base=lock["base"].upper()), "base"),
    "base with a line feed": (lambda lock: lock.update(base=lock["base"] + "\n"), "base"),
    "method": (lambda lock: lock["recipe"].update(method="mean"), "mean: unknown key"),
    "another number": (merged_by(method="nearswap", t="1", **{"lambda": "1"}), "nearswap merges exactly 1, and it has"),
    "a task of nobody's": (
        merged_by(method="emr", task=OTHER, **{"lambda": "1"}),
        f"task {OTHER} is not the id of one",
    ),
    "unknown method": (lambda lock: lock["recipe"].update(method="x"), "method 'x' is not known to this version"),
    "density": (lambda lock: lock["recipe"].update(density="0.4"), "the merge id does not follow"),
    "density written otherwise": (lambda lock: lock["recipe"].update(density="0.50"), "is not complete and canonical"),
    "density as a number": (lambda lock: lock["recipe"].update(density=0.5), "recipe.density"),
    "lambda": (lambda lock: lock["recipe"].update({"lambda": "1"}), "the merge id does not follow"),
    "default left out": (lambda lock: lock["recipe"].pop("scope"), "is not complete and canonical"),
    "contribution's id": (lambda lock: first(lock).update(id=OTHER), "does not follow from its manifest"),
    "form": (lambda lock: first(lock).update(form="task_vector"), "does not follow from its manifest"),
    "unknown form": (lambda lock: first(lock).update(form="x"), "form is 'x'"),
    "coefficient": (lambda lock: first(lock).update(coefficient="40000000"), "does not follow from its manifest"),
    "coefficient zero": (lambda lock: first(lock).update(coefficient="00000000"), "zero"),
    "elements": (lambda lock: first(lock).update(elements=999), "does not follow from its manifest"),
    "negative elements": (lambda lock: first(lock).update(elements=-1), "contributions.0.elements"),
    "tensors root": (lambda lock: first(lock).update(tensors=OTHER), "does not follow from its manifest"),
    "kept": (lambda lock: first(lock).update(kept=0), "the achieved density"),
    "kept more than all": (lambda lock: first(lock).update(kept=10**6), "cannot have kept"),
    "kept as a boolean": (lambda lock: first(lock).update(kept=True), "contributions.0.kept"),
    "kept, huge": (lambda lock: first(lock).update(kept=10**30), "contributions.0.kept"),
    "kept beyond 2^63": (lambda lock: first(lock).update(kept=2**63), "contributions.0.kept"),
    "order": (swap_contributions, "not in the order of their ids"),
    "repetition": (repeat_contribution, "not in the order of their ids, each once"),
    "one contribution fewer": (drop_contribution, "the achieved density"),
    "no contribution": (lambda lock: lock.update(contributions=[]), "it has no contributions"),
    "merge id": (lambda lock: lock.update(merge_id=OTHER), "the merge id does not follow"),
    "tensor's name": (rename_tensor, "the model root does not follow"),
    "tensor's dtype": (lambda lock: lock["tensors"]["spare"].update(dtype="F16"), "the model root does not follow"),
    "tensor's shape": (lambda lock: lock["tensors"]["spare"].update(shape=[3, 0]), "the model root does not follow"),
    "tensor's root": (lambda lock: lock["tensors"]["spare"].update(root=OTHER), "the model root does not follow"),
    "one tensor fewer": (lambda lock: lock["tensors"].pop("spare"), "the model root does not follow"),
    "no tensor": (lambda lock: lock.update(tensors={}), "the model root does not follow"),
    "tensor without a root": (lambda lock: lock["tensors"]["spare"].pop("root"), "tensors.spare.root"),
    "tensor with more": (lambda lock: lock["tensors"]["spare"].update(x=1), "tensors.spare.x"),
    "tensor of more sizes than any": (
        lambda lock: lock["tensors"]["spare"].update(shape=[1] * 65),
        "more than 64 sizes",
    ),
    "tensor of too many bytes": (
        lambda lock: lock["tensors"]["spare"].update(shape=[2**32, 0, 2**31]),
        "of 2^63 bytes or more",
    ),
    "recipe of many keys": (lambda lock: lock["recipe"].update({f"k{i}": "" for i in range(65)}), "more than 64 keys"),
    "model root": (lambda lock: lock.update(model_root=OTHER), "the model root does not follow"),
    "achieved density": (lambda lock: lock.update(achieved_density="0.1"), "the achieved density"),
    "achieved density as a number": (lambda lock: lock.update(achieved_density=0.5), "achieved_density"),
    "uncertified, negative": (lambda lock: lock.update(uncertified=-1), "uncertified"),
    "uncertified": (lambda lock: lock.update(uncertified=1), None),
    "backend": (lambda lock: lock.update(backend="torch"), None),
    "backend as a number": (lambda lock: lock.update(backend=1), "backend"),
    "backend null": (lambda lock: lock.update(backend=None), "backend"),
    "another key": (lambda lock: lock.update(x=1), "x"),
    **{f"without {key}": (lambda lock, key=key: lock.pop(key), key) for key in KEYS},
}


@pytest.mark.clause("LK-2", "LK-4")
class TestTampering:
    @pytest.mark.parametrize(("tamper", "complaint"), TAMPERED.values(), ids=TAMPERED)
    def test_is_noticed_or_harmless(self, out, content, tamper, complaint):
        tamper(content)
        put(out, content)
        if complaint is None:
            assert ma.verify(out).ok
            return
        with pytest.raises(LockError) as refused:
            ma.verify(out)
        message = str(refused.value)
        assert message.startswith(f"{out / LOCK}: ")
        assert complaint in message
        assert message.endswith("; merge again") or "pip install" in message
        assert "\n" not in message

    @pytest.mark.clause("LK-3", "LK-6")
    def test_of_counts_that_nobody_can_check_alone_is_noticed_against_the_workspace(self, made, out, content):
        for change in (
            {"uncertified": 1},
            {"contributions": [entry | {"kept": 0} for entry in content["contributions"]]},
        ):
            changed = content | change
            changed["achieved_density"] = "0.000000" if "contributions" in change else content["achieved_density"]
            put(out, changed)
            assert ma.verify(out).ok
            assert "counts other elements" in ma.verify(out, made / "alice").problem
        put(out, content | {"backend": "triton"})
        assert ma.verify(out, made / "alice").ok


MALFORMED = {
    "empty": (b"", "Expecting value"),
    "spaces": (b"  \n", "Expecting value"),
    "no JSON": (b"{", "Expecting property name"),
    "cut": (lambda data: data[:-20], "Unterminated string"),
    "followed by more": (lambda data: data + b"{}", "something follows"),
    "no object": (b"[]", "the file"),
    "null": (b"null", "the file"),
    "not UTF-8": (lambda data: data.replace(b'"numba"', b'"\xff"'), "utf-8"),
    "with a byte order mark": (lambda data: b"\xef\xbb\xbf" + data, "merge again"),
    "UTF-16": (lambda data: data.decode().encode("utf-16"), "merge again"),
    "NaN": (lambda data: data.replace(b'"uncertified": 0', b'"uncertified": NaN'), "NaN is not JSON"),
    "a lone surrogate": (lambda data: data.replace(b'"numba"', b'"\\ud800"'), "surrogates not allowed"),
    "a lone surrogate in a name": (lambda data: data.replace(b'"spare"', b'"\\ud800"'), "surrogates not allowed"),
    "deep": (b"[" * 100_000 + b"]" * 100_000, "nest deeper"),
    "deep inside": (lambda data: data.replace(b'"numba"', b"[" * 9 + b"]" * 9), "nest deeper"),
    "a million digits": (
        lambda data: data.replace(b'"uncertified": 0', b'"uncertified": ' + b"9" * 10**6),
        "uncertified",
    ),
    "an exponent": (lambda data: data.replace(b'"uncertified": 0', b'"uncertified": 1e400'), "uncertified"),
    "a fraction": (lambda data: data.replace(b'"uncertified": 0', b'"uncertified": 0.0'), "uncertified"),
    "minus zero": (lambda data: data.replace(b'"uncertified": 0', b'"uncertified": -0'), "uncertified"),
    "a repeated key": (lambda data: data.replace(b'"spec": 1', b'"spec": 1, "spec": 1'), "'spec' stands twice"),
    "a key repeated by an escape": (
        lambda data: data.replace(b'"spec": 1', b'"spec": 1, "sp\\u0065c": 1'),
        "'spec' stands twice",
    ),
    "a repeated key inside": (
        lambda data: data.replace(b'"dtype": "F32"', b'"dtype": "F32", "dtype": "F32"'),
        "'dtype' stands twice",
    ),
    "a repeated tensor": (
        lambda data: data.replace(
            b'"tensors": {', b'"tensors": {"spare": {"dtype":"U8","shape":[],"root":"%b"},' % (b"0" * 64)
        ),
        "'spare' stands twice",
    ),
}


@pytest.mark.clause("LK-2")
class TestMalformed:
    @pytest.mark.parametrize(("spoil", "complaint"), MALFORMED.values(), ids=MALFORMED)
    def test_is_refused_in_one_line_that_names_the_file(self, out, spoil, complaint):
        path = out / LOCK
        data = spoil(path.read_bytes()) if callable(spoil) else spoil
        assert data != path.read_bytes()
        path.write_bytes(data)
        with pytest.raises(LockError, match=complaint) as refused:
            Lock.read(out)
        message = str(refused.value)
        assert message.startswith(f"{path}: ")
        assert len(message) < len(str(path)) + 300
        assert message.isprintable()

    def test_that_is_too_large_is_refused(self, out):
        os.truncate(out / LOCK, 100_000_001)
        with pytest.raises(LockError, match=f"{out / LOCK} cannot be read: it has more than 100,000,000 bytes"):
            Lock.read(out)

    @pytest.mark.parametrize("kind", ["folder", "pipe", "device"])
    def test_that_is_no_file_is_refused(self, out, kind):
        (out / LOCK).unlink()
        {
            "folder": os.mkdir,
            "pipe": os.mkfifo,
            "device": lambda path: path.symlink_to("/dev/zero"),
        }[kind](out / LOCK)
        says = f"it is a {kind}, not a file; name a model that a merge wrote"
        with pytest.raises(LockError, match=f"{out / LOCK} cannot be read: {says}"):
            Lock.read(out)

    def test_in_a_path_of_two_lines_is_named_on_one(self, out, tmp_path):
        folder = out.rename(tmp_path / "a\nb")
        write_file(folder / "model.safetensors", base())
        assert verify_model(folder)[1].problem.isprintable()
        for spoilt in ("{", "{}"):
            (folder / LOCK).write_text(spoilt)
            with pytest.raises(LockError, match=r"^[^\n]*a\\nb/merge[^\n]*$"):
                Lock.read(folder)
        (folder / LOCK).unlink()
        with pytest.raises(LockError, match=r"^[^\n]*a\\nb/merge[^\n]*$"):
            Lock.read(folder)


#: What is changed in a merged model, and what is said about it.
DIFFERENT = {
    "a bit": (lambda t: with_value(t, "norm.scale", (), np.nextafter(t["norm.scale"], np.float32(9))), "has root"),
    "a boolean": (lambda t: t | {"mask": ~t["mask"]}, "tensor 'mask' has root"),
    "dtype": (lambda t: t | {"norm.scale": t["norm.scale"].view(np.int32)}, "has dtype 'I32', not the 'F32'"),
    "shape": (lambda t: t | {"spare": np.zeros((3, 0), np.float32)}, r"has shape \[3, 0\], not the \[0, 3\]"),
    "one fewer": (lambda t: {name: t[name] for name in t if name != "spare"}, "tensor 'spare' is missing"),
    "one more": (lambda t: t | {"a": t["spare"]}, "tensor 'a' is not one of merge.lock"),
    "renamed": (lambda t: {f"x{name}": array for name, array in t.items()}, "tensor 'embed.weight' is missing"),
}


@pytest.mark.clause("LK-5")
class TestVerify:
    def test_finds_nothing_wrong_with_what_was_merged(self, out, content):
        lock, found = verify_model(out)
        assert (found.ok, found.model_root, found.merge_id) == (True, content["model_root"], content["merge_id"])
        assert lock == Lock.read(out)
        found.raise_if_failed()

    @pytest.mark.parametrize("threads", [1, 3])
    def test_names_the_first_tensor_in_name_order_that_differs(self, out, threads):
        tensors = {name: array.copy() for name, array in merged_tensors(out).items()}
        for name in ("layer.0.weight", "layer.0.bias", "positions"):
            tensors[name].reshape(-1)[-1] += 1
        write_file(out / "model.safetensors", tensors)
        found = ma.verify(out, threads=threads)
        assert not found.ok
        assert found.problem.startswith(f"{out}: tensor 'layer.0.bias' has root ")
        assert found.model_root != Lock.read(out).model_root
        with pytest.raises(VerificationFailed, match="tensor 'layer"):
            found.raise_if_failed()

    @pytest.mark.parametrize(("change", "complaint"), DIFFERENT.values(), ids=DIFFERENT)
    def test_notices_every_kind_of_difference(self, out, change, complaint):
        write_file(out / "model.safetensors", change(merged_tensors(out)))
        with pytest.raises(VerificationFailed, match=complaint):
            ma.verify(out).raise_if_failed()

    def test_takes_the_same_tensors_in_another_file(self, out):
        """Neither metadata nor the order of tensors in the file is part of the model [EN-8]."""
        before = (out / "model.safetensors").read_bytes()
        write_file(out / "model.safetensors", dict(reversed(merged_tensors(out).items())))
        assert (out / "model.safetensors").read_bytes() != before
        assert ma.verify(out).ok

    def test_notices_a_lock_and_root_that_agree_with_each_other_but_not_with_the_model(self, out, content):
        content["tensors"]["mask"]["root"] = OTHER
        put(out, as_written(content))
        assert "tensor 'mask' has root" in ma.verify(out).problem

    @pytest.mark.parametrize("damage", [lambda path: path.unlink(), lambda path: os.truncate(path, 100)])
    def test_refuses_a_model_that_cannot_be_read(self, out, damage):
        damage(out / "model.safetensors")
        with pytest.raises(MergeAlgebraError, match=str(out)):
            ma.verify(out)


@pytest.mark.clause("LK-6")
class TestVerifyAgainst:
    def test_a_workspace_computes_the_model_again(self, made, out):
        assert ma.verify(out, made / "alice").ok
        assert ma.verify(out, made / "alice", backend="torch").ok

    def test_a_forged_model_with_a_forged_lock_is_named(self, made, out, content):
        """It agrees with itself in every way: only computing the model again tells."""
        tensors = merged_tensors(out)
        write_file(out / "model.safetensors", with_value(tensors, "layer.0.weight", (0, 0), 100))
        with Checkpoint.open(out) as forged:
            content["tensors"]["layer.0.weight"]["root"] = forged.tensor_root("layer.0.weight")
        put(out, as_written(content))
        assert ma.verify(out).ok
        found = ma.verify(out, made / "alice")
        assert "computes another model: tensor 'layer.0.weight' has root" in found.problem

    def test_a_merge_file_is_told_from_a_workspace(self, out, tmp_path):
        (tmp_path / "g.yml").write_text("method: ties")
        with pytest.raises(MergeAlgebraError, match=r"g\.yml is a merge file; run `mergealgebra merge` with it into"):
            ma.verify(out, tmp_path / "g.yml")

    def test_a_folder_that_is_no_workspace_is_refused(self, out, tmp_path):
        with pytest.raises(MergeAlgebraError, match="is not a workspace"):
            ma.verify(out, tmp_path)


def merged_tensors(folder):
    with Checkpoint.open(folder) as checkpoint:
        return {name: checkpoint.read(name).reshape(record.shape) for name, record in checkpoint.records.items()}
