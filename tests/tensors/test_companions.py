"""The files that go along with a merged model: which, none from outside the base's folder, and not too many bytes."""

from __future__ import annotations

import os
import re
import shutil
import socket
from pathlib import Path

import pytest

from mergealgebra.errors import CheckpointError
from mergealgebra.file_merge import Model, merge_checkpoints
from mergealgebra.methods.ties import Ties
from mergealgebra.tensors import companions as module
from mergealgebra.tensors.checkpoint import Checkpoint
from mergealgebra.tensors.companions import MOST_BYTES, Companion, companions, is_companion, left_out
from tests.models import base, fine_tune, write_file, write_folder, write_sharded

pytestmark = pytest.mark.clause("LK-1")


@pytest.fixture
def folder(tmp_path):
    """A model's folder."""
    return write_folder(tmp_path / "base", base())


def found_in(folder: Path) -> list[Companion]:
    with Checkpoint.open(folder) as checkpoint:
        return companions(checkpoint)


def names_of(folder: Path) -> list[str]:
    return [companion.path.name for companion in found_in(folder)]


def content(companion: Companion, most: int = MOST_BYTES) -> bytes:
    with companion.opened() as descriptor:
        return b"".join(companion.pieces(descriptor, most))


def refusal(folder: Path) -> str:
    with pytest.raises(CheckpointError) as raised:
        found_in(folder)
    return str(raised.value)


def test_they_are_files_of_a_folder_in_the_order_of_their_names(folder):
    for name in ("vocab.json", "special_tokens_map.json", "NOTICE.md", "x.safetensors", "README.md", "merge.lock"):
        (folder / name).write_text("{}")
    (folder / "tokenizer.model").mkdir()
    (folder / "LICENSES").symlink_to("/")
    expected = ["LICENSE", "NOTICE.md", "config.json", "special_tokens_map.json", "tokenizer.json", "vocab.json"]
    assert names_of(folder) == expected
    assert found_in(folder / "model.safetensors") == []


def test_what_is_left_out_is_named_in_one_line(folder):
    of_the_base = ("README.md", "merge.lock", "step-first.lock", "mergekit_config.yml")
    for name in ("pytorch_model.bin", "ema.safetensors", "optimizer.pt", *of_the_base, ".gitattributes"):
        (folder / name).write_text("x")
    for name in ("1_Pooling", "onnx", ".git", "__pycache__"):
        (folder / name).mkdir()
    with Checkpoint.open(folder) as checkpoint:
        assert left_out(checkpoint) == [
            "left out of the merged model: 1_Pooling/, ema.safetensors, onnx/ and pytorch_model.bin of the base; "
            "copy what loading it takes"
        ]
    with Checkpoint.open(folder / "model.safetensors") as checkpoint:
        assert left_out(checkpoint) == []


def test_nothing_is_named_where_nothing_is_missed(tmp_path):
    with Checkpoint.open(write_sharded(tmp_path / "base", base())) as checkpoint:
        assert left_out(checkpoint) == []


def test_a_merge_says_what_it_leaves_out_and_takes_along_what_code_imports(folder, tmp_path):
    (folder / "modeling_x.py").write_text("from .helpers import f\n")
    (folder / "helpers.py").write_text("def f(): pass\n")
    (folder / "1_Pooling").mkdir()
    tuned = Model(write_file(tmp_path / "ft.safetensors", fine_tune(0)))
    result = merge_checkpoints(folder, [tuned], Ties(), tmp_path / "out")
    assert (tmp_path / "out" / "helpers.py").read_text() == "def f(): pass\n"
    assert not (tmp_path / "out" / ".unfinished").exists()
    (warning,) = result.warnings
    assert warning.startswith("left out of the merged model: 1_Pooling/ of the base")


#: By what becomes of them: the files of a base that its merged models get, and what else lies in such folders.
FILES = {
    True: (
        *("config.json", "generation_config.json", "preprocessor_config.json", "processor_config.json"),
        *("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "vocab.json"),
        *("vocab.txt", "merges.txt", "tokenizer.model", "spiece.model", "qwen.tiktoken", "chat_template.json"),
        *("chat_template.jinja", "tool_use.jinja", "configuration_x.py", "modeling_x.py", "tokenization_x_fast.py"),
        *("LICENSE", "License.txt", "LICENCE.md", "NOTICE", "USE_POLICY.md"),
        *("helpers.py", "__init__.py", "video_preprocessor_config.json", "modules.json", "params.json", "logo.png"),
        *("requirements.txt", "sentence_bert_config.json", "trainer_state.json", "spm.vocab", "no suffix", "x\ny"),
    ),
    False: (
        *("model.safetensors", "model.safetensors.index.json", "pytorch_model.bin", "README.md", "merge.lock"),
        *("pytorch_model.bin.index.json", "model.safetensors.index.fp16.json", "tf_model.h5", "flax_model.msgpack"),
        *("x.PT", "m.pth", "m.ckpt", "m.pkl", "m.onnx", "m.onnx_data", "m.gguf", "ema.safetensors", "voice.npz"),
        *("readme.txt", "Modelcard.md", "MODEL_CARD.md", "Merge.lock", ".modeling_x.py", ".gitattributes", ".env"),
    ),
}


@pytest.mark.parametrize(
    ("name", "copied"), [pytest.param(name, copied, id=name) for copied, names in FILES.items() for name in names]
)
def test_they_are_the_files_that_the_clause_lists(folder, name, copied):
    if not name.startswith("model.safetensors"):  # a second model would be refused
        (folder / name).write_text("[]" if name == "modules.json" else "{}")
        assert (name in names_of(folder)) == copied
    assert is_companion(name) == copied


POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 5\n"

#: What a file holds that nobody can load.
HOLLOW = {
    "a pointer": (
        "helpers.py",
        POINTER,
        r"is a Git LFS pointer, not the file itself: run `git lfs pull` in its folder",
    ),
    "no configuration": ("config.json", "", "is empty, so the merged model could not be loaded with it: get it again"),
    "no tokenizer": ("spiece.model", "", "is empty, so"),
    "no vocabulary": ("vocab.txt", "", "is empty, so"),
}


@pytest.mark.parametrize(("name", "content", "says"), HOLLOW.values(), ids=HOLLOW)
def test_what_cannot_be_loaded_is_refused(folder, name, content, says):
    (folder / name).write_text(content)
    assert re.search(rf"base/{re.escape(name)} {says}", refusal(folder))


def test_code_may_be_empty(folder):
    (folder / "__init__.py").touch()
    assert "__init__.py" in names_of(folder)


class TestLinks:
    """A stranger's folder, in which a link is to publish what is on this machine."""

    OUTSIDE = {  # noqa: RUF012 - a table
        "a file beside the folder": "../secret",
        "an absolute path": "{root}/secret",
        "a folder whose name begins with ours": "../base-secret/key",
        "what the process was started with": "/proc/self/environ",
        "an endless device": "/dev/zero",
        "through a link of the folder": "away/secret",
        "through two links": "second",
        "blobs that are none of a cache": "../blobs/key",
    }

    @pytest.mark.parametrize("target", OUTSIDE.values(), ids=OUTSIDE)
    def test_that_leave_are_refused(self, folder, tmp_path, target):
        for name in ("secret", "base-secret/key", "blobs/key"):
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).write_text("secret")
        (folder / "away").symlink_to("..")
        (folder / "second").symlink_to("../secret")
        target = target.format(root=tmp_path)
        (folder / "LICENSE-2").symlink_to(target)
        said = refusal(folder)
        real = os.path.realpath(folder / target)
        assert re.search(rf"base/LICENSE-2 is a link to {re.escape(real)}, outside the model's folder", said)
        assert said.endswith("put a copy of that file in its place, or remove the link")

    def test_that_stay_are_followed(self, folder):
        (folder / "text").mkdir()
        (folder / "text" / "vocabulary").write_text("inside")
        (folder / "vocab.txt").symlink_to("text/vocabulary")
        (folder / "vocab.json").symlink_to(folder / "vocab.txt")
        found = {companion.path.name: content(companion) for companion in found_in(folder)}
        assert found["vocab.txt"] == found["vocab.json"] == b"inside"

    NOWHERE = {"nothing": "nowhere", "itself": "LICENSE-2", "a file as a folder": "config.json/x"}  # noqa: RUF012

    @pytest.mark.parametrize("target", NOWHERE.values(), ids=NOWHERE)
    def test_that_lead_nowhere_are_refused(self, folder, target):
        (folder / "LICENSE-2").symlink_to(target)
        assert re.search(
            r"base/LICENSE-2 is a link that leads to no file: .*; get the model again, or", refusal(folder)
        )

    def test_of_a_folder_that_is_itself_named_by_a_link_are_judged_from_where_it_is(self, folder, tmp_path):
        (folder / "vocab.txt").symlink_to("config.json")
        (tmp_path / "model").symlink_to(folder)
        assert "vocab.txt" in names_of(tmp_path / "model")
        assert found_in(tmp_path / "model")[0].path == tmp_path / "model" / "LICENSE"


class TestCache:
    """A cached model of Hugging Face: snapshots of links to the blobs beside them."""

    @pytest.fixture
    def snapshot(self, folder, tmp_path):
        outer = tmp_path / "models--org--tiny"
        snapshot = outer / "snapshots" / "0123abc"
        (outer / "blobs").mkdir(parents=True)
        snapshot.mkdir(parents=True)
        for path in folder.iterdir():
            blob = shutil.copy(path, outer / "blobs" / f"blob of {path.name}")
            (snapshot / path.name).symlink_to(os.path.relpath(blob, snapshot))
        return snapshot

    def test_gives_its_own_blobs(self, snapshot, tmp_path):
        (tmp_path / "model").symlink_to(snapshot)
        for given in (snapshot, tmp_path / "model"):
            assert names_of(given) == ["LICENSE", "config.json", "tokenizer.json"]
            assert content(found_in(given)[0]) == b"All rites reversed.\n"

    def test_gives_them_to_a_model_in_a_part_of_a_snapshot(self, snapshot):
        part = snapshot / "text_encoder"
        part.mkdir()
        for path in [path for path in snapshot.iterdir() if path != part]:
            (part / path.name).symlink_to(path.resolve())
        assert names_of(part) == ["LICENSE", "config.json", "tokenizer.json"]

    @pytest.mark.parametrize(
        "target", ["../../refs/main", "../0123abd/vocab.txt", "../../blobs/deep/x", "../../../models--org--x/blobs/x"]
    )
    def test_gives_nothing_else(self, snapshot, target):
        path = snapshot / target
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("secret")
        (snapshot / "vocab.txt").symlink_to(target)
        assert "outside the model's folder" in refusal(snapshot)

    def test_gives_nothing_through_blobs_that_are_a_link(self, snapshot, tmp_path):
        blobs = snapshot.parent.parent / "blobs"
        blobs.rename(tmp_path / "elsewhere")
        blobs.symlink_to(tmp_path / "elsewhere")
        assert "outside the model's folder" in refusal(snapshot)


class TestKinds:
    """What stands under a companion's name and is not a file; none of it makes anybody wait."""

    KINDS = {  # noqa: RUF012 - a table
        "a pipe": ("a pipe", os.mkfifo),
        "a socket": ("a socket", lambda path: socket.socket(socket.AF_UNIX).bind(str(path))),
        "a device": ("a device", lambda path: os.mknod(path, 0o020644, os.makedev(1, 5))),
        "a link to a pipe": ("a pipe", lambda path: (os.mkfifo(path.with_name("p")), path.symlink_to("p"))),
    }

    @pytest.mark.parametrize(("kind", "make"), KINDS.values(), ids=KINDS)
    def test_is_refused(self, folder, monkeypatch, kind, make):
        monkeypatch.chdir(folder)  # a socket's path is short
        try:
            make(Path("LICENSE-2"))
        except PermissionError:
            pytest.skip("only root may make a device")
        assert re.search(
            rf"base/LICENSE-2 cannot be read: it is {kind}, not a file; check it, or remove", refusal(folder)
        )


class TestSize:
    def test_is_told_with_the_largest_before_anything_is_read(self, folder):
        (folder / "tokenizer.model").touch()
        os.truncate(folder / "tokenizer.model", 1 << 40)
        others = sum((folder / name).stat().st_size for name in ("LICENSE", "config.json", "tokenizer.json"))
        assert refusal(folder).endswith(
            f"base/tokenizer.model has 1,099,511,627,776 bytes, with the other files beside the tensors "
            f"{(1 << 40) + others:,}, and 67,108,864 are copied at most: move it out of the model's folder"
        )

    def test_of_all_together_may_be_64_mebibytes(self, folder):
        others = sum((folder / name).stat().st_size for name in ("LICENSE", "config.json", "tokenizer.json"))
        for name in ("a.model", "b.model"):
            (folder / name).touch()
        os.truncate(folder / "a.model", 1 << 25)
        os.truncate(folder / "b.model", (1 << 25) - others)
        assert "b.model" in names_of(folder)
        os.truncate(folder / "b.model", (1 << 25) - others + 1)
        assert "a.model has 33,554,432 bytes" in refusal(folder)

    def test_that_is_told_as_less_is_noticed_while_it_is_read(self, folder):
        (companion, *_) = found_in(folder)
        with (folder / "LICENSE").open("ab") as file:
            file.write(bytes(100))
        with pytest.raises(
            CheckpointError, match=r"base/LICENSE has more bytes than its size says, and 67,108,864 are"
        ):
            content(companion, 119)
        assert len(content(companion, 120)) == 120

    def test_of_a_file_that_grows_for_ever_is_bounded(self, folder, monkeypatch):
        (companion, *_) = found_in(folder)
        monkeypatch.setattr(module.os, "read", lambda descriptor, count: bytes(count))
        with companion.opened() as descriptor, pytest.raises(CheckpointError, match="67,108,864"):
            for _ in companion.pieces(descriptor, MOST_BYTES):
                pass


class TestExchangedMeanwhile:
    """Whoever may write to the folder exchanges what was judged, before it is opened."""

    def test_a_file_for_a_link(self, folder, tmp_path):
        (companion, *_) = found_in(folder)
        (tmp_path / "secret").write_text("secret")
        (folder / "LICENSE").unlink()
        (folder / "LICENSE").symlink_to("../secret")
        with pytest.raises(CheckpointError, match="base/LICENSE cannot be read: it is a link, not a file"):
            content(companion)

    def test_a_folder_on_the_way_for_a_link(self, folder, tmp_path):
        for parent in (folder / "text", tmp_path / "text"):
            parent.mkdir()
            (parent / "vocabulary").write_text("secret")
        (folder / "vocab.txt").symlink_to("text/vocabulary")
        companion = found_in(folder)[-1]
        assert companion.path.name == "vocab.txt"
        (folder / "text").rename(tmp_path / "moved")
        (folder / "text").symlink_to("../text")
        with pytest.raises(CheckpointError, match=r"base/vocab.txt cannot be read: "):
            content(companion)

    def test_a_file_for_a_pipe(self, folder):
        (companion, *_) = found_in(folder)
        (folder / "LICENSE").unlink()
        os.mkfifo(folder / "LICENSE")
        with pytest.raises(CheckpointError, match="it is a pipe, not a file"):
            content(companion)
