"""Tuning against every filter and every threshold tried one by one, and on models as they are in folders."""

import json

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import given, settings

from earmark.data.dataset import open_dataset, write_layer
from earmark.data.importing import import_dataset
from earmark.data.tables import LABEL_SCHEMA, columns_or_null
from earmark.environment import today
from earmark.errors import InputError
from earmark.events.decisions import decided_events, plain_decisions, read_decisions
from earmark.events.reference import reference_events
from earmark.events.tuning import FILTERS_S, best_decisions, tune_model, tuning_lines
from earmark.features import PRESETS, ClipFrames
from earmark.metrics.criteria import CRITERIA, Criterion
from earmark.metrics.detection import detection_scores
from earmark.models.ensemble import Ensemble, save_ensemble
from earmark.models.settings import BackboneConfig, TaggerConfig
from earmark.models.tagger import Tagger, save_model
from earmark.scores.framewise import ScoredFrames, framewise_clip_scores
from tests.conftest import RATE_HZ, sound
from tests.metrics.event_cases import HOP_US, clips_with_scores, ours
from tests.reference.plain_events import (
    Clip,
    decoded,
    plain_collar_counts,
    plain_intersection_counts,
    plain_segment_counts,
    thresholds_of,
)

CPU = torch.device("cpu")
PLAIN = {
    "collar": lambda events, decided, _: plain_collar_counts(events, decided, 200_000, 200_000, 0.2),
    "segment": lambda events, decided, duration: plain_segment_counts(events, decided, duration, 1_000_000),
    "intersection": lambda events, decided, _: plain_intersection_counts(events, decided, 0.5, 0.5),
}
# In frames of 250 ms: none, 1 (none again), 3, 3 (again), 5.
FILTERS = (0.0, 0.1, 0.5, 0.75, 1.25)
WIDTHS = {0.0: 1, 0.5: 3, 1.25: 5}


def scored_of(clips):
    """The scores of `Clip`s at a rate of a million, so that samples are microseconds."""
    scores = np.concatenate([np.array(clip.scores).T for clip in clips]).astype(np.float32)
    durations, frames = ([clip.duration for clip in clips], [len(clip.edges) - 1 for clip in clips])
    return ScoredFrames(np.arange(len(clips)), np.array(durations), np.array(frames), scores, HOP_US, 1_000_000)


def plainly_filtered(clip, width):
    """A clip whose scores are the medians of so many, mirrored at both ends."""
    half, made = width // 2, []
    for row in clip.scores:
        longer = [*row, *row[::-1]]
        around = [[longer[at % len(longer)] for at in range(i - half, i + half + 1)] for i in range(len(row))]
        made.append([sorted(some)[half] for some in around])
    return Clip(clip.duration, clip.edges, clip.events, made)


def plain_f1(clips, tag, threshold, criterion):
    counts = [PLAIN[criterion](c.events[tag], decoded(c, tag, threshold), c.duration) for c in clips]
    true, false, reference = np.sum(counts, axis=0)
    return 2 * true / (reference + true + false) if reference else np.nan


@pytest.mark.parametrize("criterion", CRITERIA)
@settings(max_examples=60)
@given(clips=clips_with_scores())
def test_no_filter_and_no_threshold_finds_more(criterion, clips):
    tags = [str(tag) for tag in range(len(clips[0].events))]
    found, is_tuned = best_decisions(scored_of(clips), ours(clips), tags, CRITERIA[criterion], FILTERS)
    for tag in range(len(tags)):
        f1 = {}
        for length_s, width in WIDTHS.items():
            smooth = [plainly_filtered(clip, width) for clip in clips]
            f1 |= {(length_s, at): plain_f1(smooth, tag, at, criterion) for at in thresholds_of(smooth, tag)}
        best = np.nan_to_num(list(f1.values())).max()
        chosen_s, threshold = found.median_filter_s[tag], found.thresholds[tag]
        assert is_tuned[tag] == (best > 0)
        if not is_tuned[tag]:
            assert (chosen_s, threshold) == (0.0, 0.5)
            continue
        # The shortest filter that gets there, the highest threshold of it.
        assert chosen_s == min(length_s for (length_s, _), value in f1.items() if value == best)
        highest = max(at for (length_s, at), value in f1.items() if length_s == chosen_s and value == best)
        smooth = [plainly_filtered(clip, WIDTHS[chosen_s]) for clip in clips]
        assert plain_f1(smooth, tag, threshold, criterion) == best
        assert threshold <= highest
        # What lies between the two decides as much.
        assert {f1[chosen_s, at] for at in thresholds_of(smooth, tag) if threshold <= at <= highest} == {best}


def steps(scores, events, duration_us=None, tags=1):
    """One clip of frames of 250 ms."""
    frames = len(scores[0])
    duration = duration_us or frames * HOP_US
    return [Clip(duration, [*range(0, frames * HOP_US, HOP_US), duration], events, scores)]


def test_a_filter_is_taken_where_it_finds_more_and_left_where_it_does_not():
    holes = [0.1, 0.9, 0.9, 0.1, 0.9, 0.9, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1]
    short = [0.1, 0.9, 0.1, 0.1, 0.1, 0.1, 0.9, 0.1, 0.1, 0.1, 0.1, 0.1]
    events = [[(250_000, 1_500_000)], [(250_000, 500_000), (1_500_000, 1_750_000)]]
    clips = steps([holes, short], events)
    found, is_tuned = best_decisions(scored_of(clips), ours(clips), ["holes", "short"], CRITERIA["collar"], FILTERS)
    assert is_tuned.all()
    assert found.median_filter_s == (0.5, 0.0)
    # In the middle between the scores that it tells apart.
    assert found.thresholds == pytest.approx((0.5, 0.5))


def test_filters_of_as_many_frames_are_tried_once_and_one_frame_is_none():
    tried = []

    def curves(reference, scores):
        tried.append(scores.scores[:, 0].tolist())
        return CRITERIA["segment"].curves(reference, scores)

    clips = steps([[0.1, 0.9, 0.1, 0.1, 0.1]], [[(250_000, 500_000)]])
    by = Criterion(CRITERIA["segment"].counts, curves)
    best_decisions(scored_of(clips), ours(clips), ["a"], by, FILTERS)
    assert len(tried) == 3
    assert tried[0] == pytest.approx([0.1, 0.9, 0.1, 0.1, 0.1])


def write_set(folder, splits=("train", "validation", "test"), weak="validation"):
    """Two seconds with a tone in the first or second half, or noise; three strong clips a split, and a weak one."""
    source = folder / "source"
    for number, split in enumerate(splits):
        rows = []
        (source / f"audio/{split}/real").mkdir(parents=True)
        for index, tag in enumerate(("Tone", "Noise", "Tone")):
            wave = 0.001 * np.random.default_rng(index).standard_normal(2 * RATE_HZ)
            first = RATE_HZ * (index % 2)
            wave[first : first + RATE_HZ] += sound(tag, 10 * number + index)
            soundfile.write(source / f"audio/{split}/real/{split}{index}.wav", wave, RATE_HZ)
            rows.append(f"{split}{index}.wav\t{index % 2}\t{index % 2 + 1}\t{tag}")
        (source / f"metadata/{split}").mkdir(parents=True)
        table = "\n".join(("filename\tonset\toffset\tevent_label", *rows)) + "\n"
        (source / f"metadata/{split}/real.tsv").write_text(table)
    soundfile.write(source / f"audio/{weak}/weak.wav", sound("Click", 3), RATE_HZ)
    (source / f"metadata/{weak}/weak.tsv").write_text("filename\tevent_labels\nweak.wav\tClick,Tone\n")
    import_dataset(source, folder / "sounds")
    return open_dataset(folder / "sounds")


def tagger_of(draw, **changes):
    torch.manual_seed(draw)
    config = {
        "front_end": PRESETS["psl"],
        "backbone": BackboneConfig(name="crnn_small"),
        "vocabulary": ("Click", "Noise", "Tone"),
        **changes,
    }
    return Tagger(TaggerConfig(**config)).eval()


@pytest.fixture(scope="module")
def sounds(tmp_path_factory):
    return write_set(tmp_path_factory.mktemp("strong"))


@pytest.fixture
def model(tmp_path):
    save_model(tagger_of(0), tmp_path / "model")
    return tmp_path / "model"


def macro_f1_of(tagger, dataset, decisions, rows, criterion="collar"):
    from earmark.data.packs import open_pack

    scored = framewise_clip_scores(tagger, open_pack(dataset, RATE_HZ), rows, device=CPU)
    counts = CRITERIA[criterion].counts(reference_events(dataset, "given", scored), decided_events(scored, decisions))
    return detection_scores(counts).macro_f1


@pytest.mark.parametrize("criterion", CRITERIA)
def test_a_model_is_tuned_on_the_strong_clips_of_its_validation_split(sounds, model, criterion):
    found = tune_model(model, sounds, criterion=criterion, device=CPU)
    kept = read_decisions(model, sounds.vocabulary.tags)
    assert kept.about == {
        "dataset": "sounds",
        "dataset_digest": sounds.digest,
        "split": "validation",
        "labels": "given",
        "criterion": criterion,
        "num_clips": 3,
        "not_tuned": found["not_tuned"],
        "date": today(),
    }
    # Of the weak clip nothing is known in time.
    assert (found["num_not_strong"], found["num_not_scored"]) == (1, 0)
    assert [row["reference_events"] for row in found["per_tag"]] == [0, 1, 2]
    assert "Click" in found["not_tuned"]
    assert (kept.thresholds[0], kept.median_filter_s[0]) == (0.5, 0.0)
    assert set(kept.median_filter_s) <= set(FILTERS_S)
    strong = np.flatnonzero((sounds.column("split") == "validation") & (sounds.column("labelled") == "strong"))
    assert found["macro_f1"] == macro_f1_of(tagger_of(0), sounds, kept, strong, criterion)
    plain = plain_decisions(kept.tags)
    assert found["macro_f1_before"] == macro_f1_of(tagger_of(0), sounds, plain, strong, criterion)
    assert found["macro_f1"] > found["macro_f1_before"]


def test_the_lines_name_each_tag_and_the_caveat_and_what_was_replaced(sounds, model):
    first, again = (tuning_lines(tune_model(model, sounds, criterion="segment", device=CPU)) for _ in range(2))
    assert first[0] == "sounds, validation split, labels given: 3 clips labelled strong; 1 other not labelled strong"
    assert [line.split()[0] for line in first[2:4]] == ["Noise", "Tone"]
    assert first[4] == "  without events there, kept at threshold 0.5 without a filter: Click"
    assert first[5].endswith("on the very clips that it was tuned on: the latter flatters")
    assert first[6] == f"{model}/events.json: thresholds and filters of 3 tags"
    assert again[6] == f"{first[6]} (instead of those that were there)"
    assert again[:6] == first[:6]


def test_a_file_that_is_damaged_is_replaced(sounds, model):
    (model / "events.json").write_text("{")
    assert tune_model(model, sounds, device=CPU)["replaced"]
    assert read_decisions(model, sounds.vocabulary.tags) is not None


def test_an_ensemble_is_tuned_as_one(sounds, tmp_path):
    members = [tagger_of(draw) for draw in (0, 1)]
    save_ensemble(Ensemble(members), tmp_path / "both")
    found = tune_model(tmp_path / "both", sounds, criterion="segment", device=CPU)
    kept = json.loads((tmp_path / "both" / "events.json").read_text())
    assert kept["thresholds"] == [row["threshold"] for row in found["per_tag"]]
    strong = np.flatnonzero((sounds.column("split") == "validation") & (sounds.column("labelled") == "strong"))
    decisions = read_decisions(tmp_path / "both", sounds.vocabulary.tags)
    assert found["macro_f1"] == macro_f1_of(Ensemble(members), sounds, decisions, strong, "segment")


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (
            {"split": "test"},
            "--split test: what is tuned on the clips that a model is tested on flatters it there",
        ),
        ({"split": "all"}, "--split all: what is tuned on the clips"),
        (
            {"split": "validaton"},
            '--split must be one of validation, train, got "validaton"; did you mean',
        ),
        ({"criterion": "colar"}, '--criterion must be one of collar, segment, intersection, got "colar"; did you mean'),
        ({"layer": "gven"}, '"gven"; did you mean "given"?'),
    ],
)
def test_what_is_asked_for_wrongly_is_answered_in_one_line(sounds, model, asked, message):
    with pytest.raises(InputError) as caught:
        tune_model(model, sounds, device=CPU, **asked)
    assert message in str(caught.value)
    assert not (model / "events.json").exists()


def test_the_truth_about_planted_faults_is_nothing_to_tune_on(tmp_path, model):
    dataset = write_set(tmp_path)
    write_layer(dataset, "truth", LABEL_SCHEMA.empty_table(), role="truth")
    with pytest.raises(InputError, match='label layer "truth" is the truth about planted faults and nothing learns'):
        tune_model(model, dataset, layer="truth", device=CPU)


def test_a_split_without_events_and_a_model_without_time_are_refused(small_dataset, model, tmp_path):
    with pytest.raises(
        InputError, match=r"onset and offset to tune on, found none: of its \d+ clips none is labelled st"
    ):
        tune_model(model, open_dataset(small_dataset), device=CPU)
    save_model(tagger_of(0, clip_frames=ClipFrames(num_frames=64)), tmp_path / "fitted")
    with pytest.raises(InputError, match="a model must keep a time axis to find events"):
        tune_model(tmp_path / "fitted", open_dataset(small_dataset), device=CPU)


def test_strong_clips_in_which_nothing_is_heard_are_nothing_to_tune_on(model, tmp_path):
    dataset = write_set(tmp_path)
    rows = np.flatnonzero(dataset.column("labelled") == "strong")
    removed = columns_or_null(
        2 * len(rows),
        LABEL_SCHEMA,
        clip=dataset.clips["clip"].take(np.tile(rows, 2)),
        tag=np.repeat(["Noise", "Tone"], len(rows)),
        value=np.zeros(2 * len(rows), np.float32),
    )
    write_layer(dataset, "silent", removed)
    with pytest.raises(InputError, match="onset and offset to tune on, found none in 3 clips labelled strong"):
        tune_model(model, dataset, layer="silent", device=CPU)
    assert not (model / "events.json").exists()


def test_a_data_set_without_a_validation_split_says_what_to_do(tmp_path, model):
    dataset = write_set(tmp_path, splits=("test",), weak="test")
    with pytest.raises(InputError) as caught:
        tune_model(model, dataset, device=CPU)
    assert "must have a validation split" in str(caught.value)
    assert "--split all" not in str(caught.value)
    assert "--split test" not in str(caught.value)
