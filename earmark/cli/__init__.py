"""The command: one verb a stage. Nothing heavy is imported until a verb runs."""

import signal

from earmark.cli import (
    audit_verbs,
    data_verbs,
    label_verbs,
    look_verbs,
    synthesis_verbs,
    train_verbs,
    tune_verbs,
    use_verbs,
)

# The help lists verbs in the order of these lines: what is trained first, then what it is used for.
# isort: split
from earmark.cli import tag_verbs
from earmark.cli.app import app

__all__ = [
    "app",
    "audit_verbs",
    "data_verbs",
    "label_verbs",
    "look_verbs",
    "main",
    "synthesis_verbs",
    "tag_verbs",
    "train_verbs",
    "tune_verbs",
    "use_verbs",
]


def main() -> None:
    """Runs the command."""
    if hasattr(signal, "SIGPIPE"):
        # A reader that has enough (`| head`) ends the command quietly, as it ends any other.
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    app()
