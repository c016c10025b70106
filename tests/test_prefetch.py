import threading
import time

import pytest

from earmark.prefetch import prefetched


def test_the_items_come_in_their_order() -> None:
    assert list(prefetched(iter(range(100)), depth=3)) == list(range(100))


def test_an_exception_arrives_at_the_item_that_it_broke() -> None:
    def broken():
        yield 1
        raise KeyError("here")

    items = prefetched(broken())
    assert next(items) == 1
    with pytest.raises(KeyError, match="here"):
        next(items)


def test_no_more_than_the_depth_is_made_ahead() -> None:
    made = []
    items = prefetched((made.append(i) or i for i in range(100)), depth=2)
    assert next(items) == 0
    time.sleep(0.05)
    # One taken, two waiting, one in the hand of the thread.
    assert len(made) <= 4
    items.close()


def test_the_thread_ends_when_the_consumer_stops() -> None:
    before = threading.active_count()
    items = prefetched(iter(range(1000)))
    next(items)
    items.close()
    assert threading.active_count() == before
