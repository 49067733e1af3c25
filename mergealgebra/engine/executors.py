"""Workers that map a function over items in parallel and yield the results in order."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Generic, Self, TypeVar

import numpy as np

Buffers = TypeVar("Buffers")
Item = TypeVar("Item")
Result = TypeVar("Result")


class Workers(Generic[Buffers]):
    """A pool of threads; a context manager. What it yields does not depend on how many there are.

    threads: at least 1; one thread works inline. make_buffers: called once in each worker for what it keeps between
    items, such as its memory; it may refuse the worker.
    """

    def __init__(self, threads: int, make_buffers: Callable[[], Buffers]) -> None:
        self._threads = threads
        self._make_desk = make_buffers
        self._own = threading.local()
        self._pool = ThreadPoolExecutor(threads) if threads > 1 else None

    def map(self, function: Callable[[Buffers, Item], Result], items: Iterable[Item]) -> Iterator[Result]:
        """function(buffers, item) for each item, in order, at most two ahead of the taker for each thread.

        The first error, in the order of the items, is raised when its turn comes.
        """

        def work(item: Item) -> Result:
            if not hasattr(self._own, "buffers"):
                self._own.buffers = self._make_desk()
            with np.errstate(all="ignore"):
                return function(self._own.buffers, item)

        if self._pool is None:
            yield from map(work, items)
            return
        ahead: deque[Future[Result]] = deque()
        try:
            for item in items:
                ahead.append(self._pool.submit(work, item))
                if len(ahead) > 2 * self._threads:
                    yield ahead.popleft().result()
            while ahead:
                yield ahead.popleft().result()
        finally:
            for future in ahead:
                future.cancel()

    def run(self, function: Callable[[Buffers, Item], None], items: Iterable[Item]) -> None:
        """function(buffers, item) for each item, for what it does."""
        for _ in self.map(function, items):
            pass

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
