"""The most suspect clips to listen to, each with what is suspected of its labels."""

from collections.abc import Sequence

from earmark.audit.audited import Audited
from earmark.audit.suspects import IMPLIED, KINDS, Suspects, remarks
from earmark.clip_figure import clip_figure, clip_waveform
from earmark.errors import InputError
from earmark.figures import ClipFigure

MOST_CLIPS = 40


def clips_to_hear(suspects: Suspects, audited: Audited) -> tuple[list[tuple[str, ClipFigure]], list[str]]:
    """Figures by name of the clips with the most suspect labels, and a line for each that cannot be read."""
    lines_of: dict[int, list[int]] = {}
    for line, (place, kind) in enumerate(zip(suspects.place.tolist(), suspects.kind.tolist(), strict=True)):
        if kind == IMPLIED or (place not in lines_of and len(lines_of) == MOST_CLIPS):
            continue
        lines_of.setdefault(place, []).append(line)
    said = remarks(suspects, audited)
    figures: list[tuple[str, ClipFigure]] = []
    unread: list[str] = []
    for number, (place, lines) in enumerate(lines_of.items(), start=1):
        try:
            figures.append((f"clip-{number}", _figure(suspects, audited, place, lines, said)))
        except InputError as error:
            unread.append(str(error))
    return figures, unread


def _figure(suspects: Suspects, audited: Audited, place: int, lines: Sequence[int], said: Sequence[str]) -> ClipFigure:
    dataset, row = audited.dataset, int(audited.rows[place])
    clip = str(dataset.clips["clip"][row])
    names = dataset.vocabulary.tags
    first = lines[0]
    judged = f'"{names[suspects.tag[first]]}" {KINDS[suspects.kind[first]]}'
    given = ", ".join(audited.tags_of(place)) or "no tag"
    return clip_figure(
        dataset,
        row,
        clip_waveform(dataset, row),
        title=f"{first + 1}. {judged}?",
        caption=f"Given: {given}. {' '.join(_in_words(suspects, line, names, said[line]) for line in lines)}",
        alt=f"Log-mel of the clip {clip}, of whose labels the most suspect is {judged}.",
        layer=audited.layer,
    )


def _in_words(suspects: Suspects, line: int, names: Sequence[str], remark: str) -> str:
    """A suspect label in a sentence."""
    side = "under" if suspects.score[line] < suspects.threshold[line] else "over"
    return (
        f'Rank {line + 1}: "{names[suspects.tag[line]]}" {KINDS[suspects.kind[line]]} with probability '
        f"{suspects.suspicion[line]:.2f}, scores {suspects.score[line]:.3g}, {side} {suspects.threshold[line]:.3g}"
        f"{f' ({remark})' if remark else ''}."
    )
