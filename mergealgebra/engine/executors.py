"""Workers that map a function over items in parallel and yield the results in order.

Any `concurrent.futures.Executor` runs them: threads, which share the job, or processes, to which it travels. What a
function is given is the worker's own memory and an item; what it returns is all that comes back.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor, wait
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar

import numpy as np

Item = TypeVar("Item")
Result = TypeVar("Result")


class Job(Protocol):
    """What workers work on. To other processes it is pickled."""

    @property
    def token(self) -> str:
        """What tells it from other jobs."""
        ...


#: Makes what a worker keeps for a job between items, such as memory. Called in the worker; it may refuse that.
MakeBuffers = Callable[[Any], Any]


class Workers:
    """Workers for one job; a context manager. What it yields does not depend on how many there are.

    make_buffers: a function of a module, so that it can travel too. threads: at least 1; one thread works inline.
    executor: where work is done; if left out, in so many threads.
    """

    def __init__(self, job: Job, make_buffers: MakeBuffers, threads: int, executor: Executor | None = None) -> None:
        self._job, self._make_buffers, self._threads = job, make_buffers, threads
        self._own = ThreadPoolExecutor(threads) if executor is None and threads > 1 else None
        self._executor = executor or self._own

    def map(
        self, function: Callable[[Any, Item], Result], items: Iterable[Item], waiting: int | None = None
    ) -> Iterator[Result]:
        """function(buffers, item) for each item, in order. waiting: how many results may wait for the taker at most.

        The first error, in the order of the items, is raised when its turn comes.
        """
        if self._executor is None:
            for item in items:
                yield _work(self._job, self._make_buffers, function, item)
            return
        most = 2 * self._threads if waiting is None else waiting
        ahead: deque[Future[Result]] = deque()
        try:
            for item in items:
                ahead.append(self._executor.submit(_work, self._job, self._make_buffers, function, item))
                if len(ahead) > most:
                    yield ahead.popleft().result()
            while ahead:
                yield ahead.popleft().result()
        finally:
            wait([future for future in ahead if not future.cancel()])  # what they read may be closed next

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _own.__dict__.clear()
        if self._own is not None:
            self._own.shutdown(cancel_futures=True)


_own = threading.local()  # the buffers of this worker, and for which job they are


def _work(job: Job, make_buffers: MakeBuffers, function: Callable[[Any, Item], Result], item: Item) -> Result:
    if getattr(_own, "token", None) != job.token:
        _own.buffers, _own.token = make_buffers(job), job.token
    with np.errstate(all="ignore"):
        return function(_own.buffers, item)
