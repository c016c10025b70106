"""Python started, to tag one recording as people's scripts do: WEIGHTS RECORDING; and what that waits for at least."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path


def import_torch(work: Path) -> Callable[[], None]:
    """A process that imports torch."""
    return lambda: _run("-c", "import torch")


def tag(work: Path) -> Callable[[], None]:
    """A process that loads MobileNetV2 and tags one recording of 10 s."""
    import torch

    from benchmarks.speed.inputs import recordings
    from benchmarks.speed.peers.networks import MobileNetV2

    weights = work / "mobilenetv2.pt"
    torch.save(MobileNetV2().filled().state_dict(), weights)
    recording = recordings(work, "ogg", 1, 44100)[0]
    return lambda: _run("-m", "benchmarks.speed.peers.commands", str(weights), str(recording))


def _run(*words: str) -> None:
    subprocess.run([sys.executable, *words], check=True, stdout=subprocess.DEVNULL)


def _tag_one(weights: str, recording: str) -> None:
    import torch

    from benchmarks.speed.peers.networks import MobileNetV2
    from benchmarks.speed.peers.scoring import tagger_of_paths

    network = MobileNetV2().eval()
    network.load_state_dict(torch.load(weights))
    for tag in tagger_of_paths(network)([Path(recording)])[0].argsort()[::-1][:5]:
        print(tag)


if __name__ == "__main__":
    _tag_one(*sys.argv[1:])
