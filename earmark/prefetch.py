"""Work done ahead in threads, so that reading and computing overlap."""

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
    function: Callable[[Item], Result], items: Iterable[Item], pool: ThreadPoolExecutor, depth: int
) -> Generator[Result, None, None]:
    """The function's results for items, in their order, worked on by a pool's threads.

    An exception of the function or of the source is raised here, at its item; when the consumer stops early, items
    that nobody works on yet are left. The source is asked in the thread that asks for results.

    Args:
        depth: how many items are worked on, or done and not asked for yet, at most.

    >>> with ThreadPoolExecutor(2) as pool:
    ...     list(mapped(abs, [-3, 2, -1], pool, depth=4))
    [3, 2, 1]
    """
    source, end = iter(items), object()
    waiting: deque[Future[Result]] = deque()

    def due(depth: int) -> Iterator[Result]:
        while waiting and (waiting[0].done() or len(waiting) >= depth):
            yield waiting.popleft().result()

    try:
        while True:
            try:
                item = next(source, end)
            except Exception:
                yield from due(0)
                raise
            if item is end:
                break
            waiting.append(pool.submit(function, item))  # type: ignore[arg-type]
            yield from due(depth)
        yield from due(0)
    finally:
        for future in waiting:
            future.cancel()
