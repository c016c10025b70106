"""Metrics in words, for those that have them; a page shows every other metric by the name that its file gives it."""

from collections.abc import Iterable

_NAMES = {
    "mean_average_precision": ("mAP", "average precision, mean over tags"),
    "map_at_3": ("mAP@3", "average precision of each clip's three highest-scored tags, mean over clips"),
    "macro_f1": ("F1", "at the thresholds, mean over tags"),
    "event_f1": ("event F1", "events found within 200 ms, at a score of .5, mean over tags"),
    "segment_f1": ("segment F1", "seconds in which a tag is found, at a score of .5, mean over tags"),
    "roc_auc": ("ROC AUC", "area under the ROC curve, mean over tags"),
    "mean_roc_auc": ("ROC AUC", "area under the ROC curve, mean over tags"),
    "d_prime": ("d′", "separation of scores, from the mean ROC AUC"),
    "lwlrap": ("lwlrap", "label-weighted label-ranking average precision"),
    "collar_based_f1": ("collar-based F1", "events whose onset and offset are near enough, mean over tags"),
    "segment_based_f1": ("segment-based F1", "segments of a second that hold a tag, mean over tags"),
    "intersection_based_f1": ("intersection-based F1", "events covered by detections that fit, mean over tags"),
    "psds_1": ("PSDS 1", "over all thresholds; strict on when"),
    "psds_2": ("PSDS 2", "over all thresholds; strict on which tag"),
}


def metric_name(name: str) -> tuple[str, str]:
    """A metric's short name and what it measures; without words here, its own name and nothing.

    >>> metric_name("mean_average_precision")[0], metric_name("collar_based_recall")
    ('mAP', ('collar-based recall', ''))
    """
    return _NAMES.get(name, (name.replace("_based_", "-based ").replace("_", " "), ""))


def with_words_first(names: Iterable[str]) -> list[str]:
    """Metrics in their order, those with words here before the others, which are mostly parts of them.

    >>> with_words_first(["collar_based_f1", "collar_based_recall", "psds_1"])
    ['collar_based_f1', 'psds_1', 'collar_based_recall']
    """
    return sorted(names, key=lambda name: name not in _NAMES)
