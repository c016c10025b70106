"""A run folder as training and evaluation leave it, made up from a seed."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from earmark.clip_figure import RATE_HZ, mp3_base64
from earmark.figures import ChartFigure, ClipFigure, Event, Series, TableFigure, write_figure

TAGS = ["Dog bark", "Rain", "Sea waves", "Baby cry", "Clock tick", "Person sneeze", "Helicopter", "Chainsaw", "Rooster"]
TAGS += ["Fire crackling"]


def _write(path: Path, value: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value), "utf-8")


def _evaluation(rng: np.random.Generator, split: str, tags: list[str]) -> dict[str, object]:
    def interval(value: float, width: float) -> dict[str, float]:
        return {"value": value, "low": max(0.0, value - width), "high": value + width * 0.8}

    per_tag = []
    for tag in tags:
        value = float(rng.uniform(0.2, 0.99))
        low, high = max(0.0, value - 0.15), min(1.0, value + 0.1)
        row = {
            "tag": tag,
            "positives": int(rng.integers(1, 4000)),
            "average_precision": value,
            "low": low,
            "high": high,
        }
        row |= {"roc_auc": float(rng.uniform(0.5, 1)), "threshold": float(rng.uniform(0, 1))}
        per_tag.append(row | {"f1": float(rng.uniform(0, 1)), "training_clips": int(rng.integers(1, 9000))})
    return {
        "dataset": "esc10",
        "split": split,
        "labels": "given",
        "num_clips": 1080,
        "num_groups": 16,
        "left_out_tags": [],
        "confidence": 0.95,
        "resamples": 1000,
        "thresholds": {"split": "validation", "labels": "given", "num_clips": 320, "tags_without_positives": 1},
        "metrics": {
            "mean_average_precision": interval(0.913_642_8, 0.045),
            "lwlrap": interval(0.934_118, 0.035),
            "mean_roc_auc": interval(0.981_27, 0.012),
            "d_prime": interval(2.941_9, 0.31),
            "f1_at_best_threshold": {"value": 0.871_53, "low": None, "high": None},
        },
        "per_tag": per_tag,
        "date": "2025-11-21",
        "machine": "2 cores",
        "seconds": 3.91,
    }


def _figures(folder: Path, rng: np.random.Generator, tags: list[str]) -> None:
    words = {"caption": "Counted over 320 clips of train; note the tail.", "alt": "Tags by their number of clips."}
    counts = sorted((float(n) for n in rng.integers(5, 400, len(tags))), reverse=True)
    low, high = [n * 0.9 for n in counts], [n * 1.1 for n in counts]
    series = [Series(label="train", x=tags, y=counts, low=low, high=high)]
    common = {"x_label": "Tag", "y_label": "Clips", **words}
    write_figure(folder, "tag_counts", ChartFigure(kind="bar", title="Clips per tag", series=series, **common))
    halves = [Series(label=name, x=["train", "validation", "test"], y=[0.9, 0.8, None]) for name in ("before", "after")]
    write_figure(folder, "small_bars", ChartFigure(kind="bar", title="Share kept", series=halves, **common))
    x = [float(v) for v in rng.normal(0, 1, 200)]
    points = [Series(label=n, x=x, y=[float(v) for v in rng.normal(i, 1, 200)]) for i, n in enumerate(("a", "b"))]
    scatter = ChartFigure(kind="scatter", title="AP and number of clips", series=points, **common)
    write_figure(folder, "scatter", scatter)
    epochs = [float(epoch) for epoch in range(50)]
    curve = np.cumsum(rng.normal(0, 1, 50))
    band = Series(label="teacher", x=epochs, y=curve.tolist(), low=(curve - 2).tolist(), high=(curve + 2).tolist())
    other = Series(label="student", x=epochs, y=[None if 10 < i < 15 else float(i) / 5 for i in range(50)])
    write_figure(
        folder, "lines", ChartFigure(kind="line", title="Two models", series=[band, other], y_unit="%", **common)
    )
    rows: list[list[str | float | int | None]] = [[f"step {i}", i * 1000, 0.5 + i / 7, None] for i in range(6)]
    columns = ["What", "Count", "Share", "Nothing"]
    write_figure(folder, "table", TableFigure(title="A small table", columns=columns, rows=rows, **words))
    write_figure(folder, "clip_hard", clip_figure(rng))


def clip_figure(rng: np.random.Generator) -> ClipFigure:
    """Ten seconds with two tones, as any stage would write it."""
    time = np.arange(10 * RATE_HZ) / RATE_HZ
    waveform = 0.3 * np.sin(2 * np.pi * 440 * time) * ((time > 2) & (time < 4)) + 0.02 * rng.normal(size=len(time))
    log_mel = rng.integers(0, 80, (64, 1000))
    log_mel[20:24, 200:400] += 150
    log_mel[40:44, 600:750] += 120
    seconds = [i * 0.1 for i in range(100)]
    curves = [
        Series(label="Dog bark", x=seconds, y=[float(np.exp(-((s - 3) ** 2))) for s in seconds]),
        Series(label="Fire crackling", x=seconds, y=[float(np.exp(-((s - 6.7) ** 2))) for s in seconds]),
    ]
    return ClipFigure(
        title="The clip with the highest loss",
        caption="A clip of validation: the model hears a fire where the labels have none.",
        alt="Scores of two tags over ten seconds, with a labelled dog bark between 2 and 4 s that the model finds.",
        clip="1-100032-A",
        duration_s=10.0,
        log_mel=log_mel.tolist(),
        curves=curves,
        reference=[Event(tag="Dog bark", onset=2, offset=4)],
        estimated=[
            Event(tag="Dog bark", onset=2.1, offset=3.9),
            Event(tag="Fire crackling", onset=6, offset=7.5),
        ],
        audio=mp3_base64((waveform * 2**15).astype(np.int16)),
    )


def _progress(rng: np.random.Generator) -> list[dict[str, object]]:
    lines = []
    for epoch in range(1, 21):
        share = 1 - np.exp(-epoch / 5)
        validation = {
            "mean_average_precision": 0.1 + 0.8 * share + float(rng.normal(0, 0.01)),
            "lwlrap": 0.2 + 0.75 * share,
            "d_prime": 3 * share,
            "loss": 0.7 - 0.5 * share,
        }
        line = {"epoch": epoch, "step": epoch * 40, "train_loss": 0.7 - 0.6 * share, "learning_rate": 1e-3 / epoch}
        lines.append(line | {"validation": validation, "seconds": 31.5, "clips_per_second": 10.2})
    return lines


MakeRun = Callable[..., Path]


@pytest.fixture
def make_run(tmp_path: Path) -> MakeRun:
    """Writes a finished run for the tags given and returns its folder."""

    def make(tags: list[str] = TAGS, name: str = "esc10-baseline") -> Path:
        rng = np.random.default_rng(7)
        run = tmp_path / name
        values = {"epochs": 20, "batch_size": 32, "mixup_rate": 0.5, "learning_rate": 0.001, "backbone": "mobilenet_v2"}
        settings = {
            "recipe": "baseline",
            "dataset": "esc10",
            "labels": "given",
            "init": None,
            "settings": values,
            "defaults": values | {"epochs": 60, "mixup_rate": None},
        }
        _write(run / "settings.json", settings)
        machine = {"earmark": "0.1.0", "python": "3.11.2", "torch": "2.8.0", "machine": {"cpu": "Zen 5", "cores": 2}}
        _write(run / "environment.json", machine)
        problems = [
            {"path": f"001 - Dog bark/{i}.ogg", "clip": f"{i}", "kind": "truncated", "outcome": "left out"}
            | {"detail": "ends after 2.31 of 5.00 s"}
            for i in range(8)
        ]
        problems.append(
            {"path": "rain.wav", "clip": "r", "kind": "silent", "outcome": "kept", "detail": "every sample is 0"}
        )
        notes = ["validation: 10 % of train, drawn by group", "test: fold 5, by --test-fold"]
        counts = {"train": 1288, "validation": 32, "test": 1080}
        _write(run / "data.json", counts | {"notes": notes, "problems": problems})
        (run / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in _progress(rng)), "utf-8")
        _write(run / "evaluation" / "validation.json", _evaluation(rng, "validation", tags))
        _write(run / "evaluation" / "test.json", _evaluation(rng, "test", tags))
        _figures(run / "figures", rng, tags)
        (run / "model").mkdir()
        return run

    return make
