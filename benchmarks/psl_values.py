"""What PSL's rows measure: a seed's teacher, its scores of chunks, students, and figures of all of them."""

from pathlib import Path

import numpy as np
import torch

from benchmarks.harness import Bench
from benchmarks.label_quality import MIN_SOUND_S, THRESHOLD, calibration_error, precision, recall, sounding_s
from benchmarks.psl_bed import bed_of, held_out, office, recording_splits, splits_of
from earmark.data.chunking import Chunking
from earmark.data.clips import whole_clips
from earmark.data.dataset import Dataset
from earmark.data.packs import open_pack
from earmark.data.splits import Splits, resolve_splits
from earmark.files import written_aside
from earmark.metrics.tagging import d_prime, lwlrap, map_at_k, mean_average_precision
from earmark.models.tagger import load_model
from earmark.relabel.chunks import coverage
from earmark.scores.chunk_scores import store_chunk_scores
from earmark.scores.predict import clip_scores
from earmark.scores.scorer import model_scorer
from earmark.scores.store import ScoreStore, open_scores

CPU = torch.device("cpu")
CHUNKS_S = (10.0, 5.0, 2.0)
SMALL = 0.125
"""The student's share of the training soundscapes; the teacher learns from all of them."""

EPOCHS_BY_SHARE = {SMALL: 1.0, 0.5: 1 / 3, 1.0: 1 / 4}
"""The epochs of students of larger shares, beside those of the small one: fewer, but of more steps in all."""


def teacher_of(bench: Bench, seed: int) -> Path:
    """The run of a seed's teacher, which learned from the weak labels of all training soundscapes."""
    return bench.run_of(bed_of(bench, seed), {}, seed=seed, learning="teacher")


def teacher_scores(bench: Bench, seed: int, chunk_s: float) -> ScoreStore:
    """The teacher's scores of all training soundscapes in chunks of a length."""
    teacher, rows = teacher_of(bench, seed), splits_of(bench, seed).train
    folder = bench.work / "scores" / f"{teacher.name}-{chunk_s:g}s"
    with bench.timed(f"scores-{folder.name}"):
        if (folder / "about.json").exists():
            return open_scores(folder)
        scorer = model_scorer(load_model(teacher), CPU)
        return store_chunk_scores(
            scorer, bed_of(bench, seed), rows, Chunking(chunk_s=chunk_s), folder, training=rows, out_of_fold=False
        )


def student_of(bench: Bench, seed: int, chunk_s: float, alpha: float = 1.0, share: float = SMALL) -> Path:
    """The run of a student on chunks of a length; with alpha 0 it learns from the weak labels as given."""
    epochs = max(1, round(bench.resolved()["epochs"] * EPOCHS_BY_SHARE[share]))
    changes = {"chunk_s": chunk_s, "alpha": alpha, "epochs": epochs}
    teacher = teacher_scores(bench, seed, chunk_s).folder if alpha > 0 else None
    splits = splits_of(bench, seed, share)
    return bench.run_of(bed_of(bench, seed), changes, seed=seed, splits=splits, teacher=teacher)


def scores_of_test(bench: Bench, run: Path, dataset: Dataset, splits: Splits) -> np.ndarray:
    """A run's scores of the test clips, (clip, tag); kept beside it."""
    with bench.timed(run.name):
        path = run / "test-scores.npz"
        if not path.exists():
            tagger = load_model(run)
            pack = open_pack(dataset, tagger.rate_hz)
            with written_aside(path) as aside:
                np.savez(aside, scores=clip_scores(tagger, pack, splits.test, device=CPU)[1])
        return np.asarray(np.load(path)["scores"])


def tagging(bench: Bench, seed: int, run: Path) -> dict[str, float]:
    """mAP and d' of a run on the true labels of the test soundscapes."""
    bed, splits = bed_of(bench, seed), splits_of(bench, seed)
    scores = scores_of_test(bench, run, bed, splits)
    truth = bed.labels("truth").rows(splits.test) >= THRESHOLD
    return {"mAP": mean_average_precision(truth, scores), "d'": d_prime(truth, scores)}


def teacher(bench: Bench, seed: int) -> dict[str, float]:
    """The teacher itself."""
    return {"soundscapes": len(splits_of(bench, seed).train), **tagging(bench, seed, teacher_of(bench, seed))}


def student(bench: Bench, seed: int, chunk_s: float, alpha: float = 1.0, share: float = SMALL) -> dict[str, float]:
    """A student."""
    clips = len(splits_of(bench, seed, share).train)
    return {"soundscapes": clips, **tagging(bench, seed, student_of(bench, seed, chunk_s, alpha, share))}


def label_quality(bench: Bench, seed: int, chunk_s: float) -> dict[str, float]:
    """A teacher's scores of chunks beside what sounds in them, and the weak labels propagated to the same chunks."""
    bed, splits = bed_of(bench, seed), splits_of(bench, seed)
    store = teacher_scores(bench, seed, chunk_s)
    pack = open_pack(bed, load_model(teacher_of(bench, seed)).rate_hz)
    chunks, rows = store.chunks_of(bed, whole_clips(pack, splits.train), pack.rate_hz)
    scores = store.read(rows)
    truth = sounding_s(bed.statements("truth"), chunks, pack.rate_hz, len(bed.vocabulary)) >= MIN_SOUND_S
    decided, given = scores >= THRESHOLD, bed.labels().rows(chunks.clip_index) >= THRESHOLD
    union = coverage(bed.labels("truth"), chunks.clip_index, lambda part: scores[part], THRESHOLD)
    right, of_clips = int(union.num_covered.sum()), int(union.num_decided.sum())
    return {
        "precision": precision(decided, truth),
        "recall": recall(decided, truth),
        "of clips: precision": right / of_clips if of_clips else float("nan"),
        "of clips: recall": right / int(union.num_given.sum()),
        "tags a clip": float(union.num_decided.mean()),
        "true tags a clip": float(union.num_given.mean()),
        "calibration error": calibration_error(scores, truth),
        "mAP": mean_average_precision(truth, scores),
        "weak: precision": precision(given, truth),
        "weak: recall": recall(given, truth),
    }


def transfer(bench: Bench, seed: int, init: Path, dataset: Dataset, splits: Splits) -> dict[str, float]:
    """A new last layer on a model's frozen backbone, for tags that the model was not trained on."""
    run = bench.run_of(dataset, {}, seed=seed, splits=splits, learning="linear", init=init)
    scores = scores_of_test(bench, run, dataset, splits)
    truth = dataset.labels().rows(splits.test) >= THRESHOLD
    return {
        "mAP": mean_average_precision(truth, scores),
        "mAP@3": map_at_k(truth, scores),
        "lwlrap": lwlrap(truth, scores),
    }


def begun_from(bench: Bench, seed: int, init: str) -> Path:
    """The model that a transfer begins with, by its name: "teacher", "weak" or "psl-2s"."""
    if init == "teacher":
        return teacher_of(bench, seed)
    chunk_s, alpha = {"weak": (10.0, 0.0), "psl-2s": (2.0, 1.0)}[init]
    return student_of(bench, seed, chunk_s, alpha, share=1.0)


def to_held_out(bench: Bench, seed: int, init: str) -> dict[str, float]:
    """Linear transfer to soundscapes of the tags that were held out."""
    scenes = held_out(bench, seed)
    return transfer(bench, seed, begun_from(bench, seed, init), scenes, resolve_splits(scenes))


def to_office(bench: Bench, seed: int, init: str, source: Path | None) -> dict[str, float]:
    """Linear transfer to isolated events of an office, which are not ours to carry."""
    assert source is not None, "the row is not run without it"
    recordings = office(bench, source)
    return transfer(bench, seed, begun_from(bench, seed, init), recordings, recording_splits(recordings, seed))
