"""Workers: what comes out has the order of what goes in, whatever the threads do."""

from __future__ import annotations

import itertools
import threading
import time

import numpy as np
import pytest

from mergealgebra.engine.executors import Workers

_TOKENS = itertools.count()


class Job:
    """What the workers of one test work on."""

    def __init__(self):
        self.token = str(next(_TOKENS))


def workers_of(threads, make_buffers=lambda _: None):
    """Workers for a job of their own."""
    return Workers(Job(), make_buffers, threads)


def do_all(workers, work, items):
    """For work whose results do not matter."""
    for _ in workers.map(work, items):
        pass


def slow_when_early(_, number):
    """The earlier an item, the longer it takes: results come to be in the reverse of their order."""
    time.sleep(0.02 if number % 4 == 0 else 0)
    return number * number


@pytest.mark.parametrize("threads", [1, 2, 5])
class TestOrder:
    def test_is_kept(self, threads):
        with workers_of(threads) as workers:
            assert list(workers.map(slow_when_early, range(40))) == [n * n for n in range(40)]

    def test_of_nothing_is_nothing(self, threads):
        with workers_of(threads) as workers:
            assert list(workers.map(slow_when_early, ())) == []

    def test_decides_which_error_is_raised(self, threads):
        """Item 9 fails at once and item 8 later: the error of item 8 comes first, after the results before it."""

        def fail(_, number):
            if number == 8:
                time.sleep(0.05)
            if number >= 8:
                raise LookupError(number)
            return number

        taken = []
        with workers_of(threads) as workers, pytest.raises(LookupError) as raised:
            taken.extend(workers.map(fail, range(40)))
        assert raised.value.args == (8,)
        assert taken == list(range(8))

    def test_survives_several_rounds(self, threads):
        with workers_of(threads) as workers:
            for _ in range(3):
                assert list(workers.map(slow_when_early, range(6))) == [n * n for n in range(6)]


class TestWorkers:
    @pytest.mark.parametrize("threads", [1, 2, 5])
    def test_each_make_their_buffers_once(self, threads):
        made, worked = [], []
        together = threading.Barrier(threads)

        def work(buffers, number):
            worked.append((threading.get_ident(), buffers))
            if number < threads:
                together.wait(timeout=30)

        def make_buffers(_):
            made.append(threading.get_ident())
            return f"the buffers of {made[-1]}"

        with workers_of(threads, make_buffers) as workers:
            do_all(workers, work, range(20))
            do_all(workers, work, range(threads, 20))
        assert len(made) == len(set(made)) == threads
        assert set(worked) == {(ident, f"the buffers of {ident}") for ident in made}

    def test_may_refuse_to_work(self):
        def refuse(_):
            raise LookupError("not here")

        for threads in (1, 3):
            with workers_of(threads, refuse) as workers, pytest.raises(LookupError, match="not here"):
                do_all(workers, lambda *_: pytest.fail("somebody worked"), range(20))

    def test_that_was_refused_is_asked_again(self):
        """A refusal is not remembered as buffers."""
        asked = []

        def refuse_at_first(_):
            asked.append(1)
            if len(asked) == 1:
                raise LookupError

        with workers_of(1, refuse_at_first) as workers:
            with pytest.raises(LookupError):
                do_all(workers, nothing_with, range(2))
            do_all(workers, nothing_with, range(2))
        assert len(asked) == 2

    def test_of_one_thread_work_inline(self):
        before = threading.active_count()
        with workers_of(1) as workers:
            idents = set(workers.map(lambda *_: threading.get_ident(), range(5)))
        assert idents == {threading.get_ident()}
        assert threading.active_count() == before

    def test_warn_of_no_overflow(self, recwarn):
        for threads in (1, 2):
            with workers_of(threads) as workers:
                do_all(workers, lambda *_: np.float32([3e38]) * np.float32(10), range(4))
        assert not recwarn.list

    def test_are_gone_afterwards(self):
        before = threading.active_count()
        with workers_of(4) as workers:
            do_all(workers, slow_when_early, range(20))
        assert threading.active_count() == before


class TestPendingWork:
    THREADS = 3

    def test_is_at_most_two_ahead_for_each_thread(self):
        """So memory stays bounded when the taker is slow."""
        started = []
        with workers_of(self.THREADS) as workers:
            results = workers.map(lambda _, number: started.append(number), range(100))
            next(results)
            time.sleep(0.1)
            assert len(started) <= 2 * self.THREADS + 1
            results.close()

    def test_is_cancelled_when_the_taker_stops(self):
        release, started = threading.Event(), []

        def work(_, number):
            started.append(number)
            if number:
                release.wait(timeout=30)

        with workers_of(self.THREADS) as workers:
            results = workers.map(work, range(100))
            next(results)
            results.close()
            release.set()
            time.sleep(0.1)  # what was not cancelled would begin now
            assert len(started) <= self.THREADS + 2

    def test_is_cancelled_after_an_error(self):
        started = []

        def fail(_, number):
            started.append(number)
            time.sleep(0.02)
            if number == 0:
                raise LookupError

        with workers_of(self.THREADS) as workers, pytest.raises(LookupError):
            do_all(workers, fail, range(100))
        assert len(started) <= 2 * self.THREADS + 2

    def test_is_cancelled_when_the_taker_fails(self):
        started = []
        with pytest.raises(LookupError), workers_of(self.THREADS) as workers:
            for _ in workers.map(lambda _, n: (started.append(n), time.sleep(0.02)), range(100)):
                raise LookupError
        assert len(started) <= 2 * self.THREADS + 2

    def test_is_lost_when_the_source_of_items_fails(self):
        def items():
            yield from range(3)
            raise LookupError("no more")

        for threads in (1, self.THREADS):
            with workers_of(threads) as workers, pytest.raises(LookupError, match="no more"):
                list(workers.map(slow_when_early, items()))


def nothing_with(*_):
    """Work that is nothing."""
