"""An evaluation in words and as a figure."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from earmark.errors import counted, first_few
from earmark.figures import ChartFigure, Series
from earmark.files import read_json


def headline(run: Path) -> list[str]:
    """The run's mAP and collar-based F1 with intervals, a line for each split that it was evaluated on."""
    lines = []
    for folder, metric, name in (
        (run / "evaluation", "mean_average_precision", "mAP"),
        (run / "evaluation" / "events", "collar_based_f1", "collar-based F1"),
    ):
        for path in sorted(folder.glob("*.json"), key=lambda path: path.stem):
            found = read_json(path)
            mean = found["metrics"][metric]
            shown = "not finite" if mean["value"] is None else f"{mean['value']:.3f}"
            ends = (
                ""
                if mean["low"] is None
                else f" ({found['confidence']:.0%} interval {mean['low']:.3f} to {mean['high']:.3f})"
            )
            lines.append(f"{name} on {split_in_words(found)}: {shown}{ends}, {found['num_clips']} clips")
    return lines


def summary_lines(evaluation: Mapping[str, Any]) -> list[str]:
    """The evaluation for a terminal: what was scored, each metric with its interval, the weakest tags."""
    skipped = evaluation["num_not_scored"]
    lines = [
        f"{evaluation['dataset']}, {evaluation['split']} split, labels {evaluation['labels']}: "
        f"{evaluation['num_clips']} clips "
        f"in {evaluation['num_groups']} groups" + (f"; {skipped} could not be read" if skipped else "")
    ]
    if evaluation["num_without_shared_tag"]:
        lines.append(f"  {evaluation['num_without_shared_tag']} more clips have no tag that the model knows")
    lines += [*_metric_lines(evaluation["metrics"]), f"  F1 is at {_thresholds_in_words(evaluation)}"]
    scored = [row for row in evaluation["per_tag"] if row["average_precision"] is not None]
    weakest = sorted(scored, key=lambda row: float(row["average_precision"]))[:3]
    if weakest:
        lines.append("  weakest tags: " + ", ".join(f"{row['tag']} {row['average_precision']:.3f}" for row in weakest))
    if evaluation["left_out_tags"]:
        lines.append(f"  without positives, left out of the means: {first_few(evaluation['left_out_tags'])}")
    lines.append(f"  {evaluation['confidence']:.0%} intervals: {evaluation['resamples']} resamples of the groups")
    return lines


def event_summary_lines(evaluation: Mapping[str, Any]) -> list[str]:
    """The evaluation of events for a terminal: what was scored and how decided, each metric, the weakest tags."""
    lines = [
        f"{evaluation['dataset']}, {evaluation['split']} split, labels {evaluation['labels']}: "
        f"{counted(evaluation['num_clips'], 'clip')} in {counted(evaluation['num_groups'], 'group')}, "
        f"{evaluation['audio_s']:.0f} s, score frames of {evaluation['score_frame_ms']:g} ms"
    ]
    for name, why in (("num_without_times", "no times"), ("num_not_scored", "no audio that can be read")):
        if evaluation[name]:
            lines.append(f"  {counted(evaluation[name], 'clip')} of the split with {why} took no part")
    lines += [f"  decided: {_decisions_in_words(evaluation)}", *_metric_lines(evaluation["metrics"])]
    scored = [row for row in evaluation["per_tag"] if row["reference_events"]]
    weakest = sorted(scored, key=lambda row: float(row["collar_based"]["f1"]))[:3]
    lines.append(
        "  weakest tags, collar-based F1: "
        + (", ".join(f"{row['tag']} {row['collar_based']['f1']:.3f}" for row in weakest) or "none")
    )
    without = [
        f"{row['tag']} ({row['decided_events']} found)" for row in evaluation["per_tag"] if not row["reference_events"]
    ]
    if without:
        lines.append(f"  without events, left out of the means: {first_few(without)}")
    lines.append(f"  {evaluation['confidence']:.0%} intervals: {evaluation['resamples']} resamples of the groups")
    return lines


def _thresholds_in_words(evaluation: Mapping[str, Any]) -> str:
    chosen = evaluation["thresholds"]
    if chosen is None:
        return "a score of 0.5 for all tags"
    by = "" if chosen["labels"] == evaluation["labels"] else f", labels {chosen['labels']}"
    where = f"the best threshold of each tag on {chosen['split']} ({counted(chosen['num_clips'], 'clip')}{by})"
    return f"{where}, these very clips: it flatters" if chosen["split"] == evaluation["split"] else where


def _decisions_in_words(evaluation: Mapping[str, Any]) -> str:
    tuned = evaluation["decisions"]["tuned"]
    if tuned is None:
        return "score of 0.5 or more, no median filter (not tuned)"
    how = f" for {tuned['criterion']}-based F1" if "criterion" in tuned else ""
    where = f" on the {tuned['split']} split of {tuned['dataset']}" if {"split", "dataset"} <= set(tuned) else ""
    return f"threshold and median filter by tag, tuned{how}{where}"


def _metric_lines(metrics: Mapping[str, Any]) -> list[str]:
    """A line a metric, with its interval where there is one."""
    lines, width = [], max(24, *map(len, metrics))
    for name, interval in metrics.items():
        ends = [interval["low"], interval["high"]]
        shown = "" if None in ends else f"  [{ends[0]:.4f}, {ends[1]:.4f}]"
        value = "not finite" if interval["value"] is None else f"{interval['value']:.4f}"
        lines.append(f"  {name:<{width}} {value}{shown}")
    return lines


def split_in_words(evaluation: Mapping[str, Any]) -> str:
    """The split of an evaluation, and the labels where these are not the given ones.

    >>> split_in_words({"split": "test", "labels": "truth"})
    'test, labels truth'
    """
    against = "" if evaluation["labels"] == "given" else f", labels {evaluation['labels']}"
    return f"{evaluation['split']}{against}"


def of_what(evaluation: Mapping[str, Any]) -> str:
    """The clips of an evaluation, for a caption."""
    clips = "clip" if evaluation["num_clips"] == 1 else "clips"
    return f"{evaluation['num_clips']:,} {clips} of the {evaluation['split']} split of {evaluation['dataset']}"


def section_of(what: str, evaluation: Mapping[str, Any]) -> str:
    """The part of a page that a figure of an evaluation stands in."""
    return f"{what} on {split_in_words(evaluation)}"


def sorted_average_precision(evaluation: Mapping[str, Any]) -> ChartFigure:
    """The figure of per-tag average precision, best first (as Gong et al. 2021, Fig. 7, for one model)."""
    rows = [row for row in evaluation["per_tag"] if row["average_precision"] is not None]
    rows.sort(key=lambda row: -float(row["average_precision"]))
    value = evaluation["metrics"]["mean_average_precision"]["value"]
    return ChartFigure(
        kind="bar",
        title="Average precision by tag",
        caption=f"{of_what(evaluation)}; lines are {evaluation['confidence']:.0%} intervals over groups. Wide ones "
        "mean few recordings.",
        alt=f"Bars of average precision for {len(rows)} tags, mean {value:.3f}; best {rows[0]['tag']}, weakest "
        f"{rows[-1]['tag']}."
        if rows
        else "No bars: no tag has positives.",
        x_label="tag",
        y_label="average precision",
        series=[
            Series(
                label="average precision",
                x=[row["tag"] for row in rows],
                y=[row["average_precision"] for row in rows],
                low=[row["low"] for row in rows],
                high=[row["high"] for row in rows],
            )
        ],
        section=section_of("Tags", evaluation),
        place=10,
    )


def average_precision_by_count(evaluation: Mapping[str, Any]) -> ChartFigure:
    """The figure of per-tag average precision over the training clips that have the tag; a point is a tag.

    Where the evaluation does not know these, over the evaluated clips that have it.
    """
    rows = [row for row in evaluation["per_tag"] if row["average_precision"] is not None]
    known = all(row.get("training_clips") is not None for row in rows)
    of_clips = "training clips" if known else f"clips of {evaluation['split']}"
    rows.sort(key=lambda row: int(row["training_clips" if known else "positives"]))
    counts = [int(row["training_clips" if known else "positives"]) for row in rows]
    precisions = [float(row["average_precision"]) for row in rows]
    half, is_wide = len(rows) // 2, bool(counts) and counts[-1] > 30 * max(counts[0], 1)
    told = f"All have {counts[0]:,}." if counts and counts[0] == counts[-1] else ""
    if half and not told:
        rare, frequent = (sum(some) / len(some) for some in (precisions[:half], precisions[half:]))
        told = f"Mean of the rarer half of the tags {rare:.3f}, of the others {frequent:.3f}."
    if is_wide and not counts[0]:
        told += f" {counted(counts.count(0), 'tag', 'have')} none and no point."
    return ChartFigure(
        kind="scatter",
        title="Average precision by count",
        caption=f"{of_what(evaluation)}; a point is a tag, by how many {of_clips} have it. {told}".rstrip(),
        alt=f"Points of {counted(len(rows), 'tag')}, average precision over the number of {of_clips}. {told}".rstrip(),
        x_label=f"{of_clips.capitalize()} with the tag",
        y_label="average precision",
        x_log=is_wide,
        series=[Series(label="tags", x=[float(count) for count in counts], y=list(precisions))],
        section=section_of("Tags", evaluation),
        place=11,
    )
