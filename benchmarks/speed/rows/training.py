"""Steps of training: forward, loss, backward, optimiser."""

from typing import Literal

from benchmarks.speed.contest import OURS, Contestant, Row
from benchmarks.speed.ours.training import CLIPS_ON_CPU, STEPS_ON_GPU

_OURS = "benchmarks.speed.ours.training"
_PEERS = "benchmarks.speed.peers.training"
TABLE = "A step of training with Adam; ours makes its log-mel itself, peers' features are at hand"
TABLE_ON_GPU = "A step of training with Adam on a GPU, bf16; what a batch at hand saves is waiting for data"
# A forward pass by `python -m benchmarks.speed.ours.networks`; the backward pass takes twice that.
FORWARD = {"efficientnet_b2": 3.9e9, "mobilenetv2": 8.15e8, "cnn_gru": 1.675e10, "class_frame_resnet": 7.149e10}
# What a clip's layers read and write, by the same, counted as bf16. Forward, both once; backward, what was read is read
# again, the gradient of what was written is read, and that of what was read is written. What BatchNorm and activations
# move beside that is left out: it could be done while the layers' values are at hand.
VALUES_MOVED = {"efficientnet_b2": 3 * 2.639e7 + 2 * 2.653e7, "mobilenetv2": 3 * 8.747e6 + 2 * 8.739e6}


def _on_cpu(
    network: str, precision: Literal["fp32", "bf16"], title: str, peer: str, aim: float | None = None, binds: str = ""
) -> Row:
    num_clips = CLIPS_ON_CPU[network]
    return Row(
        name=f"train-{network.replace('_', '-')}-{precision}",
        title=f"{title}, {num_clips} clips a step; {precision}",
        unit="clip",
        table=TABLE,
        ours=Contestant("earmark", f"{_OURS}:{network}_{precision}", num_clips, OURS),
        peers=(
            Contestant(peer, f"{_PEERS}:{network}", num_clips),
            *((_keeping_memory(network, num_clips),) if precision == "fp32" else ()),
        ),
        aim=aim,
        flops=3 * FORWARD[network],
        peak=precision,
        tolerance=0,  # as many weights
        binds=binds,
    )


def _keeping_memory(network: str, num_clips: int) -> Contestant:
    variables = dict.fromkeys(("MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_"), str(2**32))
    return Contestant("earmark, memory kept", f"{_OURS}:{network}_fp32", num_clips, OURS, variables)


def _on_gpu(network: str, num_clips: int, title: str) -> Row:
    def one(name: str, kind: str) -> Contestant:
        return Contestant(name, f"{_OURS}:{network}_{kind}", STEPS_ON_GPU * num_clips, OURS)

    return Row(
        name=f"train-{network.replace('_', '-')}-gpu",
        title=f"{title}, {num_clips} clips a step",
        unit="clip",
        table=TABLE_ON_GPU,
        ours=one("earmark, fed from a pack", "fed"),
        peers=(
            one("a batch at hand", "eager"),
            one("a batch at hand, compiled", "compiled"),
            one("the feed alone", "feed"),
        ),
        bytes=2 * VALUES_MOVED[network],
        device="cuda",
    )


EFFICIENTNET_B2 = "EfficientNet-B2 with 4 attention heads, 10-s clips, 128 mels, 527 tags"
MOBILENETV2 = "MobileNetV2, 10-s clips, 64 mels, 527 tags"
_PLAINLY = {
    "efficientnet_b2": (EFFICIENTNET_B2, "efficientnet_pytorch with PSLA's heads, fp32"),
    "mobilenetv2": (MOBILENETV2, "plain MobileNetV2, fp32"),
    "cnn_gru": ("CNN-GRU of staged training, windows of 512 frames, 80 mels", "the same plainly, fp32"),
    "class_frame_resnet": (
        "ResNet of class-frame labels, 10-s clips of 1,024 frames, 64 mels",
        "the same plainly, fp32",
    ),
}
ROWS = (
    _on_cpu(
        "efficientnet_b2", "bf16", *_PLAINLY["efficientnet_b2"], 3,
        "Half of the step goes over maps in memory, for norms, activations, gates and copies: bf16 halves that time, "
        "and only convolutions gain more.",
    ),
    _on_cpu(
        "mobilenetv2", "bf16", *_PLAINLY["mobilenetv2"], 3,
        "Half of the step goes over maps in memory, for norms, activations and copies; a fifth of the step is the "
        "system handing out that memory anew: bf16 halves both, and only convolutions gain more.",
    ),
    _on_cpu("cnn_gru", "bf16", *_PLAINLY["cnn_gru"], 2),
    _on_cpu("class_frame_resnet", "bf16", *_PLAINLY["class_frame_resnet"], 2),
    # What is reached where the processor does not compute in bf16; no aim is set.
    *(_on_cpu(network, "fp32", *titles) for network, titles in _PLAINLY.items()),
    _on_gpu("efficientnet_b2", 100, EFFICIENTNET_B2),
    _on_gpu("mobilenetv2", 32, MOBILENETV2),
)  # fmt: skip
