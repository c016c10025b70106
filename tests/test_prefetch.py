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


def test_several_threads_work_at_the_same_time_prepared_once() -> None:
    together, prepared = threading.Barrier(3, timeout=20), []
    assert list(mapped(lambda item: together.wait() >= 0, range(6), 3, prepare=prepared.append)) == [True] * 6
    assert len(prepared) == 1


def test_a_failing_function_arrives_at_its_item() -> None:
    results = mapped(lambda item: 1 / item, [1, 2, 0, 4], 2)
    assert [next(results), next(results)] == [1, 0.5]
    with pytest.raises(ZeroDivisionError):
        next(results)


def test_a_failing_source_arrives_after_the_results_before_it() -> None:
    def broken():
        yield from (1, 2, 3)
        raise KeyError("here")

    begun = threading.Event()
    results = mapped(lambda item: begun.wait(20) and item, broken(), 2)
    threading.Timer(0.05, begun.set).start()
    assert [next(results), next(results), next(results)] == [1, 2, 3]
    with pytest.raises(KeyError, match="here"):
        next(results)


def test_what_is_done_is_given_before_the_source_has_more() -> None:
    def slow():
        yield 1
        time.sleep(0.05)
        yield 2
        raise KeyError("asked for more than was needed")

    assert next(mapped(abs, slow(), 2)) == 1


def test_no_more_than_two_items_a_thread_are_taken_and_what_nobody_works_on_is_left() -> None:
    taken, worked, go_on = [], [], threading.Event()

    def work(item: int) -> int:
        worked.append(item)
        while item == 0 and len(taken) < 4:
            time.sleep(0.001)
        assert item == 0 or go_on.wait(20)
        return item

    before = threading.active_count()
    results = mapped(work, (taken.append(i) or i for i in range(100)), 2)
    assert next(results) == 0
    later = threading.Timer(0.2, go_on.set)
    later.start()
    results.close()
    later.join()
    assert taken == [0, 1, 2, 3]
    assert 3 not in worked
    assert threading.active_count() == before
