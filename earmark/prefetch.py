"""Work done ahead in threads, so that reading and computing overlap."""

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def prefetched(items: Iterable[Item], depth: int = 2) -> Iterator[Item]:
    """The same items in the same order, made up to `depth` ahead in a thread.

    An exception in the thread is raised here, at the item that it broke; when the consumer stops early, so does the
    thread. An interpreter that ends while items are left waits for those begun: a thread that it would have to break
    off inside compiled code aborts the process instead.

    >>> list(prefetched(range(4)))
    [0, 1, 2, 3]
    """
    source = iter(items)
    end = object()
    pool = ThreadPoolExecutor(1, thread_name_prefix="prefetch")
    try:
        ahead = deque(pool.submit(next, source, end) for _ in range(depth))
        while (item := ahead.popleft().result()) is not end:
            ahead.append(pool.submit(next, source, end))
            yield item  # type: ignore[misc]
    finally:
        pool.shutdown(cancel_futures=True)


def mapped(
    function: Callable[[Item], Result],
    items: Iterable[Item],
    threads: int | None = None,
    *,
    prepare: Callable[[ThreadPoolExecutor], object] | None = None,
) -> Generator[Result, None, None]:
    """The function's results for items, in their order, worked on by several threads.

    An exception of the function or of the source is raised here, at its item; when the consumer stops early, only what
    has begun is waited for. The source is asked in the thread that asks for results. At most two items a thread are
    worked on, or done and not asked for yet.

    Args:
        threads: how many; None is two a core, for work that waits for files.
        prepare: what is done with the pool of threads first.

    >>> list(mapped(abs, [-3, 2, -1], threads=2))
    [3, 2, 1]
    """
    threads = 2 * (os.cpu_count() or 1) if threads is None else threads
    source, end = iter(items), object()
    waiting: deque[Future[Result]] = deque()

    def due(depth: int) -> Iterator[Result]:
        while waiting and (waiting[0].done() or len(waiting) >= depth):
            yield waiting.popleft().result()

    pool = ThreadPoolExecutor(threads, thread_name_prefix="mapped")
    try:
        if prepare is not None:
            prepare(pool)
        while True:
            try:
                item = next(source, end)
            except Exception:
                yield from due(0)
                raise
            if item is end:
                break
            waiting.append(pool.submit(function, item))  # type: ignore[arg-type]
            yield from due(2 * threads)
        yield from due(0)
    finally:
        pool.shutdown(cancel_futures=True)
