"""Slow, obvious versions of the clipwise metrics: one loop a definition, no sorting tricks."""

import itertools
import math


def plain_average_precision(truth, scores):
    """One tag's: walk down the distinct scores, adding the gain in recall times the precision."""
    positives = sum(truth)
    if positives == 0:
        return math.nan
    total, recall_before = 0.0, 0.0
    for threshold in sorted(set(scores), reverse=True):
        chosen = [true for true, score in zip(truth, scores, strict=True) if score >= threshold]
        recall = sum(chosen) / positives
        total += (recall - recall_before) * sum(chosen) / len(chosen)
        recall_before = recall
    return total


def plain_roc_auc(truth, scores):
    """One tag's: every pair of a positive and a negative, a tie counting half."""
    positive = [score for true, score in zip(truth, scores, strict=True) if true]
    negative = [score for true, score in zip(truth, scores, strict=True) if not true]
    pairs = [(above > below) + (above == below) / 2 for above in positive for below in negative]
    return sum(pairs) / len(pairs) if pairs else math.nan


def plain_by_tag(metric, truth, scores, weights):
    """A metric of one tag for each column, over the clips annotated for it."""
    values = []
    for tag in range(len(truth[0])):
        clips = [clip for clip in range(len(truth)) if weights[clip][tag] > 0]
        values.append(metric([truth[clip][tag] for clip in clips], [scores[clip][tag] for clip in clips]))
    return values


def plain_mean(values):
    """The mean of what is not NaN."""
    defined = [value for value in values if not math.isnan(value)]
    return sum(defined) / len(defined) if defined else math.nan


def annotated_tags(truth, scores, weights):
    """Each clip's (truth, score) pairs of its annotated tags."""
    for clip in range(len(truth)):
        yield [(bool(truth[clip][tag]), scores[clip][tag]) for tag in range(len(truth[clip])) if weights[clip][tag] > 0]


def plain_lwlrap(truth, scores, weights):
    """Every positive tag of every clip: the positives among the tags that score at least as high."""
    precision = []
    for pairs in annotated_tags(truth, scores, weights):
        for score in [score for true, score in pairs if true]:
            ahead = [true for true, other in pairs if other >= score]
            precision.append(sum(ahead) / len(ahead))
    return plain_mean(precision)


def plain_map_at_k(truth, scores, weights, k):
    """Every order that the scores allow is tried, and the worst one counts."""
    by_clip = []
    for pairs in annotated_tags(truth, scores, weights):
        positives = sum(true for true, _ in pairs)
        if positives:
            orders = [
                order
                for order in itertools.permutations(pairs)
                if all(first[1] >= then[1] for first, then in itertools.pairwise(order))
            ]
            by_clip.append(min(_precision_within_k([true for true, _ in order], k) for order in orders))
    return plain_mean(by_clip)


def _precision_within_k(order, k):
    hits, total = 0, 0.0
    for rank, true in enumerate(order[:k], start=1):
        if true:
            hits += 1
            total += hits / rank
    return total / min(k, sum(order))


def plain_f1(truth, scores, threshold):
    """One tag's, NaN without positives."""
    decided = [score >= threshold for score in scores]
    hits = sum(true and yes for true, yes in zip(truth, decided, strict=True))
    return 2 * hits / (sum(truth) + sum(decided)) if sum(truth) else math.nan
