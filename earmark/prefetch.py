"""Work done ahead in a thread, so that reading and computing overlap."""

import queue
import threading
from collections.abc import Iterable, Iterator
from typing import TypeVar

Item = TypeVar("Item")


class _Failure:
    def __init__(self, error: BaseException) -> None:
        self.error = error


def prefetched(items: Iterable[Item], depth: int = 2) -> Iterator[Item]:
    """The same items in the same order, made up to `depth` ahead in a thread.

    An exception in the thread is raised here, at the item that it broke; when the consumer stops early, so does the
    thread.

    >>> list(prefetched(range(4)))
    [0, 1, 2, 3]
    """
    ready: queue.Queue[Item | _Failure | None] = queue.Queue(maxsize=depth)
    stopped = threading.Event()

    def put(item: Item | _Failure | None) -> bool:
        while not stopped.is_set():
            try:
                ready.put(item, timeout=0.1)
                return True
            except queue.Full:
                continue
        return False

    def work() -> None:
        try:
            for item in items:
                if not put(item):
                    return
            put(None)
        except BaseException as error:  # noqa: BLE001 (handed over whole, raised by the consumer)
            put(_Failure(error))

    thread = threading.Thread(target=work, daemon=True, name="prefetch")
    thread.start()
    try:
        while (item := ready.get()) is not None:
            if isinstance(item, _Failure):
                raise item.error
            yield item
    finally:
        stopped.set()
        thread.join()
