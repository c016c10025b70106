"""A data set, and the difference of two label layers, in lines for a terminal."""

from collections.abc import Iterator, Sequence

import numpy as np

from earmark.data.audio.problems import Problem
from earmark.data.dataset import Dataset
from earmark.data.layer_diff import CHANGES, LEFT, LayerDiff
from earmark.data.splits import resolve_splits

MOST_TAGS = 20
MOST_FILES = 5


def describe_dataset(dataset: Dataset) -> list[str]:
    """Clips, splits and folds, tags with their counts by layer, packs, and what was wrong with files."""
    return list(_dataset_lines(dataset))


def _dataset_lines(dataset: Dataset) -> Iterator[str]:
    groups = len(np.unique(dataset.groups()))
    yield f"{dataset.folder}: {dataset.num_clips} clips of {groups} recordings, {len(dataset.vocabulary)} tags"
    yield f"audio: {dataset.audio_root}"
    yield "labelled: " + _counted(dataset.column("labelled"))
    if (dataset.column("split") != None).any():  # noqa: E711 (numpy compares element by element)
        yield "split: " + _counted(dataset.column("split"))
    fold = dataset.column("fold")
    if (fold >= 0).any():
        yield "fold: " + _counted(fold)
        yield "       name one with --test-fold and one with --validation-fold when you train"
    else:
        yield from (f"split as trained: {note}" for note in resolve_splits(dataset).notes)
    layers = dataset.layers()
    counts = np.stack([dataset.labels(layer).counts() for layer in layers])
    yield f"clips by tag, layers {', '.join(layers)}:"
    order = np.argsort(-counts[0], kind="stable")[:MOST_TAGS]
    width = max((len(dataset.vocabulary.tags[k]) for k in order), default=0)
    for k in order:
        yield f"  {dataset.vocabulary.tags[k]:<{width}}  " + "  ".join(f"{count:>7}" for count in counts[:, k])
    if len(dataset.vocabulary) > MOST_TAGS:
        yield f"  and {len(dataset.vocabulary) - MOST_TAGS} tags with fewer"
    for layer in layers:
        if dataset.is_truth(layer):
            yield f"truth: layer {layer}, what is right about planted faults; to evaluate by, never to train on"
    packs = sorted(path.name for path in (dataset.folder / "packs").glob("*") if path.is_dir())
    yield "packs: " + (", ".join(f"{rate} Hz" for rate in packs) or "none yet; made when first needed")
    yield from problem_lines(dataset.problems())


def _counted(values: np.ndarray) -> str:
    said = values[[value not in (None, -1) for value in values]]
    counted = [f"{name} {count}" for name, count in zip(*np.unique(said, return_counts=True), strict=True)]
    if len(said) < len(values):
        counted.append(f"not said {len(values) - len(said)}")
    return ", ".join(counted)


def problem_lines(problems: Sequence[Problem]) -> Iterator[str]:
    """Every file left out or kept with a remark, at most five of a kind, with the count."""
    by_kind: dict[tuple[str, str], list[Problem]] = {}
    for problem in problems:
        by_kind.setdefault((problem.outcome, problem.kind), []).append(problem)
    for (outcome, kind), found in sorted(by_kind.items(), reverse=True):
        yield f"{outcome}: {len(found)} x {kind}"
        for problem in found[:MOST_FILES]:
            yield f"  {problem.path}" + (f" ({problem.detail})" if problem.detail else "")
        if len(found) > MOST_FILES:
            yield f"  and {len(found) - MOST_FILES} more"


def describe_diff(difference: LayerDiff, most_rows: int) -> list[str]:
    """Totals, the tags that differ, and the first differing labels."""
    lines = [f"{difference.layer_a} -> {difference.layer_b}: " + _changes(difference.counts)]
    for row in difference.per_tag.to_pylist():
        if any(row[change] for change in CHANGES):
            lines.append(f"  {row['tag']}: " + _changes(row))
    rows = difference.rows.slice(0, most_rows).to_pylist()
    for row in rows:
        time = "" if row["onset"] is None else f" {row['onset']:.2f}-{row['offset']:.2f} s"
        values = f"{_value(row['before'])} -> {_value(row['after'])}"
        lines.append(f"  {row['change']:<7}  {row['clip']}{time}  {row['tag']}  {values}")
    if difference.rows.num_rows > len(rows):
        lines.append(f"  and {difference.rows.num_rows - len(rows)} more labels")
    return lines


def _changes(counts: dict[str, int]) -> str:
    return ", ".join(f"{counts[change]} {change}" for change in (*CHANGES, LEFT))


def _value(value: float | None) -> str:
    return "none" if value is None else f"{value:g}"
