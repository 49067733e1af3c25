"""Advice in messages, followed: what they tell to type is typed, and then it works."""

from __future__ import annotations

import json
import re
import shlex
import tomllib
from pathlib import Path

import numpy as np
import pytest
import yaml
from safetensors.numpy import load_file

from mergealgebra.errors import MergeAlgebraError
from mergealgebra.recipe_file import read_merge_file
from tests.cli.commands import call
from tests.models import Tensors, base, fine_tune, task_vector, with_value, write_file, write_folder

CONTRIBUTE = "-C alice contribute bad.safetensors"
MERGE = "merge bad.yaml out"
LARGE = np.zeros((5, 2), np.float32)


def without(name: str) -> Tensors:
    return {other: array for other, array in fine_tune(2).items() if other != name}


#: Fine-tunes with something to leave out.
UNFIT = {
    "a missing tensor": without("norm.scale"),
    "two missing tensors": {name: fine_tune(2)[name] for name in ("embed.weight", "layer.0.weight", "norm.scale")},
    "an extra tensor": fine_tune(2) | {"head.weight": LARGE},
    "an extra tensor with marks of patterns": fine_tune(2) | {"head[0].*": LARGE},
    "an extra tensor with a quote": fine_tune(2) | {"it's a head": LARGE},
    "a copy of all": fine_tune(2) | {f"model_ema.{name}": array for name, array in fine_tune(1).items()},
    "many masks": fine_tune(2) | {f"layer.{i}.attn.mask": LARGE for i in range(9)},
    "a resized vocabulary": fine_tune(2) | {"embed.weight": np.zeros((18, 4), np.float32)},
    "a weight saved empty": fine_tune(2) | {"layer.0.weight": np.zeros(0, np.float32)},
    "changed integers": with_value(fine_tune(2), "positions", (3,), 4),
    "integers for floats": fine_tune(2) | {"layer.0.bias": np.zeros(4, np.int32)},
    "all of it": without("norm.scale")
    | {"head.weight": LARGE, "layer.0.bias": np.zeros(4, np.int32), "embed.weight": np.zeros((18, 4), np.float32)},
}


def follow(scene: Path, command: str) -> dict[str, object]:
    """Type a command, then again with the options that the complaint asks for, until it works."""
    for _ in range(6):
        outcome = call(scene, *shlex.split(command), "--json")
        if outcome.code == 0:
            return json.loads(outcome.stdout)
        if beside := re.search(r"write `leave: (.+)` beside its path in bad.yaml$", outcome.complaint()):
            file = yaml.safe_load((scene / "bad.yaml").read_text())
            file["models"][0]["leave"] = yaml.safe_load(beside[1])
            (scene / "bad.yaml").write_text(yaml.safe_dump(file))
            continue
        options = re.search(r" with ((?:--leave .+)+)$", outcome.complaint())
        assert options, outcome.stderr
        command = f"{command} {options[1]}"
    pytest.fail(f"it never works: {command}")


@pytest.fixture
def unfit(scene):
    """Write a fine-tune, and a merge file of it, into the scene."""

    def write(tensors: Tensors) -> Path:
        write_file(scene / "bad.safetensors", tensors)
        (scene / "bad.yaml").write_text("method: mean\nbase: base\nmodels: [path: bad.safetensors]\n")
        return scene

    return write


@pytest.mark.clause("CT-8", "TV-1", "TV-7", "TV-8")
@pytest.mark.parametrize("command", [CONTRIBUTE, MERGE], ids=["contribute", "merge"])
@pytest.mark.parametrize("tensors", UNFIT.values(), ids=UNFIT)
def test_what_does_not_fit_is_left_out_as_advised(command, tensors, unfit):
    assert follow(unfit(tensors), command)


@pytest.mark.clause("RC-7", "RC-8", "CT-8")
def test_what_is_left_out_of_a_merge_is_as_in_a_workspace(unfit):
    """By an option, by the file, for one model or for all: the base's values stay, and what is merged is one thing."""
    scene = unfit(fine_tune(2) | {"head.weight": LARGE})
    models = {
        "leave: [head.*, embed.*]\nmodels: [path: bad.safetensors]": "",
        "models: [{path: bad.safetensors, leave: [head.*, embed.*]}]": "",
        "leave: head.*\nmodels: [{path: bad.safetensors, take: ['[!e]*']}]": "",
        "models: [path: bad.safetensors]": "--leave head.* --leave embed.*",
        "leave: head.*\ntake: ['[!e]*']\nmodels: [path: bad.safetensors]": "--leave head.w*",
    }
    roots = set()
    for number, (text, options) in enumerate(models.items()):
        (scene / "bad.yaml").write_text(f"method: mean\nbase: base\n{text}\n")
        made = call(scene, "merge", "bad.yaml", f"out{number}", *options.split(), "--json").printed()
        roots.add((made["merge_id"], made["model_root"]))
    (scene / "recipe.yaml").write_text("method: mean\n")
    call(scene, "-C", "w", "init", "--base", "base", "--recipe", "recipe.yaml").lines()
    call(scene, "-C", "w", "contribute", "bad.safetensors", "--leave", "head.*", "--leave", "embed.*").lines()
    made = call(scene, "-C", "w", "resolve", "out", "--json").printed()
    assert roots == {(made["merge_id"], made["model_root"])}
    merged = load_file(scene / "out" / "model.safetensors")
    np.testing.assert_array_equal(merged["embed.weight"], base()["embed.weight"])
    np.testing.assert_array_equal(merged["layer.0.weight"], fine_tune(2)["layer.0.weight"])


@pytest.mark.clause("CT-8", "RC-7")
@pytest.mark.parametrize(
    "text",
    ["leave: lm.*\nmodels: [path: ft0.safetensors]", "models: [{path: ft0.safetensors, take: lm.*}]"],
)
def test_a_pattern_that_matches_nothing_is_named(text, scene):
    (scene / "bad.yaml").write_text(f"method: mean\nbase: base\n{text}\n")
    assert "pattern 'lm.*' matches no tensor" in call(scene, *MERGE.split()).complaint()


@pytest.mark.clause("RC-7")
@pytest.mark.parametrize("value", ["{a: b}", "[[a]]", "[{a: b}]"])
def test_a_pattern_is_text(value, scene):
    for text in (f"leave: {value}\nmodels: [path: ft0.safetensors]", f"models: [{{path: x, take: {value}}}]"):
        (scene / "bad.yaml").write_text(f"method: mean\nbase: base\n{text}\n")
        assert "expected a pattern of tensor names" in call(scene, *MERGE.split()).complaint()


@pytest.mark.clause("CT-10")
@pytest.mark.parametrize("command", [CONTRIBUTE, MERGE], ids=["contribute", "merge"])
def test_buffers_are_left_out_and_told(command, unfit, scene):
    write_folder(scene / "batch", base() | {"bn.num_batches_tracked": np.int64(3)})
    call(scene, "-C", "norm", "init", "--base", "batch").lines()
    unfit(fine_tune(2) | {"bn.num_batches_tracked": np.int64(70)})
    (scene / "bad.yaml").write_text("method: ties\nbase: batch\nmodels: [path: bad.safetensors]\n")
    found = follow(scene, command.replace("alice", "norm"))
    (warning,) = found["warnings"]
    assert "left out, as in every merge, and the base's stays: 'bn.num_batches_tracked'" in warning


@pytest.mark.clause("TV-11")
class TestTiedHead:
    @pytest.fixture
    def tied(self, scene):
        """A base that is tied, and a fine-tune without the head; the workspace `tied` is of it."""
        embedding = base()["embed.weight"]
        start = base() | {"model.embed_tokens.weight": embedding, "lm_head.weight": embedding.copy()}
        write_folder(scene / "gemma", start)
        (scene / "gemma" / "config.json").write_text('{"model_type": "gemma", "tie_word_embeddings": true}')
        moved = fine_tune(2) | {"model.embed_tokens.weight": embedding + 1}
        write_file(scene / "bad.safetensors", moved)
        (scene / "recipe.yaml").write_text("method: mean\n")
        call(scene, "-C", "tied", "init", "--base", "gemma", "--recipe", "recipe.yaml").lines()
        (scene / "bad.yaml").write_text("method: mean\nbase: gemma\nmodels: [path: bad.safetensors]\n")
        return scene

    def test_moves_with_the_embedding(self, tied):
        made = call(tied, "-C", "tied", "contribute", "bad.safetensors", "--json")
        assert "'lm_head.weight' is taken as the same as 'model.embed_tokens.weight'" in made.stderr
        resolved = call(tied, "-C", "tied", "resolve", "out", "--json").printed()
        once = json.loads(call(tied, "merge", "bad.yaml", "once", "--json").stdout)
        assert once["model_root"] == resolved["model_root"]
        assert once["merge_id"] == resolved["merge_id"]
        for folder in ("out", "once"):
            merged = load_file(tied / folder / "model.safetensors")
            expected = base()["embed.weight"] + 1
            np.testing.assert_array_equal(merged["lm_head.weight"], expected)
            np.testing.assert_array_equal(merged["model.embed_tokens.weight"], expected)

    @pytest.mark.parametrize("command", ["-C tied contribute bad.safetensors", MERGE], ids=["contribute", "merge"])
    def test_is_not_left_behind(self, tied, command):
        complaint = call(tied, *command.split(), "--leave", "lm_head.weight").complaint()
        assert "the base's config.json ties both, and they would drift apart" in complaint
        assert follow(tied, f"{command} --leave lm_head.weight")

    def test_that_was_trained_apart_is_refused(self, tied):
        with_head = load_file(tied / "bad.safetensors") | {"lm_head.weight": base()["embed.weight"]}
        write_file(tied / "bad.safetensors", with_head)
        assert "'lm_head.weight' differs from its" in call(tied, *MERGE.split()).complaint()
        assert follow(tied, MERGE)
        write_folder(tied / "headless", {n: a for n, a in base().items() if n != "spare"} | {"x.wte.weight": LARGE})
        write_file(tied / "bad.safetensors", without("spare") | {"x.wte.weight": LARGE, "lm_head.weight": LARGE + 1})
        (tied / "bad.yaml").write_text("method: mean\nbase: headless\nmodels: [path: bad.safetensors]\n")
        complaint = call(tied, "merge", "bad.yaml", "second").complaint()
        assert "not in the base, whose head may be 'x.wte.weight', and differs from that of its own model" in complaint
        assert follow(tied, "merge bad.yaml second")


@pytest.mark.clause("CT-11")
class TestMistakes:
    def test_the_base_itself_is_refused_unless_forced(self, scene):
        complaint = call(scene, "-C", "alice", "contribute", "base").complaint()
        assert "it equals the base, so there is nothing to contribute" in complaint
        assert "--force" in complaint
        assert call(scene, "-C", "alice", "contribute", "base", "--force", "--json").code == 0

    def test_a_model_as_a_task_vector_is_refused(self, scene):
        tensors = {name: array + np.float32(0.01) for name, array in base().items() if array.dtype == np.float32}
        write_file(scene / "bad.safetensors", tensors)
        complaint = call(scene, *CONTRIBUTE.split(), "--task-vector").complaint()
        assert re.search(r"so near to the base \(0\.\d+ times the base's norm away\) is a whole model", complaint)
        assert "contribute it without --task-vector" in complaint
        write_file(scene / "bad.safetensors", tensors | {name: base()[name] for name in ("mask", "positions")})
        assert call(scene, *CONTRIBUTE.split()).lines()

    def test_a_task_vector_as_a_model_is_a_warning(self, scene):
        small = {name: array / np.float32(16) for name, array in task_vector(2).items()}
        write_file(scene / "bad.safetensors", small | {name: base()[name] for name in ("mask", "positions")})
        made = json.loads(call(scene, *CONTRIBUTE.split(), "--json").stdout)
        (warning,) = made["warnings"]
        assert "as if it were a difference and not a model; if so, `retract` it and contribute it with" in warning
        assert float(made["difference"]) > 0.9
        call(scene, "-C", "alice", "retract", made["contribution"]).lines()
        write_file(scene / "bad.safetensors", small)
        assert call(scene, *CONTRIBUTE.split(), "--task-vector").lines()

    def test_a_fine_tune_of_another_base_is_a_warning(self, scene):
        other = {name: -2 * array if array.dtype == np.float32 else array for name, array in base().items()}
        write_file(scene / "bad.safetensors", other)
        outcome = call(scene, *CONTRIBUTE.split())
        assert outcome.code == 0
        (line,) = outcome.stderr.splitlines()
        assert line.endswith(
            "in its tensors, its difference from the base has 3 times the base's norm, as if it came from another "
            "base; if so, `retract` it"
        )
        assert "300% of the size" in outcome.stdout

    def test_of_some_tensors_is_measured_against_the_same_tensors_and_says_so(self, scene):
        change, start = task_vector(2)["layer.0.weight"], base()["layer.0.weight"]
        write_file(scene / "bad.safetensors", {"layer.0.weight": change})
        told = call(scene, *CONTRIBUTE.split(), "--task-vector").stdout
        share = 100 * np.linalg.norm(change) / np.linalg.norm(start)
        assert f"{share:.4g}% of the size (norm) of the same tensors of the base, in " in told
        assert "against that of the same tensors of the base" in call(scene, "-C", "alice", "status").stdout

    def test_what_is_likely_is_no_warning(self, scene):
        made = call(scene, "-C", "alice", "contribute", "ft2.safetensors", "--json").printed()
        moved = np.concatenate([task_vector(2)[name].reshape(-1) for name in task_vector(2)])
        start = np.concatenate([base()[name].reshape(-1) for name in task_vector(2)])
        assert float(made["difference"]) == pytest.approx(np.linalg.norm(moved) / np.linalg.norm(start), rel=1e-3)
        assert float(made["changed"]) == pytest.approx(np.count_nonzero(moved) / moved.size, rel=1e-3)
        assert made["warnings"] == []


class TestMergekit:
    """Files of mergekit's, written anew word by word as the messages say."""

    FILE = (
        "merge_method: ties\nbase_model: base\ndensity: 0.5\n"
        "models: [{model: ft0.safetensors, weight: 0.5}, {model: ft1.safetensors}]\n"
    )

    @pytest.mark.clause("RC-7")
    def test_are_rewritten_as_advised(self, tmp_path):
        path, text = tmp_path / "merge.yaml", self.FILE
        path.write_text(text)
        with pytest.raises(MergeAlgebraError) as refused:
            read_merge_file(path)
        for old, new in re.findall(r"'(\w+)': write `(\w+)`", str(refused.value)):
            text = re.sub(rf"\b{old}:", f"{new}:", text)
        path.write_text(text)
        found = read_merge_file(path)
        assert [model.coefficient for model in found.models] == ["0.5", "1"]

    @pytest.mark.clause("RC-7")
    @pytest.mark.parametrize(
        ("text", "words"),
        [
            (
                "models: [{path: x, parameters: {weight: 0.5, density: 0.3}}]",
                ("models[0]", "`coefficient`", "`density`"),
            ),
            ("models: [{path: x}]\nparameters: {density: 0.5}", ("`density` and `lambda`",)),
            ("models: [{path: x}]\ndtype: bfloat16", ("the base's dtypes",)),
            ("models: [{path: x, wight: 1}]", ("'wight'", "a model's are path, coefficient, settings, take, leave")),
            ("models: [{path: x, pth: 1}]", ("'pth'; did you mean 'path'?",)),
            ("models: [{path: x, parameters: {density: 0.5}}, {path: y, weight: 0.5}]", ("models[0]", "models[1]")),
            (
                "models: [{path: x}]\nparameters: {normalize: false, int8_mask: true}",
                ("so the model is another", "saves memory"),
            ),
            ("models: [{path: x}]\nnormalize: true", ("'normalize': leave it out: here ties, dare_ties and mean",)),
            ("models: [{model: base}]", ("models[0] is the base itself",)),
        ],
    )
    def test_are_never_read_without_a_part_of_them(self, text, words, tmp_path):
        (tmp_path / "merge.yaml").write_text(f"method: ties\nbase: base\n{text}\n")
        with pytest.raises(MergeAlgebraError) as refused:
            read_merge_file(tmp_path / "merge.yaml")
        assert not [word for word in words if word not in str(refused.value)], refused.value
        assert "remove" not in str(refused.value)


def test_a_prefix_is_dropped_as_advised(unfit, scene):
    tensors = {f"_orig_mod.{name}": array for name, array in fine_tune(2).items()}
    complaint = call(unfit(tensors), *CONTRIBUTE.split()).complaint()
    assert "is not in the base, nor are 6 others; all 7 tensors have the prefix '_orig_mod.'" in complaint
    expression = re.search(r"for example (\{.*\})", complaint)[1]
    write_file(scene / "bad.safetensors", eval(expression, {"tensors": tensors}))
    assert call(scene, *CONTRIBUTE.split()).lines()


def test_packages_to_install_are_those_of_the_extras():
    """A checkout has no extras on an index: the packages are named."""
    root = Path(__file__).parents[2]
    extras = tomllib.loads((root / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    names = ("fast", "gpu", "hub", "laws", "net", "s3")
    packages = {re.match(r"[\w-]+", package)[0] for name in names for package in extras[name]}
    packages -= {"backports"}  # without it leaves travel as they are, and nothing is said
    sources = "".join(path.read_text() for path in (root / "mergealgebra").rglob("*.py"))
    advised = re.findall(r"pip install ([^\"{]+)\"", sources)
    assert advised
    newer = {"--upgrade", "mergealgebra"}  # for what only a later version knows
    assert {package for text in advised for package in text.split()} == packages | newer
