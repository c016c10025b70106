"""How many of a tag's labels are wrong, and how many are missing, by labels that the scores contradict for certain.

Of each tag, the mean score of the clips that have it and the mean score of the others are two thresholds. A score of at
least the first speaks for the tag with confidence, one of at most the second against it; what lies between says
nothing. The share of a tag's labels that are wrong is the share of "against" among those of its labels that are spoken
of; the share of lacking labels that are missing is the share of "for" among those, and with both goes the share of the
clips truly with the tag that lack its label.

That rests on scores that are right where they are confident: what a model cannot hear looks like a wrong label, and
what it mistakes for a tag looks like a missing one. So the estimates of a tag that is scored badly (by its AUC) are too
high. The intervals are of which clips were drawn, and do not know of that.

Source: the confident joint of Northcutt, Jiang and Chuang 2021 (JAIR 70), section 3.1, for each tag as a class of its
own with its absence.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from earmark.data.statements import BoolArray, FloatArray, IntArray
from earmark.metrics.bootstrap import ends, groups_of_clips
from earmark.metrics.resampling import Counts, draw_resamples, weighted_sums

Floats = npt.NDArray[np.float64]

RESAMPLES = 200
CONFIDENCE = 0.95


@dataclass(frozen=True, eq=False)
class Share:
    """Shares and the ends of their 95 % intervals, each (tag,); NaN where nothing tells."""

    value: Floats
    low: Floats
    high: Floats


@dataclass(frozen=True, eq=False)
class Noise:
    """How noisy labels are.

    Attributes:
        wrong: the share of each tag's labels that are wrong.
        missing: of the clips truly with each tag the share without its label.
        all_wrong, all_missing: the same of all tags together, as a share of one (1,).
        wrong_rate, missing_rate: of all judged labels that are given, and of all that are not, the share in error.
        labels, lacking: how many clips have and lack each tag, of those judged, (tag,).
    """

    wrong: Share
    missing: Share
    all_wrong: Share
    all_missing: Share
    wrong_rate: float
    missing_rate: float
    labels: Floats
    lacking: Floats


def estimate_noise(
    given: BoolArray, judged: BoolArray, scores: FloatArray, groups: IntArray, seed: int = 0, resamples: int = RESAMPLES
) -> Noise:
    """Estimates with bootstrap intervals over groups of clips; with a single group the ends are NaN.

    Args:
        given, judged, scores: (clip, tag), see `Audited`.
        groups: of the clips, (clip,).
    """
    group_of_clip, num_groups = groups_of_clips(groups, len(given))
    value = _in_resamples(given, judged, scores, np.ones((len(given), 1), np.uint16))
    drawn = value
    if num_groups > 1:
        draws = draw_resamples(group_of_clip, resamples, seed)
        parts = [_in_resamples(given, judged, scores, counts) for counts in draws]
        drawn = _Resampled(
            *(np.concatenate(columns) for columns in zip(*(part.columns for part in parts), strict=True))
        )
    wrong, missing, all_wrong, all_missing = (
        _share(one, several, num_groups > 1) for one, several in zip(value.shares(), drawn.shares(), strict=True)
    )
    return Noise(wrong, missing, all_wrong, all_missing, *value.rates(), value.labels[0], value.lacking[0])


@dataclass(frozen=True, eq=False)
class _Resampled:
    """Numbers of each resample, each (resample, tag).

    Attributes:
        wrong: share of the tag's labels; unsaid: share of the clips without the label that have the tag.
        labels, lacking: clips with and without the label.
    """

    wrong: Floats
    unsaid: Floats
    labels: Floats
    lacking: Floats

    @property
    def columns(self) -> tuple[Floats, Floats, Floats, Floats]:
        return self.wrong, self.unsaid, self.labels, self.lacking

    def shares(self) -> tuple[Floats, Floats, Floats, Floats]:
        """Wrong and missing by tag (resample, tag), and of all tags (resample, 1)."""
        right, unsaid = self.labels * (1 - self.wrong), self.lacking * self.unsaid
        told = ~np.isnan(right + unsaid)
        labels, right_in_all, unsaid_in_all = (
            np.where(told, part, 0.0).sum(axis=1, keepdims=True) for part in (self.labels, right, unsaid)
        )
        wrong_in_all = _ratio(labels - right_in_all, labels)
        return (
            self.wrong,
            _ratio(unsaid, right + unsaid),
            wrong_in_all,
            _ratio(unsaid_in_all, right_in_all + unsaid_in_all),
        )

    def rates(self) -> tuple[float, float]:
        """The share of all given labels that are wrong, and of all lacking ones that are missing, in the first one."""
        told = ~np.isnan(self.wrong[0] + self.unsaid[0])
        pairs = ((self.wrong[0], self.labels[0]), (self.unsaid[0], self.lacking[0]))
        wrong, unsaid = (float(_ratio((share * of)[told].sum(), of[told].sum())) for share, of in pairs)
        return wrong, unsaid


def _in_resamples(given: BoolArray, judged: BoolArray, scores: FloatArray, counts: Counts) -> _Resampled:
    """The estimates where each clip is in as often as `counts` (clip, resample) says."""
    has, lacks = given & judged, ~given & judged
    labels, lacking = weighted_sums(has, counts), weighted_sums(lacks, counts)
    high = _ratio(weighted_sums(scores * has, counts), labels)
    low = _ratio(weighted_sums(scores * lacks, counts), lacking)
    wrong, unsaid = np.full(high.shape, np.nan), np.full(high.shape, np.nan)
    for tag in range(given.shape[1]):
        # Where the others score higher on average, no score speaks for the tag or against it.
        told = np.flatnonzero(high[:, tag] > low[:, tag])
        if not len(told):
            continue
        above, below = high[told, tag], low[told, tag]
        for_and_against = [
            _spoken(scores[rows, tag], counts[np.ix_(rows, told)], above, below)
            for rows in (np.flatnonzero(has[:, tag]), np.flatnonzero(lacks[:, tag]))
        ]
        (right, against), (unsaid_for, rightly_lacking) = for_and_against
        wrong[told, tag] = _ratio(against, against + right)
        unsaid[told, tag] = _ratio(unsaid_for, unsaid_for + rightly_lacking)
    return _Resampled(wrong, unsaid, labels, lacking)


def _spoken(scores: FloatArray, counts: Counts, above: Floats, below: Floats) -> tuple[Floats, Floats]:
    """How many of some clips score at least `above`, and at most `below`, in each resample, each (resample,).

    Args:
        scores: (clip,). counts: (clip, resample).
        above, below: thresholds, (resample,).
    """
    # Most clips are on the same side of all thresholds; only the others are looked at one by one.
    high = scores >= above.min()
    speak_for = np.einsum("cr,cr->r", scores[high, None] >= above, counts[high], dtype=np.float64)
    open_ = ~(scores <= below.min()) & (scores <= below.max())
    speak_against = counts[scores <= below.min()].sum(axis=0, dtype=np.float64)
    speak_against += np.einsum("cr,cr->r", scores[open_, None] <= below, counts[open_], dtype=np.float64)
    return speak_for, speak_against


def _share(value: Floats, drawn: Floats, has_ends: bool) -> Share:
    """The first resample's values, with the ends of the interval."""
    if not has_ends:
        nothing = np.full(value.shape[1], np.nan)
        return Share(value[0], nothing, nothing)
    return Share(value[0], *ends(drawn, value[0], CONFIDENCE))


def _ratio(part: npt.ArrayLike, whole: npt.ArrayLike) -> Floats:
    """A share; NaN of nothing."""
    part, whole = np.asarray(part, np.float64), np.asarray(whole, np.float64)
    share = np.full(np.broadcast(part, whole).shape, np.nan)
    np.divide(part, whole, out=share, where=whole > 0)
    return share
