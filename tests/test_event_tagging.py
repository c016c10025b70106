"""Events of recordings: as they end, over windows, and the same as those of packed clips."""

import logging
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import given
from hypothesis import strategies as st

import earmark
from earmark.data.dataset import open_dataset
from earmark.data.importing import import_dataset
from earmark.data.packs import open_pack
from earmark.errors import InputError
from earmark.events.decisions import EventDecisions, decided_events, median_filtered, plain_decisions, write_decisions
from earmark.events.stream import Event, EventStream
from earmark.events.tagging import EndOfRecording, EventTagger
from earmark.features import ClipFrames
from earmark.metrics.events import Events, microseconds
from earmark.models.ensemble import Ensemble, Model, save_ensemble
from earmark.models.settings import ScoreRange
from earmark.models.tagger import load_model, save_model
from earmark.scores.framewise import ScoredFrames, framewise_clip_scores, step_samples
from earmark.tagging import Unreadable
from earmark.timing import frames_covering
from tests.conftest import RATE_HZ, TAGS, sound

CPU = torch.device("cpu")


def as_rows(events: Events, clip: int) -> list[tuple[str, int, int]]:
    """Tag, onset and offset in microseconds of a clip's events, in the order of their ends."""
    own = events.clip == clip
    rows = zip(events.tag[own].tolist(), events.onset_us[own].tolist(), events.offset_us[own].tolist(), strict=True)
    return [(TAGS[tag], onset, offset) for tag, onset, offset in sorted(rows, key=lambda row: (row[2], row[0]))]


def rows_of(events: list[Event]) -> list[tuple[str, int, int]]:
    return [(event.tag, int(microseconds(event.onset)), int(microseconds(event.offset))) for event in events]


@given(
    st.lists(st.integers(0, 12), min_size=1, max_size=8),
    st.lists(st.integers(0, 9), min_size=3, max_size=3),
    st.lists(st.sampled_from([0.0, 0.2, 0.4, 0.5, 1.0]), min_size=3, max_size=3),
    st.integers(0, 319),
    st.integers(0, 1000),
)
def test_a_stream_decides_as_if_it_had_all_frames(
    lengths: list[int], halves: list[int], thresholds: list[float], rest: int, seed: int
) -> None:
    num_frames = max(1, sum(lengths))
    num_samples = (num_frames - 1) * 320 + 1 + rest
    num_frames = frames_covering(num_samples, 320, RATE_HZ)
    # Few values, so that many are at a threshold.
    scores = (np.random.default_rng(seed).integers(0, 6, (num_frames, 3)) / 5).astype(np.float32)
    widths = [(2 * half + 1) * 320 / RATE_HZ for half in halves]
    decisions = EventDecisions(tags=TAGS, thresholds=tuple(thresholds), median_filter_s=tuple(widths))
    stream = EventStream("a.wav", decisions, 320, RATE_HZ)
    events = [event for part in np.split(scores, np.cumsum(lengths)) for event in stream.add(part)]
    events += stream.finish(num_samples)
    one = np.zeros(1, np.int64)
    scored = ScoredFrames(one, one + num_samples, one + num_frames, scores, 320, RATE_HZ)
    assert rows_of(events) == as_rows(decided_events(scored, decisions), 0)
    for event in events:
        first, end = round(event.onset * 50), -int(-event.offset * RATE_HZ // 320)
        assert event.score == scores[first : max(end, first + 1), TAGS.index(event.tag)].max()


def test_an_event_is_given_as_soon_as_the_filter_knows_that_it_has_ended() -> None:
    decisions = EventDecisions(tags=("a", "b"), thresholds=(0.5, 0.5), median_filter_s=(0.1, 0.0))
    stream = EventStream("a.wav", decisions, 320, RATE_HZ)
    scores = np.zeros((12, 2), np.float32)
    scores[2:6] = 0.8
    scores[4] = 0.9
    given_at = {}
    for frame in range(12):
        given_at |= {event.tag: (frame, event) for event in stream.add(scores[frame : frame + 1])}
    # Frame 6 is the first outside; the longest filter has 5 frames, two of them behind.
    assert {tag: frame for tag, (frame, _) in given_at.items()} == {"a": 8, "b": 8}
    assert given_at["a"][1] == Event("a.wav", 0.04, 0.12, "a", float(np.float32(0.9)))
    assert stream.finish(12 * 320) == []


def test_a_filter_and_a_stream_agree_on_a_long_filter_and_a_short_recording() -> None:
    scores = np.array([[0.9], [0.1], [0.8]], np.float32)
    decisions = plain_decisions(("a",), median_filter_s=60.0)
    stream = EventStream("a.wav", decisions, 320, RATE_HZ)
    assert stream.add(scores) == []
    (event,) = stream.finish(960)
    assert (event.onset, event.offset) == (0.0, 0.06)
    assert (median_filtered(scores, 3001) >= 0.5).all()


LENGTHS_S = (1.0, 0.3, 5.0, 29.99, 30.0, 30 + 1 / RATE_HZ, 31.003, 36.5, 44.77, 0.02)


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set of recordings of several lengths, sounds of all tags in each, its folder."""
    folder = tmp_path_factory.mktemp("recordings")
    for number, seconds in enumerate(LENGTHS_S):
        draw = np.random.default_rng(number)
        parts, left = [], round(seconds * RATE_HZ)
        while left > 0:
            kind, length = draw.integers(0, 4), min(left, int(draw.integers(1000, 20000)))
            whole = np.zeros(RATE_HZ * 2) if kind == 3 else sound(TAGS[kind], 70 + number, 2.0)
            parts.append(whole[:length])
            left -= length
        path = folder / "audio" / TAGS[number % 3] / f"{number}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, np.concatenate(parts), RATE_HZ)
    import_dataset(folder / "audio", folder / "set")
    return folder / "set"


def check_against_packed_clips(model: Model, decisions: EventDecisions, folder: Path) -> list[Event]:
    """That the streamed events are those of the recordings as packed clips; the events."""
    dataset = open_dataset(folder)
    rows = np.arange(dataset.num_clips)
    scored = framewise_clip_scores(model, open_pack(dataset, RATE_HZ), rows, device=CPU)
    expected = decided_events(scored, decisions)
    paths = [str(dataset.audio_path(row)) for row in rows]
    found = list(EventTagger(model, decisions, CPU).tag(paths))
    ends = [item for item in found if isinstance(item, EndOfRecording)]
    assert [end.path for end in ends] == paths
    events = [item for item in found if isinstance(item, Event)]
    for place, end in enumerate(ends):
        own = [event for event in events if event.path == end.path]
        assert len(own) == end.num_events
        assert rows_of(own) == as_rows(expected, place)
        for event in own:
            first = round(event.onset * RATE_HZ / scored.hop_samples)
            last = max(first + 1, -int(-event.offset * RATE_HZ // scored.hop_samples))
            best = scored.of(place)[first:last, TAGS.index(event.tag)].max()
            assert event.score == pytest.approx(best, abs=1e-5)
    return events


@pytest.mark.parametrize("filter_s", [(0.0, 0.0, 0.0), (0.0, 0.2, 0.36), (0.2, 3.0, 7.0)])
def test_events_of_files_are_those_of_packed_clips(
    filter_s: tuple[float, ...], small_run: Path, recordings: Path
) -> None:
    model = load_model(small_run)
    assert model.config.training_length_s == 1.0  # windows of a second, every half of it
    decisions = EventDecisions(tags=TAGS, thresholds=(0.3, 0.5, 0.6), median_filter_s=filter_s)
    events = check_against_packed_clips(model, decisions, recordings)
    assert {event.tag for event in events} == set(TAGS)
    # Some go on over several windows of a long recording.
    assert max(event.offset - event.onset for event in events if event.onset > 1) > 1.2


def test_events_of_an_ensemble_are_those_of_its_mean(small_run: Path, recordings: Path, tmp_path: Path) -> None:
    members = [load_model(small_run), load_model(small_run)]
    with torch.no_grad():
        for weight in members[1].head.parameters():
            weight.mul_(0.2)
    ensemble = Ensemble(members)
    decisions = plain_decisions(TAGS, threshold=0.55, median_filter_s=0.2)
    events = check_against_packed_clips(ensemble, decisions, recordings)
    save_ensemble(ensemble, tmp_path / "model")
    write_decisions(tmp_path / "model", decisions)
    path = events[0].path
    rows = earmark.load_event_tagger(tmp_path / "model", device="cpu")(path)
    by_onset = sorted((event for event in events if event.path == path), key=lambda event: (event.onset, event.offset))
    assert [(row["tag"], row["onset"], row["offset"]) for row in rows] == [
        (event.tag, event.onset, event.offset) for event in by_onset
    ]
    assert rows != earmark.load_event_tagger(small_run, device="cpu")(path)


def test_frames_that_inside_frames_lack_are_decided_too(small_run: Path, recordings: Path) -> None:
    model = load_model(small_run)
    front_end = model.config.front_end.model_copy(update={"frames": "inside"})
    inside = type(model)(model.config.model_copy(update={"front_end": front_end, "fixed_frames": 320})).eval()
    inside.load_state_dict(model.state_dict())
    check_against_packed_clips(inside, plain_decisions(TAGS, median_filter_s=0.5), recordings)


def test_a_recording_that_breaks_off_gives_the_events_before_the_break(small_run: Path, tmp_path: Path) -> None:
    waveform = np.concatenate([sound("Tone", 300, 1.0), sound("Noise", 300, 44.5)])
    paths = [str(tmp_path / name) for name in ("broken.flac", "gone.wav", "whole.flac")]
    soundfile.write(paths[0], waveform, RATE_HZ)
    whole = Path(paths[0]).read_bytes()
    Path(paths[0]).write_bytes(whole[: len(whole) * 9 // 10])
    # What can be read: whole blocks of a second of those 2 ** 19 samples that are decoded at once.
    soundfile.write(paths[2], waveform[: 32 * RATE_HZ], RATE_HZ)
    tagger = EventTagger(load_model(small_run), plain_decisions(TAGS), CPU)
    found = list(tagger.tag(paths))
    assert [item.path for item in found] == sorted((item.path for item in found), key=paths.index)
    *before, broken = [item for item in found if item.path == paths[0]]
    *expected, end = [item for item in found if item.path == paths[2]]
    assert isinstance(broken, Unreadable)
    assert "truncated" in broken.problem
    assert isinstance(end, EndOfRecording)
    events = [item for item in before if isinstance(item, Event)]
    assert rows_of(events) == rows_of([item for item in expected if isinstance(item, Event)])
    assert max(event.offset for event in events) == 32.0
    assert [item for item in found if item.path == paths[1]] == [
        Unreadable(paths[1], "missing: there is no file of that name")
    ]
    with pytest.raises(InputError, match=r"broken\.flac: truncated"):
        tagger(paths[0])


def test_tuned_decisions_are_taken_unless_others_are_given(
    small_run: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    folder = tmp_path / "model"
    save_model(load_model(small_run), folder)
    assert earmark.load_event_tagger(folder, "cpu").decisions == plain_decisions(TAGS)
    assert caplog.messages == [
        f"nothing was tuned for {folder} by earmark tune: a threshold of 0.5 and no median filter for every tag"
    ]
    caplog.clear()
    earmark.load_event_tagger(folder, "cpu", threshold=0.2)
    assert caplog.messages == [f"nothing was tuned for {folder} by earmark tune: no median filter for every tag"]
    caplog.clear()
    tuned = EventDecisions(tags=TAGS, thresholds=(0.1, 0.2, 0.3), median_filter_s=(0.1, 0.2, 0.3))
    write_decisions(folder, tuned)
    assert earmark.load_event_tagger(folder, "cpu").decisions == tuned
    given = earmark.load_event_tagger(folder, "cpu", threshold=0.0).decisions
    assert given == tuned.model_copy(update={"thresholds": (0.0, 0.0, 0.0)})
    given = earmark.load_event_tagger(folder, "cpu", median_filter_s=0.0).decisions
    assert given == tuned.model_copy(update={"median_filter_s": (0.0, 0.0, 0.0)})
    assert caplog.messages == []
    for name in ("threshold", "median_filter_s"):
        for value in (-0.1, float("nan"), 61.0):
            with pytest.raises(InputError, match=f"{name} must be 0 to "):
                earmark.load_event_tagger(folder, "cpu", **{name: value})


def test_models_without_a_time_axis_or_scaled_by_test_clips_find_no_events(small_run: Path, tmp_path: Path) -> None:
    fitted = load_model(small_run)
    fitted.config = fitted.config.model_copy(update={"clip_frames": ClipFrames(num_frames=400)})
    save_model(fitted, tmp_path / "fitted")
    with pytest.raises(InputError, match="a model must keep a time axis to find events, this one repeats or thins"):
        earmark.load_event_tagger(tmp_path / "fitted", "cpu")
    ranged = load_model(small_run)
    score_range = ScoreRange(on="test", low=(0.0,) * 3, high=(1.0,) * 3)
    ranged.config = ranged.config.model_copy(update={"score_range": score_range})
    save_model(ranged, tmp_path / "ranged")
    with pytest.raises(InputError, match="must scale scores by its validation clips"):
        earmark.load_event_tagger(tmp_path / "ranged", "cpu")


def test_memory_does_not_grow_with_the_recording(small_run: Path, tmp_path: Path) -> None:
    peaks = []
    model = load_model(small_run)
    decisions = plain_decisions(TAGS, threshold=0.0, median_filter_s=2.0)
    for minutes in (4, 16):
        path = tmp_path / f"{minutes}.wav"
        soundfile.write(path, np.zeros(minutes * 60 * RATE_HZ, np.int16), RATE_HZ)
        tagger = EventTagger(model, decisions, CPU)
        tracemalloc.start()
        events = [item for item in tagger.tag([str(path)]) if isinstance(item, Event)]
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        # One event a tag, over hundreds of windows.
        assert [(event.onset, event.offset) for event in events] == [(0.0, minutes * 60.0)] * 3
    assert peaks[1] < 1.2 * peaks[0]
    assert step_samples(model) * 3 < RATE_HZ
