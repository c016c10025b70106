"""TensorBoard events, for those who asked for them."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from earmark.errors import InputError


class Scalars(Protocol):
    """Takes a record of `metrics.jsonl`."""

    def __call__(self, record: Mapping[str, Any]) -> None:
        """Writes the record's numbers at its step."""
        ...


@contextmanager
def scalars(folder: Path, wanted: bool, step: int) -> Iterator[Scalars]:
    """What writes records to `folder/tensorboard`, or does nothing when not wanted.

    Args:
        step: where the run goes on; events at later steps, of a run that was killed, are dropped.

    Raises:
        InputError: the extra is not installed.
    """
    if not wanted:
        yield lambda record: None
        return
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise InputError('tensorboard=true needs the tensorboard extra: pip install "earmark[tensorboard]"') from error
    with SummaryWriter(str(folder / "tensorboard"), purge_step=step + 1) as writer:

        def write(record: Mapping[str, Any]) -> None:
            numbers = {"train_loss": record["train_loss"], "learning_rate": record["learning_rate"]}
            numbers |= {f"validation/{name}": value for name, value in record["validation"].items()}
            selected = record.get("selection", {})
            numbers |= {f"selection/{name}": value for name, value in selected.items() if value is not None}
            numbers |= {"clips_per_second": record["clips_per_second"]}
            for name, value in numbers.items():
                writer.add_scalar(name, value, record["step"])

        yield write
