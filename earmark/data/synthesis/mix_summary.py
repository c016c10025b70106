"""What came of a mix, as numbers for `dataset.json` and as lines for people."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pyarrow.compute as pc

from earmark.data.dataset import Dataset
from earmark.data.synthesis.mix_settings import MixSettings
from earmark.data.synthesis.soundscape import Soundscape
from earmark.data.synthesis.sources import Sources
from earmark.data.tables import SPLITS
from earmark.errors import first_few


@dataclass(frozen=True)
class MixSummary:
    """What was made of what.

    Attributes:
        soundscapes: by split; `hours` in all.
        sounds: clips that sounds could be drawn from, by split; `groups` are their recordings.
        missing_tags: tags of the vocabulary that a split has no clip of, by split.
        backgrounds: clips that backgrounds could be drawn from, by split; none where there is no such data set.
        passed_over, backgrounds_passed_over: clips that are not used, by reason.
        placed: sounds placed; `left_out` more found no place under `max_overlap`.
        events: rows of the label table; a sound with several active parts has several.
        scaled_down: soundscapes that were scaled down as a whole so that they do not clip; `lowest_gain` is the least.
    """

    folder: str
    soundscapes: Mapping[str, int]
    hours: float
    sounds: Mapping[str, int]
    groups: Mapping[str, int]
    missing_tags: Mapping[str, Sequence[str]]
    backgrounds: Mapping[str, int]
    passed_over: Mapping[str, int]
    backgrounds_passed_over: Mapping[str, int]
    placed: int
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
        for split, count in self.soundscapes.items():
            if not count:
                continue
            line = f"{split}: {count} soundscapes from {self.sounds[split]} clips of {self.groups[split]} recordings"
            if self.backgrounds:
                line += f" before {self.backgrounds[split]} backgrounds"
            yield line
            if missing := self.missing_tags[split]:
                yield f"{split}: no sound of {first_few(missing)}"
        for what, passed_over in (("clips", self.passed_over), ("backgrounds", self.backgrounds_passed_over)):
            yield from (f"passed over: {count} {what} {reason}" for reason, count in passed_over.items())
        yield f"placed: {self.placed} sounds, {self.events} events"
        if self.left_out:
            yield f"left out: {self.left_out} sounds that found no place under max_overlap"
        if self.scaled_down:
            yield (
                f"scaled down so as not to clip: {self.scaled_down} soundscapes as a whole, by "
                f"{-20 * np.log10(self.lowest_gain):.1f} dB at most"
            )


def summarise(
    folder: str,
    soundscapes: Sequence[Soundscape],
    dataset: Dataset,
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
        soundscapes={name: sum(made.split == split for made in soundscapes) for split, name in enumerate(SPLITS)},
        hours=len(soundscapes) * settings.clip_s / 3600,
        sounds=_counts(sources),
        groups={
            name: pc.count_distinct(dataset.clips["group"].take(sources.rows(split))).as_py()
            for split, name in enumerate(SPLITS)
        },
        missing_tags={
            name: [tags[k] for k in sorted(set(range(len(tags))) - {tag for tag, _ in sources.by_tag(split)})]
            for split, name in enumerate(SPLITS)
        },
        backgrounds=_counts(behind) if behind else {},
        passed_over=sources.passed_over,
        backgrounds_passed_over=behind.passed_over if behind else {},
        placed=sum(term.kind == "event" for term in terms),
        left_out=sum(made.num_left_out for made in soundscapes),
        events=sum(len(made.events) for made in soundscapes),
        scaled_down=sum(gain < 1 for gain in gains),
        lowest_gain=min(gains),
    )


def _counts(sources: Sources) -> dict[str, int]:
    return {name: len(sources.rows(split)) for split, name in enumerate(SPLITS)}
