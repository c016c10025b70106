"""The command as its users run it."""

import subprocess
import sys


def earmark(*words: object, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
    """Runs the command and returns what it said."""
    return subprocess.run(
        [sys.executable, "-m", "earmark", *map(str, words)], input=stdin, capture_output=True, text=True, timeout=300
    )
