"""What is kept of a mix: the tables of its clips, events and sources, and its numbers, also as lines for people."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from earmark.data.dataset import Dataset
from earmark.data.layers import GIVEN
from earmark.data.synthesis.soundscape import MixSettings, Soundscape
from earmark.data.synthesis.sources import Sources
from earmark.data.tables import CLIP_SCHEMA, LABEL_SCHEMA, SPLITS, columns_or_null
from earmark.data.vocabulary import Vocabulary
from earmark.errors import first_few
from earmark.timing import samples_from_seconds, seconds_from_samples

TIMES = ("source_onset", "source_offset", "onset", "offset")

SOURCE_SCHEMA = pa.schema(
    {
        "clip": pa.string(),
        "kind": pa.string(),
        "tag": pa.string(),
        "source_clip": pa.string(),
        "source_group": pa.string(),
        **dict.fromkeys(TIMES, pa.float64()),
        "snr_db": pa.float64(),
        "gain": pa.float64(),
        "clip_gain": pa.float64(),
    }
)


def clip_table(soundscapes: Sequence[Soundscape], settings: MixSettings) -> pa.Table:
    """The clip table: every soundscape is a group of its own, and all that sounds in it is labelled."""
    clips = [made.clip for made in soundscapes]
    num_samples = samples_from_seconds(settings.clip_s, settings.rate_hz)
    return columns_or_null(
        len(clips),
        CLIP_SCHEMA,
        clip=pa.array(clips),
        path=pa.array([f"audio/{clip}.flac" for clip in clips]),
        split=pa.array([SPLITS[made.split] for made in soundscapes]),
        group=pa.array(clips),
        labelled=pa.repeat("strong", len(clips)),
        duration_s=pa.repeat(seconds_from_samples(num_samples, settings.rate_hz), len(clips)),
    )


def label_table(soundscapes: Sequence[Soundscape], vocabulary: Vocabulary, rate_hz: int) -> pa.Table:
    """The label table: a row an event and tag."""
    events = np.concatenate([made.events for made in soundscapes])
    clip = np.repeat(np.arange(len(soundscapes)), [len(made.events) for made in soundscapes])
    return columns_or_null(
        len(events),
        LABEL_SCHEMA,
        clip=pa.array([made.clip for made in soundscapes]).take(pa.array(clip)),
        tag=vocabulary.array().take(pa.array(events[:, 0])),
        onset=pa.array(events[:, 1] / rate_hz),
        offset=pa.array(events[:, 2] / rate_hz),
        value=pa.array(np.ones(len(events), np.float32)),
        source=pa.repeat(GIVEN, len(events)),
    )


def source_table(
    soundscapes: Sequence[Soundscape], dataset: Dataset, backgrounds: Dataset | None, rate_hz: int
) -> pa.Table:
    """The table of sources: a row for every term of every soundscape's sum.

    `kind` is event, background (a stretch of a recording) or pink (noise: see `pink_noise`). `source_onset` and
    `source_offset` are seconds in the source clip, `onset` and `offset` in the soundscape; with the margins that the
    fades lie in, so an event's label may begin later and end earlier. `gain` holds `clip_gain`, which is below 1 where
    the sum would have clipped.
    """
    placed = [term for made in soundscapes for term in made.placed]
    kind = np.array([term.kind for term in placed])
    row = np.array([term.row for term in placed], np.int64)
    columns = {
        "clip": pa.array([made.clip for made in soundscapes for _ in made.placed], pa.string()),
        "kind": pa.array(kind, pa.string()),
        "tag": _taken(dataset.vocabulary.array(), np.array([term.tag_index for term in placed], np.int64)),
        "snr_db": pa.array([term.snr_db for term in placed], pa.float64(), from_pandas=True),
        "gain": pa.array([term.gain for term in placed], pa.float64()),
        "clip_gain": pa.array([made.clip_gain for made in soundscapes for _ in made.placed], pa.float64()),
    }
    for name in TIMES:
        columns[name] = pa.array([getattr(term, name) / rate_hz for term in placed], pa.float64())
    for name in ("clip", "group"):
        of_sound = _taken(dataset.clips[name], np.where(kind == "event", row, -1))
        behind = pa.nulls(len(placed), pa.string())
        if backgrounds is not None:
            behind = _taken(backgrounds.clips[name], np.where(kind == "background", row, -1))
        columns[f"source_{name}"] = pc.coalesce(of_sound, behind)
    return columns_or_null(len(placed), SOURCE_SCHEMA, **columns)


def _taken(column: pa.Array | pa.ChunkedArray, rows: npt.NDArray[np.int64]) -> pa.Array | pa.ChunkedArray:
    """The values of some rows, null where the row is -1."""
    return column.take(pa.array(rows, mask=rows < 0))


@dataclass(frozen=True)
class MixSummary:
    """What was made of what.

    Attributes:
        layer: the labels of the sounds; `is_truth`: whether it tells of planted faults.
        soundscapes: by split; `hours` in all.
        notes: where the splits of sounds and backgrounds are from.
        sounds: clips that sounds could be drawn from, by split; `groups` are their recordings.
        missing_tags: tags of the vocabulary that a split has no clip of, by split.
        backgrounds: clips that backgrounds could be drawn from, by split; none where there is no such data set.
        passed_over, backgrounds_passed_over: clips that are not used, by reason.
        placed: sounds placed, `cut_to_fit` of them cut to the largest gap that `max_overlap` left; for `left_out` more
            there was none.
        events: rows of the label table; a sound with several active parts or tags has several.
        scaled_down: soundscapes that were scaled down as a whole so that they do not clip; `lowest_gain` is the least.
    """

    folder: str
    layer: str
    is_truth: bool
    soundscapes: Mapping[str, int]
    hours: float
    notes: Sequence[str]
    sounds: Mapping[str, int]
    groups: Mapping[str, int]
    missing_tags: Mapping[str, Sequence[str]]
    backgrounds: Mapping[str, int]
    passed_over: Mapping[str, int]
    backgrounds_passed_over: Mapping[str, int]
    placed: int
    cut_to_fit: int
    left_out: int
    events: int
    scaled_down: int
    lowest_gain: float

    def as_dict(self) -> dict[str, Any]:
        """The numbers for `dataset.json`; the folder may be renamed, so it is not among them."""
        numbers = asdict(self)
        del numbers["folder"]
        return numbers

    def lines(self) -> list[str]:
        """The same for people."""
        return list(self._lines())

    def _lines(self) -> Iterator[str]:
        yield f"{self.folder}: {sum(self.soundscapes.values())} soundscapes, {self.hours:.2f} h"
        if self.layer != GIVEN:
            role = ", the truth about planted faults" if self.is_truth else ""
            yield f"labels: layer {self.layer}{role}"
        yield from self.notes
        for split, count in self.soundscapes.items():
            sounds = f"{self.sounds[split]} clips of {self.groups[split]} recordings"
            if not count:
                if self.sounds[split]:
                    yield f"{split}: no soundscapes; {sounds} are not used"
                continue
            before = f" before {self.backgrounds[split]} backgrounds" if self.backgrounds else ""
            yield f"{split}: {count} soundscapes from {sounds}{before}"
            if missing := self.missing_tags[split]:
                yield f"{split}: no sound of {first_few(missing)}"
        for what, passed_over in (("clips", self.passed_over), ("backgrounds", self.backgrounds_passed_over)):
            yield from (f"passed over: {count} {what} {reason}" for reason, count in passed_over.items())
        yield f"placed: {self.placed} sounds, {self.events} events"
        if self.cut_to_fit:
            yield f"cut to fit: {self.cut_to_fit} sounds, to the largest gap that max_overlap left"
        if self.left_out:
            yield f"left out: {self.left_out} sounds for which max_overlap left no gap"
        if self.scaled_down:
            yield (
                f"scaled down so as not to clip: {self.scaled_down} soundscapes as a whole, by "
                f"{-20 * np.log10(self.lowest_gain):.1f} dB at most"
            )


def summarise(
    folder: str,
    soundscapes: Sequence[Soundscape],
    dataset: Dataset,
    layer: str,
    sources: Sources,
    behind: Sources | None,
    settings: MixSettings,
) -> MixSummary:
    """The numbers of a mix."""
    tags = dataset.vocabulary.tags
    terms = [term for made in soundscapes for term in made.placed]
    gains = [made.clip_gain for made in soundscapes]
    return MixSummary(
        folder=folder,
        layer=layer,
        is_truth=dataset.is_truth(layer),
        soundscapes={name: sum(made.split == split for made in soundscapes) for split, name in enumerate(SPLITS)},
        hours=len(soundscapes) * settings.clip_s / 3600,
        notes=(*sources.notes, *(f"backgrounds: {note}" for note in (behind.notes if behind else ()))),
        sounds=_counts(sources),
        groups={
            name: pc.count_distinct(dataset.clips["group"].take(sources.rows(split))).as_py()
            for split, name in enumerate(SPLITS)
        },
        missing_tags={
            name: [tag for place, tag in enumerate(tags) if place not in present]
            for name, present in ((name, sources.tags(split)) for split, name in enumerate(SPLITS))
        },
        backgrounds=_counts(behind) if behind else {},
        passed_over=sources.passed_over,
        backgrounds_passed_over=behind.passed_over if behind else {},
        placed=sum(term.kind == "event" for term in terms),
        cut_to_fit=sum(made.num_cut_to_fit for made in soundscapes),
        left_out=sum(made.num_left_out for made in soundscapes),
        events=sum(len(made.events) for made in soundscapes),
        scaled_down=sum(gain < 1 for gain in gains),
        lowest_gain=min(gains),
    )


def _counts(sources: Sources) -> dict[str, int]:
    return {name: len(sources.rows(split)) for split, name in enumerate(SPLITS)}
