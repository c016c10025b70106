"""A run killed for real, at any moment, and resumed gives the same weights as the unbroken one."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from earmark.tensor_files import load_tensors

SETTINGS = ["backbone=crnn_small", "pretrained=null", "epochs=3", "batch_size=4", "checkpoint_every_steps=1"]


def train_command(dataset: Path, run: Path) -> list[str]:
    folds = ["--test-fold", "1", "--validation-fold", "2"]
    return [sys.executable, "-m", "earmark", "train", "baseline", str(dataset), "-o", str(run), *folds,
            "--device", "cpu", "--resume", "--set", *SETTINGS]  # fmt: skip


def step_of(run: Path) -> int:
    """The step of the last checkpoint, from the file's header, in one open: the run may replace the file any time."""
    path = run / "checkpoints" / "last.safetensors"
    if not path.exists():
        return 0
    with path.open("rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    return json.loads(header["__metadata__"]["about"])["step"]


@pytest.fixture(scope="module")
def dataset(class_folders: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("resume") / "sounds"
    subprocess.run([sys.executable, "-m", "earmark", "import", str(class_folders), "-o", str(folder)], check=True)
    subprocess.run([sys.executable, "-m", "earmark", "pack", str(folder)], check=True)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_killed_run_resumed_equals_the_unbroken_one(dataset: Path, tmp_path: Path, precision: str) -> None:
    unbroken, broken = tmp_path / "unbroken", tmp_path / "broken"
    extra = [f"precision={precision}", "final_weights=top_k", "top_k=2"]
    subprocess.run([*train_command(dataset, unbroken), *extra], check=True, timeout=120)
    killed_at = []
    for kill_after in (0, 2, 5):
        process = subprocess.Popen([*train_command(dataset, broken), *extra], stderr=subprocess.PIPE, text=True)
        until = time.monotonic() + 60
        while process.poll() is None and time.monotonic() < until and step_of(broken) <= kill_after:
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
        process.wait()
        killed_at.append(step_of(broken))
        assert process.returncode == -signal.SIGKILL, process.stderr.read()
    assert killed_at == sorted(killed_at)
    assert 0 < killed_at[0] < 9
    subprocess.run([*train_command(dataset, broken), *extra], check=True, timeout=120)

    one, _ = load_tensors(unbroken / "model" / "model.safetensors")
    other, _ = load_tensors(broken / "model" / "model.safetensors")
    for name, tensor in one.items():
        assert torch.equal(tensor, other[name]), name
    lines = [
        [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()] for run in (unbroken, broken)
    ]
    for before, after in zip(*lines, strict=True):
        for key in ("epoch", "step", "train_loss", "learning_rate", "validation"):
            assert before[key] == after[key]
    assert sorted(p.name for p in (unbroken / "checkpoints").iterdir()) == sorted(
        p.name for p in (broken / "checkpoints").iterdir()
    )
