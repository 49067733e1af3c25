"""The card of a merged model."""

from __future__ import annotations

from dataclasses import replace

import pytest
import yaml

import mergealgebra as ma
from mergealgebra.model_card import model_card
from mergealgebra.one_shot import Model, merge_checkpoints
from mergealgebra.resolve import How
from mergealgebra.tensors.checkpoint import Checkpoint
from tests.engine.scenes import merged
from tests.models import base, fine_tune, write_file, write_folder

CONFIGURATIONS = {
    "a model type": ('{"model_type": "llama"}', True),
    "architectures": ('{"architectures": ["X"]}', True),
    "neither": ('{"hidden_size": 4}', False),
    "a list": ('["model_type"]', False),
    "not JSON": ("{", False),
    "not UTF-8": (b"\xff", False),
    "deep": ("[" * 100_000 + "]" * 100_000, False),
    "empty but for a space": (" ", False),
    "an infinity, as Python writes it": ('{"time_step_limit": [0.0, Infinity], "model_type": "mamba2"}', True),
    "a key twice": ('{"model_type": "a", "model_type": "b"}', True),
    "the key inside": ('{"a": {"model_type": "b"}}', False),
    "spaces around": ('\n {"model_type": "a"} \n', True),
    "something behind": ('{"model_type": "a"}}', False),
    "as long as may be": ('{"model_type": "a"}'.ljust(1 << 24), True),
    "longer": ('{"model_type": "a"}'.ljust((1 << 24) + 1), False),
}


def front_matter(card):
    """The YAML between the first two lines of dashes."""
    _, matter, _ = card.split("---\n", 2)
    return yaml.safe_load(matter)


@pytest.mark.clause("LK-1")
class TestCard:
    def test_says_what_was_merged_and_how_to_check_it(self, tmp_path):
        result = merged(tmp_path, recipe=ma.Ties(density="0.5", lambda_="0.7"), coefficients=("1", "0.1", "2"))
        card = (tmp_path / "out" / "README.md").read_text()
        assert front_matter(card) == {
            "base_model_relation": "merge",
            "library_name": "transformers",
            "tags": ["merge", "mergealgebra"],
        }
        lock = result.lock
        for text in (lock.base, lock.merge_id, lock.model_root, lock.achieved_density, "`ties`", "density 0.5"):
            assert text in card
        assert "density 0.5, lambda 0.7, scope model, boundary keep_all), 3 contributions" in card
        rows = [line for line in card.splitlines() if line.startswith("| `")]
        numbers = {"3f800000": "1", "3dcccccd": "0.100000001", "40000000": "2"}
        assert rows == [
            f"| `{c.id[:16]}` | finetuned | {numbers[c.coefficient]} | {c.elements:,} | {c.kept:,} |"
            for c in lock.contributions
        ]
        assert "`mergealgebra verify .`" in card

    @pytest.mark.parametrize(("config", "is_transformers"), CONFIGURATIONS.values(), ids=CONFIGURATIONS)
    def test_names_the_library_when_the_base_is_of_it(self, tmp_path, config, is_transformers):
        folder = write_folder(tmp_path / "base", base())
        (folder / "config.json").write_bytes(config if isinstance(config, bytes) else config.encode())
        workspace = ma.Workspace.init(tmp_path / "w", base=folder, recipe=ma.Ties())
        workspace.contribute(write_file(tmp_path / "ft.safetensors", fine_tune(0)))
        workspace.resolve(tmp_path / "out")
        matter = front_matter((tmp_path / "out" / "README.md").read_text())
        assert ("library_name" in matter) == is_transformers

    @pytest.mark.clause("CL-5")
    def test_holds_nothing_that_a_reader_would_act_on(self, tmp_path):
        """Not even of a lock that was never checked."""
        lock = merged(tmp_path).lock
        hostile = "\x1b[2K\r\u202e\u2028"
        texts = dict.fromkeys(("base", "merge_id", "model_root", "achieved_density"), hostile)
        contribution = replace(lock.contributions[0], id=hostile, form=hostile)
        parts = {"recipe": {"method": hostile, hostile: hostile}, "contributions": [contribution]}
        with Checkpoint.open(tmp_path / "base") as base:
            card = model_card(replace(lock, **texts, **parts), base).decode()
        assert all(line.isprintable() for line in card.split("\n"))
        assert card.count(r"\x1b[2K\r\u202e\u2028") == 9

    def test_is_the_same_for_all_backends(self, tmp_path):
        """It does not name the backend, so equal models have equal cards [LK-3]."""
        cards = set()
        for backend in ("numpy", "torch"):
            merged(tmp_path / backend, how=How(backend))
            cards.add((tmp_path / backend / "out" / "README.md").read_bytes())
        assert len(cards) == 1


@pytest.mark.clause("LK-1")
def test_a_card_differs_in_one_line_when_the_base_is_a_single_file(tmp_path):
    folder = write_folder(tmp_path / "base", base())
    (folder / "config.json").write_text('{"model_type": "llama"}')
    tuned = Model(write_file(tmp_path / "ft.safetensors", fine_tune(0)))
    for name, start in {"one": folder, "two": folder / "model.safetensors"}.items():
        merge_checkpoints(start, [tuned], ma.Ties(), tmp_path / name)
    one, two = ((tmp_path / name / "README.md").read_text() for name in ("one", "two"))
    assert one.replace("library_name: transformers\n", "") == two != one
    locks = {(tmp_path / name / "merge.lock").read_bytes() for name in ("one", "two")}
    assert len(locks) == 1
