"""`earmark tag --events` as a user types it."""

import csv
import io
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

from earmark.cli import app
from earmark.events.decisions import EventDecisions, write_decisions
from earmark.models.tagger import load_model, save_model
from tests.cli.command import earmark
from tests.conftest import RATE_HZ, TAGS, sound

ASSUMED = "a threshold of 0.5 and no median filter for every tag"


@pytest.fixture
def recordings(tmp_path: Path) -> Path:
    """A long recording, a silent one, and one with a comma in its name."""
    folder = tmp_path / "recordings"
    folder.mkdir()
    parts = [sound(tag, 90 + place, 12.0) for place, tag in enumerate(("Tone", "Noise", "Tone"))]
    soundfile.write(folder / "a long.flac", np.concatenate(parts), RATE_HZ)
    soundfile.write(folder / "b, short.wav", np.concatenate([sound("Noise", 3, 0.6), sound("Tone", 3, 0.7)]), RATE_HZ)
    return folder


def test_event_formats_agree(small_run: Path, recordings: Path) -> None:
    answer = earmark("tag", small_run, recordings, "--events", "--format", "jsonl")
    assert answer.returncode == 0, answer.stderr
    assert answer.stderr == f"nothing was tuned for {small_run / 'model'} by earmark tune: {ASSUMED}\n"
    rows = [json.loads(line) for line in answer.stdout.splitlines()]
    assert all(list(row) == ["path", "onset", "offset", "tag", "score"] for row in rows)
    long = str(recordings / "a long.flac")
    tones = [row for row in rows if row["path"] == long and row["tag"] == "Tone" and row["offset"] > row["onset"] + 5]
    assert [round(row["onset"]) for row in tones] == [0, 24]
    assert [round(row["offset"]) for row in tones] == [12, 36]
    offsets = [row["offset"] for row in rows if row["path"] == long]
    assert offsets == sorted(offsets)
    answer = earmark("tag", small_run, recordings, "--events", "--format", "csv", "-q")
    assert answer.stderr == ""
    table = list(csv.DictReader(io.StringIO(answer.stdout)))
    assert [(r["path"], float(r["onset"]), float(r["offset"]), r["tag"], float(r["score"])) for r in table] == [
        tuple(row.values()) for row in rows
    ]
    lines = CliRunner().invoke(app, ["tag", str(small_run), str(recordings), "--events"]).stdout.splitlines()
    assert lines == [
        f"{row['path']}  {row['onset']:.2f}-{row['offset']:.2f} s  {row['tag']} {row['score']:.2f}" for row in rows
    ]


def test_a_recording_without_events_is_named_in_the_table_alone(small_run: Path, recordings: Path) -> None:
    short = recordings / "b, short.wav"
    words = ["tag", str(small_run), str(short), "--events", "--threshold", "1"]
    answer = CliRunner().invoke(app, words)
    assert answer.stdout == f"{short}  (no event)\n"
    assert CliRunner().invoke(app, [*words, "--format", "jsonl"]).stdout == ""
    assert CliRunner().invoke(app, [*words, "--format", "csv"]).stdout == "path,onset,offset,tag,score\n"


def test_tuned_thresholds_hold_unless_others_are_given(small_run: Path, recordings: Path, tmp_path: Path) -> None:
    save_model(load_model(small_run), tmp_path / "model")
    tuned = EventDecisions(tags=TAGS, thresholds=(1, 0, 1), median_filter_s=(0, 0, 0))
    write_decisions(tmp_path / "model", tuned)
    short = recordings / "b, short.wav"
    answer = earmark("tag", tmp_path / "model", short, "--events")
    assert answer.stderr == ""
    assert [line.split("  ")[1:] for line in answer.stdout.splitlines()] == [["0.00-1.30 s", "Noise 1.00"]]
    words = ["tag", str(tmp_path / "model"), str(short), "--events"]
    answer = CliRunner().invoke(app, [*words, "--threshold", "0", "--median-filter", "0.5"])
    assert len(answer.stdout.splitlines()) == 3
    (tmp_path / "model" / "events.json").write_text("{}")
    answer = CliRunner().invoke(app, words)
    assert answer.exit_code == 2
    assert answer.stderr.startswith(
        f"earmark: {tmp_path / 'model' / 'events.json'}: tags must be there; tune the model"
    )


def test_files_that_cannot_be_read_are_named_and_passed_over(small_run: Path, recordings: Path) -> None:
    (recordings / "a broken.wav").write_bytes(b"no sound")
    broken = recordings / "a long.flac"
    broken.write_bytes(broken.read_bytes()[:-20_000])
    shutil.copy(recordings / "b, short.wav", recordings / "c.wav")
    answer = earmark("tag", small_run, recordings, "--events", "-q")
    assert answer.returncode == 3
    first, second, last = answer.stderr.splitlines()
    assert first.startswith(f"earmark: {recordings / 'a broken.wav'}: ")
    assert second.startswith(f"earmark: {broken}: truncated: ")
    assert last == "earmark: 2 of 4 recordings could not be read"
    named = [line.split("  ")[0] for line in answer.stdout.splitlines()]
    assert sorted(set(named)) == [str(recordings / name) for name in ("a long.flac", "b, short.wav", "c.wav")]
    assert "(no event)" not in answer.stdout


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--events", "--top-k", "3"], "--events gives every event there is, and takes neither --top-k nor"),
        (["--events", "--embeddings", "e.npz"], "takes neither --top-k nor --embeddings"),
        (["--median-filter", "0.5"], "--median-filter is of framewise scores; add --events"),
        (["--median-filter", "0"], "add --events"),
    ],
)
def test_options_that_do_not_go_together(words: list[str], message: str, small_run: Path) -> None:
    answer = CliRunner().invoke(app, ["tag", str(small_run), "a.wav", *words])
    assert answer.exit_code == 2
    assert message in answer.stderr
    assert len(answer.stderr.splitlines()) == 1
