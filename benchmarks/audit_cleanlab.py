"""cleanlab's ranking of multi-label data, run by the Python of an environment that has it: ARRAYS.npz RESULT.npz."""

import sys

import numpy as np
from cleanlab.multilabel_classification.filter import find_multilabel_issues_per_class
from cleanlab.multilabel_classification.rank import get_label_quality_scores_per_class

arrays = np.load(sys.argv[1])
labels = [np.flatnonzero(row).tolist() for row in arrays["given"]]
scores = arrays["scores"].astype(np.float64)
np.savez(
    sys.argv[2],
    quality=get_label_quality_scores_per_class(labels, scores),
    listed=find_multilabel_issues_per_class(labels, scores, n_jobs=1),
)
