"""Each method's benchmark runs at its smallest scale; what it prints there claims nothing."""

import os
import re
import subprocess
import sys

import pytest

from tests.conftest import REPOSITORY


@pytest.mark.slow
@pytest.mark.parametrize("bench", ["class_frame", "psl", "psla", "staged"])
def test_it_runs_and_keeps_nothing(bench: str) -> None:
    before = set((REPOSITORY / "benchmarks").rglob("*.md"))
    answer = subprocess.run(
        [sys.executable, "-m", f"benchmarks.{bench}"],
        env={**os.environ, "SCALE": "smoke"},
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert answer.returncode == 0, answer.stderr
    assert "smoke: it runs; it claims nothing" in answer.stdout
    assert len(re.findall(r" seed \d: ", answer.stdout)) == 2
    assert set((REPOSITORY / "benchmarks").rglob("*.md")) == before
