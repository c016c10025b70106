import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from earmark.metrics.ranks import ranks_of


def assert_as_sorted(places, scores):
    """As a sort of all scores has it."""
    found, below, not_above = ranks_of(places, scores)
    expected, in_order = np.sort(scores[places]), np.sort(scores)
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(below, np.searchsorted(in_order, expected, "left"))
    np.testing.assert_array_equal(not_above, np.searchsorted(in_order, expected, "right"))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@given(data=st.data())
def test_any_scores_are_ranked_as_by_a_sort(dtype, data):
    some = data.draw(st.lists(st.floats(allow_nan=False, width=np.dtype(dtype).itemsize * 8), min_size=1, max_size=6))
    finite = st.sampled_from([*some, 0.0, -0.0, -np.inf]).filter(lambda score: score < np.inf)
    scores = data.draw(arrays(dtype, st.integers(1, 30), elements=finite))
    places = data.draw(st.lists(st.integers(0, len(scores) - 1), unique=True))
    assert_as_sorted(np.array(places, np.int64), scores)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("scale", [1.0, 1e-6])
def test_scores_that_share_their_first_bits_are_told_apart(dtype, scale):
    draw = np.random.default_rng(0)
    # Far fewer different keys than scores, and one score far away, which makes keys coarser still.
    scores = np.append(0.5 + scale * draw.random(20_000), -np.inf).astype(dtype)
    assert_as_sorted(draw.choice(20_000, 300, replace=False), scores)
