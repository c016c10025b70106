"""Event metrics beside sed_eval, sed_scores_eval and psds_eval; `tests/golden/make_event_metrics.py` says how."""

import json
from pathlib import Path

import numpy as np
import pytest

from earmark.metrics.collar_based import Collars, collar_based_counts, collar_based_curves
from earmark.metrics.detection import detection_scores
from earmark.metrics.events import events_from_arrays
from earmark.metrics.framewise import events_from_scores, framewise_scores
from earmark.metrics.intersection_based import Shares, intersection_based_counts, intersection_based_curves
from earmark.metrics.psds import PsdsSettings, psds, psds_from_decisions
from earmark.metrics.segment_based import segment_based_counts, segment_based_curves
from tests.golden import make_event_metrics as golden

RECORD = json.loads(Path(golden.__file__).with_name("event_metrics.json").read_text("utf-8"))
SCENES = {name: golden.scene(name) for name in ("grid", "free")}
UNITS_S = {"hour": 3600.0, "minute": 60.0}


def reference_of(scene):
    columns = [np.array(column) for column in zip(*scene.events, strict=True)]
    return events_from_arrays(*columns, duration_s=scene.duration_s, num_tags=len(golden.TAGS))


def scores_of(scene):
    num_frames = [len(scores) for scores in scene.scores]
    return framewise_scores(np.concatenate(scene.scores), num_frames, hop_s=scene.hop_s, duration_s=scene.duration_s)


def settings_of(row):
    dtc, gtc, cttc, alpha_ct, alpha_st, e_max, unit = row
    return PsdsSettings(Shares(dtc, gtc, cttc), alpha_ct, alpha_st, e_max, UNITS_S[unit])


@pytest.fixture(params=["grid", "free"], scope="module")
def both(request):
    scene = SCENES[request.param]
    return reference_of(scene), scores_of(scene), RECORD["sed_scores_eval"][request.param]


def assert_same_curves(curves, expected):
    """Counts at many thresholds are the same numbers; the best F1, which all points decide, to 1e-12."""
    for tag, curve in enumerate(curves):
        counts = np.array([curve.counts_at(threshold) for threshold in golden.THRESHOLDS]).T
        np.testing.assert_array_equal(counts, [expected["tps"][tag], expected["fps"][tag]])
        threshold, f1 = curve.best_threshold()
        assert f1 == pytest.approx(expected["best"][tag], abs=1e-12)
        # Where the last point is best the peer's threshold is -inf; ours is a score.
        at = curve.thresholds[-1] if expected["at"][tag] == -np.inf else expected["at"][tag]
        assert threshold == pytest.approx(at, abs=1e-12)


@pytest.mark.parametrize("row", range(len(golden.COLLARS)))
def test_collar_based_curves_equal_sed_scores_eval(both, row):
    reference, scores, record = both
    assert_same_curves(collar_based_curves(reference, scores, Collars(*golden.COLLARS[row])), record["collar"][row])


@pytest.mark.parametrize("row", range(len(golden.SEGMENTS_S)))
def test_segment_based_curves_equal_sed_scores_eval(both, row):
    reference, scores, record = both
    curves = segment_based_curves(reference, scores, segment_s=golden.SEGMENTS_S[row])
    assert_same_curves(curves, record["segment"][row])


@pytest.mark.parametrize(("row", "share"), [(0, 0.7), (1, 0.1)])
def test_intersection_based_curves_equal_sed_scores_eval(both, row, share):
    reference, scores, record = both
    assert_same_curves(intersection_based_curves(reference, scores, Shares(share, share)), record["intersection"][row])


@pytest.mark.parametrize("row", range(len(golden.PSDS)))
def test_psds_equals_sed_scores_eval(both, row):
    reference, scores, record = both
    result = psds(reference, scores, settings_of(golden.PSDS[row]))
    assert result.value == pytest.approx(record["psds"][row]["value"], abs=1e-12)
    np.testing.assert_allclose(result.by_tag, record["psds"][row]["by_tag"], rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", RECORD["sed_eval"])
def test_counts_equal_sed_eval(name):
    threshold, kind, length, *rest = name.split()
    scene = SCENES["free"]
    reference, decided = reference_of(scene), events_from_scores(scores_of(scene), float(threshold))
    if kind == "segment":
        counts = segment_based_counts(reference, decided, segment_s=float(length))
    else:
        share, with_offset = rest
        collar = float(length)
        counts = collar_based_counts(
            reference, decided, Collars(collar, collar if with_offset == "True" else None, float(share))
        )
    result, expected = detection_scores(counts), RECORD["sed_eval"][name]
    table = [result.num_reference, result.true_positives + result.false_positives, result.true_positives]
    np.testing.assert_array_equal(table, expected["counts"])
    assert result.macro_f1 == pytest.approx(expected["macro_f1"], abs=1e-12)


@pytest.mark.parametrize("row", range(len(golden.PSDS)))
def test_decisions_equal_psds_eval(row):
    scene, settings = SCENES["free"], settings_of(golden.PSDS[row])
    reference, scores = reference_of(scene), scores_of(scene)
    decisions = [events_from_scores(scores, threshold) for threshold in golden.THRESHOLDS]
    result = psds_from_decisions(reference, decisions, settings)
    assert result.value == pytest.approx(RECORD["psds_eval"]["psds"][row], abs=1e-12)
    decided = events_from_scores(scores, golden.DECIDED_AT[1])
    f1 = detection_scores(intersection_based_counts(reference, decided, settings.shares)).macro_f1
    assert f1 == pytest.approx(RECORD["psds_eval"]["macro_f1"][row], abs=1e-12)
