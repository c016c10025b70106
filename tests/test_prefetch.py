import subprocess
import sys
import threading
import time

import pytest

from earmark.prefetch import mapped, prefetched


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


@pytest.mark.parametrize("threads", [1, 3])
def test_results_come_in_the_items_order_whoever_is_done_first(threads: int) -> None:
    def late(item: int) -> int:
        time.sleep(0.02 if item % 2 == 0 else 0)
        return 10 * item

    assert list(mapped(late, range(9), threads)) == [10 * item for item in range(9)]


def test_several_threads_work_at_the_same_time_each_begun_once() -> None:
    together, begun = threading.Barrier(3, timeout=20), []
    assert list(mapped(lambda item: together.wait() >= 0, range(6), 3, begin=lambda: begun.append(1))) == [True] * 6
    assert len(begun) == 3


def test_a_failing_function_arrives_at_its_item() -> None:
    results = mapped(lambda item: 1 / item, [1, 2, 0, 4], 2)
    assert [next(results), next(results)] == [1, 0.5]
    with pytest.raises(ZeroDivisionError):
        next(results)


def test_no_more_items_than_the_depth_are_taken_from_the_source() -> None:
    taken = []
    results = mapped(abs, (taken.append(i) or i for i in range(100)), 2, depth=4)
    assert [next(results), next(results)] == [0, 1]
    assert len(taken) == 5
    before = threading.active_count()
    results.close()
    assert threading.active_count() == before - 2
