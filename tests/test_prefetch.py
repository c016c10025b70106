import subprocess
import sys
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
    assert len(made) == 3
    items.close()


def test_the_thread_ends_when_the_consumer_stops() -> None:
    before = threading.active_count()
    items = prefetched(iter(range(1000)))
    next(items)
    items.close()
    assert threading.active_count() == before


def test_an_interpreter_may_end_while_items_are_left() -> None:
    script = """
import sys, torch
from earmark.prefetch import prefetched
def items():
    while True:
        yield [torch.fft.rfft(torch.zeros(300_000)).abs() for _ in range(20)]
sys.left = prefetched(items())
next(sys.left)
"""
    answer = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert (answer.returncode, answer.stderr) == (0, "")
