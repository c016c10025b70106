"""The command as its users run it."""

import contextlib
import io
import logging
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import earmark as package
from earmark.cli import main
from earmark.progress import show_progress


def earmark(*words: object, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
    """Runs the command and returns what it said.

    It runs in this process, which has imported everything already: one of its own takes seconds to begin. Tests of
    how the command begins, ends and is killed start their own.
    """
    # As `python -m earmark` has it.
    argv = [str(Path(package.__file__).with_name("__main__.py")), *map(str, words)]
    out, err = io.StringIO(), io.StringIO()
    with (
        _as_it_was(),
        mock.patch.object(sys, "argv", argv),
        mock.patch.object(sys, "stdin", io.StringIO(stdin or "")),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        try:
            main()
            status: object = 0
        except SystemExit as ended:
            status = ended.code or 0
    assert isinstance(status, int), status
    return subprocess.CompletedProcess(argv, status, out.getvalue(), err.getvalue())


@contextlib.contextmanager
def _as_it_was() -> Iterator[None]:
    """Puts back what the command sets for the whole process."""
    root, ours = logging.getLogger(), logging.getLogger("earmark")
    handlers, levels = list(root.handlers), (root.level, ours.level)
    on_broken_pipe = signal.getsignal(signal.SIGPIPE)
    try:
        yield
    finally:
        signal.signal(signal.SIGPIPE, on_broken_pipe)
        show_progress(True)
        root.handlers[:] = handlers
        root.setLevel(levels[0])
        ours.setLevel(levels[1])
