"""Clips that are the same sound are found however they were changed, and others are not."""

import io
from pathlib import Path

import numpy as np
import pytest
import soundfile

from earmark.audit.near_duplicates import RATE_HZ, band_changes, near_duplicates, shifted_correlation
from earmark.data.importing import import_dataset
from earmark.data.packs import Pack, open_pack
from tests.conftest import REPOSITORY


def encoded(waveform: np.ndarray) -> np.ndarray:
    written = io.BytesIO()
    soundfile.write(written, waveform, RATE_HZ, format="OGG", subtype="VORBIS", compression_level=0.8)
    written.seek(0)
    return soundfile.read(written)[0]


@pytest.fixture(scope="module")
def pack(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[str], Pack]:
    """Real recordings; of the first, others that are the same, and one of noise and silence."""
    folder = tmp_path_factory.mktemp("same")
    sources = sorted((REPOSITORY / "data" / "esc10").glob("*/1-*-A.ogg"))[::5]
    for number, source in enumerate(sources):
        soundfile.write(_made(folder, f"source-{number}"), read(source), RATE_HZ)
    first = read(sources[0])
    changed = {
        "quieter": 0.3 * first,
        "encoded": encoded(first),
        "later": np.concatenate([np.zeros(4001), first])[: len(first)],
        "cut": first[3000:50000],
        "silence": np.zeros(RATE_HZ),
        "short": first[:300],
    }
    for name, waveform in changed.items():
        soundfile.write(_made(folder, name), waveform, RATE_HZ)
    dataset = import_dataset_of(folder)
    return dataset.clips["clip"].to_pylist(), open_pack(dataset, RATE_HZ)


def import_dataset_of(folder: Path):
    from earmark.data.dataset import open_dataset

    import_dataset(folder / "audio", folder / "set")
    return open_dataset(folder / "set")


def read(path: Path) -> np.ndarray:
    import soxr

    waveform, rate_hz = soundfile.read(path)
    return soxr.resample(waveform, rate_hz, RATE_HZ)


def _made(folder: Path, name: str) -> Path:
    path = folder / "audio" / "sound" / f"{name}.wav"
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def names_of(pack: tuple[list[str], Pack], labels: np.ndarray, recordings: list[str] | None = None) -> set[frozenset]:
    names, opened = pack
    found = near_duplicates(opened, np.arange(len(names)), labels, recordings or names)
    assert (np.diff(found.correlation) <= 0).all()
    return {
        frozenset(Path(names[place]).name for place in pair) for pair in zip(found.first, found.second, strict=True)
    }


def test_the_same_sound_is_found_and_no_other(pack: tuple[list[str], Pack]) -> None:
    names, _ = pack
    # Every clip has a label of its own.
    found = names_of(pack, np.eye(len(names), dtype=bool))
    same = {"source-0", "quieter", "encoded", "later", "cut"}
    assert set().union(*found) == same
    assert all(pair <= same for pair in found)


def test_clips_of_the_same_labels_and_of_the_same_recording_are_passed_over(pack: tuple[list[str], Pack]) -> None:
    names, _ = pack
    assert names_of(pack, np.ones((len(names), 2), bool)) == set()
    assert names_of(pack, np.eye(len(names), dtype=bool), ["one"] * len(names)) == set()
    differing = np.array([[name.endswith("quieter")] for name in names])
    assert all(any(name == "quieter" for name in pair) for pair in names_of(pack, differing))


def test_clips_that_cannot_be_read_are_passed_over(pack: tuple[list[str], Pack]) -> None:
    names, opened = pack
    broken = Pack.__new__(Pack)
    broken.__dict__ = {**opened.__dict__, "num_samples": np.where(np.arange(len(names)) == 0, 0, opened.num_samples)}
    found = near_duplicates(broken, np.arange(len(names)), np.eye(len(names), dtype=bool), names)
    assert found.compared == len(names) - 1
    assert 0 not in found.first


def test_the_correlation_is_that_of_the_best_shift() -> None:
    rng = np.random.default_rng(0)
    one = rng.normal(size=(40, 4))
    other = one[7:37] + 0.1 * rng.normal(size=(30, 4))
    plain = [
        (one[shift : shift + 30] * other).sum() / np.sqrt((one[shift : shift + 30] ** 2).sum() * (other**2).sum())
        for shift in range(11)
    ]
    assert (
        shifted_correlation(one, other) == pytest.approx(max(plain)) == pytest.approx(shifted_correlation(other, one))
    )
    # Less than half of the shorter one is not enough.
    assert shifted_correlation(one[:20], one[12:]) < 0.5 < shifted_correlation(one[:20], one[8:])
    assert shifted_correlation(one, np.zeros((5, 4))) == 0


def test_changes_are_of_loud_bands() -> None:
    log_mel = np.full((50, 64), -100.0)
    log_mel[20:25] = 0
    changes = band_changes(log_mel)
    assert changes.shape == (9, 16)
    assert np.abs(changes).max() == pytest.approx(40)
    assert band_changes(log_mel[:3]).shape == (1, 16)
