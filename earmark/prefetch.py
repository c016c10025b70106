"""Work done ahead in a thread, so that reading and computing overlap."""

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")


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
