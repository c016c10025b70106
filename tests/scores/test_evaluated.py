"""What an evaluation was made of, written and read back."""

import numpy as np
import pytest

from earmark.errors import InputError
from earmark.scores.evaluated import (
    SAME_TIME_US,
    EvaluatedEvents,
    evaluated_events_path,
    evaluated_scores_path,
    read_evaluated_events,
    read_evaluated_scores,
    write_evaluated_events,
)
from tests.made_runs import TAGS, scores_for, some_truth, write_evaluated_run, write_event_evaluation

TRUTH = some_truth()


@pytest.fixture
def run(tmp_path):
    return write_evaluated_run(tmp_path / "run", TRUTH, scores_for(TRUTH))


def test_what_is_kept_comes_back(run, tmp_path):
    kept = read_evaluated_scores(evaluated_scores_path(run, "test", "given"))
    assert kept.tags == TAGS
    np.testing.assert_array_equal(kept.scores, scores_for(TRUTH))
    np.testing.assert_array_equal(kept.truth, TRUTH)
    assert kept.scores.dtype == np.float32
    assert list(kept.clips[:2]) == ["clip-0000", "clip-0001"]
    assert kept.groups.tolist() == [k // 2 for k in range(40)]
    assert kept.drawn["d_prime"].shape == (100,)
    assert kept.drawn_average_precision.shape == (100, 3)
    assert sorted(path.name for path in (run / "evaluation").iterdir()) == ["test-scores.npz", "test.json"]
    with pytest.raises(FileNotFoundError):
        read_evaluated_scores(tmp_path / "none.npz")


def test_a_file_that_cannot_be_read(run):
    path = evaluated_scores_path(run, "test", "given")
    message = r"test-scores.npz: cannot be read as the scores of an evaluation, .*; evaluate again"
    whole = path.read_bytes()
    with path.open("wb") as file:
        np.savez(file, clips=np.zeros(3))
    with pytest.raises(InputError, match=message):
        read_evaluated_scores(path)
    for damaged in (whole[:-100], whole[: len(whole) // 2] + b"x" * 99 + whole[len(whole) // 2 + 99 :], b""):
        path.write_bytes(damaged)
        with pytest.raises(InputError, match=message):
            read_evaluated_scores(path)


def test_other_labels_lie_beside(tmp_path):
    assert evaluated_scores_path(tmp_path, "test", "truth") == tmp_path / "evaluation" / "test-truth-scores.npz"
    path = evaluated_events_path(tmp_path, "test", "truth")
    assert path == tmp_path / "evaluation" / "events" / "test-truth-resamples.npz"


def test_what_is_kept_of_events_comes_back(tmp_path):
    results = write_event_evaluation(tmp_path)
    kept = read_evaluated_events(evaluated_events_path(tmp_path, "test", "given"))
    assert (kept.tags, kept.clips[-1]) == (TAGS, "clip-0011")
    for name in ("clip", "tag", "onset_us", "offset_us"):
        np.testing.assert_array_equal(getattr(kept, name), getattr(results.reference, name))
    np.testing.assert_array_equal(kept.drawn["collar_based_f1"], results.intervals["collar"].drawn[0])
    np.testing.assert_array_equal(kept.drawn["segment_based_recall"], results.intervals["segment"].drawn[2])
    np.testing.assert_array_equal(kept.drawn["psds_2"], results.psds["psds_2"].drawn)
    # Small: what grows with the clips is their names and events.
    assert evaluated_events_path(tmp_path, "test", "given").stat().st_size < 20_000


def events_of(clips, rows):
    """Rows are (clip, tag, onset, offset): places among the clips, and microseconds."""
    clip, tag, onset_us, offset_us = np.array(rows, np.int64).reshape(-1, 4).T
    return EvaluatedEvents(
        clips=np.array(clips), tags=("Bark", "Hum"), drawn={}, draws="", clip=clip, tag=tag, onset_us=onset_us,
        offset_us=offset_us,
    )  # fmt: skip


def test_other_events_are_found_whatever_the_order_of_clips(tmp_path):
    ours = events_of(["b", "a"], [(0, 0, 0, 10), (0, 0, 5000, 9000), (1, 1, 0, 10)])
    assert ours.other_labels(events_of(["a", "b"], [(0, 1, 0, 10), (1, 0, 5000, 9000), (1, 0, 0, 10)])) == []
    near = events_of(["a", "b"], [(0, 1, 0, 10 + SAME_TIME_US), (1, 0, 0, 10), (1, 0, 5000, 9000)])
    assert ours.other_labels(near) == near.other_labels(ours) == []
    late = events_of(["a", "b"], [(0, 1, 0, 11 + SAME_TIME_US), (1, 0, 0, 10), (1, 0, 5000, 9000)])
    assert ours.other_labels(late) == [("a", "Hum")]
    fewer = events_of(["a", "b"], [(0, 1, 0, 10), (1, 0, 0, 10)])
    assert ours.other_labels(fewer) == fewer.other_labels(ours) == [("b", "Bark")]
    none = events_of(["a", "b"], [])
    assert ours.other_labels(none) == [("a", "Hum"), ("b", "Bark")]
    assert none.other_labels(none) == []
    # Without any event there is a file all the same.
    write_evaluated_events(tmp_path / "none.npz", none)
    assert read_evaluated_events(tmp_path / "none.npz").clip.shape == (0,)
