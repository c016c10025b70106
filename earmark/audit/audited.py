"""Labels beside scores of models that never saw the clips: what an audit looks at."""

import logging
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from earmark.data.dataset import Dataset
from earmark.data.ontology import Ontology, TagNodes, tag_nodes
from earmark.data.statements import COUNTED, BoolArray, FloatArray, IntArray
from earmark.errors import InputError, counted
from earmark.scores.store import ScoreStore

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Audited:
    """The labels of some clips, and scores of the same tags.

    Attributes:
        rows: of the clip table, int64 (clip,).
        groups: a number for each clip's group, int64 (clip,).
        given: which tags the labels say, bool (clip, tag).
        implied: not given, but above a given tag in the ontology: said with it, as it were, bool (clip, tag).
        judged: what scores are to judge, bool (clip, tag): not what is implied, nor tags that nobody annotated.
        scores: in [0, 1], float32 (clip, tag).
        nodes: of the tags.
    """

    dataset: Dataset
    layer: str
    rows: IntArray
    groups: IntArray
    given: BoolArray
    implied: BoolArray
    judged: BoolArray
    scores: FloatArray
    nodes: TagNodes

    @property
    def num_labels(self) -> int:
        """How many labels are judged."""
        return int(np.count_nonzero(self.given & self.judged))

    def tags_of(self, place: int) -> list[str]:
        """The tags that a clip is given, by its place among `rows`."""
        return [self.dataset.vocabulary.tags[tag] for tag in np.flatnonzero(self.given[place])]


def audited_labels(dataset: Dataset, store: ScoreStore, layer: str, ontology: Ontology) -> Audited:
    """The labels of a layer for the clips that a store has scores of; clips labelled none take no part.

    Raises:
        InputError: the scores do not fit the data set, there is no such layer, or nothing can be judged.
    """
    rows, score_rows, _ = store.of_clips(dataset)
    store.warn_of_another_clip_table(dataset)
    if not store.about.get("out_of_fold"):
        log.warning(
            "%s: the model was trained on clips that it scores: it repeats their labels, wrong ones too; better: "
            "score --folds",
            store.folder,
        )
    labels = dataset.labels(layer)
    known = labels.clip_weight[rows] > 0
    rows = rows[known]
    if not len(rows):
        raise InputError(
            f"{dataset.folder}: must hold labelled clips that have scores, all {len(known)} are labelled none"
        )
    given = labels.rows(rows) >= COUNTED
    nodes = tag_nodes(dataset.vocabulary, ontology)
    implied = _above_given(given, nodes) & ~given
    annotated = labels.tag_weight > 0
    found = Audited(
        dataset, layer, rows, dataset.groups()[rows], given, implied, annotated & ~implied,
        store.read(score_rows[known]), nodes,
    )  # fmt: skip
    if not found.num_labels:
        clips = counted(len(rows), "labelled clip")
        raise InputError(f'{dataset.folder}: layer "{layer}" must give tags to judge, of {clips} none has any')
    return found


def check_layer(dataset: Dataset, layer: str) -> None:
    """Raises InputError where there is no such layer, or it holds the truth, in which nothing is to be found."""
    if dataset.is_truth(layer):
        raise InputError(
            f'{dataset.folder}: label layer "{layer}" is the truth about planted faults; audit the layer that has '
            "the faults, such as given"
        )


def _above_given(given: BoolArray, nodes: TagNodes) -> BoolArray:
    """Which tags are above one that the clip is given, bool (clip, tag)."""
    above: npt.NDArray[np.bool_] = given.astype(np.float32) @ nodes.ancestors.astype(np.float32) > 0
    return above
