"""Scoring: the forward pass, and a folder of recordings tagged."""

from typing import Literal

from benchmarks.speed.contest import OURS, Contestant, Row
from benchmarks.speed.ours.scoring import CLIPS, RECORDINGS
from benchmarks.speed.rows.training import FORWARD

_OURS = "benchmarks.speed.ours.scoring"
_PEERS = "benchmarks.speed.peers.scoring"
TABLE = "Scoring: forward pass, features at hand"
TABLE_OF_FOLDERS = "Tagging a folder of 40 Ogg recordings of 10 s, 44.1 kHz, with MobileNetV2; seconds of sound"
SECONDS = 10 * RECORDINGS


def _forward(network: str, precision: Literal["fp32", "bf16"], title: str, peer: str, aim: float | None) -> Row:
    num_clips = CLIPS[network]
    return Row(
        name=f"forward-{network.replace('_', '-')}-{precision}",
        title=f"{title}; {precision}",
        note="scores at most {apart} apart",
        unit="clip",
        table=TABLE,
        ours=Contestant("earmark", f"{_OURS}:{network}_{precision}", num_clips, OURS),
        peers=(Contestant(f"{peer}, eager, fp32", f"{_PEERS}:{network}", num_clips),),
        aim=aim,
        flops=FORWARD[network],
        peak=precision,
        tolerance=1e-4 if precision == "fp32" else 0.2,  # made-up weights; a trained network's are nearer
    )


MOBILENETV2 = ("MobileNetV2, 10-s clips, 64 mels, 527 tags", "plain MobileNetV2")
EFFICIENTNET_B2 = (
    "EfficientNet-B2 with 4 attention heads, 10-s clips, 128 mels, 527 tags",
    "efficientnet_pytorch with PSLA's heads",
)
ROWS = (
    # The aims are of relabelling, which scores in bf16 where the processor has it.
    _forward("mobilenetv2", "bf16", *MOBILENETV2, 7),
    _forward("efficientnet_b2", "bf16", *EFFICIENTNET_B2, 4),
    _forward("mobilenetv2", "fp32", *MOBILENETV2, None),
    _forward("efficientnet_b2", "fp32", *EFFICIENTNET_B2, None),
    Row(
        name="tag-folder",
        title="The folder tagged, on one core",
        unit="second",
        table=TABLE_OF_FOLDERS,
        ours=Contestant("earmark tag", f"{_OURS}:tagging_on_one_core", SECONDS, OURS),
        peers=(
            Contestant("librosa.load, torchaudio, plain MobileNetV2", f"{_PEERS}:tagging_on_one_core", SECONDS),
        ),
        aim=2,
        binds=(
            "`tag` scores in fp32. MobileNetV2's forward pass takes half of the time and a third even at the peak of a "
            "matrix product; decoding, alike in both, takes another third."
        ),
        # Past a recording's end ours sees silence where theirs sees zeros in every layer; ours rounds to 16 bit.
        tolerance=0.05,
    ),
    Row(
        name="tag-folder-2",
        title="The folder tagged, on two cores",
        note="its floor is what decoding, log-mel and forward pass take by themselves, shared by both cores",
        unit="second",
        table=TABLE_OF_FOLDERS,
        ours=Contestant("earmark tag", f"{_OURS}:tagging", SECONDS, OURS),
        peers=(
            Contestant("librosa.load, torchaudio, plain MobileNetV2", f"{_PEERS}:tagging", SECONDS),
            Contestant("soundfile, which only decodes, on one core", f"{_PEERS}:soundfile_alone", SECONDS),
            Contestant("earmark's decoding alone, on one core", f"{_OURS}:decoding", SECONDS, OURS),
            Contestant("earmark's log-mel alone, on one core", f"{_OURS}:log_mel", SECONDS, OURS),
            Contestant("earmark's forward pass alone, on one core", f"{_OURS}:forward_of_folder", SECONDS, OURS),
        ),
        aim=0.9,
        aim_peer="soundfile, which only decodes, on one core",
        parts=(
            "earmark's decoding alone, on one core",
            "earmark's log-mel alone, on one core",
            "earmark's forward pass alone, on one core",
        ),
        threads=2,
        binds=(
            "`tag` scores in fp32. MobileNetV2's forward pass and decoding with its change of rate each take longer "
            "than the bare decoder: shared evenly by two cores, they do not go at its pace: that share is the floor."
        ),
        tolerance=0.05,
    ),
)  # fmt: skip
