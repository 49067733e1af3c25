"""Adapters as peft saves them: what peft merges, within rounding; refused where they are something else."""

from __future__ import annotations

import json
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import mergealgebra as ma
from mergealgebra.errors import MergeAlgebraError, MergeAlgebraWarning
from mergealgebra.formats import hub
from mergealgebra.formats.adapters.extraction import Source, extract
from mergealgebra.formats.mergekit.files import merge_file
from mergealgebra.formats.models import adapter_doubts, open_base, open_model
from mergealgebra.tensors.checkpoint import Checkpoint

HERE = Path(__file__).parent / "peft"
BASE = HERE / "base.safetensors"
RECORDED = sorted(folder.name for folder in HERE.iterdir() if folder.is_dir())


def merged_by(folder):
    """The base's tensors that an adapter changes, with its difference added; read in two pieces."""
    found = {}
    with Checkpoint.open(BASE) as base, open_model(folder, base) as held:
        again = pickle.loads(pickle.dumps(held))  # as another process has it
        for name, record in held.records.items():
            middle = record.size // 3
            values = np.concatenate([held.read(name, 0, middle), again.read(name, middle)])
            old = 0 if held.forms[name] == "finetuned" else base.read(name).astype(np.float64)
            found[name] = (old + values).astype(np.float32).reshape(record.shape)
    return found


@pytest.mark.clause("AD-2", "AD-3", "AD-4", "AD-5", "AD-6", "AD-9", "AD-15", "CT-14")
@pytest.mark.parametrize("name", RECORDED)
def test_gives_what_peft_merges(name):
    expected, found = load_file(HERE / name / "merged.safetensors"), merged_by(HERE / name)
    base = load_file(BASE)
    assert {n for n, array in found.items() if not np.array_equal(array, base[n])} == set(expected)
    for tensor, array in expected.items():
        # peft rounds the product of factors in bf16 to bf16, before it adds it.
        error = 2e-3 if name == "half" else 1e-6
        np.testing.assert_allclose(found[tensor], array, rtol=1e-5, atol=error, err_msg=tensor)


@pytest.fixture
def adapter(tmp_path):
    """A copy of an adapter, to be spoilt."""
    return Path(shutil.copytree(HERE / "plain", tmp_path / "adapter"))


def set_in(adapter, **keys):
    path = adapter / "adapter_config.json"
    found = json.loads(path.read_text())
    path.write_text(json.dumps({key: value for key, value in {**found, **keys}.items() if value != "gone"}))


def tensors_of(adapter, change):
    path = adapter / "adapter_model.safetensors"
    save_file(change(load_file(path)), path)


Q = "base_model.model.layers.0.q.lora_A.weight"
#: What is wrong with an adapter, how it comes about, and what the refusal says.
BAD = {
    "no config": (lambda a: (a / "adapter_config.json").unlink(), "adapter_config.json is missing"),
    "no weights": (lambda a: (a / "adapter_model.safetensors").unlink(), "has no adapter_model.safetensors"),
    "not JSON": (lambda a: (a / "adapter_config.json").write_text("{"), "is not JSON"),
    "no alpha": (lambda a: set_in(a, lora_alpha="gone"), "has no 'lora_alpha'"),
    "alpha is text": (lambda a: set_in(a, lora_alpha="3"), "'lora_alpha' is '3', expected a number"),
    "rank zero": (lambda a: set_in(a, r=0), "'r' is 0, expected a rank"),
    "no object": (lambda a: (a / "adapter_config.json").write_text("[]"), "holds no settings"),
    "no rank": (lambda a: set_in(a, r=None), "has no 'r', which the scale follows from"),
    "a rank beyond all": (lambda a: set_in(a, r=10**400), "expected a rank, which is the size of a tensor"),
    "alpha beyond all": (lambda a: set_in(a, lora_alpha=10**400), "expected a number: write it as it was trained"),
    "a pattern's rank": (lambda a: set_in(a, rank_pattern={"q": 0}), "'rank_pattern': 'q' is 0, expected a rank"),
    "patterns in a list": (lambda a: set_in(a, alpha_pattern=[]), "'alpha_pattern' is [], expected numbers by name"),
    "a switch is text": (lambda a: set_in(a, use_rslora="no"), "'use_rslora' is 'no', expected true or false"),
    "a name is a number": (lambda a: set_in(a, target_parameters=["a", 1]), "'target_parameters': 1 is 1, expected a"),
    "a row below zero": (
        lambda a: set_in(a, trainable_token_indices=[3, -1]),
        "'trainable_token_indices': 1 is -1, expected the number of a row",
    ),
    "our word for a key": (lambda a: set_in(a, path="here"), "what 'path' does is not known"),
    "another rank": (lambda a: set_in(a, r=3), "has rank 2, and by"),
    "QA-LoRA": (lambda a: set_in(a, use_qalora=True), "'use_qalora' is set: QA-LoRA"),
    "replicated layers": (lambda a: set_in(a, layer_replication=[[0, 2]]), "'layer_replication' is set"),
    "pissa": (lambda a: set_in(a, init_lora_weights="pissa_niter_4"), "altered the base: save the adapter"),
    "eva": (lambda a: set_in(a, init_lora_weights="eva"), "altered the base"),
    "a key of tomorrow": (lambda a: set_in(a, use_tomorrow=True), "what 'use_tomorrow' does is not known"),
    "LoHa": (lambda a: set_in(a, peft_type="LOHA"), "'peft_type' is 'LOHA', and only LORA"),
    "no A": (
        lambda a: tensors_of(a, lambda t: {k: v for k, v in t.items() if k != Q}),
        "other factor of its module is missing",
    ),
    "a magnitude alone": (
        lambda a: tensors_of(a, lambda t: {**t, "base_model.model.head.lora_magnitude_vector": np.ones(3, np.float32)}),
        "the factors of its module are missing",
    ),
    "DoRA of an embedding": (
        lambda a: tensors_of(
            a,
            lambda t: {
                "base_model.model.embed.lora_embedding_A": np.ones((2, 10), np.float32),
                "base_model.model.embed.lora_embedding_B": np.ones((6, 2), np.float32),
                "base_model.model.embed.lora_magnitude_vector": np.ones(6, np.float32),
            },
        ),
        "DoRA of a layer that is not linear",
    ),
    "unlike ranks": (lambda a: tensors_of(a, lambda t: {**t, Q: t[Q][:1].copy()}), "expected [m, r] and [r, ...]"),
    "another base": (
        lambda a: tensors_of(a, lambda t: {k.replace("layers", "blocks"): v for k, v in t.items()}),
        "'blocks.0.q.weight' is not in the base",
    ),
    "another width": (
        lambda a: tensors_of(a, lambda t: {**t, Q: np.ones((2, 9), np.float32)}),
        "the adapter was trained on another base",
    ),
}


@pytest.mark.clause("AD-4", "AD-5", "AD-6", "AD-7")
@pytest.mark.parametrize("name", BAD)
def test_refuses_in_one_line_with_file_and_key(adapter, name):
    spoil, said = BAD[name]
    spoil(adapter)
    with Checkpoint.open(BASE) as base, pytest.raises(MergeAlgebraError) as raised:
        open_model(adapter, base)
    assert said in str(raised.value)
    assert str(adapter) in str(raised.value)


@pytest.mark.clause("AD-4")
def test_says_which_base_an_adapter_names(adapter):
    set_in(adapter, base_model_name_or_path="org/other")
    tensors_of(adapter, lambda t: {k.replace("layers", "blocks"): v for k, v in t.items()})
    with Checkpoint.open(BASE) as base, pytest.raises(MergeAlgebraError, match="says that its base is 'org/other'"):
        open_model(adapter, base)


@pytest.mark.clause("AD-4")
def test_finds_the_base_s_names_with_and_without_their_first_parts(adapter, tmp_path):
    tensors, expected = load_file(BASE), merged_by(adapter)
    with_more = tmp_path / "more.safetensors"
    save_file({f"model.{name}": array for name, array in tensors.items()}, with_more)
    with Checkpoint.open(with_more) as base, open_model(adapter, base) as held:
        assert set(held.records) == {f"model.{name}" for name in expected}


@pytest.mark.clause("AD-1", "AD-2", "RC-8")
def test_a_workspace_and_a_merge_of_files_take_adapters_as_they_are(tmp_path, adapter):
    workspace = ma.Workspace.init(tmp_path / "team", base=BASE, recipe=ma.Ties(density="0.5"))
    for name in ("plain", "embedding"):
        added = workspace.contribute(HERE / name, form="low_rank" if name == "plain" else None)
    assert workspace.visible()[added].form == "finetuned+low_rank"
    files = (adapter, HERE / "embedding")
    one = workspace.resolve(tmp_path / "one")
    two = ma.merge(BASE, [(path, "1") for path in files], ma.Ties(density="0.5"), out=tmp_path / "two")
    assert one.lock.contributions == two.lock.contributions
    beside = Path(f"{BASE}+{adapter}")  # of the base: the same contribution
    three = ma.merge(BASE, [beside, HERE / "embedding"], ma.Ties(density="0.5"), out=tmp_path / "three")
    assert three.lock == two.lock


@pytest.mark.clause("AD-1", "AD-11")
def test_an_adapter_of_another_model_is_applied_to_it(tmp_path):
    other = {name: array + np.float32(0.5) for name, array in load_file(BASE).items()}
    path = tmp_path / "other.safetensors"
    save_file(other, path)
    for name in ("plain", "embedding"):
        adapter = HERE / name
        ma.merge(BASE, [f"{path}+{adapter}"], ma.TaskArithmetic(), out=tmp_path / name)
        found = load_file(tmp_path / name / "model.safetensors")
        with Checkpoint.open(path) as model, open_model(adapter, model) as held:
            for tensor, array in other.items():
                if held.forms.get(tensor) == "low_rank":
                    array = array + held.read(tensor).reshape(array.shape)
                elif tensor in held.records:
                    array = held.read(tensor).reshape(array.shape)
                np.testing.assert_allclose(found[tensor], array, rtol=1e-6, atol=1e-6)


def parameters_adapter(folder, tensors, **settings):
    folder.mkdir()
    save_file(tensors, folder / "adapter_model.safetensors")
    settings = {"peft_type": "LORA", "r": 2, "lora_alpha": 3, **settings}
    (folder / "adapter_config.json").write_text(json.dumps(settings))
    return folder


#: How bases name the matrices of experts that transformers holds in two tensors.
APART = {
    "most": "m.mlp.experts.{}.gate_proj m.mlp.experts.{}.up_proj m.mlp.experts.{}.down_proj",
    "Mixtral": "m.block_sparse_moe.experts.{}.w1 m.block_sparse_moe.experts.{}.w3 m.block_sparse_moe.experts.{}.w2",
}


@pytest.mark.clause("AD-9")
@pytest.mark.parametrize("of", APART)
def test_experts_that_the_base_has_apart_get_their_factors(tmp_path, of):
    random, inner = np.random.default_rng(4), "base_model.model.m.mlp.experts.base_layer"
    outer = "base_model.model.m.mlp.experts"
    shapes = {
        f"{inner}.lora_A": (6, 5),
        f"{inner}.lora_B": (8, 6),
        f"{outer}.lora_A": (6, 4),
        f"{outer}.lora_B": (5, 6),
    }
    tensors = {f"{name}.weight": random.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
    targets = ["mlp.experts.gate_up_proj", "mlp.experts.down_proj"]
    adapter = parameters_adapter(tmp_path / "adapter", tensors, target_parameters=targets)
    gate, up, down = (f"{name}.weight" for name in APART[of].split())
    sizes = {gate: (4, 5), up: (4, 5), down: (5, 4)}
    zeros = {name.format(e): np.zeros(shape, np.float32) for name, shape in sizes.items() for e in range(3)}
    save_file(zeros, tmp_path / "base.safetensors")
    with Checkpoint.open(tmp_path / "base.safetensors") as base, open_model(adapter, base) as held:
        assert set(held.records) == set(zeros)
        for e in range(3):
            whole = {}
            for name in (inner, outer):
                a, b = tensors[f"{name}.lora_A.weight"], tensors[f"{name}.lora_B.weight"]
                whole[name] = 1.5 * b.reshape(len(b), 2, 3)[:, :, e] @ a.reshape(3, 2, -1)[e]
            wanted = {gate: whole[inner][:4], up: whole[inner][4:], down: whole[outer]}
            for name, array in wanted.items():
                found = held.read(name.format(e)).reshape(array.shape)
                np.testing.assert_allclose(found, array, rtol=1e-5, atol=1e-6)


@pytest.mark.clause("AD-9")
def test_square_experts_are_refused_as_nobody_knows_which_way_they_lie(tmp_path):
    save_file({"m.experts.up": np.zeros((3, 4, 4), np.float32)}, tmp_path / "base.safetensors")
    name = "base_model.model.m.experts"
    tensors = {
        f"{name}.lora_A.weight": np.ones((6, 4), np.float32),
        f"{name}.lora_B.weight": np.ones((4, 6), np.float32),
    }
    adapter = parameters_adapter(tmp_path / "adapter", tensors, target_parameters=["experts.up"])
    with Checkpoint.open(tmp_path / "base.safetensors") as base, pytest.raises(MergeAlgebraError, match="is square"):
        open_model(adapter, base)


@pytest.mark.clause("AD-12", "AD-16")
class TestTheBaseThatAnAdapterNames:
    @pytest.fixture(autouse=True)
    def cache(self, adapter, tmp_path, monkeypatch):
        snapshot = tmp_path / "cache" / "models--org--base-7b" / "snapshots" / ("0" * 40)
        snapshot.mkdir(parents=True)
        shutil.copy(BASE, snapshot / "model.safetensors")
        refs = snapshot.parents[1] / "refs"
        refs.mkdir()
        (refs / "main").write_text("0" * 40)
        monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "cache"))
        (tmp_path / "base").symlink_to(snapshot)

    @pytest.mark.parametrize("same", ["org/base-7b", "else/Base-7B", "{}/base", None])
    def test_is_the_one_that_it_is_merged_into(self, adapter, tmp_path, same):
        set_in(adapter, base_model_name_or_path=same and same.format(tmp_path))
        assert adapter_doubts(adapter, hub.folder("org/base-7b")) == []

    def test_is_another_and_that_is_told(self, adapter, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        set_in(adapter, base_model_name_or_path="org/other-7b")
        told = "adapter_config.json says that its base is 'org/other-7b', and here it is 'org/base-7b': if that"
        workspace = ma.Workspace.init(tmp_path / "team", base=hub.folder("org/base-7b"), recipe=ma.TaskArithmetic())
        with pytest.warns(MergeAlgebraWarning, match=told):
            workspace.contribute(adapter)
        with pytest.warns(MergeAlgebraWarning, match=told):
            ma.merge("org/base-7b", ["org/base-7b+adapter"], ma.TaskArithmetic(), out=tmp_path / "out")
        Path("m.yml").write_text(
            "merge_method: linear\nparameters: {weight: 1}\n"
            "models: [{model: org/base-7b+adapter}, {model: org/base-7b}]\n"
        )
        lines = merge_file(Path("m.yml"), tmp_path / "theirs").warnings
        assert sum(told in line and line.startswith("m.yml, line 3: ") for line in lines) == 1

    def test_has_in_what_is_extracted_its_name_on_the_hub(self, adapter, tmp_path):
        with open_base("org/base-7b") as base, open_model(adapter, base) as held:
            extract(Source(base, held), tmp_path / "new", 2)
        config = json.loads((tmp_path / "new" / "adapter_config.json").read_text())
        assert config["base_model_name_or_path"] == "org/base-7b"
