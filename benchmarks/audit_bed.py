"""The audit's test beds: all labels of ESC-10 and of soundscapes made of it, some of them wrong, some missing."""

from typing import Literal

from benchmarks.beds import esc10
from benchmarks.harness import Bench, key_of
from earmark.config import values_of
from earmark.data.dataset import Dataset, open_dataset
from earmark.data.synthesis import CorruptSettings, MixSettings, corrupt, mix

Kind = Literal["recordings", "soundscapes"]

WRONG_RATE = {"recordings": 0.25, "soundscapes": 0.15}
MISSING_RATE = {"recordings": 0.0, "soundscapes": 0.2}


def fault_settings(kind: Kind) -> CorruptSettings:
    """What is planted: a recording's wrong label stands in the place of its right one, which is so missing too."""
    faults = CorruptSettings(wrong_rate=WRONG_RATE[kind], missing_rate=MISSING_RATE[kind])
    return faults.model_copy(update={"weak": True}) if kind == "soundscapes" else faults


def bed_of(bench: Bench, seed: int, kind: Kind) -> Dataset:
    """The test bed of a seed, made unless it is there."""
    faults, mixing = fault_settings(kind), bench.made_of["mix"]
    made_of = mixing if kind == "soundscapes" else None
    folder = bench.work / "beds" / f"audit-{kind}-{seed}-{key_of(made_of, values_of(faults), seed)[:8]}"
    with bench.timed(folder.name):
        if not (folder / "dataset.json").exists():
            right = esc10(bench.work)
            if kind == "soundscapes":
                scenes = bench.work / "beds" / f"audit-scenes-{seed}-{key_of(mixing, seed)[:8]}"
                if not (scenes / "dataset.json").exists():
                    mix(right, scenes, MixSettings(**mixing), seed=seed)
                right = open_dataset(scenes)
            corrupt(right, folder, faults, seed=seed)
    return open_dataset(folder)
