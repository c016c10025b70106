"""Work on as many clips as its folder's name says: `.../10000` is of 10,000. See `benchmarks/speed/scale.py`.

Nothing is made ready in more memory than the work itself needs, or else it is kept in files, for the peak is measured.
"""

import shutil
import struct
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

RATE_HZ = 16_000
BATCH = 64
NUM_TAGS, BOOTSTRAP_TAGS = 527, 80
RESAMPLES = 1_000
_CLIPS_AT_A_TIME = 1_000

Work = Callable[[], object]


@dataclass(frozen=True)
class Recordings:
    """What packing asks of a data set: recordings of a second each, which are written if they are not there."""

    folder: Path
    num_clips: int

    @property
    def clips(self) -> pa.Table:
        """A clip is a file."""
        names = pa.array([f"{number:07d}.wav" for number in range(self.num_clips)])
        return pa.table({"clip": names, "path": names, "duration_s": np.ones(self.num_clips)})

    def audio_path(self, row: int) -> Path:
        """The recording of a clip."""
        return self.folder / "audio" / f"{row:07d}.wav"

    def write(self) -> None:
        """Noise at 16 kHz, no two alike."""
        if (self.folder / "written").exists():
            return
        (self.folder / "audio").mkdir(parents=True, exist_ok=True)
        size = 2 * RATE_HZ
        header = struct.pack(
            "<4sI4s4sIHHIIHH4sI", b"RIFF", 36 + size, b"WAVE", b"fmt ", 16, 1, 1, RATE_HZ, size, 2, 16, b"data", size
        )
        noise = np.random.default_rng(0).normal(0, 3000, 2 * RATE_HZ).astype("<i2")
        for row in range(self.num_clips):
            samples = noise[row % RATE_HZ : row % RATE_HZ + RATE_HZ] + row // RATE_HZ
            self.audio_path(row).write_bytes(header + samples.astype("<i2").tobytes())
        (self.folder / "written").touch()


def _recordings(work: Path) -> Recordings:
    return Recordings(work / "recordings", int(work.name))


def packing(work: Path) -> Work:
    """Every recording decoded and packed, by one thread."""
    from earmark.data.packs import open_pack

    recordings = _recordings(work)
    recordings.write()
    shutil.rmtree(recordings.folder / "packs", ignore_errors=True)  # of another row, asked for before this one
    return lambda: open_pack(recordings, RATE_HZ, workers=1)


def loading(work: Path) -> Work:
    """A pack opened, and an epoch of training's batches of it in random order, half of the clips mixed with others."""
    from earmark.data.augment import Augmentation
    from earmark.data.clips import whole_clips
    from earmark.data.packs import Pack, open_pack
    from earmark.data.sampling import shuffled
    from earmark.training.feed import Feed
    from earmark.training.targets import WeakLabels

    num_clips, recordings = int(work.name), _recordings(work)
    recordings.write()
    open_pack(recordings, RATE_HZ, workers=1)
    labels = _relabelling().made_labels(num_clips)

    def epoch() -> Pack:
        pack = open_pack(recordings, RATE_HZ, workers=1)
        clips = whole_clips(pack, np.arange(num_clips))
        feed = Feed(
            pack=pack,
            excerpts=clips,
            targets=WeakLabels(labels, clips),
            order=partial(shuffled, num_clips, 0),
            length_samples=RATE_HZ,
            batch_size=BATCH,
            augmentation=Augmentation(mixup_rate=0.5),
            seed=0,
            names=pa.chunked_array([pa.array(range(num_clips)).cast(pa.string())]),
        )
        for _ in feed.batches(0):
            pass
        return pack

    return _kept(epoch)


def _kept(work: Work) -> Work:
    """Work whose result lives on, with the files that it has mapped, so that they can be told from its own memory."""
    results: list[object] = []
    return lambda: results.append(work())


def _relabelling():  # type: ignore[no-untyped-def]
    """Only where it is asked for: it brings torch."""
    from benchmarks.speed.ours import relabelling

    return relabelling


def chunks_stored(work: Path) -> Work:
    """See `relabelling.store_chunks`, as the ones below."""
    return _relabelling().store_chunks(int(work.name), work)


def chunks_read(work: Path) -> Work:
    """An epoch of a student's targets."""
    return _relabelling().read_chunks(int(work.name), work)


def chunks_covered(work: Path) -> Work:
    """Chunks' tags beside their clips' labels."""
    return _relabelling().cover_chunks(int(work.name), work)


def enhanced(work: Path) -> Work:
    """Labels by ontology and scores."""
    return _kept(_relabelling().enhance_by_ontology(int(work.name), work))


def selected(work: Path) -> Work:
    """An epoch of clips kept or dropped."""
    return _relabelling().select_clips(int(work.name), work)


def frames_labelled(work: Path) -> Work:
    """A round's frames of weak clips."""
    return _relabelling().label_frames(int(work.name), work)


def ap_auc(work: Path) -> Work:
    """AP and AUC of all tags."""
    from earmark.metrics.tagging import average_precision_and_roc_auc

    truth, scores = _tags_and_scores(int(work.name), NUM_TAGS)
    return lambda: average_precision_and_roc_auc(truth, scores)


def lwlrap(work: Path) -> Work:
    """One number."""
    from earmark.metrics import tagging

    truth, scores = _tags_and_scores(int(work.name), NUM_TAGS)
    return lambda: tagging.lwlrap(truth, scores)


def bootstrap(work: Path) -> Work:
    """mAP of resampled clips."""
    from earmark.metrics.bootstrap import bootstrap

    truth, scores = _tags_and_scores(int(work.name), BOOTSTRAP_TAGS)
    return lambda: bootstrap(truth, scores, ["mean_average_precision"], resamples=RESAMPLES)


def _tags_and_scores(num_clips: int, num_tags: int) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.float32]]:
    """As `inputs.tags_and_scores` makes them, some clips at a time."""
    draw = np.random.default_rng(0)
    truth, scores = np.empty((num_clips, num_tags), np.bool_), np.empty((num_clips, num_tags), np.float32)
    for first in range(0, num_clips, _CLIPS_AT_A_TIME):
        at = slice(first, first + _CLIPS_AT_A_TIME)
        truth[at] = draw.random(truth[at].shape) < 0.01
        scores[at] = 1 / (1 + np.exp(-draw.normal(size=truth[at].shape) - 2 * truth[at]))
    return truth, scores
