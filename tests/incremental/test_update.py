"""The parts of a kept aggregate: kernels that update sums, pages and their places, headers [EX-2, EX-4, EX-5]."""

from __future__ import annotations

import os
from dataclasses import replace
from functools import partial
from typing import ClassVar

import ml_dtypes
import numpy as np
import pytest

from mergealgebra.algebra.exact import LIMITS
from mergealgebra.algebra.method import Columns
from mergealgebra.crdt.manifest import Manifest
from mergealgebra.disk import opened_folder
from mergealgebra.engine.backends import backend, torch_on
from mergealgebra.engine.sources import SPAN, Block, span_size
from mergealgebra.incremental.folder import Draft, Folder, Home
from mergealgebra.incremental.header import Entry, Header
from mergealgebra.incremental.pages import PAGE, Element, Layout, Paged, Pages, Unfit, clear, sums_in, votes_of, wider
from mergealgebra.incremental.seals import KEY_BYTES, Seal
from mergealgebra.kernels.blocks import UNKNOWN, Part, UpdatingKernel
from mergealgebra.kernels.numpy_reference import unheld
from tests.kernels.blocks import reduction_of

SIZE = 2500  # two tiles of the fused kernel, and a piece of one
DTYPES = {"F64": np.float64, "F32": np.float32, "BF16": ml_dtypes.bfloat16, "F16": np.float16}
KERNELS = ["numba", "numpy"]
METHODS = ["ties", "mean", "task_arithmetic"]
SEAL = Seal(bytes(KEY_BYTES))


def _zeros(votes, size=SIZE):
    element = Element(votes=votes)
    memory = np.full(size * element.nbytes, 7, np.uint8)
    sums = sums_in(memory, element)
    clear(sums)
    return memory, sums


def _part(random, base, coefficient, form="finetuned", method="ties"):
    """A part with many ties, cut somewhere, and a few values that spoil certificates."""
    moves = random.integers(-4, 5, base.size).astype(np.float32)
    moves[random.integers(0, base.size, 5)] = 2.0**-30
    values = (
        (base.astype(np.float32) + moves) if form == "finetuned" else moves * np.float32(2.0 ** random.integers(-9, 60))
    )
    threshold = int(np.float32(2).view(np.int32)) if form == "finetuned" else 1
    found = ((threshold, int(random.integers(0, base.size))),) if method == "ties" else ()
    return Part(values.astype(base.dtype), form, coefficient, found)


def _votes_of(method, coefficients):
    return votes_of(reduction_of(method, coefficients).rounds[0].columns, coefficients)


def _columns(sums):
    """S, A, V and W, in the order in which they lie in a page."""
    return [array.tobytes() for array in (sums.sums, sums.magnitudes, sums.signs, sums.weights)]


class TestKernels:
    """`update` is the same on all of them, and undoes itself."""

    @pytest.mark.clause("EX-2", "EX-5", "MG-8")
    @pytest.mark.parametrize("dtype", DTYPES)
    @pytest.mark.parametrize("method", METHODS)
    @pytest.mark.parametrize("whole", [True, False], ids=["whole coefficients", "fractions"])
    def test_both_give_the_same_sums_and_models(self, method, dtype, whole):
        random = np.random.default_rng(5)
        base = random.integers(-8, 9, SIZE).astype(DTYPES[dtype])
        coefficients = (1.0,) * 6 if whole else tuple(np.float32([1, 0.1, 3, 0.5, 0.3, 1]).tolist())
        parts = [
            _part(random, base, coefficient, "task_vector" if i == 5 and dtype != "F16" else "finetuned", method)
            for i, coefficient in enumerate(coefficients)
        ]
        votes = _votes_of(method, coefficients)
        made = {}
        for name in KERNELS:
            memory, sums = _zeros(votes)
            made[name] = []
            for retracted, added in (([], parts[:3]), (parts[:2], parts[3:]), (parts[5:], []), ([], [])):
                reduction = reduction_of(method, coefficients, 0.5)
                updated = backend(name).update(base, sums, retracted, added, reduction)
                sums.put(updated.missed, UNKNOWN)  # as whoever settles them does
                made[name].append(
                    (updated.data.tobytes(), updated.kept, updated.witnesses, updated.missed.tolist(), memory.tobytes())
                )
        assert made["numba"] == made["numpy"]
        assert any(missed for *_, missed, _ in made["numpy"]) or dtype == "F16"

    @pytest.mark.clause("EX-4", "EX-5")
    @pytest.mark.parametrize("name", KERNELS)
    @pytest.mark.parametrize("method", METHODS)
    def test_what_is_taken_out_again_was_never_there(self, method, name):
        random = np.random.default_rng(6)
        base = random.integers(-8, 9, SIZE).astype(np.float32)
        parts = [_part(random, base, 1.0, method=method) for _ in range(5)]
        reduction = reduction_of(method, [1.0] * 3)
        (_, detour), (_, straight) = _zeros(_votes_of(method, [1.0])), _zeros(_votes_of(method, [1.0]))
        kernel = backend(name)
        kernel.update(base, detour, [], parts[:2], reduction)
        found = kernel.update(base, detour, parts[:1], parts[2:4], reduction)
        expected = kernel.update(base, straight, [], parts[1:4], reduction)
        assert found.data.tobytes() == expected.data.tobytes()
        assert _columns(detour) == _columns(straight)
        assert (detour.grids <= straight.grids).all()

    @pytest.mark.clause("EX-3")
    @pytest.mark.parametrize("name", KERNELS)
    @pytest.mark.parametrize("method", METHODS)
    def test_sums_without_certificate_are_missed_and_the_base_stays(self, method, name):
        base = np.array([-0.0, 5, 7], np.float32)
        _, sums = _zeros(_votes_of(method, [1.0]), 3)
        sums.put([0], UNKNOWN)
        values = [np.array([1, 1, 1], np.float32), np.array([1, 2.0**30, 2.0**29], np.float32)]
        parts = [Part(value, "task_vector", 1.0, ((1, 3),) if method == "ties" else ()) for value in values]
        updated = backend(name).update(base, sums, [], parts, reduction_of(method, [1.0] * 2))
        assert updated.missed.tolist() == [0, 1]
        assert updated.data[:2].tobytes() == base[:2].tobytes()
        assert updated.data[2] != base[2]
        assert (sums.magnitudes >= LIMITS[sums.grids]).tolist() == [[True, True, False]]

    @pytest.mark.clause("MG-5")
    @pytest.mark.filterwarnings("ignore:overflow encountered")
    @pytest.mark.parametrize("name", KERNELS)
    @pytest.mark.parametrize("value", [np.nan, np.inf, 3.4e38], ids=["NaN", "infinite", "too large for the result"])
    def test_a_number_that_is_not_finite_is_told(self, name, value):
        base = np.full(3, 3e38, np.float32)
        part = Part(np.array([0, value, 0], np.float32), "task_vector", 1.0, ((1, 3),))
        _, sums = _zeros("int16", 3)
        assert backend(name).update(base, sums, [], [part], reduction_of("ties", [1.0])) is None

    @pytest.mark.clause("EX-5", "MG-5")
    def test_what_nobody_holds_any_more_is_the_base_and_what_goes_is_counted(self):
        base = np.array([-0.0, np.nan, 1], np.float32)
        part = Part(np.array([3, 1, -2], np.float32), "task_vector", 1.0, ((int(np.float32(2).view(np.int32)), 0),))
        found = unheld(base, [part], reduction_of("ties", [1.0]))
        assert found.data.tobytes() == base.tobytes()
        assert found.kept == (1,)
        assert unheld(base, [replace(part, values=base)], reduction_of("ties", [1.0])) is None

    def test_others_cannot(self):
        pytest.importorskip("torch")
        assert isinstance(backend("numpy"), UpdatingKernel)
        assert isinstance(backend("numba"), UpdatingKernel)
        assert not isinstance(torch_on("cpu"), UpdatingKernel)


class TestPages:
    """Each has its place, and a seal."""

    ELEMENTS: ClassVar = {
        "one sum": (Element(), 17),
        "counts": (Element(1, "int16"), 21),
        "votes": (Element(1, "float64"), 33),
        "three sums": (Element(3), 51),
        "two and counts": (Element(2, "int16"), 38),
    }

    def test_they_fill_the_file_without_gaps(self):
        rows = 3 * span_size(3 * PAGE)  # a page is a row, and a span a whole number of them
        tensors = [("a", PAGE + 3, 1, PAGE), ("b", 0, 1, PAGE), ("c", 1, 1, PAGE), ("d", SPAN + 1, 1, PAGE)]
        tensors += [("e", rows, 3 * PAGE, 3 * PAGE), ("f", 2 * span_size(7) + 70, 7, 63)]
        layout = Layout(tuple(Paged(*tensor) for tensor in tensors), Element(1, "int16"))
        blocks = [block for tensor in layout.tensors for block in tensor.pages()]
        assert [layout.index(block) for block in blocks] == list(range(layout.pages))
        ends = [layout.offset(block) + block.size * 21 for block in blocks]
        assert [layout.offset(block) for block in blocks] == [0, *ends[:-1]]
        assert ends[-1] == layout.nbytes
        assert all(block.start % tensor.unit == 0 for tensor in layout.tensors for block in tensor.pages())

    @pytest.mark.parametrize("kept", ELEMENTS)
    def test_sums_lie_one_after_the_other(self, kept):
        element, nbytes = self.ELEMENTS[kept]
        assert element.nbytes == nbytes
        memory = np.arange(5 * nbytes, dtype=np.uint64).astype(np.uint8)
        sums = sums_in(memory, element)
        assert len(sums.sums) == len(sums.magnitudes) == len(sums.grids) == element.sums
        together = b"".join(_columns(sums)) + sums.grids.tobytes()
        assert together == memory.tobytes()

    def test_votes_are_narrow_while_all_coefficients_are_1(self):
        assert votes_of(Columns(votes=True), [1.0] * 32767) == "int16"
        assert votes_of(Columns(votes=True), [1.0] * 32768) == "float64"
        assert votes_of(Columns(votes=True), [1.0, 0.5]) == "float64"
        assert votes_of(Columns(), [1.0, 0.5]) == ""
        assert wider("int16", "float64") == wider("float64", "int16") == "float64"

    @pytest.mark.clause("SY-9")
    def test_a_seal_is_of_one_key_one_owner_one_place_and_these_bytes(self):
        values, page = np.ones(4, ml_dtypes.bfloat16), Block("a", 0, 4)
        for kind in (SEAL.of_input, SEAL.of_page):
            assert kind("x", page, values) == kind("x", page, values.copy())
        others = [
            SEAL.of_input("x", page, values),
            SEAL.of_input("y", page, values),
            SEAL.of_input("x", Block("b", 0, 4), values),
            SEAL.of_input("x", Block("a", 4, 8), values),
            SEAL.of_input("x", page, -values),
            SEAL.of_input("x", page, values, "fisher"),
            Seal(bytes(KEY_BYTES - 1) + b"x").of_input("x", page, values),
            int.from_bytes(SEAL.of_page("x", page, values)),
        ]
        assert len(set(others)) == len(others)

    def test_what_was_written_is_read_and_nothing_else(self, tmp_path):
        layout, page = Layout((Paged("a", 3, 1, PAGE),), Element()), Block("a", 0, 3)
        descriptor = os.open(tmp_path / "pages", os.O_RDWR | os.O_CREAT)
        pages, memory, found = (
            Pages(descriptor, layout, np.zeros((1, 32), np.uint8), "0" * 16, SEAL),
            np.arange(51, dtype=np.uint8),
            np.zeros(51, np.uint8),
        )
        with pytest.raises(Unfit):
            pages.read(page, found)
        pages.write(page, memory, 1 << 127)
        pages.read(page, found)
        assert found.tolist() == memory.tolist()
        assert pages.inputs(page) == 1 << 127
        os.pwrite(descriptor, b"x", 50)
        with pytest.raises(Unfit, match="damaged"):
            pages.read(page, found)
        os.close(descriptor)
        with pytest.raises(Unfit, match="cannot be read"):
            pages.read(page, found)


MANIFEST = Manifest("ab" * 32, "3f800000", 7, "finetuned", "cd" * 32)
HEADER = Header(
    "ef" * 32,
    (Entry(MANIFEST, 3, b"\x90"),),
    127,
    Layout((Paged("é", 4, 1, PAGE),), Element()),
    "0" * 16,
    np.zeros((1, 32), np.uint8),
)


class TestHeader:
    """Sound, or not there."""

    def test_there_and_back(self):
        back = Header.decode(HEADER.encode(SEAL), SEAL)
        assert replace(back, table=HEADER.table) == HEADER
        assert back.table.tobytes() == HEADER.table.tobytes()

    @pytest.mark.clause("SY-9")
    def test_every_flipped_bit_is_seen(self):
        data = bytearray(HEADER.encode(SEAL))
        for position in range(len(data)):
            data[position] ^= 4
            assert Header.decode(bytes(data), SEAL) is None
            data[position] ^= 4
            assert Header.decode(bytes(data[:position]), SEAL) is None

    @pytest.mark.clause("SY-9")
    @pytest.mark.parametrize(
        "change",
        [
            {"table": np.zeros((2, 32), np.uint8)},
            {"layout": Layout((), Element(1, "int8"))},
            {"entries": (Entry(MANIFEST, 0, 5),)},
        ],
        ids=["other pages", "unknown votes", "a number for thresholds"],
    )
    def test_a_sound_seal_is_not_enough(self, change):
        assert Header.decode(replace(HEADER, **change).encode(SEAL), SEAL) is None

    @pytest.mark.clause("SY-9")
    def test_another_key_seals_nothing(self):
        assert Header.decode(HEADER.encode(Seal(b"x" * KEY_BYTES)), SEAL) is None

    @pytest.mark.clause("SY-9")
    def test_a_draft_appears_when_it_is_placed(self, opened):
        draft = Draft(opened, HEADER.layout)
        opened.sweep()
        draft.write(Block("é", 0, 4), np.zeros(68, np.uint8), 0)
        assert opened.header is None
        draft.commit(HEADER.recipe, HEADER.entries, HEADER.least)
        draft.close()
        opened.sweep()
        assert draft.problem == ""
        with opened.pages(opened.header) as pages:
            pages.read(Block("é", 0, 4), np.empty(68, np.uint8))

    @pytest.mark.clause("SY-9")
    def test_a_draft_that_is_not_placed_goes(self, opened):
        Draft(opened, HEADER.layout).close()
        assert os.listdir(opened.descriptor) == []  # noqa: PTH208

    @pytest.mark.clause("SY-9")
    def test_a_header_larger_than_any_of_use_is_not_read(self, opened):
        draft = Draft(opened, HEADER.layout)
        draft.commit(HEADER.recipe, HEADER.entries, HEADER.least)
        draft.close()
        size = len(replace(HEADER, token=draft.token).encode(SEAL))
        assert opened.header is not None
        assert Folder(opened.descriptor, SEAL, size).header is not None
        assert Folder(opened.descriptor, SEAL, size - 1).header is None


@pytest.fixture
def opened(tmp_path):
    """The folder of an aggregate, open."""
    with Home(partial(opened_folder, tmp_path), lambda: bytes(KEY_BYTES)).opened(1 << 20) as folder:
        yield folder
