"""Training on a folder with everything that goes wrong: it finishes, and each file is named."""

import json
import shutil
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile

from tests.cli.command import earmark

FINISHED = 0
LEFT_OUT = 3


@pytest.fixture(scope="module")
def troubled(esc10: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folds 1 to 3 of three of ESC-10's classes, and eight files as people have them."""
    folder = tmp_path_factory.mktemp("troubled") / "audio"
    for tag in ("001 - Dog bark", "002 - Rain", "009 - Rooster"):
        (folder / tag).mkdir(parents=True)
        for fold in "123":
            for path in sorted((esc10 / tag).glob(f"{fold}-*.ogg"))[:4]:
                shutil.copy(path, folder / tag)
    dog = folder / "001 - Dog bark"
    good = sorted(dog.glob("1-*.ogg"))[0]
    waveform, rate_hz = soundfile.read(good, dtype="float32")
    soundfile.write(dog / "1-900001-A.mp3", waveform, rate_hz, format="MP3")
    (dog / "1-900001-A.mp3").rename(dog / "1-900001-A.wav")
    (dog / "1-900002-A.ogg").write_bytes(good.read_bytes()[: good.stat().st_size // 2])
    eight = np.tile(np.random.default_rng(0).uniform(-0.5, 0.5, 96000).astype(np.float32)[:, None], (1, 8))
    soundfile.write(dog / "1-900003-A.wav", eight, 96000, subtype="FLOAT")
    (dog / "1-900004-A.wav").write_bytes(b"")
    (dog / "1-900005-A.flac").write_text("this is not audio\n")
    soundfile.write(dog / "1-900006-A.wav", np.full(16000, np.nan, np.float32), 16000, subtype="FLOAT")
    shutil.copy(good, dog / "-1-900007-A.ogg")
    (dog / "1-900008-A.wav").symlink_to(folder / "gone.wav")
    return folder


NAMED = {
    "1-900001-A.wav": ("kept", "wrong extension"),
    "1-900002-A.ogg": ("left out", "truncated"),
    "1-900003-A.wav": ("kept", "downmixed"),
    "1-900004-A.wav": ("left out", "empty"),
    "1-900005-A.flac": ("left out", "unreadable"),
    "1-900006-A.wav": ("left out", "not finite"),
    "1-900008-A.wav": ("left out", "dangling link"),
}


@pytest.mark.slow
def test_training_finishes_and_names_every_troubled_file(troubled: Path, tmp_path: Path) -> None:
    dataset, run = tmp_path / "sounds", tmp_path / "run"
    imported = earmark("import", troubled, "-o", dataset)
    assert imported.returncode == LEFT_OUT
    for name in ("1-900002-A.ogg", "1-900004-A.wav", "1-900005-A.flac", "1-900008-A.wav"):
        assert name in imported.stderr
    settings = ["backbone=crnn_small", "pretrained=null", "epochs=1", "batch_size=8"]
    trained = earmark("train", "baseline", dataset, "-o", run, "--set", *settings)
    assert trained.returncode == FINISHED, trained.stderr
    problems = json.loads((run / "data.json").read_text())["problems"]
    found = {(Path(p["path"]).name, p["outcome"], p["kind"]) for p in problems}
    for name, (outcome, kind) in NAMED.items():
        assert (name, outcome, kind) in found
    assert len(found) == len(problems)

    page = run / "report.html"
    assert earmark("report", run).returncode == FINISHED
    text = page.read_text()
    for name in [*NAMED, "-1-900007-A.ogg"]:
        assert name in text
    packed = earmark("pack", dataset)
    assert packed.returncode == LEFT_OUT
    assert "1-900006-A.wav" in packed.stderr


@pytest.mark.slow
def test_tagging_goes_on_past_files_that_cannot_be_read(troubled: Path, small_run: Path) -> None:
    tagged = earmark("tag", small_run, troubled / "001 - Dog bark", "--format", "jsonl")
    assert tagged.returncode == LEFT_OUT
    rows = [json.loads(line) for line in tagged.stdout.splitlines()]
    names = {Path(row["path"]).name for row in rows}
    unreadable = {name for name, (outcome, _) in NAMED.items() if outcome == "left out"}
    assert not names & unreadable
    for name in unreadable - {"1-900008-A.wav"}:  # a folder's dangling links are no files of it
        assert name in tagged.stderr
    assert {"-1-900007-A.ogg", "1-900001-A.wav", "1-900003-A.wav"} <= names


def test_a_video_is_tagged_by_its_sound(small_run: Path, tmp_path: Path) -> None:
    path = tmp_path / "clip.m4a"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=16000, layout="mono")
        tone = (0.3 * np.sin(np.arange(16000) * 0.3)).astype(np.float32)[None]
        frame = av.AudioFrame.from_ndarray(tone, format="fltp", layout="mono")
        frame.rate = 16000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    tagged = earmark("tag", small_run, path)
    assert tagged.returncode == FINISHED, tagged.stderr
    assert tagged.stdout.startswith(str(path))
