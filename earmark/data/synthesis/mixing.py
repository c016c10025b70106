"""`mix`: a data set of soundscapes made from recordings of single sounds, with exact strong labels."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import soundfile

from earmark.config import values_of
from earmark.data.dataset import Dataset, write_dataset
from earmark.data.layers import GIVEN
from earmark.data.packs import open_pack
from earmark.data.splits import TRAIN
from earmark.data.synthesis.mix_record import MixSummary, clip_table, label_table, source_table, summarise
from earmark.data.synthesis.soundscape import MixSettings, Sounds, Soundscape, make_soundscape
from earmark.data.synthesis.sources import (
    ELSEWHERE,
    Sources,
    find_backgrounds,
    find_sounds,
    split_sources,
    without_sounds_elsewhere,
)
from earmark.data.table_files import write_table
from earmark.data.tables import SPLITS
from earmark.errors import InputError
from earmark.files import new_folder
from earmark.prefetch import mapped
from earmark.progress import progress_bar
from earmark.timing import samples_from_seconds


def mix(
    dataset: Dataset,
    out: Path | str,
    settings: MixSettings,
    *,
    seed: int = 0,
    layer: str = GIVEN,
    backgrounds: Dataset | None = None,
    test_fold: int | None = None,
    validation_fold: int | None = None,
    workers: int | None = None,
) -> MixSummary:
    """Makes a data set of soundscapes with exact strong labels, whole or not at all, and says what came of it.

    Sounds are clips labelled weak with a single tag, or with a tag and ancestors of it in AudioSet's ontology. What is
    placed of one reaches from its first to its last active part (see `active_parts`); each active part is an event, of
    every tag of the clip. A stretch that fits nowhere under `max_overlap` is cut to the largest gap; only where all
    gaps are under .25 s it is left out, and counted. Recordings never cross splits. A soundscape is a pure function of
    seed, split and number: more soundscapes leave the first ones as they are, and workers change nothing.

    `sources.csv` has a row for every term of a soundscape's sum. To rebuild it: fade an event's stretch in and out over
    `fade_s` (linearly, see `fade_ramp`; a background is not faded), multiply it by its gain, add it at its onset; round
    to 16 bits. Pink noise is `pink_noise` of the soundscape's length by `numpy.random.default_rng([seed, split, number,
    1])`, where split is 0 for train, 1 for validation, 2 for test, and number is that in the clip's name.

    Args:
        out: a new folder: `audio/` with FLAC of 16 bits, mono, and the tables of a data set.
        layer: the labels of the sounds. A truth layer too: soundscapes of recordings whose labels are right are right.
        backgrounds: a data set whose clips, at least as long as a soundscape, take the place of the noise.
        test_fold, validation_fold: folds of `dataset` that are heard in that split only; splits that the data set
            gives are kept. A split that neither names is drawn by whole groups, by `test_share` or `validation_share`.
        workers: threads; one a core by default.

    Raises:
        InputError: `out` is taken, a fold or layer is not there, or a split has nothing to be made from.
    """
    out = Path(out)
    _check_asked(settings, seed, backgrounds, workers)
    workers = workers or os.cpu_count() or 1
    with new_folder(out) as aside:
        numbers = soundscapes_by_split(settings)
        folds = (test_fold, validation_fold)
        sounds, sources, behind = _find_all(dataset, layer, backgrounds, settings, seed, folds, workers)
        _check_splits(numbers, sources, behind, dataset, backgrounds)
        (aside / "audio").mkdir()
        soundscapes = list(_written(aside / "audio", sounds, numbers, settings, seed, workers))
        write_table(source_table(soundscapes, dataset, backgrounds, settings.rate_hz), aside / "sources.csv")
        summary = summarise(str(out), soundscapes, dataset, layer, sources, behind, settings)
        asked = {"seed": seed, "test_fold": test_fold, "validation_fold": validation_fold}
        write_dataset(
            aside,
            name=out.resolve().name,
            clips=clip_table(soundscapes, settings),
            labels=label_table(soundscapes, dataset.vocabulary, settings.rate_hz),
            vocabulary=dataset.vocabulary,
            audio_root=aside,
            source=dataset.folder,
            not_annotated=dataset.about.get("not_annotated", ()),
            summary={"made_by": "mix", **asked, "settings": values_of(settings), **summary.as_dict()},
        )
    return summary


def soundscapes_by_split(settings: MixSettings) -> tuple[int, int, int]:
    """How many soundscapes train, validation and test have; halves are rounded up, training has the rest."""
    validation = int(settings.validation_share * settings.num_clips + 0.5)
    test = min(int(settings.test_share * settings.num_clips + 0.5), settings.num_clips - validation)
    return settings.num_clips - validation - test, validation, test


def _check_asked(settings: MixSettings, seed: int, backgrounds: Dataset | None, workers: int | None) -> None:
    """Refuses what contradicts itself."""
    if seed < 0:
        raise InputError(f"the seed must be 0 or more, got {seed}")
    if workers is not None and workers < 1:
        raise InputError(f"workers must be 1 or more, got {workers}")
    if backgrounds is not None and settings.background == "none":
        raise InputError(
            'background must not be "none" where a data set of backgrounds is given; leave one of them out'
        )


def _find_all(
    dataset: Dataset,
    layer: str,
    backgrounds: Dataset | None,
    settings: MixSettings,
    seed: int,
    folds: tuple[int | None, int | None],
    workers: int,
) -> tuple[list[Sounds], Sources, Sources | None]:
    """What each split's soundscapes are made from, the clips that are used, and those used as backgrounds."""
    shares = (settings.validation_share, settings.test_share)
    # A layer that is not there is refused before anything is decoded.
    dataset.labels(layer)
    pack = open_pack(dataset, settings.rate_hz, workers)
    usable = find_sounds(dataset, pack, settings.min_active_s, workers, layer)
    sources = split_sources(dataset, usable, seed, *shares, *folds)
    background_pack, behind = None, None
    if backgrounds is not None:
        background_pack = open_pack(backgrounds, settings.rate_hz, workers)
        num_samples = samples_from_seconds(settings.clip_s, settings.rate_hz)
        found = find_backgrounds(backgrounds, background_pack, num_samples, dataset.vocabulary)
        behind = split_sources(backgrounds, found, seed, *shares)
        behind = without_sounds_elsewhere(backgrounds, behind, dataset, sources)
    sounds = [
        Sounds(
            pack=pack,
            by_tag=sources.by_tag(split),
            parts=usable.parts,
            tags_above=usable.tags_above,
            background_pack=background_pack,
            backgrounds=np.empty(0, np.int64) if behind is None else behind.rows(split),
        )
        for split in range(len(SPLITS))
    ]
    return sounds, sources, behind


def _check_splits(
    numbers: Sequence[int],
    sources: Sources,
    behind: Sources | None,
    dataset: Dataset,
    backgrounds: Dataset | None,
) -> None:
    """Refuses soundscapes of a split that has no recordings."""
    used = [("sounds", dataset, sources)]
    if backgrounds is not None and behind is not None:
        used.append(("backgrounds", backgrounds, behind))
    for what, of, found in used:
        for split, number in enumerate(numbers):
            if number and not len(found.rows(split)):
                reasons = ", ".join(f"{count} {reason}" for reason, count in found.passed_over.items())
                raise InputError(
                    f"{of.folder}: must have {what} for {number} {SPLITS[split]} soundscapes, found none among "
                    f"{of.num_clips} clips{reasons and f' (passed over: {reasons})'}; {_way_out(split, found)}"
                )


def _way_out(split: int, found: Sources) -> str:
    if split != TRAIN:
        return f"set {SPLITS[split]}_share=0 or name a {SPLITS[split]} fold"
    return "give clips of other recordings" if ELSEWHERE in found.passed_over else "give more clips"


def _written(
    folder: Path, sounds: Sequence[Sounds], numbers: Sequence[int], settings: MixSettings, seed: int, workers: int
) -> Iterator[Soundscape]:
    """Every soundscape in the order of splits and numbers, without its waveform, which is in a file then."""

    def write(task: tuple[int, int]) -> Soundscape:
        split, number = task
        made = make_soundscape(sounds[split], settings, seed, split, number)
        soundfile.write(folder / f"{made.clip}.flac", made.waveform, settings.rate_hz, subtype="PCM_16")
        return replace(made, waveform=np.empty(0, np.int16))

    tasks = [(split, number) for split, count in enumerate(numbers) for number in range(count)]
    with progress_bar(len(tasks), "mixing", "clips") as bar:
        for made in mapped(write, tasks, workers):
            bar.update(1)
            yield made
