"""`mix`: a data set of soundscapes made from recordings of single sounds, with exact strong labels."""

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import soundfile

from earmark.config import values_of
from earmark.data.dataset import Dataset, write_dataset
from earmark.data.packs import open_pack
from earmark.data.synthesis.mix_settings import MixSettings
from earmark.data.synthesis.mix_summary import MixSummary, summarise
from earmark.data.synthesis.mix_tables import clip_table, label_table, source_table
from earmark.data.synthesis.new_folder import new_folder
from earmark.data.synthesis.soundscape import Sounds, Soundscape, make_soundscape
from earmark.data.synthesis.sources import (
    Sources,
    find_backgrounds,
    find_sounds,
    split_sources,
    without_sounds_elsewhere,
)
from earmark.data.table_files import write_table
from earmark.data.tables import SPLITS
from earmark.errors import InputError
from earmark.progress import progress_bar
from earmark.timing import samples_from_seconds

__all__ = ["MixSettings", "MixSummary", "mix"]


def mix(
    dataset: Dataset,
    out: Path | str,
    settings: MixSettings,
    *,
    seed: int = 0,
    backgrounds: Dataset | None = None,
    test_fold: int | None = None,
    validation_fold: int | None = None,
    workers: int | None = None,
) -> MixSummary:
    """Makes a data set of soundscapes with exact strong labels, whole or not at all, and says what came of it.

    Sounds are clips labelled weak with a single tag. What is placed of one reaches from its first to its last active
    part (see `active_parts`); each active part is an event. Recordings never cross splits. A soundscape is a pure
    function of seed, split and number: more soundscapes leave the first ones as they are, and workers change nothing.

    `sources.csv` has a row for every term of a soundscape's sum. To rebuild it: fade an event's stretch in and out over
    `fade_s` (see `fade_ramp`; a background is not faded), multiply it by its gain, add it at its onset; round to 16
    bits.

    Args:
        out: a new folder: `audio/` with FLAC of 16 bits, mono, and the tables of a data set.
        backgrounds: a data set whose clips, at least as long as a soundscape, take the place of the noise.
        test_fold, validation_fold: folds of `dataset` that are heard in that split only; splits that the data set
            gives are kept; without either, groups are drawn by `test_share` and `validation_share`.
        workers: threads; one a core by default.

    Raises:
        InputError: `out` is taken, a fold is not there, or a split has nothing to be made from.
    """
    out, workers = Path(out), workers or os.cpu_count() or 1
    _check_asked(settings, seed, backgrounds)
    with new_folder(out) as aside:
        numbers = soundscapes_by_split(settings)
        sounds, sources, behind = _find_all(dataset, backgrounds, settings, seed, (test_fold, validation_fold), workers)
        _check_splits(numbers, sources, behind, dataset, backgrounds)
        (aside / "audio").mkdir()
        soundscapes = list(_written(aside / "audio", sounds, numbers, settings, seed, workers))
        write_table(source_table(soundscapes, dataset, backgrounds, settings.rate_hz), aside / "sources.csv")
        summary = summarise(str(out), soundscapes, dataset, sources, behind, settings)
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


def _check_asked(settings: MixSettings, seed: int, backgrounds: Dataset | None) -> None:
    """Refuses what contradicts itself."""
    if seed < 0:
        raise InputError(f"the seed must be 0 or more, got {seed}")
    if backgrounds is not None and settings.background == "none":
        raise InputError(
            'background must not be "none" where a data set of backgrounds is given; leave one of them out'
        )


def _find_all(
    dataset: Dataset,
    backgrounds: Dataset | None,
    settings: MixSettings,
    seed: int,
    folds: tuple[int | None, int | None],
    workers: int,
) -> tuple[list[Sounds], Sources, Sources | None]:
    """What each split's soundscapes are made from, the clips that are used, and those used as backgrounds."""
    shares = (settings.validation_share, settings.test_share)
    pack = open_pack(dataset, settings.rate_hz, workers)
    usable = find_sounds(dataset, pack, settings.min_event_s, workers)
    sources = split_sources(dataset, usable, seed, *shares, *folds)
    by_tag = [sources.by_tag(which) for which in range(len(SPLITS))]
    if backgrounds is None:
        nothing = np.empty(0, np.int64)
        return [Sounds(pack, tags, sources.parts, None, nothing) for tags in by_tag], sources, None
    background_pack = open_pack(backgrounds, settings.rate_hz, workers)
    num_samples = samples_from_seconds(settings.clip_s, settings.rate_hz)
    usable = find_backgrounds(backgrounds, background_pack, num_samples, dataset.vocabulary)
    behind = split_sources(backgrounds, usable, seed, *shares)
    behind = without_sounds_elsewhere(backgrounds, behind, dataset, sources)
    sounds = [
        Sounds(pack, tags, sources.parts, background_pack, behind.rows(which)) for which, tags in enumerate(by_tag)
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
                name = SPLITS[split]
                way_out = "give more clips" if name == "train" else f"set {name}_share=0 or name a {name} fold"
                raise InputError(
                    f"{of.folder}: must have {what} for {number} {name} soundscapes, found none among {of.num_clips} "
                    f"clips{reasons and f' (passed over: {reasons})'}; {way_out}"
                )


def _written(
    folder: Path, sounds: Sequence[Sounds], numbers: Sequence[int], settings: MixSettings, seed: int, workers: int
) -> Iterator[Soundscape]:
    """Every soundscape in the order of splits and numbers, without its waveform, which is in a file then."""

    def write(split: int, number: int) -> Soundscape:
        made = make_soundscape(sounds[split], settings, seed, split, number)
        soundfile.write(folder / f"{made.clip}.flac", made.waveform, settings.rate_hz, subtype="PCM_16")
        return replace(made, waveform=np.empty(0, np.int16))

    tasks = [(split, number) for split, count in enumerate(numbers) for number in range(count)]
    with progress_bar(len(tasks), "mixing", "clips") as bar, ThreadPoolExecutor(workers) as pool:
        try:
            for made in pool.map(write, *zip(*tasks, strict=True)):
                bar.update(1)
                yield made
        except BaseException:
            # Otherwise the pool writes all that it was asked for before the exception is seen.
            pool.shutdown(cancel_futures=True)
            raise
