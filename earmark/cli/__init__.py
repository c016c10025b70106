"""The command: one verb a stage. Nothing heavy is imported until a verb runs."""

import sys

from earmark.cli import data_verbs, train_verbs, use_verbs
from earmark.cli.app import app
from earmark.errors import InputError

__all__ = ["app", "data_verbs", "main", "train_verbs", "use_verbs"]


def main() -> None:
    """Runs the command: exit 2 and one line for a user's error, 1 and a traceback for a bug."""
    try:
        app()
    except InputError as error:
        print(f"earmark: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("earmark: stopped; nothing is half-written, the same command goes on", file=sys.stderr)
        sys.exit(130)
