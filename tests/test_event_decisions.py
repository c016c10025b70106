"""Filters and thresholds that make events of scores, and the file they are kept in."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import median_filter

from earmark.errors import InputError
from earmark.events import decisions as event_decisions
from earmark.events.decisions import (
    EventDecisions,
    decided_events,
    filtered,
    median_filtered,
    plain_decisions,
    read_decisions,
    widths_in_frames,
    write_decisions,
)
from earmark.scores.framewise import ScoredFrames
from earmark.timing import frames_covering
from tests.conftest import TAGS

HOP_SAMPLES, RATE_HZ = 640, 16000


def scored_frames(scores: np.ndarray, num_samples: list[int]) -> ScoredFrames:
    """Scores of clips of these lengths, one after another."""
    num_frames = np.array([frames_covering(n, HOP_SAMPLES, RATE_HZ) for n in num_samples])
    assert len(scores) == num_frames.sum()
    return ScoredFrames(
        np.arange(len(num_samples)), np.array(num_samples), num_frames, scores.astype(np.float32), HOP_SAMPLES, RATE_HZ
    )


@given(st.integers(1, 40), st.lists(st.integers(0, 30), min_size=1, max_size=5), st.integers(0, 1000))
def test_medians_are_those_of_scipy_and_of_a_plain_count(num_frames: int, halves: list[int], seed: int) -> None:
    # Few values, so that many are equal.
    scores = (np.random.default_rng(seed).integers(0, 6, (num_frames, len(halves))) / 5).astype(np.float32)
    widths = 2 * np.array(halves) + 1
    found = median_filtered(scores, widths)
    assert found.dtype == np.float32
    for tag, half in enumerate(halves):
        # There and back again: frames 0 to n - 1, then n - 1 to 0, and so on either way.
        mirrored = np.append(scores[:, tag], scores[::-1, tag])
        around = np.arange(num_frames)[:, None] + np.arange(-half, half + 1)
        np.testing.assert_array_equal(found[:, tag], np.median(mirrored[around % (2 * num_frames)], axis=1))
        # Where a filter reaches over four times the clip's length, scipy mirrors wrongly.
        if half < 4 * num_frames:
            np.testing.assert_array_equal(found[:, tag], median_filter(scores[:, tag], size=2 * half + 1))


def test_medians_do_not_depend_on_how_many_are_sorted_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    scores = np.random.default_rng(0).random((50, 3)).astype(np.float32)
    whole = median_filtered(scores, [5, 9, 5])
    monkeypatch.setattr(event_decisions, "_CELLS_AT_ONCE", 40)
    np.testing.assert_array_equal(median_filtered(scores, [5, 9, 5]), whole)


@pytest.mark.parametrize("width", [0, 2, -1])
def test_a_filter_has_a_middle(width: int) -> None:
    with pytest.raises(ValueError, match=f"must be an odd number of frames, got 1, {width}"):
        median_filtered(np.zeros((4, 2), np.float32), [1, width])


@given(st.integers(0, 200), st.integers(32, 2000), st.sampled_from([8000, 16000, 32000, 44100]))
def test_a_filter_of_so_many_frames_in_seconds_has_so_many(half: int, hop_samples: int, rate_hz: int) -> None:
    width = 2 * half + 1
    assert widths_in_frames(width * hop_samples / rate_hz, hop_samples, rate_hz) == width
    assert widths_in_frames(0.0, hop_samples, rate_hz) == 1


def test_each_clip_is_filtered_by_itself_and_each_tag_by_its_own_filter() -> None:
    num_samples = [10 * HOP_SAMPLES, 3 * HOP_SAMPLES + 100, 1]
    scores = np.random.default_rng(1).random((15, 3)).astype(np.float32)
    decisions = EventDecisions(
        tags=TAGS,
        thresholds=(0.5, 0.5, 0.5),
        median_filter_s=(0.0, 3 * HOP_SAMPLES / RATE_HZ, 9 * HOP_SAMPLES / RATE_HZ),
    )
    found = filtered(scored_frames(scores, num_samples), decisions)
    for first, end in ((0, 10), (10, 14), (14, 15)):
        for tag, width in enumerate((1, 3, 9)):
            np.testing.assert_array_equal(found[first:end, tag], median_filter(scores[first:end, tag], size=width))


def test_events_are_decided_on_filtered_scores_by_each_tags_threshold() -> None:
    scores = np.zeros((8, 2))
    scores[[1, 2, 4, 5], 0] = 0.7
    scores[[1, 2, 4, 5], 1] = 0.7
    scored = scored_frames(scores, [7 * HOP_SAMPLES + 200])
    plain = decided_events(scored, plain_decisions(("a", "b")))
    assert plain.tag.tolist() == [0, 0, 1, 1]
    assert (plain.onset_us[:2] / 40_000).tolist() == [1, 4]
    decisions = EventDecisions(tags=("a", "b"), thresholds=(0.7, 0.71), median_filter_s=(0.12, 0.0))
    found = decided_events(scored, decisions)
    assert found.tag.tolist() == [0]
    assert (found.onset_us[0], found.offset_us[0]) == (40_000, 6 * 40_000)
    scores[7] = 0.9
    ends = decided_events(scored_frames(scores, [7 * HOP_SAMPLES + 200]), plain_decisions(("a", "b"), threshold=0.9))
    assert ends.offset_us.tolist() == [292_500, 292_500]


def test_decisions_are_kept_beside_the_model_of_a_run(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text("{}")
    assert read_decisions(tmp_path, TAGS) is None
    decisions = EventDecisions(
        tags=TAGS,
        thresholds=(0.1, float(np.float32(0.3)), 1),
        median_filter_s=(0, 0.45, 60),
        about={"criterion": "collar"},
    )
    assert write_decisions(tmp_path, decisions) == tmp_path / "model" / "events.json"
    assert read_decisions(tmp_path, TAGS) == read_decisions(tmp_path / "model", list(TAGS)) == decisions


def test_decisions_of_another_model_or_damaged_are_refused(tmp_path: Path) -> None:
    path = write_decisions(tmp_path, plain_decisions(TAGS))
    with pytest.raises(
        InputError, match=r"events\.json: must be of the model's tags: only one of them has Tone, Dog; tune"
    ):
        read_decisions(tmp_path, ("Click", "Noise", "Dog"))
    with pytest.raises(InputError, match="model's tags: their order differs"):
        read_decisions(tmp_path, TAGS[::-1])
    whole = json.loads(path.read_text())
    for change, message in (
        (
            {"thresholds": [0.5, 0.5]},
            r"events\.json: thresholds must be one a tag \(3\), found 2; tune the model again",
        ),
        ({"thresholds": [0.5, 0.5, 2]}, r"events\.json: thresholds\.2 must be at most 1; tune"),
        ({"median_filter_s": [0.5, 0.5, 61]}, r"median_filter_s\.2 must be at most 60"),
        ({"tags": None}, "tags must be a list"),
    ):
        path.write_text(json.dumps(whole | change))
        with pytest.raises(InputError, match=message):
            read_decisions(tmp_path, TAGS)
    path.write_text('{"tags": ["Cli')
    with pytest.raises(InputError, match=r"events\.json: "):
        read_decisions(tmp_path, TAGS)
