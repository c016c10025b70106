"""Metrics in words, for those that have them; a page shows every other metric by the name that its file gives it."""

_NAMES = {
    "mean_average_precision": ("mAP", "average precision, mean over tags"),
    "map_at_3": ("mAP@3", "average precision of each clip's three highest-scored tags, mean over clips"),
    "macro_f1": ("F1", "at the thresholds, mean over tags"),
    "roc_auc": ("ROC AUC", "area under the ROC curve, mean over tags"),
    "mean_roc_auc": ("ROC AUC", "area under the ROC curve, mean over tags"),
    "d_prime": ("d′", "separation of scores, from the mean ROC AUC"),
    "lwlrap": ("lwlrap", "label-weighted label-ranking average precision"),
}


def metric_name(name: str) -> tuple[str, str]:
    """A metric's short name and what it measures; without words here, its own name and nothing.

    >>> metric_name("mean_average_precision")[0], metric_name("collar_based_f1")
    ('mAP', ('collar based f1', ''))
    """
    return _NAMES.get(name, (name.replace("_", " "), ""))
