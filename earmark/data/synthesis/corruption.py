"""`corrupt`: a data set with planted faults, and a layer with the truth that nothing learns from."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from earmark.data.dataset import Dataset, write_dataset, write_layer
from earmark.data.layers import GIVEN, TRUTH, table_path
from earmark.data.ontology import Ontology, TagNodes, audioset_ontology, tag_nodes
from earmark.data.synthesis.corrupt_summary import CorruptSummary, summarise
from earmark.data.synthesis.draws import Draws, draws_for
from earmark.data.synthesis.faults import KINDS, given_statements, label_table, truth_statements
from earmark.data.synthesis.planting import CorruptSettings, Planted, plant
from earmark.data.synthesis.true_labels import LongTail, TrueLabels, add_ancestors, long_tail, read_true_labels
from earmark.data.tables import write_clips
from earmark.errors import InputError, first_few
from earmark.files import new_folder


def corrupt(
    dataset: Dataset,
    out: Path | str,
    settings: CorruptSettings,
    *,
    seed: int = 0,
    layer: str = GIVEN,
    ontology: Ontology | None = None,
) -> CorruptSummary:
    """Makes a data set of the same audio with faults in its labels, whole or not at all, and says what was planted.

    In this order: ancestors are added, clips dropped for imbalance, times withheld, clips verified, labels taken away,
    labels made wrong. `given` holds what is said then, and no trace of the faults. The layer `truth` makes it true
    again; its column `source` says "planted missing", "planted wrong" or "planted weak". Clips dropped for imbalance
    are in `dropped.csv`, as rows of the clip table.

    Missing and wrong labels are exact shares, half up, of the labels that can get the fault; labels of verified clips
    and of those kept by fold or split cannot. A draw belongs to a clip, a tag or a label by its name, the seed and its
    purpose: settings do not disturb each other's draws, a greater rate plants what a smaller one does and more, and
    which labels are wrong does not depend on which are missing as long as the rates leave room for both.

    Args:
        out: a new folder.
        layer: the label layer that is true.
        ontology: where tags have their ancestors; AudioSet's by default.

    Raises:
        InputError: `out` is taken, no fault is asked for, a fold, split or tag is not there, or a setting finds too few
            labels or clips.
    """
    out = Path(out)
    _check_asked(settings, seed, ontology)
    with new_folder(out) as aside:
        true = read_true_labels(dataset, layer, settings.keep_folds, settings.keep_splits)
        nodes = _nodes(dataset, ontology) if settings.reads_ontology else None
        if nodes is not None and settings.add_ancestors:
            true = add_ancestors(true, nodes.ontology)
        draws = draws_for(seed, true.clips["clip"].to_pylist(), true.vocabulary)
        tail = None
        if settings.imbalance > 1:
            tail = _long_tail(true, settings.imbalance, draws)
            write_clips(true.clips.filter(pa.array(tail.dropped)), aside / "dropped.csv")
            true, draws = true.without(tail.dropped), replace(draws, clip=draws.clip[~tail.dropped])
        planted = plant(true, settings, draws, ontology)
        no_node = () if nodes is None else nodes.unknown
        summary = summarise(str(out), settings, dataset, layer, no_node, planted, tail)
        about = {"made_by": "corrupt", "seed": seed, **summary.as_dict()}
        _write(aside, out.resolve().name, dataset, planted, about)
    return summary


def _check_asked(settings: CorruptSettings, seed: int, ontology: Ontology | None) -> None:
    """Refuses what asks for nothing."""
    if seed < 0:
        raise InputError(f"the seed must be 0 or more, got {seed}")
    if settings.plants_nothing:
        raise InputError("corrupt must be asked for at least one fault, got none; see earmark corrupt --show")
    if ontology is not None and not settings.reads_ontology:
        raise InputError("an ontology is read with add_ancestors or missing_from only; leave it out")


def _nodes(dataset: Dataset, ontology: Ontology | None) -> TagNodes:
    """The nodes of the tags; refused where there is none."""
    nodes = tag_nodes(dataset.vocabulary, audioset_ontology() if ontology is None else ontology)
    if len(nodes.unknown) == len(dataset.vocabulary):
        raise InputError(
            f"{dataset.folder}: the ontology must have a node for one of {len(nodes.unknown)} tags, found none "
            f"(first: {first_few(nodes.unknown)}); give another ontology"
        )
    return nodes


def _long_tail(true: TrueLabels, ratio: float, draws: Draws) -> LongTail:
    tail = long_tail(true.labels, true.touchable, ratio, draws.of_clips("imbalance"), draws.of_tags("imbalance"))
    num_tags = int((tail.asked > 0).sum())
    if num_tags < 2:
        raise InputError(
            f"imbalance={ratio:g} must find two tags or more in clips that may be dropped, found {num_tags}"
        )
    return tail


def _write(aside: Path, name: str, dataset: Dataset, planted: Planted, about: Mapping[str, Any]) -> None:
    true, faults = planted.true, planted.faults
    given = given_statements(true.statements, planted.labels, faults)
    clips = set(planted.clips["clip"].to_pylist())
    made = write_dataset(
        aside,
        name=name,
        clips=planted.clips,
        labels=label_table(given, planted.clips, true.vocabulary, pa.repeat(GIVEN, len(given))),
        vocabulary=true.vocabulary,
        audio_root=dataset.audio_root,
        source=dataset.folder,
        not_annotated=dataset.about.get("not_annotated", ()),
        problems=[problem for problem in dataset.problems() if not problem.clip or problem.clip in clips],
        summary=about,
        tables=table_path(dataset.folder / "clips").suffix.removeprefix("."),
    )
    truth, kind = truth_statements(true.statements, planted.labels, faults)
    source = pa.array(KINDS).take(pa.array(kind))
    table = label_table(truth, planted.clips, true.vocabulary, source)
    write_layer(made, TRUTH, table, written_by="earmark corrupt", role=TRUTH)
