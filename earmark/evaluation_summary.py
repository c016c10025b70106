"""An evaluation in words and as a figure."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from earmark.errors import first_few
from earmark.figures import ChartFigure, Series
from earmark.files import read_json


def headline(run: Path) -> list[str]:
    """The run's mAP with its interval, a line for each split that it was evaluated on."""
    lines = []
    for path in sorted((run / "evaluation").glob("*.json")):
        found = read_json(path)
        mean = found["metrics"]["mean_average_precision"]
        shown = "not finite" if mean["value"] is None else f"{mean['value']:.3f}"
        ends = (
            ""
            if mean["low"] is None
            else f" ({found['confidence']:.0%} interval {mean['low']:.3f} to {mean['high']:.3f})"
        )
        against = "" if found["labels"] == "given" else f", labels {found['labels']}"
        lines.append(f"mAP on {found['split']}{against}: {shown}{ends}, {found['num_clips']} clips")
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
    for name, interval in evaluation["metrics"].items():
        ends = [interval["low"], interval["high"]]
        shown = "" if None in ends else f"  [{ends[0]:.4f}, {ends[1]:.4f}]"
        value = "not finite" if interval["value"] is None else f"{interval['value']:.4f}"
        lines.append(f"  {name:<24} {value}{shown}")
    scored = [row for row in evaluation["per_tag"] if row["average_precision"] is not None]
    weakest = sorted(scored, key=lambda row: float(row["average_precision"]))[:3]
    if weakest:
        lines.append("  weakest tags: " + ", ".join(f"{row['tag']} {row['average_precision']:.3f}" for row in weakest))
    if evaluation["left_out_tags"]:
        lines.append(f"  without positives, left out of the means: {first_few(evaluation['left_out_tags'])}")
    lines.append(f"  {evaluation['confidence']:.0%} intervals: {evaluation['resamples']} resamples of the groups")
    return lines


def sorted_average_precision(evaluation: Mapping[str, Any]) -> ChartFigure:
    """The figure of per-tag average precision, best first (as Gong et al. 2021, Fig. 7, for one model)."""
    rows = [row for row in evaluation["per_tag"] if row["average_precision"] is not None]
    rows.sort(key=lambda row: -float(row["average_precision"]))
    value = evaluation["metrics"]["mean_average_precision"]["value"]
    return ChartFigure(
        kind="bar",
        title="Average precision by tag",
        caption=f"{evaluation['num_clips']} clips of the {evaluation['split']} split of {evaluation['dataset']}; "
        f"lines are {evaluation['confidence']:.0%} intervals over groups. Wide ones mean few recordings.",
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
    )
