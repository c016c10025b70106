"""How likely each label is an error, by scores of models that never saw the clip: one order of wrong and missing ones.

The log odds x = ln(p / (1 - p)) of a tag's scores p are taken to lie normally around one mean where the clip has the
tag and around another where it lacks it, with the same variance v. Then

    l = (m1 - m0) / v (x - (m0 + m1) / 2)

is the logarithm of how much likelier x is where the tag is there. With a share w of given labels that are wrong and a
share q of lacking ones that are missing, the probability of an error is, by Bayes' rule,

    wrong: s(ln(w / (1 - w)) - l)    missing: s(ln(q / (1 - q)) + l)    with s(z) = 1 / (1 + exp(-z))

m0, m1 and v are of each tag's clips by the labels as they are; w and q are estimates for all tags (`noise`). The score
at which a probability is reached is the tag's threshold. A score is so measured by what its tag's scores usually are:
a rare tag, whose scores are all low, is no more suspect than a frequent one.

Source: normal discriminant analysis, as in Hastie, Tibshirani and Friedman 2009, section 4.3, with labels for classes;
the class-conditional noise of Northcutt, Jiang and Chuang 2021 (JAIR 70), which normalise by mean scores instead.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from earmark.data.statements import BoolArray, FloatArray

Floats = npt.NDArray[np.float64]

LEAST_SCORE = 1e-5
"""Scores nearer to 0 or 1 are as far from the middle as this one: their odds would say more than a model knows."""
LEAST_VARIANCE = 0.01
MOST_RATE = 0.5


@dataclass(frozen=True, eq=False)
class Odds:
    """What a tag's scores say of its presence: l = slope (x - middle) of log odds x.

    Attributes:
        slope, middle: (tag,); the slope is 0 for a tag whose clips score no higher than others: nothing is said of it.
        wrong_rate, missing_rate: shares of given labels that are wrong, and of lacking ones that are missing.
    """

    slope: Floats
    middle: Floats
    wrong_rate: float
    missing_rate: float

    def ratio(self, scores: FloatArray) -> FloatArray:
        """l of scores (clip, tag), float32: above 0 where the score is likelier with the tag than without it."""
        ratio: FloatArray = (self.slope * (log_odds(scores) - self.middle)).astype(np.float32)
        return ratio

    def of_error(self, given: BoolArray, scores: FloatArray) -> FloatArray:
        """The log odds that a label, given or lacking, is an error, float32 (clip, tag): what labels are ordered by."""
        ratio = self.ratio(scores)
        prior = np.where(given, logit(self.wrong_rate), logit(self.missing_rate))
        odds: FloatArray = (prior - np.where(given, ratio, -ratio)).astype(np.float32)
        return odds

    def thresholds(self, least: float) -> tuple[Floats, Floats]:
        """The score under which a given label, and over which a lacking one, is that likely an error, (tag,) each.

        NaN for a tag of which nothing is said.
        """
        with np.errstate(divide="ignore", invalid="ignore"):
            wrong = self.middle + (logit(self.wrong_rate) - logit(least)) / self.slope
            missing = self.middle - (logit(self.missing_rate) - logit(least)) / self.slope
        said = self.slope > 0
        wrong, missing = (np.where(said, probability(x), np.nan) for x in (wrong, missing))
        return wrong, missing


def fit_odds(given: BoolArray, judged: BoolArray, scores: FloatArray, wrong_rate: float, missing_rate: float) -> Odds:
    """The odds of every tag by its clips with and without it.

    Args:
        given, judged, scores: (clip, tag), see `Audited`.
        wrong_rate, missing_rate: NaN where nothing tells; no share is taken to be over a half, or as none at all.
    """
    x = log_odds(scores)
    has, lacks = given & judged, ~given & judged
    labels, lacking = has.sum(axis=0), lacks.sum(axis=0)
    with np.errstate(invalid="ignore"):
        with_tag, without = ((x * part).sum(axis=0) / part.sum(axis=0) for part in (has, lacks))
    squares = np.where(has, (x - with_tag) ** 2, 0).sum(axis=0) + np.where(lacks, (x - without) ** 2, 0).sum(axis=0)
    variance = np.maximum(squares / np.maximum(labels + lacking, 1), LEAST_VARIANCE)
    apart = np.nan_to_num(with_tag - without, nan=0.0)
    rates = (_rate(wrong_rate, int(labels.sum())), _rate(missing_rate, int(lacking.sum())))
    middle = np.nan_to_num((with_tag + without) / 2, nan=0.0)
    return Odds(np.where(apart > 0, apart, 0.0) / variance, middle, *rates)


def log_odds(scores: FloatArray) -> Floats:
    """ln(p / (1 - p)), of scores no nearer to 0 and 1 than LEAST_SCORE.

    >>> log_odds(np.array([0.0, 0.5, 1.0], np.float32)).round(2).tolist()
    [-11.51, 0.0, 11.51]
    """
    return logit(np.clip(scores.astype(np.float64), LEAST_SCORE, 1 - LEAST_SCORE))


def logit(share: npt.ArrayLike) -> Floats:
    """ln(p / (1 - p))."""
    share = np.asarray(share, np.float64)
    odds: Floats = np.log(share / (1 - share))
    return odds


def probability(log_odds: npt.ArrayLike) -> Floats:
    """The inverse of `logit`.

    >>> probability([-1000.0, 0.0, 1000.0]).tolist()
    [0.0, 0.5, 1.0]
    """
    half = np.tanh(np.asarray(log_odds, np.float64) / 2)
    shares: Floats = (1 + half) / 2
    return shares


def _rate(share: float, count: int) -> float:
    """A share of so many, as a prior probability: at least that of half a one, at most a half."""
    least = 0.5 / (count + 1)
    return least if np.isnan(share) else float(np.clip(share, least, MOST_RATE))
