"""The command as a process of its own, ours."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

COMMAND = str(Path(sys.executable).with_name("earmark"))


def show_help(work: Path) -> Callable[[], None]:
    """`earmark --help`."""
    return lambda: run(COMMAND, "--help")


def tag(work: Path) -> Callable[[], None]:
    """`earmark tag` of one recording of 10 s with MobileNetV2."""
    # Imported here, for the memory of `show_help` to be the command's.
    from benchmarks.speed.inputs import recordings
    from benchmarks.speed.ours.networks import NETWORKS
    from earmark.models.tagger import save_model

    save_model(NETWORKS["mobilenetv2"].filled_tagger(), work / "mobilenetv2")
    recording = recordings(work, "ogg", 1, 44100)[0]
    return lambda: run(COMMAND, "tag", str(work / "mobilenetv2"), str(recording))


def run(*words: str) -> None:
    """A command whose output nobody reads."""
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
