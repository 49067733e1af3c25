"""Chat templates of merged models."""

from __future__ import annotations

import json

import jinja2
import pytest

from mergealgebra.errors import TokenizerError
from mergealgebra.formats.tokenizers.chat import TEMPLATES, with_template
from mergealgebra.model_folder.additions import Additions
from mergealgebra.tensors.checkpoint import Checkpoint

TALK = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "yes"}]
RENDERED = {
    "alpaca": "### Instruction:\nhi\n\n### Response:\nyesE\n\n### Response:\n",
    "chatml": "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\nyes<|im_end|>\n<|im_start|>assistant\n",
    "exaone": "[|system|][|endofturn|]\n[|user|]hi\n[|assistant|]yes[|endofturn|]\n[|assistant|]",
    "llama3": "B<|start_header_id|>user<|end_header_id|>\n\nhi<|eot_id|>"
    "<|start_header_id|>assistant<|end_header_id|>\n\nyes<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n",
    "mistral": "B[INST] hi [/INST] yesE",
}


def folder(path, config=None, jinja=None):
    path.mkdir()
    if config is not None:
        (path / "tokenizer_config.json").write_text(json.dumps(config))
    if jinja:
        (path / "chat_template.jinja").write_text(jinja)
    return Checkpoint(path, {})


@pytest.mark.clause("TK-8")
class TestTemplates:
    @pytest.mark.parametrize("name", TEMPLATES)
    def test_have_names(self, name):
        made = jinja2.Environment().from_string(TEMPLATES[name])
        assert made.render(messages=TALK, add_generation_prompt=True, bos_token="B", eos_token="E") == RENDERED[name]

    def test_stand_in_both_files(self, tmp_path):
        base = folder(tmp_path / "b", {"a": 1, "chat_template": "old {}"})
        made = with_template(Additions(), "{{ 1 }}", base, []).files
        assert made["chat_template.jinja"] == b"{{ 1 }}"
        assert json.loads(made["tokenizer_config.json"]) == {"a": 1, "chat_template": "{{ 1 }}"}
        given = Additions(files={"tokenizer_config.json": b'{"b": 2}'})
        assert json.loads(with_template(given, "chatml", base, []).files["tokenizer_config.json"]).keys() == {
            "b",
            "chat_template",
        }

    def test_are_those_of_most_models(self, tmp_path):
        models = [
            folder(tmp_path / "1", jinja="{a}"),
            folder(tmp_path / "2", {"chat_template": "{b}"}),
            folder(tmp_path / "3", {"chat_template": [{"name": "default", "template": "{b}"}]}),
            folder(tmp_path / "4"),
        ]
        assert with_template(Additions(), "auto", models[3], models).files["chat_template.jinja"] == b"{b}"
        assert with_template(Additions(), "auto", models[3], models[:2]).files["chat_template.jinja"] == b"{a}"
        with pytest.raises(TokenizerError, match="no model has a template"):
            with_template(Additions(), "auto", models[3], models[3:])

    def test_of_other_names_are_refused(self, tmp_path):
        with pytest.raises(TokenizerError, match=r"'vicuna' is not auto, alpaca, chatml, .* mistral, nor"):
            with_template(Additions(), "vicuna", folder(tmp_path / "b"), [])
