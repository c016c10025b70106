"""Progress on stderr, on a terminal only."""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tqdm import tqdm

_shown = True


class LinesAboveBars(logging.Handler):
    """Writes log lines to stderr above the bars, so that neither breaks the other."""

    def emit(self, record: logging.LogRecord) -> None:
        """Writes one record."""
        tqdm.write(self.format(record), file=sys.stderr)


def show_progress(shown: bool) -> None:
    """Turns all progress bars on (the default, on a terminal) or off."""
    global _shown
    _shown = shown


@contextmanager
def progress_bar(total: int, what: str, unit: str, done: int = 0) -> Iterator["tqdm[Any]"]:
    """A bar to call `.update(n)` on; nothing is drawn where stderr is not a terminal."""
    # disable=None is tqdm's own word for "unless stderr is a terminal".
    bar: tqdm[Any] = tqdm(
        total=total, desc=what, unit=f" {unit}", initial=done, leave=False, disable=None if _shown else True
    )
    with bar:
        yield bar
