"""mergekit's files merged as they are. Numbers that are written out here are those that mergekit 0.1.5 gave."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from mergealgebra.errors import MergeAlgebraError
from mergealgebra.execution import Execution
from mergealgebra.formats.mergekit.files import merge_file
from mergealgebra.formats.mergekit.merging import How
from mergealgebra.lock import Lock
from mergealgebra.merge_result import MergeResult
from tests.cli.commands import call
from tests.formats.mergekit.tiny import KINDS, by_layer, short, values, write


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Llamas of four layers: all 0, all 1, all 2; the layer's number, and 10 more."""
    folder = tmp_path_factory.mktemp("models")
    for name, value in {"zero": 0.0, "one": 1.0, "two": 2.0}.items():
        write(folder / name, "llama", value)
    write(folder / "lay", "llama", by_layer)
    write(folder / "lay10", "llama", lambda name: by_layer(name) + 10)
    return folder


@pytest.fixture
def merged(models, tmp_path):
    """Merges what a text says, into a folder that it returns with what was found."""

    def merge(text: str) -> MergeResult:
        file = models / "merge.yml"
        file.write_text(text)
        return merge_file(file, tmp_path / "out", Execution("numpy", 1))

    return merge


class TestSettings:
    @pytest.mark.clause("MK-4", "MK-5", "MK-9")
    def test_are_scalars_gradients_and_filters(self, merged):
        result = merged("""
merge_method: linear
models:
  - {model: zero, parameters: {weight: 1}}
  - model: one
    parameters:
      weight:
        - {filter: self_attn, value: [0, 1, 5]}
        - {filter: model.norm, value: [7, 8]}
        - value: [2, 3]
parameters: {normalize: false}
""")
        found = short(result.out)
        assert [found[f"q {i}"] for i in range(4)] == [0, np.float32(2 / 3), np.float32(7 / 3), 5]
        assert [found[f"d {i}"] for i in range(4)] == [2, np.float32(7 / 3), np.float32(8 / 3), 3]
        assert (found["head"], found["embed"], found["norm"]) == (2, 2, 7)

    @pytest.mark.clause("MK-4", "MK-5", "MK-8")
    def test_are_looked_up_in_source_slice_and_file(self, merged):
        result = merged("""
merge_method: linear
x: &one [{filter: layers.3, value: 100}, {filter: lm_head, value: [31, 32]}]
slices:
  - sources:
      - {model: zero, layer_range: [0, 3], parameters: {weight: 1}}
      - {model: one, layer_range: [0, 3], parameters: {weight: [1, 2]}}
  - sources:
      - {model: zero, layer_range: [1, 4]}
      - {model: one, layer_range: [0, 3], parameters: {weight: *one}}
    parameters: {weight: [{filter: layers.4, value: 50}]}
parameters: {normalize: false, weight: 9}
""")
        found = short(result.out)
        assert [found[f"q {i}"] for i in range(6)] == [1, 1.5, 2, 9, 9, 9]
        assert (found["head"], found["embed"], found["norm"]) == (31, 1, 9)
        assert [line.split(": ", 1)[0].rpartition(" ")[2] for line in result.warnings] == ["3", "11", "3"]

    @pytest.mark.clause("MK-4")
    def test_of_all_models_look_at_names_of_the_result(self, merged):
        result = merged("""
merge_method: slerp
base_model: zero
slices:
  - sources: [{model: zero, layer_range: [0, 2]}, {model: one, layer_range: [1, 3]}]
  - sources: [{model: one, layer_range: [1, 3], parameters: {t: 0.9}}, {model: zero, layer_range: [0, 2]}]
parameters: {t: [{filter: layers.0, value: 0}, {filter: layers.1, value: 1}, {filter: layers.3, value: 0}, {value: 1}]}
""")
        found = short(result.out)
        assert [found[f"q {i}"] for i in range(4)] == [0, 1, 1, 0]
        (warning,) = result.warnings
        assert "line 6: nothing reads `t` here; slerp has one for all models" in warning

    @pytest.mark.clause("MK-7")
    @pytest.mark.parametrize("method", ["ties", "dare_ties", "della", "breadcrumbs", "breadcrumbs_ties", "dare_linear"])
    def test_of_one_model_are_in_its_recipe(self, method, merged):
        result = merged(f"""
merge_method: {method}
base_model: zero
models:
  - model: zero  # no parameters are needed for it
  - {{model: lay, parameters: {{weight: 0.5, density: 0.5}}}}
  - {{model: two, parameters: {{weight: 0.3, density: [0.4, 0.8]}}}}
parameters: {{lambda: 0.7, int8_mask: true}}
dtype: float32
""")
        recipe = result.lock.recipe
        assert recipe["lambda"] == "0.7"
        numbers = [(entry.get("tensors", "*"), entry["density"]) for entry in recipe["settings"] if "density" in entry]
        assert ("model.layers.*", ["0.4", "0.8"]) in numbers
        assert ("*", "0.5") in numbers
        assert sorted(c.coefficient for c in result.lock.contributions) == ["3e99999a", "3f000000"]


WORDS = {
    "llama": ("self_attn", "mlp"),
    "gpt2": ("attn", "mlp"),
    "bert": ("attention", "output"),
    "mixtral": ("self_attn", "block_sparse_moe"),
}


class TestKinds:
    """Published templates, over models of four kinds."""

    SLERP = """
slices:
  - sources:
      - {model: first, layer_range: [0, 4]}
      - {model: second, layer_range: [0, 4]}
merge_method: slerp
base_model: first
parameters:
  t:
    - {filter: ATTENTION, value: [0, 0.5, 0.3, 1]}
    - {filter: MLP, value: [1, 0.5, 0.7, 0]}
    - value: 0.5
dtype: float32
"""

    @pytest.mark.clause("MK-6", "MK-7")
    @pytest.mark.parametrize("kind", KINDS)
    def test_the_slerp_template(self, kind, tmp_path):
        write(tmp_path / "first", kind, 4.0)
        write(tmp_path / "second", kind, 8.0)
        attention, mlp = WORDS[kind]
        (tmp_path / "m.yaml").write_text(self.SLERP.replace("ATTENTION", attention).replace("MLP", mlp))
        result = merge_file(tmp_path / "m.yaml", tmp_path / "out", Execution("numpy", 1))
        found = values(result.out)
        stack, inner = KINDS[kind][2:4]
        assert [found[f"{stack}.{i}.{inner[0]}"] for i in range(4)] == pytest.approx([4, 6, 5.2, 8])
        assert [found[f"{stack}.{i}.{inner[1]}"] for i in range(4)] == pytest.approx([8, 6, 6.8, 4])
        assert found[KINDS[kind][1][0]] == found[KINDS[kind][4][0]] == 6
        assert (result.out / "mergekit_config.yml").read_bytes() == (tmp_path / "m.yaml").read_bytes()

    @pytest.mark.clause("MK-2")
    def test_points_beyond_the_layers_are_no_mistake(self, tmp_path):
        write(tmp_path / "first", "llama", 4.0)
        write(tmp_path / "second", "llama", 8.0)
        text = self.SLERP.replace("ATTENTION", "self_attn").replace("MLP", "mlp")
        (tmp_path / "m.yaml").write_text(
            text.replace("0.5, 0.3", "0.5, 0.3, 0.7").replace("0.5, 0.7,", "0.5, 0.7, 0.3,")
        )
        assert merge_file(tmp_path / "m.yaml", tmp_path / "out", Execution("numpy", 1)).warnings == []

    @pytest.mark.clause("MK-8", "MK-11")
    @pytest.mark.parametrize("kind", KINDS)
    def test_a_stack_of_layers(self, kind, tmp_path):
        write(tmp_path / "first", kind, by_layer)
        write(tmp_path / "second", kind, lambda name: by_layer(name) + 10)
        (tmp_path / "m.yaml").write_text(
            "merge_method: passthrough\nslices:\n"
            "  - sources: [{model: first, layer_range: [0, 3]}]\n"
            "  - sources: [{model: second, layer_range: [1, 4]}]\n"
        )
        result = merge_file(tmp_path / "m.yaml", tmp_path / "out", Execution("numpy", 1))
        found = values(result.out)
        stack, inner = KINDS[kind][2:4]
        assert [found[f"{stack}.{i}.{inner[0]}"] for i in range(6)] == [0, 1, 2, 11, 12, 13]
        assert [found[name] for name in (*KINDS[kind][1], *KINDS[kind][4])] == [
            *[-1] * len(KINDS[kind][1]),
            *[9] * len(KINDS[kind][4]),
        ]
        config = json.loads((result.out / "config.json").read_text())
        assert config[KINDS[kind][0]] == 6
        assert config["layer_types"] == [f"kind {i}" for i in (0, 1, 2, 1, 2, 3)]
        assert result.warnings == []

    @pytest.mark.clause("MK-8")
    def test_a_stack_as_deep_as_one_of_its_models(self, tmp_path):
        """config.json is that of the deeper model, which has the last slice."""
        write(tmp_path / "flat", "llama", by_layer, layers=4)
        deep = write(tmp_path / "deep", "llama", by_layer, layers=6)
        config = json.loads((deep / "config.json").read_text())
        (deep / "config.json").write_text(json.dumps(config | {"layer_types": [f"deep {i}" for i in range(6)]}))
        (tmp_path / "m.yml").write_text(
            "merge_method: passthrough\nslices:\n"
            "  - sources: [{model: flat, layer_range: [0, 2]}]\n"
            "  - sources: [{model: deep, layer_range: [4, 6]}]\n"
        )
        result = merge_file(tmp_path / "m.yml", tmp_path / "out", Execution("numpy", 1))
        config = json.loads((result.out / "config.json").read_text())
        assert config["num_hidden_layers"] == 4
        assert config["layer_types"] == ["kind 0", "kind 1", "deep 4", "deep 5"]


class TestBases:
    @pytest.mark.clause("MK-9")
    def test_without_one_the_order_of_models_does_not_count(self, models, tmp_path):
        locks = []
        for i, order in enumerate((["one", "two", "lay"], ["lay", "two", "one"])):
            listed = "".join(f"  - {{model: {name}, parameters: {{weight: {name == 'two'}}}}}\n" for name in order)
            (models / "order.yml").write_text(f"merge_method: linear\nmodels:\n{listed}")
            locks.append(merge_file(models / "order.yml", tmp_path / str(i), Execution("numpy", 1)).lock)
        assert locks[0] == locks[1]
        roots = [Lock.read(tmp_path / "0").base, min(c.tensors for c in locks[0].contributions)]
        assert roots[0] == roots[1]

    @pytest.mark.clause("MK-9")
    @pytest.mark.parametrize("method", ["nuslerp", "multislerp"])
    def test_of_zeros(self, method, merged):
        result = merged(
            f"merge_method: {method}\nparameters: {{weight: 0.5}}\nmodels: [{{model: one}}, {{model: two}}]\n"
        )
        assert set(short(result.out).values()) == {1.5}

    @pytest.mark.clause("MK-9")
    def test_are_merged_whole_too_where_not_listed(self, merged):
        result = merged("merge_method: linear\nbase_model: two\nparameters: {weight: 1}\nmodels: [{model: one}]\n")
        assert set(short(result.out).values()) == {1.5}

    @pytest.mark.clause("MK-9")
    def test_of_slices(self, merged):
        result = merged("""
merge_method: task_arithmetic
slices:
  - base_model: two
    sources:
      - {model: zero, layer_range: [0, 2], parameters: {weight: 1}}
      - {model: two, layer_range: [0, 2]}
  - base_model: one
    sources:
      - {model: zero, layer_range: [1, 3]}
      - {model: one, layer_range: [2, 4]}
    parameters: {weight: 0.5}
""")
        found = short(result.out)
        assert [found[f"q {i}"] for i in range(4)] == [0, 0, 0.5, 0.5]
        assert (found["head"], found["embed"]) == (0.5, 0)

    @pytest.mark.clause("MK-7")
    def test_normalized_task_arithmetic_is_a_mean(self, merged):
        result = merged(
            "merge_method: task_arithmetic\nbase_model: zero\nmodels: [{model: one}, {model: two}]\n"
            "parameters: {weight: 2, normalize: true}\n"
        )
        assert set(short(result.out).values()) == {1.5}


REFUSED = {
    "twice": (
        "models: [{model: one, parameters: {weight: 1}}, {model: one}]",
        "line 3: 'one' stands on line 3 too",
    ),
    "beyond": (
        "slices: [{sources: [{model: one, layer_range: [3, 6]}]}]",
        "line 3: `layer_range: [3, 6]` goes beyond the last layer of 'one', which has 4 in `model.layers`",
    ),
    "unequal": (
        "slices: [{sources: [{model: one, layer_range: [0, 2]}, {model: two, layer_range: [0, 3]}]}]",
        "is 3 layers, and the first source of its slice has 2",
    ),
    "residual": (
        "slices: [{sources: [{model: one, layer_range: [0, 2]}], residual_weight: 1}]",
        "line 3: `residual_weight` is not computed",
    ),
    "missing": ("models: [{model: one}]", "`weight` of 'one' is missing for tensor 'lm_head.weight'"),
    "no number": (
        "models: [{model: one}]\nparameters: {weight: much}",
        "line 4: `weight` is 'much'; expected a number",
    ),
    "mixed": (
        "models: [{model: one}]\nparameters: {weight: [{filter: q, value: 1}, 9]}",
        "write what all other tensors have as `- value: 9`",
    ),
    "both": ("models: [{model: one}]\nslices: []", "line 2: expected one of `models`, `slices` and `modules`"),
    "module": ("modules: {decoder: {slices: [{sources: [{model: one, layer_range: [0, 2]}]}]}}", "'decoder'"),
}


class TestRefusals:
    @pytest.mark.clause("MK-1", "MK-2", "MK-3", "MK-5", "MK-8")
    @pytest.mark.parametrize("case", REFUSED)
    def test_name_file_and_line(self, case, merged):
        text, words = REFUSED[case]
        with pytest.raises(MergeAlgebraError) as refused:
            merged(f"\nmerge_method: linear\n{text}\n")
        assert "merge.yml, line " in str(refused.value)
        assert words in str(refused.value)

    @pytest.mark.clause("MK-7")
    @pytest.mark.parametrize(
        ("method", "setting"),
        [("ties", "normalize: false"), ("dare_ties", "rescale: false"), ("model_stock", "filter_wise: true")],
    )
    def test_settings_without_a_counterpart(self, method, setting, merged):
        text = (
            f"merge_method: {method}\nbase_model: zero\nmodels: [{{model: one}}]\nparameters: {{weight: 1, {setting}}}"
        )
        with pytest.raises(MergeAlgebraError, match=f"line 4: `{setting}`: .* `--as mergekit( --masks FILE)?`"):
            merged(text)

    @pytest.mark.clause("MK-5")
    def test_a_gradient_without_layers(self, tmp_path):
        for name in ("a", "b"):
            (tmp_path / name).mkdir()
        write(tmp_path / "one", "llama", 1.0, layers=0)
        (tmp_path / "m.yml").write_text("merge_method: linear\nmodels: [{model: one, parameters: {weight: [0, 1]}}]\n")
        with pytest.raises(
            MergeAlgebraError, match="line 2: `weight` is a list over layers, and no tensor has a layer's"
        ):
            merge_file(tmp_path / "m.yml", tmp_path / "out")

    @pytest.mark.clause("MK-2")
    def test_what_nothing_reads_is_named(self, merged):
        result = merged("""
merge_method: model_stock
base_model: zero
normalize: true
models:
  - {model: one, weight: 0.3}
  - {model: two, parameters: {weight: 0.5}}
parameters: {int8_mask: true}
""")
        where = [line.partition(": ")[0].rpartition(", ")[2] for line in result.warnings]
        assert where == ["line 4", "line 6", "line 8", "line 7"]
        assert all("write it under `parameters`" in line for line in result.warnings[:2])


OF_MODELS = {
    "negative": ("linear", "dtype: float32", "lay", "{weight: -1}", "`weight` -1.0 is negative, and linear"),
    "large": ("task_arithmetic", "base_model: zero", "lay", "{weight: 1e39}", "`weight`: 10*0 is beyond the largest"),
    "density": ("ties", "base_model: zero", "lay", "{weight: 1, density: 0}", "density: 0 is not above 0"),
    "layers": ("linear", "dtype: float32", "deep", "{weight: 1}", "tensor .* is missing, .* --leave PATTERN$"),
}


@pytest.mark.clause("MK-1")
@pytest.mark.parametrize(("method", "more", "first", "settings", "message"), OF_MODELS.values(), ids=OF_MODELS)
def test_what_a_model_has_is_refused_with_its_line(models, merged, method, more, first, settings, message):
    if not (models / "deep").exists():
        write(models / "deep", "llama", 1.0, 5)
    text = f"merge_method: {method}\n{more}\nmodels:\n  - {{model: {first}, parameters: {{weight: 1}}}}\n"
    with pytest.raises(MergeAlgebraError, match=f"merge.yml, line 5: two: {message}"):
        merged(f"{text}  - {{model: two, parameters: {settings}}}\n")


@pytest.mark.clause("LK-8", "LK-9")
def test_the_card_of_a_stack_names_all_models_of_it(tmp_path):
    for name, license_ in {"code": "mit", "math": "apache-2.0"}.items():
        snapshot = tmp_path / f"models--org--{name}" / "snapshots" / "0"
        snapshot.parent.mkdir(parents=True)
        (write(snapshot, "llama", 1.0) / "README.md").write_text(f"---\nlicense: {license_}\n---\n")
    layers = "  - sources: [{model: models--org--%s/snapshots/0, layer_range: [0, 3]}]\n"
    file = tmp_path / "m.yml"
    file.write_text(f"merge_method: passthrough\nslices:\n{layers % 'code'}{layers % 'math'}")
    result = merge_file(file, tmp_path / "out", Execution("numpy", 1))
    card = (result.out / "README.md").read_text()
    assert set(card.partition("base_model_relation")[0].split()) == {"---", "base_model:", "-", "org/code", "org/math"}
    assert "from layers of **org/code** and **org/math**, by" in card and "merge.yaml" not in card
    assert "`mergealgebra merge mergekit_config.yml OUT`" in card
    (told,) = result.warnings
    assert sorted(told.partition("none: ")[2].partition(";")[0].split(" and ")) == [
        *("org/code has mit", "org/math has apache-2.0")
    ]
    (told,) = merge_file(file, tmp_path / "out.safetensors", Execution("numpy", 1)).warnings
    assert "config.json" in told


def test_a_path_beside_the_file_comes_first(models, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(Path("one"), "llama", 8.0)
    write(Path("three"), "llama", 3.0)
    (models / "p.yml").write_text(
        "merge_method: linear\nparameters: {weight: 1}\nmodels: [{model: one}, {model: ./three}]\n"
    )
    result = merge_file(models / "p.yml", tmp_path / "out", Execution("numpy", 1))
    assert set(short(result.out).values()) == {2.0}


class TestAsMergekit:
    @pytest.mark.clause("MK-12")
    def test_the_recipe_has_what_the_file_says(self, models, tmp_path):
        (models / "as.yml").write_text("""
merge_method: ties
base_model: zero
models:
  - {model: two, parameters: {weight: 0.5, density: [0.3, 1]}}
  - {model: lay, parameters: {weight: [{filter: mlp, value: 0.1}, {value: 0}]}}
parameters: {normalize: false, density: 0.7}
dtype: bfloat16
""")
        result = merge_file(models / "as.yml", tmp_path / "out", Execution("numpy", 1), How(as_mergekit=True))
        recipe = result.lock.recipe
        assert (recipe["dialect"], recipe["normalize"], recipe["dtype"]) == ("mergekit-0.1.5", "false", "bfloat16")
        two, lay = recipe["order"].split(" ")
        of_two = {
            (e.get("tensors", "*"), e.get("layers", "")): e["density"]
            for e in recipe["settings"]
            if e["contribution"] == two and "density" in e
        }
        assert of_two == {("model.layers.*", "0 4"): ["0.3", "1"], ("*", ""): "0.3"}
        of_lay = [
            (e.get("tensors", "*"), e["coefficient"])
            for e in recipe["settings"]
            if e["contribution"] == lay and "coefficient" in e
        ]
        assert of_lay[-1] == ("*", "0")
        assert ("model.layers.*.mlp.*", "0.1") in of_lay

    @pytest.mark.clause("MK-7")
    @pytest.mark.parametrize(
        ("method", "options"), [("dare_ties", "--as mergekit --masks FILE"), ("sce", "--as mergekit")]
    )
    def test_the_remark_on_a_method_advises_what_works(self, method, options, merged):
        text = f"merge_method: {method}\nbase_model: zero\nmodels: [{{model: one}}, {{model: two}}]\n"
        (warning,) = merged(text + ("parameters: {weight: 1}\n" if method == "dare_ties" else "")).warnings
        assert warning.startswith(f"{method} is not computed here as by mergekit: m")
        assert f"; mergekit's numbers: `{options}`" in warning

    @pytest.mark.clause("MK-10", "MK-12")
    @pytest.mark.parametrize("method", ["linear", "ties"])
    def test_the_result_has_a_dtype_narrower_than_the_base(self, method, models, tmp_path):
        (models / "as.yml").write_text(
            f"merge_method: {method}\nbase_model: zero\nmodels: [{{model: one}}, {{model: two}}]\n"
            "parameters: {weight: 1}\ndtype: float32\nout_dtype: bfloat16\n"
        )
        result = merge_file(models / "as.yml", tmp_path / "out", Execution("numpy", 1), How(as_mergekit=True))
        assert {tensor.dtype for tensor in result.lock.tensors.values()} == {"BF16"}

    @pytest.mark.clause("MK-12")
    def test_drawn_masks_are_asked_for(self, models, tmp_path):
        (models / "as.yml").write_text(
            "merge_method: dare_ties\nbase_model: zero\nmodels: [{model: one}]\nparameters: {weight: 1}\n"
        )
        with pytest.raises(MergeAlgebraError, match="masks"):
            merge_file(models / "as.yml", tmp_path / "out", Execution("numpy", 1), How(as_mergekit=True))

    @pytest.mark.clause("MK-12", "NA-13")
    def test_slices_have_sources_of_their_own(self, models, tmp_path):
        (models / "as.yml").write_text("""
merge_method: linear
slices:
  - sources: [{model: one, layer_range: [0, 2]}, {model: two, layer_range: [0, 2]}]
  - sources: [{model: lay, layer_range: [2, 4]}]
parameters: {weight: 1}
""")
        result = merge_file(models / "as.yml", tmp_path / "out", Execution("numpy", 1), How(as_mergekit=True))
        found = short(result.out)
        assert [found[f"q {i}"] for i in range(4)] == [1.5, 1.5, 2, 3]

    @pytest.mark.clause("MK-12")
    def test_a_whole_model_that_lacks_a_tensor_is_refused(self, models, tmp_path):
        (tmp_path / "less").mkdir()
        save_file({"lm_head.weight": np.ones((2, 4), np.float32)}, tmp_path / "less" / "model.safetensors")
        (models / "as.yml").write_text(
            f"merge_method: linear\nparameters: {{weight: 1}}\nmodels:\n  - {{model: one}}\n"
            f"  - {{model: {tmp_path / 'less'}}}\n"
        )
        with pytest.raises(MergeAlgebraError, match=r"as\.yml, line 5: .*less' lacks tensor 'model\."):
            merge_file(models / "as.yml", tmp_path / "out", Execution("numpy", 1), How(as_mergekit=True))


def _adapter(folder: Path) -> Path:
    """An adapter that adds 1 to the queries of layer 0."""
    folder.mkdir()
    factors = {"lora_A": np.ones((1, 4), np.float32), "lora_B": np.ones((2, 1), np.float32)}
    name = "base_model.model.model.layers.0.self_attn.q_proj"
    save_file({f"{name}.{part}.weight": array for part, array in factors.items()}, folder / "adapter_model.safetensors")
    config = {"peft_type": "LORA", "r": 1, "lora_alpha": 1, "target_modules": ["q_proj"]}
    (folder / "adapter_config.json").write_text(json.dumps(config))
    return folder


@pytest.mark.clause("MK-3", "MK-12")
@pytest.mark.parametrize("as_mergekit", [False, True])
@pytest.mark.parametrize(("model", "wanted"), [("zero", [2, 1]), ("two", [4, 3])])
def test_an_adapter_shows_its_model_with_what_it_changes(model, wanted, as_mergekit, models, tmp_path):
    lora = _adapter(tmp_path / "lora")
    (models / "lora.yml").write_text(
        f"merge_method: task_arithmetic\nbase_model: zero\nparameters: {{weight: 1}}\n"
        f"models: [{{model: {model}+{lora}}}, {{model: one}}]\n"
    )
    how = How(as_mergekit=as_mergekit)
    found = short(merge_file(models / "lora.yml", tmp_path / "out", Execution("numpy", 1), how).out)
    assert [found["q 0"], found["q 1"]] == wanted


@pytest.mark.clause("MK-10", "MK-12")
@pytest.mark.parametrize("as_mergekit", [False, True])
def test_the_result_has_the_dtype_that_is_written(as_mergekit, models, tmp_path):
    (models / "dtype.yml").write_text(
        "merge_method: linear\nout_dtype: bfloat16\ndtype: float32\nparameters: {weight: 1}\n"
        "models: [{model: one}, {model: two}]\n"
    )
    result = merge_file(models / "dtype.yml", tmp_path / "out", Execution("numpy", 1), How(as_mergekit=as_mergekit))
    assert {tensor.dtype for tensor in result.lock.tensors.values()} == {"BF16"}
    assert result.lock.recipe["out_dtype"] == "BF16"


@pytest.mark.clause("MK-1")
def test_the_command_tells_mergekits_files_from_ours(models, tmp_path):
    (models / "cli.yml").write_text(
        "merge_method: linear\nparameters: {weight: 1}\nmodels: [{model: one}, {model: two}]\n"
    )
    assert call(tmp_path, "merge", str(models / "cli.yml"), "out", "--json").printed()["warnings"] == []
    (models / "ours.yml").write_text("method: linear\nbase: zero\nmodels: [{path: one}]\n")
    refused = call(tmp_path, "merge", str(models / "ours.yml"), "ours", "--as", "mergekit")
    assert "is not a mergekit file" in refused.stderr
    refused = call(tmp_path, "merge", str(models / "cli.yml"), "again", "--tokenizer-source", "base")
    assert "write `tokenizer_source: base` in it" in refused.stderr


@pytest.mark.clause("MK-9")
@pytest.mark.parametrize(
    ("method", "made_of"), [("passthrough", "2 models"), ("slerp", "2 models"), ("ties", "1 contribution, 80%")]
)
def test_the_command_counts_whole_models_with_the_base(method, made_of, models, tmp_path):
    sources = ["[{model: one, layer_range: [0, 2]}]", "[{model: lay, layer_range: [2, 4]}]"]
    slices = f"slices: [{{sources: {sources[0]}}}, {{sources: {sources[1]}}}]\n"
    of_two = "base_model: one\nmodels: [{model: one}, {model: lay}]\nparameters: {t: 0.5, weight: 1}\n"
    (models / "count.yml").write_text(f"merge_method: {method}\n{slices if method == 'passthrough' else of_two}")
    said = call(tmp_path, "merge", str(models / "count.yml"), "out").stdout
    assert f"made of      {made_of}" in said


@pytest.mark.clause("MK-13", "RC-10")
@pytest.mark.parametrize("method", ["slerp", "dare_ties"])
def test_converted_files_give_the_same_model(method, models, tmp_path):
    listed = "models: [{model: two, parameters: {weight: 0.5, density: [0.5, 1]}}, {model: lay}]"
    t = "t: [{filter: mlp, value: [0, 1]}, {value: 0.3}]"
    (models / "from.yml").write_text(f"merge_method: {method}\nbase_model: lay\n{listed}\nparameters: {{{t}}}\n")
    call(tmp_path, "convert", str(models / "from.yml"), str(models / f"{method}.yaml"))
    first = merge_file(models / "from.yml", tmp_path / "first", Execution("numpy", 1))
    again = call(tmp_path, "merge", str(models / f"{method}.yaml"), "again", "--json").printed()
    assert (again["merge_id"], again["model_root"]) == (first.merge_id, first.model_root)


class TestChains:
    TEXT = """
name: second
merge_method: task_arithmetic
base_model: zero
models: [{model: first, parameters: {weight: 2}}]
---
merge_method: linear
parameters: {weight: 1}
models: [{model: second}, {model: zero}]
---
name: first
merge_method: linear
parameters: {weight: 1}
models: [{model: one}, {model: two}]
"""

    @pytest.fixture
    def chain(self, models, tmp_path):
        (models / "chain.yml").write_text(self.TEXT)
        return merge_file(models / "chain.yml", tmp_path / "out", Execution("numpy", 1)).out

    @pytest.mark.clause("MK-14")
    def test_their_locks_name_each_other(self, chain, tmp_path):
        assert set(short(chain).values()) == {1.5}
        first, second = (Lock.read(tmp_path / "out.steps" / name) for name in ("first", "second"))
        assert first.model_root in {one.tensors for one in second.contributions}
        assert second.model_root in {one.tensors for one in Lock.read(chain).contributions}
        assert call(tmp_path, "verify", "out", "--json").printed()["warnings"] == []

    @pytest.mark.clause("MK-14")
    def test_a_changed_lock_is_found(self, chain, tmp_path):
        lock = chain / "step-first.lock"
        lock.write_bytes(lock.read_bytes().replace(b'"backend":"numpy"', b'"backend":"nunpy"').replace(b"3f8", b"3f7"))
        assert call(tmp_path, "verify", "out").code == 1

    @pytest.mark.clause("MK-14")
    def test_a_strange_lock_is_told(self, chain, tmp_path, models):
        (models / "other.yml").write_text("merge_method: linear\nparameters: {weight: 1}\nmodels: [{model: lay}]\n")
        other = merge_file(models / "other.yml", tmp_path / "other", Execution("numpy", 1)).out
        (chain / "step-other.lock").write_bytes((other / "merge.lock").read_bytes())
        (warning,) = json.loads(call(tmp_path, "verify", "out", "--json").stdout)["warnings"]
        assert "step-other.lock describes a model that no other lock here names" in warning

    @pytest.mark.clause("MK-14")
    def test_two_ends_are_refused(self, models, tmp_path):
        (models / "ends.yml").write_text(self.TEXT.replace("model: second", "model: one"))
        with pytest.raises(MergeAlgebraError, match=r"ends\.yml: expected one merge that no other is made from"):
            merge_file(models / "ends.yml", tmp_path / "out", Execution("numpy", 1))


@pytest.mark.clause("MK-6", "MK-8")
def test_modules_have_layers_of_their_own(tmp_path):
    names = ["shared.weight", "encoder.final.weight", "decoder.final.weight"]
    names += [f"{stack}.block.{i}.layer.0.weight" for stack in ("encoder", "decoder") for i in range(3)]
    for model, more in (("first", 0.0), ("second", 10.0)):
        (tmp_path / model).mkdir()
        arrays = {name: np.full(2, by_layer(name) + more, np.float32) for name in names}
        save_file(arrays, tmp_path / model / "model.safetensors")
    whole = "[{sources: [{model: first, layer_range: [0, 3]}]}]"
    parts = "[{sources: [{model: second, layer_range: [2, 3]}]}, {sources: [{model: first, layer_range: [0, 1]}]}]"
    text = f"merge_method: passthrough\nmodules:\n  encoder: {{slices: {whole}}}\n  decoder: {{slices: {parts}}}\n"
    (tmp_path / "m.yml").write_text(text)
    found = values(merge_file(tmp_path / "m.yml", tmp_path / "out", Execution("numpy", 1)).out)
    assert [found[f"encoder.block.{i}.layer.0.weight"] for i in range(3)] == [0, 1, 2]
    assert [found[f"decoder.block.{i}.layer.0.weight"] for i in range(2)] == [12, 0]
    assert (found["decoder.final.weight"], found["encoder.final.weight"], len(found)) == (-1, -1, 8)


class TestModulesOfModels:
    """Numbers of mergekit 0.1.5 for models of `transformers` with these layers."""

    @pytest.fixture
    def two_stacks(self, tmp_path):
        names = [f"{stack}.final.weight" for stack in ("encoder", "decoder")]
        names += [f"encoder.block.{i}.weight" for i in range(2)] + [f"decoder.block.{i}.weight" for i in range(3)]
        for model, value in (("first", 4), ("second", 8)):
            (tmp_path / model).mkdir()
            save_file({name: np.full(2, value, np.float32) for name in names}, tmp_path / model / "model.safetensors")

        def merge(encoder: str, decoder: str) -> dict[str, float]:
            text = f"merge_method: linear\nparameters: {{normalize: false}}\nmodules:\n  encoder: {encoder}\n"
            (tmp_path / "m.yml").write_text(f"{text}  decoder: {decoder}\n")
            return values(merge_file(tmp_path / "m.yml", tmp_path / "out", Execution("numpy", 1)).out)

        return merge

    @pytest.mark.clause("MK-4", "MK-8")
    def test_have_all_layers_of_each(self, two_stacks):
        models = "[{model: first, parameters: {weight: 1}}, {model: second, parameters: {weight: [0, 1]}}]"
        slices = "[{sources: [{model: second, layer_range: [0, 3], parameters: {weight: 1}}]}]"
        found = two_stacks(f"{{models: {models}}}", f"{{slices: {slices}}}")
        assert [found[f"encoder.block.{i}.weight"] for i in range(2)] == [4, 12]
        assert [found[f"decoder.block.{i}.weight"] for i in range(3)] == [8, 8, 8]
        assert (found["encoder.final.weight"], found["decoder.final.weight"]) == (4, 8)

    @pytest.mark.clause("MK-4", "MK-8", "MK-9")
    def test_have_the_base_with_the_settings_of_the_module(self, merged):
        result = merged("""
merge_method: linear
base_model: zero
modules:
  default:
    models:
      - {model: one, parameters: {weight: 1}}
      - {model: two, parameters: {weight: [0, 3]}}
    parameters: {weight: 3}
""")
        found = short(result.out)
        assert [found[f"q {i}"] for i in range(4)] == [np.float32(x) for x in (1 / 4, 3 / 5, 5 / 6, 1)]
        assert found["head"] == 0.25

    @pytest.mark.clause("MK-8")
    def test_need_equally_many_layers_and_one_key(self, two_stacks, models):
        write(models / "short", "llama", 1.0, layers=2)
        text = "merge_method: linear\nparameters: {weight: 1}\nmodules:\n  default:\n    "
        for more, words in (
            (
                "models: [{model: one}, {model: short}]",
                "line 5: 'short' has 2 layers in `model.layers`, and 'one' has 4",
            ),
            (
                "models: [{model: one}]\n    slices: [{}]",
                "line 5: module 'default': expected one of `models` and `slices`",
            ),
        ):
            (models / "bad.yml").write_text(text + more + "\n")
            with pytest.raises(MergeAlgebraError, match=words):
                merge_file(models / "bad.yml", models / "bad")
