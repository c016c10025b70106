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
    function: Callable[[Item], Result],
    items: Iterable[Item],
    threads: int,
    *,
    depth: int | None = None,
    begin: Callable[[], object] | None = None,
) -> Generator[Result, None, None]:
    """The function's results for items, in their order, worked on by several threads.

    Exceptions and ends are as for `prefetched`; the source is asked in the thread that asks for results.

    Args:
        depth: how many items are worked on, or done and not asked for yet, at most; None: two a thread.
        begin: what each thread does first.

    >>> list(mapped(abs, [-3, 2, -1], threads=2))
    [3, 2, 1]
    """
    depth = 2 * threads if depth is None else depth
    pool = ThreadPoolExecutor(threads, thread_name_prefix="mapped", initializer=begin)
    waiting: deque[Future[Result]] = deque()
    try:
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) == depth:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
