"""Chat templates: one that is named, one that is given, or the one that most models have [TK-8]."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

from mergealgebra.disk import read_file
from mergealgebra.errors import TokenizerError
from mergealgebra.model_folder.additions import Additions
from mergealgebra.tensors.checkpoint import Checkpoint
from mergealgebra.tensors.companions import MOST_BYTES
from mergealgebra.text import listed, shown

AUTO: Final = "auto"
JINJA: Final = "chat_template.jinja"
_CONFIG: Final = "tokenizer_config.json"

#: Forms of talk that have names, in our own words.
TEMPLATES: Final = {
    "alpaca": (
        "{% for m in messages %}{% if m['role'] == 'user' %}{{ '### Instruction:\\n' + m['content'] + '\\n\\n' }}"
        "{% elif m['role'] == 'assistant' %}{{ '### Response:\\n' + m['content'] + eos_token + '\\n\\n' }}"
        "{% else %}{{ m['content'] + '\\n\\n' }}{% endif %}{% endfor %}"
        "{% if add_generation_prompt %}{{ '### Response:\\n' }}{% endif %}"
    ),
    "chatml": (
        "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\\n' + m['content'] + '<|im_end|>\\n' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
    ),
    "exaone": (
        "{% for m in messages %}{% if loop.first and m['role'] != 'system' %}{{ '[|system|][|endofturn|]\\n' }}"
        "{% endif %}{{ '[|' + m['role'] + '|]' + m['content'] }}"
        "{{ '\\n' if m['role'] == 'user' else '[|endofturn|]\\n' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ '[|assistant|]' }}{% endif %}"
    ),
    "llama3": (
        "{{ bos_token }}{% for m in messages %}{{ '<|start_header_id|>' + m['role'] + '<|end_header_id|>\\n\\n' }}"
        "{{ (m['content'] | trim) + '<|eot_id|>' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}{% endif %}"
    ),
    "mistral": (
        "{{ bos_token }}{% for m in messages %}{% if m['role'] == 'user' %}{{ '[INST] ' + m['content'] + ' [/INST]' }}"
        "{% elif m['role'] == 'assistant' %}{{ ' ' + m['content'] + eos_token }}"
        "{% else %}{{ raise_exception('this template knows user and assistant alone') }}{% endif %}{% endfor %}"
    ),
}


def with_template(additions: Additions, template: str, base: Checkpoint, models: Sequence[Checkpoint]) -> Additions:
    """Additions with a chat template, in a file of its own and in the tokenizer's configuration, for older programs.

    template: AUTO, one of TEMPLATES, or Jinja text. Raises TokenizerError for other words, and where no model has one.
    """
    text = _text(template, models)
    given = additions.files.get(_CONFIG)
    config = _config(base) if given is None else _object(given)
    data = json.dumps({**config, "chat_template": text}, indent=2, ensure_ascii=False).encode(errors="backslashreplace")
    return additions | Additions(files={JINJA: text.encode(errors="backslashreplace"), _CONFIG: data})


def _text(template: str, models: Sequence[Checkpoint]) -> str:
    if template == AUTO:
        return _most_common(models)
    if template in TEMPLATES:
        return TEMPLATES[template]
    if "{" not in template:
        raise TokenizerError(
            f"chat_template: {shown(template)} is not {AUTO}, {listed(TEMPLATES)}, nor a template of Jinja, with braces"
        )
    return template


def _most_common(models: Sequence[Checkpoint]) -> str:
    """What most models have; of several the least as text, so that no order of models counts."""
    found = Counter(text for model in models if (text := _template_of(model)))
    if not found:
        raise TokenizerError("chat_template: auto, and no model has a template; name one, like chatml, or leave it out")
    return min(found, key=lambda text: (-found[text], text))


def _template_of(model: Checkpoint) -> str:
    if model.folder is None:
        return ""
    try:
        return read_file(model.folder / JINJA, MOST_BYTES).decode()
    except (OSError, ValueError):
        said = _config(model).get("chat_template")
    if isinstance(said, list):  # several, by name
        known = {entry.get("name"): entry.get("template") for entry in said if isinstance(entry, dict)}
        said = known.get("default")
    return said if isinstance(said, str) else ""


def _config(model: Checkpoint) -> dict[str, Any]:
    """What a model's tokenizer_config.json says; nothing where it has none that can be read."""
    try:
        return _object(read_file(model.folder / _CONFIG, MOST_BYTES)) if model.folder else {}
    except OSError:
        return {}


def _object(data: bytes) -> dict[str, Any]:
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
