"""Models that were merged are loaded by the libraries that they are for, and compute. Runs with `make loads`.

Everything happens in that environment: tiny models are made from configurations, fine-tuned at random, merged by this
package, from files and in memory, and loaded by `from_pretrained`, without a network.
"""

from __future__ import annotations

import json

import pytest

import mergealgebra as ma
from mergealgebra.tensors.checkpoint import Checkpoint
from tests.docs.models import write_models
from tests.docs.pages import ROOT, blocks
from tests.loads.environment import needed, there

pytestmark = needed

_BEGIN = """
import copy, json, subprocess, sys, torch
from pathlib import Path
import mergealgebra as ma

def tune(model, seed):
    random = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter += (torch.randn(parameter.shape, generator=random) * 0.02).to(parameter.dtype)
    return model

def same(one, other):
    ours, theirs = one.state_dict(), other.state_dict()
    return ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)

torch.manual_seed(0)
here = Path(sys.argv[1])
ties = ma.Ties(density="0.4")
"""

_TRANSFORMERS = """
import transformers
from transformers import (BertConfig, BertForMaskedLM, GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM,
    T5Config, T5ForConditionalGeneration)
classes = {
    "llama": (LlamaForCausalLM, LlamaConfig(vocab_size=64, hidden_size=16, intermediate_size=24, num_hidden_layers=2,
        num_attention_heads=2, bos_token_id=1, eos_token_id=2)),
    "llama, tied": (LlamaForCausalLM, LlamaConfig(vocab_size=64, hidden_size=16, intermediate_size=24,
        num_hidden_layers=2, num_attention_heads=2, tie_word_embeddings=True, bos_token_id=1, eos_token_id=2)),
    "gpt2": (GPT2LMHeadModel, GPT2Config(vocab_size=64, n_embd=16, n_layer=2, n_head=2, n_positions=32,
        bos_token_id=1, eos_token_id=2)),
    "bert": (BertForMaskedLM, BertConfig(vocab_size=64, hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=24, max_position_embeddings=32)),
    "t5": (T5ForConditionalGeneration, T5Config(vocab_size=64, d_model=16, d_kv=8, d_ff=24, num_layers=1, num_heads=2,
        decoder_start_token_id=0)),
}
cls, config = classes[sys.argv[2]]
base = cls(config).to(torch.bfloat16).eval()
models = [tune(copy.deepcopy(base), seed) for seed in (1, 2)]
for name, model in zip(("base", "one", "two"), (base, *models)):
    model.save_pretrained(here / name)
of_files = ma.merge(here / "base", [here / "one", here / "two"], ties, out=here / "out")
in_memory = ma.merge(base, models, ties)
like = ma.merge(base, models, ties, like=base)
loaded, info = cls.from_pretrained(here / "out", dtype="auto", output_loading_info=True)
like.save_pretrained(here / "like")
if loaded.can_generate():
    made = like.generate(torch.tensor([[3, 4]]), max_new_tokens=3, do_sample=False, pad_token_id=0)
    assert torch.equal(made, loaded.generate(torch.tensor([[3, 4]]), max_new_tokens=3, do_sample=False, pad_token_id=0))
else:
    made = loaded(torch.tensor([[3, 4]])).logits
    assert torch.equal(made, like(torch.tensor([[3, 4]])).logits)
print(json.dumps({
    "versions": {"transformers": transformers.__version__, "torch": torch.__version__}, "class": type(loaded).__name__,
    "dtype": str(loaded.dtype), "problems": [key for key, value in info.items() if value],
    "same root": in_memory.model_root == of_files.model_root, "same model": same(loaded, like),
    "changed": not same(loaded, base), "saved again": same(cls.from_pretrained(here / "like", dtype="auto"), like),
    "made": list(made.shape),
}))
"""

_PEFT = """
import peft
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import LlamaConfig, LlamaForCausalLM
from transformers import MixtralConfig, MixtralForCausalLM
cls, sizes = LlamaForCausalLM, dict(vocab_size=64, hidden_size=16, intermediate_size=24, num_hidden_layers=2,
    num_attention_heads=2, num_key_value_heads=2)
if sys.argv[2] == "experts":
    cls = MixtralForCausalLM
    base = cls(MixtralConfig(**sizes, num_local_experts=2))
else:
    base = cls(LlamaConfig(**sizes))
base.save_pretrained(here / "base")
config = {
    "linear": dict(r=2, lora_alpha=6, target_modules=["q_proj", "v_proj"]),
    "rslora, patterns": dict(r=4, use_rslora=True, target_modules="all-linear", rank_pattern={"q_proj": 2}),
    "experts": dict(r=2, target_modules=["q_proj"], target_parameters=["mlp.experts.down_proj"]),
    "embeddings, whole layers": dict(r=2, target_modules=["q_proj", "embed_tokens"], modules_to_save=["norm"]),
}[sys.argv[2]]
model = get_peft_model(copy.deepcopy(base), LoraConfig(**config), adapter_name="one")
model.add_adapter("two", LoraConfig(**config))
for seed, name in enumerate(("one", "two")):
    model.set_adapter(name)
    tune(model, seed)
model.save_pretrained(here)
merged = ma.merge(base, [ma.Adapter(model, "one"), ma.Adapter(model, "two")], ties, like=base)
alone = ma.merge(model, [ma.Adapter(model, "two")], ma.TaskArithmetic(), like=base)
model.set_adapter("two")
theirs = copy.deepcopy(model).merge_and_unload().state_dict()
ours = alone.state_dict()
found = {}
if sys.argv[2] != "experts":  # which transformers saves under other names than its modules have
    of_folders = ma.merge(here / "base", [here / "one", here / "two"], ties, out=here / "out")
    assert same(cls.from_pretrained(here / "out", dtype="auto"), merged)
    in_memory = ma.merge(base, [ma.Adapter(model, name) for name in ("one", "two")], ties)
    extract = [sys.executable, "-m", "mergealgebra", "extract", str(here / "extracted"), "--rank", "16"]
    subprocess.run([*extract, "--model", str(here / "out"), "--base", str(here / "base")], check=True)
    extracted = PeftModel.from_pretrained(copy.deepcopy(base), here / "extracted").merge_and_unload().state_dict()
    differences = ((array - extracted[name]).abs().max().item() for name, array in merged.state_dict().items())
    found["extracted"] = max(differences)
    found["same root"] = in_memory.model_root == of_folders.model_root
print(json.dumps({
    "versions": {"peft": peft.__version__}, "same names": ours.keys() == theirs.keys(),
    "difference": max((ours[name] - theirs[name]).abs().max().item() for name in ours),
    "changed": not same(merged, base), **found,
}))
"""

_DIFFUSERS = """
import diffusers
from diffusers import DDPMPipeline, DDPMScheduler, DiTTransformer2DModel, UNet2DModel
if sys.argv[2] == "pipeline":
    def unet(seed):
        torch.manual_seed(0)
        model = UNet2DModel(sample_size=8, block_out_channels=(8, 8), layers_per_block=1, norm_num_groups=4,
            down_block_types=("DownBlock2D", "DownBlock2D"), up_block_types=("UpBlock2D", "UpBlock2D"))
        return tune(model, seed) if seed else model
    for seed, name in enumerate(("base", "one", "two")):
        DDPMPipeline(unet(seed), DDPMScheduler(num_train_timesteps=10)).save_pretrained(here / name)
    ma.merge(here / "base", [here / "one", here / "two"], ties, out=here / "out")
    pipeline = DDPMPipeline.from_pretrained(here / "out", local_files_only=True)
    made = pipeline(num_inference_steps=2, output_type="np").images
    loaded, base, models = pipeline.unet, unet(0), [unet(1), unet(2)]
else:
    def transformer(seed):
        torch.manual_seed(0)
        model = DiTTransformer2DModel(num_attention_heads=2, attention_head_dim=8, in_channels=4, num_layers=1,
            sample_size=8, num_embeds_ada_norm=4)
        return tune(model, seed) if seed else model
    base, models = transformer(0), [transformer(1), transformer(2)]
    for name, model in zip(("base", "one", "two"), (base, *models)):
        model.save_pretrained(here / name)
    ma.merge(here / "base", [here / "one", here / "two"], ties, out=here / "out")
    loaded = DiTTransformer2DModel.from_pretrained(here / "out", local_files_only=True)
    made = loaded(torch.zeros(1, 4, 8, 8), timestep=torch.tensor([1]), class_labels=torch.tensor([1])).sample
print(json.dumps({
    "versions": {"diffusers": diffusers.__version__}, "class": type(loaded).__name__, "made": list(made.shape),
    "same model": same(loaded, ma.merge(base, models, ties, like=base)), "changed": not same(loaded, base),
}))
"""

_SENTENCES = """
import sentence_transformers
from sentence_transformers import SentenceTransformer, models
from tokenizers import Tokenizer, models as kinds, pre_tokenizers
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast
words = Tokenizer(kinds.WordLevel({"[PAD]": 0, "[UNK]": 1, "a": 2, "b": 3}, unk_token="[UNK]"))
words.pre_tokenizer = pre_tokenizers.Whitespace()
PreTrainedTokenizerFast(tokenizer_object=words, unk_token="[UNK]", pad_token="[PAD]").save_pretrained(here / "bert")
BertModel(BertConfig(vocab_size=4, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=24,
    max_position_embeddings=32)).save_pretrained(here / "bert")
transformer = models.Transformer(str(here / "bert"))
dense = models.Dense(in_features=16, out_features=8)
base = SentenceTransformer(modules=[transformer, models.Pooling(16), dense], device="cpu")
tuned = [tune(copy.deepcopy(base), seed) for seed in (1, 2)]
for name, model in zip(("base", "one", "two"), (base, *tuned)):
    model.save(str(here / name))
ma.merge(here / "base", [here / "one", here / "two"], ties, out=here / "out")
loaded = SentenceTransformer(str(here / "out"), device="cpu", local_files_only=True)
like = ma.merge(base, tuned, ties, like=base)
made = loaded.encode(["a b", "b"])
print(json.dumps({
    "versions": {"sentence-transformers": sentence_transformers.__version__}, "made": list(made.shape),
    "same": bool((made == like.encode(["a b", "b"])).all()), "same model": same(loaded, like),
    "changed": not same(loaded, base),
}))
"""


def _loaded(script, tmp_path, capsys, *arguments):
    found = json.loads(there(_BEGIN + script, tmp_path, *arguments))
    with capsys.disabled():
        print("\n", found)
    return found


@pytest.mark.clause("MG-16", "MG-17", "MG-18", "LK-1")
@pytest.mark.parametrize("kind", ["llama", "llama, tied", "gpt2", "bert", "t5"])
def test_transformers_loads_it(kind, tmp_path, capsys):
    found = _loaded(_TRANSFORMERS, tmp_path, capsys, kind)
    assert found["problems"] == []
    assert found["dtype"] == "torch.bfloat16"
    assert [found[key] for key in ("same root", "same model", "changed", "saved again")] == [True] * 4
    assert found["made"][0] == 1


@pytest.mark.clause("MG-19")
@pytest.mark.parametrize("kind", ["linear", "rslora, patterns", "embeddings, whole layers", "experts"])
def test_adapters_of_peft_are_what_peft_merges(kind, tmp_path, capsys):
    found = _loaded(_PEFT, tmp_path, capsys, kind)
    assert found["same names"]
    assert found["changed"]
    assert found["difference"] < 1e-6
    if kind != "experts":
        assert found["extracted"] < 1e-5
        assert found["same root"]


@pytest.mark.clause("MG-19")
def test_the_page_from_peft_can_be_followed_in_memory_too(tmp_path):
    script = next(block for block in blocks(ROOT / "docs/how-to/from-peft.md") if block.file == "merge_adapters.py")
    write_models(tmp_path)
    there("import os, sys; os.chdir(sys.argv[1])\n" + script.text + "print(base.dtype)", tmp_path)
    recipe, models = ma.Ties(density="0.2"), [tmp_path / "code-lora", (tmp_path / "math-lora", "0.5")]
    of_folders = ma.merge(tmp_path / "base", models, recipe, out=tmp_path / "of-folders")
    with Checkpoint.open(tmp_path / "in-memory") as written:
        assert written.root() == of_folders.model_root


@pytest.mark.clause("LK-1", "EN-20", "MG-18")
@pytest.mark.parametrize("kind", ["pipeline", "transformer"])
def test_diffusers_loads_it(kind, tmp_path, capsys):
    found = _loaded(_DIFFUSERS, tmp_path, capsys, kind)
    assert [found["same model"], found["changed"]] == [True, True]
    assert found["made"][0] == 1


@pytest.mark.clause("LK-1", "EN-20", "MG-18")
def test_sentence_transformers_loads_it(tmp_path, capsys):
    found = _loaded(_SENTENCES, tmp_path, capsys)
    assert [found["same"], found["same model"], found["changed"]] == [True] * 3
    assert found["made"] == [2, 8]
