"""The benchmark of growing data: what its table makes of the sizes that were measured."""

import json
from pathlib import Path

import pytest

from benchmarks.naming import named_rows
from benchmarks.speed.scale import NAME, ROWS, write_table
from earmark.errors import InputError


def table_of(results: Path, name: str, **seconds: float) -> list[str]:
    """The lines of the table with one row measured, `clips_10=seconds` of as many clips; 5 MB and 2 MB a clip more."""
    sizes = {}
    for clips, took in seconds.items():
        size = int(clips.removeprefix("clips_"))
        memory = {"own_mb": 5 + 2 * size, "mapped_mb": 3}
        sizes[size] = {"seconds": took, "cpu_seconds": took, **memory, "date": "2026-01-02", "machine": "a machine"}
    (results / NAME).mkdir(parents=True)
    (results / NAME / f"{name}.json").write_text(json.dumps({"row": name, "sizes": sizes}))
    write_table(results)
    return (results / f"{NAME}.md").read_text().splitlines()


def test_a_straight_line_goes_on_to_audioset(tmp_path: Path) -> None:
    lines = table_of(tmp_path, "bootstrap", clips_1000=0.25, clips_10000=2.5, clips_100000=25.0)
    assert "| mAP of 1,000 resamples, 80 tags | 0.25 | 2.5 | 25 | 1.00, 1.00 | 500 |" in lines
    memory = "| 2,005 | 20,005 | 200,005 | 4,000,005 | 3 | truth, scores and their ranking |"
    assert f"| mAP of 1,000 resamples, 80 tags {memory}" in lines
    assert not any("no straight line" in line for line in lines)
    assert "| lwlrap, 527 tags | not measured |  |  |  |  |" in lines
    assert lines[-1] == "Run 2026-01-02 on a machine."


def test_what_is_no_straight_line_says_why_and_goes_on_as_steeply(tmp_path: Path) -> None:
    lines = table_of(tmp_path, "bootstrap", clips_20000=1.0, clips_200000=100.0)
    assert "| mAP of 1,000 resamples, 80 tags | 1 | 100 | 2.00 | 10,000 |" in lines
    reason = next(row.bends for row in ROWS if row.name == "bootstrap")
    assert f"- mAP of 1,000 resamples, 80 tags: no straight line, {reason}." in lines


def test_what_was_measured_at_audiosets_size_stands_beside_what_is_reckoned(tmp_path: Path) -> None:
    lines = table_of(tmp_path, "selected", clips_10000=1.0, clips_100000=10.0, clips_2000000=150.0)
    assert any(line.endswith("| 1 | 10 | 150 | 1.00, 0.90 | 200 |") for line in lines)


def test_an_unknown_row_is_named_with_the_nearest() -> None:
    with pytest.raises(InputError, match=r'unknown row "lwlrab" of speed.scale; did you mean "lwlrap"\?'):
        named_rows(ROWS, ["packing", "lwlrab"], "speed.scale")
