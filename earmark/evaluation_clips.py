"""An evaluation's clips to look at and to listen to: those whose scores fit their labels worst, and best."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from earmark.clip_figure import MOST_AUDIO_S, RATE_HZ, clip_figure, clip_row, clip_waveform, steps
from earmark.data.clips import IntArray, whole_clips
from earmark.data.dataset import Dataset
from earmark.data.packs import Pack
from earmark.errors import InputError, first_few
from earmark.evaluation_summary import section_of
from earmark.figures import ClipFigure, Event, Series, write_figure
from earmark.metrics.detection import share
from earmark.models.ensemble import Model
from earmark.scores.evaluated import EvaluatedScores, evaluation_name
from earmark.scores.framewise import framewise_clip_scores, step_samples

log = logging.getLogger(__name__)

MOST_WORST = 8
MOST_BEST = 4
LONGEST_S = 10.0
MOST_TAGS = 4
"""Of a clip's curves: its labels, and the tags that score highest."""

_LEAST = 1e-6


class Shown(NamedTuple):
    """A clip to show: its place among the evaluated ones, and its rank among the worst, or else the best."""

    place: int
    is_worst: bool
    rank: int


class FrameScores(NamedTuple):
    """A clip's framewise scores, (frame, tag), and the edges of its frames in seconds, (frame + 1,)."""

    edges_s: npt.NDArray[np.float64]
    scores: npt.NDArray[np.float32]


def write_clip_figures(
    run: Path,
    tagger: Model,
    dataset: Dataset,
    pack: Pack,
    evaluation: Mapping[str, Any],
    kept: EvaluatedScores,
    device: torch.device,
) -> None:
    """Writes the figures of an evaluation's worst and best clips into its run, in place of earlier ones.

    With framewise scores as curves where the model keeps a time axis. A clip whose recording cannot be read any more is
    left out, with a warning.
    """
    folder, name = run / "figures", evaluation_name(evaluation["split"], evaluation["labels"])
    for number in range(1, MOST_WORST + MOST_BEST + 1):
        (folder / f"example-{number:02d}-{name}.json").unlink(missing_ok=True)
    losses = clip_losses(kept)
    shown = clips_to_show(losses, kept)
    rows = np.array([clip_row(dataset, str(kept.clips[one.place])) for one in shown], np.int64)
    frames = _framewise(tagger, pack, rows, device)
    for number, (one, row) in enumerate(zip(shown, rows.tolist(), strict=True), start=1):
        try:
            figure = _figure(dataset, row, evaluation, kept, losses, one, frames.get(row))
        except InputError as error:
            log.warning("a clip of the %s split is not shown: %s", evaluation["split"], error)
            continue
        write_figure(folder, f"example-{number:02d}-{name}", figure.model_copy(update={"place": 40 + number}))


def clip_losses(kept: EvaluatedScores) -> npt.NDArray[np.float64]:
    """The mean binary cross-entropy of each clip over its annotated tags, (clip,); NaN for a clip without any."""
    score = np.clip(kept.scores, _LEAST, 1 - _LEAST)
    losses = -np.log(np.where(kept.truth, score, 1 - score))
    counts = kept.annotated.sum(axis=1)
    total = np.where(kept.annotated, losses, 0).sum(axis=1, dtype=np.float64)
    return share(total, counts)


def clips_to_show(losses: npt.NDArray[np.float64], kept: EvaluatedScores) -> list[Shown]:
    """At most 8 clips of the greatest loss and, of the others, the 4 of the least that have tags, no two the same ones.

    Of few clips at most half are the worst.
    """
    order = np.argsort(-losses, kind="stable")  # NaN last
    order = order[~np.isnan(losses[order])]
    worst = order[: min(MOST_WORST, -(-len(order) // 2))]
    best: dict[bytes, int] = {}
    has = kept.truth & kept.annotated
    for place in order[len(worst) :][::-1].tolist():
        if has[place].any() and len(best) < MOST_BEST:
            best.setdefault(has[place].tobytes(), place)
    return [
        Shown(place, is_worst, rank)
        for is_worst, places in ((True, worst.tolist()), (False, list(best.values())))
        for rank, place in enumerate(places, start=1)
    ]


def _framewise(tagger: Model, pack: Pack, rows: IntArray, device: torch.device) -> dict[int, FrameScores]:
    """The framewise scores of clips by their rows; none where the model keeps no time axis, or of too long a clip."""
    try:
        step_samples(tagger)
    except InputError:
        return {}
    clips = whole_clips(pack, rows)
    short = clips.clip_index[clips.num_samples <= MOST_AUDIO_S * pack.rate_hz]
    scored = framewise_clip_scores(tagger, pack, short, device=device)
    return {
        row: FrameScores(scored.edges_s(place), scored.of(place))
        for place, row in enumerate(scored.clip_index.tolist())
    }


def _figure(
    dataset: Dataset,
    row: int,
    evaluation: Mapping[str, Any],
    kept: EvaluatedScores,
    losses: npt.NDArray[np.float64],
    one: Shown,
    frames: FrameScores | None,
) -> ClipFigure:
    tags, scores, clip = kept.tags, kept.scores[one.place], str(kept.clips[one.place])
    best = np.argsort(-scores, kind="stable")
    labelled = np.flatnonzero(kept.truth[one.place] & kept.annotated[one.place]).tolist()
    drawn = list(dict.fromkeys([*labelled, *best.tolist()]))[:MOST_TAGS]
    waveform = clip_waveform(dataset, row)
    begin_s = _begin_s(len(waveform) / RATE_HZ, frames, int(best[0]))
    first = round(begin_s * RATE_HZ)
    part = waveform[first : first + round(LONGEST_S * RATE_HZ)]
    cut = f" From {begin_s:.1f} s on, of {len(waveform) / RATE_HZ:.1f} s." if len(part) < len(waveform) else ""
    names = [tags[tag] for tag in labelled] or ["nothing"]
    highest = ", ".join(f"{tags[tag]} {scores[tag]:.3f}" for tag in best[:MOST_TAGS])
    missed = [f"{tags[tag]} {scores[tag]:.3f}" for tag in labelled if tag not in best[:MOST_TAGS]]
    also = f"; of its labels {', '.join(missed[:MOST_TAGS])}" if missed else ""
    loss = f"Loss {losses[one.place]:.3f}, the median of all clips {np.nanmedian(losses):.3f}."
    kind = "Worst" if one.is_worst else "Best"
    figure = clip_figure(
        dataset,
        row,
        part,
        title=f"{kind} {one.rank}: labelled {first_few(names, 2)}, highest {tags[best[0]]}",
        caption=f"Labelled {', '.join(names)}; highest: {highest}{also}. {loss}{cut}",
        alt=f"Log-mel of {clip}, labelled {', '.join(names)}, highest-scored {tags[best[0]]}"
        + (f", under the framewise scores of {', '.join(tags[tag] for tag in drawn)}." if frames else "."),
        curves=[]
        if frames is None
        else [_curve(tags[tag], frames, tag, begin_s, len(part) / RATE_HZ) for tag in drawn],
        layer=evaluation["labels"],
    )
    events = _moved(figure.reference, begin_s, figure.duration_s)
    return figure.model_copy(update={"reference": events, "section": section_of("Clips", evaluation)})


def _begin_s(duration_s: float, frames: FrameScores | None, tag: int) -> float:
    """Where at most 10 s of a clip begin: the highest framewise score of a tag lies in their middle."""
    if duration_s <= LONGEST_S or frames is None:
        return 0.0
    peak_s = float(frames.edges_s[int(frames.scores[:, tag].argmax())])
    return min(max(peak_s - LONGEST_S / 2, 0.0), duration_s - LONGEST_S)


def _curve(name: str, frames: FrameScores, tag: int, begin_s: float, duration_s: float) -> Series:
    """The score frames within the part shown."""
    edges = np.clip(frames.edges_s - begin_s, 0, duration_s)
    inside = edges[1:] > edges[:-1]
    return steps(name, edges[:-1][inside], edges[1:][inside], frames.scores[inside, tag])


def _moved(events: Sequence[Event], begin_s: float, duration_s: float) -> list[Event]:
    """Events by the seconds of the part shown, those that reach into it."""
    ends = [(event.tag, max(event.onset - begin_s, 0.0), min(event.offset - begin_s, duration_s)) for event in events]
    return [Event(tag=tag, onset=onset, offset=offset) for tag, onset, offset in ends if onset < offset]
