"""How long the command takes from the shell's prompt on."""

from benchmarks.speed.contest import OURS, Contestant, Row

_OURS = "benchmarks.speed.ours.commands"
_PEERS = "benchmarks.speed.peers.commands"
TABLE = "The command's start"

ROWS = (
    Row(
        name="start-help",
        title="`earmark --help`",
        unit="start",
        table=TABLE,
        ours=Contestant("earmark", f"{_OURS}:show_help", 1, OURS),
        peers=(Contestant("python -c 'import torch'", f"{_PEERS}:import_torch"),),
        aim_seconds=0.3,
    ),
    Row(
        name="start-tag",
        title="`earmark tag` of one Ogg recording of 10 s with MobileNetV2",
        unit="start",
        table=TABLE,
        ours=Contestant("earmark", f"{_OURS}:tag", 1, OURS),
        peers=(
            Contestant("a script with librosa, torchaudio and plain MobileNetV2", f"{_PEERS}:tag"),
            Contestant("python -c 'import torch'", f"{_PEERS}:import_torch"),
        ),
        aim_seconds=3,
    ),
)
