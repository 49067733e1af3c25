"""The card of a merged model."""

from __future__ import annotations

from dataclasses import replace

import pytest
import yaml

import mergealgebra as ma
from mergealgebra.credits import Credit
from mergealgebra.execution import Execution
from mergealgebra.file_merge import Model, merge_checkpoints
from mergealgebra.model_folder.additions import Additions
from mergealgebra.model_folder.card import as_markdown, model_card
from mergealgebra.recipe_file import read_recipe
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

#: What stands under `_name_or_path`, and the name on the hub that it is.
NAMES = {
    "owner and name": ('"meta-llama/Llama-3.2-1B"', "meta-llama/Llama-3.2-1B"),
    "one part": ('"gpt2"', None),
    "an absolute path": ('"/data/llama"', None),
    "a relative path": ('"./llama/base"', None),
    "three parts": ('"a/b/c"', None),
    "a folder of runs": ('"outputs/llama"', None),
    "a step of a training": ('"llama/checkpoint-500"', None),
    "Windows": (r'"C:\\models\\llama"', None),
    "a second line": (r'"a/b\nlicense: mit"', None),
    "a line of YAML": ('"a/b: c"', None),
    "empty": ('""', None),
    "a number": ("5", None),
    "half a character": (r'"a/\ud800"', None),
}

#: The README of a base, and the license that its card has.
LICENSES = {
    "a word": ("---\ntags:\n- a\nlicense: apache-2.0\n---\n", "apache-2.0"),
    "in quotes": ('---\nlicense: "llama3.2"\n---\n', "llama3.2"),
    "a list": ("---\nlicense:\n- mit\n---\n", None),
    "below": ("---\ntags: []\n---\nlicense: mit\n", None),
    "no front matter": ("license: mit\n", None),
    "not text": ("---\nlicense: no\n---\n", None),
    "something behind": ("---\nlicense: mit # {x: y}\n---\n", None),
    "HTML": ("---\nlicense: <b>\n---\n", None),
}

RECIPES = {
    "TIES": (ma.Ties(density="0.25", lambda_="0.7"), ("only the largest 25%", "of each model", "times 0.7, is added")),
    "TIES by tensor": (ma.Ties(density="0.001", scope="tensor"), ("of each tensor, only the largest 0.1%",)),
    "TIES without trim": (ma.Ties(), ("all changes that a model makes", "The result is added")),
    "a dialect": (ma.Ties(dialect="mergekit-0.1.5", density="0.5"), ("as mergekit-0.1.5 computes it",)),
    "mean": (ma.Mean(), ("are averaged, each weighted by its coefficient",)),
    "task arithmetic": (ma.TaskArithmetic(lambda_="-1"), ("are added. The result, times -1, is added",)),
}

#: What a stranger may call a model, and how a card has it.
TITLES = {
    "plain": ("my_best model-2.1 (v3)", "my_best model-2.1 (v3)"),
    "a cell": ("a | b", "a &#124; b"),
    "HTML": ("<script>&", "&#60;script&#62;&#38;"),
    "a link": ("[x](https://y)", "&#91;x&#93;(https&#58;//y)"),
    "emphasis": ("*a* _b_ ~c~ `d`", "&#42;a&#42; &#95;b&#95; &#126;c&#126; &#96;d&#96;"),
    "an escape": ("\x1b[31m", "&#92;x1b&#91;31m"),
    "a new line": ("a\n---\nb", "a&#92;n---&#92;nb"),
    "a turn of the writing": ("\u202eabc", "&#92;u202eabc"),
}


def front_matter(card):
    """The YAML between the first two lines of dashes."""
    _, matter, _ = card.split("---\n", 2)
    return yaml.safe_load(matter)


def section(card, heading):
    """The text under a heading."""
    return card.split(f"\n## {heading}\n\n")[1].split("\n## ")[0]


def rows(text):
    """The rows of the table in a text, the heading first, as lists of cells."""
    found = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| ")]
    return [found[0], *found[2:]]


def merged_card(tmp_path, config):
    """The card of a merge whose base's folder has this configuration."""
    folder = write_folder(tmp_path / "base", base())
    (folder / "config.json").write_bytes(config if isinstance(config, bytes) else config.encode())
    tuned = Model(write_file(tmp_path / "ft.safetensors", fine_tune(0)))
    merge_checkpoints(folder, [tuned], ma.Ties(), tmp_path / "out")
    return (tmp_path / "out" / "README.md").read_text()


#: What is told of licenses that differ, by what is stated.
WARNINGS = {
    ("mit", "mit", "llama3.1"): "m0 has mit, m1 has mit and m2 has llama3.1",
    ("other\nlicense_name: a", "other\nlicense_name: b", None): "m0 has other a and m1 has other b",
}


@pytest.mark.clause("LK-8")
class TestCard:
    def test_lists_models_by_their_names_with_what_was_kept_of_each_and_ids_last(self, tmp_path):
        result = merged(tmp_path, recipe=ma.Ties(density="0.5", lambda_="0.7"), coefficients=("1", "0.1", "2"))
        lock, card = result.lock, (tmp_path / "out" / "README.md").read_text()
        assert "from 3 fine-tuned models of the base **base**, by the method ties." in card
        assert f"(achieved density {lock.achieved_density})" in card
        kept = {c.coefficient: f"{c.kept:,} of {c.elements:,}" for c in lock.contributions}
        shares = {c.coefficient: f"{100 * c.kept / c.elements:.2f}%" for c in lock.contributions}
        written = {"3f800000": ("ft0", "1"), "3dcccccd": ("ft1", "0.1"), "40000000": ("ft2", "2")}
        assert rows(section(card, "Models")) == [
            ["model", "coefficient", "kept", "density"],
            *([f"{title}.safetensors", number, kept[c], shares[c]] for c, (title, number) in written.items()),
        ]
        ids = section(card, "Ids")
        assert rows(ids)[1:] == [
            [f"{written[c.coefficient][0]}.safetensors", "finetuned", f"`{c.id}`"] for c in lock.contributions
        ]
        assert all(f"`{id_}`" in ids for id_ in (lock.base, lock.merge_id, lock.model_root))
        assert lock.model_root not in card.replace(ids, "")
        assert "To merge again, run `mergealgebra merge` with the same file" in section(card, "Check it")
        assert "WORKSPACE" not in card

    def test_speaks_of_what_was_kept_only_where_something_was_not(self, tmp_path):
        """A mask of the merged model keeps nothing of a model: 100% would say that all of it counts."""
        merged(tmp_path, recipe=ma.ConsensusTa())
        card = (tmp_path / "out" / "README.md").read_text()
        assert "by the method consensus_ta.\n" in card and "density" not in card
        assert rows(section(card, "Models"))[0] == ["model", "coefficient"]

    def test_tells_what_was_left_out_and_taken_for_another(self, tmp_path):
        head, embedding = "lm_head.weight", "embed_tokens.weight"
        start = base() | {head: base()["embed.weight"], embedding: base()["embed.weight"]}
        write_folder(tmp_path / "base", start)
        tuned = write_file(tmp_path / "ft.safetensors", fine_tune(0) | {embedding: start[head] + 1})
        whole = write_file(tmp_path / "whole.safetensors", start | fine_tune(1))
        models = [Model(tuned, leave=("norm.*", "spare")), Model(whole)]
        merge_checkpoints(tmp_path / "base", models, ma.Ties(), tmp_path / "out")
        assert section((tmp_path / "out" / "README.md").read_text(), "Models").split("\n\n")[1].splitlines() == [
            f"- ft.safetensors: '{head}' is taken as the same as '{embedding}', to which the base's is tied",
            "- ft.safetensors: left out as asked: 'norm.scale' and 'spare'",
        ]

    @pytest.mark.parametrize(("readme", "license_"), LICENSES.values(), ids=LICENSES)
    def test_has_the_license_of_the_base(self, tmp_path, readme, license_):
        folder = write_folder(tmp_path / "base", base())
        (folder / "README.md").write_text(readme)
        merge_checkpoints(
            folder, [Model(write_file(tmp_path / "ft.safetensors", fine_tune(0)))], ma.Ties(), tmp_path / "o"
        )
        assert front_matter((tmp_path / "o" / "README.md").read_text()).get("license") == license_

    #: What the cards of the base and two models say, what the card of the merge says, and whether a line warns.
    PARENTS = {  # noqa: RUF012
        "agree": (("mit", "MIT", None), {"license": "mit"}, False),
        "one states it": ((None, None, "mit"), {"license": "mit"}, False),
        "none": ((None, None, None), {}, False),
        "differ": (("mit", "mit", "llama3.1"), {}, True),
        "other names": (("other\nlicense_name: a", "other\nlicense_name: b", None), {}, True),
        "one other name": (
            ("other\nlicense_name: a\nlicense_link: https://x/y", "other\nlicense_name: a", None),
            {"license": "other", "license_name": "a", "license_link": "https://x/y"},
            False,
        ),
    }

    @pytest.mark.parametrize(("stated", "written", "warns"), PARENTS.values(), ids=PARENTS)
    def test_has_the_license_of_all_parents_that_state_one(self, tmp_path, stated, written, warns):
        tensors = base(), fine_tune(0), fine_tune(1)
        folders = [write_folder(tmp_path / f"m{n}", made) for n, made in enumerate(tensors)]
        for folder, text in zip(folders, stated, strict=True):
            if text:
                (folder / "README.md").write_text(f"---\nlicense: {text}\n---\n")
        result = merge_checkpoints(folders[0], list(map(Model, folders[1:])), ma.Ties(), tmp_path / "out")
        matter = front_matter((tmp_path / "out" / "README.md").read_text())
        assert {key: value for key, value in matter.items() if key.startswith("license")} == written
        told = [line for line in result.warnings if "licenses" in line]
        assert bool(told) == warns
        if warns:
            begin, end = "the licenses of the models differ, and the model card states none: ", "; see what they allow"
            assert told == [f"{begin}{WARNINGS[stated]}{end}"]

    def test_names_the_configuration_of_mergekit_that_stands_beside_it(self, tmp_path):
        folder, tuned = write_folder(tmp_path / "base", base()), write_file(tmp_path / "ft.safetensors", fine_tune(0))
        more = Additions(files={"mergekit_config.yml": b"merge_method: ties"})
        merge_checkpoints(folder, [Model(tuned)], ma.Ties(), tmp_path / "out", additions=more)
        told = "It was made from a configuration of mergekit: [mergekit_config.yml](mergekit_config.yml)."
        assert told in section((tmp_path / "out" / "README.md").read_text(), "Recipe")

    def test_says_who_contributed_what_and_when(self, tmp_path):
        """Here with an author; where nothing is known, a model is called by its id."""
        lock = merged(tmp_path).lock
        known = {
            lock.contributions[0].id: Credit("maths", "alice", 1_000_000_000),
            lock.contributions[1].id: Credit("code | text", time=(1 << 53) - 1),
        }
        with Checkpoint.open(tmp_path / "base") as opened:
            card = model_card(lock, opened, known).decode()
        assert [row[:3] for row in rows(section(card, "Models"))] == [
            ["model", "author", "date"],
            [f"`{lock.contributions[2].id[:12]}`", "", ""],
            ["code &#124; text", "", ""],
            ["maths", "alice", "2001-09-09"],
        ]

    @pytest.mark.parametrize(("recipe", "said"), RECIPES.values(), ids=RECIPES)
    def test_says_the_recipe_in_words_and_as_a_recipe_file(self, tmp_path, recipe, said):
        merged(tmp_path, recipe=recipe)
        words, block, _ = section((tmp_path / "out" / "README.md").read_text(), "Recipe").split("```")
        assert all(text in words for text in said), words
        (tmp_path / "recipe.yaml").write_text(block.removeprefix("yaml\n"))
        assert read_recipe(tmp_path / "recipe.yaml") == recipe
        assert yaml.safe_load(block.removeprefix("yaml\n")) == recipe.to_map()

    @pytest.mark.parametrize(("name", "hub"), NAMES.values(), ids=NAMES)
    def test_names_the_base_for_the_hub_where_its_configuration_does(self, tmp_path, name, hub):
        matter = front_matter(merged_card(tmp_path, f'{{"model_type": "llama", "_name_or_path": {name}}}'))
        assert matter.pop("base_model", None) == (hub and [hub])
        assert matter == {
            "base_model_relation": "merge",
            "library_name": "transformers",
            "tags": ["merge", "mergealgebra"],
        }

    def test_names_a_base_and_models_in_the_cache_of_the_hub_as_it_does(self, tmp_path):
        start = write_folder(tmp_path / "models--meta-llama--Llama/snapshots/0f3c", base())
        tuned = write_folder(tmp_path / "models--alice--Llama-maths/snapshots/e4a1", fine_tune(0))
        merge_checkpoints(start, [Model(tuned)], ma.Ties(), tmp_path / "out")
        card = (tmp_path / "out" / "README.md").read_text()
        assert front_matter(card)["base_model"] == ["meta-llama/Llama", "alice/Llama-maths"]
        assert rows(section(card, "Models"))[1][0] == "alice/Llama-maths"

    @pytest.mark.parametrize(("title", "written"), TITLES.values(), ids=TITLES)
    def test_holds_what_strangers_wrote_as_text_alone(self, title, written):
        assert as_markdown(title) == written

    def test_shortens_what_strangers_wrote(self):
        assert len(as_markdown("x" * 4096)) < 101

    @pytest.mark.clause("CL-5")
    def test_holds_nothing_that_a_reader_would_act_on(self, tmp_path):
        """Not even of a lock that was never checked."""
        lock = merged(tmp_path).lock
        hostile = "\x1b[2K\r\u202e\u2028"
        texts = dict.fromkeys(("base", "merge_id", "model_root", "achieved_density"), hostile)
        contribution = replace(lock.contributions[0], id=hostile, form=hostile)
        parts = {"recipe": {"method": hostile, hostile: hostile}, "contributions": [contribution]}
        with Checkpoint.open(tmp_path / "base") as opened:
            card = model_card(replace(lock, **texts, **parts), opened, {hostile: Credit(hostile, hostile)}).decode()
        assert all(line.isprintable() for line in card.split("\n"))
        assert card.count(r"\x1b[2K\r\u202e\u2028") == 4
        assert card.count("&#92;x1b&#91;2K&#92;r&#92;u202e&#92;u2028") == 7

    def test_is_the_same_for_all_backends(self, tmp_path):
        """It does not name the backend [LK-3]."""
        cards = set()
        for backend in ("numpy", "torch"):
            merged(tmp_path / backend, execution=Execution(backend))
            cards.add((tmp_path / backend / "out" / "README.md").read_bytes())
        assert len(cards) == 1

    def test_differs_with_the_names_of_folders_where_roots_and_locks_do_not(self, tmp_path):
        start = write_folder(tmp_path / "base", base())
        for name in ("one", "two"):
            tuned = Model(write_file(tmp_path / f"{name}.safetensors", fine_tune(0)))
            merge_checkpoints(start, [tuned], ma.Ties(), tmp_path / name)
        one, two = ((tmp_path / name / "README.md").read_text() for name in ("one", "two"))
        assert one.replace("one.safetensors", "two.safetensors") == two != one
        assert len({(tmp_path / name / "merge.lock").read_bytes() for name in ("one", "two")}) == 1
        (tmp_path / "one" / "README.md").write_text("anything")
        assert ma.verify(tmp_path / "one").ok


@pytest.mark.clause("LK-1")
class TestLibrary:
    @pytest.mark.parametrize(("config", "is_transformers"), CONFIGURATIONS.values(), ids=CONFIGURATIONS)
    def test_is_named_when_the_base_is_of_it(self, tmp_path, config, is_transformers):
        assert ("library_name" in front_matter(merged_card(tmp_path, config))) == is_transformers

    def test_is_not_named_when_the_base_is_a_single_file(self, tmp_path):
        folder = write_folder(tmp_path / "base", base())
        (folder / "config.json").write_text('{"model_type": "llama"}')
        tuned = Model(write_file(tmp_path / "ft.safetensors", fine_tune(0)))
        for name, start in {"one": folder, "two": folder / "model.safetensors"}.items():
            merge_checkpoints(start, [tuned], ma.Ties(), tmp_path / name)
        one, two = ((tmp_path / name / "README.md").read_text() for name in ("one", "two"))
        assert one.replace("library_name: transformers\n", "") == two != one
        locks = {(tmp_path / name / "merge.lock").read_bytes() for name in ("one", "two")}
        assert len(locks) == 1
