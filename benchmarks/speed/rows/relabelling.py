"""Labels rewritten by scores, by each method. Nothing like it is packaged, so only the floor stands beside."""

from benchmarks.speed.contest import OURS, Contestant, Row

_OURS = "benchmarks.speed.ours.relabelling"
TABLE = "Relabelling, made-up scores of AudioSet's 527 tags"
_CHUNK_SCORES = 5 * 527.0
"""Of a clip of 10 s: five chunks of 2 s."""


def _row(name: str, title: str, function: str, clips: int, bytes_a_clip: float) -> Row:
    ours = Contestant("earmark", f"{_OURS}:{function}", clips, OURS)
    return Row(name=name, title=title, unit="clip", ours=ours, table=TABLE, bytes=bytes_a_clip)


ROWS = (
    _row(
        "relabel-chunks-stored",
        "PSL: soft labels of chunks stored, 20,000 clips' of AudioSet's 2.0 M, 5 a clip",
        "chunks_stored",
        20_000,
        _CHUNK_SCORES * (4 + 2),  # float32 in, float16 out
    ),
    _row(
        "relabel-chunks-read",
        "PSL: targets of random batches, soft labels mixed with the clips' own, of 20,000 clips' chunks",
        "chunks_read",
        20_000,
        _CHUNK_SCORES * (2 + 4),  # float16 in, float32 out
    ),
    _row(
        "relabel-chunks-covered",
        "PSL: tags of chunks beside their clips' labels, 20,000 clips",
        "chunks_covered",
        20_000,
        _CHUNK_SCORES * 2,
    ),
    _row(
        "relabel-ontology",
        "PSLA: labels enhanced by ontology and scores, 100,000 clips of AudioSet's 2.0 M",
        "enhanced",
        100_000,
        527 * 4.0,
    ),
    _row(
        "relabel-selection",
        "staged training: clips kept or dropped by their losses, an epoch of 2.0 M in batches of 64",
        "selected",
        2_000_000,
        4.0 + 8.0,  # a loss and which clip it is of
    ),
    _row(
        "relabel-class-frames",
        "class-frame labels: a round's frames of 20,000 weak clips, 156 frames x 10 tags",
        "frames_labelled",
        20_000,
        156 * 10 * 4.0,
    ),
)
