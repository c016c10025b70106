"""The sample data are whole: every clip there, readable, credited, and small enough for the repository."""

from pathlib import Path

import pytest

from earmark.data.audio.reading import inspect_audio


def test_every_clip_is_there_and_nothing_is_odd(esc10: Path) -> None:
    paths = sorted(esc10.glob("*/*"))
    assert len(paths) == 400
    assert {len(list(folder.iterdir())) for folder in esc10.iterdir() if folder.is_dir()} == {40}
    for path in paths:
        facts, problems = inspect_audio(path)
        assert problems == []
        assert (facts.channels, facts.rate_hz) == (1, 48000)
        assert 3.6 < facts.duration_s < 7.3


def test_every_clip_is_credited(esc10: Path) -> None:
    credits_text = (esc10 / "CREDITS.txt").read_text("utf-8")
    assert all(f"[{path.name}]" in credits_text for path in esc10.glob("*/*"))


def test_the_sample_data_stay_under_ten_megabytes(esc10: Path) -> None:
    total = sum(path.stat().st_size for path in esc10.rglob("*") if path.is_file())
    assert total == pytest.approx(9.85e6, rel=0.01)
    assert total < 10_000_000
