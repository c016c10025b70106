"""What an evaluation was made of, written and read back."""

import numpy as np
import pytest

from earmark.errors import InputError
from earmark.scores.evaluated import evaluated_scores_path, read_evaluated_scores
from tests.made_runs import TAGS, scores_for, some_truth, write_evaluated_run

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
