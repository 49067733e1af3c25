"""Addresses on the Hub: found in a cache that is laid out as huggingface_hub writes it, or refused in one line."""

from __future__ import annotations

import sys
import types

import pytest

from mergealgebra.errors import CheckpointError
from mergealgebra.formats import hub
from mergealgebra.tensors.checkpoint import Checkpoint
from tests.models import base, write_folder

COMMIT, OTHER = "1" * 40, "2" * 40
VARIABLES = (
    "HF_HUB_CACHE",
    "HUGGINGFACE_HUB_CACHE",
    "HF_HOME",
    "XDG_CACHE_HOME",
    "HF_HUB_OFFLINE",
    "TRANSFORMERS_OFFLINE",
)


@pytest.fixture(autouse=True)
def environment(tmp_path, monkeypatch):
    """An empty current folder, a cache of its own, and no network."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")


def write_cached(cache, name="org/name", commit=COMMIT, refs=("main",), weights=True):
    """A model in a cache: files are blobs, which links in a snapshot name; a ref holds a commit and no line feed."""
    repository = cache / f"models--{name.replace('/', '--')}"
    snapshot, blobs = repository / "snapshots" / commit, repository / "blobs"
    for folder in (snapshot, blobs):
        folder.mkdir(parents=True, exist_ok=True)
    model = write_folder(cache / "written", base())
    for file in sorted(model.iterdir()):
        if weights or file.suffix != ".safetensors":
            blob = blobs / f"{commit[0]}{file.name}"
            file.rename(blob)
            (snapshot / file.name).symlink_to(f"../../blobs/{blob.name}")
    for ref in refs:
        (repository / "refs" / ref).parent.mkdir(parents=True, exist_ok=True)
        (repository / "refs" / ref).write_text(commit)
    return snapshot


@pytest.mark.clause("HB-1")
class TestCached:
    def test_a_model_is_its_snapshot_of_main_a_ref_or_a_commit(self, tmp_path):
        snapshot = write_cached(tmp_path / "hub")
        other = write_cached(tmp_path / "hub", commit=OTHER, refs=("v1", "refs/pr/3"))
        assert hub.folder("org/name") == snapshot
        for revision in ("v1", "refs/pr/3", OTHER):
            assert hub.folder(f"org/name@{revision}") == other
        with Checkpoint.open(snapshot) as checkpoint:
            assert checkpoint.records.keys() == base().keys()

    PLACES = {  # noqa: RUF012
        "HF_HUB_CACHE": "{}",
        "HUGGINGFACE_HUB_CACHE": "{}",
        "HF_HOME": "{}/hub",
        "XDG_CACHE_HOME": "{}/huggingface/hub",
        "HOME": "{}/.cache/huggingface/hub",
    }

    @pytest.mark.parametrize(("variable", "place"), PLACES.items(), ids=PLACES)
    def test_the_cache_is_where_the_environment_says(self, variable, place, tmp_path, monkeypatch):
        monkeypatch.delenv("HF_HUB_CACHE")
        monkeypatch.setenv(variable, str(tmp_path / "there"))
        assert str(hub.cache_folder()) == place.format(tmp_path / "there")

    def test_what_is_here_under_such_a_name_is_meant(self, tmp_path):
        write_cached(tmp_path / "hub")
        write_folder(tmp_path / "here" / "org" / "name", base())
        assert str(hub.folder("org/name")) == "org/name"

    def test_a_path_with_a_mistake_in_it_stays_a_path(self, tmp_path):
        write_cached(tmp_path / "hub")
        (tmp_path / "here" / "org").mkdir()
        assert str(hub.folder("org/nam")) == "org/nam"
        assert hub.folder("org/name").name == COMMIT
        for path in ("/org/name", "../org/name", "org/name/x", "name", "org/model.safetensors", "org/a@../x"):
            assert str(hub.folder(path)) == path


@pytest.mark.clause("HB-1")
class TestAbsent:
    @pytest.mark.parametrize("weights", [False, None], ids=["weights", "model"])
    def test_offline_it_is_said_what_gets_it(self, tmp_path, weights):
        if weights is False:
            write_cached(tmp_path / "hub", weights=False)
        with pytest.raises(CheckpointError) as caught:
            hub.folder("org/name@v1")
        assert str(caught.value) == (
            f"org/name@v1 is not a path here, and not in the Hub's cache ({tmp_path}/hub), and the environment says to "
            "stay offline: with a network, `HF_HUB_OFFLINE=0 hf download org/name --revision v1` gets it"
        )

    def test_without_the_library_it_is_named(self, monkeypatch):
        monkeypatch.delenv("HF_HUB_OFFLINE")
        with pytest.raises(
            CheckpointError, match=r"by `hf download org/name`, which comes with: pip install huggingface_hub$"
        ):
            hub.folder("org/name")

    def test_the_library_downloads_it_and_its_refusal_is_one_line(self, tmp_path, monkeypatch):
        asked = []

        def snapshot_download(name, revision, ignore_patterns):
            asked.append((name, revision))
            if revision == "gone":
                raise RuntimeError("404\n\n  no such revision")
            return str(write_cached(tmp_path / "hub", name))

        monkeypatch.delenv("HF_HUB_OFFLINE")
        library = types.SimpleNamespace(snapshot_download=snapshot_download)
        monkeypatch.setitem(sys.modules, "huggingface_hub", library)
        assert hub.folder("org/name").name == COMMIT
        assert hub.folder("org/name").name == COMMIT
        assert asked == [("org/name", None)]
        with pytest.raises(CheckpointError, match="`hf download org/name --revision gone` fails: 404 no such revision"):
            hub.folder("org/name@gone")
